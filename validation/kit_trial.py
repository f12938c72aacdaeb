"""Claim: the conformance kit fails at least 95 % of random changes of a correct adapter that change its results.

The adapter is `_plain_adapter.py`, which obeys every law that it claims. Of all changes that `_kit_changes.py` makes of
its source, a seed picks 200. A change counts where some result is off by more than the bound on cases that the kit has
not drawn (`_kit_outside.py`), and is found where a law of the standard run fails. Laws are tried until the first that
fails: on a few cases first, those about the part that was changed first, and of these the ones that take least time.
What is not found is listed. With `--seconds` no change is begun after so long, and the record says how many were tried.
With `--extend` the changes of the record that had no effect are tried again on more cases; the others need not be.

    python validation/kit_trial.py [--changes 200] [--cases 10000] [--seed 36] [--seconds S] [--extend] [--write]

`--write` keeps the record in kit_trial.json. The script exits 1 where the claim fails.
"""

from __future__ import annotations

import argparse
import ast
import json
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from _kit_changes import Change, changes
from _kit_outside import differs, drawn, results
from _plain_adapter import Plain
from _report import processor, versions

from numkan.conformance import LAWS
from numkan.conformance.adapter import claims
from numkan.conformance.guard import Guard
from numkan.conformance.making import cases_of
from numkan.conformance.scope import scope_of

HERE = Path(__file__).parent
SOURCE = HERE / "_plain_adapter.py"
RECORD = HERE / "kit_trial.json"
EXAMPLES = 25  # drawn cases, as in the standard run
FIRST = 12  # cases on which all laws are tried, before any is tried on the rest
SECONDS = 60  # for one law, or the cases outside the kit a hundred at a time: a change may go on for ever
GOAL = 0.95


class Outside:
    """Cases outside the kit, with the results of the correct adapter, which are computed when they are needed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._made: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def __iter__(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for number in range(self.count):
            if number == len(self._made):
                case = drawn(number)
                self._made.append((case, results(Plain(), case)))
            yield self._made[number]


def made(source: str) -> Any:
    """Return the adapter of some source."""
    names: dict[str, Any] = {"__name__": "changed"}
    exec(compile(source, "changed", "exec"), names)
    return names["Plain"]()


def in_time(action: Callable[[], str]) -> str:
    """Return what an action returns, or the name of the exception that ends it, which may be that of its time."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        return action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def changed_result(adapter: Any, outside: Outside) -> str:
    """Return what differs first outside the kit; empty where nothing does."""
    for case, due in outside:
        found = in_time(lambda case=case, due=due: differs(results(adapter, case), due, case))
        if found:
            return found
    return ""


def laws_in_order() -> list[str]:
    """Return the laws that the correct adapter claims, by the time that three cases take; it must obey these."""
    took = {}
    for id in LAWS:
        start = time.process_time()
        broken = failing(Plain(), id, 3)
        if broken is not None:
            took[id] = time.process_time() - start
            if broken:
                raise SystemExit(f"The correct adapter fails {id}: {broken}")
    return sorted(took, key=took.__getitem__)


def failing(adapter: Any, id: str, stop: int | None = None) -> str | None:
    """Return how a law fails on the cases of the standard run; empty where it holds, None where it is not claimed."""
    law, guard, scope = LAWS[id], Guard(adapter), scope_of(adapter)
    if not all(claims(guard, name) for name in law.needs):
        return None

    def run() -> str:
        for one in cases_of(law.about, scope, 0, EXAMPLES)[:stop]:
            law.check(guard, one.case)
        return ""

    try:
        return in_time(run)
    finally:
        guard.calling = None


def first_failing(adapter: Any, ids: list[str], about: str = "") -> str:
    """Return the first law that fails, those about one subject first; empty where none does."""
    order = sorted(ids, key=lambda id: LAWS[id].about != about)
    return next((id for stop in (FIRST, None) for id in order if failing(adapter, id, stop)), "")


def subject(change: Change) -> str:
    """Return what the laws are about that look at the method of a change."""
    methods = [
        node for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    ]
    name = next(node.name for node in methods if node.lineno <= change.line <= (node.end_lineno or 0))
    if name == "base" or name.startswith(("layer", "network")):
        return "networks"
    return "grids" if name == "fit_curve" else "splines"


