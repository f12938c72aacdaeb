"""The networks that an estimator tries, as far as samples and work allow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from numkan.kan import KAN
from numkan.sklearn.tasks import Numbers, Task
from numkan.train.history import FitResult

__all__ = ["Candidate", "Fitted", "candidates"]

#: Hidden layers that are tried, with their grids, where there are enough distinct samples. One node is tried for
#: numbers only: the probability of a class is a curve of a sum without it.
_HIDDEN: dict[tuple[int, ...], int] = {(1,): 4, (2,): 4, (5,): 3}
_FEW = 30

#: Outliers hardly move curves of more samples than these.
_MANY = 5000

#: Multiply-adds of all fits of a candidate, about 2 s on a core; and steps of a fit, as many as hidden layers take.
_WORK, _STEPS = 2e10, 40

#: Where that is not enough for all samples a candidate is fitted to a sample of them, of this size at least.
_LEAST = 5000

#: Starts that a network with hidden layers is drawn from: those of several folds are averaged.
_STARTS = 1


class Fitted(NamedTuple):
    """A network, the result of its fit, and the candidate that it is of."""

    model: KAN
    result: FitResult
    candidate: Candidate


@dataclass(frozen=True)
class Candidate:
    """A shape, and how it is fitted."""

    hidden: tuple[int, ...]
    k: int = 3
    options: tuple[tuple[str, Any], ...] = ()
    is_blind: bool = False  # whether it sees no inputs, and says the same of all samples
    loss: str = ""  # of its fits, where it is not the task's
    must_lead: bool = False  # whether it is dropped where it is not the best on the first fold
    max_samples: int | None = None  # of a fit, drawn from those of the task where these are more

    @property
    def is_simple(self) -> bool:
        """Whether its fit has one minimum, so that a fit to all samples is the one that cross-validation judges."""
        return not self.hidden

    def fit(self, task: Task, seed: int, **options: Any) -> Fitted:
        """Fit a network. Outside the range of the samples it goes on as a constant."""
        if self.max_samples is not None and len(task) > self.max_samples:
            task = task.take(np.sort(np.random.default_rng(seed).choice(len(task), self.max_samples, replace=False)))
        width = [task.z.shape[1], *self.hidden, task.n_out]
        model = KAN(width, grid=5, k=self.k, extrapolate="clamp", seed=seed)
        return self._trained(model, task, **{"random_state": seed, **dict(self.options), **options})

    def go_on(self, model: KAN, task: Task, **options: Any) -> Fitted:
        """Fit a network of this candidate further, on its grids, from where it is."""
        return self._trained(model, task, start="keep", grids=None, **options)

    def _trained(self, model: KAN, task: Task, **options: Any) -> Fitted:
        result = model.fit(
            np.zeros_like(task.z) if self.is_blind else task.z,
            task.goal,
            loss=self.loss or task.loss,
            sample_weight=task.given_weight,
            monotonic=None if self.is_blind else task.senses,
            **options,
        )
        return Fitted(model, result, self)

    def samples_for(self, work: float, task: Task) -> int:
        """Return how many samples a fit of about `work` multiply-adds can take: each step has its normal equations."""
        width = [task.z.shape[1], *self.hidden, task.n_out]
        row = sum(a * b for a, b in pairwise(width)) * (self.k + 1)
        return int(work / (_STEPS * task.n_out * row**2 / 2))


def candidates(task: Task, hidden: Any, k: int, folds: int) -> list[Candidate]:
    """Return what is tried: the additive network first, then simpler ones, and others as samples and work allow.

    A constant draws predictions to the mean where the columns tell little, and curves by Huber's loss pass by outliers.
    One hidden node is a curve of a sum of curves: a product, say.
    """
    if hidden != "auto":
        return [Candidate(hidden, k)]
    lines = Candidate((), 1, (("grids", [1]), ("validation", None)))
    found = [Candidate((), k), lines, replace(lines, is_blind=True)]
    if len(task) < _FEW:
        return found
    of_numbers = isinstance(task, Numbers)
    more = [Candidate((), k, loss="huber")] if of_numbers and len(task) <= _MANY else []
    more += [_hidden(sizes, grid, k) for sizes, grid in _HIDDEN.items() if of_numbers or sizes != (1,)]
    work = _WORK / max(folds, 1)
    return found + [
        replace(candidate, max_samples=candidate.samples_for(work, task))
        for candidate in more
        if candidate.samples_for(work, task) >= min(len(task), _LEAST)
    ]


def _hidden(sizes: tuple[int, ...], grid: int, k: int) -> Candidate:
    options = (("grids", [grid]), ("validation", None), ("restarts", _STARTS), ("steps", _STEPS))
    return Candidate(sizes, k, options, must_lead=sizes != (1,))
