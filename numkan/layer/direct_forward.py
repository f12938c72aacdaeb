"""Forward through one layer in direct form, for one block of samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.base import fill_base
from numkan.compile import kernel
from numkan.layer.direct import BLOCK, CELL_STRIDE
from numkan.layer.layout import (
    CELLS,
    EDGES,
    HINTS,
    INPUTS,
    KIND,
    LOCAL,
    N_CELLS,
    N_IN,
    N_PIECES,
    OUTPUTS,
    PIECE_STRIDE,
    POINTS,
    SCALES,
    SLOPES,
    VALUES,
    WIDTH,
)
from numkan.simd.cells import cell_ops
from numkan.simd.transpose import gather_op, pair_ops, row_stride
from numkan.simd.vectors import rounded_ops, sample_lanes, vector_ops

__all__ = ["cells_kernel", "forward_direct", "horner_kernel", "locate_direct"]


@cache
def cells_kernel(lanes: int) -> Any:
    """Return the kernel that reads what is said of the cells of one input, and of their spans, each in all lanes."""
    splat = vector_ops(lanes).splat

    @kernel
    def read(tables, at):  # type: ignore[no-untyped-def]
        left, rate, top = splat(tables[at]), splat(tables[at + 1]), splat(tables[at + 2])
        begin, end = splat(tables[at + 3]), splat(tables[at + 4])
        origin, step, inverse = splat(tables[at + 5]), splat(tables[at + 6]), splat(tables[at + 7])
        first, last = splat(tables[at + 8]), splat(tables[at + 9])
        low, low_inverse = splat(tables[at + 10]), splat(tables[at + 11])
        high, high_inverse = splat(tables[at + 12]), splat(tables[at + 13])
        spans = begin, end, origin, step, inverse, first, last, low, low_inverse, high, high_inverse
        return (left, rate, top), spans

    return read


@cache
def _look_up_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that finds the pieces of one input where cells are not pieces."""
    step, load, *_, reached = vector_ops(sample_lanes(dtype))
    (cell, store_cell, *_), gather = cell_ops(dtype), gather_op(dtype, 3)

    @kernel
    def look_up(tables, hints, cells, full, work, at, index, to):  # type: ignore[no-untyped-def]
        """Fill index, from `to` on, with the pieces of the points from `at` on."""
        left, rate, top = cells
        for s in range(0, full, step):
            store_cell(index, to + s, cell(load(work, at + s), left, rate, top))
        for s in range(0, full, step):
            x = load(work, at + s)
            piece, end, other_end = gather(tables, hints, index, to + s)
            store_cell(index, to + s, reached(reached(piece, x, end), x, other_end))

    return look_up


