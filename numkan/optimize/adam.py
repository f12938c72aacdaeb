r"""Adam: steps along a running mean of the gradient, scaled by a running mean of its square.

.. math::
    m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \\
    x_t &= x_{t-1} - \eta_t \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}.

Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, check_integer, check_number, check_option
from numkan._shown import shown
from numkan.optimize.kernels import adam_update
from numkan.optimize.objective import FunAndGrad, Objective, sealed, start_vector
from numkan.optimize.result import Status, drive

__all__ = ["Adam", "AdamState", "Schedule", "adam", "cosine"]

#: A function of the number of steps already taken that returns a factor on the learning rate.
Schedule = Callable[[int], float]


def cosine(steps: int) -> Schedule:
    r"""Return the schedule that falls from 1 to 0 over `steps` steps, :math:`(1 + \cos(\pi t / \text{steps})) / 2`.

    Loshchilov and Hutter, SGDR, ICLR 2017, equation 5, one period, without a restart.

    Examples
    --------
    >>> [round(cosine(4)(t), 3) for t in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    steps = check_integer("steps", steps, 0)

    def factor(taken: int) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * min(taken, steps) / steps)) if steps else 1.0

    return factor


@dataclass(frozen=True, slots=True, eq=False)
class AdamState:
    """An accepted point and all that the next step needs. Its arrays are read-only and never written again.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.optimize import Adam
    >>> run = Adam(lambda x: (float(x @ x), 2 * x), np.array([1.0]), learning_rate=0.1)
    >>> run.step(), run.state.step, run.state.rate, run.state.grad
    (True, 1, 0.1, array([1.8]))
    """

    x: FloatArray  #: shape (n,)
    fun: float  #: the loss at x
    grad: FloatArray  #: shape (n,): the gradient at x, which the next step follows
    step: int  #: steps taken since the run began
    nfev: int  #: evaluations since the run began
    m: FloatArray  #: shape (n,): first moment
    v: FloatArray  #: shape (n,): second moment
    t: int  #: number of steps in m and v, for the correction of their bias
    rate: float  #: the learning rate of the step that led here; 0 at a start


class _Point(NamedTuple):
    """What the next step needs, as in :class:`AdamState`, but in writable arrays, as kernels take them."""

    x: FloatArray
    fun: float
    grad: FloatArray
    step: int
    m: FloatArray
    v: FloatArray
    t: int


