"""Forward through one layer in direct form, for one block of samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._cells import cell_ops
from numkan._jit import kernel
from numkan._lanes import sample_lanes, silu_op
from numkan._simd import rounded_ops, vector_ops
from numkan._turn import pair_ops, pick_op, row_numbers
from numkan.base import IDENTITY, SILU
from numkan.layer.direct import BLOCK, CELL_NUMBERS, OUTER, tile_columns
from numkan.layer.places import (
    CELLS,
    EDGES,
    ENTRIES,
    HINTS,
    INPUTS,
    KIND,
    LOCAL,
    N_CELLS,
    N_IN,
    OUTPUTS,
    PIECE,
    SCALES,
    SLOPE,
    VALUES,
    WIDTH,
    W,
)

__all__ = ["forward_direct", "horner_kernel", "locate_direct"]


@cache
def _pieces_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that finds the pieces of one input."""
    step, load, _, splat, *_, reached = vector_ops(sample_lanes(dtype))
    cell, store_cell, _ = cell_ops(dtype)
    pick = pick_op(dtype, 3)
    hint_numbers = row_numbers(3)

    @kernel
    def find(tables, places, layer, i, full, work, x, index, to):  # type: ignore[no-untyped-def]
        """Fill index, from `to` on, with the pieces of the points from `x` on."""
        cells, n_cells = places[layer, CELLS] + i * CELL_NUMBERS, places[layer, N_CELLS]
        left, rate, top = splat(tables[cells]), splat(tables[cells + 1]), splat(tables[cells + 2])
        for s in range(0, full, step):
            points = load(work, x + s)
            piece = cell(points, left, rate, top)
            for end in range(OUTER):  # none but NaN, which no point reaches, where cells are not pieces
                piece = reached(piece, points, splat(tables[cells + 3 + end]))
            store_cell(index, to + s, piece)
        hints = places[layer, HINTS] + i * n_cells * hint_numbers
        for s in range(0, full if n_cells > 0 else 0, step):
            points = load(work, x + s)
            piece, end, other_end = pick(tables, hints, index, to + s)
            store_cell(index, to + s, reached(reached(piece, points, end), points, other_end))

    return find


