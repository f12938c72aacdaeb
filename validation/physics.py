"""Claim: differential equations are solved, and their unknowns found, to the accuracy of the goals below.

Run ``python validation/physics.py [--only NAME ...] [--seeds 0 1 2] [--write]``; ``--report`` prints what has been
written. Errors are relative, in L2 at fresh random points, unless the line says otherwise; seconds are of the CPU, with
one BLAS thread, kernels compiled. The classical methods beside them are faster by orders of magnitude on smooth
problems in few dimensions; networks earn their place with data and unknown parameters, with many dimensions, and where
a compact answer with derivatives is wanted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _physics_cost import costs
from _physics_tasks import (
    allen_cahn,
    burgers,
    burgers_anchor,
    diffusion,
    kdv,
    lotka_volterra,
    pendulum_anchor,
    pendulum_task,
    poisson,
    poisson10,
    poisson_anchor,
    reference,
)

FILE = Path(__file__).with_name("physics.json")


class Task(NamedTuple):
    """A task, its goals, and what stands beside it."""

    run: Callable[[int], dict[str, Any]]
    worst: float  # of all seeds
    median: float
    seconds: float
    anchor: Callable[[], str] = lambda: ""


TASKS = {
    "poisson": Task(
        lambda s: poisson([2, 5, 1], 5, (1, 1), s, 1, 1024), 5e-5, 3e-6, 1.5, lambda: poisson_anchor((1, 1))
    ),
    "poisson narrow": Task(lambda s: poisson([2, 2, 1], 7, (1, 1), s, "auto", 1024), 1e-6, 5e-8, 2.0),
    "poisson omega 2": Task(
        lambda s: poisson([2, 5, 1], 7, (2, 2), s, 3, 1024), 2e-3, 2e-3, 3.0, lambda: poisson_anchor((2, 2))
    ),
    "helmholtz 1 4": Task(
        lambda s: poisson([2, 5, 1], 7, (1, 4), s, 4, 1024), 2e-3, 2e-3, 3.0, lambda: poisson_anchor((1, 4))
    ),
    "poisson omega 4": Task(
        lambda s: poisson([2, 8, 1], 7, (4, 4), s, 2, 2048), 2e-2, 2e-2, 7.0, lambda: poisson_anchor((4, 4))
    ),
    "poisson 10-D": Task(lambda s: poisson10([10, 1, 1], s, "auto"), 1e-7, 1e-7, 1.5, lambda: "no grid can"),
    "poisson 10-D twin": Task(lambda s: poisson10([10, 5, 1], s, 1), 2e-3, 2e-3, np.inf, lambda: "no grid can"),
    "pendulum 10": Task(lambda s: pendulum_task(10.0, 240, s), 1e-9, 1e-9, 0.2, lambda: pendulum_anchor(10.0)),
    "pendulum 20": Task(lambda s: pendulum_task(20.0, 320, s), 1e-7, 1e-7, 0.2, lambda: pendulum_anchor(20.0)),
    "burgers": Task(burgers, 8e-5, 8e-5, 8.0, burgers_anchor),
    "allen-cahn": Task(allen_cahn, 5.4e-5, 5.4e-5, 12.0, lambda: reference("allen-cahn")[1]),
    "kdv": Task(kdv, 4e-4, 4e-4, 30.0, lambda: reference("kdv")[1]),
    "diffusion 5 %": Task(lambda s: diffusion(0.05, s), np.inf, 0.5, np.inf, lambda: "error in its standard errors"),
    "diffusion 1 %": Task(lambda s: diffusion(0.01, s), np.inf, 0.5, np.inf, lambda: "error in its standard errors"),
    "lotka-volterra": Task(lotka_volterra, 1.0, 1.0, np.inf, lambda: "error in its standard errors"),
}


def line(name: str, runs: list[dict[str, Any]], anchor: str) -> tuple[str, bool]:
    """Return what was measured of a task, and whether it meets its goals of accuracy."""
    task, errors = TASKS[name], [run["error"] for run in runs]
    seconds = [run["seconds"] for run in runs]
    met = max(errors) <= task.worst and float(np.median(errors)) <= task.median
    text = (
        f"{'met ' if met else 'MISS'} {name:18} {len(runs):3} seeds: median {np.median(errors):.1e}, "
        f"worst {max(errors):.1e} (goals {task.median:.0e}, {task.worst:.0e}); "
        f"{np.median(seconds):.1f} s, worst {max(seconds):.1f} s (goal {task.seconds:g} s)"
    )
    if "covers" in runs[0]:
        text += f"; intervals of 68 % cover {sum(run['covers'] for run in runs)} of {len(runs)}"
    if "beside" in runs[0]:
        text += f"; least squares over solve_ivp {np.median([run['beside'] for run in runs]):.1f} s"
    return text + (f"\n       {anchor}" if anchor else ""), met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--write", action="store_true", help="add the runs to physics.json")
    parser.add_argument("--report", action="store_true", help="print what has been written, and run nothing")
    parser.add_argument("--cost", action="store_true", help="measure what a step costs, beside a step of a fit")
    given = parser.parse_args()
    if given.cost:
        print(costs())
        return 0
    kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    good = True
    for name in given.only:
        entry = {"anchor": "", "runs": {}} if not given.report else kept.get(name)
        if entry is None:
            continue
        if not given.report:
            if given.write:
                entry = kept.setdefault(name, entry)
            for seed in given.seeds:
                entry["runs"][str(seed)] = TASKS[name].run(seed)
            entry["anchor"] = TASKS[name].anchor()
            if given.write:
                FILE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        text, met = line(name, list(entry["runs"].values()), entry["anchor"])
        print(text, flush=True)
        good &= met
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
