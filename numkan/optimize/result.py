"""The status of a run, as a number and a sentence, and the loop that runs any stepper.

A *stepper* holds the last accepted state and has one method, ``step``. :func:`numkan.optimize.lbfgs` and
:func:`numkan.optimize.adam` call :func:`drive` with a stepper. Training needs more control (it writes every accepted
step into a model, watches the clock and changes the grid), and uses the steppers themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

import numpy as np

from numkan._check import FloatArray
from numkan._shown import shown

__all__ = ["Status", "StepState", "Stepper", "drive"]


class Status(IntEnum):
    """Why a run ended. Values below ``STEPS`` count as success.

    Examples
    --------
    >>> from numkan.optimize import Status
    >>> Status.STEPS.success, Status.STEPS.message
    (False, 'Stopped: all steps were used before the run converged. Raise `steps` to go on.')
    """

    GRADIENT = 0  #: converged: the gradient is small
    DECREASE = 1  #: converged: the loss hardly falls
    ROUNDING = 2  #: converged: the next step is lost in rounding
    FINISHED = 3  #: all steps were taken, and there is no test of convergence
    STEPS = 4  #: all steps were taken before the run converged
    CALLBACK = 5  #: the callback raised StopIteration
    STALLED = 6  #: no step lowers the loss
    NONFINITE = 7  #: the loss or its gradient is NaN or infinite

    @property
    def success(self) -> bool:
        """Whether the run ended as intended."""
        return self < Status.STEPS

    @property
    def message(self) -> str:
        """The reason, and what to do about it."""
        return _MESSAGES[self]


_MESSAGES = {
    Status.GRADIENT: "Converged: no entry of the gradient is larger than `gtol`.",
    Status.DECREASE: "Converged: the last steps lowered the loss by no more than `ftol` times its size.",
    Status.ROUNDING: "Converged: the next step is lost in rounding. A wider dtype may go further.",
    Status.FINISHED: "All steps were taken, as asked: Adam has no test of convergence.",
    Status.STEPS: "Stopped: all steps were used before the run converged. Raise `steps` to go on.",
    Status.CALLBACK: "Stopped: the callback raised StopIteration.",
    Status.STALLED: (
        "Stopped: no step lowers the loss, not even along the gradient. Either the loss has reached its rounding "
        "floor (float64 may go further), or the gradient is not that of the loss (check it)."
    ),
    Status.NONFINITE: (
        "Stopped: the loss or its gradient is NaN or infinite at the next point, however short the step; x is the "
        "last point where both are finite. Smaller steps (Adam: `learning_rate`) or better scaled data may help."
    ),
}


class StepState(Protocol):
    """The fields of every accepted state."""

    @property
    def x(self) -> FloatArray: ...  # noqa: D102
    @property
    def fun(self) -> float: ...  # noqa: D102
    @property
    def grad(self) -> FloatArray: ...  # noqa: D102
    @property
    def step(self) -> int: ...  # noqa: D102


class Stepper(Protocol):
    """One accepted iteration at a time."""

    @property
    def state(self) -> Any: ...  # noqa: D102
    @property
    def status(self) -> Status | None: ...  # noqa: D102
    @property
    def nfev(self) -> int: ...  # noqa: D102
    def step(self) -> bool: ...  # noqa: D102


def drive(stepper: Stepper, steps: int, callback: Callable[[Any], object] | None, at_the_end: Status) -> Any:
    """Take up to `steps` steps, show each to `callback`, and return a ``scipy.optimize.OptimizeResult``.

    `at_the_end` is the status of a run that used all its steps. The result holds ``x, fun, jac, nit, nfev, njev,
    success, status, message`` and ``history``, the losses of the start and of every accepted step.
    """
    if callback is not None and not callable(callback):
        raise TypeError(f"Argument `callback` must be callable or None, not {shown(callback)}.")
    # scipy.optimize takes long to import, and only its result class is used.
    from scipy.optimize import OptimizeResult

    history = [stepper.state.fun]
    status = stepper.status
    while status is None and len(history) <= steps and stepper.step():
        history.append(stepper.state.fun)
        if callback is not None:
            try:
                callback(stepper.state)
            except StopIteration:
                status = Status.CALLBACK
    if status is None:
        status = at_the_end if stepper.status is None else stepper.status
    state = stepper.state
    result = OptimizeResult()
    result.update(
        x=np.array(state.x),
        fun=state.fun,
        jac=np.array(state.grad),
        nit=len(history) - 1,
        nfev=stepper.nfev,
        njev=stepper.nfev,
        success=status.success,
        status=int(status),
        message=status.message,
        history=np.array(history),
    )
    return result
