r"""Forward through a layer for one block of samples, shared by threads.

Where samples do not fill two blocks, to share them would leave each thread short runs, and what a run begins with costs
as much for a few samples as for many. Nor can threads share the inputs, over which an output is one chain. So they
share twice:

1. groups of inputs, to pack their coefficients where that is yet to be done (``pack.py``), to sort the samples, and
   to fill what the loops read of them (``prepare.py``, ``powers.py``);
2. tiles of outputs, each of them summed over all inputs (``forward.py``).

What one thread alone keeps for a group at a time, all have for all inputs in between. Each output is the same chain of
operations as in ``forward.py``: the same bits.

A thread takes the next group that nobody has, then the next tiles, in one call of a kernel: a step is as short as what
the interpreter takes to change hands. Between the steps it waits for those who are still at a group, awake; so no
thread waits for one that has not begun. Where somebody is kept from a group for long, who waits gives up, nobody takes
further tiles, and all share what is left in a second call.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan._groups import group_room
from numkan._jit import kernel
from numkan._simd import lanes_of, vector_ops
from numkan._threads import get_threads, patience, run_tasks
from numkan._watch import count, wait
from numkan.layer.forward import tile_kernel
from numkan.layer.pack import is_cut, no_source, pack
from numkan.layer.packed import PackedLayer, given_base
from numkan.layer.powers import values_kernel
from numkan.layer.prepare import place_kernel
from numkan.layer.row_numbers import VALUES
from numkan.layer.rows import tile_vectors
from numkan.layer.tiles import copy_rows
from numkan.layer.work import CACHE_LINE, Sorted, borrowed

__all__ = ["forward_shared", "is_shared"]

#: So many multiply-adds of a layer are worth a thread's while.
_THREAD_WORK = 4_000_000

#: What threads count: groups that are taken, groups that are filled, threads that gave up, tiles that are taken.
_TAKEN, _FILLED, _GONE, _TILES = range(4)


@cache
def _fill_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the first step for a group of inputs, for a dtype."""
    place, fill = place_kernel(dtype), values_kernel(dtype)

    @kernel
    def fill_group(x, low, high, pieces, kind, given, given_slope, source, coefs, values, first, work):  # type: ignore[no-untyped-def]
        """Fill slots low ... high - 1 of `work`, values from place `first` on, and coefs unless `source` is empty."""
        _, n_rows, width = coefs.shape
        if len(source.coef) > 0:
            scales = source.scale_base[low:high], source.scale_sp[low:high], source.mask[low:high]
            pack(source.coef[low:high], *scales, coefs[low:high])
        place(x, 0, len(x), low, high, width, n_rows, pieces, low, work)
        fill(0, len(x), low, high, pieces, kind, given, given_slope, False, low, values, first, work)

    return fill_group


