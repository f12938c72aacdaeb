"""The network of `partial_fit`: found by the first batch of rows, and led on by all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np

from numkan.kan import KAN
from numkan.sklearn.candidates import Candidate
from numkan.sklearn.learn import Plan
from numkan.sklearn.tasks import Classes, Task
from numkan.train.history import FitResult
from numkan.train.stream import Stream

__all__ = ["Online", "begin"]

#: Intervals of an additive network, as far as this many coefficients allow. Penalties make it as smooth as need be.
_FINEST, _COARSEST, _COEFFICIENTS = 20, 3, 1000


class Online(NamedTuple):
    """A network that learns, and how it was found."""

    stream: Stream
    result: FitResult
    candidate: Candidate
    losses: tuple[float, ...] = ()

    @property
    def model(self) -> KAN:
        """The network."""
        return cast(KAN, self.stream.model)

    def learn(self, task: Task, loss: float) -> Online:
        """Let the network learn a batch; `loss` is its loss on the batch before that."""
        self.stream.learn(task.z, task.goal, task.weight)
        return self._replace(losses=(*self.losses, loss))


def begin(task: Task, plan: Plan, rng: np.random.Generator) -> tuple[Online, Task]:
    """Return a network with the grids of a first batch, and what it is to learn from that."""
    task = _with_each_class(task)
    hidden = () if plan.hidden == "auto" else plan.hidden
    candidate = Candidate(hidden, plan.k, () if hidden else (("grids", [_grid(task, plan.k)]), ("validation", None)))
    limits: dict[str, Any] = {} if plan.time_limit is None else {"time_limit": plan.time_limit}
    model, result, _ = candidate.fit(task, int(rng.integers(2**31)), **limits)
    return Online(Stream(model, task.loss, task.senses), result, candidate), task


def _grid(task: Task, k: int) -> int:
    edges = task.z.shape[1] * task.n_out
    return int(np.clip(_COEFFICIENTS // edges - k, _COARSEST, _FINEST))


def _with_each_class(task: Task) -> Task:
    """Return a task with half a row more of each class, at the mean of all rows, so that no class is impossible."""
    if not isinstance(task, Classes):
        return task
    number = task.n_answers
    mean = np.average(task.z, axis=0, weights=task.weight)
    return replace(
        task,
        z=np.vstack([task.z, np.tile(mean, (number, 1))]),
        goal=np.append(task.goal, np.arange(number)),
        weight=np.append(task.weight, np.full(number, 0.5)),
    )
