"""What physics.json says: goals, the errors and seconds of all seeds, and the classical method beside each task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from _goals import Claim, Goal, goal_table
from _report import paragraph, table
from _speed_data import load

FILE = Path(__file__).with_name("physics.json")

Data = dict[str, Any]

#: Intervals of 68 % are to cover the truth in this share of the seeds, where so many seeds were run.
_COVERS, _MANY = (0.58, 0.78), 50


class Bounds(NamedTuple):
    """The goals of a task: its errors, the worst and the median of all seeds, and the median of the seconds."""

    worst: float | None
    median: float | None
    seconds: float | None


BOUNDS = {
    "poisson": Bounds(5e-5, 3e-6, 1.5),
    "poisson narrow": Bounds(1e-6, 5e-8, 2.0),
    "poisson omega 2": Bounds(2e-3, None, 3.0),
    "helmholtz 1 4": Bounds(2e-3, None, 3.0),
    "poisson omega 4": Bounds(2e-2, None, 7.0),
    "poisson 10-D": Bounds(1e-7, None, 1.5),
    "poisson 10-D twin": Bounds(2e-3, None, None),
    "pendulum 10": Bounds(1e-9, None, 0.2),
    "pendulum 20": Bounds(1e-7, None, 0.2),
    "burgers": Bounds(8e-5, None, 8.0),
    "allen-cahn": Bounds(5.4e-5, None, 12.0),
    "kdv": Bounds(4e-4, None, 30.0),
    "diffusion 5 %": Bounds(None, 0.5, None),
    "diffusion 1 %": Bounds(None, 0.5, None),
    "lotka-volterra": Bounds(1.0, None, None),
}

ABOUT = (
    "`physics.py`: each seed draws another network. Errors are relative, in L2 at fresh points; of the pendulum the "
    "largest; of unknowns their distance to the maximum-likelihood estimate, in its standard errors."
)


def measured(data: Data) -> Iterator[tuple[str, Bounds, list[Data]]]:
    """Yield the tasks that have runs."""
    for name, bounds in BOUNDS.items():
        runs = data.get(name, {}).get("runs", [])
        if runs:
            yield name, bounds, runs


def _task_goals(name: str, bounds: Bounds, runs: list[Data]) -> list[Goal]:
    errors, seconds = ([run[key] for run in runs] for key in ("error", "seconds"))
    found = [
        Goal(f"{name}: worst error of {len(runs)} seeds", max(errors), bounds.worst, True, "")
        if bounds.worst is not None
        else None,
        Goal(f"{name}: median error of {len(runs)} seeds", float(np.median(errors)), bounds.median, True, "")
        if bounds.median is not None
        else None,
        Goal(f"{name}: median time", float(np.median(seconds)), bounds.seconds, True, "s")
        if bounds.seconds is not None
        else None,
    ]
    goals = [goal for goal in found if goal is not None]
    if "covers" in runs[0] and len(runs) >= _MANY:
        share = float(np.mean([run["covers"] for run in runs]))
        what = f"{name}: share of {len(runs)} seeds whose interval of 68 % covers the truth"
        goals += [Goal(what, share, _COVERS[0], False, ""), Goal(what, share, _COVERS[1], True, "")]
    return goals


def goals(data: Data) -> list[Goal]:
    """Hold every task against its goals."""
    return [goal for each in measured(data) for goal in _task_goals(*each)]


def claim(data: Data) -> Claim:
    """Return the goals as one claim."""
    return Claim("Differential equations", "physics.py", goals(data), data["about"], decides=False)


def section(data: Data) -> str:
    """Return the section of RESULTS.md: what is missed, then the worst error of each task."""
    found = goals(data)
    if not found:
        return ""
    missed = [f"{goal.what} {goal.row()[1]} (goal {goal.bound:g})" for goal in found if not goal.met]
    worst = []
    for name, _, runs in measured(data):
        covers = [run["covers"] for run in runs if "covers" in run]
        share = f", 68 % intervals cover {sum(covers)}" if covers else ""
        worst.append(f"{name} {max(run['error'] for run in runs):.1e} of {len(runs)}{share}")
    failures = f"Missed: {'; '.join(missed)}. " if missed else ""
    text = f"{ABOUT} {failures}Worst error of all seeds: {'; '.join(worst)}."
    return "\n\n".join(["## Differential equations", fill(text, 120)])


def cost_text(cost: dict[str, dict[str, float]]) -> str:
    """Say what derivatives and a step cost."""
    each = "; ".join(f"{own['derivatives']:g} and {own['step']:g} for {width}" for width, own in cost.items())
    return (
        "Derivatives up to the second order and their sweep back, in times of a fit's values at as many points, and a "
        f"step, in steps of the fit: {each}."
    )


def _tasks(data: Data) -> str:
    rows = []
    for name, _, runs in measured(data):
        errors, seconds = ([run[key] for run in runs] for key in ("error", "seconds"))
        rows.append([name, len(runs), f"{np.median(errors):.1e}", f"{max(errors):.1e}", f"{np.median(seconds):.2g}",
                     _beside(data[name]["anchor"], runs)])  # fmt: skip
    return table(["task", "seeds", "median error", "worst", "seconds", "beside it"], rows)


def _beside(anchor: str, runs: list[Data]) -> str:
    parts = [anchor] if anchor else []
    if "beside" in runs[0]:
        what = "least squares of the exact modes" if "covers" in runs[0] else "least squares over solve_ivp"
        parts.append(f"{what}: {np.median([run['beside'] for run in runs]):.2g} s")
    if "covers" in runs[0]:
        parts.append(f"68 % intervals cover {sum(run['covers'] for run in runs)} of {len(runs)}")
    return "; ".join(parts) or "as above"


def report_text(data: Data) -> str:
    """Return the section, all goals, and the error of every seed."""
    if not goals(data):
        return "physics.json holds no run."
    lines = []
    for name, _, runs in measured(data):
        errors = ", ".join(f"{run['error']:.1e}" for run in runs)
        lines.append(fill(f"{name}: {errors}", 120, subsequent_indent="  "))
    return "\n\n".join(
        [
            section(data), _tasks(data), *([cost_text(data["cost"])] if "cost" in data else []),
            paragraph(data["about"]), goal_table(goals(data)), "\n".join(lines),
        ]
    )  # fmt: skip


def readme_rows() -> list[list[str]]:
    """Return the README's two rows: a solution, and an unknown constant."""
    data = load(FILE)
    if not {"poisson", "diffusion 5 %"} <= data.keys():
        return []
    solved, found = data["poisson"]["runs"], data["diffusion 5 %"]["runs"]
    errors = [run["error"] for run in solved]
    covers, seconds = sum(run["covers"] for run in found), np.median([run["seconds"] for run in found])
    value = float(np.median([run["D"] for run in found]))
    return [
        [
            "Poisson's equation, sin(pi x) sin(pi y), [2, 5, 1]", "pykan, MSE 1.7e-4 in 105 s on a GPU",
            f"{np.median(errors):.1e} / {max(errors):.1e}", f"{np.median([run['seconds'] for run in solved]):.2g}",
        ],
        [
            "a diffusion coefficient, 0.25, from 200 noisy values", "jaxKAN 0.2409",
            f"{value:.4f}, 68 % intervals: {covers} of {len(found)}", f"{seconds:.2g}",
        ],
    ]  # fmt: skip
