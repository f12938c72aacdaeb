r"""Base functions: the smooth part :math:`b(x)` of every edge.

An edge of a KAN is :math:`\phi(x) = s_b\, b(x) + s_s\, \mathrm{spline}(x)`. By default
:math:`b(x) = \mathrm{silu}(x) = x / (1 + e^{-x})`.

:data:`BASE_FUNCTIONS` is the registry: a base function is one scalar kernel that returns b(x) and b'(x), and one line
there. Layers, fits, files and plots read the registry. Kernels know a base function by its *kind*, the position in the
registry; for a user's own function they get values and slopes as arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np

from numkan._check import FloatArray, as_float_array, check_option
from numkan._shown import shown
from numkan._silu import silu_derivatives, silu_kernel
from numkan.compile import kernel

__all__ = [
    "BASE_FUNCTIONS",
    "CUSTOM",
    "BaseFunction",
    "NamedFunction",
    "base_and_slope",
    "base_derivatives",
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
    further: tuple[Function, ...] = ()  # the second derivative, the third, ..., as far as a user has brought them

    @property
    def is_custom(self) -> bool:
        """Whether it is a user's pair of Python functions."""
        return self.kind == CUSTOM

    @property
    def is_zero(self) -> bool:
        """Whether it adds nothing to any edge."""
        return self.name == "zero"


def base_function(base_fun: str | tuple[Function, ...] | BaseFunction) -> BaseFunction:
    """Return the base function of a name, or of a user's pair (value, derivative) of functions of an array.

    More derivatives may follow in the tuple: what :meth:`numkan.KAN.derivatives` asks for.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is neither a name nor a pair of callables.
    """
    if isinstance(base_fun, BaseFunction) and not base_fun.is_custom:
        base_fun = base_fun.name  # a pickle of another version may have other kinds
    if isinstance(base_fun, str):
        check_option("base_fun", base_fun, BASE_FUNCTIONS)
        return BaseFunction(list(BASE_FUNCTIONS).index(base_fun), base_fun)
    if isinstance(base_fun, BaseFunction):
        return base_fun
    if isinstance(base_fun, tuple) and len(base_fun) >= 2 and all(callable(function) for function in base_fun):
        value, derivative, *further = cast("tuple[Function, ...]", base_fun)
        return BaseFunction(CUSTOM, "given", value, derivative, tuple(further))
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
    fill_base(flat.dtype)(base.kind, flat, value, slope)
    return value.reshape(x.shape), slope.reshape(x.shape)


def given_base(base: BaseFunction, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return b(x) and b'(x) if a user's functions compute them, else two empty arrays that no kernel reads."""
    if not base.is_custom or base.value is None or base.derivative is None:
        empty = np.empty((0, 0), x.dtype)
        return empty, empty
    return _given("value", base.value, x), _given("derivative", base.derivative, x)


def _given(role: str, function: Function, x: FloatArray) -> FloatArray:
    """Return the result of a user's function, which gets a copy, so that it cannot change the samples."""
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
    return np.ascontiguousarray(out, x.dtype)


def base_derivatives(base: BaseFunction, x: FloatArray, order: int) -> list[FloatArray]:
    """Return b(x) and its derivatives up to `order`, new arrays of the shape and dtype of x.

    Raises
    ------
    ValueError
        If the base function does not have as many.
    """
    known = [*base_and_slope(base, x)]
    further = base.further if base.is_custom else BASE_FUNCTIONS[base.name].further
    if order > 1 + len(further):
        raise ValueError(
            f"Argument `base_fun` must have derivatives up to order {order} for this, not {1 + len(further)}: give the "
            f"functions (value, derivative, second derivative, ...)."
        )
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        known += [_given(f"derivative of order {nu}", further[nu - 2], x) for nu in range(2, order + 1)]
    return known[: order + 1]


def _identity(dtype: np.dtype[Any]) -> Any:
    """Return x itself."""
    one = dtype.type(1)

    @kernel
    def identity(x):  # type: ignore[no-untyped-def]
        return x, one

    return identity


def _zero(dtype: np.dtype[Any]) -> Any:
    """Return 0 for any x."""
    nothing = dtype.type(0)

    @kernel
    def zero(x):  # type: ignore[no-untyped-def]
        return nothing, nothing

    return zero


# --- the registry -------------------------------------------------------------------------------------------------


class NamedFunction(NamedTuple):
    """A base function that has a name."""

    #: Returns, for a dtype, the kernel of one number x that returns b(x) and b'(x). LLVM turns the loop that calls it
    #: into vector instructions if the kernel has no calls and no branches; silu then takes about as long as with
    #: vectors written by hand.
    pair: Callable[[np.dtype[Any]], Any]

    #: The expressions of exported models (:mod:`numkan.export`): b(x) of an array x in NumPy, and of a number {x} in C,
    #: where {f} is the suffix "" or "f" of a function's name. {cut} is where the exponential of -x would overflow.
    numpy: str
    c: str

    #: The second derivative of an array, the third, ...: four serve equations of the third order.
    further: tuple[Function, ...] = ()


#: The base functions by name. To add one, add it here.
BASE_FUNCTIONS = {
    "silu": NamedFunction(
        silu_kernel,
        numpy="np.where(x < {cut}, 0, x / (1 + np.exp(-x)))",
        c="{x} < {cut} ? 0 : {x} / (1 + exp{f}(-{x}))",
        further=silu_derivatives,
    ),
    "identity": NamedFunction(_identity, numpy="x", c="{x}", further=(np.zeros_like,) * 3),
    "zero": NamedFunction(_zero, numpy="np.zeros_like(x)", c="0", further=(np.zeros_like,) * 3),
}


@cache
def fill_base(dtype: np.dtype[Any]) -> Any:
    """Return the kernel ``(kind, points, values, slopes)`` of a dtype.

    It fills `values` with b at the points, and `slopes` with b' unless it is empty. Points and values may lie in one
    array, but not in the same places.
    """
    pair = _pair_of_kind(dtype)

    @kernel
    def fill(kind, points, values, slopes):  # type: ignore[no-untyped-def]
        if slopes.shape[0] > 0:
            for s in range(points.shape[0]):
                values[s], slopes[s] = pair(kind, points[s])
        else:
            for s in range(points.shape[0]):
                values[s] = pair(kind, points[s])[0]

    return fill


def _pair_of_kind(dtype: np.dtype[Any]) -> Any:
    """Return the kernel (kind, x) -> (b(x), b'(x)); LLVM moves the choice of a kind out of a loop over x."""
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
