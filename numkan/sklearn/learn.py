"""The recipe: networks from a constant to hidden layers, averaged as samples say that they have not seen."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from numkan.kan import KAN
from numkan.sklearn.blend import beats, blend
from numkan.sklearn.candidates import Candidate, Fitted, candidates
from numkan.sklearn.certainty import Mixture, Unseen, judged_rows, without_it
from numkan.sklearn.tasks import Numbers, Task, answers
from numkan.train.history import FitResult
from numkan.train.progress import Progress

__all__ = ["Learned", "Plan", "learn"]

Floats = NDArray[np.float64]

#: Parts of the samples that are left out in turn; fewer where there are many samples.
_FOLDS, _FEW_FOLDS, _MANY = 5, 3, 200

#: Of fewer samples none are left out.
_FEWEST = 10


@dataclass(frozen=True)
class Plan:
    """What the caller decides."""

    hidden: Any  # "auto", or sizes of hidden layers
    k: int
    time_limit: float | None
    progress: bool
    n_jobs: int | None


class Learned(NamedTuple):
    """An average of networks, and how each of them was fitted."""

    models: tuple[KAN, ...]
    weights: Floats
    results: tuple[FitResult, ...]
    candidates: tuple[Candidate, ...]
    unseen: Unseen | None = None  # errors of numbers, where cross-validation tells them

    @classmethod
    def of(cls, fitted: Sequence[Fitted], weights: Floats, unseen: Unseen | None = None) -> Self:
        """Return the average of fitted networks."""
        models, results, candidates = zip(*fitted, strict=True)
        return cls(models, weights, results, candidates, unseen)


class _Tried(NamedTuple):
    """A candidate: the networks that it enters the average with, and what it says of samples that it has not seen."""

    fitted: list[Fitted]
    said: Floats

    @property
    def is_alone(self) -> bool:
        """Whether one network has seen all samples."""
        return len(self.fitted) == 1


def learn(task: Task, plan: Plan, rng: np.random.Generator) -> Learned:
    """Fit the additive network to all samples, try the others, and average what is worth it."""
    end = math.inf if plan.time_limit is None else time.perf_counter() + plan.time_limit
    folds = _folds(len(task), rng)
    tried = candidates(task, plan.hidden, plan.k, len(folds))
    tries = len(tried) > 1 and len(folds) > 0
    bar = Progress(plan.progress, (len(folds) * len(tried) if tries else 0) + 1)
    try:
        with Parallel(n_jobs=plan.n_jobs, prefer="threads") as parallel:
            fits = _Fits(parallel, end, bar)
            seed = 0 if tries else int(rng.integers(2**31))  # in cross-validation starts are numbered by fold
            (first,) = fits(tried[0], [task], seed)
            others = list(_try(fits, tried, first, task, folds)) if tries else []
    finally:
        bar.close()
    return _average(task, first, others, folds)


def _folds(n: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return the places of the samples of each part."""
    if n < _FEWEST:
        return []
    number = _FOLDS if n < _MANY else _FEW_FOLDS
    return [np.sort(part) for part in np.array_split(rng.permutation(n), number)]


class _Fits:
    """Fits of a candidate to several tasks, as many at a time as joblib is set to."""

    def __init__(self, parallel: Any, end: float, bar: Progress) -> None:
        self._parallel, self._end, self._bar = parallel, end, bar

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.perf_counter() > self._end

    def __call__(self, candidate: Candidate, tasks: list[Task], seed: int = 0, **options: Any) -> list[Fitted]:
        """Fit to tasks, each with a seed of its own from this one on."""
        left = self._end - time.perf_counter()
        limits = {"time_limit": max(left, 0.0)} if math.isfinite(left) else {}
        jobs = (delayed(candidate.fit)(task, place, **options, **limits) for place, task in enumerate(tasks, seed))
        found: list[Fitted] = self._parallel(jobs)
        for model, result, _ in found:
            self._bar.step(max(model.grid), result.loss, result.validation_loss)
        return found


