"""Check an adapter: each law on many cases, failing ones made small, with time limits and without trust."""

from __future__ import annotations

import contextlib
import fnmatch
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numkan._check import check_integer, check_number, is_iterable
from numkan._shown import shown
from numkan.conformance.adapter import POLICIES, claims
from numkan.conformance.bench import Bench, Child
from numkan.conformance.cases import from_plain, plain
from numkan.conformance.guard import Guard
from numkan.conformance.in_time import in_time
from numkan.conformance.law import Broken, Law, measured
from numkan.conformance.laws import LAWS
from numkan.conformance.making import cases_of, summary
from numkan.conformance.report import FAIL, FORMAT, KNOWN, NOT_CLAIMED, PASS, Report, Result, environment
from numkan.conformance.scope import AdapterError, Scope, declared, natural, scope_of
from numkan.conformance.search import search
from numkan.conformance.spline_cases import clamped

__all__ = ["EXAMPLES", "Here", "bench_of", "check", "examined", "judge", "opened", "replay", "selected"]

#: Cases that are drawn for each law, beside those of the design, in the standard run and in each round of soak mode.
EXAMPLES = 25


def check(
    adapter: Any,
    *,
    only: Iterable[str] = (),
    soak: float = 0.0,
    seed: int = 0,
    examples: int = EXAMPLES,
    timeout: float = 60.0,
    known: Mapping[str, str] | None = None,
) -> Report:
    """Hold an adapter to every law that it claims, and return the report.

    Parameters
    ----------
    adapter : object or str
        An object with the methods and policies of :mod:`numkan.conformance.adapter`, or a class, which is called first.
        Or the text "package.module:name": it is then imported in a child process, where a crash or a call that hangs
        fails one law, and the others are tried nevertheless.
    only : iterable of str
        Ids of laws, or patterns such as ``"P-*"``; without it, all.
    soak : float
        Seconds to continue with new cases. By default every law gets one round of cases, always the same ones.
    seed : int
        Seed of the cases; the soak mode continues with seed + 1, seed + 2, and so on.
    examples : int
        Cases that are drawn for each law and round, beside those that hold all pairs of degrees, dtypes, kinds of
        knots and so on.
    timeout : float
        Seconds that one call of the adapter may take.
    known : mapping of str to str
        Laws that are known to fail, with reasons. If one of them holds, that is a failure too.

    Returns
    -------
    Report
        With ``ok``, ``results``, ``text()``, ``json()`` and ``markdown()``.

    Raises
    ------
    AdapterError
        Where the adapter cannot be used: no `basis`, one that returns something else, or one that hangs.

    Examples
    --------
    >>> class Constant:
    ...     dtype, bits, degrees = "float64", "exact", (1,)
    ...     extrapolation, right_end, degenerate_knots = "fade", "closed", "limit"
    ...     def basis(self, x, knots, k):
    ...         return np.full((len(x), len(knots) - 1 - k), 0.5)
    >>> report = check(Constant(), only=["P-POS", "P-SUP"])
    >>> [(result.law.id, result.outcome) for result in report.results]
    [('P-POS', 'PASS'), ('P-SUP', 'FAIL')]
    """
    laws, known = selected(only), _named(known or {})
    seed, examples = check_integer("seed", seed, 0), check_integer("examples", examples, 0)
    soak = check_number("soak", soak, 0.0)
    with bench_of(adapter, timeout) as bench:
        return examined(bench, laws, soak=soak, seed=seed, examples=examples, known=known)


def examined(
    bench: Bench, laws: list[Law], *, soak: float, seed: int, examples: int, known: Mapping[str, str]
) -> Report:
    """Return the report of some laws on a bench; see :func:`check` for the options."""
    start = time.monotonic()
    found: dict[str, Result] = {}
    rounds = 0
    while not rounds or time.monotonic() - start < soak:
        for law in laws:
            before = found.get(law.id)
            if before is None or before.outcome == PASS:
                if rounds and time.monotonic() - start >= soak:
                    break
                found[law.id] = _joined(before, bench.judge(law.id, seed + rounds, examples))
        rounds += 1
        if not any(result.outcome == PASS for result in found.values()):
            break
    results = tuple(_with_known(found[law.id], known) for law in laws)
    took = f"{time.monotonic() - start:.1f} s"
    tried = dict.fromkeys(law.about for law in laws if found[law.id].cases)
    cases = {f"cases of {about}": summary(cases_of(about, bench.scope, seed, examples)) for about in tried}
    facts = environment(seed=seed, rounds=rounds, drawn=examples, **cases, took=took)
    return Report(bench.name, results, facts)


