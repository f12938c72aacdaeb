r"""Backward through one layer in direct form, for one block of samples.

With :math:`\bar y` the cotangents of a sample's outputs, f the first of the k + 1 functions of its piece, A the rows of
the piece, and E those that b has:

1. :math:`\bar C_{i, f + r} \mathrel{+}= B_{f + r}(x_i)\, \bar y`, and :math:`\bar E_i \mathrel{+}= b(x_i)\, \bar y`;
2. :math:`\bar x_i = \bar y \cdot \Big( \frac{dw}{dx} \frac{d}{dw} \sum_m A_{ijm} w^m + b'(x_i)\, E_i \Big)`.

Sums of :math:`w^m \bar y` by piece would be a little faster than 1, but what they give for functions that nearly vanish
is a difference of large numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes
from numkan._simd import rounded_ops, vector_ops
from numkan._turn import pair_ops, pick_op, row_numbers, turn_op
from numkan.layer.direct import BLOCK, tile_columns
from numkan.layer.direct_forward import horner_kernel
from numkan.layer.places import (
    BARS,
    EDGES,
    ENTRIES,
    FIRST,
    FUNCTION_VALUES,
    GRADS,
    INPUTS,
    LOCAL,
    MATRICES,
    N_BASIS,
    N_IN,
    N_ROWS,
    OTHER_BARS,
    PIECE,
    SCALES,
    SLOPE,
    WIDTH,
    W,
)
from numkan.spline.pieces import function_lanes

__all__ = ["products_direct", "pull_back_direct", "whole_slope_kernel"]


@cache
def _functions_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that evaluates the functions of one input, with functions as lanes."""
    lanes = function_lanes(k) if sample_lanes(dtype) > 1 else 1
    _, load, store, splat, fma, *_ = rounded_ops(lanes)
    numbers, powers = function_lanes(k), k + 1

    @kernel
    def fill_functions(tables, places, layer, offsets, count, work, index, i):  # type: ignore[no-untyped-def]
        """Fill a row of functions for every sample."""
        column, matrices = (places[layer, INPUTS] + i) * BLOCK, places[layer, MATRICES]
        matrices += i * places[layer, ENTRIES] * powers * numbers
        pairs, functions = np.uint64(offsets[W] + 2 * column), offsets[FUNCTION_VALUES]
        for s in range(count):
            matrix = matrices + np.int64(index[np.uint64(column + s)]) * powers * numbers
            w = splat(work[pairs + np.uint64(2 * s)])
            for r in range(0, powers, lanes):
                value = load(tables, matrix + r)
                for m in range(1, powers):
                    value = fma(value, w, load(tables, matrix + m * numbers + r))
                store(work, functions + s * numbers + r, value)

    return fill_functions


