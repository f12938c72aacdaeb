r"""Backward through one layer: from the cotangents of its outputs to those of its coefficients and inputs.

The layer is linear in its packed coefficients C; f is the first of the k + 1 functions that do not vanish at x_i:

.. math:: y_o = \sum_i \Big( \sum_r B_{f+r}(x_i)\, C_{i,f+r,o} + b(x_i)\, C_{i,base,o} \Big)

With :math:`\bar y_o = \partial L / \partial y_o`, and summed over the samples n for the coefficients:

1. :math:`\bar C_{i,f+r,o} \mathrel{+}= B_{f+r}(x_{ni})\, \bar y_{no}`
2. :math:`\bar C_{i,base,o} \mathrel{+}= b(x_{ni})\, \bar y_{no}`
3. :math:`\bar x_{ni} = \sum_o \bar y_{no} \big( \sum_r B_{f+r}'(x_{ni}) C_{i,f+r,o} + b'(x_{ni}) C_{i,base,o} \big)`
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._simd import lanes_of, vector_ops
from numkan.layer.prepare import BLOCK, INPUTS, MOST_SUMMED, basis_lanes, copy_rows, prepare_kernel

__all__ = ["backward_kernel"]


@cache
def _coefficient_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of steps 1 and 2 for a prepared group of inputs of a block."""
    lanes = basis_lanes(k)
    powers = k + 1
    step, load, store, splat, fma, _, _ = vector_ops(lanes_of(dtype))
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def add_directly(basis, base, first, out, slot, row, count, width, v, grad):  # type: ignore[no-untyped-def]
        """Do steps 1 and 2 for one input and one vector of outputs; `row` is where its rows begin in grad."""
        on_base = splat(zero)
        for s in range(count):
            q = slot * BLOCK + s
            b = q * lanes
            y_bar = load(out, s * width + v)
            for r in range(powers):
                at = row + (first[q] + r) * width + v
                store(
                    grad,
                    at,
                    fma(splat(basis[b + r]), y_bar, load(grad, at)),
                )
            on_base = fma(splat(base[q]), y_bar, on_base)
        return on_base

    @kernel
    def add_by_first(basis, base, first, sums, out, slot, row, count, n_first, width, v, grad):  # type: ignore[no-untyped-def]
        """Do the same with a sum for each first function, folded at the end.

        Neighbouring spans share k rows, so adding to rows directly makes nearly every sample wait for the one before.
        """
        for place in range(0, n_first * powers * step, step):
            store(sums, place, splat(zero))
        on_base = splat(zero)
        for s in range(count):
            q = slot * BLOCK + s
            b = q * lanes
            y_bar = load(out, s * width + v)
            place = first[q] * (powers * step)
            for r in range(powers):
                at = place + r * step
                store(
                    sums,
                    at,
                    fma(splat(basis[b + r]), y_bar, load(sums, at)),
                )
            on_base = fma(splat(base[q]), y_bar, on_base)
        for f in range(n_first):
            for r in range(powers):
                at = row + (f + r) * width + v
                store(grad, at, fma(splat(one), load(sums, (f * powers + r) * step), load(grad, at)))
        return on_base

    @kernel
    def add_coefficients(basis, base, first, sums, out, low, high, count, n_rows, width, grad):  # type: ignore[no-untyped-def]
        """Add the cotangents of the coefficients of inputs low ... high - 1 to grad (flat, packed)."""
        n_first = n_rows - 1 - k
        for slot in range(high - low):
            row = (low + slot) * n_rows * width
            base_row = row + (n_rows - 1) * width
            for v in range(0, width, step):
                if n_first <= MOST_SUMMED:
                    on_base = add_by_first(basis, base, first, sums, out, slot, row, count, n_first, width, v, grad)
                else:
                    on_base = add_directly(basis, base, first, out, slot, row, count, width, v, grad)
                store(grad, base_row + v, fma(splat(one), on_base, load(grad, base_row + v)))

    return add_coefficients


@cache
def _input_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 3 for a prepared group of inputs of a block."""
    lanes = basis_lanes(k)
    powers = k + 1
    step, load, _, splat, fma, mul, total = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def fill_inputs(slope, base_slope, place, out, low, high, count, n_rows, width, coefs, begin, x_bar):  # type: ignore[no-untyped-def]
        """Fill x_bar[begin : begin + count, low : high]; the sum over r comes before the one sum over lanes."""
        for slot in range(high - low):
            base_row = ((low + slot) * n_rows + n_rows - 1) * width
            for s in range(count):
                q = slot * BLOCK + s
                b = q * lanes
                acc = splat(zero)
                for v in range(0, width, step):
                    derivative = mul(splat(base_slope[q]), load(coefs, base_row + v))
                    for r in range(powers):
                        c = load(coefs, place[q] + r * width + v)
                        derivative = fma(splat(slope[b + r]), c, derivative)
                    acc = fma(derivative, load(out, s * width + v), acc)
                x_bar[begin + s, low + slot] = total(acc)

    return fill_inputs


@cache
def backward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a layer's cotangents, for degree `k` and a dtype."""
    prepare = prepare_kernel(k, dtype)
    add_coefficients, fill_inputs = _coefficient_kernel(k, dtype), _input_kernel(k, dtype)
    zero = dtype.type(0)

    @kernel
    def backward(x, y_bar, pieces, kind, given, given_slope, coefs, work, grad, x_bar, with_coefs, with_inputs):  # type: ignore[no-untyped-def]
        """Add to grad (n_in, G + k + 1, width) and fill x_bar (n, n_in), each where asked for; y_bar (n, n_out)."""
        n, n_out = y_bar.shape
        n_in, n_rows, width = coefs.shape
        flat, flat_grad, out = coefs.reshape(-1), grad.reshape(-1), work.out
        basis, slope, base, base_slope, place = work.basis, work.slope, work.base, work.base_slope, work.place
        first, sums = work.first, work.sums
        cotangents = y_bar.reshape(-1)
        out[:] = zero  # the padding stays zero
        for begin in range(0, n, BLOCK):
            count = min(BLOCK, n - begin)
            copy_rows(cotangents, begin * n_out, n_out, out, 0, width, count, n_out)
            for low in range(0, n_in, INPUTS):
                high = min(n_in, low + INPUTS)
                prepare(
                    x,
                    begin,
                    count,
                    low,
                    high,
                    width,
                    n_rows,
                    pieces,
                    kind,
                    given,
                    given_slope,
                    with_inputs,
                    work,
                )
                if with_coefs:
                    add_coefficients(basis, base, first, sums, out, low, high, count, n_rows, width, flat_grad)
                if with_inputs:
                    fill_inputs(slope, base_slope, place, out, low, high, count, n_rows, width, flat, begin, x_bar)

    return backward
