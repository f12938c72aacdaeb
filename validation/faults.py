"""Claim: nothing is lost, torn, hung or unclear on a bad day, and every failure that a user once met is cured.

Every function ``check_*`` of the modules ``_faults_*.py`` beside this file makes one claim, its docstring. It returns
its measurement and whether the claim holds; those that try something many times, how often, and how often it failed.
Exit code 1 where a claim does not hold.

    python validation/faults.py                      # all of them
    python validation/faults.py --quick              # fewer tries, in 90 s; what takes longer is left out
    python validation/faults.py --only busy          # those with this in the names of their module or function
    python validation/faults.py --write              # all of them, into checks.json and RESULTS.md
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from _checks import keep
from _report import facts, paragraph, table

Check = Callable[..., tuple[Any, ...]]


def checks(folder: Path, only: str = "") -> dict[str, Check]:
    """Return the checks of the modules in a folder, by the names of both."""
    found: dict[str, Check] = {}
    for path in sorted(folder.glob("_faults_*.py")):
        module = import_module(path.stem)
        for name, value in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("check_") and value.__module__ == module.__name__:
                found[f"{path.stem.removeprefix('_faults_')}: {name.removeprefix('check_')}"] = value
    return {name: check for name, check in found.items() if only in name}


def takes_quick(check: Check) -> bool:
    """Whether a check can be done with fewer tries."""
    return "quick" in inspect.signature(check).parameters


def run(check: Check, quick: bool = False) -> tuple[Any, ...]:
    """Return what a check has measured, whether it holds, and how often it was tried and failed. An error fails it."""
    try:
        return check(quick=True) if quick else check()
    except Exception as error:
        return f"{type(error).__name__}: {error}", False


def count(name: str, tried: int, failed: int) -> dict[str, Any]:
    """Return the line of a check in checks.json, of which none may fail."""
    what = name.partition(": ")[2].replace("_", " ")
    return {"what": f"{what}: failures", "value": failed, "bound": 0, "unit": f"of {tried}"}


def main(folder: Path = Path(__file__).parent) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="NAME", help="checks whose name has this in it")
    parser.add_argument("--write", action="store_true", help="write the verdicts into checks.json and RESULTS.md")
    parser.add_argument("--quick", action="store_true", help="the checks that can do with fewer tries, with fewer")
    options = parser.parse_args()
    if options.write and (options.only or options.quick):
        parser.error("--write is for all checks, not with --only or --quick")
    chosen = {
        name: check for name, check in checks(folder, options.only).items() if takes_quick(check) or not options.quick
    }
    if not chosen:
        parser.error("argument --only: no check has a name with that in it")
    rows, failed, counts = [], [], []
    for name, check in chosen.items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        measured, holds, *tries = run(check, options.quick)
        counts += [count(name, *tries)] if tries else []
        failed += [] if holds else [name]
        rows.append([" ".join((check.__doc__ or name).split()), measured, "ok" if holds else "FAILED"])
    about = facts(["numkan", "numpy", "numba", "scipy", "threadpoolctl"])
    print(f"{paragraph(about)}\n\n{table(['claim', 'measured', ''], rows)}\n\n{len(failed)} of {len(rows)} failed")
    if options.write:
        claim = f"{len(chosen)} checks of what goes wrong. The script prints what each claims and measures."
        row = {"what": "; ".join(["checks that hold", *failed]), "value": len(rows) - len(failed), "bound": len(rows)}
        row |= {"least": True, "unit": f"of {len(rows)}"}
        keep("faults", {"about": {**about, "claim": claim}, "rows": [row, *counts]})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
