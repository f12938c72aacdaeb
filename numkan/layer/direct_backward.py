r"""Gradients by the coefficients of one layer in direct form, for one block of samples.

With :math:`\bar y` the cotangents of a sample's outputs, f the first of the k + 1 functions of its piece, and E the row
that b has:

.. math:: \bar C_{i, f + r} \mathrel{+}= B_{f + r}(x_i)\, \bar y, \qquad \bar E_i \mathrel{+}= b(x_i)\, \bar y.

Sums of :math:`w^m \bar y` by piece would be a little faster, but what they give for functions that nearly vanish is a
difference of large numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.direct import BLOCK, MAX_SUMS
from numkan.layer.layout import (
    BUFFER,
    COTANGENTS,
    FIRST,
    GRADS,
    INPUTS,
    MATRICES,
    N_BASIS,
    N_IN,
    N_PIECES,
    POINTS,
    WIDTH,
)
from numkan.simd.transpose import pair_ops
from numkan.simd.vectors import rounded_ops, sample_lanes
from numkan.spline.pieces import function_lanes

__all__ = ["gradient_of_layer"]


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
    def fill_functions(tables, layout, layer, offsets, count, work, index, i):  # type: ignore[no-untyped-def]
        """Fill a row of functions for every sample."""
        column, matrices = (layout[layer, INPUTS] + i) * BLOCK, layout[layer, MATRICES]
        matrices += i * layout[layer, N_PIECES] * powers * numbers
        pairs, rows = np.uint64(offsets[POINTS] + 2 * column), offsets[BUFFER]
        for s in range(count):
            matrix = matrices + np.int64(index[np.uint64(column + s)]) * powers * numbers
            w = splat(work[pairs + np.uint64(2 * s)])
            for r in range(0, powers, lanes):
                store(work, rows + s * numbers + r, functions(tables, matrix + r, w))

    return fill_functions


@cache
def _one_output_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the gradients of one input and one output, with functions as lanes.

    Every piece has sums of its own for its functions, though the next piece has nearly the same functions: of a vector
    that overlaps one just stored the processor cannot load a part from there, and waits until that is in the cache.
    """
    lanes = _functions_at_once(k, dtype)
    _, load, store, splat, fma, *_ = rounded_ops(lanes)
    functions, numbers, powers = _functions_kernel(k, lanes), function_lanes(k), k + 1
    _, load_one, store_one, _, fma_one, *_ = rounded_ops(1)
    zero = dtype.type(0)

    @kernel
    def add_one(tables, firsts, layout, layer, offsets, count, work, index, grads, i):  # type: ignore[no-untyped-def]
        """Add to the column of grads, that of the functions and then b's number."""
        column, entries, sums = (layout[layer, INPUTS] + i) * BLOCK, layout[layer, N_PIECES], offsets[BUFFER]
        matrices, pairs = layout[layer, MATRICES] + i * entries * powers * numbers, offsets[POINTS] + 2 * column
        work[sums : sums + entries * numbers] = zero
        to = layout[layer, GRADS] + i * (layout[layer, N_BASIS] + 1)
        on_b = load_one(grads, to + layout[layer, N_BASIS])
        for s in range(count):
            piece, pair, bar = np.int64(index[np.uint64(column + s)]), pairs + 2 * s, offsets[COTANGENTS] + s
            w, y_bar = splat(work[np.uint64(pair)]), splat(work[np.uint64(bar)])
            on_b = fma_one(load_one(work, pair + 1), load_one(work, bar), on_b)
            for r in range(0, powers, lanes):
                value, at = functions(tables, matrices + piece * powers * numbers + r, w), sums + piece * numbers + r
                store(work, at, fma(value, y_bar, load(work, at)))
        first = layout[layer, FIRST] + i * powers * entries
        for p in range(entries):
            for r in range(powers):
                grads[to + firsts[first + p] + r] += work[sums + p * numbers + r]
        store_one(grads, to + layout[layer, N_BASIS], on_b)

    return add_one


@cache
def _products_kernel(k: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel of the gradients of one input and `columns` outputs, side by side."""
    _, load, store, _, fma, *_ = rounded_ops(columns)
    numbers, powers, splat_pair = function_lanes(k), k + 1, pair_ops(dtype, columns).splat_pair

    @kernel
    def add_products(firsts, layout, layer, offsets, count, work, index, grads, i, v):  # type: ignore[no-untyped-def]
        """Add to the rows of grads, those of the functions and then that of b, for the outputs from v on."""
        width, column = layout[layer, WIDTH], (layout[layer, INPUTS] + i) * BLOCK
        bars, row_of_b = offsets[COTANGENTS] + v, layout[layer, N_BASIS] * width
        table = layout[layer, GRADS] + i * (layout[layer, N_BASIS] + 1) * width + v
        first = layout[layer, FIRST] + i * powers * layout[layer, N_PIECES]
        pairs, functions = offsets[POINTS] + 2 * column, offsets[BUFFER]
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
def gradient_of_layer(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the gradients of a layer."""
    lanes = sample_lanes(dtype)
    fill_functions, add_one = _fill_functions_kernel(k, dtype), _one_output_kernel(k, dtype)
    add_many, add_single = _products_kernel(k, dtype, lanes), _products_kernel(k, dtype, 1)

    @kernel
    def add_gradient(tables, firsts, layout, layer, offsets, count, work, index, grads):  # type: ignore[no-untyped-def]
        """Add to grads, (n_in, G + k + 1, width) for each layer; no sum meets another input, or another output."""
        width = layout[layer, WIDTH]
        for i in range(layout[layer, N_IN]):
            if width == 1 and layout[layer, N_PIECES] <= MAX_SUMS:
                add_one(tables, firsts, layout, layer, offsets, count, work, index, grads, i)
                continue
            fill_functions(tables, layout, layer, offsets, count, work, index, i)
            if width == 1:
                add_single(firsts, layout, layer, offsets, count, work, index, grads, i, 0)
                continue
            for v in range(0, width, lanes):
                add_many(firsts, layout, layer, offsets, count, work, index, grads, i, v)

    return add_gradient
