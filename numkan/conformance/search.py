"""The search for a case that breaks a law: one of the standard run, made as simple as it can be."""

from __future__ import annotations

from typing import Any

from numkan.conformance.choices import Streams, simpler
from numkan.conformance.law import Broken
from numkan.conformance.making import cases_of, made_of
from numkan.conformance.scope import Scope

__all__ = ["SMALLER", "search"]

#: Cases that may be tried to make a failing one simpler.
SMALLER = 300


def search(trial: Any, scope: Scope, seed: int, examples: int) -> None:
    """Try a law on the cases of one seed; the simplest that breaks it is the last that does."""
    about = trial.law.about
    for made in cases_of(about, scope, seed, examples):
        try:
            trial(made.case)
        except Broken:
            simpler(made.choices, lambda streams: _breaks(trial, about, scope, streams), SMALLER)
            return


def _breaks(trial: Any, about: str, scope: Scope, streams: Streams) -> Streams | None:
    """Try the case of some choices; return all that it has taken where it breaks the law."""
    made = made_of(about, scope, streams)
    try:
        trial(made.case)
    except Broken:
        return made.choices
    return None
