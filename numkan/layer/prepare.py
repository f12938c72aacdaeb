"""The first half of every layer kernel: from the points of a block of samples to numbers of them, sorted by piece.

A layer kernel works through blocks of samples, and within a block through groups of inputs, so that what it prepares
stays in the second-level cache, or is read in order where blocks are long. For one input it reads the points and sorts
the samples by piece (``sort.py``): a *run* of samples shares its polynomials. What is then computed with samples as
lanes, into groups (``_groups.py``), are powers of the local variable where a run has its polynomials in registers
(``powers.py``, ``rows.py``), and here the B-splines themselves, for kernels that want each of them. Base values count
as one more function.

What forward has sorted, backward need not sort again: the slots of `work` that hold sorted samples may be as many as
there are inputs and blocks (`work.Sorted`), those that hold numbers are used again for every group.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.base_values import base_kernel
from numkan.layer.columns import columns_kernel
from numkan.layer.sort import sort_kernel
from numkan.simd.groups import group_ops
from numkan.simd.vectors import lanes_of, vector_ops

__all__ = ["place_kernel", "prepare_kernel"]


@cache
def _functions_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that evaluates the functions of sorted inputs, for degree `k` and a dtype."""
    powers = k + 1
    step, load, _, splat, fma, mul, *_ = vector_ops(lanes_of(dtype))
    zero, minus = dtype.type(0), dtype.type(-1)
    fill_base, (size, place, behind, store) = base_kernel(dtype), group_ops(k + 2, dtype)

    @kernel
    def fill(begin, count, low, high, pieces, kind, given, given_slope, with_slopes, work):  # type: ignore[no-untyped-def]
        """Fill the groups of slots 0, 1, ... with the functions of inputs low ... high - 1: Horner, samples as lanes.

        The samples lie sorted in these slots; kind: of base function; given, given_slope (n, n_in): b and b'
        where kind is CUSTOM; with_slopes: whether derivatives are wanted as well. A run ends within a vector: what
        is written behind it is of no sample, or is written again by the next run.
        """
        centres, inverses, table = pieces.centre.reshape(-1), pieces.inverse.reshape(-1), pieces.poly.reshape(-1)
        basis, slopes, base, base_slope = work.numbers, work.slope, work.base, work.base_slope
        n_pieces, lanes, first = pieces.poly.shape[1], pieces.poly.shape[3], 0
        for slot in range(high - low):
            first_run, q = slot * work.runs, 0
            last_run = first_run + work.n_runs[slot] - 1
            points, start = work.ordered, slot * work.stride
            if fill_base(begin, count, low + slot, slot, n_pieces, kind, given, given_slope, with_slopes, work):
                points, start = work.points, 0
            for run in range(first_run, last_run + 1):
                piece = np.uint64(work.run_piece[run])  # unsigned: no index may count from the end
                row = piece * np.uint64(powers * lanes)
                centre, inverse = splat(centres[piece]), splat(inverses[piece])
                end = work.run_end[run]
                for s in range(q, end, step):
                    w, to = mul(fma(splat(minus), centre, load(points, start + s)), inverse), place(first, s - q)
                    for r in range(powers):
                        value = splat(table[row + np.uint64(r)])
                        if with_slopes:
                            slope = mul(splat(zero), w)  # zeros, and NaN where x is NaN
                            for m in range(1, powers):
                                slope = fma(slope, w, value)
                                value = fma(value, w, splat(table[row + np.uint64(m * lanes + r)]))
                            store(slopes, to + r * size, mul(slope, inverse))
                        else:
                            for m in range(1, powers):
                                value = fma(value, w, splat(table[row + np.uint64(m * lanes + r)]))
                        if powers == 1:
                            value = fma(splat(zero), w, value)
                        store(basis, to + r * size, value)
                    store(basis, to + powers * size, load(base, s))
                    if with_slopes:
                        store(slopes, to + powers * size, load(base_slope, s))
                first, q = behind(first, end - q), end

    return fill


@cache
def place_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that sorts a group of inputs at a block of samples by piece, for a dtype."""
    fill_columns, sort = columns_kernel(dtype), sort_kernel(dtype)

    @kernel
    def place(x, begin, count, low, high, width, n_rows, pieces, at, work):  # type: ignore[no-untyped-def]
        """Fill order, ordered and runs of slots at, at + 1, ... with inputs low ... high - 1 of x (n, n_in).

        The samples are begin ... begin + count - 1; width, n_rows: of the packed coefficients. One call does a whole
        group, because passing so many arrays costs as much as 50 samples.
        """
        fill_columns(x, begin, count, low, high, work.points, 0, work.stride)
        sort(count, low, high, width, n_rows, pieces, at, work)

    return place


@cache
def prepare_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that prepares a group of inputs at a block of samples, for degree `k` and a dtype."""
    place, fill = place_kernel(dtype), _functions_kernel(k, dtype)

    @kernel
    def prepare(x, begin, count, low, high, width, n_rows, pieces, kind, given, given_slope, with_slopes, work):  # type: ignore[no-untyped-def]
        """Fill slots 0, 1, ... of `work` with inputs low ... high - 1; see `place` and `fill`."""
        place(x, begin, count, low, high, width, n_rows, pieces, 0, work)
        fill(begin, count, low, high, pieces, kind, given, given_slope, with_slopes, work)

    return prepare
