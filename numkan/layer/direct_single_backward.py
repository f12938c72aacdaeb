"""Backward through one layer in direct form for one sample alone, whose outputs are lanes.

The gradient goes straight to the parameters, by what ``direct_backward.py`` and ``direct_pack.py`` do with a block of
one sample, bit for bit. Moments of all pieces but one are zero there, and so is what is made of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes
from numkan._simd import rounded_ops
from numkan._turn import row_numbers
from numkan.layer.column_single_backward import clear_kernel, fill_kernel
from numkan.layer.columns import group
from numkan.layer.direct import tile_columns
from numkan.layer.places import (
    COEF,
    EDGES,
    ENTRIES,
    FIRST,
    INPUTS,
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
    WIDTH,
    B,
    W,
)

__all__ = ["gradient_single_direct", "pull_back_single_direct"]


@cache
def _moments_kernel(n: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel that makes n moments, w^(n-1) y, ..., w y, y: a tuple of vectors."""
    _, _, _, splat, fma, mul, *_ = rounded_ops(columns)
    zero, one = dtype.type(0), dtype.type(1)
    if n == 1:

        @kernel
        def last(w, y_bar):  # type: ignore[no-untyped-def]
            return (fma(splat(one), y_bar, splat(zero)),)

        return last
    higher = _moments_kernel(n - 1, dtype, columns)

    @kernel
    def moments(w, y_bar):  # type: ignore[no-untyped-def]
        return higher(w, mul(w, y_bar)) + (fma(splat(one), y_bar, splat(zero)),)  # noqa: RUF005

    return moments