def _try(
    fits: _Fits, tried: list[Candidate], first: Fitted, task: Task, folds: list[NDArray[np.int64]]
) -> Iterator[_Tried]:
    """Yield every candidate, judged by samples that it has not seen, while time lasts.

    Networks with hidden layers differ from start to start: those of the folds are averaged. Of numbers, weights decide
    how much they say; classes have less to tell, and hidden layers are to be better by one standard error.
    """
    simple = best = np.full(len(task), np.inf)
    for place, candidate in enumerate(tried):
        whole = [first] if place == 0 else fits(candidate, [task]) if candidate.is_simple else []
        parts, said = _cross_validated(fits, candidate, whole, task, folds, best)
        if fits.is_over:
            return
        loss = task.losses(said)
        if np.isnan(loss).any():
            return
        if place == 0:
            simple = loss
        if not (candidate.is_simple or isinstance(task, Numbers) or beats(loss, simple, task.weight)):
            return
        best = min(best, loss, key=lambda each: float(task.weight @ each))
        yield _Tried(whole or parts, said)


def _cross_validated(
    fits: _Fits,
    candidate: Candidate,
    whole: list[Fitted],
    task: Task,
    folds: list[NDArray[np.int64]],
    best: Floats,
) -> tuple[list[Fitted], Floats]:
    """Return the networks of the folds, and what each says of the samples that it has not seen.

    Where a network was fitted to all samples, those of the folds take its grid. `best` has the losses of the best
    candidate so far. Larger hidden layers that do not beat it on the first fold are not fitted to the others, of which
    nothing is said then (NaN): few of them would win, and they cost most of the time.
    """
    everyone, said = np.arange(len(task)), np.full((len(task), task.n_answers), np.nan)
    tasks = [task.take(np.setdiff1d(everyone, part)) for part in folds]
    parts: list[Fitted] = []
    if candidate.is_blind:
        for part, others in zip(folds, tasks, strict=True):
            said[part] = others.constant()
        return parts, said
    options: dict[str, Any] = {"grids": [max(whole[0].model.grid)], "validation": None} if whole else {}
    for many in [1, len(folds)] if candidate.must_lead else [len(folds)]:
        parts += fits(candidate, tasks[len(parts) : many], len(parts), **options)
        for part, fitted in zip(folds, parts, strict=False):
            said[part] = answers(type(task), fitted.model, task.z[part])
        if many == 1 and not _gains(task, said, best, folds[0]):
            break
    return parts, said


def _gains(task: Task, said: Floats, best: Floats, part: NDArray[np.int64]) -> bool:
    """Whether the loss of some samples is less than the best candidate's by more than chance."""
    return beats(task.losses(said)[part], best[part], task.weight[part])


def _average(task: Task, first: Fitted, others: list[_Tried], folds: list[NDArray[np.int64]]) -> Learned:
    """Return the average of what was tried; the additive network alone if nothing was."""
    if not others:
        return Learned.of([first], np.ones(1))
    shares = blend(task, [one.said for one in others])
    chosen = [(one, float(share)) for one, share in zip(others, shares, strict=True) if share > 0.0]
    fitted = [each for one, _ in chosen for each in one.fitted]
    weights = np.array([share / len(one.fitted) for one, share in chosen for _ in one.fitted])
    return Learned.of(fitted, weights, _unseen(task, chosen, folds) if isinstance(task, Numbers) else None)


def _unseen(task: Task, chosen: list[tuple[_Tried, float]], folds: list[NDArray[np.int64]]) -> Unseen | None:
    """Return what an average does at samples that its networks have not seen; None where one has no posterior.

    Where there is a network for each fold, it has not seen the samples of its own one; what it would say without one of
    the others follows from the sample's leverage.
    """
    if any(each.model._posterior is None for one, _ in chosen for each in one.fitted):
        return None
    rows = judged_rows(len(task))
    errors, weights, parts = -task.goal[rows], list[float](), list[tuple[Floats, Floats]]()
    for one, share in chosen:
        for each, fold in zip(one.fitted, folds, strict=False):
            seen = np.ones(len(rows), bool) if one.is_alone else ~np.isin(rows, fold)
            parts.append(without_it(each.model, task, rows, seen))
            weights.append(share / len(one.fitted))
            errors += weights[-1] * (one.said[rows] if one.is_alone else parts[-1][0])
    means, deviations = map(np.array, zip(*parts, strict=True))
    return Unseen(rows, errors, np.square(Mixture(np.array(weights), means, deviations).deviation))
