r"""Backward through one layer: from the cotangents of its outputs to those of its coefficients and inputs.

In the notation of ``forward.py``

.. math:: y_o = \sum_i \Big( \sum_m A_{imo}\, w_i^m + b(x_i)\, C_{i,base,o} \Big), \qquad
    A_{imo} = \sum_r P_{imr}\, C_{i,f+r,o}

With :math:`\bar y_o = \partial L / \partial y_o`, summed for the coefficients over the samples n, run by run of samples
of one piece:

1. :math:`M_{imo} = \sum_n w_{ni}^m\, \bar y_{no}, \quad
   \bar C_{i,f+r,o} \mathrel{+}= \sum_m P_{imr}\, M_{imo}`
2. :math:`\bar C_{i,base,o} \mathrel{+}= \sum_n b(x_{ni})\, \bar y_{no}`
3. :math:`\bar x_{ni} = \sum_o \bar y_{no} \big( w_i' \sum_m m A_{imo}\, w_{ni}^{m-1}
   + b'(x_{ni})\, C_{i,base,o} \big)`, with the piece's :math:`w_i' = dw_i / dx_i`

Step 1 is exact up to the rounding of its moments. Where all samples of a piece lie at one end of it and a function
nearly vanishes there, the error is not small relative to this function. Where a moment overflows, because cotangents
are about as large as the dtype holds, the gradients of its piece are infinite or NaN; which of the two is not promised.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.pack import add_gradient
from numkan.layer.runs import distinct, load_kernel, run_loop
from numkan.layer.scratch import Group
from numkan.layer.sorted_samples import fill_kernel, sort_kernel
from numkan.simd.totals import TOTALS, put_totals_op
from numkan.simd.vectors import lanes_of, vector_ops
from numkan.spline.pieces import function_lanes

__all__ = ["backward_kernel"]


@cache
def _moments_kernel(k: int, dtype: np.dtype[Any], width: int) -> Any:
    """Return the kernel of steps 1 and 2 for a run and `width` outputs."""
    step, load, store, splat, fma, *_ = vector_ops(lanes_of(dtype))
    powers, lanes, zero, one = k + 1, function_lanes(k), dtype.type(0), dtype.type(1)

    @distinct
    def add_moments(arrays, poly, run, scratch):  # type: ignore[no-untyped-def]
        """Add to the gradient by coefficients; arrays: (flat gradient, cotangents in tiles). Rows are moments M_m."""
        grad, bars = arrays
        rows, w, size = scratch.rows, scratch.powers, scratch.inputs * scratch.stride
        for v in range(0, (powers + 1) * width, step):
            store(rows, v, splat(zero))
        for q in range(np.uint64(run.begin), np.uint64(run.end)):
            to, b = run.tile + np.int64(scratch.order[q]) * width, splat(scratch.base[q])
            for v in range(0, width, step):
                y, at = load(bars, to + v), k * width + v
                first = splat(one) if k > 0 else splat(one + zero * w[q])  # a NaN in w is not lost
                store(rows, at, fma(first, y, load(rows, at)))
                for m in range(k):
                    at = m * width + v
                    store(rows, at, fma(splat(w[q + np.uint64((k - 1 - m) * size)]), y, load(rows, at)))
                at = powers * width + v
                store(rows, at, fma(b, y, load(rows, at)))
        for v in range(0, width, step):
            for r in range(powers):
                to = run.row + r * run.stride + v
                value = load(grad, to)
                for m in range(powers):
                    value = fma(splat(poly[run.table + m * lanes + r]), load(rows, m * width + v), value)
                store(grad, to, value)
            to = run.base_row + v
            store(grad, to, fma(splat(one), load(rows, powers * width + v), load(grad, to)))

    return add_moments


@cache
def _totals_kernel(k: int, dtype: np.dtype[Any], width: int) -> Any:
    """Return the kernel of step 3 for a run and `width` outputs."""
    step, load, _, splat, fma, *_ = vector_ops(lanes_of(dtype))
    load_slopes, zero, put_totals = load_kernel(k, dtype, width, slopes=True), dtype.type(0), put_totals_op(dtype, step)

    @distinct
    def products(bars, run, scratch, q):  # type: ignore[no-untyped-def]
        """Return y_bar (D_1 + w (D_2 + ...) + b' C_base) of a sample, summed over vectors of outputs."""
        at, rows, total = np.uint64(q), scratch.rows, splat(zero)
        to, w, slope = (
            run.tile + np.int64(scratch.order[at]) * width,
            splat(scratch.powers[at]),
            splat(scratch.slope[at]),
        )
        for v in range(0, width, step):
            value = load(rows, v) if k > 1 else splat(zero)
            for m in range(1, k - 1):
                value = fma(value, w, load(rows, m * width + v))
            value = fma(value, w, load(rows, (k - 1) * width + v) if k > 0 else splat(zero))
            total = fma(fma(slope, load(rows, (k + 1) * width + v), value), load(bars, to + v), total)
        return total

    @distinct
    def add_totals(arrays, poly, run, scratch):  # type: ignore[no-untyped-def]
        """Add to the sums of sorted samples; arrays: (flat coefficients, cotangents in tiles, sums)."""
        coefs, bars, sums = arrays
        load_slopes(coefs, poly, run, scratch.rows)
        for q in range(run.begin, run.end, TOTALS):
            a, b = products(bars, run, scratch, q), products(bars, run, scratch, q + 1)
            c, d = products(bars, run, scratch, q + 2), products(bars, run, scratch, q + 3)
            put_totals(sums, q, True, a, b, c, d)

    return add_totals


@cache
def _spread_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that copies the sums of sorted samples into x_bar, in the order of the samples."""

    @kernel
    def spread(sums, group, n_pieces, scratch, x_bar):  # type: ignore[no-untyped-def]
        for slot in range(group.high - group.low):
            start = slot * scratch.stride
            for q in range(start, start + scratch.offsets[slot * (n_pieces + 1) + n_pieces]):
                sample = np.int64(scratch.order[q])
                if sample < group.size:
                    x_bar[group.begin + sample, group.low + slot] = sums[q]

    return spread


@cache
def backward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the cotangents of some inputs of a layer, for degree `k` and a dtype."""
    sort, fill = sort_kernel(dtype), fill_kernel(k, dtype, backward=True)
    add_moments, add_totals = run_loop(k, dtype, _moments_kernel), run_loop(k, dtype, _totals_kernel)
    spread, zero = _spread_kernel(dtype), dtype.type(0)

    @kernel
    def backward(x, bars, layer, scratch, inputs, grad, sink, x_bar):  # type: ignore[no-untyped-def]
        """Add the gradient by the coefficients to `sink`, and fill x_bar (n, n_in); either is left out if it is empty.

        Only inputs inputs[0] ... inputs[1] - 1 are computed; no two of them write to the same memory. bars: the
        cotangents of the outputs, in tiles, block by block. grad (inputs of a group, G + k + 1, width): scratch memory.
        """
        n, (_, n_rows, width), (low, high) = x.shape[0], layer.coefs.shape, inputs
        coefs, sums = layer.coefs.reshape(-1), scratch.points
        flat, with_coefs, with_inputs = grad.reshape(-1), len(sink.coef) > 0, len(x_bar) > 0
        for first in range(low, high, scratch.inputs):
            last = min(high, first + scratch.inputs)
            if with_coefs:
                flat[:] = zero
            for begin in range(0, n, scratch.block):
                group = Group(begin, min(scratch.block, n - begin), first, last)
                bars_at = (begin + begin // scratch.block) * width
                sort(x, group, layer.pieces, scratch)
                fill(group, layer.pieces, layer.base, with_inputs, scratch)
                if with_coefs:
                    add_moments((flat, bars), layer, group, scratch, first * n_rows * width, bars_at)
                if with_inputs:
                    sums[:] = zero
                    add_totals((coefs, bars, sums), layer, group, scratch, 0, bars_at)
                    spread(sums, group, layer.pieces.ends.shape[1], scratch, x_bar)
            if with_coefs:
                add_gradient(grad[: last - first], first, last, sink)

    return backward
