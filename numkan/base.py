r"""Base functions: the smooth part :math:`b(x)` of every edge.

An edge of a KAN is :math:`\phi(x) = s_b\, b(x) + s_s\, \mathrm{spline}(x)`. By default
:math:`b(x) = \mathrm{silu}(x) = x / (1 + e^{-x})`.

:data:`BASE_FUNCTIONS` is the registry: a base function is one scalar kernel that returns b(x) and b'(x), and one line
there. All else (layers, fits, files, plots) reads it. Kernels tell base functions apart by their *kind*, which is the
place in the registry; of a user's own function they get values and slopes as arrays.
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
    "CUSTOM",
    "BaseFunction",
    "NamedFunction",
    "base_and_slope",
    "base_function",
    "fill_base",
    "given_base",
    "silu",
]

#: The kind of a user's own function.
CUSTOM = -1

Function = Callable[[FloatArray], FloatArray]


class BaseFunction(NamedTuple):
    """A base function as the layers see it."""

    kind: int
    name: str
    value: Function | None = None
    derivative: Function | None = None

    @property
    def is_custom(self) -> bool:
        """Whether it is a user's pair of Python functions."""
        return self.kind == CUSTOM

    @property
    def is_zero(self) -> bool:
        """Whether it adds nothing to any edge."""
        return self.name == "zero"


def base_function(base_fun: str | tuple[Function, Function] | BaseFunction) -> BaseFunction:
    """Return the base function of a name, or of a user's pair (value, derivative) of functions of an array.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is neither a name nor a pair of callables.
    """
    if isinstance(base_fun, BaseFunction) and not base_fun.is_custom:
        base_fun = base_fun.name  # a pickle may come from a version with other kinds
    if isinstance(base_fun, str):
        check_option("base_fun", base_fun, BASE_FUNCTIONS)
        return BaseFunction(list(BASE_FUNCTIONS).index(base_fun), base_fun)
    if isinstance(base_fun, BaseFunction):
        return base_fun
    if isinstance(base_fun, tuple) and len(base_fun) == 2 and all(callable(function) for function in base_fun):
        return BaseFunction(CUSTOM, "given", *base_fun)
    names = ", ".join(map(repr, BASE_FUNCTIONS))
    raise TypeError(
        f"Argument `base_fun` must be {names} or a pair (value, derivative) of functions, not {shown(base_fun)}."
    )