@cache
def _sum_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the second step for a few outputs, for degree `k` and a dtype."""
    vectors, step = tile_vectors(k), lanes_of(dtype)
    add_many, add_one, tile = tile_kernel(k, dtype, vectors), tile_kernel(k, dtype, 1), vectors * step
    _, _, store, splat, *_ = vector_ops(step)
    copy, zero = copy_rows(dtype), dtype.type(0)

    @kernel
    def sum_up(coefs, poly, low, high, values, room, work, y):  # type: ignore[no-untyped-def]
        """Fill outputs low ... high - 1, a tile or some vectors, of y (n, n_out).

        poly: flat; values: in groups, each group of inputs from a multiple of `room` on.
        """
        n, n_out = y.shape
        n_in, n_rows, width = coefs.shape
        flat, out = coefs.reshape(-1), work.out
        whole = low + (high - low) // tile * tile
        for at in range(0, n * (high - low), step):
            store(out, at, splat(zero))
        for i in range(0, n_in, work.inputs):
            j, first = min(n_in, i + work.inputs), i // work.inputs * room
            for v in range(low, whole, tile):
                add_many(flat, poly, i, j, n_rows, width, v, (v - low) * n, i, values, first, work)
            for v in range(whole, high, step):
                add_one(flat, poly, i, j, n_rows, width, v, (v - low) * n, i, values, first, work)
        for v in range(low, whole, tile):
            copy(out, (v - low) * n, tile, y.reshape(-1), v, n_out, n, min(tile, n_out - v))
        for v in range(whole, high, step):
            copy(out, (v - low) * n, step, y.reshape(-1), v, n_out, n, min(step, n_out - v))

    return sum_up


@cache
def _join_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a thread's part in both steps, for degree `k` and a dtype."""
    fill_group, sum_up = _fill_kernel(dtype), _sum_kernel(k, dtype)

    @kernel
    def join(x, pieces, kind, given, given_slope, source, coefs, columns, values, room, counts, turns, work, y):  # type: ignore[no-untyped-def]
        """Do what nobody else does of y (n, n_out), `columns` outputs at a time."""
        n_in, _, width = coefs.shape
        n_groups = -(-n_in // work.inputs)
        group = count(counts, _TAKEN)
        while group < n_groups:
            low = group * work.inputs
            high = min(n_in, low + work.inputs)
            fill_group(x, low, high, pieces, kind, given, given_slope, source, coefs, values, group * room, work)
            count(counts, _FILLED)
            group = count(counts, _TAKEN)
        if not wait(counts, _FILLED, n_groups, turns):
            count(counts, _GONE)
        low = 0
        while low < width and not wait(counts, _GONE, 1, 0):
            low = count(counts, _TILES) * columns
            if low < width:
                sum_up(coefs, pieces.poly.reshape(-1), low, min(width, low + columns), values, room, work, y)

    return join


@cache
def _tile(k: int, dtype: np.dtype[Any]) -> int:
    return tile_vectors(k) * lanes_of(dtype)


def is_shared(layer: PackedLayer, n: int) -> bool:
    """Tell whether `forward_shared` shares out the work on n samples, or leaves it to the caller."""
    coefs = layer.coefs
    return coefs.shape[2] >= 2 * _tile(layer.k, coefs.dtype) and n * layer.row_work >= 2 * _THREAD_WORK


def forward_shared(layer: PackedLayer, x: FloatArray, y: FloatArray, keep: Sorted) -> None:
    """Fill y (n, n_out) with the outputs at x (n, n_in), which fits a block, on all threads.

    keep: room for what is sorted of n samples in one block.
    """
    n_threads = min(get_threads(), len(x) * layer.row_work // _THREAD_WORK)
    if n_threads == 1 or not is_shared(layer, len(x)):
        layer.filled().forward(x, y, keep)  # which has the numbers of a group of inputs in the cache
        return
    layer.check_inside(x)
    if is_cut(layer.coefs):
        layer = layer.filled()  # to pack a group of inputs would keep others waiting
    (n, n_in), width, together, dtype = x.shape, layer.coefs.shape[2], layer.work.inputs, x.dtype
    tile = _tile(layer.k, dtype)
    # several tiles at a time share what they read, a few times as many as threads keep them all busy
    columns = tile * max(1, width // (2 * n_threads * tile))
    room = together * group_room(n, min(n, layer.work.runs), VALUES, dtype)
    room += -room % CACHE_LINE  # as many numbers are lines whatever the dtype
    function = (layer.pieces, layer.base.kind, *given_base(layer.base, x), layer.source or no_source(dtype))
    join, counts, turns = _join_kernel(layer.k, dtype), np.zeros(4, np.int64), patience()

    with borrowed("values", -(-n_in // together) * room, dtype) as values:

        def task(_: int) -> None:
            work = keep.within(layer.work)
            join(x, *function, layer.coefs, columns, values, room, counts, turns, work, y)

        run_tasks(task, n_threads)
        if counts[_TILES] * columns < width:  # somebody gave up; by now all groups are filled
            counts[_FILLED], counts[_GONE] = n_in, 0
            run_tasks(task, n_threads)
