"""Forward through one layer in direct form, for one block of samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.base import fill_base
from numkan.compile import kernel
from numkan.layer.direct import BLOCK, CELL_STRIDE
from numkan.simd.cells import cell_ops
from numkan.simd.transpose import gather_op, pair_ops, row_stride
from numkan.simd.vectors import rounded_ops, sample_lanes, vector_ops

__all__ = ["cells_kernel", "forward_direct", "horner_kernel", "locate_direct"]


@cache
def cells_kernel(lanes: int) -> Any:
    """Return the kernel that reads the numbers of one input's cells (`DirectTables.cells`), each into all lanes."""
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
    def look_up(tables, hints, cells, full, scratch, at, column):  # type: ignore[no-untyped-def]
        """Fill a column of pieces with those of the points from `at` on."""
        (left, rate, top), work, index = cells, scratch.work, scratch.index
        for s in range(0, full, step):
            store_cell(index, column + s, cell(load(work, at + s), left, rate, top))
        for s in range(0, full, step):
            x = load(work, at + s)
            piece, end, other_end = gather(tables, hints, index, column + s)
            store_cell(index, column + s, reached(reached(piece, x, end), x, other_end))

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
    def locate(grids, layer, full, scratch, slopes):  # type: ignore[no-untyped-def]
        """Fill the columns of piece, of pairs (w, b) and, with `slopes`, (b', dw/dx) from those of the layer's inputs.

        full: the number of samples, rounded up to whole vectors. At first b and b' fill the second half of the memory
        of their pairs. The pairs of samples 0 ... s - 1 take 2 s numbers, so they never overwrite number BLOCK + s,
        which is read next.
        """
        tables, work, index = grids.tables, scratch.work, scratch.index
        for i in range(layer.n_in):
            column, at = (layer.inputs + i) * BLOCK, scratch.values + i * BLOCK
            pairs, rates = scratch.points + 2 * column, scratch.slopes + 2 * column
            cells, spans = read_cells(tables, layer.cells + i * CELL_STRIDE)
            local = layer.local + i * layer.n_pieces * local_numbers
            if layer.n_cells > 0:
                look_up(tables, layer.hints + i * layer.n_cells * hint_numbers, cells, full, scratch, at, column)
            b, on_b = pairs + BLOCK, rates + BLOCK
            fill(layer.kind, work[at : at + full], work[b : b + full], work[on_b : on_b + (full if slopes else 0)])
            for s in range(0, full, step):
                x = load(work, at + s)
                if layer.n_cells > 0:
                    centre, inverse = gather(tables, local, index, column + s)
                    w = mul(fma(splat(minus), centre, bounded(x)), inverse)
                else:
                    piece = cell(x, cells[0], cells[1], cells[2])
                    w, inverse = span(x, piece, spans)
                    store_cell(index, column + s, reached(reached(piece, x, spans[0]), x, spans[1]))
                store_pairs(work, pairs + 2 * s, w, load(work, b + s))
                if slopes:
                    store_pairs(work, rates + 2 * s, load(work, on_b + s), inverse)

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
    def add(edges, layer, count, scratch, v):  # type: ignore[no-untyped-def]
        """Fill the rows of outputs from v on with the edges of all inputs, in order: of two at a time."""
        n_in, width, piece = layer.n_in, layer.width, layer.piece_stride
        work, index, out = scratch.work, scratch.index, scratch.outputs + v
        table, scales, apart = layer.edges + v, layer.scales + v, layer.n_pieces * piece
        for i in range(0, n_in, 2):
            other, column = min(i + 1, n_in - 1), (layer.inputs + i) * BLOCK
            pairs = scratch.points + 2 * column
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
    def add(edges, layer, full, scratch):  # type: ignore[no-untyped-def]
        """Fill the column of outputs with the edges of all inputs, in order."""
        work, index, out, apart = scratch.work, scratch.index, scratch.outputs, layer.n_pieces * layer.piece_stride
        for i in range(layer.n_in):
            column, table = (layer.inputs + i) * BLOCK, layer.edges + i * apart
            scale, pairs = splat(edges[layer.scales + i]), scratch.points + 2 * column
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
    def forward(edges, layer, count, scratch):  # type: ignore[no-untyped-def]
        """Fill the rows of outputs: each is a sum over the inputs in order."""
        if layer.width == 1:
            add_one(edges, layer, (count + lanes - 1) // lanes * lanes, scratch)
            return
        for v in range(0, layer.width, lanes):
            add_many(edges, layer, count, scratch, v)

    return forward
