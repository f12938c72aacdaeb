r"""Levenberg-Marquardt: sums of squares by linear models within a trust region.

Minimises :math:`f(x) = \sum_j r_j(x)^2`. The step of :mod:`numkan.optimize.trust` is accepted where f falls by at least
1e-4 of what the model predicts; the radius grows where the model was right and shrinks where it was not, by the rules
of More (1978), as MINPACK has them. Variables are scaled by the largest norm that their column of the Jacobian has had,
so that a change of units changes nothing. Where residuals do not vanish, f is flat to rounding while x has half its
digits only: from there on a step counts by what the model promises after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray, check_integer, check_number
from numkan._shown import shown
from numkan.optimize.objective import answered_array, answered_number, largest, sealed, start_vector
from numkan.optimize.result import Status, drive
from numkan.optimize.trust import JacobianModel, LinearModel, NormalModel, TrustStep, step_within

__all__ = ["LevenbergMarquardt", "LevenbergMarquardtState", "NormalEquations", "levenberg_marquardt"]

#: A step is accepted that brings this share of what the model predicts.
_ACCEPTED = 1e-4

#: Where the model promises less than the first share of the loss, rounding hides what a step brings. Then a step is
#: accepted after which the model promises no more than the second share of what it did before; the loss may rise by the
#: third, for residuals are often small differences of large numbers.
_ROUNDED, _STEADY, _RISE = 1e-13, 0.95, 1e-9

#: A cosine between residuals and the Jacobian that is larger is no rounding.
_SEEN = 1e-5


@runtime_checkable
class NormalEquations(Protocol):
    """A sum of squares that knows its normal equations, for problems whose Jacobian is too large to hold."""

    def loss(self, x: FloatArray) -> float:
        """Return f(x), the sum of squares."""

    def normal_equations(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return f(x), J^T r (n,) and J^T J (n, n)."""


ResidualsAndJacobian = Callable[[FloatArray], tuple[Any, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class LevenbergMarquardtState:
    """An accepted point. Its arrays are read-only and never written again: keep it as long as you like."""

    x: FloatArray  #: shape (n,)
    fun: float  #: the sum of squares
    grad: FloatArray  #: shape (n,), 2 J^T r
    step: int  #: accepted steps since the run began
    nfev: int  #: evaluations since the run began
    damping: float  #: lambda of the step that led here
    radius: float  #: of the trust region, in scaled variables


class _Point(NamedTuple):
    """What is known where the iteration stands."""

    x: FloatArray
    fun: float
    gradient: FloatArray  # J^T r
    norms: FloatArray  # of the columns of J
    model: Callable[[FloatArray], LinearModel]  # for a scale of the variables

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.gradient).all() and np.isfinite(self.norms).all())


class _Dense:
    """Residuals and Jacobian, checked."""

    def __init__(self, residuals_and_jacobian: ResidualsAndJacobian) -> None:
        self._call = residuals_and_jacobian

    def loss(self, x: FloatArray) -> float:
        """Return f(x); what else was computed is kept for :meth:`point`."""
        self._seen = x, *self._evaluate(x)
        residuals = self._seen[1]
        with np.errstate(over="ignore", invalid="ignore"):
            return float(residuals @ residuals)

    def point(self, x: FloatArray, fun: float) -> _Point:
        """Return all that is to be known at the point of the last loss."""
        _, residuals, jacobian = self._seen
        with np.errstate(over="ignore", invalid="ignore"):
            gradient, size = jacobian.T @ residuals, np.abs(jacobian).max(axis=0, initial=0.0)
            norms = size * np.sqrt(np.square(jacobian / np.where(size > 0.0, size, 1.0)).sum(axis=0))
        return _Point(x, fun, gradient, norms, lambda scale: JacobianModel(residuals, jacobian, scale))

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


class _Normal:
    """Normal equations, checked."""

    def __init__(self, problem: NormalEquations) -> None:
        self._problem = problem

    def loss(self, x: FloatArray) -> float:
        return answered_number("problem", self._problem.loss(sealed(x)))

    def point(self, x: FloatArray, fun: float) -> _Point:
        answer = self._problem.normal_equations(sealed(x))
        if not isinstance(answer, tuple | list) or len(answer) != 3:
            raise TypeError(f"Argument `problem` must return (f, J^T r, J^T J), not {type(answer).__name__}.")
        gradient, normal = (
            np.array(answered_array("problem", what, part), np.float64)
            for what, part in zip(("a real J^T r", "a real J^T J"), answer[1:], strict=True)
        )
        if gradient.shape != x.shape or normal.shape != (x.size, x.size):
            raise ValueError(
                f"Argument `problem` must have normal equations of shapes ({x.size},) and ({x.size}, {x.size}), "
                f"not {gradient.shape} and {normal.shape}."
            )
        # one number that is not finite spoils the norms, and with them the point
        norms = np.sqrt(np.maximum(np.diagonal(normal), 0.0)) + 0.0 * normal.sum()
        return _Point(x, fun, gradient, norms, lambda scale: NormalModel(gradient, normal, scale))


