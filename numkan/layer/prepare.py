"""The first half of every layer kernel: from the points of a block of samples to functions of them, sorted by piece.

A layer kernel works through blocks of samples, and within a block through groups of inputs, so that what it prepares
stays in the second-level cache. For one input it reads the points, finds their pieces, and sorts the samples by piece:
a *run* of samples shares its polynomials, which are evaluated with samples as lanes, and its rows of coefficients,
which the second half of a kernel holds in registers (``_rows.py``). Base values count as one more function.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._jit import kernel
from numkan._rows import tile_vectors
from numkan._simd import lanes_of, vector_ops
from numkan.base import GIVEN, IDENTITY, SILU, fill_silu
from numkan.spline.pieces import bounded, find_kernel

__all__ = [
    "BLOCK",
    "Work",
    "aligned_empty",
    "block_rows",
    "copy_rows",
    "gradient_space",
    "prepare_kernel",
    "row_width",
    "workspace",
]

BLOCK = 128  # samples at least; a multiple of any vector

#: The tile of outputs that is in hand stays in the first-level cache for all samples of a block.
_TILES_BYTES = 1 << 15

#: Blocks grow with the number of pieces, so that a run has about so many samples: rows are loaded once a run.
_RUN = 16
_LONGEST_BLOCK = 8 * BLOCK

#: What is prepared at once: 16 inputs, or fewer of the longest blocks.
_INPUTS, _PREPARED = 16, 64 * BLOCK

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class Work(NamedTuple):
    """Scratch memory of one thread. Slot j holds input j of the group in hand, in `block` or `stride` places."""

    block: int  # samples
    inputs: int  # of a group
    stride: int  # samples and, behind them, room for the rest of a vector
    width: int  # numbers from one row of outputs to the next, see `row_width`
    points: Any  # (stride,) the points of one input
    found: Any  # (stride,) their pieces, as the dtype's numbers
    ordered: Any  # (stride,) those of one input, sorted
    piece: Any  # (block,) int32: their pieces
    rank: Any  # (block,) int32: how many samples before are of the same piece
    places: Any  # (most pieces,) int64: samples of each piece, then where they begin
    order: Any  # (inputs * block,) int32: samples, sorted by piece
    n_runs: Any  # (inputs,) int64
    run_piece: Any  # (inputs * block,) int64
    run_end: Any  # (inputs * block,) int64: place in `order` behind the last sample of a run, within its slot
    run_row: Any  # (inputs * block,) int64: where in the packed coefficients its first row begins
    basis: Any  # (inputs * (k + 2) * stride,) k + 1 functions and b of the sorted samples
    slope: Any  # like basis: derivatives by x
    out: Any  # (block * width,) outputs of the block


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Any:
    """Return an uninitialized 1-D array that begins on a cache line; vectors that straddle two cost up to 25 %."""
    raw = np.empty(size + _ALIGNMENT // dtype.itemsize, dtype)
    offset = -raw.__array_interface__["data"][0] % _ALIGNMENT // dtype.itemsize
    return raw[offset : offset + size]


@cache
def copy_rows(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that copies rows between flat arrays of different row widths; compilers leave a scalar loop."""
    step, load, store, *_ = vector_ops(lanes_of(dtype))

    @kernel
    def copy(source, source_begin, source_width, target, target_begin, target_width, n_rows, n_columns):  # type: ignore[no-untyped-def]
        whole = n_columns // step * step
        for s in range(n_rows):
            read = source_begin + s * source_width
            write = target_begin + s * target_width
            for o in range(0, whole, step):
                store(target, write + o, load(source, read + o))
            for o in range(whole, n_columns):
                target[write + o] = source[read + o]

    return copy