@cache
def locate_direct(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that prepares the inputs of a layer."""
    lanes = sample_lanes(dtype)
    step, load, _, splat, fma, mul, _, reached = vector_ops(lanes)
    cell, store_cell, bounded, span = cell_ops(dtype)
    read_cells, look_up, gather = cells_kernel(lanes), _look_up_kernel(dtype), gather_op(dtype, 2)
    fill, store_pairs = fill_base(dtype), pair_ops(dtype, 1).store_pairs
    local_numbers, hint_numbers, minus = row_stride(2), row_stride(3), dtype.type(-1)

    @kernel
    def locate(tables, layout, layer, offsets, full, work, index, slopes):  # type: ignore[no-untyped-def]
        """Fill the columns of piece, of pairs (w, b) and, with `slopes`, (b', dw/dx) from those of the layer's inputs.

        full: samples, whole vectors. b and b' lie in the second half of their pairs first: what is written up to sample
        s, 2 s numbers, never reaches the number BLOCK + s, which is read next.
        """
        kind, n_cells = layout[layer, KIND], layout[layer, N_CELLS]
        for i in range(layout[layer, N_IN]):
            column = (layout[layer, INPUTS] + i) * BLOCK
            at, pairs, rates = offsets[VALUES] + i * BLOCK, offsets[POINTS] + 2 * column, offsets[SLOPES] + 2 * column
            cells, spans = read_cells(tables, layout[layer, CELLS] + i * CELL_STRIDE)
            local = layout[layer, LOCAL] + i * layout[layer, N_PIECES] * local_numbers
            if n_cells > 0:
                hints = layout[layer, HINTS] + i * n_cells * hint_numbers
                look_up(tables, hints, cells, full, work, at, index, column)
            fill(kind, work, at, full, work, pairs + BLOCK, work, rates + BLOCK, slopes)
            for s in range(0, full, step):
                x = load(work, at + s)
                if n_cells > 0:
                    centre, inverse = gather(tables, local, index, column + s)
                    w = mul(fma(splat(minus), centre, bounded(x)), inverse)
                else:
                    piece = cell(x, cells[0], cells[1], cells[2])
                    w, inverse = span(x, piece, spans)
                    store_cell(index, column + s, reached(reached(piece, x, spans[0]), x, spans[1]))
                store_pairs(work, pairs + 2 * s, w, load(work, pairs + BLOCK + s))
                if slopes:
                    store_pairs(work, rates + 2 * s, load(work, rates + BLOCK + s), inverse)

    return locate


@cache
def _edge_kernel(k: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel that adds the edges from one input to `columns` outputs, for one sample."""
    _, load, _, splat, fma, *_ = rounded_ops(columns)
    splat_pair, one = pair_ops(dtype, columns).splat_pair, dtype.type(1)

    @kernel
    def add_edges(y, edges, work, index, where, scale, s):  # type: ignore[no-untyped-def]
        column, pairs, table, piece, width = where
        row, (w, b) = table + np.int64(index[np.uint64(column + s)]) * piece, splat_pair(work, pairs + 2 * s)
        value = load(edges, row)
        for m in range(1, k):
            value = fma(value, w, load(edges, row + m * width))
        return fma(scale, b, fma(value, w, fma(splat(one), load(edges, row + k * width), y)))

    return add_edges


@cache
def _add_many_kernel(k: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel that makes `columns` outputs of every sample of a block."""
    _, load, store, splat, *_ = rounded_ops(columns)
    add_edges, zero = _edge_kernel(k, dtype, columns), dtype.type(0)

    @kernel
    def add(edges, layout, layer, offsets, count, work, index, v):  # type: ignore[no-untyped-def]
        """Fill the rows of outputs from v on with the edges of all inputs, in order: of two at a time."""
        n_in, width, piece, out = (
            layout[layer, N_IN],
            layout[layer, WIDTH],
            layout[layer, PIECE_STRIDE],
            offsets[OUTPUTS] + v,
        )
        table, scales, apart = layout[layer, EDGES] + v, layout[layer, SCALES] + v, layout[layer, N_PIECES] * piece
        for i in range(0, n_in, 2):
            other, column = min(i + 1, n_in - 1), (layout[layer, INPUTS] + i) * BLOCK
            pairs = offsets[POINTS] + 2 * column
            where = column, pairs, table + i * apart, piece, width
            where_other = column + BLOCK, pairs + 2 * BLOCK, table + other * apart, piece, width
            scale, scale_other = load(edges, scales + i * width), load(edges, scales + other * width)
            for s in range(count):
                y = load(work, out + s * width) if i > 0 else splat(zero)
                y = add_edges(y, edges, work, index, where, scale, s)
                if other > i:
                    y = add_edges(y, edges, work, index, where_other, scale_other, s)
                store(work, out + s * width, y)

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
    gather, horner, load_pairs = gather_op(dtype, k + 1), horner_kernel(k, dtype), pair_ops(dtype, 1).load_pairs
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def add(edges, layout, layer, offsets, full, work, index):  # type: ignore[no-untyped-def]
        """Fill the column of outputs with the edges of all inputs, in order."""
        out = offsets[OUTPUTS]
        for i in range(layout[layer, N_IN]):
            column = (layout[layer, INPUTS] + i) * BLOCK
            table = layout[layer, EDGES] + i * layout[layer, N_PIECES] * layout[layer, PIECE_STRIDE]
            scale, pairs = splat(edges[layout[layer, SCALES] + i]), offsets[POINTS] + 2 * column
            for s in range(0, full, step):
                polynomials = gather(edges, table, index, column + s)
                w, b = load_pairs(work, pairs + 2 * s)
                value = fma(splat(one), polynomials[k], load(work, out + s) if i > 0 else splat(zero))
                value = fma(horner(polynomials, w), w, value)
                store(work, out + s, fma(scale, b, value))

    return add


@cache
def forward_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that makes the rows of a layer's outputs from prepared inputs."""
    lanes = sample_lanes(dtype)
    add_many, add_one = _add_many_kernel(k, dtype, lanes), _add_one_kernel(k, dtype)

    @kernel
    def forward(edges, layout, layer, offsets, count, work, index):  # type: ignore[no-untyped-def]
        """Fill the rows of outputs: each is a sum over the inputs in order."""
        width = layout[layer, WIDTH]
        if width == 1:
            add_one(edges, layout, layer, offsets, (count + lanes - 1) // lanes * lanes, work, index)
            return
        for v in range(0, width, lanes):
            add_many(edges, layout, layer, offsets, count, work, index, v)

    return forward
