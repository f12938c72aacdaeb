r"""Gradients by the coefficients of one layer in direct form, for one block of samples.

With :math:`\bar y` the cotangents of a sample's outputs, f the first of the k + 1 functions of its piece, and E the row
that b has:

.. math:: \bar C_{i, f + r} \mathrel{+}= B_{f + r}(x_i)\, \bar y, \qquad \bar E_i \mathrel{+}= b(x_i)\, \bar y.

Sums of :math:`w^m \bar y` by piece would be a little faster, but for functions that nearly vanish they would give a
small difference of large numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.direct import BLOCK, MAX_SUMS
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
    def fill_functions(tables, layer, count, scratch, i):  # type: ignore[no-untyped-def]
        """Fill a row of functions for every sample."""
        column, work, index, rows = (layer.inputs + i) * BLOCK, scratch.work, scratch.index, scratch.buffer
        matrices, pairs = layer.matrices + i * layer.n_pieces * powers * numbers, np.uint64(scratch.points + 2 * column)
        for s in range(count):
            matrix = matrices + np.int64(index[np.uint64(column + s)]) * powers * numbers
            w = splat(work[pairs + np.uint64(2 * s)])
            for r in range(0, powers, lanes):
                store(work, rows + s * numbers + r, functions(tables, matrix + r, w))

    return fill_functions


@cache
def _one_output_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the gradients of one input and one output, with functions as lanes.

    Every piece has its own sums, although neighbouring pieces share all but one function. If they shared sums, a vector
    would often be loaded that overlaps one just stored. The processor cannot forward a part of a store to a load, and
    would wait until the store is in the cache.
    """
    lanes = _functions_at_once(k, dtype)
    _, load, store, splat, fma, *_ = rounded_ops(lanes)
    functions, numbers, powers = _functions_kernel(k, lanes), function_lanes(k), k + 1
    _, load_one, store_one, _, fma_one, *_ = rounded_ops(1)
    zero = dtype.type(0)

    @kernel
    def add_one(grids, layer, count, scratch, grads, i):  # type: ignore[no-untyped-def]
        """Add to the column of grads, that of the functions and then b's number."""
        column, entries, n_basis = (layer.inputs + i) * BLOCK, layer.n_pieces, layer.n_basis
        tables, work, index, sums, bars = grids.tables, scratch.work, scratch.index, scratch.buffer, scratch.cotangents
        matrices, pairs = layer.matrices + i * entries * powers * numbers, scratch.points + 2 * column
        work[sums : sums + entries * numbers] = zero
        to = layer.grads + i * (n_basis + 1)
        on_b = load_one(grads, to + n_basis)
        for s in range(count):
            piece, pair, bar = np.int64(index[np.uint64(column + s)]), pairs + 2 * s, bars + s
            w, y_bar = splat(work[np.uint64(pair)]), splat(work[np.uint64(bar)])
            on_b = fma_one(load_one(work, pair + 1), load_one(work, bar), on_b)
            for r in range(0, powers, lanes):
                value, at = functions(tables, matrices + piece * powers * numbers + r, w), sums + piece * numbers + r
                store(work, at, fma(value, y_bar, load(work, at)))
        first = layer.first + i * powers * entries
        for p in range(entries):
            for r in range(powers):
                grads[to + grids.firsts[first + p] + r] += work[sums + p * numbers + r]
        store_one(grads, to + n_basis, on_b)

    return add_one


@cache
def _products_kernel(k: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel of the gradients of one input and `columns` outputs, side by side."""
    _, load, store, _, fma, *_ = rounded_ops(columns)
    numbers, powers, splat_pair = function_lanes(k), k + 1, pair_ops(dtype, columns).splat_pair

    @kernel
    def add_products(firsts, layer, count, scratch, grads, i, v):  # type: ignore[no-untyped-def]
        """Add to the rows of grads, those of the functions and then that of b, for the outputs from v on."""
        width, column, row_of_b = layer.width, (layer.inputs + i) * BLOCK, layer.n_basis * layer.width
        table, first = layer.grads + i * (row_of_b + width) + v, np.uint64(layer.first + i * powers * layer.n_pieces)
        work, index, bars = scratch.work, scratch.index, scratch.cotangents + v
        pairs, functions = scratch.points + 2 * column, scratch.buffer
        on_b = load(grads, table + row_of_b)
        for s in range(count):
            at = table + np.int64(firsts[first + np.uint64(index[np.uint64(column + s)])]) * width
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
    def add_gradient(grids, layer, count, scratch, grads):  # type: ignore[no-untyped-def]
        """Add to grads, (n_in, G + k + 1, width) for each layer; no sum meets another input, or another output."""
        width = layer.width
        for i in range(layer.n_in):
            if width == 1 and layer.n_pieces <= MAX_SUMS:
                add_one(grids, layer, count, scratch, grads, i)
                continue
            fill_functions(grids.tables, layer, count, scratch, i)
            if width == 1:
                add_single(grids.firsts, layer, count, scratch, grads, i, 0)
                continue
            for v in range(0, width, lanes):
                add_many(grids.firsts, layer, count, scratch, grads, i, v)

    return add_gradient
