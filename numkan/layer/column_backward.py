r"""Backward through one layer in column form, for one block of samples.

With :math:`\bar y_o` the cotangents of the outputs, functions :math:`B_p`, and b as the last of them,

1. :math:`\bar C_{ipo} \mathrel{+}= \sum_n B_p(x_{ni})\, \bar y_{no}` for every p. Most of these products are with
   zeros, and yet sums over a few whole columns beat sums that depend on the piece of each sample;
2. :math:`\bar x_i = \frac{dw}{dx} \frac{d}{dw} \sum_m \Big(\sum_o \bar y_o A_{iojm}\Big) w^m + b'(x_i) \sum_o \bar y_o
   E_{io}`: the sum over outputs comes before the derivative.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import lane_ops, sample_lanes, tile_ops
from numkan._simd import vector_ops
from numkan.layer.columns import BLOCK, edges_together, group
from numkan.layer.places import (
    EDGES,
    FUNCTION_VALUES,
    FUNCTIONS,
    GRADS,
    INPUTS,
    LOCAL,
    N_BASIS,
    N_IN,
    N_OUT,
    N_ROWS,
    SCALES,
    SLOPE,
    B,
    W,
)

__all__ = ["gradient_kernel", "pull_back_kernel"]


@cache
def _fill_kernel(k: int, dtype: np.dtype[Any], entries: int, tile: int) -> Any:
    """Return the kernel that evaluates `tile` functions of one input."""
    step, load, *_ = vector_ops(sample_lanes(dtype))
    ops = lane_ops(k, dtype, entries, tile)
    load_index, load_edges, fill_edges = ops.load_index, ops.load_edges, ops.fill_edges

    @kernel
    def fill(tables, table, full, work, index, column, at_w, to):  # type: ignore[no-untyped-def]
        """Fill the columns from `to` on with the functions whose tables begin at `table`."""
        functions = load_edges(tables, table)
        for s in range(0, full, step):
            piece, w = load_index(index, column + s), load(work, at_w + column + s)
            fill_edges(functions, piece, w, work, to + s, BLOCK)

    return fill


@cache
def _functions_kernel(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that evaluates all functions of one input."""
    step, load, store, splat, *_ = vector_ops(sample_lanes(dtype))
    tile = edges_together(k, dtype, entries)
    fill_some, fill_one = _fill_kernel(k, dtype, entries, tile), _fill_kernel(k, dtype, entries, 1)
    size = (k + 1) * entries
    zero = dtype.type(0)

    @kernel
    def fill_functions(tables, places, layer, offsets, full, work, index, i):  # type: ignore[no-untyped-def]
        """Fill a column for each of the G + k splines of input i, one for b, and zeros in the padding."""
        to, n_basis = offsets[FUNCTION_VALUES], places[layer, N_BASIS]
        at_w, at_b, column = offsets[W], offsets[B], (places[layer, INPUTS] + i) * BLOCK
        table = places[layer, FUNCTIONS] + i * n_basis * size
        whole = n_basis // tile * tile
        for p in range(0, whole, tile):
            fill_some(tables, table + p * size, full, work, index, column, at_w, to + p * BLOCK)
        for p in range(whole, n_basis):
            fill_one(tables, table + p * size, full, work, index, column, at_w, to + p * BLOCK)
        for p in range(n_basis, places[layer, N_ROWS]):
            for s in range(0, full, step):
                store(work, to + p * BLOCK + s, load(work, at_b + column + s) if p == n_basis else splat(zero))

    return fill_functions


