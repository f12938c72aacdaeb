"""Claim: the conformance kit raises no false alarm on sound implementations of other making, on 50 seeds.

A false alarm is a failure where exact arithmetic agrees with the adapter. Every law that an adapter claims is tried on
every case of the design of each seed, and goes on after a failure, so that one cannot hide another. Where a law fails
it is tried again with all calls kept (`_kit_judge.py`): where each number that the adapter returned is within the
strictest bound of the kit of the exact one, the failure is a false alarm. Where one is not, the adapter is wrong there;
the record has these laws, with the largest error. A failure that cannot be judged counts as a false alarm.

    python validation/kit_alarms.py [--seeds 50] [--only NAMES] [--seconds S] [--write]

With `--seconds` no seed of an adapter is begun after so long, and the record says how many were tried. `--write` adds
what was found to kit_alarms.json. The script exits 1 where there is a false alarm.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from _kit_judge import Recorder, worst
from _report import processor, versions

from numkan.conformance import LAWS
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


def tried(adapter: Any, seed: int) -> tuple[int, list[dict[str, Any]]]:
    """Return how many pairs of law and case were tried on one seed, and the failures."""
    guard, scope, count, found = Guard(adapter), scope_of(adapter), 0, []
    for law in LAWS.values():
        if _unclaimed(law, guard, scope):
            continue
        for made in cases_of(law.about, scope, seed, 0):
            count += 1
            message = failure(law, guard, made.case)
            if message:
                recorder = Recorder(adapter)
                failure(law, Guard(recorder), made.case)
                found.append({"law": law.id, "message": message, "worst": worst(recorder.calls, adapter)})
    return count, found


def looked_at(name: str, seeds: int, seconds: float) -> dict[str, Any]:
    """Try an adapter on some seeds, and return its part of the record."""
    adapter, start, count, seed = adapter_of(name), time.monotonic(), 0, 0
    failures: list[dict[str, Any]] = []
    while seed < seeds and time.monotonic() - start < seconds:
        more, found = tried(adapter, seed)
        count, seed = count + more, seed + 1
        failures += found
    false = [one for one in failures if one["worst"] is None or one["worst"] <= 1]
    true = [one for one in failures if one not in false]
    return {
        "seeds": seed,
        "checks": count,
        "false alarms": len(false),
        "of these": [f"{one['law']}: {one['message']:.200}" for one in false[:20]],
        "the adapter is wrong": dict(Counter(one["law"] for one in true)),
        "by at most, in units of the bound": f"{max((one['worst'] for one in true), default=0.0):.3g}",
        "made on": f"{processor()}; {versions(PACKAGES)}",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=list(ADAPTERS), default=list(ADAPTERS))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each adapter")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    np.seterr(all="ignore")
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(HERE.parent))  # for the adapters of the tests
    alarms = 0
    for name in given.only:
        found = looked_at(name, given.seeds, given.seconds)
        alarms += found["false alarms"]
        print(json.dumps({name: found}, indent=1), flush=True)
        if given.write:
            record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
            record = {key: {**record, name: found}[key] for key in ADAPTERS if key in record or key == name}
            RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main())
