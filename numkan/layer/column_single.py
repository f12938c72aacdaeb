r"""One sample alone through one layer, forward and backward: its outputs are lanes.

A sample needs the k + 1 coefficients of each edge that belong to its piece, so nothing is packed: forward merges these
into the polynomial of the piece, and a gradient goes straight to the parameters. Every number is the one that
``column_forward.py`` and ``column_backward.py`` make of the sample, by the same operations in the same order, bit for
bit.

The parts of the scratch memory are those of a block, but a column is one number here: an input's lies at its offset
plus the number of inputs before it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import lane_ops, sample_lanes
from numkan._simd import rounded_ops, vector_ops
from numkan.base import IDENTITY, SILU
from numkan.layer.column_pack import unpack_edges_kernel
from numkan.layer.columns import (
    BLOCK,
    BREAKS,
    COEF,
    EDGES,
    FIRST,
    FUNCTION_VALUES,
    INPUTS,
    KIND,
    LOCAL,
    MASK,
    N_BASIS,
    N_IN,
    N_OUT,
    POLY,
    SCALE_BASE,
    SCALE_SP,
    SCALES,
    SLOPE,
    VALUES,
    B,
    W,
    group,
)
from numkan.spline.pieces import bounded

__all__ = ["forward_single", "gradient_single", "locate_single", "pull_back_single"]


@cache
def locate_single(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that prepares the inputs of a layer."""
    step, load, store, *_ = vector_ops(sample_lanes(dtype))
    silu = lane_ops(k, dtype, entries, 1).silu
    limit, zero, one = dtype.type(np.finfo(dtype).max), dtype.type(0), dtype.type(1)

    @kernel
    def locate(tables, places, layer, offsets, work, index):  # type: ignore[no-untyped-def]
        """Fill piece, w, b and b' of the layer's inputs."""
        n_in, kind, before = places[layer, N_IN], places[layer, KIND], places[layer, INPUTS] // BLOCK
        at, at_w, at_b = offsets[VALUES] + before, offsets[W] + before, offsets[B] + before
        at_slope = offsets[SLOPE] + before
        for i in range(n_in):
            x, piece = work[at + i], 0
            breaks, centre = places[layer, BREAKS] + i * entries, places[layer, LOCAL] + i * 2 * entries
            for entry in range(breaks, breaks + entries):
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
def _add_kernel(k: int, dtype: np.dtype[Any], entries: int, columns: int) -> Any:
    """Return the kernel that makes `columns` outputs from prepared inputs."""
    _, load, store, splat, fma, mul, *_ = rounded_ops(columns)
    powers = k + 1
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def add(numbers, tables, firsts, places, layer, offsets, work, index, o, keep, edges):  # type: ignore[no-untyped-def]
        """Fill outputs o, o + 1, ...: sums over the inputs in order; `keep` edges for backward."""
        n_in, n_out, before = places[layer, N_IN], places[layer, N_OUT], places[layer, INPUTS] // BLOCK
        at_w, at_b = offsets[W] + before, offsets[B] + before
        y = splat(zero)
        for i in range(n_in):
            piece, w, edge = np.int64(index[before + i]), splat(work[at_w + i]), i * n_out + o
            first = firsts[places[layer, FIRST] + i * powers * entries + piece]
            coef = places[layer, COEF] + (i * places[layer, N_BASIS] + first) * n_out + o
            poly = places[layer, POLY] + i * powers * powers * entries + piece
            to = places[layer, EDGES] + i * powers * n_out + o
            mask = load(numbers, places[layer, MASK] + edge)
            factor = mul(mask, load(numbers, places[layer, SCALE_SP] + edge))
            scale = mul(mask, load(numbers, places[layer, SCALE_BASE] + edge))
            value = splat(zero)
            for m in range(powers):
                part = splat(zero)
                for r in range(powers):
                    own = mul(factor, load(numbers, coef + r * n_out))
                    part = fma(splat(tables[poly + (m * powers + r) * entries]), own, part)
                if keep:
                    store(edges, to + m * n_out, part)
                if m == k:
                    value = fma(value, w, fma(splat(one), part, y))
                elif m == 0:
                    value = part
                else:
                    value = fma(value, w, part)
            y = fma(scale, splat(work[at_b + i]), value)
            if keep:
                store(edges, places[layer, SCALES] + edge, scale)
        store(work, offsets[VALUES] + before + n_in + o, y)

    return add


