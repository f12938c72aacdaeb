"""What the files symbolic_*.json say: goals of recovery, false claims, and the section of RESULTS.md."""

from __future__ import annotations

import json
import math
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from _goals import Claim, Goal, goal_table
from _report import facts

FOLDER = Path(__file__).parent

Run = dict[str, Any]

#: Of each set: how it is called, how many formulas it has, and how many should be recovered of all of them.
RECOVERED = {
    "feynman27": ("dimensionless Feynman formulas", 27, 26),
    "feynman27_noise_0.001": ("the same, 0.1 % noise", 27, 24),
    "feynman27_noise_0.01": ("the same, 1 % noise", 27, 20),
    "units": ("Feynman formulas with their units", 100, 60),
    "strogatz": ("Strogatz right-hand sides", 14, 12),
    "sealed": ("sealed expressions", 50, 40),
}
#: The best rate of exact recovery that is published, on ranges of its own (SRBench), for the README.
PUBLISHED = {
    "feynman27": "none for KANs",
    "units": "AI Feynman 55.8 % (SRBench)",
    "strogatz": "GP-GOMEA 29.5 % (SRBench)",
    "sealed": "-",
}
FALSE = {"false": "no noise", "false_noise_0.01": "1 % noise"}

#: CPU seconds of a formula of the first set, the fit included: median and worst.
_MEDIAN, _WORST = 8.0, 25.0
#: Of the constants of noisy formulas, how many per cent are within 3 of their standard errors.
_COVERED = 95.0
#: Error of a network, as a share of the deviation, above which tests of structure tell little.
_BLURRED = 1e-4

IS = (
    "`symbolic.py`: n = 2000 samples of each formula. Without noise a formula is recovered where it agrees with the "
    "truth to 1e-9 of the targets' deviation at 1000 fresh points; with noise, by SRBench's rule. A set that has not "
    "been run whole is held to its goal in proportion. A false claim is a formula that is said to be exact of a "
    "function that no formula equals."
)


def load_set(name: str) -> dict[str, Any]:
    """Return the record of a set: "about", who measured, and "runs"; empty where it has not been run."""
    file = FOLDER / f"symbolic_{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"about": {}, "runs": {}}


def keep(name: str, run: Run) -> None:
    """Add a run to the file of its set; several processes may work on several sets."""
    data = load_set(name)
    data["about"] = facts(["numkan", "numpy", "numba", "scipy", "sympy"])
    data["runs"][f"{run['name']}, {run['seed']}"] = run
    text = json.dumps(data, indent=1) + "\n"
    (FOLDER / f"symbolic_{name}.json").write_text(text, encoding="utf-8")


def sets() -> dict[str, dict[str, Any]]:
    """Return the records of all sets that have been run, peers' left out."""
    return {name: data for name in (*RECOVERED, *FALSE) if (data := load_set(name))["runs"]}


def goals(data: dict[str, dict[str, Any]]) -> list[Goal]:
    """Hold every set against its goals, seed by seed."""
    found = []
    for name, (title, size, least) in RECOVERED.items():
        runs = list(data.get(name, {"runs": {}})["runs"].values())
        for seed in sorted({run["seed"] for run in runs}):
            found.append(_recovered(title, size, least, [run for run in runs if run["seed"] == seed]))
        found += _coverage(title, runs)
        if runs and name == "feynman27":
            seconds = [run["seconds"] for run in runs]
            found.append(Goal(f"{title}: median", float(np.median(seconds)), _MEDIAN, True, "s"))
            found.append(Goal(f"{title}: longest", max(seconds), _WORST, True, "s"))
    for name, noise in FALSE.items():
        runs = list(data.get(name, {"runs": {}})["runs"].values())
        if runs:
            claims = sum(run["status"] == "exact" for run in runs)
            found.append(Goal(f"false claims, {len(runs)} functions of 300, {noise}", claims, 0, True, ""))
    return found


def _recovered(title: str, size: int, least: int, runs: list[Run]) -> Goal:
    of = f"{len(runs)} of {size}" if len(runs) < size else str(size)
    bound = math.ceil(least / size * len(runs))
    return Goal(f"{of} {title}, seed {runs[0]['seed']}", sum(run["found"] for run in runs), bound, unit="")


def _coverage(title: str, runs: list[Run]) -> list[Goal]:
    """Hold the standard errors of the constants against the true constants, where the form of the formula is right."""
    known = [run["covered"] for run in runs if run.get("covered")]
    if not sum(total for _, total in known):
        return []
    share = 100.0 * sum(inside for inside, _ in known) / sum(total for _, total in known)
    return [Goal(f"{title}: constants within 3 standard errors", share, _COVERED, unit="%")]


def cause(run: Run) -> str:
    """Say why a formula was missed, as far as the record tells."""
    if run["status"] == "exact":
        return "a false claim"
    if run["status"] == "within noise":
        return "another form, or other numbers, are as close under the noise"
    share = run["network"] / run.get("spread", math.nan)
    end = "all work was done" if run.get("stopped") else "no form passed"
    if math.isnan(share):
        return end
    return f"network off by {share:.0e} of the deviation: " + (
        "too much for the tests" if not run["noise"] and share > _BLURRED else end
    )


def claim(data: dict[str, dict[str, Any]]) -> Claim:
    """Return the goals as one claim, dated by the newest set."""
    about = max((each["about"] for each in data.values()), key=lambda facts: facts["date"])
    return Claim("Formulas recovered exactly", "symbolic.py", goals(data), about, decides=False)


def readme_rows(data: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return a row for each set: what is published, how many were recovered, median CPU seconds."""
    rows = []
    for name, (title, size, _) in RECOVERED.items():
        runs = list(data.get(name, {"runs": {}})["runs"].values())
        if runs and name in PUBLISHED:
            of = f"{len(runs)} run of {size}" if len(runs) < size else str(size)
            found = f"{sum(run['found'] for run in runs)} of {of}"
            rows.append([f"{title}, exactly", PUBLISHED[name], found, f"{np.median([r['seconds'] for r in runs]):.2g}"])
    return rows


def section(data: dict[str, dict[str, Any]]) -> str:
    """Return the section of RESULTS.md."""
    return "\n\n".join(["## Formulas", fill(IS, 120), goal_table(goals(data))]) if data else ""