@cache
def _products_kernel(k: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel of step 1 for one input and `columns` outputs, side by side."""
    _, load, store, _, fma, *_ = rounded_ops(columns)
    numbers, powers, splat_pair = function_lanes(k), k + 1, pair_ops(dtype, columns).splat_pair

    @kernel
    def add_products(firsts, places, layer, offsets, count, work, index, grads, i, v):  # type: ignore[no-untyped-def]
        """Add to the rows of grads, those of the functions and then that of b, for the outputs from v on."""
        width, column = places[layer, WIDTH], (places[layer, INPUTS] + i) * BLOCK
        bars, row_of_b = offsets[BARS] + v, places[layer, N_BASIS] * width
        table = places[layer, GRADS] + i * places[layer, N_ROWS] * width + v
        first = places[layer, FIRST] + i * powers * places[layer, ENTRIES]
        pairs, functions = offsets[W] + 2 * column, offsets[FUNCTION_VALUES]
        on_b = load(grads, table + row_of_b)
        for s in range(count):
            at = table + np.int64(firsts[np.uint64(first) + np.uint64(index[np.uint64(column + s)])]) * width
            y_bar, (_, b) = load(work, bars + s * width), splat_pair(work, pairs + 2 * s)
            on_b = fma(b, y_bar, on_b)
            for r in range(0, powers, 2):
                to, (value, other) = at + r * width, splat_pair(work, functions + s * numbers + r)
                store(grads, to, fma(value, y_bar, load(grads, to)))
                if r < k:
                    store(grads, to + width, fma(other, y_bar, load(grads, to + width)))
        store(grads, table + row_of_b, on_b)

    return add_products


@cache
def products_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 1 for a layer."""
    wide, narrow = tile_columns(dtype)
    fill_functions = _functions_kernel(k, dtype)
    add_wide, add_narrow, add_one = (_products_kernel(k, dtype, columns) for columns in (wide, narrow, 1))

    @kernel
    def add_gradients(tables, firsts, places, layer, offsets, count, work, index, grads):  # type: ignore[no-untyped-def]
        """Add to grads, (n_in, G + k + 1, width) for each layer; no sum meets another input, or another output."""
        width = places[layer, WIDTH]
        whole = width // wide * wide if width > 1 else 0
        for i in range(places[layer, N_IN]):
            fill_functions(tables, places, layer, offsets, count, work, index, i)
            if width == 1:
                add_one(firsts, places, layer, offsets, count, work, index, grads, i, 0)
                continue
            for v in range(0, whole, wide):
                add_wide(firsts, places, layer, offsets, count, work, index, grads, i, v)
            for v in range(whole, width, narrow):
                add_narrow(firsts, places, layer, offsets, count, work, index, grads, i, v)

    return add_gradients


@cache
def whole_slope_kernel(k: int, columns: int) -> Any:
    """Return the kernel of the derivatives by x of the edges from one input to `columns` outputs."""
    _, load, _, splat, fma, mul, *_ = rounded_ops(columns)

    @kernel
    def whole_slope(edges, at, width, scale, w, on_b, inverse):  # type: ignore[no-untyped-def]
        """Return them from the rows of the polynomials, `width` apart from `at` on, and the scales of b."""
        value = load(edges, at)
        slope = mul(splat(edges.dtype.type(0)), w)  # zeros, and NaN where x is NaN
        for m in range(1, k + 1):
            slope = fma(slope, w, value)
            value = fma(value, w, load(edges, at + m * width))
        return fma(on_b, scale, mul(inverse, slope))

    return whole_slope


@cache
def _pull_many_kernel(k: int, columns: int) -> Any:
    """Return the kernel of step 2 for `columns` outputs, side by side."""
    _, load, _, splat, _, mul, total, _ = rounded_ops(columns)
    whole_slope, local_numbers = whole_slope_kernel(k, columns), row_numbers(2)

    @kernel
    def pull(tables, edges, places, layer, offsets, count, work, index, v):  # type: ignore[no-untyped-def]
        """Add the part of the outputs from v on to the columns of the inputs' cotangents."""
        width, entries, piece = places[layer, WIDTH], places[layer, ENTRIES], places[layer, PIECE]
        bars = offsets[BARS] + v
        for i in range(places[layer, N_IN]):
            column, table = (places[layer, INPUTS] + i) * BLOCK, places[layer, EDGES] + i * entries * piece + v
            at_w, at_slope = np.uint64(offsets[W] + 2 * column), np.uint64(offsets[SLOPE] + column)
            inverses = places[layer, LOCAL] + i * entries * local_numbers + 1
            scale = load(edges, places[layer, SCALES] + i * width + v)
            x_bar = np.uint64(offsets[OTHER_BARS] + i * BLOCK)
            for s in range(count):
                own, j = np.uint64(s), np.int64(index[np.uint64(column + s)])
                w, on_b, at = splat(work[at_w + np.uint64(2 * s)]), splat(work[at_slope + own]), table + j * piece
                inverse = splat(tables[np.uint64(inverses + j * local_numbers)])
                slope = whole_slope(edges, at, width, scale, w, on_b, inverse)
                work[x_bar + own] += total(mul(slope, load(work, bars + s * width)))

    return pull


@cache
def _slope_kernel(n: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the derivative of the polynomial that the first n coefficients of a tuple make."""
    _, _, _, splat, fma, mul, *_ = vector_ops(sample_lanes(dtype))
    zero = dtype.type(0)
    if n == 1:

        @kernel
        def nothing(coefficients, w):  # type: ignore[no-untyped-def]
            return mul(splat(zero), w)  # zeros, and NaN where x is NaN

        return nothing
    rest, value = _slope_kernel(n - 1, dtype), horner_kernel(n - 1, dtype)

    @kernel
    def slope(coefficients, w):  # type: ignore[no-untyped-def]
        return fma(rest(coefficients, w), w, value(coefficients, w))

    return slope


@cache
def _pull_one_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 2 for one output: samples are lanes."""
    step, load, store, splat, fma, mul, *_ = vector_ops(sample_lanes(dtype))
    pick_polynomials, pick_local, slope = pick_op(dtype, k + 1), pick_op(dtype, 2), _slope_kernel(k + 1, dtype)
    local_numbers, load_pairs = row_numbers(2), pair_ops(dtype, 1).load_pairs

    @kernel
    def pull(tables, edges, places, layer, offsets, count, work, index):  # type: ignore[no-untyped-def]
        """Fill the columns of the inputs' cotangents."""
        entries, piece, to = places[layer, ENTRIES], places[layer, PIECE], offsets[OTHER_BARS]
        for i in range(places[layer, N_IN]):
            column, table = (places[layer, INPUTS] + i) * BLOCK, places[layer, EDGES] + i * entries * piece
            local, scale = places[layer, LOCAL] + i * entries * local_numbers, splat(edges[places[layer, SCALES] + i])
            for s in range(0, count, step):
                polynomials = pick_polynomials(edges, table, index, column + s)
                _, inverse = pick_local(tables, local, index, column + s)
                on_b = load(work, offsets[SLOPE] + column + s)
                w, _ = load_pairs(work, offsets[W] + 2 * (column + s))
                whole = fma(on_b, scale, mul(inverse, slope(polynomials, w)))
                store(work, to + i * BLOCK + s, mul(whole, load(work, offsets[BARS] + s)))

    return pull


@cache
def pull_back_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 2 for a layer."""
    lanes, turn, (wide, narrow) = sample_lanes(dtype), turn_op(dtype), tile_columns(dtype)
    pull_wide, pull_narrow, pull_one = (
        _pull_many_kernel(k, wide),
        _pull_many_kernel(k, narrow),
        _pull_one_kernel(k, dtype),
    )
    zero = dtype.type(0)

    @kernel
    def fill(tables, edges, places, layer, offsets, count, work, index):  # type: ignore[no-untyped-def]
        """Fill the columns of the inputs' cotangents; those of the padding are 0."""
        width = places[layer, WIDTH]
        for i in range(0 if width > 1 else places[layer, N_IN], places[layer - 1, WIDTH]):
            column = offsets[OTHER_BARS] + i * BLOCK
            for at in range(column, column + count):
                work[at] = zero
        if width == 1:
            pull_one(tables, edges, places, layer, offsets, count, work, index)
            return
        whole = width // wide * wide
        for v in range(0, whole, wide):
            pull_wide(tables, edges, places, layer, offsets, count, work, index, v)
        for v in range(whole, width, narrow):
            pull_narrow(tables, edges, places, layer, offsets, count, work, index, v)

    @kernel
    def pull_back(tables, edges, places, layer, offsets, count, work, index):  # type: ignore[no-untyped-def]
        """Put the inputs' cotangents, those of the layer below, in place of the outputs': rows with padding."""
        fill(tables, edges, places, layer, offsets, count, work, index)
        width, bars, columns = places[layer - 1, WIDTH], offsets[BARS], offsets[OTHER_BARS]
        if width == 1:
            for s in range(count):
                work[bars + s] = work[columns + s]
            return
        for s in range(0, count, lanes):
            for i in range(0, width, lanes):
                turn(work, columns + i * BLOCK + s, BLOCK, work, bars + s * width + i, width)

    return pull_back