@cache
def locate_direct(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that prepares the inputs of a layer."""
    step, load, store, splat, fma, mul, *_ = vector_ops(sample_lanes(dtype))
    find, pick, bounded = _pieces_kernel(dtype), pick_op(dtype, 2), cell_ops(dtype).bounded
    silu, local_numbers, store_pairs = silu_op(dtype), row_numbers(2), pair_ops(dtype, 1).store_pairs
    zero, one, minus = dtype.type(0), dtype.type(1), dtype.type(-1)

    @kernel
    def locate(tables, places, layer, offsets, full, work, index, slopes):  # type: ignore[no-untyped-def]
        """Fill the columns of piece, of pairs (w, b) and, with `slopes`, of b' from those of the layer's inputs.

        full: samples, whole vectors.
        """
        at_slope, kind = offsets[SLOPE], places[layer, KIND]
        for i in range(places[layer, N_IN]):
            column = (places[layer, INPUTS] + i) * BLOCK
            at, pairs = offsets[VALUES] + i * BLOCK, offsets[W] + 2 * column
            find(tables, places, layer, i, full, work, at, index, column)
            local = places[layer, LOCAL] + i * places[layer, ENTRIES] * local_numbers
            for s in range(0, full, step):
                x = load(work, at + s)
                centre, inverse = pick(tables, local, index, column + s)
                w = mul(fma(splat(minus), centre, bounded(x)), inverse)
                if kind == SILU:
                    b, slope = silu(x)
                else:
                    b, slope = x if kind == IDENTITY else splat(zero), splat(one if kind == IDENTITY else zero)
                store_pairs(work, pairs + 2 * s, w, b)
                if slopes:
                    store(work, at_slope + column + s, slope)

    return locate


@cache
def _add_many_kernel(k: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel that makes `columns` outputs of every sample of a block."""
    _, load, store, splat, fma, *_ = rounded_ops(columns)
    splat_pair = pair_ops(dtype, columns).splat_pair
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def add(edges, places, layer, offsets, count, work, index, v):  # type: ignore[no-untyped-def]
        """Fill the rows of outputs from v on with the edges of all inputs, in order."""
        width, piece, out = places[layer, WIDTH], places[layer, PIECE], offsets[OUTPUTS] + v
        for s in range(count):
            store(work, out + s * width, splat(zero))
        for i in range(places[layer, N_IN]):
            column, table = (places[layer, INPUTS] + i) * BLOCK, places[layer, EDGES] + v
            table, pairs = table + i * places[layer, ENTRIES] * piece, offsets[W] + 2 * column
            scale = load(edges, places[layer, SCALES] + i * width + v)
            for s in range(count):
                at, to = table + np.int64(index[np.uint64(column + s)]) * piece, out + s * width
                w, b = splat_pair(work, pairs + 2 * s)
                value = load(edges, at)
                for m in range(1, k):
                    value = fma(value, w, load(edges, at + m * width))
                value = fma(value, w, fma(splat(one), load(edges, at + k * width), load(work, to)))
                store(work, to, fma(scale, b, value))

    return add


@cache
def horner_kernel(n: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the polynomial that the first n coefficients of a tuple make, the highest power first."""
    fma, last = vector_ops(sample_lanes(dtype)).fma, n - 1
    if n == 1:

        @kernel
        def constant(coefficients, w):  # type: ignore[no-untyped-def]
            return coefficients[0]

        return constant
    rest = horner_kernel(n - 1, dtype)

    @kernel
    def horner(coefficients, w):  # type: ignore[no-untyped-def]
        return fma(rest(coefficients, w), w, coefficients[last])

    return horner


@cache
def _add_one_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that makes the one output of every sample of a block: samples are lanes."""
    step, load, store, splat, fma, *_ = vector_ops(sample_lanes(dtype))
    pick, horner, load_pairs = pick_op(dtype, k + 1), horner_kernel(k, dtype), pair_ops(dtype, 1).load_pairs
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def add(edges, places, layer, offsets, full, work, index):  # type: ignore[no-untyped-def]
        """Fill the column of outputs with the edges of all inputs, in order."""
        out = offsets[OUTPUTS]
        for s in range(0, full, step):
            store(work, out + s, splat(zero))
        for i in range(places[layer, N_IN]):
            column = (places[layer, INPUTS] + i) * BLOCK
            table = places[layer, EDGES] + i * places[layer, ENTRIES] * places[layer, PIECE]
            scale, pairs = splat(edges[places[layer, SCALES] + i]), offsets[W] + 2 * column
            for s in range(0, full, step):
                polynomials = pick(edges, table, index, column + s)
                w, b = load_pairs(work, pairs + 2 * s)
                value = fma(splat(one), polynomials[k], load(work, out + s))
                value = fma(horner(polynomials, w), w, value)
                store(work, out + s, fma(scale, b, value))

    return add


@cache
def forward_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that makes the rows of a layer's outputs from prepared inputs."""
    lanes, (wide, narrow) = sample_lanes(dtype), tile_columns(dtype)
    add_wide, add_narrow, add_one = (
        _add_many_kernel(k, dtype, wide),
        _add_many_kernel(k, dtype, narrow),
        _add_one_kernel(k, dtype),
    )

    @kernel
    def forward(edges, places, layer, offsets, count, work, index):  # type: ignore[no-untyped-def]
        """Fill the rows of outputs: each is a sum over the inputs in order."""
        width = places[layer, WIDTH]
        if width == 1:
            add_one(edges, places, layer, offsets, (count + lanes - 1) // lanes * lanes, work, index)
            return
        whole = width // wide * wide
        for v in range(0, whole, wide):
            add_wide(edges, places, layer, offsets, count, work, index, v)
        for v in range(whole, width, narrow):
            add_narrow(edges, places, layer, offsets, count, work, index, v)

    return forward
