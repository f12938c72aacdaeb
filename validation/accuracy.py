"""Claim: numkan fits better than the published figures and than live peers, by `fit(x, y)` or `search(x, y)` alone.

Tasks: a, b, c are the toys of the KAN paper and of pykan's documents; d its special functions, e its Feynman formulas;
f a determinant by mini-batches; g noise and real data; h the scaling law. A seed draws training points, fresh points
and numkan's start. Every task has a process of its own on one core, compiles before it is timed, prints each run with
its error on the fresh points and its CPU seconds, and is held against its goals. No clock limits a fit: a busy machine
gives the same networks. Exit code 1 where a goal is missed.

pykan (a, d) and scikit-learn (g) run on the same data where they are installed; the goals about them are left out
otherwise, and with ``--quick``. ``--keep-peers`` takes their runs from accuracy.json: no change of numkan moves them.

    python validation/accuracy.py --task b     # one task, in full
    python validation/accuracy.py --quick      # every task, few seeds, numkan alone
    python validation/accuracy.py --write      # everything, into accuracy.json, RESULTS.md, figures and the README
    python validation/accuracy.py --report     # prints all that accuracy.json holds; with --write, redraws it
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import _accuracy_runs as runs
from _accuracy_determinant import f
from _accuracy_goals import GOALS
from _accuracy_noise import g
from _accuracy_report import FILE, draw, report_text
from _accuracy_slopes import h
from _accuracy_tables import TABLES, TITLES
from _goals import count, goal_table
from _report import facts, paragraph
from _results import write
from _speed_data import load, save
from _timing import elsewhere

RUNS: dict[str, Callable[[int, bool], runs.Part]] = {
    task.__name__: task for task in (runs.a, runs.b, runs.c, runs.d, runs.e, f, g, h)
}
SEEDS = {"a": 20, "b": 20, "c": 20, "d": 5, "e": 3, "f": 3, "g": 10, "h": 3}
QUICK = {"a": 3, "b": 3, "c": 3, "d": 1, "e": 1, "f": 1, "g": 2, "h": 1}
PEERS = {"a": "kan", "d": "kan", "g": "sklearn"}  # the module that a task's peers need
PACKAGES = ("numkan", "numpy", "numba", "scipy", "torch", "pykan", "scikit-learn")


def run(task: str, seeds: int, peers: bool, kept: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run one task in a process of its own; `kept`: the part of an earlier run that the peers' runs are taken from."""
    here = task in PEERS and importlib.util.find_spec(PEERS[task]) is not None
    if peers and task in PEERS and not here:
        print(f"{PEERS[task]} is not installed: no rerun", file=sys.stderr)
    load_before = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    part = {"about": {**facts(PACKAGES), "load": load_before}}
    found = {**part, **elsewhere(1, RUNS[task], seeds, peers and here and kept is None)}
    if kept is not None and kept["peers"]:
        found["about"]["peers"] = kept["about"].get("peers", kept["about"]["date"])
        found["peers"] = kept["peers"]
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="+", choices=list(RUNS), metavar="TASK", help="of a to h; default: all")
    parser.add_argument("--seeds", type=int, metavar="N", help=f"default: {SEEDS}")
    parser.add_argument("--quick", action="store_true", help="few seeds, no peers")
    parser.add_argument("--keep-peers", action="store_true", help="take the peers' runs of a and d from accuracy.json")
    parser.add_argument("--write", action="store_true", help="write what was measured into files")
    parser.add_argument("--report", action="store_true", help="print all that accuracy.json holds, measuring nothing")
    options = parser.parse_args()
    if options.write and options.quick:
        parser.error("--write is for a run that is not --quick")
    if options.seeds is not None and options.seeds < 1:
        parser.error(f"--seeds must be 1 or more, not {options.seeds}")
    options.task = options.task or list(RUNS)
    return options


def main() -> int:
    options = arguments()
    if options.report:
        if options.write:
            draw(load(FILE))
            write()
        print(report_text(load(FILE)))
        return 0
    met = True
    for task in options.task:
        start = time.perf_counter()
        print(f"\n=== {TITLES[task]}\n", flush=True)
        kept = load(FILE)[task] if options.keep_peers and PEERS.get(task) == "kan" else None
        part = run(task, options.seeds or (QUICK if options.quick else SEEDS)[task], not options.quick, kept)
        goals = GOALS[task](part)
        print(f"\n{paragraph(part['about'])}\n\n{TABLES[task](part)}\n\n{goal_table(goals)}\n")
        print(f"{task}: {count(goals)}, in {time.perf_counter() - start:.0f} s", flush=True)
        for goal in goals:
            if not goal.met:
                print(f"    MISSED: {', '.join(goal.row()[:3])}")
        met = met and all(goal.met for goal in goals)
        if options.write:
            save(dict(sorted({**load(FILE), task: part}.items())), FILE)
            draw(load(FILE))  # as anyone reads it
            write()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
