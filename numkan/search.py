"""``numkan.search``: the narrowest network that fits, found by trying widths from narrow to wide and a layer more."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import check_integer, check_number, check_option, check_seed, is_list
from numkan.kan import KAN
from numkan.train.history import FitResult
from numkan.train.samples import Samples, check_samples, split

__all__ = ["SearchResult", "Trial", "search"]

#: Hidden layers that are tried: none, then from narrow to wide and deep.
_SHAPES: tuple[tuple[int, ...], ...] = (
    (), (1,), (2,), (3,), (2, 1), (5,), (3, 2), (5, 2), (2, 2, 1), (5, 5), (3, 3, 1), (8,), (8, 3), (3, 2, 2, 1)
)  # fmt: skip

#: Starts of a trial, the more the cheaper they are by their edges, and steps in each of its stages.
_MOST_STARTS, _FEWEST_STARTS, _START_EDGES, _STEPS = 20, 5, 120, 40

#: Trials have these two grids, as far as this number of coefficients allows, and their number for each target.
_TRIAL_GRIDS, _TRIAL_COEFFICIENTS, _TRIAL_SHARES = (5, 25), 700, (2.0, 0.6)

#: Share of the samples that judges.
_HELD_OUT = 0.15

#: A network fits where its last refinement brought the error down by this share of what the order of its splines says,
#: as an exponent: error ~ G^-(k + 1) * _ORDER.
_ORDER = 0.75

#: Networks whose errors differ by less count as equally good; the second where the best one fits.
_AS_GOOD, _AS_GOOD_FITTING = 1.03, 3.0

#: Errors below this share of the targets are rounding.
_ROUNDING = 1e-12

#: The held-out error is worse than chance lets it be where it is so many times what cross-validation says.
_BELIEVED = 1.5

#: Noise shows in so many shapes whose errors agree to this factor, and that gain less than this by finer grids.
_NOISY_SHAPES, _NOISY_AGREE, _NOISY_GAIN = 3, 1.1, 1.5

#: Other starts are given to so many of the best shapes, so often in all at most.
_BEST_SHAPES, _MOST_TURNS = 3, 60

#: Shapes that were tried so often, and whose best trials differ by less than this factor, are told apart by averages.
_OFTEN, _ALIKE = 3, 2.0

#: This share of the time is kept for the last fit.
_LAST_SHARE = 0.45


@dataclass(frozen=True, slots=True)
class Trial:
    """One network that was tried."""

    width: tuple[int, ...]
    k: int
    grid: int
    error: float  #: root mean square over the samples held out
    score: float  #: what it was judged by: root of the generalized cross-validation, or an error that is much larger
    gain: float  #: by which the last refinement lowered the error
    fits: bool  #: whether that is about as the order of the splines says, or the error is down at rounding
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """What :func:`search` has tried; printed, it is a table.

    Attributes
    ----------
    trials : tuple of Trial
        In the order in which they were made.
    chosen : Trial
        The one whose network was fitted to all samples.
    fit : FitResult
        Of that last fit.
    seconds : float
    """

    trials: tuple[Trial, ...]
    chosen: Trial
    fit: FitResult
    seconds: float

    def __str__(self) -> str:
        rows = [f"{'width':<18} {'k':>2} {'grid':>5} {'error':>10} {'score':>10} {'seconds':>8}"]
        for trial in self.trials:
            marks = ("  fits" if trial.fits else "") + ("  chosen" if trial is self.chosen else "")
            rows.append(
                f"{list(trial.width)!s:<18} {trial.k:2d} {trial.grid:5d} {trial.error:10.3e} {trial.score:10.3e} "
                f"{trial.seconds:8.2f}{marks}"
            )
        return "\n".join([*rows, f"Fitted to all samples: loss {self.fit.loss:.3e}, {self.seconds:.2f} s in all."])


def search(
    x: Any,
    y: Any,
    *,
    widths: Sequence[Sequence[int]] | None = None,
    k: int | str = 3,
    time_limit: float = 60.0,
    sample_weight: Any = None,
    random_state: int | np.random.Generator | None = 0,
    **options: Any,
) -> tuple[KAN, SearchResult]:
    """Find the narrowest network that fits the samples, and fit it.

    Networks are fitted on coarse grids, from no hidden layer to several, from narrow to wide, and judged by samples
    held out and by generalized cross-validation. The first one whose error falls with finer grids as fast as its
    splines allow is taken; otherwise the narrowest that is about as good as the best (surplus nodes cost accuracy:
    ten times and more without noise, half as much again in it). What is left of the time goes into other starts of the
    best shapes. The chosen network is then fitted to all samples, as far up the ladder of grids as it pays.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
    y : array_like, shape (n, n_out), or (n,) where there is one output
    widths : sequence of sequence of int, optional
        Whole widths to try instead, in this order, such as ``[[2, 1, 1], [2, 2, 1]]``.
    k : int or "auto"
        Degree of the splines; "auto" tries degree 5 with the chosen width too, and takes it where it is better.
    time_limit : float
        Seconds for everything, checked at every step of training.
    sample_weight : array_like, shape (n,), optional
    random_state : int, numpy.random.Generator or None
        Source of all random numbers.
    **options
        Go to :class:`numkan.KAN`: ``grid_eps``, ``extrapolate``, ``dtype``, ....

    Returns
    -------
    model : KAN
        Fitted.
    result : SearchResult

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said.

    Examples
    --------
    >>> import numpy as np
    >>> import numkan
    >>> x = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    >>> model, result = numkan.search(x, np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2), time_limit=60)
    >>> model.width, result.fit.loss < 1e-9
    ([2, 1, 1], True)
    """
    with one_blas_thread():
        return _Search(x, y, widths, k, time_limit, sample_weight, random_state, options).run()


class _Search:
    """A search in progress."""

    def __init__(
        self, x: Any, y: Any, widths: Any, k: Any, time_limit: Any, weight: Any, random_state: Any, options: Any
    ) -> None:
        self._began = time.perf_counter()
        self._limit = check_number("time_limit", time_limit, 0.0, exclusive=True)
        self._degrees = _check_degrees(k)
        self._rng = check_seed("random_state", random_state)
        self._options = options
        x, y = np.asarray(x), np.asarray(y)
        n_in = x.shape[1] if x.ndim == 2 else 1
        n_out = y.shape[1] if y.ndim == 2 else 1
        self._widths = _check_widths(widths, n_in, n_out)
        self._x, self._y, self._weight = x, y, weight
        self._samples = samples = check_samples(self._new(self._widths[0], self._degrees[0]), x, y, "mse", weight)
        if len(samples) < 8:
            raise ValueError(f"Argument `x` must have at least 8 rows to search with, not {len(samples)}.")
        self._train, self._held = split(samples, _HELD_OUT, self._rng)
        self._rounding = _ROUNDING * (float(np.sqrt(np.square(samples.goal.y.astype(np.float64)).mean())) or 1.0)
        self._trials: list[Trial] = []
        self._models: list[KAN] = []

    def _new(self, width: Sequence[int], k: int) -> KAN:
        return KAN(list(width), grid=5, k=k, seed=self._rng, **self._options)

    def _left(self, share: float = 1.0) -> float:
        """Return the seconds that are left of a share of the time."""
        return share * self._limit - (time.perf_counter() - self._began)

    # --- trials ---------------------------------------------------------------------------------------------------

    def run(self) -> tuple[KAN, SearchResult]:
        """Try, choose, and fit."""
        k = self._degrees[0]
        for width in self._widths:
            self._try(width, k)
            if self._trials[-1].fits or self._looks_like_noise() or self._left(1.0 - _LAST_SHARE) <= 0.0:
                break
        else:
            self._try_again(k)
        for other in self._degrees[1:]:
            if self._left(1.0 - _LAST_SHARE) > 0.0:
                self._try(self._chosen().width, other)
        chosen = self._chosen()
        model = self._models[self._trials.index(chosen)]
        fit = self._fit_all(model)
        return model, SearchResult(tuple(self._trials), chosen, fit, time.perf_counter() - self._began)

    def _try_again(self, k: int) -> None:
        """Spend the time on other starts and other samples held out for the best shapes, in turn, until one fits."""
        turn = 0
        while self._left(1.0 - _LAST_SHARE) > 0.0 and turn < _MOST_TURNS and not self._trials[-1].fits:
            self._train, self._held = split(self._samples, _HELD_OUT, self._rng)
            shapes = list(dict.fromkeys(trial.width for trial in self._by_score()))[:_BEST_SHAPES]
            self._try(shapes[turn % len(shapes)], k)
            turn += 1

    def _try(self, width: Sequence[int], k: int) -> None:
        """Fit one network on coarse grids."""
        began = time.perf_counter()
        model = self._new(width, k)
        edges = sum(a * b for a, b in pairwise(width))
        grids = self._grids(edges, width[-1], k)
        result = model.fit(
            self._train.x,
            _targets(self._train),
            sample_weight=_weights(self._train),
            validation=(self._held.x, _targets(self._held), _weights(self._held)),
            grids=grids,
            steps=_STEPS,
            start="redraw",
            restarts=max(_FEWEST_STARTS, min(_MOST_STARTS, _START_EDGES // edges)),
            time_limit=max(self._left(1.0 - _LAST_SHARE), 0.0),
            random_state=self._rng,
        )
        error = math.sqrt(result.validation_loss) if result.validation_loss >= 0 else math.inf
        score = result.gcv if error <= _BELIEVED * result.gcv else error
        gain, ratio = _last_gain(result)
        fits = gain > ratio ** (_ORDER * (k + 1)) > 1.0 or score <= self._rounding
        seconds = time.perf_counter() - began
        trial = Trial(tuple(width), k, max(model.grid), error, max(score, self._rounding), gain, fits, seconds)
        self._trials.append(trial)
        self._models.append(model)

    def _grids(self, edges: int, n_out: int, k: int) -> list[int]:
        """Return the grids of a trial: two, as far as samples and time allow."""
        targets = len(self._train) * n_out
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

        Where shapes that have been tried often differ little, the held-out samples that chance has drawn tell them
        apart: then it is the best trial of the shape that is best on average.
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
        """Whether the best shapes all stop at one error, on any grid: there is no more to be found."""
        best = self._by_score()[:_NOISY_SHAPES]
        agree = best[-1].score <= _NOISY_AGREE * best[0].score
        return len(best) == _NOISY_SHAPES and agree and all(trial.gain < _NOISY_GAIN for trial in best)

    def _fit_all(self, model: KAN) -> FitResult:
        return model.fit(
            self._x,
            self._y,
            sample_weight=self._weight,
            start="auto",
            time_limit=max(self._left(), 0.05 * self._limit),
            random_state=self._rng,
        )


def _last_gain(result: FitResult) -> tuple[float, float]:
    """Return by which the last refinement of a fit lowered the error, and by which it refined the grid; or ones."""
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
        raise TypeError(f"Argument `widths` must be a list of lists of integers, not {widths!r}.")
    checked = []
    for place, width in enumerate(widths):
        sizes = tuple(check_integer(f"widths[{place}]", size, 1) for size in width)
        if len(sizes) < 2 or (sizes[0], sizes[-1]) != (n_in, n_out):
            raise ValueError(f"Argument `widths[{place}]` must go from {n_in} inputs to {n_out} outputs, not {sizes}.")
        checked.append(sizes)
    return checked
