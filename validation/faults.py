"""Claim: every failure that a user once met is cured.

Every function ``check_*`` of the modules ``_faults_*.py`` beside this file makes one claim, its docstring. It returns
its measurement and whether the claim holds. Exit code 1 where one does not.

    python validation/faults.py                      # all of them
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

from _checks import keep
from _report import facts, paragraph, table

Check = Callable[[], tuple[str, bool]]


def checks(folder: Path, only: str = "") -> dict[str, Check]:
    """Return the checks of the modules in a folder, by the names of both."""
    found: dict[str, Check] = {}
    for path in sorted(folder.glob("_faults_*.py")):
        module = import_module(path.stem)
        for name, value in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("check_") and value.__module__ == module.__name__:
                found[f"{path.stem.removeprefix('_faults_')}: {name.removeprefix('check_')}"] = value
    return {name: check for name, check in found.items() if only in name}


def run(check: Check) -> tuple[str, bool]:
    """Return what a check has measured, and whether it holds. An error fails it."""
    try:
        return check()
    except Exception as error:
        return f"{type(error).__name__}: {error}", False


def main(folder: Path = Path(__file__).parent) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="NAME", help="checks whose name has this in it")
    parser.add_argument("--write", action="store_true", help="write the verdicts into checks.json and RESULTS.md")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write is for all checks, not with --only")
    chosen = checks(folder, options.only)
    if not chosen:
        parser.error("argument --only: no check has a name with that in it")
    rows, failed = [], []
    for name, check in chosen.items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        measured, holds = run(check)
        failed += [] if holds else [name]
        rows.append([" ".join((check.__doc__ or name).split()), measured, "ok" if holds else "FAILED"])
    about = facts(["numkan", "numpy", "numba", "scipy", "threadpoolctl"])
    print(f"{paragraph(about)}\n\n{table(['claim', 'measured', ''], rows)}\n\n{len(failed)} of {len(rows)} failed")
    if options.write:
        claim = f"{', '.join(chosen)}. The script prints what each claims and measures."
        row = {"what": "; ".join(["checks that hold", *failed]), "value": len(rows) - len(failed), "bound": len(rows)}
        row |= {"least": True, "unit": f"of {len(rows)}"}
        keep("faults", {"about": {**about, "claim": claim}, "rows": [row]})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
