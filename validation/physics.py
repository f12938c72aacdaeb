"""Claim: differential equations are solved, and their unknowns found, to the accuracy of the goals.

    OPENBLAS_NUM_THREADS=1 python validation/physics.py --only poisson --seeds 0 1 2     # prints, and keeps nothing
    OPENBLAS_NUM_THREADS=1 python validation/physics.py --write                          # all tasks, all seeds
    python validation/physics.py --cost --write   # what a step costs, beside one of a fit
    python validation/physics.py --report         # prints what physics.json holds; with --write, redraws documents

Errors are relative, in L2 at fresh random points, unless a task says otherwise; seconds are of the CPU, with one BLAS
thread, kernels compiled. ``_physics_report.py`` has the goals.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from _physics_cost import costs
from _physics_report import FILE, cost_text, goals, report_text
from _physics_tasks import (
    allen_cahn,
    burgers,
    burgers_anchor,
    diffusion,
    kdv,
    load_kernels,
    lotka_volterra,
    pendulum_anchor,
    pendulum_task,
    poisson,
    poisson10,
    poisson_anchor,
    reference,
)
from _report import facts
from _speed_data import load, save


class Task(NamedTuple):
    """A task, what stands beside it, and its seeds."""

    run: Callable[[int], dict[str, Any]]
    anchor: Callable[[], str] = lambda: ""
    seeds: Sequence[int] = range(10)


TASKS = {
    "poisson": Task(lambda s: poisson([2, 5, 1], 5, (1, 1), s, 1, 1024), lambda: poisson_anchor((1, 1))),
    "poisson narrow": Task(lambda s: poisson([2, 2, 1], 7, (1, 1), s, "auto", 1024)),
    "poisson omega 2": Task(lambda s: poisson([2, 5, 1], 7, (2, 2), s, 3, 1024), lambda: poisson_anchor((2, 2))),
    "helmholtz 1 4": Task(lambda s: poisson([2, 5, 1], 7, (1, 4), s, 4, 1024), lambda: poisson_anchor((1, 4))),
    "poisson omega 4": Task(lambda s: poisson([2, 8, 1], 7, (4, 4), s, 2, 2048), lambda: poisson_anchor((4, 4))),
    "poisson 10-D": Task(lambda s: poisson10([10, 1, 1], s, "auto"), lambda: "no grid can"),
    "poisson 10-D twin": Task(lambda s: poisson10([10, 5, 1], s, 1), lambda: "no grid can"),
    "pendulum 10": Task(lambda s: pendulum_task(10.0, 240, s), lambda: pendulum_anchor(10.0), range(20)),
    "pendulum 20": Task(lambda s: pendulum_task(20.0, 320, s), lambda: pendulum_anchor(20.0), range(20)),
    "burgers": Task(burgers, burgers_anchor, range(3)),
    "allen-cahn": Task(allen_cahn, lambda: reference("allen-cahn")[1], range(3)),
    "kdv": Task(kdv, lambda: reference("kdv")[1], range(3)),
    "diffusion 5 %": Task(lambda s: diffusion(0.05, s), lambda: "jaxKAN finds 0.2409 for 0.25", range(100, 200)),
    "diffusion 1 %": Task(lambda s: diffusion(0.01, s), lambda: "", range(100, 200)),
    "lotka-volterra": Task(lotka_volterra),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", nargs="*", type=int, help="by default as many as the record has")
    parser.add_argument("--write", action="store_true", help="add the runs to physics.json")
    parser.add_argument("--report", action="store_true", help="print what physics.json holds, measuring nothing")
    parser.add_argument("--cost", action="store_true", help="measure what a step costs, beside a step of a fit")
    given = parser.parse_args()
    if given.cost:
        found = costs()
        print(cost_text(found))
        if given.write:
            save({**load(FILE), "cost": found}, FILE)
        return 0
    if given.report:
        print(report_text(load(FILE)))
        if given.write:
            from _results import write

            write()
        return 0 if all(goal.met for goal in goals(load(FILE))) else 1
    load_kernels()
    for name in given.only:
        task = TASKS[name]
        anchor = task.anchor()
        for seed in given.seeds or task.seeds:
            run = {"seed": seed, **task.run(seed)}
            print(f"{name}, seed {seed}: error {run['error']:.1e} in {run['seconds']:.2f} s", flush=True)
            if given.write:
                keep(name, anchor, run)
    return 0


def keep(name: str, anchor: str, run: dict[str, Any]) -> None:
    """Add a run to physics.json; it replaces one of the same seed."""
    data = load(FILE)
    data["about"] = facts(("numkan", "numpy", "numba", "scipy"))
    before = [other for other in data.get(name, {}).get("runs", []) if other["seed"] != run["seed"]]
    data[name] = {"anchor": anchor, "runs": sorted([*before, run], key=lambda one: one["seed"])}
    save(data, FILE)


if __name__ == "__main__":
    raise SystemExit(main())
