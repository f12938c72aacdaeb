"""The first half of every layer kernel: from the points of a block of samples to functions of them, sorted by piece.

A layer kernel works through blocks of samples, and within a block through groups of inputs, so that what it prepares
stays in the second-level cache, or is read in order where blocks are long. For one input it reads the points and sorts
the samples by piece (``sort.py``): a *run* of samples shares its polynomials, which are evaluated with samples as
lanes, and its rows of coefficients, which the second half of a kernel holds in registers (``_rows.py``). Base values
count as one more function.

What forward has sorted, backward need not sort again: the slots of `work` that hold sorted samples may be as many as
there are inputs and blocks (`work.Sorted`), those that hold functions are used again for every group.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes, silu_op
from numkan._simd import lanes_of, vector_ops
from numkan.base import GIVEN, IDENTITY, SILU
from numkan.layer.enter import enter_kernel
from numkan.layer.sort import sort_kernel
from numkan.spline.pieces import bounded

__all__ = ["fill_kernel", "place_kernel", "prepare_kernel"]


@cache
def _evaluate_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return Horner with the sorted samples as lanes."""
    powers = k + 1
    step, load, store, splat, fma, mul, *_ = vector_ops(lanes_of(dtype))
    limit, zero, minus = dtype.type(np.finfo(dtype).max), dtype.type(0), dtype.type(-1)

    @kernel
    def evaluate(count, low, high, pieces, with_slopes, at, work):  # type: ignore[no-untyped-def]
        """Fill the k + 1 functions of slots 0, 1, ..., and their slopes if wanted, for inputs low ... high - 1.

        The samples lie sorted in slots at, at + 1, .... A run ends within a vector, and what is written behind it is
        written again by the next run.
        """
        centres, inverses, table = pieces.centre.reshape(-1), pieces.inverse.reshape(-1), pieces.poly.reshape(-1)
        basis, slopes, stride = work.basis, work.slope, work.stride
        n_pieces, lanes = pieces.poly.shape[1], pieces.poly.shape[3]
        for slot in range(high - low):
            first_run, q = (at + slot) * work.runs, 0
            last_run = first_run + work.n_runs[at + slot] - 1
            points, begin = work.ordered, (at + slot) * work.stride
            # infinities lie in the outermost pieces, which often are empty
            if work.run_piece[first_run] == 0 or work.run_piece[last_run] == n_pieces - 1:
                for s in range(count):
                    work.points[s] = bounded(points[begin + s], limit)
                points, begin = work.points, 0
            for run in range(first_run, last_run + 1):
                j = work.run_piece[run]
                piece = np.uint64((low + slot) * n_pieces + j)  # unsigned: no index may count from the end
                row = piece * np.uint64(powers * lanes)
                centre, inverse = splat(centres[piece]), splat(inverses[piece])
                end = work.run_end[run]
                for s in range(q, end, step):
                    w = mul(fma(splat(minus), centre, load(points, begin + s)), inverse)
                    for r in range(powers):
                        to = (slot * (powers + 1) + r) * stride + s
                        value = splat(table[row + np.uint64(r)])
                        if with_slopes:
                            slope = mul(splat(zero), w)  # zeros, and NaN where x is NaN
                            for m in range(1, powers):
                                slope = fma(slope, w, value)
                                value = fma(value, w, splat(table[row + np.uint64(m * lanes + r)]))
                            store(slopes, to, mul(slope, inverse))
                        else:
                            for m in range(1, powers):
                                value = fma(value, w, splat(table[row + np.uint64(m * lanes + r)]))
                        if powers == 1:
                            value = fma(splat(zero), w, value)
                        store(basis, to, value)
                q = end

    return evaluate


@cache
def _base_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the base values of sorted inputs, the last of k + 2 functions."""
    lanes, silu = sample_lanes(dtype), silu_op(dtype)
    _, load, store, *_ = vector_ops(lanes)
    rows, zero, one = k + 2, dtype.type(0), dtype.type(1)

    @kernel
    def fill_base(begin, count, low, high, kind, given, given_slope, with_slopes, at, work):  # type: ignore[no-untyped-def]
        """Fill the last function of slots 0, 1, ... with b of inputs low ... high - 1, its slope with b'."""
        basis, slope, ordered = work.basis, work.slope, work.ordered
        for i in range(low, high):
            start, to = (at + i - low) * work.stride, ((i - low) * rows + rows - 1) * work.stride
            if kind == SILU:
                for q in range(0, count, lanes):
                    value, derivative = silu(load(ordered, start + q))
                    store(basis, to + q, value)
                    if with_slopes:
                        store(slope, to + q, derivative)
            elif kind == GIVEN:
                for q in range(count):
                    row = begin + np.int64(work.order[start + q])
                    basis[to + q] = given[row, i]
                    slope[to + q] = given_slope[row, i]
            else:
                for q in range(count):
                    basis[to + q] = ordered[start + q] if kind == IDENTITY else zero
                    slope[to + q] = one if kind == IDENTITY else zero

    return fill_base


@cache
def place_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that sorts a group of inputs at a block of samples by piece, for a dtype."""
    enter, sort = enter_kernel(dtype), sort_kernel(dtype)

    @kernel
    def place(x, begin, count, low, high, width, n_rows, pieces, at, work):  # type: ignore[no-untyped-def]
        """Fill order, ordered and runs of slots at, at + 1, ... with inputs low ... high - 1 of x (n, n_in).

        The samples are begin ... begin + count - 1; width, n_rows: of the packed coefficients. One call does a whole
        group, because passing so many arrays costs as much as 50 samples.
        """
        enter(x, begin, count, low, high, work.points, 0, work.stride)
        sort(count, low, high, width, n_rows, pieces, at, work)

    return place


@cache
def fill_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that evaluates the functions of sorted inputs, for degree `k` and a dtype."""
    fill_base, evaluate = _base_kernel(k, dtype), _evaluate_kernel(k, dtype)

    @kernel
    def fill(begin, count, low, high, pieces, kind, given, given_slope, with_slopes, at, work):  # type: ignore[no-untyped-def]
        """Fill the functions of slots 0, 1, ... of `work` with those of inputs low ... high - 1.

        The samples lie sorted in slots at, at + 1, ...; kind: of base function; given, given_slope (n, n_in): b and b'
        where kind is GIVEN; with_slopes: whether derivatives are wanted as well.
        """
        fill_base(begin, count, low, high, kind, given, given_slope, with_slopes, at, work)
        evaluate(count, low, high, pieces, with_slopes, at, work)

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
