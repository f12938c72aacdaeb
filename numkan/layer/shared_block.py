r"""Forward through layers for one block of samples, shared by threads.

Where samples do not fill two blocks, to share them would leave each thread short runs, and what a run begins with costs
as much for a few samples as for many. Nor can threads share the inputs, over which an output is one chain. So they
share each layer twice:

1. groups of inputs, to pack their coefficients where that is yet to be done (``pack.py``), to sort the samples, and
   to fill what the loops read of them (``prepare.py``, ``powers.py``);
2. tiles of outputs, or parts of one, each of them summed over all inputs (``forward.py``).

What one thread alone keeps for a group at a time, all have for all inputs in between. Each output is the same chain of
operations as in ``forward.py``: the same bits.

A thread takes the next group that nobody has, then the next tiles, then those of the next layer, in one call of a
kernel: a step is as short as what the interpreter takes to change hands. Between the steps it waits for those who are
still at the one before, awake; so no thread waits for one that has not begun. Where somebody is kept for long, who
waits gives up, nobody takes further tiles, and all share what is left in another call.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._groups import group_room
from numkan._jit import kernel
from numkan._simd import lanes_of, vector_ops
from numkan._threads import Call, get_threads_at_once, patience, run_together
from numkan._watch import count, enter, leave, wait
from numkan.base import GIVEN
from numkan.layer.forward import tile_kernel
from numkan.layer.pack import Source, is_cut, no_source, pack
from numkan.layer.packed import PackedLayer, given_base
from numkan.layer.powers import values_kernel
from numkan.layer.prepare import place_kernel
from numkan.layer.row_numbers import VALUES
from numkan.layer.rows import tile_vectors
from numkan.layer.tiles import copy_rows
from numkan.layer.work import CACHE_LINE, Sorted, Work, borrowed
from numkan.spline.pieces import Pieces

__all__ = ["Sharing", "Stretch", "is_shared"]

#: So many multiply-adds of a layer are worth a thread's while.
_THREAD_WORK = 4_000_000

#: So many tiles are taken together at most: more would gain little, and leave a thread idle where another is slowed.
_MOST_TILES = 4

#: So many layers are done in one call of a kernel at most.
_LONGEST_STRETCH = 4

#: What threads count: those that gave up; and for each layer, from 1 on, groups that are taken, and that are filled,
#: then tiles (or as many together as `columns` says) that are taken, and that are summed.
_GONE, _LAYERS = 0, 1
_TAKEN, _FILLED, _TILES, _SUMMED, _COUNTS = range(5)


class _Step(NamedTuple):
    """A layer at its samples, as threads share it."""

    x: FloatArray  # (n, n_in)
    pieces: Pieces
    kind: int  # of base function
    given: FloatArray  # b and b' where kind is GIVEN
    given_slope: FloatArray
    source: Source  # empty if the coefficients are packed
    coefs: Any
    columns: int  # outputs that are taken together
    room: int  # what a group of inputs takes in the values
    y: FloatArray  # (n, n_out)


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
    step, tile, part = lanes_of(dtype), _tile(k, dtype), _part(k, dtype)
    add_many, add_few, add_one = (tile_kernel(k, dtype, size // step) for size in (tile, part, step))
    _, _, store, splat, *_ = vector_ops(step)
    copy, zero = copy_rows(dtype), dtype.type(0)

    @kernel
    def sum_up(coefs, poly, low, high, values, room, work, y):  # type: ignore[no-untyped-def]
        """Fill outputs low ... high - 1, tiles or some vectors, of y (n, n_out).

        poly: flat; values: in groups, each group of inputs from a multiple of `room` on.
        """
        n, n_out = y.shape
        n_in, n_rows, width = coefs.shape
        flat, out = coefs.reshape(-1), work.out
        whole = low + (high - low) // tile * tile
        parts = whole + (high - whole) // part * part
        for at in range(0, n * (high - low), step):
            store(out, at, splat(zero))
        for i in range(0, n_in, work.inputs):
            j, first = min(n_in, i + work.inputs), i // work.inputs * room
            for v in range(low, whole, tile):
                add_many(flat, poly, i, j, n_rows, width, v, (v - low) * n, i, values, first, work)
            for v in range(whole, parts, part):
                add_few(flat, poly, i, j, n_rows, width, v, (v - low) * n, i, values, first, work)
            for v in range(parts, high, step):
                add_one(flat, poly, i, j, n_rows, width, v, (v - low) * n, i, values, first, work)
        for v in range(low, whole, tile):
            copy(out, (v - low) * n, tile, y.reshape(-1), v, n_out, n, min(tile, n_out - v))
        for v in range(whole, parts, part):
            copy(out, (v - low) * n, part, y.reshape(-1), v, n_out, n, min(part, n_out - v))
        for v in range(parts, high, step):
            copy(out, (v - low) * n, step, y.reshape(-1), v, n_out, n, min(step, n_out - v))

    return sum_up


@cache
def _join_layer_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a thread's part in both steps of a layer, for degree `k` and a dtype."""
    fill_group, sum_up = _fill_kernel(dtype), _sum_kernel(k, dtype)

    @kernel
    def join_layer(step, values, counts, at, turns, work):  # type: ignore[no-untyped-def]
        """Do what nobody else does of step.y, which `counts` tell from `at` on; return whether all of it is done."""
        x, pieces, kind, given, given_slope, source, coefs, columns, room, y = step
        n_in, _, width = coefs.shape
        n_groups, poly = -(-n_in // work.inputs), pieces.poly.reshape(-1)
        group = count(counts, at + _TAKEN)
        while group < n_groups:
            low = group * work.inputs
            high = min(n_in, low + work.inputs)
            fill_group(x, low, high, pieces, kind, given, given_slope, source, coefs, values, group * room, work)
            count(counts, at + _FILLED)
            group = count(counts, at + _TAKEN)
        if not wait(counts, at + _FILLED, n_groups, turns):
            return False
        low = 0
        while low < width:
            if wait(counts, _GONE, 1, 0):
                return False
            low = count(counts, at + _TILES) * columns
            if low < width:
                sum_up(coefs, poly, low, min(width, low + columns), values, room, work, y)
                count(counts, at + _SUMMED)
        return wait(counts, at + _SUMMED, -(-width // columns), turns)

    return join_layer


@cache
def _join_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a thread's part in layers of degree `k` and a dtype, one after the other."""
    join_layer = _join_layer_kernel(k, dtype)

    @kernel
    def join(steps, values, counts, turns, works, call):  # type: ignore[no-untyped-def]
        """Do what nobody else does of the layers in `steps`; works: this thread's scratch memory for each."""
        enter(call)
        at = _LAYERS
        for depth in range(len(steps)):
            if not join_layer(steps[depth], values, counts, at, turns, works[depth]):
                count(counts, _GONE)
                break
            at += _COUNTS
        leave(call)

    return join


@cache
def _tile(k: int, dtype: np.dtype[Any]) -> int:
    """Return how many outputs are summed at once."""
    return tile_vectors(k) * lanes_of(dtype)


@cache
def _part(k: int, dtype: np.dtype[Any]) -> int:
    """Return how many are, at a small loss, where a thread finds no more: of a tile of four vectors a half."""
    return min(2, tile_vectors(k)) * lanes_of(dtype)


def is_shared(layer: PackedLayer, n: int) -> bool:
    """Tell whether a layer at n samples is worth sharing; behind one that is, a `Stretch` shares the others too."""
    coefs = layer.coefs
    return coefs.shape[2] >= 2 * _part(layer.k, coefs.dtype) and n * layer.row_work >= 2 * _THREAD_WORK


class Stretch:
    """How threads share layers, in one call of a kernel, at n samples: what is the same for all calls of it.

    Parameters
    ----------
    layers : sequence of PackedLayer
        Layers of these shapes are to come; they are of one degree, and Python need not look at what is between them.
    n : int
        Samples, which fit a block.
    keep : sequence of Sorted
        For each layer, room for what is sorted of them in one block.
    """

    def __init__(self, layers: Sequence[PackedLayer], n: int, keep: Sequence[Sorted]) -> None:
        n_threads = min(get_threads_at_once(), max(n * layer.row_work for layer in layers) // _THREAD_WORK)
        self._n_threads = n_threads if any(is_shared(layer, n) for layer in layers) else 1
        self._keep, self._own, self._turns = keep, threading.local(), patience(self._n_threads)
        self._join = _join_kernel(layers[0].k, layers[0].coefs.dtype)
        self._columns = [_columns(layer, self._n_threads) for layer in layers]
        self._room = [_room(layer, n) for layer in layers]
        groups = [-(-layer.coefs.shape[0] // layer.work.inputs) for layer in layers]
        self._size = max(count * room for count, room in zip(groups, self._room, strict=True))
        self._n_last = -(-layers[-1].coefs.shape[2] // self._columns[-1])

    def forward(self, layers: Sequence[PackedLayer], acts: Sequence[FloatArray]) -> None:
        """Fill acts[1], acts[2], ..., the outputs of each layer at acts[0] (n, n_in), on all threads."""
        if self._n_threads < 2:
            for depth, layer in enumerate(layers):  # with the numbers of a group of inputs in the cache
                layer.filled().forward(acts[depth], acts[depth + 1], self._keep[depth])
            return
        layers[0].check_inside(acts[0])
        steps = tuple([self._step(depth, layer, *acts[depth : depth + 2]) for depth, layer in enumerate(layers)])
        counts = np.zeros(_LAYERS + _COUNTS * len(steps), np.int64)

        with borrowed("values", self._size, acts[0].dtype) as values:

            def task(call: Call) -> None:
                self._join(steps, values, counts, self._turns, self._works(layers), call)

            run_together(task, self._n_threads)
            while counts[-_COUNTS + _SUMMED] < self._n_last:  # of the last layer: somebody gave up
                counts[_GONE] = 0
                run_together(task, self._n_threads)

    def _step(self, depth: int, layer: PackedLayer, x: FloatArray, y: FloatArray) -> _Step:
        if is_cut(layer.coefs):
            layer = layer.filled()  # to pack a group of inputs would keep others waiting
        given, source = given_base(layer.base, x), layer.source or no_source(x.dtype)
        sizes = self._columns[depth], self._room[depth]
        return _Step(x, layer.pieces, layer.base.kind, *given, source, layer.coefs, *sizes, y)

    def _works(self, layers: Sequence[PackedLayer]) -> tuple[Work, ...]:
        """Return this thread's scratch memory for each layer."""
        works: tuple[Work, ...] | None = getattr(self._own, "works", None)
        if works is None:
            works = tuple([kept.within(layer.work) for kept, layer in zip(self._keep, layers, strict=True)])
            self._own.works = works
        return works


def _columns(layer: PackedLayer, n_threads: int) -> int:
    """Return how many outputs a thread takes together: tiles share what they read; of fewer each thread has a part."""
    width, dtype = int(layer.coefs.shape[2]), layer.coefs.dtype
    tile, lanes = _tile(layer.k, dtype), lanes_of(dtype)
    if width < n_threads * tile:
        return min(_part(layer.k, dtype), -(-width // (n_threads * lanes)) * lanes)
    return tile * min(_MOST_TILES, width // (n_threads * tile))


def _room(layer: PackedLayer, n: int) -> int:
    """Return how many numbers the values of a group of inputs take: as many as are lines, whatever the dtype."""
    room = layer.work.inputs * group_room(n, min(n, layer.work.runs), VALUES, layer.coefs.dtype)
    return int(room + -room % CACHE_LINE)


class Sharing:
    """How threads share the layers of a network at n samples that fit a block: its stretches, and what each sorts.

    A stretch ends before Python has to look at activations (the policy `"raise"`, a user's base function), before
    another degree, and where it would be long: the kernel is compiled for every length.
    """

    def __init__(self, layers: Sequence[PackedLayer], n: int, keep: Sequence[Sorted]) -> None:
        begins = [0]
        for depth in range(1, len(layers)):
            layer, length = layers[depth], depth - begins[-1]
            seen = layer.inside is not None or layer.base.kind == GIVEN
            if seen or layer.k != layers[depth - 1].k or length == _LONGEST_STRETCH:
                begins.append(depth)
        self.keep = keep
        parts = [slice(begin, end) for begin, end in zip(begins, [*begins[1:], len(layers)], strict=True)]
        self.stretches = [(part, Stretch(layers[part], n, keep[part])) for part in parts]