def bench_of(adapter: Any, timeout: float) -> AbstractContextManager[Bench]:
    """Return the bench of an adapter: a child process for a name, this process for an object."""
    if not isinstance(timeout, int | float) or not 0 < timeout < np.inf:
        raise ValueError(f"Argument `timeout` must be a positive number of seconds, not {timeout!r}.")
    return Child(adapter, timeout) if isinstance(adapter, str) else contextlib.nullcontext(Here(adapter, timeout))


class Here:
    """A bench in this process."""

    def __init__(self, adapter: Any, timeout: float = 60.0, alive: Callable[[], object] = lambda: None) -> None:
        self._timeout = timeout
        self.name, self._guard, self.scope = opened(adapter, timeout, alive)

    def judge(self, id: str, seed: int, examples: int) -> Result:
        """Try a law on the cases of one seed, and return the result."""
        return judge(LAWS[id], self._guard, self.scope, seed, examples, self._timeout)

    def replay(self, id: str, example: dict[str, Any]) -> Result:
        """Try a law on one case, as plain numbers."""
        trial = _Trial(LAWS[id], self._guard)
        again = partial(_quietly, trial, from_plain(LAWS[id].about, example))
        in_time(again, self._guard, self._timeout, f"while {id} was replayed")
        return trial.result()


def opened(adapter: Any, timeout: float = 60.0, alive: Callable[[], object] = lambda: None) -> tuple[str, Guard, Scope]:
    """Return an adapter's name, the adapter under guard, and its scope; raise an error if it cannot be used."""
    if isinstance(adapter, type):
        adapter = adapter()
    if not callable(getattr(adapter, "basis", None)):
        raise AdapterError(f"An adapter must have a method `basis(x, knots, k)`, and {_name(adapter)} has none.")
    for policy in POLICIES:
        declared(adapter, policy)
    scope, guard = scope_of(adapter), Guard(adapter)
    guard.alive = alive
    natural(adapter, "max_derivative", 1)
    k = 1 if 1 in scope.degrees else scope.degrees[0]
    knots = np.arange(-k, max(4.0, scope.min_intervals + 1) + k).astype(scope.dtypes[0])
    if scope.clamped:
        knots = clamped(knots, k)
    x = np.array([0.25, 1.5, 2.75], knots.dtype)

    def probe() -> None:
        try:
            guard.basis(x, knots, k)
        except Broken as broken:
            raise AdapterError(f"The adapter cannot be used: {broken} (three points, even knots, k = {k}).") from None

    in_time(probe, guard, timeout, "at the first call")
    return _name(adapter), guard, scope


def _name(adapter: Any) -> str:
    kind = type(adapter)
    name = getattr(adapter, "name", None) or f"{kind.__module__}.{kind.__qualname__}"
    return f"{name} {getattr(adapter, 'version', '') or ''}".strip()


def selected(only: Iterable[str]) -> list[Law]:
    """Return the laws that some patterns name; all of them without patterns."""
    patterns: list[Any] = [only] if isinstance(only, str) else list(only) if is_iterable(only) else [only]
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f"Argument `only` must be a list of patterns of laws, not {shown(only)}.")
    for pattern in patterns:
        if not fnmatch.filter(LAWS, pattern):
            raise ValueError(f"Argument `only` must name laws, such as 'P-PoU' or 'G-*', not {shown(pattern)}.")
    return [law for id, law in LAWS.items() if not patterns or any(fnmatch.fnmatchcase(id, one) for one in patterns)]


# --- one law ------------------------------------------------------------------------------------------------------


def judge(law: Law, guard: Guard, scope: Scope, seed: int, examples: int, timeout: float) -> Result:
    """Try a law on cases of one seed, and return the result."""
    unclaimed = _unclaimed(law, guard, scope)
    if unclaimed:
        return Result(law, NOT_CLAIMED, message=unclaimed)
    undeclared = [policy for policy in law.policies if not declared(guard, policy)]
    if undeclared:
        return Result(law, FAIL, message=f"policy `{undeclared[0]}` is not declared")
    trial = _Trial(law, guard)
    in_time(partial(search, trial, scope, seed, examples), guard, timeout, f"while {law.id} was checked")
    return trial.result()


