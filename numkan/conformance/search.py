"""The search for a case that breaks a law: drawn and made small by Hypothesis."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, configuration, given, seed, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import Flaky

from numkan.conformance.law import Broken
from numkan.conformance.scope import Scope
from numkan.conformance.strata import strata
from numkan.conformance.strategies import of

__all__ = ["search"]

_SETTINGS = settings(
    database=None,
    deadline=None,
    derandomize=False,  # the seed is given
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
    report_multiple_bugs=False,
    print_blob=False,
)


def search(trial: Any, scope: Scope, number: int, examples: int) -> None:
    """Try a law on all strata and on drawn cases of one seed; the smallest that breaks it is the last that is tried."""
    for case in strata(trial.law.about, scope, number):
        try:
            trial(case)
        except Broken:
            alike = replace(scope, degrees=(case.k,), dtypes=(case.dtype.name,))
            return _drawn(trial, alike, number, examples)
    return _drawn(trial, scope, number, examples)


def _drawn(trial: Any, scope: Scope, number: int, examples: int) -> None:
    """Try a law on drawn cases, and make one that breaks it small."""

    @seed(number)
    @settings(_SETTINGS, max_examples=examples)
    @given(case=of(trial.law.about, scope))
    def body(case: Any) -> None:
        trial(case)

    run: Callable[[], None] = body
    with (
        _leaving_nothing(),
        contextlib.suppress(Broken, Flaky),
    ):  # the trial knows; a flaky one has broken the law at least once
        run()


@contextlib.contextmanager
def _leaving_nothing() -> Iterator[None]:
    """Let Hypothesis keep its notes in a folder that is deleted afterwards, and not in the user's."""
    before = vars(configuration).get("__hypothesis_home_directory")
    with tempfile.TemporaryDirectory() as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(before)