def block_rows(n_pieces: int, tile_bytes: int) -> int:
    """Return how many samples a layer takes at once, with so many pieces and so many bytes of outputs in hand."""
    block = BLOCK
    while block < min(max(_RUN * n_pieces, _TILES_BYTES // tile_bytes), _LONGEST_BLOCK):
        block *= 2
    return block


def row_width(width: int, dtype: np.dtype[Any]) -> int:
    """Return the numbers from one row of `width` outputs to the next.

    Tiles of wide rows one power of two apart would share a few sets of the first-level cache, and wait for stores to
    addresses that look the same: a vector between them is worth 20 %.
    """
    return width + lanes_of(dtype) if width > 4 * lanes_of(dtype) else width


_local = threading.local()


def workspace(dtype: np.dtype[Any], k: int, n_pieces: int, width: int) -> Work:
    """Return this thread's scratch memory for layers of degree `k`, so many pieces and padded output width `width`."""
    spaces: dict[tuple[Any, ...], Work] | None = getattr(_local, "spaces", None)
    if spaces is None:
        spaces = _local.spaces = {}
    most_pieces = 1 << n_pieces.bit_length()
    key = (dtype, k, most_pieces, width)
    work = spaces.get(key)
    if work is None:
        work = spaces[key] = _new_work(dtype, k, most_pieces, width)
    return work


def gradient_space(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Any:
    """Return this thread's memory for a gradient of that shape, all zero."""
    size = shape[0] * shape[1] * shape[2]
    space = getattr(_local, f"gradient {dtype}", None)
    if space is None or space.size < size:
        space = aligned_empty(size, dtype)
        setattr(_local, f"gradient {dtype}", space)
    space[:size] = 0
    return space[:size].reshape(shape)


def _new_work(dtype: np.dtype[Any], k: int, most_pieces: int, width: int) -> Work:
    tile = min(width, tile_vectors(k) * lanes_of(dtype))
    block = block_rows(most_pieces // 2, tile * dtype.itemsize)
    inputs = min(_INPUTS, _PREPARED // block)
    stride = block + lanes_of(dtype)

    def floats(size: int) -> Any:
        array = aligned_empty(size, dtype)
        array[:] = 0  # the rest of a vector is computed with, and must not be slow
        return array

    def integers(size: int) -> Any:
        return np.zeros(size, np.int64)

    return Work(
        block=block,
        inputs=inputs,
        stride=stride,
        width=row_width(width, dtype),
        points=floats(stride),
        found=floats(stride),
        ordered=floats(stride),
        piece=np.zeros(block, np.int32),
        rank=np.zeros(block, np.int32),
        places=integers(most_pieces),
        order=np.zeros(inputs * block, np.int32),
        n_runs=integers(inputs),
        run_piece=integers(inputs * block),
        run_end=integers(inputs * block),
        run_row=integers(inputs * block),
        basis=floats(inputs * (k + 2) * stride),
        slope=floats(inputs * (k + 2) * stride),
        out=floats(block * row_width(width, dtype)),
    )


@kernel
def _sort(count, n_pieces, slot, work):  # type: ignore[no-untyped-def]
    """Fill ordered, and order and runs of slot `slot`, from points and piece: a counting sort."""
    piece, rank, places, order = work.piece, work.rank, work.places, work.order
    for j in range(n_pieces):
        places[j] = 0
    for s in range(count):
        own = np.uint32(piece[s])
        rank[s] = places[own]
        places[own] += 1
    start = slot * work.block
    run, end = start, 0
    for j in range(n_pieces):
        of_piece = places[j]
        places[j] = end
        if of_piece > 0:
            end += of_piece
            work.run_piece[run] = j
            work.run_end[run] = end
            run += 1
    work.n_runs[slot] = run - start
    for s in range(count):
        q = np.uint64(places[np.uint32(piece[s])] + rank[s])
        order[start + q] = s
        work.ordered[q] = work.points[s]


@cache
def _evaluate_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return Horner with the sorted samples as lanes."""
    powers = k + 1
    step, load, store, splat, fma, mul, *_ = vector_ops(lanes_of(dtype))
    zero, minus = dtype.type(0), dtype.type(-1)

    @kernel
    def evaluate(ordered, i, slot, pieces, table, with_slopes, work):  # type: ignore[no-untyped-def]
        """Fill the k + 1 functions of slot `slot`, and their slopes if wanted, at the sorted points of input i.

        A run ends within a vector, and what is written behind it is written again by the next run.
        """
        centres, inverses, basis, slopes, stride = pieces.centre, pieces.inverse, work.basis, work.slope, work.stride
        n_pieces, lanes = pieces.poly.shape[1], pieces.poly.shape[3]
        first_run, q = slot * work.block, 0
        for run in range(first_run, first_run + work.n_runs[slot]):
            j = work.run_piece[run]
            row = (i * n_pieces + j) * (powers * lanes)
            centre, inverse = splat(centres[i, j]), splat(inverses[i, j])
            end = work.run_end[run]
            for s in range(q, end, step):
                w = mul(fma(splat(minus), centre, load(ordered, s)), inverse)
                for r in range(powers):
                    to = (slot * (powers + 1) + r) * stride + s
                    value = splat(table[row + r])
                    if with_slopes:
                        slope = mul(splat(zero), w)  # zeros, and NaN where x is NaN
                        for m in range(1, powers):
                            slope = fma(slope, w, value)
                            value = fma(value, w, splat(table[row + m * lanes + r]))
                        store(slopes, to, mul(slope, inverse))
                    else:
                        for m in range(1, powers):
                            value = fma(value, w, splat(table[row + m * lanes + r]))
                    if powers == 1:
                        value = fma(splat(zero), w, value)
                    store(basis, to, value)
            q = end

    return evaluate


@cache
def prepare_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that prepares a group of inputs at a block of samples, for degree `k` and a dtype."""
    evaluate = _evaluate_kernel(k, dtype)
    silu, find = fill_silu(dtype), find_kernel(dtype)
    powers = k + 1
    limit = dtype.type(np.finfo(dtype).max)
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def prepare(x, begin, count, low, high, width, n_rows, pieces, kind, given, given_slope, with_slopes, work):  # type: ignore[no-untyped-def]
        """Fill slots 0, 1, ... of `work` with inputs low ... high - 1 at the samples begin ... begin + count - 1 of x.

        x (n, n_in); pieces: the local polynomials; kind: of base function;
        given, given_slope (n, n_in): b and b' where kind is GIVEN; width, n_rows: of the packed coefficients;
        with_slopes: whether derivatives are wanted as well.
        One call does a whole group, because passing so many arrays costs as much as 50 samples.
        """
        points, ordered = work.points, work.ordered
        basis, slope, order = work.basis, work.slope, work.order
        table, n_pieces = pieces.poly.reshape(-1), pieces.poly.shape[1]
        for i in range(low, high):
            slot = i - low
            start, at = slot * work.block, (slot * (powers + 1) + powers) * work.stride
            for s in range(count):
                points[s] = x[begin + s, i]
            find(points, count, i, pieces, work.found, work.piece)
            _sort(count, n_pieces, slot, work)
            for run in range(start, start + work.n_runs[slot]):
                work.run_row[run] = (i * n_rows + pieces.first[i, work.run_piece[run]]) * width
            if kind == SILU:
                silu(ordered, count, at, basis, slope, with_slopes)
            elif kind == GIVEN:
                for q in range(count):
                    row = begin + order[start + q]
                    basis[at + q] = given[row, i]
                    slope[at + q] = given_slope[row, i]
            else:
                for q in range(count):
                    basis[at + q] = ordered[q] if kind == IDENTITY else zero
                    slope[at + q] = one if kind == IDENTITY else zero
            for q in range(count):
                ordered[q] = bounded(ordered[q], limit)
            evaluate(ordered, i, slot, pieces, table, with_slopes, work)

    return prepare
