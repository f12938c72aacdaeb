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
from numkan._totals import TOTALS, put_totals_op
from numkan._turn import pair_ops, pick_op, turn_op
from numkan.layer.direct import BLOCK, MOST_SUMS, tile_columns
from numkan.layer.places import (
    BARS,
    EDGES,
    ENTRIES,
    FIRST,
    FUNCTION_VALUES,
    GRADS,
    INPUTS,
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

__all__ = ["products_direct", "pull_back_direct", "share_kernel", "slope_ratios"]


@cache
def _functions_kernel(k: int, lanes: int) -> Any:
    """Return the kernel of `lanes` functions at one w, from a matrix of a piece."""
    _, load, _, _, fma, *_ = rounded_ops(lanes)
    numbers = function_lanes(k)

    @kernel
    def functions(tables, at, w):  # type: ignore[no-untyped-def]
        value = load(tables, at)
        for m in range(1, k + 1):
            value = fma(value, w, load(tables, at + m * numbers))
        return value

    return functions


def _functions_at_once(k: int, dtype: np.dtype[Any]) -> int:
    """Return how many functions of a piece are lanes of a vector."""
    return function_lanes(k) if sample_lanes(dtype) > 1 else 1


@cache
def _fill_functions_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that evaluates the functions of one input, with functions as lanes."""
    lanes = _functions_at_once(k, dtype)
    _, _, store, splat, *_ = rounded_ops(lanes)
    functions, numbers, powers = _functions_kernel(k, lanes), function_lanes(k), k + 1

    @kernel
    def fill_functions(tables, places, layer, offsets, count, work, index, i):  # type: ignore[no-untyped-def]
        """Fill a row of functions for every sample."""
        column, matrices = (places[layer, INPUTS] + i) * BLOCK, places[layer, MATRICES]
        matrices += i * places[layer, ENTRIES] * powers * numbers
        pairs, rows = np.uint64(offsets[W] + 2 * column), offsets[FUNCTION_VALUES]
        for s in range(count):
            matrix = matrices + np.int64(index[np.uint64(column + s)]) * powers * numbers
            w = splat(work[pairs + np.uint64(2 * s)])
            for r in range(0, powers, lanes):
                store(work, rows + s * numbers + r, functions(tables, matrix + r, w))

    return fill_functions


@cache
def _one_output_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 1 for one input and one output, with functions as lanes.

    Every piece has sums of its own for its functions, though the next piece has nearly the same functions: of a vector
    that overlaps one just stored the processor cannot load a part from there, and waits until that is in the cache.
    """
    lanes = _functions_at_once(k, dtype)
    _, load, store, splat, fma, *_ = rounded_ops(lanes)
    functions, numbers, powers = _functions_kernel(k, lanes), function_lanes(k), k + 1
    _, load_one, store_one, _, fma_one, *_ = rounded_ops(1)
    zero = dtype.type(0)

    @kernel
    def add_one(tables, firsts, places, layer, offsets, count, work, index, grads, i):  # type: ignore[no-untyped-def]
        """Add to the column of grads, that of the functions and then b's number."""
        column, entries, sums = (places[layer, INPUTS] + i) * BLOCK, places[layer, ENTRIES], offsets[FUNCTION_VALUES]
        matrices, pairs = places[layer, MATRICES] + i * entries * powers * numbers, offsets[W] + 2 * column
        work[sums : sums + entries * numbers] = zero
        to = places[layer, GRADS] + i * places[layer, N_ROWS]
        on_b = load_one(grads, to + places[layer, N_BASIS])
        for s in range(count):
            piece, pair, bar = np.int64(index[np.uint64(column + s)]), pairs + 2 * s, offsets[BARS] + s
            w, y_bar = splat(work[np.uint64(pair)]), splat(work[np.uint64(bar)])
            on_b = fma_one(load_one(work, pair + 1), load_one(work, bar), on_b)
            for r in range(0, powers, lanes):
                value, at = functions(tables, matrices + piece * powers * numbers + r, w), sums + piece * numbers + r
                store(work, at, fma(value, y_bar, load(work, at)))
        first = places[layer, FIRST] + i * powers * entries
        for p in range(entries):
            for r in range(powers):
                grads[to + firsts[first + p] + r] += work[sums + p * numbers + r]
        store_one(grads, to + places[layer, N_BASIS], on_b)

    return add_one


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
    fill_functions, add_one = _fill_functions_kernel(k, dtype), _one_output_kernel(k, dtype)
    add_wide, add_narrow, add_single = (_products_kernel(k, dtype, columns) for columns in (wide, narrow, 1))

    @kernel
    def add_gradients(tables, firsts, places, layer, offsets, count, work, index, grads):  # type: ignore[no-untyped-def]
        """Add to grads, (n_in, G + k + 1, width) for each layer; no sum meets another input, or another output."""
        width = places[layer, WIDTH]
        whole = width // wide * wide
        for i in range(places[layer, N_IN]):
            if width == 1 and places[layer, ENTRIES] <= MOST_SUMS:
                add_one(tables, firsts, places, layer, offsets, count, work, index, grads, i)
                continue
            fill_functions(tables, places, layer, offsets, count, work, index, i)
            if width == 1:
                add_single(firsts, places, layer, offsets, count, work, index, grads, i, 0)
                continue
            for v in range(0, whole, wide):
                add_wide(firsts, places, layer, offsets, count, work, index, grads, i, v)
            for v in range(whole, width, narrow):
                add_narrow(firsts, places, layer, offsets, count, work, index, grads, i, v)

    return add_gradients


def slope_ratios(k: int, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    r"""Return :math:`(k - m + 1) / (k - m)` for m = 1, ..., k - 1.

    With w times these in place of w, Horner's scheme gives the derivative: :math:`\sum_{m<k} (k - m) A_m w^{k-1-m} =
    A_{k-1} + \tfrac{2}{1} w (A_{k-2} + \tfrac{3}{2} w (A_{k-3} + \ldots))`.
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
    """Return the kernel of what step 2 sums up for one input of one sample: of `tiles` tiles, 1 or 2, added up."""
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
    """Return the kernel of step 2 for one input and `tiles` tiles of `columns` outputs, side by side."""
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
    """Return the kernel of step 2 for one output: samples are lanes."""
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
    """Return the kernel of step 2 for a layer."""
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
