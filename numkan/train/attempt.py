"""One trial of a search: a network fitted on coarse grids, and judged by samples that it has not seen."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np

from numkan.train.history import FitResult
from numkan.train.order import falls_in_order
from numkan.train.samples import Samples
from numkan.train.trials import Trial

__all__ = ["Attempt", "Order", "attempt", "fit_fully"]

#: The held-out error is worse than by chance if it exceeds the one from cross-validation by this factor.
_BELIEVED = 1.5


class Order(NamedTuple):
    """What a trial is to do. Equal orders of one search give the same bits."""

    number: int  # of the trial: it decides the random numbers
    division: int  # of the samples into those to learn from and those to judge by
    width: tuple[int, ...]
    k: int
    grids: tuple[int, ...]
    steps: int
    starts: int


class Attempt(NamedTuple):
    """What came of an order."""

    model: Any
    fit: FitResult
    trial: Trial


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

    It runs anywhere: what it needs is given, and nothing else is changed than what is given.
    """
    began = time.perf_counter()
    train, held = parts
    result = model.fit(
        train.x,
        train.goal.y,
        sample_weight=_weights(train),
        validation=(held.x, held.goal.y, _weights(held)),
        grids=list(order.grids),
        steps=order.steps,
        start="redraw",
        restarts=order.starts,
        time_limit=seconds,
        random_state=rng,
    )
    error = math.sqrt(result.validation_loss) if result.validation_loss >= 0 else math.inf
    score = result.gcv if error <= _BELIEVED * result.gcv else error
    gain, ratio = _last_gain(result)
    fits = falls_in_order(gain, ratio, order.k) or score <= least
    taken = time.perf_counter() - began
    trial = Trial(order.width, order.k, max(model.grid), error, max(score, least), gain, fits, taken)
    return Attempt(model, result, trial)


@np.errstate(all="ignore")
def fit_fully(model: Any, x: Any, y: Any, options: dict[str, Any]) -> tuple[Any, FitResult]:
    """Fit a network to all samples; return both, since a worker has a copy of the caller's."""
    return model, model.fit(x, y, **options)


def _last_gain(result: FitResult) -> tuple[float, float]:
    """Return the factors by which the last refinement of a fit lowered the error and refined the grid; or ones."""
    stages = result.stages
    if len(stages) < 2 or not stages[-1].validation > 0.0:
        return 1.0, 1.0
    return math.sqrt(stages[-2].validation / stages[-1].validation), stages[-1].grid / stages[-2].grid


def _weights(samples: Samples) -> Any:
    return samples.goal.weight if samples.goal.weight.size else None