def _unclaimed(law: Law, guard: Guard, scope: Scope) -> str:
    """Return the reason why a law is not claimed; empty if it is."""
    missing = [name for name in law.needs if not claims(guard, name)]
    if missing:
        return f"needs {', '.join(f'`{name}`' for name in missing)}"
    if law.knots in ("uneven", "repeated") and not scope.uneven:
        return "needs uneven knots"
    if law.knots == "repeated" and not scope.repeats:
        return "needs repeated knots"
    if law.knots == "of any ends" and scope.clamped:
        return "needs knots that are not clamped"
    return ""


class _Trial:
    """A law on one case after another: the worst error, and the last case that broke it."""

    def __init__(self, law: Law, guard: Guard) -> None:
        self.law, self.guard = law, guard
        self.cases = 0
        self.worst: float | None = None
        self.broken: tuple[Any, str, float | None] | None = None

    def __call__(self, case: Any) -> None:
        self.cases += 1
        with measured() as ratios, np.errstate(all="ignore"):
            try:
                self.law.check(self.guard, case)
            except Broken as broken:
                self.broken = case, str(broken), max(ratios, default=None)
                raise
            except Exception as error:
                self.broken = case, f"{type(error).__name__} in the check: {error}", None
                raise Broken(str(error)) from error
        if ratios:
            self.worst = max(*ratios, self.worst or 0.0)

    def result(self) -> Result:
        if self.broken is None:
            return Result(self.law, PASS, self.worst, cases=self.cases)
        case, message, worst = self.broken
        return Result(self.law, FAIL, worst, message, plain(case), self.cases)


# --- known failures, rounds, replay -------------------------------------------------------------------------------


def _named(known: Mapping[str, str]) -> Mapping[str, str]:
    for id in known:
        if id not in LAWS:
            raise ValueError(f"Argument `known` must name laws, not {id!r}.")
    return known


def _with_known(result: Result, known: Mapping[str, str]) -> Result:
    if result.law.id not in known:
        return result
    if result.outcome == FAIL:
        return replace(result, outcome=KNOWN, message=known[result.law.id], example=None)
    message = f"is listed as known to fail ({known[result.law.id]}), and does not: {result.outcome}"
    return replace(result, outcome=FAIL, message=message)


def _joined(before: Result | None, now: Result) -> Result:
    """Return the result of several rounds: the first failure, or all cases together."""
    if before is None:
        return now
    worst = max((one.worst for one in (before, now) if one.worst is not None), default=None)
    return replace(now, worst=worst if now.outcome == PASS else now.worst, cases=before.cases + now.cases)


def replay(adapter: Any, report: Mapping[str, Any], timeout: float = 60.0) -> Report:
    """Run the failing examples of a report (read from its JSON) again, without Hypothesis; return the new report.

    Examples
    --------
    >>> class Half:
    ...     dtype, bits = "float64", "exact"
    ...     extrapolation, right_end, degenerate_knots = "fade", "closed", "limit"
    ...     def basis(self, x, knots, k):
    ...         return np.full((len(x), len(knots) - 1 - k), 0.5)
    >>> found = check(Half(), only=["P-SUP"])
    >>> replay(Half(), found.plain()).total
    '0 of 1 claimed laws hold, 1 fail; 0 not claimed'
    """
    if not isinstance(report, Mapping) or report.get("format") != FORMAT:
        raise ValueError(f"Argument `report` must be a {FORMAT}, not {shown(report)}.")
    try:
        failed = [(entry["id"], entry["example"]) for entry in report["results"] if entry["example"] is not None]
        for id, example in failed:
            from_plain(LAWS[id].about, example)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"Argument `report` must hold results as written, not with {error!r:.80}.") from None
    with bench_of(adapter, timeout) as bench:
        results = tuple(bench.replay(id, example) for id, example in failed)
        return Report(bench.name, results, environment(replayed=len(results)))


def _quietly(trial: _Trial, case: Any) -> None:
    """Try a case; a broken law is recorded in the trial."""
    with contextlib.suppress(Broken):
        trial(case)