@cache
def _combine_kernel(n: int, powers: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel of the sum over the first n moments of their coefficients in one function of the piece."""
    _, _, _, splat, fma, *_ = rounded_ops(columns)
    m, zero = n - 1, dtype.type(0)
    if n == 0:

        @kernel
        def nothing(tables, at, moments):  # type: ignore[no-untyped-def]
            return splat(zero)

        return nothing
    before = _combine_kernel(n - 1, powers, dtype, columns)

    @kernel
    def combine(tables, at, moments):  # type: ignore[no-untyped-def]
        return fma(splat(tables[at + m * powers]), moments[m], before(tables, at, moments))

    return combine


@cache
def _multiply_kernel(k: int, dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel of the gradients of all inputs' edges to some outputs, `columns` of them at once."""
    _, load, store, splat, fma, mul, *_ = rounded_ops(columns)
    powers, fill = k + 1, fill_kernel(dtype, columns)
    moments_of, combine = _moments_kernel(powers, dtype, columns), _combine_kernel(powers, powers, dtype, columns)
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def multiply(numbers, tables, firsts, places, trained, layer, offsets, work, index, bars, low, high, grad):  # type: ignore[no-untyped-def]
        """Fill grad for outputs low ... high - 1."""
        n_basis, n_out = places[layer, N_BASIS], places[layer, N_OUT]
        before, size, entries = places[layer, INPUTS], n_basis * n_out, places[layer, ENTRIES]
        for i in range(places[layer, N_IN]):
            at, piece = before + i, np.int64(index[before + i])
            w, b = splat(work[offsets[W] + at]), splat(work[offsets[B] + at])
            first = np.int64(firsts[places[layer, FIRST] + i * powers * entries + piece])
            matrix = places[layer, MATRICES] + (i * entries + piece) * powers * powers
            for o in range(low, high, columns):
                edge, coef = i * n_out + o, places[layer, COEF] + i * size + o
                y_bar, mask = load(work, bars + o), load(numbers, places[layer, MASK] + edge)
                factor = mul(mask, load(numbers, places[layer, SCALE_SP] + edge))
                moments, none = moments_of(w, y_bar), splat(zero)
                on_scale = fill(numbers, coef, 0, first, n_out, none, mask, factor, splat(zero), grad)
                for r in range(powers):
                    p, total = first + r, fma(splat(one), combine(tables, matrix + r, moments), none)  # never -0
                    on_scale = fill(numbers, coef, p, p + 1, n_out, total, mask, factor, on_scale, grad)
                on_scale = fill(numbers, coef, first + powers, n_basis, n_out, none, mask, factor, on_scale, grad)
                if trained[layer, 0]:
                    store(grad, places[layer, SCALE_BASE] + edge, mul(mask, fma(b, y_bar, splat(zero))))
                if trained[layer, 1]:
                    store(grad, places[layer, SCALE_SP] + edge, on_scale)

    return multiply


@cache
def gradient_single_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a layer's gradient by its parameters."""
    lanes, few, clear = sample_lanes(dtype), group(dtype), clear_kernel(dtype)
    multiply_many, multiply_few, multiply_one = (_multiply_kernel(k, dtype, n) for n in (lanes, few, 1))

    @kernel
    def gradient(numbers, tables, firsts, places, trained, layer, offsets, work, index, bars, grad):  # type: ignore[no-untyped-def]
        """Fill the layer's part of grad (n_params,); the outputs' cotangents lie from `bars` on."""
        n_out = places[layer, N_OUT]
        many, several = n_out // lanes * lanes, n_out // few * few
        where = numbers, tables, firsts, places, trained, layer, offsets, work, index, bars
        if many > 0:
            multiply_many(*where, 0, many, grad)
        if several > many:
            multiply_few(*where, many, several, grad)
        if n_out > several:
            multiply_one(*where, several, n_out, grad)
        clear(numbers, places, trained, layer, grad)

    return gradient


@cache
def _total_kernel(k: int, columns: int) -> Any:
    """Return the kernel of the part in an input's cotangent that `columns` outputs have."""
    _, load, _, splat, fma, mul, total, _ = rounded_ops(columns)

    @kernel
    def total_of(edges, at, width, scale, w, on_b, inverse, work, bars):  # type: ignore[no-untyped-def]
        """Return it from the rows of the polynomials from `at` on and the row of scales at `scale`."""
        power, value = splat(w), load(edges, at)
        slope = mul(splat(work.dtype.type(0)), power)  # zeros, and NaN where x is NaN
        for m in range(1, k + 1):
            slope = fma(slope, power, value)
            value = fma(value, power, load(edges, at + m * width))
        whole = fma(splat(on_b), load(edges, scale), mul(splat(inverse), slope))
        return total(mul(whole, load(work, bars)))

    return total_of


@cache
def pull_back_single_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the cotangents of a layer's inputs."""
    powers, local_numbers, (wide, narrow) = k + 1, row_numbers(2), tile_columns(dtype)
    total_wide, total_narrow, total_one = _total_kernel(k, wide), _total_kernel(k, narrow), _total_kernel(k, 1)
    zero = dtype.type(0)

    @kernel
    def pull_back(tables, edges, places, layer, offsets, work, index, bars, to):  # type: ignore[no-untyped-def]
        """Fill a row of them from `to` on, with its padding, by the edges that forward has kept."""
        width, before, entries = places[layer, WIDTH], places[layer, INPUTS], places[layer, ENTRIES]
        n_in, whole = places[layer, N_IN], width // wide * wide
        for i in range(n_in, places[layer - 1, WIDTH]):
            work[to + i] = zero
        for i in range(n_in):
            at, scale = places[layer, EDGES] + i * powers * width, places[layer, SCALES] + i * width
            piece, w, on_b = (
                np.int64(index[before + i]),
                work[offsets[W] + before + i],
                work[offsets[SLOPE] + before + i],
            )
            inverse = tables[places[layer, LOCAL] + (i * entries + piece) * local_numbers + 1]
            if width == 1:
                work[to + i] = total_one(edges, at, width, scale, w, on_b, inverse, work, bars)
                continue
            x_bar = zero
            for v in range(0, whole, wide):
                x_bar += total_wide(edges, at + v, width, scale + v, w, on_b, inverse, work, bars + v)
            for v in range(whole, width, narrow):
                x_bar += total_narrow(edges, at + v, width, scale + v, w, on_b, inverse, work, bars + v)
            work[to + i] = x_bar

    return pull_back
