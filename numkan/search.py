"""``numkan.search``: the narrowest network that fits, found by trials from narrow to wide and from shallow to deep."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import as_float_array, check_integer, check_option, check_seed, is_list
from numkan._shown import shown
from numkan.kan import KAN
from numkan.train.budget import Budget, fit_work, start_work, steps_within
from numkan.train.history import FitResult, FitStatus
from numkan.train.order import ROUNDING, falls_in_order
from numkan.train.plan import Plan, make_plan
from numkan.train.samples import Samples, check_samples, split
from numkan.train.trials import SearchResult, Trial

__all__ = ["SearchResult", "Trial", "search"]

#: The hidden layers of the trials: none, then from narrow to wide and deep.
_SHAPES: tuple[tuple[int, ...], ...] = (
    (), (1,), (2,), (3,), (2, 1), (5,), (3, 2), (5, 2), (2, 2, 1), (5, 5), (3, 3, 1), (8,), (8, 3), (3, 2, 2, 1)
)  # fmt: skip

#: Most and fewest starts of a trial, the edges of all its starts together, and the steps in each of its stages.
_MAX_STARTS, _MIN_STARTS, _START_EDGES, _STEPS = 20, 5, 120, 40

#: The two grids of a trial, the largest number of coefficients, and the largest number for each target.
_TRIAL_GRIDS, _TRIAL_COEFFICIENTS, _TRIAL_SHARES = (5, 25), 700, (2.0, 0.6)

#: Share of the samples that is held out to judge trials.
_HELD_OUT = 0.15

#: Networks whose errors differ by a smaller factor count as equally good; the second factor is used if the best one
#: fits.
_AS_GOOD, _AS_GOOD_FITTING = 1.03, 3.0

#: The held-out error is worse than by chance if it exceeds the one from cross-validation by this factor.
_BELIEVED = 1.5

#: The data are taken to be noisy if the errors of this number of shapes agree to this factor and finer grids gain less
#: than that, once a shape was tried that is as wide as there are inputs, or this wide.
_NOISY_SHAPES, _NOISY_AGREE, _NOISY_GAIN, _WIDE_ENOUGH = 3, 1.1, 1.5, 5

#: This many of the best shapes are tried again from other starts, at most this many times in all (with an effort of 1).
_BEST_SHAPES, _MAX_TRIALS = 3, 60

#: Shapes are compared by their average errors if they were tried this often and their best trials differ by less than
#: this factor.
_OFTEN, _ALIKE = 3, 2.0

#: Share of work and time that trials leave to the last fit, and the share of the time that it gets in any case.
_LAST_SHARE, _LEAST_LAST_SHARE = 0.45, 0.05

_USED_UP = "no shape fits, and the work that `effort` allows is used up."


@np.errstate(all="ignore")  # trials check for values that are not finite
def search(
    x: Any,
    y: Any,
    *,
    widths: Sequence[Sequence[int]] | None = None,
    k: int | str = 3,
    effort: float = 1.0,
    time_limit: float | None = None,
    sample_weight: Any = None,
    random_state: int | np.random.Generator | None = 0,
    **options: Any,
) -> tuple[KAN, SearchResult]:
    """Find the narrowest network that fits the samples, and fit it.

    Networks are fitted on coarse grids, from no hidden layer to several, from narrow to wide, and judged by samples
    held out and by generalized cross-validation. The search takes the first network whose error falls with finer grids
    as fast as its splines allow, or else the narrowest that is about as good as the best. (Surplus nodes cost accuracy:
    a factor of ten and more without noise, one and a half with noise.) If none fits, the best shapes are tried again
    from other starts. The chosen network is then fitted to all samples, as far up the ladder of grids as it pays.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
    y : array_like, shape (n, n_out), or (n,) where there is one output
    widths : sequence of sequence of int, optional
        Whole widths to try instead, in this order, such as ``[[2, 1, 1], [2, 2, 1]]``.
    k : int or "auto"
        Degree of the splines; "auto" tries degree 5 with the chosen width too, and takes it if it is better.
    effort : float
        Scales the work that a search may take: starts, trials and steps, counted by their sizes and not by the clock.
        With 1, a search in which nothing fits takes a minute on one core; most take seconds.
    time_limit : float, optional
        Seconds for the whole search, checked at every step of training. Without it no decision depends on the clock.
    sample_weight : array_like, shape (n,), optional
    random_state : int, numpy.random.Generator or None
        Source of all random numbers. The same one gives the same network, to the bit, on one machine with one build of
        BLAS, for any number of threads of numkan and of BLAS, and on a busy machine too (unless `time_limit` is given).
    **options
        Passed on to :class:`numkan.KAN`: ``grid_eps``, ``extrapolate``, ``dtype``, ....

    Returns
    -------
    model : KAN
        Fitted.
    result : SearchResult

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said.

    Notes
    -----
    BLAS has one thread during the search, see :func:`numkan.KAN.fit`.

    Examples
    --------
    >>> import numpy as np
    >>> import numkan
    >>> x = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    >>> model, result = numkan.search(x, np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2))
    >>> model.width, result.fit.loss < 1e-9
    ([2, 1, 1], True)
    """
    with one_blas_thread():
        return _Search(x, y, widths, k, Budget(effort, time_limit), sample_weight, random_state, options).run()


class _Search:
    """A search in progress."""

    def __init__(
        self, x: Any, y: Any, widths: Any, k: Any, budget: Budget, weight: Any, random_state: Any, options: Any
    ) -> None:
        self._budget = budget
        self._degrees = _check_degrees(k)
        self._rng = check_seed("random_state", random_state)
        self._options = options
        x, y = as_float_array("x", x, np.float64), as_float_array("y", y, np.float64)
        n_in = x.shape[1] if x.ndim == 2 else 1
        n_out = y.shape[1] if y.ndim == 2 else 1
        self._widths = _check_widths(widths, n_in, n_out)
        self._x, self._y, self._weight = x, y, weight
        self._samples = samples = check_samples(self._new(self._widths[0], self._degrees[0]), x, y, "mse", weight)
        if samples.distinct < 8:
            what = "rows" if samples.distinct == len(samples) else "distinct rows"
            raise ValueError(f"Argument `x` must have at least 8 {what} to search with, not {samples.distinct}.")
        self._train, self._held = split(samples, _HELD_OUT, self._rng)
        self._rounding = ROUNDING * (float(np.sqrt(np.square(samples.goal.y.astype(np.float64)).mean())) or 1.0)
        self._trials: list[Trial] = []
        self._models: list[KAN] = []

    def _new(self, width: Sequence[int], k: int) -> KAN:
        return KAN(list(width), grid=5, k=k, seed=self._rng, **self._options)

    # --- trials ---------------------------------------------------------------------------------------------------

    def run(self) -> tuple[KAN, SearchResult]:
        """Try, choose, and fit."""
        budget, k = self._budget, self._degrees[0]
        why = self._try_shapes(k)
        for other in self._degrees[1:]:
            if budget.allows(_LAST_SHARE):
                self._try(self._chosen().width, other)
        chosen = self._chosen()
        model = self._models[self._trials.index(chosen)]
        fit = self._fit_all(model)
        return model, SearchResult(tuple(self._trials), chosen, fit, budget.seconds, *budget.end(why))

    def _try_shapes(self, k: int) -> str:
        """Try every shape, then the best ones again, until one fits; return the reason for the end."""
        for width in self._widths:
            self._try(width, k)
            if self._trials[-1].fits:
                return f"{list(width)} fits."
            if self._looks_like_noise():
                return "the best shapes agree, and finer grids gain nothing: the remaining error looks like noise."
            if not self._budget.allows(_LAST_SHARE):
                return _USED_UP
        return self._try_again(k)

    def _try_again(self, k: int) -> str:
        """Try the best shapes in turn, with other starts and held-out samples, until one fits; return the reason.

        Whatever the effort, that ends where as many trials as an effort of 1 allows bring nothing better.
        """
        number, best, best_at = 0, math.inf, 0
        while number < _MAX_TRIALS * self._budget.effort and self._budget.allows(_LAST_SHARE):
            if self._by_score()[0].score < best:
                best, best_at = self._by_score()[0].score, number
            if number - best_at > _MAX_TRIALS:
                break
            self._train, self._held = split(self._samples, _HELD_OUT, self._rng)
            shapes = list(dict.fromkeys(trial.width for trial in self._by_score()))[:_BEST_SHAPES]
            width = shapes[number % len(shapes)]
            self._try(width, k)
            if self._trials[-1].fits:
                return f"{list(width)} fits."
            number += 1
        return _USED_UP

    def _try(self, width: Sequence[int], k: int) -> None:
        """Fit one network on coarse grids."""
        began, budget = time.perf_counter(), self._budget
        model = self._new(width, k)
        edges = sum(a * b for a, b in pairwise(width))
        grids = self._grids(edges, width[-1], k)
        n, work = len(self._train), budget.work(_LAST_SHARE)
        plan = _plan(model, n, grids, _STEPS, redraw=True)
        starts = max(_MIN_STARTS, min(_MAX_STARTS, _START_EDGES // edges))
        result = model.fit(
            self._train.x,
            _targets(self._train),
            sample_weight=_weights(self._train),
            validation=(self._held.x, _targets(self._held), _weights(self._held)),
            grids=grids,
            steps=steps_within(work, model, n, plan),
            start="redraw",
            restarts=int(max(min(starts, work / start_work(model, n)), 1)),
            time_limit=budget.time(_LAST_SHARE),
            random_state=self._rng,
        )
        self._count(model, n, plan, result)
        error = math.sqrt(result.validation_loss) if result.validation_loss >= 0 else math.inf
        score = result.gcv if error <= _BELIEVED * result.gcv else error
        gain, ratio = _last_gain(result)
        fits = falls_in_order(gain, ratio, k) or score <= self._rounding
        seconds = time.perf_counter() - began
        trial = Trial(tuple(width), k, max(model.grid), error, max(score, self._rounding), gain, fits, seconds)
        self._trials.append(trial)
        self._models.append(model)

    def _count(self, model: KAN, n: int, plan: Plan, result: FitResult) -> None:
        self._budget.spend(fit_work(model, n, plan, result))
        self._budget.cut_by_time |= result.status is FitStatus.TIME

    def _grids(self, edges: int, n_out: int, k: int) -> list[int]:
        """Return the grids of a trial: two, or fewer if samples or time are short."""
        targets = self._train.distinct * n_out
        first, second = (
            max(1, min(grid, int(min(_TRIAL_COEFFICIENTS, share * targets) / edges) - k))
            for grid, share in zip(_TRIAL_GRIDS, _TRIAL_SHARES, strict=True)
        )
        return [first] if second < 2 * first else [first, second]

    # --- judgement ------------------------------------------------------------------------------------------------

    def _by_score(self) -> list[Trial]:
        return sorted(self._trials, key=lambda trial: trial.score)

    def _chosen(self) -> Trial:
        """Return the narrowest trial that is about as good as the best.

        If shapes that have been tried often differ little, the choice of held-out samples would decide between them.
        Then the result is the best trial of the shape that is best on average.
        """
        ranked = self._by_score()
        best = ranked[0]
        if not best.fits:
            shapes: dict[tuple[tuple[int, ...], int], list[Trial]] = {}
            for trial in ranked:
                shapes.setdefault((trial.width, trial.k), []).append(trial)
            often = [trials for trials in shapes.values() if len(trials) >= _OFTEN]
            if len(often) > 1 and often[1][0].score < _ALIKE * often[0][0].score:
                return min(often, key=lambda trials: sum(t.score for t in trials) / len(trials))[0]
        bound = best.score * (_AS_GOOD_FITTING if best.fits else _AS_GOOD)
        good = [trial for trial in ranked if trial.score <= bound and trial.k == best.k]
        return min(good, key=lambda trial: (len(trial.width), sum(trial.width), trial.score))

    def _looks_like_noise(self) -> bool:
        """Whether the best shapes all end at the same error, on any grid, so that a search would find no more.

        Shapes with fewer hidden nodes than there are inputs can agree because all of them are too narrow.
        """
        if max(max(trial.width[1:-1], default=0) for trial in self._trials) < min(self._x.shape[1], _WIDE_ENOUGH):
            return False
        best = self._by_score()[:_NOISY_SHAPES]
        agree = best[-1].score <= _NOISY_AGREE * best[0].score
        return len(best) == _NOISY_SHAPES and agree and all(trial.gain < _NOISY_GAIN for trial in best)

    def _fit_all(self, model: KAN) -> FitResult:
        """Fit the chosen network to all samples, with fewer steps than usual if too little work is left."""
        n = len(self._samples)
        plan = _plan(model, n, "auto", "auto", redraw=model.is_as_drawn)
        steps = steps_within(self._budget.work(), model, n, plan)
        result = model.fit(
            self._x,
            self._y,
            sample_weight=self._weight,
            steps=steps if steps < plan.steps else "auto",
            start="auto",
            time_limit=self._budget.time(least=_LEAST_LAST_SHARE),
            random_state=self._rng,
        )
        self._count(model, n, plan, result)
        return result


def _plan(model: KAN, n: int, grids: Any, steps: Any, *, redraw: bool) -> Plan:
    """Return the plan of a fit of n samples."""
    return make_plan(model, n, "auto", grids, steps, None, None, None, curved=True, redraw=redraw)


def _last_gain(result: FitResult) -> tuple[float, float]:
    """Return the factors by which the last refinement of a fit lowered the error and refined the grid; or ones."""
    stages = result.stages
    if len(stages) < 2 or not stages[-1].validation > 0.0:
        return 1.0, 1.0
    return math.sqrt(stages[-2].validation / stages[-1].validation), stages[-1].grid / stages[-2].grid


def _targets(samples: Samples) -> Any:
    return samples.goal.y


def _weights(samples: Samples) -> Any:
    return samples.goal.weight if samples.goal.weight.size else None


def _check_degrees(k: Any) -> tuple[int, ...]:
    if isinstance(k, str):
        check_option("k", k, ["auto"])
        return (3, 5)
    return (check_integer("k", k, 0),)


def _check_widths(widths: Any, n_in: int, n_out: int) -> list[tuple[int, ...]]:
    if widths is None:
        return [(n_in, *hidden, n_out) for hidden in _SHAPES]
    if not is_list(widths) or len(widths) == 0 or not all(is_list(width) for width in widths):
        raise TypeError(f"Argument `widths` must be a list of lists of integers, not {shown(widths)}.")
    checked = []
    for place, width in enumerate(widths):
        sizes = tuple(check_integer(f"widths[{place}]", size, 1) for size in width)
        if len(sizes) < 2 or (sizes[0], sizes[-1]) != (n_in, n_out):
            rule = f"go from {n_in} inputs to {n_out} outputs"
            raise ValueError(f"Argument `widths[{place}]` must {rule}, not {shown(sizes)}.")
        checked.append(sizes)
    return checked