@cache
def forward_single(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that makes a layer's outputs from prepared inputs."""
    lanes, few = sample_lanes(dtype), group(dtype)
    add_many, add_few, add_one = (_add_kernel(k, dtype, entries, columns) for columns in (lanes, few, 1))

    @kernel
    def forward(numbers, tables, firsts, places, layer, offsets, work, index, keep, edges):  # type: ignore[no-untyped-def]
        """Fill the outputs, which lie after the inputs; `keep` edges for backward."""
        n_out = places[layer, N_OUT]
        many, several = n_out // lanes * lanes, n_out // few * few
        for o in range(0, many, lanes):
            add_many(numbers, tables, firsts, places, layer, offsets, work, index, o, keep, edges)
        for o in range(many, several, few):
            add_few(numbers, tables, firsts, places, layer, offsets, work, index, o, keep, edges)
        for o in range(several, n_out):
            add_one(numbers, tables, firsts, places, layer, offsets, work, index, o, keep, edges)

    return forward


@cache
def _functions_kernel(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that evaluates all functions of one input."""
    _, load, store, splat, fma, *_ = rounded_ops(1)
    powers = k + 1
    zero = dtype.type(0)

    @kernel
    def fill(tables, firsts, places, layer, offsets, work, index, i):  # type: ignore[no-untyped-def]
        """Fill a number for each of the G + k splines of input i, and one for b."""
        at, n_basis, to = places[layer, INPUTS] // BLOCK + i, places[layer, N_BASIS], offsets[FUNCTION_VALUES]
        piece, w = np.int64(index[at]), load(work, offsets[W] + at)
        other = fma(splat(zero), w, splat(zero))  # functions that are zero on the piece, and NaN where x is
        for p in range(n_basis):
            store(work, to + p, other)
        poly = places[layer, POLY] + i * powers * powers * entries + piece
        first = to + firsts[places[layer, FIRST] + i * powers * entries + piece]
        for r in range(powers):
            value = splat(zero)
            for m in range(powers):
                part = load(tables, poly + (m * powers + r) * entries)
                value = part if m == 0 and k > 0 else fma(value, w, part)
            store(work, first + r, value)
        work[to + n_basis] = work[offsets[B] + at]

    return fill


@cache
def _products_kernel(dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel of the gradients of one input's edges to `columns` outputs."""
    _, load, store, splat, fma, *_ = rounded_ops(columns)
    unpack = unpack_edges_kernel(dtype, columns)
    is_padded = sample_lanes(dtype) > 1
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def multiply(numbers, places, trained, layer, offsets, work, bars, i, o, grads, grad):  # type: ignore[no-untyped-def]
        """Fill grad for outputs o, o + 1, ...; grads holds the products for a moment."""
        functions, n_basis, n_out = offsets[FUNCTION_VALUES], places[layer, N_BASIS], places[layer, N_OUT]
        y_bar = load(work, bars + o)
        for p in range(n_basis + 1):
            value = work[functions + p]
            # In a block the lanes without a sample add 0 times the function: no number is -0, and infinity is NaN.
            rest = splat(zero + zero * value if is_padded else zero)
            store(grads, p * columns, fma(splat(one), fma(splat(value), y_bar, rest), rest))
        edge, coef = i * n_out + o, places[layer, COEF] + i * n_basis * n_out + o
        mask, scale_sp = places[layer, MASK] + edge, places[layer, SCALE_SP] + edge
        base = places[layer, SCALE_BASE] + edge if trained[layer, 0] else -1
        sp = scale_sp if trained[layer, 1] else -1
        unpack(grads, 0, numbers, coef, n_basis, n_out, mask, scale_sp, base, sp, grad)

    return multiply


@cache
def gradient_single(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel of a layer's gradient by its parameters."""
    lanes, few, fill = sample_lanes(dtype), group(dtype), _functions_kernel(k, dtype, entries)
    multiply_many, multiply_few, multiply_one = (_products_kernel(dtype, columns) for columns in (lanes, few, 1))

    @kernel
    def gradient(numbers, tables, firsts, places, trained, layer, offsets, work, index, bars, grads, grad):  # type: ignore[no-untyped-def]
        """Fill the layer's part of grad (n_params,); the outputs' cotangents lie from `bars` on."""
        n_out = places[layer, N_OUT]
        many, several = n_out // lanes * lanes, n_out // few * few
        for i in range(places[layer, N_IN]):
            fill(tables, firsts, places, layer, offsets, work, index, i)
            for o in range(0, many, lanes):
                multiply_many(numbers, places, trained, layer, offsets, work, bars, i, o, grads, grad)
            for o in range(many, several, few):
                multiply_few(numbers, places, trained, layer, offsets, work, bars, i, o, grads, grad)
            for o in range(several, n_out):
                multiply_one(numbers, places, trained, layer, offsets, work, bars, i, o, grads, grad)

    return gradient


@cache
def pull_back_single(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel of the cotangents of a layer's inputs."""
    _, load, store, splat, fma, mul, *_ = rounded_ops(1)
    powers = k + 1
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def pull_back(tables, edges, places, layer, offsets, work, index, bars, to):  # type: ignore[no-untyped-def]
        """Fill them from `to` on, by the edges that forward has kept: sums over the outputs in order."""
        n_out, before = places[layer, N_OUT], places[layer, INPUTS] // BLOCK
        for i in range(places[layer, N_IN]):
            w, at = load(work, offsets[W] + before + i), places[layer, EDGES] + i * powers * n_out
            value, power = mul(splat(zero), w), dtype.type(k)
            for m in range(k):
                total = splat(zero)
                for o in range(n_out):
                    total = fma(load(work, bars + o), load(edges, at + m * n_out + o), total)
                value = fma(value, w, mul(splat(power), total))
                power -= one
            on_b, scale = splat(zero), places[layer, SCALES] + i * n_out
            for o in range(n_out):
                on_b = fma(load(edges, scale + o), load(work, bars + o), on_b)
            inverse = load(tables, places[layer, LOCAL] + (2 * i + 1) * entries + np.int64(index[before + i]))
            slope = load(work, offsets[SLOPE] + before + i)
            store(work, to + i, fma(slope, on_b, mul(value, inverse)))

    return pull_back
