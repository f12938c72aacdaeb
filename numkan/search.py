"""``numkan.search``: the narrowest network that fits, found by trials from narrow to wide and from shallow to deep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice, pairwise
from typing import Any

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import as_float_array, check_integer, check_option, check_seed, is_list
from numkan._shown import shown
from numkan.kan import KAN
from numkan.train.ahead import Ahead
from numkan.train.attempt import Attempt, Order, attempt, fit_fully
from numkan.train.budget import Budget, fit_work, start_work, steps_within
from numkan.train.history import FitResult, FitStatus
from numkan.train.order import ROUNDING
from numkan.train.plan import Plan, make_plan
from numkan.train.ranking import choose, looks_like_noise, ranked
from numkan.train.samples import Samples, check_samples, split
from numkan.train.trials import SearchResult, Trial
from numkan.train.workers import Call, Workers, named

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

#: A shape whose error falls in the order of the splines on coarse grids only is tried again at once, this many times.
#: This many of the best shapes are tried again in the end, at most this many times in all (with an effort of 1).
_AT_ONCE, _BEST_SHAPES, _MAX_TRIALS = 4, 3, 60

#: Share of work and time that trials leave to the last fit, and the share of the time that it gets in any case.
_LAST_SHARE, _LEAST_LAST_SHARE = 0.45, 0.05

#: With an executor, at most this many trials begin before it is known that they are needed.
_AHEAD = 16

#: What random numbers are for; each use, and each trial, has its own, whatever the others drew.
_OF_TRIAL, _OF_DIVISION, _OF_LAST_FIT = range(3)

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
    executor: Any = None,
    **options: Any,
) -> tuple[KAN, SearchResult]:
    """Find the narrowest network that fits the samples, and fit it.

    Networks are fitted on coarse grids, from no hidden layer to several, from narrow to wide, and judged by samples
    held out and by generalized cross-validation. The search takes the first network whose error falls with finer grids
    as fast as its splines allow, or else the narrowest that is about as good as the best. (Surplus nodes cost accuracy:
    a factor of ten and more without noise, one and a half with noise.) A shape whose error falls so on coarse grids
    only is tried again from other starts before the next one. If none fits, the best shapes are tried again. The chosen
    network is then fitted to all samples, as far up the ladder of grids as it pays.

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
        BLAS, for any number of threads of numkan and of BLAS, from any executor and from none, and on a busy machine
        too (unless `time_limit` is given).
    executor : concurrent.futures.Executor, optional
        Runs the fits, several at once, see :func:`fit_many`. It begins trials before it is known that they are needed;
        those that are not needed are dropped, and if they run already they go on to their ends in vain.
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
    workers, budget = Workers(executor), Budget(effort, time_limit)
    with one_blas_thread():
        return _Search((x, y, sample_weight), widths, k, budget, random_state, workers, options).run()


