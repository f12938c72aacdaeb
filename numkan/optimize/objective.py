"""The objective of an optimizer: a function of a vector that returns a number and a vector, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_float_array, check_finite
from numkan._real import as_plain_array, real_array
from numkan._shown import shown
from numkan.optimize.kernels import inner

__all__ = [
    "FunAndGrad",
    "Objective",
    "answered_array",
    "answered_number",
    "dot",
    "largest",
    "sealed",
    "start_vector",
]

FunAndGrad = Callable[[FloatArray], tuple[Any, Any]]


def dot(a: FloatArray, b: FloatArray) -> float:
    """Return the inner product of two vectors, summed in float64; an overflow gives inf, and no warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(inner(a, b))


def largest(vector: FloatArray) -> float:
    """Return the largest magnitude in `vector`; 0 where it has no entries."""
    return float(np.max(np.abs(vector), initial=0.0))


def start_vector(name: str, value: Any) -> FloatArray:
    """Return a copy of `value` in float32 if it is float32, else in float64; it must be finite and one-dimensional."""
    double = as_float_array(name, value, np.float64)
    single = np.asarray(value).dtype.newbyteorder("=") == np.dtype(np.float32)
    vector: FloatArray = np.array(double, dtype=np.float32 if single else np.float64)
    if vector.ndim != 1:
        raise ValueError(f"Argument `{name}` must have one dimension, not shape {vector.shape}.")
    check_finite(name, vector)
    return vector


def sealed(array: FloatArray) -> FloatArray:
    """Return a read-only view, for callers; kernels get the writable array, because Numba compiles for either type."""
    view = array.view()
    view.flags.writeable = False
    return view


def answered_number(argument: str, answer: Any) -> float:
    """Return the loss from the answer of a callable, which is the argument of this name."""
    value = answered_array(argument, "the loss as one real number", answer)
    if value.ndim or value.dtype.kind == "b":
        raise TypeError(f"Argument `{argument}` must return the loss as one real number, not {shown(answer)}.")
    return float(value)


def answered_array(argument: str, what: str, answer: Any) -> FloatArray:
    """Return the answer of a callable, the argument of this name, as an array of real numbers of any dtype."""
    try:
        array = as_plain_array(argument, answer)
        return array if array.dtype.kind in "fiub" else real_array(argument, array)
    except (TypeError, ValueError):
        raise TypeError(f"Argument `{argument}` must return {what}, not {shown(answer)}.") from None


class Objective:
    """A callable ``fun_and_grad`` with its evaluations counted and its answers checked.

    The callable sees a read-only view of the point; its gradient is copied, in the dtype of the point, so that it may
    reuse its own buffer.
    """

    def __init__(self, fun_and_grad: FunAndGrad) -> None:
        if not callable(fun_and_grad):
            raise TypeError(f"Argument `fun_and_grad` must be callable, not {shown(fun_and_grad)}.")
        self._fun_and_grad = fun_and_grad
        self.nfev = 0

    def __call__(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return the loss at `x` and its gradient; either may be NaN or infinite."""
        self.nfev += 1
        answer = self._fun_and_grad(sealed(x))
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise TypeError(f"Argument `fun_and_grad` must return (loss, gradient), not {type(answer).__name__}.")
        fun = answered_number("fun_and_grad", answer[0])
        grad = answered_array("fun_and_grad", "a real gradient", answer[1])
        if grad.shape != x.shape:
            raise ValueError(
                f"Argument `fun_and_grad` must return a gradient of shape {x.shape}, not one of shape {grad.shape}."
            )
        with np.errstate(over="ignore"):  # a float64 gradient may overflow on its way to float32
            return fun, np.array(grad, dtype=x.dtype, order="C")

    def at_start(self, name: str, x: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate the start of a run; NaN and infinity are an error here, and nowhere else."""
        fun, grad = self(x)
        if not np.isfinite(fun):
            raise ValueError(f"Argument `{name}` must be a point of finite loss, not of loss {fun}.")
        bad = grad.size - int(np.count_nonzero(np.isfinite(grad)))
        if bad:
            raise ValueError(
                f"Argument `{name}` must be a point of finite gradient, not of one with {bad} NaN or infinite "
                f"{'entry' if bad == 1 else 'entries'}."
            )
        return fun, grad