@cache
def _tile_kernel(dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel of step 1 for one input and `columns` outputs."""
    step, load, store, splat, fma, *_ = vector_ops(sample_lanes(dtype))
    rows, _, zeros, add, totals = tile_ops(dtype, columns)
    one = dtype.type(1)

    @kernel
    def add_tiles(work, functions, n_rows, full, bars, grads, to):  # type: ignore[no-untyped-def]
        """Add to grads (n_rows, columns) at `to` the products of the columns of functions and cotangents."""
        for p in range(0, n_rows, rows):
            tile = zeros(work)
            for s in range(0, full, step):
                tile = add(tile, work, functions + p * BLOCK + s, BLOCK, work, bars + s, BLOCK)
            at = to + p * columns
            store(grads, at, fma(splat(one), totals(tile), load(grads, at)))

    return add_tiles


@cache
def gradient_kernel(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel of step 1 for a layer."""
    fill_functions = _functions_kernel(k, dtype, entries)
    together = group(dtype)
    add_several, add_one = _tile_kernel(dtype, together), _tile_kernel(dtype, 1)

    @kernel
    def add_gradients(tables, places, layer, offsets, full, work, index, bars, grads):  # type: ignore[no-untyped-def]
        """Add to grads; see `merged_unpack.unpack_kernel` for the order."""
        n_out, n_padded, functions = places[layer, N_OUT], places[layer, N_ROWS], offsets[FUNCTION_VALUES]
        n_rows = places[layer, N_BASIS] + 1  # of the padding, only what shares a tile with these is computed
        whole = n_out // together * together
        for i in range(places[layer, N_IN]):
            fill_functions(tables, places, layer, offsets, full, work, index, i)
            to = places[layer, GRADS] + i * n_out * n_padded
            for o in range(0, whole, together):
                add_several(work, functions, n_rows, full, bars + o * BLOCK, grads, to + o * n_padded)
            for o in range(whole, n_out):
                add_one(work, functions, n_rows, full, bars + o * BLOCK, grads, to + o * n_padded)

    return add_gradients


@cache
def pull_back_kernel(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel of step 2 for a layer."""
    step, load, store, splat, fma, mul, *_ = vector_ops(sample_lanes(dtype))
    ops = lane_ops(k, dtype, entries, 1)
    load_index, lookup = ops.load_index, ops.lookup
    no_slopes, add_slopes, slope = ops.no_slopes, ops.add_slopes, ops.slope
    size = (k + 1) * entries
    zero = dtype.type(0)

    @kernel
    def end(tables, inverses, piece, w, sums, work, at, on_b):  # type: ignore[no-untyped-def]
        """Return the cotangents of a vector of samples from the sums over the outputs; its b' lie at `at`."""
        inverse = lookup(tables, inverses, piece)
        return fma(load(work, at), on_b, mul(slope(sums, w), inverse))

    @kernel
    def pull_back(tables, edges, places, layer, offsets, full, work, index, bars, to):  # type: ignore[no-untyped-def]
        """Fill the columns of the inputs' cotangents, from `to` on; two vectors at a time share the edges' tables."""
        n_out, at_w, at_slope = places[layer, N_OUT], offsets[W], offsets[SLOPE]
        for i in range(places[layer, N_IN]):
            at, scale = places[layer, EDGES] + i * n_out * size, places[layer, SCALES] + i * n_out
            inverses, column = places[layer, LOCAL] + (2 * i + 1) * entries, (places[layer, INPUTS] + i) * BLOCK
            for s in range(0, full, 2 * step):
                t = min(s + step, full - step)  # the last vector twice where their number is odd
                piece, other_piece = load_index(index, column + s), load_index(index, column + t)
                w, other_w = load(work, at_w + column + s), load(work, at_w + column + t)
                sums, other_sums, on_b, other_on_b = no_slopes(w), no_slopes(other_w), splat(zero), splat(zero)
                for o in range(n_out):
                    y_bar, other_bar = load(work, bars + o * BLOCK + s), load(work, bars + o * BLOCK + t)
                    sums = add_slopes(sums, edges, at + o * size, piece, y_bar)
                    other_sums = add_slopes(other_sums, edges, at + o * size, other_piece, other_bar)
                    on_b = fma(splat(edges[scale + o]), y_bar, on_b)
                    other_on_b = fma(splat(edges[scale + o]), other_bar, other_on_b)
                slopes, x_bar = at_slope + column, to + i * BLOCK
                value = end(tables, inverses, piece, w, sums, work, slopes + s, on_b)
                other = end(tables, inverses, other_piece, other_w, other_sums, work, slopes + t, other_on_b)
                store(work, x_bar + s, value)
                store(work, x_bar + t, other)

    return pull_back