class Adam:
    """The Adam iteration, one step at a time; `fun_and_grad` may draw a new mini-batch at every call.

    Parameters are those of :func:`adam`; `schedule` is None or a callable (``cosine(steps)``). A step moves along the
    gradient found at the last point and evaluates the new point, so that loss and gradient of a state belong to its
    x: one evaluation a step, and one at the start. Iterating yields the state after every step, without end.

    Attributes
    ----------
    state : AdamState
        The last point of finite loss and gradient. It is replaced in one assignment, so it is complete even after a
        step was interrupted.
    status : Status or None
        None until a step leads to a loss or gradient that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> run = Adam(lambda x: (float(x @ x), 2 * x), np.array([1.0]), learning_rate=0.1)
    >>> run.step(), run.state.x, run.state.step
    (True, array([0.9]), 1)
    """

    def __init__(
        self,
        fun_and_grad: FunAndGrad,
        x0: Any,
        *,
        learning_rate: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        schedule: Schedule | None = None,
    ) -> None:
        self._learning_rate = check_number("learning_rate", learning_rate, 0.0, exclusive=True)
        self._beta1 = _check_decay("beta1", beta1)
        self._beta2 = _check_decay("beta2", beta2)
        self._eps = check_number("eps", eps, 0.0, exclusive=True)
        if schedule is not None and not callable(schedule):
            raise TypeError(f"Argument `schedule` must be callable or None, not {shown(schedule)}.")
        self._schedule = schedule
        self._objective = Objective(fun_and_grad)
        self._begin(start_vector("x0", x0), None, 0, "x0")

    def _begin(self, x: FloatArray, moments: tuple[Any, Any, int] | None, step: int, name: str) -> None:
        m, v, t = (np.zeros_like(x), np.zeros_like(x), 0) if moments is None else moments
        m, v = _moment("m", m, x), _moment("v", v, x)
        t = check_integer("t", t, 0)
        fun, grad = self._objective.at_start(name, x)
        self._accept(_Point(x, fun, grad, step, m, v, t), 0.0)
        self.status: Status | None = None

    def _accept(self, point: _Point, rate: float) -> None:
        """Make this the point reached, by a step of this learning rate."""
        x, fun, grad, step, m, v, t = point
        state = AdamState(sealed(x), fun, sealed(grad), step, self._objective.nfev, sealed(m), sealed(v), t, rate)
        self._now = point, state  # the one assignment by which a step is accepted

    @property
    def state(self) -> AdamState:
        """The last point of finite loss and gradient."""
        return self._now[1]

    @property
    def nfev(self) -> int:
        """Evaluations so far, restarts included."""
        return self._objective.nfev

    def restart(self, x: Any, *, moments: tuple[Any, Any, int] | None = None, step: int | None = None) -> None:
        """Restart at `x`, of any length: with zero moments, or with ``moments=(m, v, t)`` of an earlier state.

        `step`, the argument of the schedule, keeps counting unless it is given. If `x` is not a point of finite loss,
        nothing changes. With the moments and the step of a state, the run continues as if it had never stopped.
        """
        step = self.state.step if step is None else check_integer("step", step, 0)
        self._begin(start_vector("x", x), moments, step, "x")

    def _memory_state(self) -> dict[str, Any]:
        """Return all that the next step depends on, in arrays and numbers: see :meth:`_go_on`."""
        point, _ = self._now
        return point._asdict() | {"status": None if self.status is None else int(self.status)}

    def _go_on(self, state: dict[str, Any]) -> None:
        """Go on from such a state, with the same bits as the run that it is of; nothing is evaluated."""
        self._accept(_Point(*(state[name] for name in _Point._fields)), 0.0)
        self.status = None if state["status"] is None else Status(state["status"])

    def __iter__(self) -> Iterator[AdamState]:
        while self.step():
            yield self.state

    def step(self) -> bool:
        """Take one step; False, with `state` unmoved, where the new loss or its gradient is not finite."""
        if self.status is not None:
            return False
        taken, t = self.state.step, self.state.t
        rate = self._learning_rate * self._factor(taken)
        if not math.isfinite(rate):
            raise ValueError(f"Argument `schedule` must give finite factors, not a rate of {rate} at {taken}.")
        x, m, v = self._moved(rate)
        fun, grad = self._objective(x)
        if not (math.isfinite(fun) and np.isfinite(grad).all()):
            self.status = Status.NONFINITE
            return False
        self._accept(_Point(x, fun, grad, taken + 1, m, v, t + 1), rate)
        return True

    def _factor(self, taken: int) -> float:
        """Return the factor on the learning rate after `taken` steps."""
        if self._schedule is None:
            return 1.0
        factor = self._schedule(taken)
        if isinstance(factor, bool) or not isinstance(factor, numbers.Real | np.ndarray) or np.size(factor) != 1:
            raise TypeError(f"Argument `schedule` must give numbers, not {shown(factor)} at {taken}.")
        return float(factor)

    def _moved(self, rate: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return new x, m, v."""
        point, _ = self._now
        x, beta1, beta2, t = point.x, self._beta1, self._beta2, point.t + 1
        numbers = np.array(
            [beta1, 1.0 - beta1, beta2, 1.0 - beta2, 1.0 - beta1**t, 1.0 - beta2**t, self._eps, rate], x.dtype
        )
        x_new, m_new, v_new = np.empty_like(x), np.empty_like(x), np.empty_like(x)
        with np.errstate(over="ignore", invalid="ignore"):
            adam_update(x, point.grad, point.m, point.v, numbers, x_new, m_new, v_new)
        return x_new, m_new, v_new


def _check_decay(name: str, value: float) -> float:
    """Return a decay rate in [0, 1)."""
    value = check_number(name, value, 0.0, 1.0)
    if value == 1.0:
        raise ValueError(f"Argument `{name}` must be less than 1, not 1.0.")
    return value


def _moment(name: str, value: Any, x: FloatArray) -> FloatArray:
    moment = start_vector(name, np.asarray(value, x.dtype))
    if moment.shape != x.shape:
        raise ValueError(f"Argument `{name}` must have shape {x.shape}, not {moment.shape}.")
    return moment


def adam(
    fun_and_grad: FunAndGrad,
    x0: Any,
    *,
    steps: int = 1000,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    schedule: str | Schedule | None = None,
    callback: Callable[[AdamState], object] | None = None,
) -> Any:
    r"""Minimise a function, which may be stochastic, by Adam.

    Parameters
    ----------
    fun_and_grad : callable
        ``fun_and_grad(x) -> (f, g)``: the loss, a number, and its gradient, shape (n,), perhaps of a new mini-batch at
        every call. `x` is read-only.
    x0 : array_like, shape (n,)
        The start, of finite loss. The run is in float32 if this is a float32 array, otherwise in float64.
    steps : int
        Steps to take.
    learning_rate : float
        About the distance that every parameter moves in a step.
    beta1, beta2 : float
        Decay rates of the two running means, in [0, 1).
    eps : float
        Added to the divisor, so that it is not 0.
    schedule : {"constant", "cosine"} or callable, optional
        A factor on the learning rate: 1; :func:`cosine` over `steps`; or ``schedule(taken)`` of the number of steps
        already taken.
    callback : callable, optional
        Called as ``callback(state)`` after every step, with an :class:`AdamState`. To stop the run, raise
        StopIteration in it.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x, fun, jac, nit, nfev, njev, success, status, message`` and ``history``, the nit + 1 losses. Where a step
        leads to a loss or a gradient that is not finite, the run ends at the point before.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or the loss or its gradient is not finite at `x0`.

    Examples
    --------
    >>> import numpy as np
    >>> result = adam(lambda x: (float(x @ x), 2 * x), [3.0, -4.0], steps=500, learning_rate=0.1, schedule="cosine")
    >>> bool(np.abs(result.x).max() < 1e-6), result.nit, result.nfev
    (True, 500, 501)
    """
    steps = check_integer("steps", steps, 0)
    if schedule is None or isinstance(schedule, str):
        name = check_option("schedule", schedule or "constant", ["constant", "cosine"])
        schedule = cosine(steps) if name == "cosine" else None
    run = Adam(fun_and_grad, x0, learning_rate=learning_rate, beta1=beta1, beta2=beta2, eps=eps, schedule=schedule)
    return drive(run, steps, callback, Status.FINISHED)