def record(chosen: list[Change], sites: int, outside: Outside, seed: int, seconds: float) -> dict[str, Any]:
    """Try all changes, or those for which there is time, and return the record."""
    tried: list[tuple[Change, str, str]] = []
    start, ids = time.monotonic(), laws_in_order()
    for n, change in enumerate(chosen):
        if time.monotonic() - start > seconds:
            break
        adapter = made(change.source)
        effect = changed_result(adapter, outside)
        law = first_failing(adapter, ids, subject(change)) if effect else ""
        tried.append((change, effect, law))
        print(
            f"{n + 1:4} {change.kind:12} {effect or 'no effect':24.24} {law or ('LIVES' if effect else '')}", flush=True
        )
    return {
        "made on": f"{processor()}; {versions(('numkan', 'numpy'))}",
        "seed": seed,
        "possible changes": sites,
        "tried": len(tried),
        **_counts(tried),
        "cases outside the kit": outside.count,
    }


def _counts(tried: list[tuple[Change, str, str]]) -> dict[str, Any]:
    """Return what a record says of changes, of their effects, and of the laws that fail by them."""
    effective = [one for one in tried if one[1]]
    killed = [one for one in effective if one[2]]
    return {
        "change a result": len(effective),
        "found": len(killed),
        "rate": round(len(killed) / max(1, len(effective)), 4),
        "kinds": dict(Counter(change.kind for change, _, _ in effective)),
        "first law that fails": dict(Counter(law for _, _, law in killed).most_common()),
        "not found": [
            {"line": one.line, "kind": one.kind, "before": one.before, "after": one.after, "changes": effect}
            for one, effect, law in effective
            if not law
        ],
        "no effect": [label(one) for one, effect, _ in tried if not effect],
    }


def label(change: Change) -> str:
    """Return the place of a change, and what it is."""
    return f"{change.line}: {change.before} -> {change.after}"


def extended(found: dict[str, Any], chosen: list[Change], outside: Outside) -> dict[str, Any]:
    """Return a record with more cases outside the kit: only changes without an effect so far are tried again.

    What changes a result on the first cases does so on more of them, and the laws that fail do not depend on these.
    """
    again = [one for one in chosen if label(one) in found["no effect"]]
    if sorted(map(label, again)) != sorted(found["no effect"]):
        raise SystemExit("The record is of other changes, and cannot be extended.")
    tried = []
    for change in again:
        adapter = made(change.source)
        effect = changed_result(adapter, outside)
        law = first_failing(adapter, laws_in_order(), subject(change)) if effect else ""
        tried.append((change, effect, law))
        print(f"{label(change)}: {effect or 'no effect'} {tried[-1][2]}", flush=True)
    more = _counts(tried)
    whole = {**found, **{name: found[name] + more[name] for name in ("change a result", "found", "not found")}}
    for name in ("kinds", "first law that fails"):
        whole[name] = dict((Counter(found[name]) + Counter(more[name])).most_common())
    whole["rate"] = round(whole["found"] / max(1, whole["change a result"]), 4)
    return {**whole, "no effect": more["no effect"], "cases outside the kit": outside.count}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=36)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--extend", action="store_true", help="the record, to more cases outside the kit")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    np.seterr(all="ignore")
    warnings.simplefilter("ignore")
    possible = changes(SOURCE.read_text(encoding="utf-8"))
    order = np.random.default_rng(given.seed).permutation(len(possible))[: given.changes]
    chosen, outside = [possible[n] for n in order], Outside(given.cases)
    if given.extend:
        found = extended(json.loads(RECORD.read_text(encoding="utf-8")), chosen, outside)
    else:
        found = record(chosen, len(possible), outside, given.seed, given.seconds)
    text = json.dumps(found, indent=1)
    print(text)
    if given.write:
        RECORD.write_text(text + "\n", encoding="utf-8")
    return int(found["rate"] < GOAL)


if __name__ == "__main__":
    sys.exit(main())
