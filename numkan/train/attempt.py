"""One trial of a search: a network fitted on coarse grids, and judged by samples that it has not seen."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numkan.train.history import FitResult, Stage
from numkan.train.order import falls_in_order
from numkan.train.plan import make_plan
from numkan.train.samples import Samples
from numkan.train.trials import Trial

__all__ = ["Attempt", "Order", "attempt", "fit_fully"]

#: The held-out error is worse than by chance if it exceeds the one from cross-validation by this factor.
_BELIEVED = 1.5

#: A network that fits is tried on a finer grid too if the last fit will take one that is finer by `_FAR`, and if there
#: are no more coefficients than `_FEW` for each target: with more, errors fall less than the splines allow.
_FAR, _FEW = 3.0, 1 / 3


class Order(NamedTuple):
    """What a trial is to do. Equal orders of one search give the same bits."""

    number: int  # of the trial, which seeds its random numbers
    division: int  # of the samples into those to learn from and those to judge by
    width: tuple[int, ...]
    k: int
    grids: tuple[int, ...]
    steps: int
    starts: int


class Attempt(NamedTuple):
    """The result of an order."""

    order: Order
    model: Any
    fits: tuple[FitResult, ...]  # on the grids of the order, and on a finer one
    trial: Trial

    @property
    def falls_short(self) -> bool:
        """Whether the error fell as the splines allow on the grids of the order, but not on a finer one."""
        return len(self.fits) > 1 and not self.trial.fits


@np.errstate(all="ignore")  # what is not finite is checked for
def attempt(
    order: Order,
    model: Any,
    parts: tuple[Samples, Samples],
    rng: np.random.Generator,
    seconds: float | None,
    least: float,
) -> Attempt:
    """Fit a new network to the first part of the samples, and judge it by the second; `least` is the error of rounding.

    A copy of one that fits goes on to a finer grid if the last fit will refine it much: there a poor minimum shows
    whose error is below that of coarse splines. The last fit begins with the coarse ones: it needs their stages to find
    how smooth the curves are.

    It may run in any process: it reads and changes nothing but its arguments.
    """
    began = time.perf_counter()
    train, held = parts
    data = {"sample_weight": _weights(train), "validation": (held.x, held.goal.y, _weights(held))}
    options = {**data, "steps": order.steps, "random_state": rng}

    def fit(network: Any, grids: Sequence[int], **more: Any) -> FitResult:
        left = None if seconds is None else max(seconds - (time.perf_counter() - began), 0.0)
        result: FitResult = network.fit(train.x, train.goal.y, grids=list(grids), time_limit=left, **options, **more)
        return result

    def judged(network: Any, *fits: FitResult) -> Attempt:
        return Attempt(order, model, fits, _trial(order, network, fits, least, time.perf_counter() - began))

    made = judged(model, fit(model, order.grids, start="redraw", restarts=order.starts))
    if made.trial.fits and made.trial.score > least and (finer := _finer_grid(model, train)):
        copied = copy.deepcopy(model)
        made = judged(copied, *made.fits, fit(copied, [finer], start="keep"))
    return made


def _trial(order: Order, model: Any, fits: Sequence[FitResult], least: float, seconds: float) -> Trial:
    """Judge a network by its fits."""
    result = fits[-1]
    error = math.sqrt(result.validation_loss) if result.validation_loss >= 0 else math.inf
    score = result.gcv if error <= _BELIEVED * result.gcv else error
    gain, ratio = _last_gain([stage for one in fits for stage in one.stages])
    fit = falls_in_order(gain, ratio, order.k) or score <= least
    return Trial(order.width, order.k, max(model.grid), error, max(score, least), gain, fit, seconds)


def _finer_grid(model: Any, train: Samples) -> int:
    """Return a grid between that of a network and the finest of the last fit; or 0 where these are near."""
    plan = make_plan(
        model, len(train), "auto", "auto", "auto", None, None, None,
        curved=True, redraw=False, distinct=train.distinct,
    )  # fmt: skip
    now, finest = max(model.grid), plan.grids[-1] if plan.grids else 0
    finer = round(math.sqrt(now * finest))
    size = sum(layer.n_in * layer.n_out * (layer.k + finer) for layer in model.act_fun)
    is_worth_it = finest > _FAR * now and size < _FEW * train.distinct * model.n_out
    return finer if plan.method == "lm" and is_worth_it else 0


@np.errstate(all="ignore")
def fit_fully(model: Any, x: Any, y: Any, options: dict[str, Any]) -> tuple[Any, FitResult]:
    """Fit a network to all samples; return both, since a worker has a copy of the caller's."""
    return model, model.fit(x, y, **options)


def _last_gain(stages: Sequence[Stage]) -> tuple[float, float]:
    """Return the factors by which the last refinement lowered the error and refined the grid; or ones."""
    if len(stages) < 2 or not stages[-1].validation > 0.0:
        return 1.0, 1.0
    return math.sqrt(stages[-2].validation / stages[-1].validation), stages[-1].grid / stages[-2].grid


def _weights(samples: Samples) -> Any:
    return samples.goal.weight if samples.goal.weight.size else None
