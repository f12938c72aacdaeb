r"""Cotangents of the inputs of one layer in direct form, for one block of samples.

With :math:`\bar y` the cotangents of a sample's outputs, A the rows of its piece and E the row that b has:

.. math:: \bar x_i = \bar y \cdot \Big( \frac{dw}{dx} \frac{d}{dw} \sum_m A_{ijm} w^m + b'(x_i)\, E_i \Big).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes
from numkan._simd import rounded_ops, vector_ops
from numkan._totals import TOTALS, put_totals_op
from numkan._turn import pair_ops, pick_op, turn_op
from numkan.layer.direct import BLOCK, tile_columns
from numkan.layer.places import (
    BARS,
    EDGES,
    ENTRIES,
    FUNCTION_VALUES,
    INPUTS,
    N_IN,
    OTHER_BARS,
    PIECE,
    SCALES,
    SLOPE,
    WIDTH,
    W,
)

__all__ = ["pull_back_direct", "share_kernel", "slope_ratios"]


def slope_ratios(k: int, dtype: np.dtype[Any]) -> tuple[Any, ...]:
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
    load_pairs, ratios, zero = pair_ops(dtype, 1).load_pairs, slope_ratios(k, dtype), dtype.type(0)

    @kernel
    def fill_steps(places, layer, offsets, count, work, i):  # type: ignore[no-untyped-def]
        """Fill columns of b', of dw/dx, and of w times every ratio."""
        pairs, to = 2 * (places[layer, INPUTS] + i) * BLOCK, offsets[FUNCTION_VALUES]
        for s in range(0, count, step):
            w, _ = load_pairs(work, offsets[W] + pairs + 2 * s)
            on_b, inverse = load_pairs(work, offsets[SLOPE] + pairs + 2 * s)
            store(work, to + s, on_b)
            # NaN in w is not lost at degree 1 either
            store(work, to + BLOCK + s, inverse if k > 1 else fma(splat(zero), w, inverse))
            for m in range(1, k):
                store(work, to + (m + 1) * BLOCK + s, mul(splat(ratios[m - 1]), w))

    return fill_steps


@cache
def share_kernel(k: int, columns: int, tiles: int) -> Any:
    """Return the kernel of what is summed up for one input of one sample: of `tiles` tiles, 1 or 2, added up."""
    _, load, _, splat, fma, mul, *_ = rounded_ops(columns)

    @kernel
    def share_of_tile(edges, at, width, scale, work, steps, apart, bars):  # type: ignore[no-untyped-def]
        slope = load(edges, at)
        for m in range(1, k):
            slope = fma(slope, splat(work[np.uint64(steps + (m + 1) * apart)]), load(edges, at + m * width))
        rate, on_b = splat(work[np.uint64(steps + apart)]), splat(work[np.uint64(steps)])
        slope = fma(on_b, load(edges, scale), mul(rate, slope))
        return mul(slope, load(work, bars))

    @kernel
    def share(edges, at, width, scale, work, steps, apart, bars):  # type: ignore[no-untyped-def]
        """Return it from the rows of the polynomials, `width` apart from `at` on, and the row of b's scales.

        steps: where b' of the sample is; dw/dx and w times every ratio are `apart` from each other.
        """
        own = share_of_tile(edges, at, width, scale, work, steps, apart, bars)
        if tiles == 1:
            return own
        other = share_of_tile(edges, at + columns, width, scale + columns, work, steps, apart, bars + columns)
        return fma(splat(edges.dtype.type(1)), other, own)

    return share


@cache
def _pull_many_kernel(k: int, dtype: np.dtype[Any], columns: int, tiles: int) -> Any:
    """Return the kernel of the inputs' cotangents for one input and `tiles` tiles of `columns` outputs."""
    *_, total, _ = rounded_ops(columns)
    share, put_totals, zero = share_kernel(k, columns, tiles), put_totals_op(dtype, columns), dtype.type(0)

    @kernel
    def share_of(edges, work, index, where, s):  # type: ignore[no-untyped-def]
        column, table, piece, width, scale, steps, bars = where
        at = table + np.int64(index[np.uint64(column + s)]) * piece
        return share(edges, at, width, scale, work, steps + s, BLOCK, bars + s * width)

    @kernel
    def pull(edges, places, layer, offsets, count, work, index, i, v):  # type: ignore[no-untyped-def]
        """Add the part of the outputs from v on to the column of the input's cotangents; the first part fills it."""
        width, piece, whole = places[layer, WIDTH], places[layer, PIECE], count // TOTALS * TOTALS
        column, to = (places[layer, INPUTS] + i) * BLOCK, offsets[OTHER_BARS] + i * BLOCK
        table, scale = places[layer, EDGES] + i * places[layer, ENTRIES] * piece, places[layer, SCALES] + i * width
        where = column, table + v, piece, width, scale + v, offsets[FUNCTION_VALUES], offsets[BARS] + v
        for s in range(0, whole, TOTALS):
            first, second = share_of(edges, work, index, where, s), share_of(edges, work, index, where, s + 1)
            third, fourth = share_of(edges, work, index, where, s + 2), share_of(edges, work, index, where, s + 3)
            put_totals(work, to + s, v > 0, first, second, third, fourth)
        for s in range(whole, count):
            work[to + s] = (work[to + s] if v > 0 else zero) + total(share_of(edges, work, index, where, s))

    return pull


