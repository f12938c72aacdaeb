"""The interface of problems for Levenberg-Marquardt: a sum of squares and its derivatives near a point, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from numkan._check import FloatArray
from numkan._shown import shown
from numkan.optimize.linear_model import JacobianModel, LinearModel, NormalModel
from numkan.optimize.objective import answered_array, answered_number, sealed

__all__ = ["NormalEquations", "Point", "ResidualsAndJacobian", "SumOfSquares", "sum_of_squares"]


@runtime_checkable
class NormalEquations(Protocol):
    """A sum of squares that knows its normal equations, for problems whose Jacobian is too large to hold.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.optimize import levenberg_marquardt
    >>> class Line:
    ...     rows, y = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 5.0])
    ...     def loss(self, x):
    ...         return float(np.sum((self.rows @ x - self.y) ** 2))
    ...     def normal_equations(self, x):
    ...         return self.loss(x), self.rows.T @ (self.rows @ x - self.y), self.rows.T @ self.rows
    >>> levenberg_marquardt(Line(), [0.0, 0.0]).x.round(10)
    array([1., 2.])
    """

    def loss(self, x: FloatArray) -> float:
        """Return f(x), the sum of squares."""

    def normal_equations(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return f(x), J^T r (n,) and J^T J (n, n), in arrays that will not be changed."""


ResidualsAndJacobian = Callable[[FloatArray], tuple[Any, Any]]


class Point(NamedTuple):
    """A point of the iteration, and the linear model of the residuals there."""

    x: FloatArray
    fun: float
    gradient: FloatArray  # J^T r
    norms: FloatArray  # of the columns of J
    normal: Callable[[], FloatArray]  # J^T J
    model: Callable[[FloatArray], LinearModel]  # for a scale of the variables

    @property
    def is_finite(self) -> bool:
        """Whether the Jacobian is."""
        return bool(np.isfinite(self.gradient).all() and np.isfinite(self.norms).all())


class Dense:
    """Residuals and Jacobian, checked."""

    def __init__(self, residuals_and_jacobian: ResidualsAndJacobian) -> None:
        self._call = residuals_and_jacobian

    def start(self, x: FloatArray) -> Point:
        """Return the first point."""
        return self.point(x, self.loss(x))

    def loss(self, x: FloatArray) -> float:
        """Return f(x), and keep residuals and Jacobian for :meth:`point`."""
        self._seen = x, *self._evaluate(x)
        residuals = self._seen[1]
        with np.errstate(over="ignore", invalid="ignore"):
            return float(residuals @ residuals)

    def point(self, x: FloatArray, fun: float) -> Point:
        """Return the point of the last loss."""
        _, residuals, jacobian = self._seen
        with np.errstate(over="ignore", invalid="ignore"):
            gradient, size = jacobian.T @ residuals, np.abs(jacobian).max(axis=0, initial=0.0)
            norms = size * np.sqrt(np.square(jacobian / np.where(size > 0.0, size, 1.0)).sum(axis=0))
        return Point(
            x,
            fun,
            gradient,
            norms,
            lambda: jacobian.T @ jacobian,
            lambda scale: JacobianModel(residuals, jacobian, scale),
        )

    def _evaluate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        answer = self._call(sealed(x))
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise TypeError(f"Argument `problem` must return (residuals, Jacobian), not {type(answer).__name__}.")
        residuals, jacobian = (
            np.array(answered_array("problem", what, part), np.float64)
            for what, part in zip(("real residuals", "a real Jacobian"), answer, strict=True)
        )
        if residuals.ndim != 1 or jacobian.shape != (residuals.size, x.size):
            raise ValueError(
                f"Argument `problem` must return residuals (m,) and a Jacobian (m, {x.size}), "
                f"not shapes {residuals.shape} and {jacobian.shape}."
            )
        return residuals, jacobian


class Normal:
    """Normal equations, checked."""

    def __init__(self, problem: NormalEquations) -> None:
        self._problem = problem

    def start(self, x: FloatArray) -> Point:
        """Return the first point."""
        return self.point(x, None)

    def loss(self, x: FloatArray) -> float:
        """Return f(x)."""
        return answered_number("problem", self._problem.loss(sealed(x)))

    def point(self, x: FloatArray, fun: float | None) -> Point:
        """Return the point x; `fun` is its loss, if that is known."""
        answer = self._problem.normal_equations(sealed(x))
        if not isinstance(answer, tuple | list) or len(answer) != 3:
            raise TypeError(f"Argument `problem` must return (f, J^T r, J^T J), not {type(answer).__name__}.")
        gradient, normal = (
            np.asarray(answered_array("problem", what, part), np.float64)
            for what, part in zip(("a real J^T r", "a real J^T J"), answer[1:], strict=True)
        )
        if gradient.shape != x.shape or normal.shape != (x.size, x.size):
            raise ValueError(
                f"Argument `problem` must have normal equations of shapes ({x.size},) and ({x.size}, {x.size}), "
                f"not {gradient.shape} and {normal.shape}."
            )
        # one entry that is not finite makes the norms, and so the point, not finite
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.sqrt(np.maximum(np.diagonal(normal), 0.0)) + 0.0 * normal.sum()
        fun = answered_number("problem", answer[0]) if fun is None else fun
        return Point(x, fun, gradient, norms, lambda: normal, lambda scale: NormalModel(gradient, normal, scale))


SumOfSquares = Dense | Normal


def sum_of_squares(problem: ResidualsAndJacobian | NormalEquations) -> SumOfSquares:
    """Return a caller's problem, whose answers are checked."""
    if isinstance(problem, NormalEquations):
        return Normal(problem)
    if callable(problem):
        return Dense(problem)
    raise TypeError(f"Argument `problem` must be callable or have `loss` and `normal_equations`, not {shown(problem)}.")
