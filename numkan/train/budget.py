"""The budget of a search: work, in multiply-adds computed from sizes alone, so that it is the same on a busy machine.

The factors are measured on whole fits, from 100 to 100,000 samples and from 2 to 250 edges. Most of them took between
0.6 and 1.4 times the count made here, at 2.5e9 multiply-adds a second on one core of a server.
"""

from __future__ import annotations

import time
from typing import Any

from numkan._check import check_effort, check_number
from numkan.model.network import Network
from numkan.train.history import FitResult, FitStatus
from numkan.train.plan import Plan

__all__ = ["Budget", "fit_work", "start_work", "steps_within"]

#: Multiply-adds of a search with an effort of 1: a minute on one core.
_WORK = 1.5e11

#: Evaluations of a start, the intervals of its grid, and its largest number of samples. Most starts end early.
_START_EVALUATIONS, _START_GRID, _START_SAMPLES = 25, 3, 1000

#: Evaluations for each accepted step.
_EVALUATIONS = {"lm": 1.5, "lbfgs": 1.1, "adam": 1.0}

#: Of normal equations: what every evaluation costs; a function of an edge at a sample; a dense product beside a sparse
#: one; and a factorisation beside n^3 / 3.
_CALL, _FUNCTION, _DENSE, _FACTOR = 1e6, 45.0, 1 / 6, 0.1

#: A stage of a fit has at least this many steps.
_MIN_STEPS = 5


def normal_equations_work(model: Network, n: int, G: int) -> float:
    """Return the multiply-adds of one evaluation of Levenberg-Marquardt with G intervals."""
    row = sum(layer.n_in * layer.n_out * (layer.k + 1) for layer in model.act_fun)
    size = sum(layer.n_in * layer.n_out * (layer.k + G) for layer in model.act_fun)
    products = n * model.n_out * min(row**2, _DENSE * size**2) / 2
    return _CALL + _FUNCTION * n * row * (1 + model.n_out) / 2 + products + _FACTOR * size**3 / 3


def gradient_work(model: Network, n: int) -> float:
    """Return the multiply-adds of one evaluation of loss and gradient, on any grid."""
    return _CALL + 3.0 * n * sum(layer.n_in * layer.n_out * (layer.k + 2) for layer in model.act_fun)


def start_work(model: Network, n: int) -> float:
    """Return the multiply-adds of one start of Levenberg-Marquardt."""
    return _START_EVALUATIONS * normal_equations_work(model, min(n, _START_SAMPLES), _START_GRID)


def step_work(model: Network, n: int, plan: Plan, G: int) -> float:
    """Return the multiply-adds of one step on n samples with G intervals."""
    if plan.method == "lm":
        return _EVALUATIONS["lm"] * normal_equations_work(model, n, G)
    return _EVALUATIONS[plan.method] * gradient_work(model, plan.batch_size or n)


def steps_within(work: float, model: Network, n: int, plan: Plan) -> int:
    """Return the steps that each stage of a plan may have within `work` multiply-adds, at most those of the plan."""
    of_a_step = sum(step_work(model, n, plan, G) for G in plan.grids or (max(model.grid),))
    return int(min(plan.steps, max(work / of_a_step, _MIN_STEPS)))


def fit_work(model: Network, n: int, plan: Plan, result: FitResult) -> float:
    """Return the multiply-adds that a fit to n samples has taken."""
    steps = sum(stage.steps * step_work(model, n, plan, stage.grid) for stage in result.stages)
    return len(result.starts) * start_work(model, n) + steps


class Budget:
    """The work that a search may take, and its time limit if there is one."""

    def __init__(self, effort: Any, time_limit: Any) -> None:
        self._began = time.perf_counter()
        self.effort = check_effort(effort)
        self._limit = None if time_limit is None else check_number("time_limit", time_limit, 0.0, exclusive=True)
        self._work = _WORK * self.effort
        self.cut_by_time = False

    @property
    def seconds(self) -> float:
        """Seconds since the search began."""
        return time.perf_counter() - self._began

    def spend(self, work: float) -> None:
        """Subtract multiply-adds that were spent."""
        self._work -= work

    def work(self, kept: float = 0.0) -> float:
        """Return the multiply-adds that are left, less a share of the whole that is reserved."""
        return self._work - kept * _WORK * self.effort

    def time(self, kept: float = 0.0, least: float = 0.0) -> float | None:
        """Return the seconds that are left, less a share of the limit that is reserved, but at least a share of it."""
        return None if self._limit is None else max((1.0 - kept) * self._limit - self.seconds, least * self._limit)

    def allows(self, kept: float) -> bool:
        """Whether more is left than the reserved share; if time is short, note that."""
        self.cut_by_time |= self.time(kept) == 0.0
        return not self.cut_by_time and self.work(kept) > 0.0

    def end(self, why: str) -> tuple[FitStatus, str]:
        """Return how the search ended, `why` if time did not cut it."""
        if self.cut_by_time:
            return FitStatus.TIME, f"Stopped: the time limit of {self._limit:g} s cut trials or the last fit short."
        return FitStatus.FINISHED, f"Finished: {why}"
