r"""Levenberg-Marquardt: sums of squares by linear models of their residuals.

Minimises :math:`f(x) = \sum_j r_j(x)^2`. A *step rule* proposes the next step and limits its length: by a trust region
(:mod:`numkan.optimize.trust`), or by a damping that follows the quality of the model (:mod:`numkan.optimize.nielsen`).
A step is accepted if f falls by at least 1e-4 of the predicted reduction. If residuals do not vanish, f is constant up
to rounding as soon as x has half of its digits. From there on a step is judged by the reduction predicted after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray, check_integer, check_number
from numkan.optimize.linear_model import LinearModel
from numkan.optimize.objective import largest, sealed, start_vector
from numkan.optimize.result import Status, drive
from numkan.optimize.sum_of_squares import NormalEquations, Point, ResidualsAndJacobian, sum_of_squares
from numkan.optimize.trust import TrustRegion

__all__ = ["LevenbergMarquardt", "LevenbergMarquardtState", "StepRule", "levenberg_marquardt"]

#: A step is accepted if f falls by at least this share of the predicted reduction.
_ACCEPTED = 1e-4

#: If the predicted reduction is less than the first share of the loss, rounding hides the actual one, and the iteration
#: could alternate between two points for ever. Then a step is accepted if the reduction predicted after it is at most
#: the second share of that before. The loss may rise by the third share, because residuals are often small differences
#: of large numbers.
_ROUNDED, _STEADY, _RISE = 1e-13, 0.95, 1e-9

#: A cosine between residuals and the Jacobian above this is more than rounding.
_SEEN = 1e-5


class StepRule(Protocol):
    """A rule that proposes steps, for one run."""

    damping: float
    radius: float

    def begin(self, point: Point) -> None:
        """Begin at a point."""

    def model(self, point: Point) -> LinearModel:
        """Return the linear model at a point, in the variables of the rule."""

    def propose(self) -> tuple[FloatArray, float] | None:
        """Return the next step to try, and by how much the sum of squares falls in the model; None to give up."""

    def refuse(self, fun: float, gain: float, *, has_jacobian: bool) -> None:
        """Take note that the last step was not accepted; `fun` is the sum of squares there."""

    def accept(self, point: Point, gain: float) -> None:
        """Continue from the point after the last step; `gain` is the actual over the predicted reduction."""


@dataclass(frozen=True, slots=True, eq=False)
class LevenbergMarquardtState:
    """An accepted point. Its arrays are read-only and never written again: keep it as long as you like.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.optimize import LevenbergMarquardt
    >>> run = LevenbergMarquardt(lambda x: (x - 3.0, np.eye(1)), [0.0])
    >>> run.state.fun, run.state.grad, run.state.step
    (9.0, array([-6.]), 0)
    """

    x: FloatArray  #: shape (n,)
    fun: float  #: the sum of squares
    grad: FloatArray  #: shape (n,), 2 J^T r
    step: int  #: accepted steps since the run began
    nfev: int  #: evaluations since the run began
    damping: float  #: lambda at the beginning of the next step
    radius: float  #: of the trust region, in scaled variables; NaN where there is none


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
    nfev : int

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
        rule: StepRule | None = None,
    ) -> None:
        self._gtol = check_number("gtol", gtol, 0.0)
        self._ftol = check_number("ftol", ftol, 0.0)
        self._rule: StepRule = TrustRegion() if rule is None else rule
        self._problem = sum_of_squares(problem)
        point = self._problem.start(np.array(start_vector("x0", x0), np.float64))
        self.nfev = 1
        if not math.isfinite(point.fun):
            raise ValueError(f"Argument `x0` must be a point of finite loss, not of loss {point.fun}.")
        if not point.is_finite:
            raise ValueError("Argument `x0` must be a point of finite Jacobian, not of one with NaN or infinity.")
        self._rule.begin(point)
        self._show(point, 0)
        self.status: Status | None = self._converged()

    def _show(self, point: Point, step: int) -> None:
        rule, grad = self._rule, sealed(2.0 * point.gradient)
        state = LevenbergMarquardtState(sealed(point.x), point.fun, grad, step, self.nfev, rule.damping, rule.radius)
        self._now = point, state  # the one assignment by which a step is accepted

    @property
    def state(self) -> LevenbergMarquardtState:
        """The last accepted point."""
        return self._now[1]

    def __iter__(self) -> Iterator[LevenbergMarquardtState]:
        while self.step():
            yield self.state

    def _converged(self, before: float = math.inf) -> Status | None:
        if largest(self.state.grad) <= self._gtol:
            return Status.GRADIENT
        small = self._ftol > 0.0 and before - self.state.fun <= self._ftol * before < math.inf
        return Status.DECREASE if small else None

    @one_blas_thread()
    def step(self) -> bool:
        """Take one accepted step; False, with `status` saying why, where there is none to take."""
        if self.status is not None:
            return False
        (point, state), rule, met_nonfinite = self._now, self._rule, False
        while (proposed := rule.propose()) is not None:
            step, predicted = proposed
            x = point.x + step
            if (x == point.x).all():
                break
            fun, self.nfev = self._problem.loss(x), self.nfev + 1
            gain = (point.fun - fun) / predicted if math.isfinite(fun) and predicted > 0.0 else -math.inf
            rounded = predicted <= _ROUNDED * point.fun
            tried = fun <= (1.0 + _RISE) * point.fun if rounded else gain >= _ACCEPTED
            after = self._problem.point(x, fun) if tried else None
            is_finite = math.isfinite(fun) and (after is None or after.is_finite)
            if after is not None and is_finite and (not rounded or self._leads_on(point, after)):
                rule.accept(after, gain)
                self._show(after, state.step + 1)
                self.status = self._converged(point.fun)
                return True
            met_nonfinite |= not is_finite
            rule.refuse(fun, gain, has_jacobian=after is None or after.is_finite)
            if rounded and is_finite:
                break
        self.status = self._why_no_step(point, met_nonfinite)
        return False

    def _leads_on(self, point: Point, after: Point) -> bool:
        """Whether the predicted reduction is clearly less after a step that rounding hides than before."""
        before = self._rule.model(point).predicted_reduction
        return self._rule.model(after).predicted_reduction <= _STEADY * before < math.inf

    def _why_no_step(self, point: Point, met_nonfinite: bool) -> Status:
        """Return the status when no step is accepted: converged, blocked by non-finite values, or a wrong model.

        The run has converged if the cosine between the residuals and the columns of the Jacobian is only rounding.
        """
        settled = self._rule.model(point).gradient_norm <= _SEEN * math.sqrt(abs(point.fun))
        return Status.ROUNDING if settled else Status.NONFINITE if met_nonfinite else Status.STALLED


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
        The start, of finite loss. The run is in float64.
    steps : int
        At most this many accepted steps; 0 evaluates the start and returns it.
    callback : callable, optional
        Called as ``callback(state)`` after every accepted step, with a :class:`LevenbergMarquardtState`. To stop the
        run, raise StopIteration in it.
    gtol : float
        Converged when no entry of the gradient, 2 J^T r, is larger.
    ftol : float
        Converged when a step lowers f by no more than ``ftol * f``. At 0 the run continues until no step lowers f.
    radius : float
        The first trust region, as a multiple of the length of x0 in scaled variables.

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
    BLAS has one thread during the run, also in `problem` and `callback`, and in other threads of Python.

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
        run = LevenbergMarquardt(problem, x0, gtol=gtol, ftol=ftol, rule=TrustRegion(radius))
        return drive(run, steps, callback, Status.STEPS)
