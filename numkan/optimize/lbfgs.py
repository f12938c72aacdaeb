r"""L-BFGS: quasi-Newton steps from the memory of the last few gradients.

.. math:: x_{j+1} = x_j - \alpha_j H_j \nabla f(x_j)

with H of :mod:`numkan.optimize.curvature` and the step of :mod:`numkan.optimize.linesearch`. Liu and Nocedal, Math.
Programming 45 (1989) 503; Nocedal and Wright, Numerical Optimization (2006), algorithm 7.5.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, check_integer, check_number, check_size
from numkan.optimize.curvature import CurvaturePairs
from numkan.optimize.linesearch import Condition, LineSearchResult, strong_wolfe
from numkan.optimize.objective import FunAndGrad, Objective, dot, largest, sealed, start_vector
from numkan.optimize.result import Status, drive

__all__ = ["LBFGS", "LBFGSState", "lbfgs"]

#: The loss is compared with the one this many steps before: one short step does not mean convergence.
_WINDOW = 5


@dataclass(frozen=True, slots=True, eq=False)
class LBFGSState:
    """An accepted point. Its arrays are read-only and never written again: keep it as long as you like.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.optimize import LBFGS
    >>> run = LBFGS(lambda x: (float(x @ x), 2 * x), np.array([3.0, 4.0]))
    >>> run.state.fun, run.state.step, run.state.condition
    (25.0, 0, 'none')
    """

    x: FloatArray  #: shape (n,)
    fun: float
    grad: FloatArray  #: shape (n,)
    step: int  #: accepted steps since the run began
    nfev: int  #: evaluations since the run began
    alpha: float  #: the accepted step length along the search direction
    condition: Condition  #: how the line search accepted it; "none" at a start


class _Now(NamedTuple):
    """The accepted point: its arrays, and the state that shows them."""

    x: FloatArray
    grad: FloatArray
    state: LBFGSState


class LBFGS:
    r"""The L-BFGS iteration, one accepted step at a time.

    Parameters are those of :func:`lbfgs`. Iterating yields the state after every accepted step until the run has
    converged or can go no further.

    Attributes
    ----------
    state : LBFGSState
        The last accepted point; at first the start. It is replaced in one assignment, so it is complete even after an
        exception in `fun_and_grad` or Ctrl-C.
    status : Status or None
        None while there is a step to take.
    pairs : CurvaturePairs
        The memory.

    Examples
    --------
    >>> import numpy as np
    >>> run = LBFGS(lambda x: (float(x @ x), 2 * x), np.array([3.0, 4.0]))
    >>> [state.fun for state in run]  # doctest: +ELLIPSIS
    [16.0, 3.9...e-31]
    >>> run.status.message
    'Converged: no entry of the gradient is larger than `gtol`.'
    """

    def __init__(
        self,
        fun_and_grad: FunAndGrad,
        x0: Any,
        *,
        memory: int = 10,
        gtol: float = 1e-10,
        ftol: float | None = None,
        c1: float = 1e-4,
        c2: float = 0.9,
        max_evaluations: int = 40,
    ) -> None:
        self._memory = check_size("memory", memory, 1)
        self._gtol = check_number("gtol", gtol, 0.0)
        self._ftol = None if ftol is None else check_number("ftol", ftol, 0.0)
        c1 = check_number("c1", c1, 0.0, 1.0, exclusive=True)
        c2 = check_number("c2", c2, c1, 1.0, exclusive=True)
        max_evaluations = check_integer("max_evaluations", max_evaluations, 1)
        self._options: dict[str, Any] = {"c1": c1, "c2": c2, "max_evaluations": max_evaluations}
        self._objective = Objective(fun_and_grad)
        x = start_vector("x0", x0)
        self._begin(self._objective, x, *self._objective.at_start("x0", x), step=0)

    def _begin(self, objective: Objective, x: FloatArray, fun: float, grad: FloatArray, step: int) -> None:
        self._objective = objective
        self.pairs = CurvaturePairs(self._memory, x.size, x.dtype)
        self._losses = deque([fun], maxlen=_WINDOW + 1)
        self._reach = 1.0  # length of the last step: that of the first trial along a gradient
        self._spacing = float(np.finfo(x.dtype).eps)
        self._show(x, fun, grad, step, 0.0, "none")
        self.status: Status | None = Status.GRADIENT if largest(grad) <= self._gtol else None

    def _show(self, x: FloatArray, fun: float, grad: FloatArray, step: int, alpha: float, condition: Condition) -> None:
        state = LBFGSState(sealed(x), fun, sealed(grad), step, self._objective.nfev, alpha, condition)
        self._now = _Now(x, grad, state)  # the one assignment by which a step is accepted

    @property
    def state(self) -> LBFGSState:
        """The last accepted point."""
        return self._now.state

    @property
    def nfev(self) -> int:
        """Evaluations so far, restarts included."""
        return self._objective.nfev

    def restart(self, x: Any, fun_and_grad: FunAndGrad | None = None) -> None:
        """Restart at `x`, of any length, with an empty memory, and with a new function if one is given.

        For a loss that has changed during the run: a new grid, new data. Counters keep counting. If `x` is not a point
        of finite loss, nothing changes.
        """
        objective = self._objective
        if fun_and_grad is not None:
            objective = Objective(fun_and_grad)
            objective.nfev = self.nfev
        start = start_vector("x", x)
        self._begin(objective, start, *objective.at_start("x", start), step=self.state.step)

    def _memory_state(self) -> dict[str, Any]:
        """Return all that the next step depends on, in arrays and numbers: see :meth:`_go_on`."""
        s, y = zip(*self.pairs.pairs(), strict=True) if len(self.pairs) else ((), ())
        return {
            "x": self._now.x,
            "fun": self.state.fun,
            "grad": self._now.grad,
            "step": self.state.step,
            "s": np.array(s, self._now.x.dtype).reshape(-1, self._now.x.size),
            "y": np.array(y, self._now.x.dtype).reshape(-1, self._now.x.size),
            "losses": list(self._losses),
            "reach": self._reach,
            "status": None if self.status is None else int(self.status),
        }

    def _go_on(self, state: dict[str, Any]) -> None:
        """Go on from such a state, with the same bits as the run that it is of."""
        self.pairs = CurvaturePairs(self._memory, state["x"].size, state["x"].dtype)
        for s, y in zip(state["s"], state["y"], strict=True):
            self.pairs.add(s, y)
        self._losses = deque(state["losses"], maxlen=_WINDOW + 1)
        self._reach = state["reach"]
        self._show(state["x"], state["fun"], state["grad"], state["step"], 0.0, "none")
        self.status = None if state["status"] is None else Status(state["status"])

    def __iter__(self) -> Iterator[LBFGSState]:
        while self.step():
            yield self.state

    def step(self) -> bool:
        """Take one accepted step; False, with `status` saying why, where there is none to take."""
        if self.status is not None:
            return False
        direction, found = self._search()
        if found.condition == "none" and len(self.pairs):
            if largest(direction) <= 4.0 * self._spacing * largest(self._now.x):
                self.status = Status.ROUNDING
                return False
            # the memory may have given a poor direction: try again along the gradient
            self.pairs.clear()
            direction, found = self._search()
        if found.condition == "none":
            self.status = Status.STALLED if found.finite else Status.NONFINITE
            return False
        x = _along(self._now.x, direction, found.alpha)
        s = x - self._now.x
        self.pairs.add(s, found.grad - self._now.grad)
        self._reach = min(1.0, math.sqrt(dot(s, s)) or self._reach)
        self._losses.append(found.fun)
        self._show(x, found.fun, found.grad, self.state.step + 1, found.alpha, found.condition)
        self.status = self._converged()
        return True

    def _search(self) -> tuple[FloatArray, LineSearchResult]:
        """Search along the quasi-Newton direction, or along the gradient where that is not one of descent."""
        x, grad, state = self._now
        direction = -self.pairs.times(grad)
        alpha = 1.0
        if len(self.pairs) and not self._descends(direction, grad):
            self.pairs.clear()
        if not len(self.pairs):
            direction = -grad / largest(grad)  # of length about 1, so that no square of it under- or overflows
            alpha = self._reach / math.sqrt(dot(direction, direction))
        if not -math.inf < dot(direction, grad) < 0.0:
            return direction, LineSearchResult(0.0, state.fun, grad, "none", 0, True)

        def phi(alpha: float) -> tuple[float, FloatArray]:
            return self._objective(_along(x, direction, alpha))

        return direction, strong_wolfe(phi, direction, state.fun, grad, alpha=alpha, **self._options)

    def _descends(self, direction: FloatArray, grad: FloatArray) -> bool:
        """Whether the cosine between `direction` and the gradient is negative beyond rounding."""
        lengths = math.sqrt(dot(direction, direction)) * math.sqrt(dot(grad, grad))
        return dot(direction, grad) < -self._spacing * lengths

    def _converged(self) -> Status | None:
        state, losses = self.state, self._losses
        if largest(state.grad) <= self._gtol:
            return Status.GRADIENT
        ftol = 10.0 * self._spacing if self._ftol is None else self._ftol
        size = max(abs(losses[0]), abs(state.fun))
        if ftol > 0.0 and len(losses) > _WINDOW and losses[0] - state.fun <= ftol * size:
            return Status.DECREASE
        return None


def _along(x: FloatArray, direction: FloatArray, alpha: float) -> FloatArray:
    """Return x + alpha d; an overflow shows in the loss."""
    with np.errstate(over="ignore", invalid="ignore"):
        point = direction * alpha
        point += x
    return point


def lbfgs(
    fun_and_grad: FunAndGrad,
    x0: Any,
    *,
    steps: int = 1000,
    callback: Callable[[LBFGSState], object] | None = None,
    memory: int = 10,
    gtol: float = 1e-10,
    ftol: float | None = None,
    c1: float = 1e-4,
    c2: float = 0.9,
    max_evaluations: int = 40,
) -> Any:
    r"""Minimise a function by L-BFGS with a strong Wolfe line search.

    Parameters
    ----------
    fun_and_grad : callable
        ``fun_and_grad(x) -> (f, g)``: the loss, a number, and its gradient, shape (n,). `x` is read-only. Where f or
        g is not finite the step is shortened.
    x0 : array_like, shape (n,)
        The start, of finite loss. The run is in float32 if this is a float32 array, otherwise in float64.
    steps : int
        At most this many accepted steps; 0 evaluates the start and returns it.
    callback : callable, optional
        Called as ``callback(state)`` after every accepted step, with an :class:`LBFGSState`. To stop the run, raise
        StopIteration in it.
    memory : int
        Pairs of vectors to remember.
    gtol : float
        Converged when ``max(abs(g)) <= gtol``.
    ftol : float, optional
        Converged when the last five steps together lowered the loss by no more than ``ftol`` times its size; 0
        switches the test off. By default ten times the spacing of 1 in the dtype. The test is relative, where
        SciPy's is absolute for losses below 1.
    c1, c2, max_evaluations
        The line search: see :func:`numkan.optimize.strong_wolfe`.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x, fun, jac, nit, nfev, njev, success, status, message`` and ``history``, the nit + 1 losses. `status` is a
        number of :class:`numkan.optimize.Status`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or the loss or its gradient is not finite at `x0`.

    Examples
    --------
    >>> import numpy as np
    >>> def rosenbrock(x):
    ...     a, b = 1 - x[0], x[1] - x[0] ** 2
    ...     return a * a + 100 * b * b, np.array([-2 * a - 400 * x[0] * b, 200 * b])
    >>> result = lbfgs(rosenbrock, [-1.2, 1.0])
    >>> bool(np.abs(result.x - 1).max() < 1e-9), result.success, result.message
    (True, True, 'Converged: no entry of the gradient is larger than `gtol`.')
    """
    steps = check_integer("steps", steps, 0)
    run = LBFGS(fun_and_grad, x0, memory=memory, gtol=gtol, ftol=ftol, c1=c1, c2=c2, max_evaluations=max_evaluations)
    return drive(run, steps, callback, Status.STEPS)
