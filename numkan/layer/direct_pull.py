r"""Cotangents of the inputs of one layer in direct form, for one block of samples.

With :math:`\bar y` the cotangents of a sample's outputs, A the rows of its piece and E the row that b has:

.. math:: \bar x_i = \bar y \cdot \Big( \frac{dw}{dx} \frac{d}{dw} \sum_m A_{ijm} w^m + b'(x_i)\, E_i \Big).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.direct import BLOCK
from numkan.simd.totals import TOTALS, put_totals_op
from numkan.simd.transpose import gather_op, pair_ops, transpose_op
from numkan.simd.vectors import rounded_ops, sample_lanes, vector_ops

__all__ = ["pull_back_direct"]


def _slope_ratios(k: int, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    r"""Return :math:`(k - m + 1) / (k - m)` for m = 1, ..., k - 1.

    With w times these in place of w, Horner's scheme gives the derivative: :math:`\sum_{m<k} (k - m) A_m w^{k-1-m} =
    A_{k-1} + \tfrac{2}{1} w (A_{k-2} + \tfrac{3}{2} w (A_{k-3} + \ldots))`. One 0 at degree 1: Numba has no type for an
    empty tuple's numbers.
    """
    return tuple(dtype.type((k - m + 1) / (k - m)) for m in range(1, k)) or (dtype.type(0),)


@cache
def _steps_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of what the slopes of one input are made with, samples as lanes."""
    step, _, store, splat, fma, mul, *_ = vector_ops(sample_lanes(dtype))
    load_pairs, ratios, zero = pair_ops(dtype, 1).load_pairs, _slope_ratios(k, dtype), dtype.type(0)

    @kernel
    def fill_steps(layer, count, scratch, i):  # type: ignore[no-untyped-def]
        """Fill columns of b', of dw/dx, and of w times every ratio."""
        pairs, work, to = 2 * (layer.inputs + i) * BLOCK, scratch.work, scratch.buffer
        for s in range(0, count, step):
            w, _ = load_pairs(work, scratch.points + pairs + 2 * s)
            on_b, inverse = load_pairs(work, scratch.slopes + pairs + 2 * s)
            store(work, to + s, on_b)
            # NaN in w is not lost at degree 1 either
            store(work, to + BLOCK + s, inverse if k > 1 else fma(splat(zero), w, inverse))
            for m in range(1, k):
                store(work, to + (m + 1) * BLOCK + s, mul(splat(ratios[m - 1]), w))

    return fill_steps


@cache
def _pull_many_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the inputs' cotangents for one input and one vector of outputs."""
    columns = sample_lanes(dtype)
    _, load, _, splat, fma, mul, total, _ = rounded_ops(columns)
    put_totals, zero = put_totals_op(dtype, columns), dtype.type(0)

    @kernel
    def products(edges, work, index, where, s):  # type: ignore[no-untyped-def]
        """Return the terms of one sample, one for each output."""
        column, table, piece, width, scale, steps, bars = where
        at = table + np.int64(index[np.uint64(column + s)]) * piece
        slope = load(edges, at)
        for m in range(1, k):
            slope = fma(slope, splat(work[np.uint64(steps + (m + 1) * BLOCK + s)]), load(edges, at + m * width))
        rate, on_b = splat(work[np.uint64(steps + BLOCK + s)]), splat(work[np.uint64(steps + s)])
        slope = fma(on_b, load(edges, scale), mul(rate, slope))
        return mul(slope, load(work, bars + s * width))

    @kernel
    def pull(edges, layer, count, scratch, i, v):  # type: ignore[no-untyped-def]
        """Add the part of the outputs from v on to the column of the input's cotangents; the first part fills it."""
        width, piece, whole = layer.width, layer.piece_stride, count // TOTALS * TOTALS
        column, to = (layer.inputs + i) * BLOCK, scratch.input_cotangents + i * BLOCK
        table, scale = layer.edges + i * layer.n_pieces * piece, layer.scales + i * width
        work, index = scratch.work, scratch.index
        where = column, table + v, piece, width, scale + v, scratch.buffer, scratch.cotangents + v
        for s in range(0, whole, TOTALS):
            first, second = products(edges, work, index, where, s), products(edges, work, index, where, s + 1)
            third, fourth = products(edges, work, index, where, s + 2), products(edges, work, index, where, s + 3)
            put_totals(work, to + s, v > 0, first, second, third, fourth)
        for s in range(whole, count):
            work[to + s] = (work[to + s] if v > 0 else zero) + total(products(edges, work, index, where, s))

    return pull


@cache
def _slope_kernel(n: int, k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the derivative of a polynomial by the first n of its coefficients; see `_slope_ratios`."""
    _, _, _, splat, fma, mul, *_ = vector_ops(sample_lanes(dtype))
    last = n - 1
    if n == 1:

        @kernel
        def constant(coefficients, w):  # type: ignore[no-untyped-def]
            return coefficients[0]

        return constant
    rest, ratio = _slope_kernel(n - 1, k, dtype), _slope_ratios(k, dtype)[n - 2]

    @kernel
    def slope(coefficients, w):  # type: ignore[no-untyped-def]
        return fma(rest(coefficients, w), mul(splat(ratio), w), coefficients[last])

    return slope


@cache
def _pull_one_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the inputs' cotangents for one output: samples are lanes."""
    step, load, store, splat, fma, mul, *_ = vector_ops(sample_lanes(dtype))
    gather, slope, load_pairs = gather_op(dtype, k + 1), _slope_kernel(k, k, dtype), pair_ops(dtype, 1).load_pairs
    zero = dtype.type(0)

    @kernel
    def pull(edges, layer, count, scratch):  # type: ignore[no-untyped-def]
        """Fill the columns of the inputs' cotangents."""
        work, index, to, bars = scratch.work, scratch.index, scratch.input_cotangents, scratch.cotangents
        for i in range(layer.n_in):
            column, scale = (layer.inputs + i) * BLOCK, splat(edges[layer.scales + i])
            table = layer.edges + i * layer.n_pieces * layer.piece_stride
            for s in range(0, count, step):
                polynomials = gather(edges, table, index, column + s)
                w, _ = load_pairs(work, scratch.points + 2 * (column + s))
                on_b, inverse = load_pairs(work, scratch.slopes + 2 * (column + s))
                rate = inverse if k > 1 else fma(splat(zero), w, inverse)
                whole = fma(on_b, scale, mul(rate, slope(polynomials, w)))
                store(work, to + i * BLOCK + s, mul(whole, load(work, bars + s)))

    return pull


@cache
def pull_back_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the inputs' cotangents for a layer."""
    lanes, transpose = sample_lanes(dtype), transpose_op(dtype)
    pull_many, pull_one = _pull_many_kernel(k, dtype), _pull_one_kernel(k, dtype)
    fill_steps, zero = _steps_kernel(k, dtype), dtype.type(0)

    @kernel
    def fill(edges, layer, padded, count, scratch):  # type: ignore[no-untyped-def]
        """Fill `padded` columns of the inputs' cotangents; those of the padding are 0."""
        work, width = scratch.work, layer.width
        for i in range(layer.n_in, padded):
            column = scratch.input_cotangents + i * BLOCK
            for at in range(column, column + count):
                work[at] = zero
        if width == 1:
            pull_one(edges, layer, count, scratch)
            return
        for i in range(layer.n_in):
            fill_steps(layer, count, scratch, i)
            for v in range(0, width, lanes):
                pull_many(edges, layer, count, scratch, i, v)

    @kernel
    def pull_back(edges, layer, width, count, scratch):  # type: ignore[no-untyped-def]
        """Put the inputs' cotangents in place of the outputs': rows of `width`, that of the layer below."""
        fill(edges, layer, width, count, scratch)
        work, bars, columns = scratch.work, scratch.cotangents, scratch.input_cotangents
        if width == 1:
            for s in range(count):
                work[bars + s] = work[columns + s]
            return
        for s in range(0, count, lanes):
            for i in range(0, width, lanes):
                transpose(work, columns + i * BLOCK + s, BLOCK, work, bars + s * width + i, width)

    return pull_back
