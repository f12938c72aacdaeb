r"""Base functions: the smooth part :math:`b(x)` of every edge.

An edge of a KAN is :math:`\phi(x) = s_b\, b(x) + s_s\, \mathrm{spline}(x)`. By default
:math:`b(x) = \mathrm{silu}(x) = x / (1 + e^{-x})`. The exponential is written out here, because a loop over it must
vectorize: on a host without Intel's vector mathematics library, ``exp`` costs as much as the whole rest of an edge.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, as_float_array, check_option
from numkan._shown import shown
from numkan.compile import kernel

__all__ = [
    "BASE_FUNCTIONS",
    "BaseFunction",
    "base_and_slope",
    "base_function",
    "fill_silu",
    "given_base",
    "silu",
    "silu_pair",
]

#: How kernels tell base functions apart; GIVEN means that values and slopes come as arrays. Kernels cannot raise, and
#: would take another kind for one of these. So `base_function`, through which every layer gets its own, refuses it.
ZERO, IDENTITY, SILU, GIVEN = _KINDS = range(4)

#: The base functions that have a name.
BASE_FUNCTIONS = {"silu": SILU, "identity": IDENTITY, "zero": ZERO}

Function = Callable[[FloatArray], FloatArray]


class BaseFunction(NamedTuple):
    """A base function as the layers see it."""

    kind: int
    name: str
    value: Function | None = None
    derivative: Function | None = None


def base_function(base_fun: str | tuple[Function, Function] | BaseFunction) -> BaseFunction:
    """Return the base function of a name, or of a user's pair (value, derivative) of functions of an array.

    Raises
    ------
    ValueError
        If the name is unknown, or its kind.
    TypeError
        If it is neither a name nor a pair of callables.
    """
    if isinstance(base_fun, str):
        base_fun = BaseFunction(BASE_FUNCTIONS[check_option("base_fun", base_fun, BASE_FUNCTIONS)], base_fun)
    if isinstance(base_fun, BaseFunction):
        if base_fun.kind not in _KINDS:
            raise _unknown(base_fun)
        return base_fun
    if isinstance(base_fun, tuple) and len(base_fun) == 2 and all(callable(function) for function in base_fun):
        return BaseFunction(GIVEN, "given", *base_fun)
    raise TypeError(
        "Argument `base_fun` must be 'silu', 'identity', 'zero' or a pair (value, derivative) of functions, "
        f"not {shown(base_fun)}."
    )


def _unknown(base: BaseFunction) -> ValueError:
    return ValueError(
        f"Argument `base_fun` must be of a kind that kernels know, not {base.name!r} of kind {base.kind}."
    )


def base_and_slope(base: BaseFunction, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return b(x) and b'(x), of the shape and dtype of x."""
    if base.kind == GIVEN:
        return given_base(base, x)
    if base.kind == SILU:
        flat = np.ascontiguousarray(x).reshape(-1)
        value, slope = np.empty_like(flat), np.empty_like(flat)
        fill_silu(flat.dtype)(flat, flat.size, 0, value, slope, True)
        return value.reshape(x.shape), slope.reshape(x.shape)
    if base.kind == IDENTITY:
        return x, np.ones_like(x)
    if base.kind == ZERO:
        return np.zeros_like(x), np.zeros_like(x)
    raise _unknown(base)