class LevenbergMarquardt:
    r"""The iteration, one accepted step at a time.

    Parameters are those of :func:`levenberg_marquardt`. Iterating yields the state after every accepted step until the
    run has converged or can go no further.

    Attributes
    ----------
    state : LevenbergMarquardtState
        The last accepted point; at first the start. It is replaced in one assignment.
    status : Status or None
        None while there is a step to take.

    Examples
    --------
    >>> import numpy as np
    >>> line = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> run = LevenbergMarquardt(lambda x: (line @ x - [1.0, 3.0, 5.0], line), [0.0, 0.0])
    >>> run.step(), round(run.state.fun, 12), run.state.x.round(12)
    (True, 0.0, array([1., 2.]))
    """

    @one_blas_thread()
    def __init__(
        self,
        problem: ResidualsAndJacobian | NormalEquations,
        x0: Any,
        *,
        gtol: float = 1e-14,
        ftol: float = 0.0,
        radius: float = 100.0,
    ) -> None:
        self._gtol = check_number("gtol", gtol, 0.0)
        self._ftol = check_number("ftol", ftol, 0.0)
        radius = check_number("radius", radius, 0.0, exclusive=True)
        if not (callable(problem) or isinstance(problem, NormalEquations)):
            raise TypeError(
                f"Argument `problem` must be callable or have `loss` and `normal_equations`, not {shown(problem)}."
            )
        self._problem = _Normal(problem) if isinstance(problem, NormalEquations) else _Dense(problem)
        self.nfev = 0
        x = np.array(start_vector("x0", x0), np.float64)
        fun = self._loss(x)
        if not math.isfinite(fun):
            raise ValueError(f"Argument `x0` must be a point of finite loss, not of loss {fun}.")
        point = self._problem.point(x, fun)
        if not point.finite:
            raise ValueError("Argument `x0` must be a point of finite Jacobian, not of one with NaN or infinity.")
        self._scale = np.where(point.norms > 0.0, point.norms, 1.0)
        self._show(point, 0, 0.0, radius * (float(np.linalg.norm(self._scale * x)) or 1.0))
        self.status: Status | None = self._converged()

    def _loss(self, x: FloatArray) -> float:
        self.nfev += 1
        return self._problem.loss(x)

    def _show(self, point: _Point, step: int, damping: float, radius: float) -> None:
        state = LevenbergMarquardtState(
            sealed(point.x), point.fun, sealed(2.0 * point.gradient), step, self.nfev, damping, radius
        )
        self._now = point, state  # the one assignment by which a step is accepted

    @property
    def state(self) -> LevenbergMarquardtState:
        """The last accepted point."""
        return self._now[1]

    def __iter__(self) -> Iterator[LevenbergMarquardtState]:
        while self.step():
            yield self.state

    def _converged(self, before: float = math.inf, predicted: float = math.inf) -> Status | None:
        if largest(self.state.grad) <= self._gtol:
            return Status.GRADIENT
        small = before - self.state.fun <= self._ftol * before and predicted <= self._ftol * before
        return Status.DECREASE if small and self._ftol > 0.0 and math.isfinite(before) else None

    @one_blas_thread()
    def step(self) -> bool:
        """Take one accepted step; False, with `status` saying why, where there is none to take."""
        if self.status is not None:
            return False
        point, state = self._now
        model, scale = point.model(self._scale), self._scale
        radius, damping, finite = state.radius, state.damping, True
        while True:
            step = step_within(model, radius, damping)
            x = point.x + step.z / scale
            if (x == point.x).all():
                return self._give_up(model, finite)
            fun = self._loss(x)
            finite = math.isfinite(fun)
            gain = (point.fun - fun) / step.predicted if finite and step.predicted > 0.0 else -math.inf
            damping, radius = _next_region(point, step, fun, gain, radius)
            rounded = step.predicted <= _ROUNDED * point.fun
            if gain >= _ACCEPTED or (rounded and fun <= (1.0 + _RISE) * point.fun):
                after = self._problem.point(x, fun)
                if not after.finite:
                    finite, damping, radius = False, step.damping, 0.25 * step.size
                    continue
                if gain >= _ACCEPTED or after.model(scale).promise <= _STEADY * model.promise < math.inf:
                    break
            if rounded:
                return self._give_up(model, finite)
        self._scale = np.maximum(scale, after.norms)
        self._show(after, state.step + 1, damping, radius)
        self.status = self._converged(point.fun, step.predicted)
        return True

    def _give_up(self, model: LinearModel, finite: bool) -> bool:
        """Say why no step is accepted: nothing is left to gain, or the model is wrong however small the region.

        The residuals' cosine with the columns of the Jacobian tells: where it is no longer seen, the run has converged.
        """
        settled = model.steepness <= _SEEN * math.sqrt(self.state.fun)
        self.status = (Status.ROUNDING if settled else Status.STALLED) if finite else Status.NONFINITE
        return False