def base_and_slope(base: BaseFunction, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return b(x) and b'(x), new arrays of the shape and dtype of x."""
    if base.is_custom:
        return given_base(base, x)
    flat = np.ascontiguousarray(x).reshape(-1)
    value, slope = np.empty_like(flat), np.empty_like(flat)
    fill_base(flat.dtype)(base.kind, flat, 0, flat.size, value, 0, slope, 0, True)
    return value.reshape(x.shape), slope.reshape(x.shape)


def given_base(base: BaseFunction, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return b(x) and b'(x) where a user's functions compute them, else two empty arrays that no kernel reads."""
    if not base.is_custom or base.value is None or base.derivative is None:
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


# --- silu, float64 and float32 ------------------------------------------------------------------------------------
#
# The exponential is written out, because a loop over it must become vectors: on a host without Intel's vector
# mathematics library, ``exp`` costs as much as the whole rest of an edge.
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
def _silu64(at):  # type: ignore[no-untyped-def]
    """Return silu and its derivative. NaN fails both comparisons and goes through."""
    inside = -_CLAMP_64 if at < -_CLAMP_64 else (_CLAMP_64 if at > _CLAMP_64 else at)
    e = _exp64(-inside)
    sigmoid = 1.0 / (1.0 + e)
    slope = sigmoid + sigmoid * (inside * (e * sigmoid))
    return 0.0 if at < -_CLAMP_64 else at * sigmoid, 0.0 if at < -_CLAMP_64 else slope


@kernel
def _silu32(at):  # type: ignore[no-untyped-def]
    """Return silu and its derivative. NaN fails both comparisons and goes through."""
    zero = np.float32(0)
    inside = -_CLAMP_32 if at < -_CLAMP_32 else (_CLAMP_32 if at > _CLAMP_32 else at)
    e = _exp32(-inside)
    sigmoid = _ONE_32 / (_ONE_32 + e)
    slope = sigmoid + sigmoid * (inside * (e * sigmoid))
    return zero if at < -_CLAMP_32 else at * sigmoid, zero if at < -_CLAMP_32 else slope


def _silu(dtype: np.dtype[Any]) -> Any:
    """Return x / (1 + exp(-x))."""
    return _silu32 if dtype == np.float32 else _silu64


def _identity(dtype: np.dtype[Any]) -> Any:
    """Return x itself."""
    one = dtype.type(1)

    @kernel
    def identity(x):  # type: ignore[no-untyped-def]
        return x, one

    return identity


def _zero(dtype: np.dtype[Any]) -> Any:
    """Return 0, whatever x is."""
    nothing = dtype.type(0)

    @kernel
    def zero(x):  # type: ignore[no-untyped-def]
        return nothing, nothing

    return zero


# --- the registry -------------------------------------------------------------------------------------------------


class NamedFunction(NamedTuple):
    """A base function that has a name."""

    #: Returns, for a dtype, the kernel of one number x that returns b(x) and b'(x). It is called in a loop over many
    #: numbers, which LLVM makes vectors of if the kernel has no calls and no branches: silu then takes about as long
    #: as with vectors written by hand.
    pair: Callable[[np.dtype[Any]], Any]

    #: b(x) of an array x in NumPy, and of a number {x} in C, where "" or "f" stands for {f} at the end of a function's
    #: name: how models are written out (:mod:`numkan.export`). {cut} is where the exponential of -x would overflow.
    numpy: str
    c: str


#: The base functions by name. To add one, add it here.
BASE_FUNCTIONS = {
    "silu": NamedFunction(
        _silu, numpy="np.where(x < {cut}, 0, x / (1 + np.exp(-x)))", c="{x} < {cut} ? 0 : {x} / (1 + exp{f}(-{x}))"
    ),
    "identity": NamedFunction(_identity, numpy="x", c="{x}"),
    "zero": NamedFunction(_zero, numpy="np.zeros_like(x)", c="0"),
}


@cache
def fill_base(dtype: np.dtype[Any]) -> Any:
    """Return the kernel ``(kind, x, at, count, values, to, slopes, slope_to, with_slopes)`` of a dtype.

    It fills `values` from `to` on with b at the `count` points of x from `at` on, and `slopes` from `slope_to` on with
    b' if `with_slopes`. The arrays may be one, but not the ranges in it.
    """
    pair = _pair_of_kind(dtype)

    @kernel
    def fill(kind, x, at, count, values, to, slopes, slope_to, with_slopes):  # type: ignore[no-untyped-def]
        points, b = x[at : at + count], values[to : to + count]  # whole slices, or the loops do not become vectors
        if with_slopes:
            slope = slopes[slope_to : slope_to + count]
            for s in range(count):
                b[s], slope[s] = pair(kind, points[s])
        else:
            for s in range(count):
                b[s] = pair(kind, points[s])[0]

    return fill


def _pair_of_kind(dtype: np.dtype[Any]) -> Any:
    """Return the kernel (kind, x) -> (b(x), b'(x)); LLVM takes the choice out of a loop over x."""
    *rest, last = (named.pair(dtype) for named in BASE_FUNCTIONS.values())

    @kernel
    def pair(kind, x):  # type: ignore[no-untyped-def]
        return last(x)

    for kind in range(len(rest) - 1, -1, -1):
        pair = _either(kind, rest[kind], pair)
    return pair


def _either(own: int, own_pair: Any, other_pair: Any) -> Any:
    """Return the kernel of the base function of one kind, or else of another one."""

    @kernel
    def pair(kind, x):  # type: ignore[no-untyped-def]
        return own_pair(x) if kind == own else other_pair(kind, x)

    return pair


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
    return base_and_slope(base_function("silu"), array)[0]