@cache
def _slope_kernel(n: int, k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the derivative of a polynomial by the first n of its coefficients; see `slope_ratios`."""
    _, _, _, splat, fma, mul, *_ = vector_ops(sample_lanes(dtype))
    last = n - 1
    if n == 1:

        @kernel
        def constant(coefficients, w):  # type: ignore[no-untyped-def]
            return coefficients[0]

        return constant
    rest, ratio = _slope_kernel(n - 1, k, dtype), slope_ratios(k, dtype)[n - 2]

    @kernel
    def slope(coefficients, w):  # type: ignore[no-untyped-def]
        return fma(rest(coefficients, w), mul(splat(ratio), w), coefficients[last])

    return slope


@cache
def _pull_one_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the inputs' cotangents for one output: samples are lanes."""
    step, load, store, splat, fma, mul, *_ = vector_ops(sample_lanes(dtype))
    pick, slope, load_pairs = pick_op(dtype, k + 1), _slope_kernel(k, k, dtype), pair_ops(dtype, 1).load_pairs
    zero = dtype.type(0)

    @kernel
    def pull(edges, places, layer, offsets, count, work, index):  # type: ignore[no-untyped-def]
        """Fill the columns of the inputs' cotangents."""
        to = offsets[OTHER_BARS]
        for i in range(places[layer, N_IN]):
            column, scale = (places[layer, INPUTS] + i) * BLOCK, splat(edges[places[layer, SCALES] + i])
            table = places[layer, EDGES] + i * places[layer, ENTRIES] * places[layer, PIECE]
            for s in range(0, count, step):
                polynomials = pick(edges, table, index, column + s)
                w, _ = load_pairs(work, offsets[W] + 2 * (column + s))
                on_b, inverse = load_pairs(work, offsets[SLOPE] + 2 * (column + s))
                rate = inverse if k > 1 else fma(splat(zero), w, inverse)
                whole = fma(on_b, scale, mul(rate, slope(polynomials, w)))
                store(work, to + i * BLOCK + s, mul(whole, load(work, offsets[BARS] + s)))

    return pull


@cache
def pull_back_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the inputs' cotangents for a layer."""
    lanes, turn, (wide, narrow) = sample_lanes(dtype), turn_op(dtype), tile_columns(dtype)
    pull_two, pull_wide = _pull_many_kernel(k, dtype, wide, 2), _pull_many_kernel(k, dtype, wide, 1)
    pull_narrow, pull_one = _pull_many_kernel(k, dtype, narrow, 1), _pull_one_kernel(k, dtype)
    fill_steps, zero = _steps_kernel(k, dtype), dtype.type(0)

    @kernel
    def fill(edges, places, layer, offsets, count, work, index):  # type: ignore[no-untyped-def]
        """Fill the columns of the inputs' cotangents; those of the padding are 0."""
        width = places[layer, WIDTH]
        for i in range(places[layer, N_IN], places[layer - 1, WIDTH]):
            column = offsets[OTHER_BARS] + i * BLOCK
            for at in range(column, column + count):
                work[at] = zero
        if width == 1:
            pull_one(edges, places, layer, offsets, count, work, index)
            return
        in_twos, whole = width // (2 * wide) * 2 * wide, width // wide * wide
        for i in range(places[layer, N_IN]):
            fill_steps(places, layer, offsets, count, work, i)
            for v in range(0, in_twos, 2 * wide):
                pull_two(edges, places, layer, offsets, count, work, index, i, v)
            for v in range(in_twos, whole, wide):
                pull_wide(edges, places, layer, offsets, count, work, index, i, v)
            for v in range(whole, width, narrow):
                pull_narrow(edges, places, layer, offsets, count, work, index, i, v)

    @kernel
    def pull_back(edges, places, layer, offsets, count, work, index):  # type: ignore[no-untyped-def]
        """Put the inputs' cotangents, those of the layer below, in place of the outputs': rows with padding."""
        fill(edges, places, layer, offsets, count, work, index)
        width, bars, columns = places[layer - 1, WIDTH], offsets[BARS], offsets[OTHER_BARS]
        if width == 1:
            for s in range(count):
                work[bars + s] = work[columns + s]
            return
        for s in range(0, count, lanes):
            for i in range(0, width, lanes):
                turn(work, columns + i * BLOCK + s, BLOCK, work, bars + s * width + i, width)

    return pull_back