class _Search:
    """A search in progress."""

    def __init__(
        self, data: tuple[Any, Any, Any], widths: Any, k: Any, budget: Budget, random_state: Any, workers: Workers,
        options: Any,
    ) -> None:  # fmt: skip
        x, y, weight = data
        self._budget, self._workers, self._ahead = budget, workers, Ahead(workers)
        self._degrees = _check_degrees(k)
        self._seed = int(check_seed("random_state", random_state).integers(2**63))
        self._options = options
        x, y = as_float_array("x", x, np.float64), as_float_array("y", y, np.float64)
        n_in = x.shape[1] if x.ndim == 2 else 1
        n_out = y.shape[1] if y.ndim == 2 else 1
        self._widths = _check_widths(widths, n_in, n_out)
        self._x, self._y, self._weight = x, y, weight
        first = self._new(self._widths[0], self._degrees[0], self._random(_OF_TRIAL))
        self._samples = samples = check_samples(first, x, y, "mse", weight)
        if samples.distinct < 8:
            what = "rows" if samples.distinct == len(samples) else "distinct rows"
            raise ValueError(f"Argument `x` must have at least 8 {what} to search with, not {samples.distinct}.")
        self._divisions: dict[int, tuple[Samples, Samples]] = {}
        self._rounding = ROUNDING * (float(np.sqrt(np.square(samples.goal.y.astype(np.float64)).mean())) or 1.0)
        self._made: list[Attempt] = []

    def _random(self, *use: int) -> np.random.Generator:
        """Return the random numbers of one use."""
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=use))

    def _new(self, width: Sequence[int], k: int, rng: np.random.Generator) -> KAN:
        return KAN(list(width), grid=5, k=k, seed=rng, **self._options)

    @property
    def _trials(self) -> list[Trial]:
        return [made.trial for made in self._made]

    def _division(self, number: int) -> tuple[Samples, Samples]:
        """Return samples to learn from and samples to judge by."""
        if number not in self._divisions:
            self._divisions[number] = split(self._samples, _HELD_OUT, self._random(_OF_DIVISION, number))
        return self._divisions[number]

    # --- trials ---------------------------------------------------------------------------------------------------

    def run(self) -> tuple[KAN, SearchResult]:
        """Try, choose, and fit."""
        try:
            budget, k = self._budget, self._degrees[0]
            why = self._try_shapes(k)
            self._ahead.drop()
            for other in self._degrees[1:]:
                if budget.allows(_LAST_SHARE):
                    self._try(self._order(len(self._made), 0, choose(self._trials).width, other))
            chosen = choose(self._trials)
            model, fit = self._fit_all(self._made[self._trials.index(chosen)].model)
        finally:
            self._ahead.drop()
        return model, SearchResult(tuple(self._trials), chosen, fit, budget.seconds, *budget.end(why))

    def _try_shapes(self, k: int) -> str:
        """Try every shape, then the best ones again, until one fits; return the reason for the end."""
        while (order := next(self._next(k), None)) is not None:
            self._ahead.foresee(islice(self._next(k), _AHEAD), self._begin)
            self._try(order)
            if self._made[-1].trial.fits:
                return f"{list(order.width)} fits."
            if not order.division and looks_like_noise(self._trials):
                return "the best shapes agree, and finer grids gain nothing: the remaining error looks like noise."
            if not self._budget.allows(_LAST_SHARE):
                break
        return _USED_UP

    def _next(self, k: int) -> Iterator[Order]:
        """Yield the trials to come, as they are if what is known so far does not change.

        All shapes in turn, one that falls short a few times; then the best ones again and again. Each trial again has
        other starts and held-out samples. Whatever the effort, that ends where as many trials as an effort of 1 allows
        bring nothing better.
        """
        n, trials = len(self._widths), self._trials
        firsts = [number for number, made in enumerate(self._made) if not made.order.division]
        again = len(trials) - len(firsts)
        if len(firsts) < n:
            last = self._made[firsts[-1] :] if firsts else []
            more = 1 + _AT_ONCE - len(last) if any(made.falls_short for made in last) else 0
            to_come = [(1 + again + number, last[0].order.width) for number in range(more)]
            to_come += [(0, width) for width in self._widths[len(firsts) :]]
            for number, (division, width) in enumerate(to_come, len(trials)):
                yield self._order(number, division, width, k)
            return
        shapes = list(dict.fromkeys(trial.width for trial in ranked(trials)))[:_BEST_SHAPES]
        best_at = max(1 + trials.index(ranked(trials)[0]) - n, 0)
        at_once = 1 + firsts[-1] - n
        for number in count(again):
            if number - at_once >= _MAX_TRIALS * self._budget.effort or number - best_at > _MAX_TRIALS:
                return
            yield self._order(n + number, 1 + number, shapes[number % len(shapes)], k)

    def _order(self, number: int, division: int, width: tuple[int, ...], k: int) -> Order:
        """Return what a trial does with the work that is left."""
        model = self._new(width, k, self._random(_OF_TRIAL, number))
        train, _ = self._division(division)
        edges = sum(a * b for a, b in pairwise(width))
        grids = self._grids(train.distinct * width[-1], edges, k)
        n, work = len(train), self._budget.work(_LAST_SHARE)
        steps = steps_within(work, model, n, _plan(model, n, grids, _STEPS, redraw=True))
        starts = max(_MIN_STARTS, min(_MAX_STARTS, _START_EDGES // edges))
        starts = int(max(min(starts, work / start_work(model, n)), 1))
        return Order(number, division, width, k, tuple(grids), steps, starts)

    def _begin(self, order: Order) -> Call:
        """Let a worker make a trial."""
        rng = self._random(_OF_TRIAL, order.number)
        model = self._new(order.width, order.k, rng)
        seconds = self._budget.time(_LAST_SHARE)
        return self._workers.begin(attempt, order, model, self._division(order.division), rng, seconds, self._rounding)

    def _try(self, order: Order) -> None:
        """Fit one network on coarse grids."""
        with named(lambda: f"This was the trial of the width {list(order.width)}."):
            made: Attempt = self._ahead.result(order, self._begin)
        n = len(self._division(order.division)[0])
        for fit in made.fits:
            self._count(made.model, n, _plan(made.model, n, order.grids, _STEPS, redraw=True), fit)
        self._made.append(made)
        for old in [number for number in self._divisions if 0 < number <= order.division]:
            del self._divisions[old]

    def _count(self, model: KAN, n: int, plan: Plan, result: FitResult) -> None:
        self._budget.spend(fit_work(model, n, plan, result))
        self._budget.cut_by_time |= result.status is FitStatus.TIME

    def _grids(self, targets: int, edges: int, k: int) -> list[int]:
        """Return the grids of a trial: two, or fewer if samples or time are short."""
        first, second = (
            max(1, min(grid, int(min(_TRIAL_COEFFICIENTS, share * targets) / edges) - k))
            for grid, share in zip(_TRIAL_GRIDS, _TRIAL_SHARES, strict=True)
        )
        return [first] if second < 2 * first else [first, second]

    # --- the end --------------------------------------------------------------------------------------------------

    def _fit_all(self, model: KAN) -> tuple[KAN, FitResult]:
        """Fit the chosen network to all samples, with fewer steps than usual if too little work is left."""
        n = len(self._samples)
        plan = _plan(model, n, "auto", "auto", redraw=model.is_as_drawn)
        steps = steps_within(self._budget.work(), model, n, plan)
        options = {
            "sample_weight": self._weight,
            "steps": steps if steps < plan.steps else "auto",
            "time_limit": self._budget.time(least=_LEAST_LAST_SHARE),
            "random_state": self._random(_OF_LAST_FIT),
        }
        with named(lambda: f"This was the last fit, of the width {model.width}."):
            fitted: tuple[KAN, FitResult] = self._workers.begin(fit_fully, model, self._x, self._y, options).result()
        self._count(fitted[0], n, plan, fitted[1])
        return fitted


def _plan(model: KAN, n: int, grids: Any, steps: Any, *, redraw: bool) -> Plan:
    """Return the plan of a fit of n samples."""
    return make_plan(model, n, "auto", grids, steps, None, None, None, curved=True, redraw=redraw)


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
