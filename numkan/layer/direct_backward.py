r"""Backward through one layer in direct form, for one block of samples.

With :math:`\bar y` the cotangents of a sample's outputs, A the rows of its piece, and E those that b has:

1. :math:`\bar A_{ijm} \mathrel{+}= w^m\, \bar y`, and :math:`\bar E_i \mathrel{+}= b(x_i)\, \bar y`;
2. :math:`\bar x_i = \bar y \cdot \Big( \frac{dw}{dx} \frac{d}{dw} \sum_m A_{ijm} w^m + b'(x_i)\, E_i \Big)`.
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
    INPUTS,
    LOCAL,
    N_IN,
    OTHER_BARS,
    PIECE,
    SCALES,
    SLOPE,
    WIDTH,
    W,
)

__all__ = ["moments_direct", "pull_back_direct"]


@cache
def _moments_kernel(k: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel of step 1 for `columns` outputs, side by side."""
    _, load, store, splat, fma, mul, *_ = rounded_ops(columns)
    splat_pair, one = pair_ops(dtype, columns).splat_pair, dtype.type(1)

    @kernel
    def add_moments(places, layer, offsets, count, work, index, bars, grads, v):  # type: ignore[no-untyped-def]
        """Add to grads, which lie as packed edges do, for all inputs and the outputs from v on."""
        width, entries, piece = places[layer, WIDTH], places[layer, ENTRIES], places[layer, PIECE]
        for i in range(places[layer, N_IN]):
            column, table = (places[layer, INPUTS] + i) * BLOCK, places[layer, EDGES] + i * entries * piece + v
            to_scale, pairs = places[layer, SCALES] + i * width + v, offsets[W] + 2 * column
            on_scale = load(grads, to_scale)
            for s in range(count):
                w, b = splat_pair(work, pairs + 2 * s)
                at = table + np.int64(index[np.uint64(column + s)]) * piece
                part = load(work, bars + s * width + v)
                on_scale = fma(b, part, on_scale)
                for m in range(k, 0, -1):
                    to = at + m * width
                    store(grads, to, fma(splat(one), part, load(grads, to)))
                    part = mul(w, part)
                store(grads, at, fma(splat(one), part, load(grads, at)))
            store(grads, to_scale, on_scale)

    return add_moments


@cache
def moments_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 1 for a layer."""
    wide, narrow = tile_columns(dtype)
    add_wide, add_narrow, add_one = (_moments_kernel(k, dtype, columns) for columns in (wide, narrow, 1))

    @kernel
    def add_gradients(places, layer, offsets, count, work, index, bars, grads):  # type: ignore[no-untyped-def]
        """Add to grads; the rows of the outputs' cotangents begin at `bars`."""
        width = places[layer, WIDTH]
        if width == 1:
            add_one(places, layer, offsets, count, work, index, bars, grads, 0)
            return
        whole = width // wide * wide
        for v in range(0, whole, wide):
            add_wide(places, layer, offsets, count, work, index, bars, grads, v)
        for v in range(whole, width, narrow):
            add_narrow(places, layer, offsets, count, work, index, bars, grads, v)

    return add_gradients


@cache
def _pull_many_kernel(k: int, columns: int) -> Any:
    """Return the kernel of step 2 for `columns` outputs, side by side."""
    _, load, _, splat, fma, mul, total, _ = rounded_ops(columns)
    powers, local_numbers = k + 1, row_numbers(2)

    @kernel
    def pull(tables, edges, places, layer, offsets, count, work, index, v):  # type: ignore[no-untyped-def]
        """Add the part of the outputs from v on to the columns of the inputs' cotangents."""
        width, entries, piece = places[layer, WIDTH], places[layer, ENTRIES], places[layer, PIECE]
        bars, zero = offsets[BARS] + v, work.dtype.type(0)
        for i in range(places[layer, N_IN]):
            column, table = (places[layer, INPUTS] + i) * BLOCK, places[layer, EDGES] + i * entries * piece + v
            at_w, at_slope = np.uint64(offsets[W] + 2 * column), np.uint64(offsets[SLOPE] + column)
            inverses = places[layer, LOCAL] + i * entries * local_numbers + 1
            scale, x_bar = (
                load(edges, places[layer, SCALES] + i * width + v),
                np.uint64(offsets[OTHER_BARS] + i * BLOCK),
            )
            for s in range(count):
                own, j = np.uint64(s), np.int64(index[np.uint64(column + s)])
                w, on_b, at = splat(work[at_w + np.uint64(2 * s)]), splat(work[at_slope + own]), table + j * piece
                inverse = splat(tables[np.uint64(inverses + j * local_numbers)])
                value = load(edges, at)
                slope = mul(splat(zero), w)  # zeros, and NaN where x is NaN
                for m in range(1, powers):
                    slope = fma(slope, w, value)
                    value = fma(value, w, load(edges, at + m * width))
                whole = fma(on_b, scale, mul(inverse, slope))
                work[x_bar + own] += total(mul(whole, load(work, bars + s * width)))

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
        for i in range(places[layer - 1, WIDTH]):
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
