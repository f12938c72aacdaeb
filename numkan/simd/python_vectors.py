"""Vector operations in Python, the twins of those of ``llvm_vectors.py``: on one number, NumPy slices, and tuples.

Kernels with bounds checked use tuples, which Numba loads entry by entry, with every index checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numkan.compile import kernel

__all__ = ["CHECKED_LANES", "NUMBER_OPS", "VectorOps", "checked_ops", "numpy_ops", "prefetch_nothing"]

#: Lanes of the shortest vector in kernels that run as Python.
CHECKED_LANES = 4


class VectorOps(NamedTuple):
    """The operations on vectors of one length; `load` and `splat` know it, the others see it in their operands."""

    lanes: int
    load: Callable[..., Any]
    store: Callable[..., Any]
    splat: Callable[..., Any]
    fma: Callable[..., Any]
    mul: Callable[..., Any]
    total: Callable[..., Any]
    reached: Callable[..., Any]


# --- one number ---------------------------------------------------------------------------------------------------


@kernel
def _load1(array, i):  # type: ignore[no-untyped-def]
    return array[i]


@kernel
def _store1(array, i, v):  # type: ignore[no-untyped-def]
    array[i] = v


@kernel
def _same1(x):  # type: ignore[no-untyped-def]
    return x


@kernel
def _fma1(a, b, c):  # type: ignore[no-untyped-def]
    return a * b + c


@kernel
def _mul1(a, b):  # type: ignore[no-untyped-def]
    return a * b


@kernel
def _reached1(c, x, end):  # type: ignore[no-untyped-def]
    return c + (x >= end)


NUMBER_OPS = VectorOps(1, _load1, _store1, _same1, _fma1, _mul1, _same1, _reached1)


# --- with the JIT off ---------------------------------------------------------------------------------------------


_silent = np.errstate(over="ignore", invalid="ignore")  # as compiled code is


def numpy_ops(lanes: int) -> VectorOps:
    """Return the operations on NumPy slices of `lanes` numbers, for kernels with the JIT off. Bounds are checked."""

    def inside(array: Any, i: Any) -> slice:
        if not 0 <= i <= array.size - lanes:
            raise IndexError(f"{lanes} numbers from {i} on are not in an array of {array.size}")
        return slice(i, i + lanes)

    def load(array, i):  # type: ignore[no-untyped-def]
        return array[inside(array, i)].copy()

    def store(array, i, v):  # type: ignore[no-untyped-def]
        array[inside(array, i)] = v

    def splat(x):  # type: ignore[no-untyped-def]
        return np.full(lanes, x)

    @_silent
    def fma(a, b, c):  # type: ignore[no-untyped-def]
        return a * b + c

    @_silent
    def mul(a, b):  # type: ignore[no-untyped-def]
        return a * b

    def total(v):  # type: ignore[no-untyped-def]
        while len(v) > 1:
            v = v[: len(v) // 2] + v[len(v) // 2 :]
        return v[0]

    def reached(c, x, end):  # type: ignore[no-untyped-def]
        return c + (x >= end)

    return VectorOps(lanes, load, store, splat, fma, mul, total, reached)


# --- bounds checked -----------------------------------------------------------------------------------------------


@kernel
def _fma4(a, b, c):  # type: ignore[no-untyped-def]
    return (a[0] * b[0] + c[0], a[1] * b[1] + c[1], a[2] * b[2] + c[2], a[3] * b[3] + c[3])


@kernel
def _mul4(a, b):  # type: ignore[no-untyped-def]
    return (a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3])


@kernel
def _load4(array, i):  # type: ignore[no-untyped-def]
    return (array[i], array[i + 1], array[i + 2], array[i + 3])


@kernel
def _store4(array, i, v):  # type: ignore[no-untyped-def]
    array[i], array[i + 1], array[i + 2], array[i + 3] = v


@kernel
def _total4(v):  # type: ignore[no-untyped-def]
    return (v[0] + v[2]) + (v[1] + v[3])


@kernel
def _reached4(c, x, end):  # type: ignore[no-untyped-def]
    return (
        _reached1(c[0], x[0], end[0]),
        _reached1(c[1], x[1], end[1]),
        _reached1(c[2], x[2], end[2]),
        _reached1(c[3], x[3], end[3]),
    )


@kernel
def _splat4(x):  # type: ignore[no-untyped-def]
    return (x, x, x, x)


def checked_ops(lanes: int) -> VectorOps:
    """Return the operations on tuples of four; longer vectors are tuples of those."""
    if lanes == CHECKED_LANES:
        return VectorOps(4, _load4, _store4, _splat4, _fma4, _mul4, _total4, _reached4)
    half = checked_ops(lanes // 2)
    width = half.lanes
    half_load, half_store, half_splat, half_fma, half_mul, half_total, half_reached = half[1:]

    @kernel
    def load(array, i):  # type: ignore[no-untyped-def]
        return (half_load(array, i), half_load(array, i + width))

    @kernel
    def store(array, i, v):  # type: ignore[no-untyped-def]
        half_store(array, i, v[0])
        half_store(array, i + width, v[1])

    @kernel
    def splat(x):  # type: ignore[no-untyped-def]
        return (half_splat(x), half_splat(x))

    @kernel
    def fma(a, b, c):  # type: ignore[no-untyped-def]
        return (half_fma(a[0], b[0], c[0]), half_fma(a[1], b[1], c[1]))

    @kernel
    def mul(a, b):  # type: ignore[no-untyped-def]
        return (half_mul(a[0], b[0]), half_mul(a[1], b[1]))

    @kernel
    def total(v):  # type: ignore[no-untyped-def]
        return half_total(v[0]) + half_total(v[1])

    @kernel
    def reached(c, x, end):  # type: ignore[no-untyped-def]
        return (half_reached(c[0], x[0], end[0]), half_reached(c[1], x[1], end[1]))

    return VectorOps(lanes, load, store, splat, fma, mul, total, reached)


@kernel
def prefetch_nothing(array, at):  # type: ignore[no-untyped-def]
    """Do nothing, as a prefetch changes no value."""
