"""Forward through one layer in column form, for one block of samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import lane_ops, sample_lanes, silu_op
from numkan._simd import vector_ops
from numkan.base import IDENTITY, SILU
from numkan.layer.columns import BLOCK, edges_together
from numkan.layer.places import (
    BEHIND,
    BREAKS,
    EDGES,
    INPUTS,
    KIND,
    LOCAL,
    N_IN,
    N_OUT,
    SCALES,
    SLOPE,
    VALUES,
    B,
    W,
)

__all__ = ["forward_columns", "locate_kernel"]


@cache
def locate_kernel(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that prepares the inputs of a layer."""
    step, load, store, splat, *_ = vector_ops(sample_lanes(dtype))
    ops = lane_ops(k, dtype, entries, 1)
    find, lookup, store_index, local = ops.find, ops.lookup, ops.store_index, ops.local
    silu = silu_op(dtype)
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def locate(tables, places, layer, offsets, full, work, index, slopes):  # type: ignore[no-untyped-def]
        """Fill the columns of piece, w, b and, with `slopes` or where it is a constant, b' of the layer's inputs.

        full: samples, whole vectors.
        """
        at_w, at_b, at_slope, kind = offsets[W], offsets[B], offsets[SLOPE], places[layer, KIND]
        for i in range(places[layer, N_IN]):
            centre = places[layer, LOCAL] + i * 2 * entries
            column = (places[layer, INPUTS] + i) * BLOCK
            for s in range(column, column + full, step):
                x = load(work, offsets[VALUES] + s)
                piece = find(tables, places[layer, BREAKS] + i * entries, x)
                store_index(index, s, piece)
                inverse = lookup(tables, centre + entries, piece)
                store(work, at_w + s, local(x, lookup(tables, centre, piece), inverse))
                if kind == SILU:
                    value, slope = silu(x)
                    store(work, at_b + s, value)
                    if slopes:
                        store(work, at_slope + s, slope)
                else:
                    store(work, at_b + s, x if kind == IDENTITY else splat(zero))
                    store(work, at_slope + s, splat(one if kind == IDENTITY else zero))

    return locate


@cache
def _add_kernel(k: int, dtype: np.dtype[Any], entries: int, tile: int) -> Any:
    """Return the kernel that adds, for `tile` outputs, the edges of all inputs."""
    step, load, *_ = vector_ops(sample_lanes(dtype))
    ops = lane_ops(k, dtype, entries, tile)
    load_index, load_edges, load_scales, add_edges = ops.load_index, ops.load_edges, ops.load_scales, ops.add_edges
    size = (k + 1) * entries

    @kernel
    def add(edges, places, layer, offsets, full, work, index, o, y):  # type: ignore[no-untyped-def]
        """Add the edges to outputs o, o + 1, ... to the columns from y on."""
        at_w, at_b, n_out = offsets[W], offsets[B], places[layer, N_OUT]
        for i in range(places[layer, N_IN]):
            edge = i * n_out + o
            tables = load_edges(edges, places[layer, EDGES] + edge * size)
            scales = load_scales(edges, places[layer, SCALES] + edge)
            column = (places[layer, INPUTS] + i) * BLOCK
            for s in range(0, full, step):
                b, piece, w = (
                    load(work, at_b + column + s),
                    load_index(index, column + s),
                    load(work, at_w + column + s),
                )
                add_edges(tables, scales, b, piece, w, work, y + s, BLOCK)

    return add


@cache
def forward_columns(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that makes the columns of a layer's outputs from prepared inputs."""
    step, _, store, splat, *_ = vector_ops(sample_lanes(dtype))
    tile = edges_together(k, dtype, entries)
    add_some, add_one = _add_kernel(k, dtype, entries, tile), _add_kernel(k, dtype, entries, 1)
    zero = dtype.type(0)

    @kernel
    def forward(edges, places, layer, offsets, full, work, index):  # type: ignore[no-untyped-def]
        """Fill the columns after those of the inputs: each output is a sum over the inputs in order."""
        n_out = places[layer, N_OUT]
        y = offsets[VALUES] + places[layer, BEHIND] * BLOCK
        for o in range(n_out):
            for s in range(0, full, step):
                store(work, y + o * BLOCK + s, splat(zero))
        whole = n_out // tile * tile
        for o in range(0, whole, tile):
            add_some(edges, places, layer, offsets, full, work, index, o, y + o * BLOCK)
        for o in range(whole, n_out):
            add_one(edges, places, layer, offsets, full, work, index, o, y + o * BLOCK)

    return forward