def given_base(base: BaseFunction, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return b(x) and b'(x) where a user's functions compute them, else two empty arrays that no kernel reads."""
    if base.kind != GIVEN or base.value is None or base.derivative is None:
        empty = np.empty((0, 0), x.dtype)
        return empty, empty
    values = []
    for role, function in (("value", base.value), ("derivative", base.derivative)):
        # A user's function sees a copy: whatever it does, the samples stay as they are.
        try:
            out = np.asarray(function(x.copy()))
        except ValueError as error:
            raise ValueError(
                f"Argument `base_fun` must have a {role} that maps arrays to arrays, not fail: {error}"
            ) from error
        if out.shape != x.shape or out.dtype.kind not in "fiub":
            raise ValueError(
                f"Argument `base_fun` must have a {role} that maps an array of shape {x.shape} to real numbers of the "
                f"same shape, not to shape {out.shape} of dtype {out.dtype}."
            )
        values.append(np.ascontiguousarray(out, x.dtype))
    return values[0], values[1]


# --- the exponential, float64 and float32 -------------------------------------------------------------------------
#
# exp(x) = 2^n exp(r), n = round(x / log 2), |r| <= log(2) / 2 (Cody and Waite 1980, ch. 6): log 2 is split in two so
# that x - n log 2 is exact to the last bit, exp(r) is its Taylor polynomial, and 2^n is put together from its bits.
# Adding 1.5 * 2^52 (2^23) rounds to an integer and leaves it in the low bits of the sum.

_MAGIC_64 = 1.5 * 2.0**52
_LOG2E = 1.4426950408889634
_LN2_HIGH_64 = 0.6931471803691238
_LN2_LOW_64 = 1.9082149292705877e-10
_CLAMP_64 = 708.0  # beyond, 2^n leaves the normal range

_MAGIC_32 = np.float32(1.5 * 2.0**23)
_LOG2E_32 = np.float32(_LOG2E)
_LN2_HIGH_32 = np.float32(0.693359375)
_LN2_LOW_32 = np.float32(-2.12194440e-4)
_CLAMP_32 = np.float32(87.0)
_ONE_32 = np.float32(1)
_TAYLOR_32 = tuple(np.float32(1 / d) for d in (5040, 720, 120, 24, 6, 2))
_C7, _C6, _C5, _C4, _C3, _C2 = _TAYLOR_32


@kernel
def _exp64(x):  # type: ignore[no-untyped-def]
    """Return exp(x) for abs(x) <= 708, within 1.5 units in the last place."""
    shifted = np.float64(x * _LOG2E + _MAGIC_64)
    n = shifted - _MAGIC_64
    r = (x - n * _LN2_HIGH_64) - n * _LN2_LOW_64
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * (r * r) + r + 1.0
    exponent = np.int64(((shifted.view(np.int64) + np.int64(1023)) & np.int64(0x7FF)) << np.int64(52))
    return p * exponent.view(np.float64)


@kernel
def _exp32(x):  # type: ignore[no-untyped-def]
    """Return exp(x) for abs(x) <= 87, within 1.5 units in the last place."""
    shifted = np.float32(x * _LOG2E_32 + _MAGIC_32)
    n = shifted - _MAGIC_32
    r = (x - n * _LN2_HIGH_32) - n * _LN2_LOW_32
    p = _C7
    p = p * r + _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = p * (r * r) + r + _ONE_32
    exponent = np.int32(((shifted.view(np.int32) + np.int32(127)) & np.int32(0xFF)) << np.int32(23))
    return p * exponent.view(np.float32)


@kernel
def _pair64(at):  # type: ignore[no-untyped-def]
    """Return silu and its derivative. NaN fails both comparisons and goes through."""
    inside = -_CLAMP_64 if at < -_CLAMP_64 else (_CLAMP_64 if at > _CLAMP_64 else at)
    e = _exp64(-inside)
    sigmoid = 1.0 / (1.0 + e)
    slope = sigmoid + sigmoid * (inside * (e * sigmoid))
    return 0.0 if at < -_CLAMP_64 else at * sigmoid, 0.0 if at < -_CLAMP_64 else slope


@kernel
def _pair32(at):  # type: ignore[no-untyped-def]
    """Return silu and its derivative. NaN fails both comparisons and goes through."""
    zero = np.float32(0)
    inside = -_CLAMP_32 if at < -_CLAMP_32 else (_CLAMP_32 if at > _CLAMP_32 else at)
    e = _exp32(-inside)
    sigmoid = _ONE_32 / (_ONE_32 + e)
    slope = sigmoid + sigmoid * (inside * (e * sigmoid))
    return zero if at < -_CLAMP_32 else at * sigmoid, zero if at < -_CLAMP_32 else slope


def silu_pair(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that gives (silu(x), silu'(x)) for one number of a dtype."""
    return _pair32 if dtype == np.float32 else _pair64


@cache
def fill_silu(dtype: np.dtype[Any]) -> Any:
    """Return the kernel ``(x, count, start, value, slope, with_slope)`` of a dtype.

    It fills value, and slope where asked for, from `start` on with silu and silu' at the first `count` points of x.
    """
    pair = silu_pair(dtype)

    @kernel
    def fill(x, count, start, value, slope, with_slope):  # type: ignore[no-untyped-def]
        for s in range(count):
            value[start + s], derivative = pair(x[s])
            if with_slope:
                slope[start + s] = derivative

    return fill


def silu(x: FloatArray | float) -> FloatArray:
    r"""Return :math:`x / (1 + e^{-x})`, elementwise, in the dtype of x (float64 unless x is float32).

    Parameters
    ----------
    x : array_like
        Any shape.

    Returns
    -------
    ndarray
        Same shape. NaN stays NaN, ``silu(-inf)`` is 0.

    Raises
    ------
    ValueError, TypeError
        If `x` does not hold real numbers.

    References
    ----------
    S. Elfwing, E. Uchibe, K. Doya, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning", Neural Networks 107 (2018).

    Examples
    --------
    >>> import numpy as np
    >>> import numkan
    >>> numkan.silu(np.array([-1.0, 0.0, 1.0])).round(6)
    array([-0.268941,  0.      ,  0.731059])
    """
    single = getattr(x, "dtype", None) == np.float32
    array = as_float_array("x", x, np.float32 if single else np.float64)
    flat = array.reshape(-1)
    value, slope = np.empty_like(flat), np.empty_like(flat)
    fill_silu(flat.dtype)(flat, flat.size, 0, value, slope, False)
    return value.reshape(array.shape)
