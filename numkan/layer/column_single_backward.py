"""Backward through one layer for one sample alone, whose outputs are lanes: see ``column_single.py``.

The gradient goes straight to the parameters, by what ``column_backward.py`` and ``merged_unpack.py`` do with a block of
one sample, bit for bit. All functions but k + 1 are the same number there, zero, and so are their products. In direct
form the gradient is made in the same way, from the products that ``direct_backward.py`` has.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes
from numkan._simd import rounded_ops
from numkan.layer.columns import group
from numkan.layer.places import (
    COEF,
    EDGES,
    ENTRIES,
    FIRST,
    FUNCTION_VALUES,
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
    B,
    W,
)
from numkan.spline.pieces import function_lanes

__all__ = ["gradient_single", "pull_back_single"]


@cache
def _functions_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that evaluates the functions of one input."""
    _, load, store, splat, fma, *_ = rounded_ops(1)
    powers, numbers_of_row = k + 1, function_lanes(k)
    zero = dtype.type(0)

    @kernel
    def fill_functions(tables, firsts, places, layer, offsets, work, index, i):  # type: ignore[no-untyped-def]
        """Fill the k + 1 functions of the piece, and what all others are; return the first of the piece."""
        at, to = places[layer, INPUTS] + i, offsets[FUNCTION_VALUES]
        piece, w, entries = np.int64(index[at]), load(work, offsets[W] + at), places[layer, ENTRIES]
        matrix = places[layer, MATRICES] + (i * entries + piece) * powers * numbers_of_row
        for r in range(powers):
            value = splat(zero)
            for m in range(powers):
                part = load(tables, matrix + m * numbers_of_row + r)
                value = part if m == 0 and k > 0 else fma(value, w, part)
            store(work, to + r, value)
        store(work, to + powers, fma(splat(zero), w, splat(zero)))  # zero, and NaN where x is
        return np.int64(firsts[places[layer, FIRST] + i * powers * entries + piece])

    return fill_functions


@cache
def _fill_kernel(dtype: np.dtype[Any], columns: int) -> Any:
    """Return the kernel that writes one gradient to functions in a row."""
    _, load, store, splat, fma, mul, *_ = rounded_ops(columns)
    one = dtype.type(1)

    @kernel
    def fill(numbers, coef, low, high, n_out, part, mask, factor, on_scale, grad):  # type: ignore[no-untyped-def]
        """Fill grad for functions low ... high - 1, all of which have the gradient `part`; return on_scale with it."""
        of_each = mul(factor, part)
        for p in range(low, high):
            on_scale = fma(splat(one), mul(mul(mask, load(numbers, coef + p * n_out)), part), on_scale)
            store(grad, coef + p * n_out, of_each)
        return on_scale

    return fill


@cache
def _products_kernel(k: int, dtype: np.dtype[Any], direct: bool, columns: int) -> Any:
    """Return the kernel of the gradients of all inputs' edges to some outputs, `columns` of them at once."""
    _, load, store, splat, fma, mul, *_ = rounded_ops(columns)
    fill_functions, fill = _functions_kernel(k, dtype), _fill_kernel(dtype, columns)
    powers, is_padded = k + 1, sample_lanes(dtype) > 1
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def product(value, y_bar):  # type: ignore[no-untyped-def]
        if direct:
            return fma(value, y_bar, splat(zero))
        # In a block the lanes without a sample add 0 times the function: no number is -0, and infinity is NaN.
        rest = fma(splat(zero), value, splat(zero)) if is_padded else splat(zero)
        return fma(splat(one), fma(value, y_bar, rest), rest)

    @kernel
    def multiply(numbers, tables, firsts, places, trained, layer, offsets, work, index, bars, low, high, grad):  # type: ignore[no-untyped-def]
        """Fill grad for outputs low ... high - 1: what `merged_unpack.unpack_kernel` makes of the products."""
        functions, n_basis, n_out = offsets[FUNCTION_VALUES], places[layer, N_BASIS], places[layer, N_OUT]
        at_b, size = offsets[B] + places[layer, INPUTS], n_basis * n_out
        for i in range(places[layer, N_IN]):
            first = fill_functions(tables, firsts, places, layer, offsets, work, index, i)
            for o in range(low, high, columns):
                edge, coef = i * n_out + o, places[layer, COEF] + i * size + o
                y_bar, mask = load(work, bars + o), load(numbers, places[layer, MASK] + edge)
                factor = mul(mask, load(numbers, places[layer, SCALE_SP] + edge))
                none = splat(zero) if direct else product(splat(work[functions + powers]), y_bar)
                on_scale = fill(numbers, coef, 0, first, n_out, none, mask, factor, splat(zero), grad)
                for r in range(powers):
                    p, part = first + r, product(splat(work[functions + r]), y_bar)
                    on_scale = fill(numbers, coef, p, p + 1, n_out, part, mask, factor, on_scale, grad)
                on_scale = fill(numbers, coef, first + powers, n_basis, n_out, none, mask, factor, on_scale, grad)
                if trained[layer, 0]:
                    on_base = mul(mask, product(splat(work[at_b + i]), y_bar))
                    store(grad, places[layer, SCALE_BASE] + edge, on_base)
                if trained[layer, 1]:
                    store(grad, places[layer, SCALE_SP] + edge, on_scale)

    return multiply


