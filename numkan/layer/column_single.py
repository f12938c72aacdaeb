r"""One sample alone through one layer: its outputs are lanes.

A sample needs the k + 1 coefficients of each edge that belong to its piece, so nothing is packed: they are merged into
the polynomial of the piece here. Every number is the one that ``column_forward.py`` makes of the sample, or
``direct_forward.py``, by the same operations in the same order, bit for bit.

The parts of the scratch memory are those of a block, but a column is one number here: an input's lies at its offset
plus the number of inputs before it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes, silu_op
from numkan._simd import rounded_ops, vector_ops
from numkan.base import IDENTITY, SILU
from numkan.layer.columns import group
from numkan.layer.places import (
    BEHIND,
    BREAKS,
    COEF,
    EDGES,
    ENTRIES,
    FIRST,
    INPUTS,
    KIND,
    LOCAL,
    MASK,
    MATRICES,
    N_BASIS,
    N_IN,
    N_OUT,
    SCALE_BASE,
    SCALE_SP,
    SCALES,
    SLOPE,
    VALUES,
    WIDTH,
    B,
    W,
)
from numkan.spline.pieces import bounded, function_lanes

__all__ = ["forward_single", "locate_single"]


@cache
def locate_single(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that prepares the inputs of a layer."""
    step, load, store, *_ = vector_ops(sample_lanes(dtype))
    silu = silu_op(dtype)
    limit, zero, one = dtype.type(np.finfo(dtype).max), dtype.type(0), dtype.type(1)

    @kernel
    def locate(tables, firsts, places, layer, offsets, work, index):  # type: ignore[no-untyped-def]
        """Fill piece, w, b and b' of the layer's inputs."""
        n_in, kind, before = places[layer, N_IN], places[layer, KIND], places[layer, INPUTS]
        at, at_w, at_b = offsets[VALUES] + before, offsets[W] + before, offsets[B] + before
        at_slope = offsets[SLOPE] + before
        for i in range(n_in):
            x, piece = work[at + i], 0
            breaks, centre = places[layer, BREAKS] + i * entries, places[layer, LOCAL] + i * 2 * entries
            for entry in range(np.uint64(breaks), np.uint64(breaks + entries)):  # unsigned: never from the end
                piece += x >= tables[entry]
            index[before + i] = piece
            work[at_w + i] = (bounded(x, limit) - tables[centre + piece]) * tables[centre + entries + piece]
            if kind != SILU:
                work[at_b + i] = x if kind == IDENTITY else zero
                work[at_slope + i] = one if kind == IDENTITY else zero
        if kind == SILU:
            for i in range(0, n_in, step):  # what a vector has too many is written again by the next layer
                value, slope = silu(load(work, at + i))
                store(work, at_b + i, value)
                store(work, at_slope + i, slope)

    return locate


@cache
def _coefs_kernel(n: int, columns: int) -> Any:
    """Return the kernel that takes n rows of coefficients times a factor, as a tuple of vectors."""
    _, load, _, _, _, mul, *_ = rounded_ops(columns)
    if n == 1:

        @kernel
        def last(numbers, at, stride, factor):  # type: ignore[no-untyped-def]
            return (mul(factor, load(numbers, at)),)

        return last
    others = _coefs_kernel(n - 1, columns)

    @kernel
    def coefs(numbers, at, stride, factor):  # type: ignore[no-untyped-def]
        return (mul(factor, load(numbers, at)),) + others(numbers, at + stride, stride, factor)  # noqa: RUF005

    return coefs


@cache
def _add_kernel(k: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel that makes `columns` outputs from prepared inputs."""
    _, load, store, splat, fma, mul, *_ = rounded_ops(columns)
    powers, numbers_of_row, coefs = k + 1, function_lanes(k), _coefs_kernel(k + 1, columns)
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def add(numbers, tables, firsts, places, layer, offsets, work, index, o, keep, edges):  # type: ignore[no-untyped-def]
        """Fill outputs o, o + 1, ...: sums over the inputs in order; `keep` edges for backward."""
        n_in, n_out, before = places[layer, N_IN], places[layer, N_OUT], places[layer, INPUTS]
        at_w, at_b = offsets[W] + before, offsets[B] + before
        entries, width = places[layer, ENTRIES], places[layer, WIDTH]
        y = splat(zero)
        for i in range(n_in):
            piece, w, edge = np.int64(index[before + i]), splat(work[at_w + i]), i * n_out + o
            first = firsts[places[layer, FIRST] + i * powers * entries + piece]
            coef = places[layer, COEF] + (i * places[layer, N_BASIS] + first) * n_out + o
            matrix = places[layer, MATRICES] + (i * entries + piece) * powers * numbers_of_row
            to = places[layer, EDGES] + i * powers * width + o
            mask = load(numbers, places[layer, MASK] + edge)
            factor = mul(mask, load(numbers, places[layer, SCALE_SP] + edge))
            scale = mul(mask, load(numbers, places[layer, SCALE_BASE] + edge))
            own = coefs(numbers, coef, n_out, factor)
            value = splat(zero)
            for m in range(powers):
                part = splat(zero)
                for r in range(powers):
                    part = fma(splat(tables[matrix + m * numbers_of_row + r]), own[r], part)
                if keep:
                    store(edges, to + m * width, part)
                if m == k:
                    value = fma(value, w, fma(splat(one), part, y))
                elif m == 0:
                    value = part
                else:
                    value = fma(value, w, part)
            y = fma(scale, splat(work[at_b + i]), value)
            if keep:
                store(edges, places[layer, SCALES] + i * width + o, scale)
        store(work, offsets[VALUES] + places[layer, BEHIND] + o, y)

    return add


@cache
def forward_single(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that makes a layer's outputs from prepared inputs."""
    lanes, few = sample_lanes(dtype), group(dtype)
    add_many, add_few, add_one = (_add_kernel(k, dtype, columns) for columns in (lanes, few, 1))
    zero = dtype.type(0)

    @kernel
    def forward(numbers, tables, firsts, places, layer, offsets, work, index, keep, edges):  # type: ignore[no-untyped-def]
        """Fill the outputs, which lie after the inputs; `keep` edges for backward."""
        n_out, width = places[layer, N_OUT], places[layer, WIDTH]
        many, several = n_out // lanes * lanes, n_out // few * few
        for row in range(places[layer, N_IN] * (k + 1) if keep and width > n_out else 0):  # the padding
            for o in range(n_out, width):
                edges[places[layer, EDGES] + row * width + o] = zero
                edges[places[layer, SCALES] + row // (k + 1) * width + o] = zero
        for o in range(0, many, lanes):
            add_many(numbers, tables, firsts, places, layer, offsets, work, index, o, keep, edges)
        for o in range(many, several, few):
            add_few(numbers, tables, firsts, places, layer, offsets, work, index, o, keep, edges)
        for o in range(several, n_out):
            add_one(numbers, tables, firsts, places, layer, offsets, work, index, o, keep, edges)

    return forward
