"""The first half of every layer kernel: from the points of a block of samples to functions of them, sorted by piece.

A layer kernel works through blocks of samples, and within a block through groups of inputs, so that what it prepares
stays in the second-level cache. For one input it reads the points, finds their pieces, and sorts the samples by piece:
a *run* of samples shares its polynomials, which are evaluated with samples as lanes, and its rows of coefficients,
which the second half of a kernel holds in registers (``_rows.py``). Base values count as one more function.

What forward has sorted, backward need not sort again: the slots of `work` that hold sorted samples may be as many as
there are inputs and blocks (`work.Sorted`), those that hold functions are used again for every group.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._simd import lanes_of, vector_ops
from numkan.base import GIVEN, IDENTITY, SILU, fill_silu
from numkan.layer.enter import enter_kernel
from numkan.spline.pieces import bounded, find_kernel

__all__ = ["copy_rows", "fill_kernel", "place_kernel", "prepare_kernel"]


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


@kernel
def _sort(count, n_pieces, slot, points, work):  # type: ignore[no-untyped-def]
    """Fill ordered, order and runs of slot `slot` from points and piece: a counting sort."""
    piece, rank, places, order, ordered = work.piece, work.rank, work.places, work.order, work.ordered
    for j in range(n_pieces):
        places[j] = 0
    for s in range(count):
        own = np.uint32(piece[s])
        before = places[own]
        rank[s], places[own] = before, before + 1
    first_run, end = slot * work.runs, 0
    run = first_run
    for j in range(n_pieces):
        of_piece = places[j]
        places[j] = end
        if of_piece > 0:
            end += of_piece
            work.run_piece[run] = j
            work.run_end[run] = end
            run += 1
    work.n_runs[slot] = run - first_run
    start = slot * work.block
    for s in range(count):
        q = np.uint64(start + places[np.uint32(piece[s])] + rank[s])
        order[q] = s
        ordered[q] = points[s]


@cache
def _evaluate_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return Horner with the sorted samples as lanes."""
    powers = k + 1
    step, load, store, splat, fma, mul, *_ = vector_ops(lanes_of(dtype))
    zero, minus = dtype.type(0), dtype.type(-1)

    @kernel
    def evaluate(ordered, i, slot, kept, pieces, table, with_slopes, work):  # type: ignore[no-untyped-def]
        """Fill the k + 1 functions of slot `slot`, and their slopes if wanted, at the points of input i.

        They lie sorted in `ordered`, in the runs of slot `kept`. A run ends within a vector, and what is written behind
        it is written again by the next run.
        """
        centres, inverses, basis, slopes, stride = pieces.centre, pieces.inverse, work.basis, work.slope, work.stride
        n_pieces, lanes = pieces.poly.shape[1], pieces.poly.shape[3]
        first_run, q = kept * work.runs, 0
        for run in range(first_run, first_run + work.n_runs[kept]):
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
def place_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that sorts a group of inputs at a block of samples by piece, for a dtype."""
    find, enter = find_kernel(dtype), enter_kernel(dtype)

    @kernel
    def place(x, begin, count, low, high, width, n_rows, pieces, at, work):  # type: ignore[no-untyped-def]
        """Fill order, ordered and runs of slots at, at + 1, ... with inputs low ... high - 1 of x (n, n_in).

        The samples are begin ... begin + count - 1; width, n_rows: of the packed coefficients. One call does a whole
        group, because passing so many arrays costs as much as 50 samples.
        """
        n_pieces = pieces.poly.shape[1]
        enter(x, begin, count, low, high, work.points, 0, work.stride)
        for i in range(low, high):
            slot, points = at + i - low, work.points[(i - low) * work.stride :]
            find(points, count, i, pieces, work.found, work.piece)
            _sort(count, n_pieces, slot, points, work)
            for run in range(slot * work.runs, slot * work.runs + work.n_runs[slot]):
                work.run_row[run] = (i * n_rows + pieces.first[i, work.run_piece[run]]) * width

    return place


@cache
def fill_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that evaluates the functions of sorted inputs, for degree `k` and a dtype."""
    evaluate, silu = _evaluate_kernel(k, dtype), fill_silu(dtype)
    powers = k + 1
    limit = dtype.type(np.finfo(dtype).max)
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def fill(begin, count, low, high, pieces, kind, given, given_slope, with_slopes, at, work):  # type: ignore[no-untyped-def]
        """Fill the functions of slots 0, 1, ... of `work` with those of inputs low ... high - 1.

        The samples lie sorted in slots at, at + 1, ...; kind: of base function; given, given_slope (n, n_in): b and b'
        where kind is GIVEN; with_slopes: whether derivatives are wanted as well.
        """
        basis, slope, table = work.basis, work.slope, pieces.poly.reshape(-1)
        for i in range(low, high):
            slot, kept = i - low, at + i - low
            start, to = kept * work.block, (slot * (powers + 1) + powers) * work.stride
            ordered = work.ordered[start:]
            if kind == SILU:
                silu(ordered, count, to, basis, slope, with_slopes)
            elif kind == GIVEN:
                for q in range(count):
                    row = begin + np.int64(work.order[start + q])
                    basis[to + q] = given[row, i]
                    slope[to + q] = given_slope[row, i]
            else:
                for q in range(count):
                    basis[to + q] = ordered[q] if kind == IDENTITY else zero
                    slope[to + q] = one if kind == IDENTITY else zero
            first = kept * work.runs
            last = first + work.n_runs[kept] - 1
            # infinities lie in the outermost pieces, which often are empty
            if work.run_piece[first] == 0 or work.run_piece[last] == pieces.poly.shape[1] - 1:
                for q in range(count):
                    work.points[q] = bounded(ordered[q], limit)
                ordered = work.points
            evaluate(ordered, i, slot, kept, pieces, table, with_slopes, work)

    return fill


@cache
def prepare_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that prepares a group of inputs at a block of samples, for degree `k` and a dtype."""
    place, fill = place_kernel(dtype), fill_kernel(k, dtype)

    @kernel
    def prepare(x, begin, count, low, high, width, n_rows, pieces, kind, given, given_slope, with_slopes, work):  # type: ignore[no-untyped-def]
        """Fill slots 0, 1, ... of `work` with inputs low ... high - 1; see `place` and `fill`."""
        place(x, begin, count, low, high, width, n_rows, pieces, 0, work)
        fill(begin, count, low, high, pieces, kind, given, given_slope, with_slopes, 0, work)

    return prepare
