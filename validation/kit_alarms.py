"""Claim: the conformance kit raises no false alarm on sound implementations of other making, on 50 seeds.

A false alarm is a failure where exact arithmetic agrees with the adapter. Every law that an adapter claims is tried on
every case of the design of each seed, and goes on after a failure, so that one cannot hide another. Where a law fails
it is tried again with all calls kept (`_kit_judge.py`): where each number that the adapter returned is within the
strictest bound of the kit of the exact one, the failure is a false alarm. Where one is not, the adapter is wrong there;
the record has these laws, with the largest error. A failure that cannot be judged counts as a false alarm.

    python validation/kit_alarms.py [--seeds 50] [--only NAMES] [--seconds S] [--write] [--resume]

Adapters take turns on each case, so that exact values are computed once for all of them. With `--seconds` no seed is
begun after so many seconds of CPU, and the record says how many were tried. `--write` keeps what was found in
kit_alarms.json after each seed; `--resume` goes on with the seeds after those. The script exits 1 where there is a
false alarm.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from _kit_judge import Recorder, worst
from _report import processor, versions

from numkan.conformance import LAWS
from numkan.conformance.cases import CASES
from numkan.conformance.guard import Guard
from numkan.conformance.law import Broken
from numkan.conformance.making import cases_of
from numkan.conformance.runner import _unclaimed
from numkan.conformance.scope import scope_of

HERE = Path(__file__).parent
RECORD = HERE / "kit_alarms.json"
PACKAGES = ("numkan", "numpy", "scipy", "scikit-learn", "patsy", "statsmodels")

#: Name -> module and attribute, cheap ones first.
ADAPTERS = {
    "scikit-learn, error": ("_adapter_sklearn", "error"),
    "scikit-learn, constant": ("_adapter_sklearn", "constant"),
    "scikit-learn, linear": ("_adapter_sklearn", "linear"),
    "scikit-learn, continue": ("_adapter_sklearn", "continued"),
    "scikit-learn, periodic": ("_adapter_sklearn", "periodic"),
    "scipy": ("_adapter_scipy", "adapter"),
    "patsy": ("_adapter_statistics", "patsy_adapter"),
    "statsmodels": ("_adapter_statistics", "statsmodels_adapter"),
    "de Boor in NumPy": ("tests.conformance_adapters", "DeBoor"),
    "exact oracle": ("tests.conformance_adapters", "Oracle"),
    "numkan": ("numkan.conformance.own", "adapter"),
}


def adapter_of(name: str) -> Any:
    """Return an adapter, made if it is a class."""
    module, attribute = ADAPTERS[name]
    found = getattr(import_module(module), attribute)
    return found() if isinstance(found, type) else found


def failure(law: Any, guard: Guard, case: Any) -> str:
    """Return how a law fails on a case; empty where it holds."""
    try:
        law.check(guard, case)
    except Broken as broken:
        return str(broken)
    except Exception as error:
        return f"{type(error).__name__} in the check: {error}"
    return ""


def tried(adapter: Any, law: Any, case: Any) -> dict[str, Any] | None:
    """Return how a law fails on a case, and the largest error of the adapter there; None where it holds."""
    message = failure(law, Guard(adapter), case)
    if not message:
        return None
    recorder = Recorder(adapter)
    failure(law, Guard(recorder), case)
    return {"law": law.id, "message": message, "worst": worst(recorder.calls, adapter)}


def nothing() -> dict[str, Any]:
    """Return the part of the record of an adapter that has not been tried."""
    return {
        "seeds": 0,
        "checks": 0,
        "false alarms": 0,
        "of these": [],
        "the adapter is wrong": {},
        "by at most, in units of the bound": "0",
    }


class Tally:
    """What an adapter has been tried on, and what was found."""

    def __init__(self, name: str, record: dict[str, Any] | None = None) -> None:
        self.adapter = adapter_of(name)
        self.scope = scope_of(self.adapter)
        self.record = record or nothing()
        claimed = [law for law in LAWS.values() if not _unclaimed(law, Guard(self.adapter), self.scope)]
        self.laws = {about: [law for law in claimed if law.about == about] for about in CASES}

    def cases(self, about: str, seed: int) -> list[Any]:
        """Return the cases of the design of a seed, where some law is claimed."""
        return [made.case for made in cases_of(about, self.scope, seed, 0)] if self.laws[about] else []

    def try_all(self, about: str, case: Any) -> None:
        """Try all laws on a case."""
        for law in self.laws[about]:
            self.record["checks"] += 1
            found = tried(self.adapter, law, case)
            if found is not None:
                self._add(**found)

    def _add(self, law: str, message: str, worst: float | None) -> None:
        record = self.record
        if worst is None or worst <= 1:
            record["false alarms"] += 1
            record["of these"] = [*record["of these"], f"{law}: {message:.200}"][:20]
        else:
            wrong, largest = record["the adapter is wrong"], record["by at most, in units of the bound"]
            wrong[law] = wrong.get(law, 0) + 1
            record["by at most, in units of the bound"] = f"{max(worst, float(largest)):.3g}"


def one_seed(tallies: dict[str, Tally], seed: int) -> None:
    """Try adapters on the cases of a seed, in turns: those of the same scope have the same cases."""
    for about in CASES:
        cases = {name: tally.cases(about, seed) for name, tally in tallies.items()}
        for place in range(max(map(len, cases.values()))):
            for name, some in cases.items():
                if place < len(some):
                    tallies[name].try_all(about, some[place])
    for tally in tallies.values():
        tally.record["seeds"] = seed + 1
        tally.record["made on"] = f"{processor()}; {versions(PACKAGES)}"


def keep(tallies: dict[str, Tally]) -> None:
    """Write what was found into the record, beside adapters that were not asked for."""
    record = {**kept(), **{name: tally.record for name, tally in tallies.items()}}
    text = json.dumps({name: record[name] for name in ADAPTERS if name in record}, indent=1)
    draft = RECORD.with_suffix(".tmp")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(RECORD)


def kept() -> dict[str, Any]:
    """Return the record."""
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=list(ADAPTERS), default=list(ADAPTERS))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of CPU, for all adapters together")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--resume", action="store_true", help="go on after the seeds of the record")
    given = parser.parse_args()
    np.seterr(all="ignore")
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(HERE.parent))  # for the adapters of the tests
    before = kept() if given.resume else {}
    tallies = {name: Tally(name, before.get(name)) for name in given.only}
    for seed in range(given.seeds):
        due = {name: tally for name, tally in tallies.items() if tally.record["seeds"] <= seed}
        if due and time.process_time() < given.seconds:
            one_seed(due, seed)
            alarms = {name: tally.record["false alarms"] for name, tally in due.items()}
            print(f"seed {seed}, {time.process_time():.0f} s of CPU, false alarms: {alarms}", flush=True)
            if given.write:
                keep(tallies)
    print(json.dumps({name: tally.record for name, tally in tallies.items()}, indent=1))
    return int(any(tally.record["false alarms"] for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