@cache
def _clear_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that makes the gradient of masked edges exactly 0, also where it is not finite."""
    zero = dtype.type(0)

    @kernel
    def clear(numbers, places, trained, layer, grad):  # type: ignore[no-untyped-def]
        n_basis, n_out = places[layer, N_BASIS], places[layer, N_OUT]
        n_masked = 0
        for at in range(np.uint64(places[layer, MASK]), np.uint64(places[layer, MASK] + places[layer, N_IN] * n_out)):
            n_masked += numbers[at] == 0
        for edge in range(places[layer, N_IN] * n_out if n_masked else 0):
            if numbers[places[layer, MASK] + edge] != 0:
                continue
            coef = places[layer, COEF] + edge // n_out * n_basis * n_out + edge % n_out
            for p in range(n_basis):
                grad[coef + p * n_out] = zero
            if trained[layer, 0]:
                grad[places[layer, SCALE_BASE] + edge] = zero
            if trained[layer, 1]:
                grad[places[layer, SCALE_SP] + edge] = zero

    return clear


@cache
def gradient_single(k: int, dtype: np.dtype[Any], direct: bool) -> Any:
    """Return the kernel of a layer's gradient by its parameters, in column form or in direct form."""
    lanes, few, clear = sample_lanes(dtype), group(dtype), _clear_kernel(dtype)
    multiply_many, multiply_few, multiply_one = (_products_kernel(k, dtype, direct, n) for n in (lanes, few, 1))

    @kernel
    def gradient(numbers, tables, firsts, places, trained, layer, offsets, work, index, bars, grad):  # type: ignore[no-untyped-def]
        """Fill the layer's part of grad (n_params,); the outputs' cotangents lie from `bars` on."""
        n_out = places[layer, N_OUT]
        many, several = n_out // lanes * lanes, n_out // few * few
        if many > 0:
            multiply_many(numbers, tables, firsts, places, trained, layer, offsets, work, index, bars, 0, many, grad)
        if several > many:
            multiply_few(
                numbers, tables, firsts, places, trained, layer, offsets, work, index, bars, many, several, grad
            )
        if n_out > several:
            multiply_one(
                numbers, tables, firsts, places, trained, layer, offsets, work, index, bars, several, n_out, grad
            )
        clear(numbers, places, trained, layer, grad)

    return gradient


@cache
def _sums_kernels(n: int, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return zeros() and add() for a tuple of n sums over the outputs: side by side, none waits for another."""
    _, load, _, splat, fma, *_ = rounded_ops(1)
    zero = dtype.type(0)
    if n == 1:

        @kernel
        def last_zero():  # type: ignore[no-untyped-def]
            return (splat(zero),)

        @kernel
        def add_last(sums, edges, at, stride, scale, y_bar):  # type: ignore[no-untyped-def]
            """Add scale * y_bar."""
            return (fma(load(edges, scale), y_bar, sums[0]),)

        return last_zero, add_last
    fewer, add_fewer = _sums_kernels(n - 1, dtype)

    @kernel
    def zeros():  # type: ignore[no-untyped-def]
        return (splat(zero),) + fewer()  # noqa: RUF005 - compiled code has no other way to join tuples

    @kernel
    def add(sums, edges, at, stride, scale, y_bar):  # type: ignore[no-untyped-def]
        """Add y_bar times one coefficient of each power, which are `stride` apart, and times a scale."""
        first = fma(y_bar, load(edges, at), sums[0])
        return (first,) + add_fewer(sums[1:], edges, at + stride, stride, scale, y_bar)  # noqa: RUF005

    return zeros, add


@cache
def pull_back_single(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel of the cotangents of a layer's inputs."""
    _, load, store, splat, fma, mul, *_ = rounded_ops(1)
    zeros, add = _sums_kernels(k + 1, dtype)
    powers = k + 1
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def pull_back(tables, edges, places, layer, offsets, work, index, bars, to):  # type: ignore[no-untyped-def]
        """Fill them from `to` on, by the edges that forward has kept: sums over the outputs in order."""
        n_out, before = places[layer, N_OUT], places[layer, INPUTS]
        for i in range(places[layer, N_IN]):
            at, scale = places[layer, EDGES] + i * powers * n_out, places[layer, SCALES] + i * n_out
            sums = zeros()  # of the coefficients of all powers but the constant, and of the scales
            for o in range(n_out):
                sums = add(sums, edges, at + o, n_out, scale + o, load(work, bars + o))
            w = load(work, offsets[W] + before + i)
            value, power = mul(splat(zero), w), dtype.type(k)
            for m in range(k):
                value = fma(value, w, mul(splat(power), sums[m]))
                power -= one
            inverse = load(tables, places[layer, LOCAL] + (2 * i + 1) * entries + np.int64(index[before + i]))
            slope = load(work, offsets[SLOPE] + before + i)
            store(work, to + i, fma(slope, sums[k], mul(value, inverse)))

    return pull_back