def _next_region(point: _Point, step: TrustStep, fun: float, gain: float, radius: float) -> tuple[float, float]:
    """Return damping and radius after a step, accepted or not; see More (1978), section 4."""
    if gain > 0.75 or (gain > 0.25 and step.damping == 0.0):
        return 0.5 * step.damping, max(radius, 2.0 * step.size)
    if gain > 0.25:
        return step.damping, radius
    # a quarter or less: shrink to the minimum of the parabola through what is known of f along the step
    share = 0.1
    if math.isfinite(fun) and fun < 100.0 * point.fun:
        slope = -step.predicted  # at least that steep: the model's own fall, and its damping
        share = 0.5 if fun <= point.fun else 0.5 * slope / (slope + 0.5 * (point.fun - fun))
        share = min(max(share, 0.1), 0.5)
    return step.damping / share, share * min(radius, 10.0 * step.size)


def levenberg_marquardt(
    problem: ResidualsAndJacobian | NormalEquations,
    x0: Any,
    *,
    steps: int = 200,
    callback: Callable[[LevenbergMarquardtState], object] | None = None,
    gtol: float = 1e-14,
    ftol: float = 0.0,
    radius: float = 100.0,
) -> Any:
    r"""Minimise a sum of squares by Levenberg-Marquardt in a trust region.

    Parameters
    ----------
    problem : callable or NormalEquations
        ``problem(x) -> (r, J)``: residuals, shape (m,), and their Jacobian, shape (m, n). Or an object with the methods
        ``loss(x) -> f`` and ``normal_equations(x) -> (f, J^T r, J^T J)``, for Jacobians too large to hold. `x` is
        read-only. Where f is not finite the step is shortened.
    x0 : array_like, shape (n,)
        The start, of finite loss. The work is done in float64.
    steps : int
        Accepted steps to take at most; 0 evaluates the start and returns it.
    callback : callable, optional
        Called as ``callback(state)`` after every accepted step, with a :class:`LevenbergMarquardtState`. To stop the
        run, raise StopIteration in it.
    gtol : float
        Converged when no entry of the gradient, 2 J^T r, is larger.
    ftol : float
        Converged when a step lowers f by no more than ``ftol * f``, and the model had promised no more. At 0 the run
        goes on until steps no longer lead anywhere.
    radius : float
        The first trust region: so many times the length of x0 in scaled variables.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x, fun, jac, nit, nfev, njev, success, status, message`` and ``history``; `fun` is the sum of squares, `jac`
        its gradient. `status` is a number of :class:`numkan.optimize.Status`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or the loss or its Jacobian is not finite at `x0`.

    Notes
    -----
    BLAS has one thread meanwhile, in `problem` and `callback` too, and in other threads of Python.

    References
    ----------
    J. J. More, "The Levenberg-Marquardt algorithm: implementation and theory", in Numerical Analysis, Lecture Notes in
    Mathematics 630, Springer 1978.

    Examples
    --------
    >>> import numpy as np
    >>> def rosenbrock(x):
    ...     return np.array([1 - x[0], 10 * (x[1] - x[0] ** 2)]), np.array([[-1, 0], [-20 * x[0], 10]])
    >>> result = levenberg_marquardt(rosenbrock, [-1.2, 1.0])
    >>> bool(np.abs(result.x - 1).max() < 1e-12), result.success
    (True, True)
    """
    steps = check_integer("steps", steps, 0)
    with one_blas_thread():
        run = LevenbergMarquardt(problem, x0, gtol=gtol, ftol=ftol, radius=radius)
        return drive(run, steps, callback, Status.STEPS)
