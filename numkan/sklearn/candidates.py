"""The networks that an estimator tries, as far as samples and work allow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from numkan.kan import KAN
from numkan.sklearn.tasks import Task
from numkan.train.history import FitResult

__all__ = ["Candidate", "Fitted", "candidates"]

#: Hidden layers that are tried, with their grids, where there are enough distinct samples.
_HIDDEN: dict[tuple[int, ...], int] = {(2,): 4, (5,): 3}
_FEW = 30

#: Multiply-adds of all fits of a candidate, about 2 s on a core; and steps of a fit, as many as hidden layers take.
_WORK, _STEPS = 2e10, 40

#: Starts that a network with hidden layers is drawn from: those of several folds are averaged.
_STARTS = 1


class Fitted(NamedTuple):
    """A network and what its fit has told."""

    model: KAN
    result: FitResult


@dataclass(frozen=True)
class Candidate:
    """A shape, and how it is fitted."""

    hidden: tuple[int, ...]
    k: int = 3
    options: tuple[tuple[str, Any], ...] = ()
    is_blind: bool = False  # whether it sees no inputs, and says the same of all samples

    @property
    def is_simple(self) -> bool:
        """Whether its fit has one minimum, so that a fit to all samples is the one that cross-validation judges."""
        return not self.hidden

    def fit(self, task: Task, seed: int, **limits: Any) -> Fitted:
        """Fit a network. Outside the range of the samples it goes on as a constant."""
        width = [task.z.shape[1], *self.hidden, task.n_out]
        model = KAN(width, grid=5, k=self.k, extrapolate="clamp", seed=seed)
        result = model.fit(
            np.zeros_like(task.z) if self.is_blind else task.z,
            task.goal,
            loss=task.loss,
            sample_weight=task.given_weight,
            random_state=seed,
            monotonic=None if self.is_blind else task.senses,
            **dict(self.options),
            **limits,
        )
        return Fitted(model, result)

    def work(self, task: Task) -> float:
        """Return about how many multiply-adds a fit takes: normal equations of all coefficients, step by step."""
        width = [task.z.shape[1], *self.hidden, task.n_out]
        row = sum(a * b for a, b in pairwise(width)) * (self.k + 1)
        return float(_STEPS * len(task) * task.n_out * row**2 / 2)


def candidates(task: Task, hidden: Any, k: int, folds: int) -> list[Candidate]:
    """Return what is tried: the additive network first, then simpler ones, and hidden layers as work allows.

    A constant draws predictions to the mean where the columns tell little.
    """
    if hidden != "auto":
        return [Candidate(hidden, k)]
    lines = Candidate((), 1, (("grids", [1]), ("validation", None)))
    found = [Candidate((), k), lines, replace(lines, is_blind=True)]
    if len(task) < _FEW:
        return found
    for sizes, grid in _HIDDEN.items():
        candidate = Candidate(
            sizes, k, (("grids", [grid]), ("validation", None), ("restarts", _STARTS), ("steps", _STEPS))
        )
        if folds * candidate.work(task) <= _WORK:
            found.append(candidate)
    return found
