"""What documents show of accuracy.json: a section of RESULTS.md, the README's table, figures, long tables on demand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

import _physics_report
import _symbolic_report
import numpy as np
from _accuracy_determinant import GOALS as PEARSON
from _accuracy_feynman import PUBLISHED as FEYNMAN_PUBLISHED
from _accuracy_figure import draw_scaling, draw_time
from _accuracy_goals import (
    GOALS,
    RECORD_B,
    RECORD_C,
    Spread,
    best_of_ladder,
    cases,
    functions,
    geometric_mean,
    spread,
)
from _accuracy_problems import FEW, NOISY
from _accuracy_slopes import medians, slope
from _accuracy_special import PUBLISHED as SPECIAL_PUBLISHED
from _accuracy_tables import TABLES, TITLES, Part
from _goals import Claim, count, goal_table
from _report import paragraph, table

FILE = Path(__file__).with_name("accuracy.json")
TIME, SCALING = Path(__file__).with_name("accuracy.png"), Path(__file__).with_name("scaling.png")


def claims(data: dict[str, Part]) -> list[Claim]:
    """Return the claim of each task that has been measured."""
    return [
        Claim(
            f"Accuracy {TITLES[task]}",
            f"accuracy.py --task {task}",
            GOALS[task](data[task]),
            data[task]["about"],
            group="Accuracy, all tasks",
        )
        for task in TABLES
        if task in data
    ]


def section(data: dict[str, Part]) -> str:
    """Write the section of RESULTS.md: a line for each case, and which functions stay above what is published."""
    if not data:
        return ""
    about = (
        "`accuracy.py`: float64 but for f, one core; numkan is given nothing but what a task says. A seed draws the "
        "training points, the fresh points on which errors are measured, and numkan's start. Seconds are medians, from "
        "the constructor to the end of the fit, without compilation."
    )
    pictures = "![Error against seconds on task a, numkan and pykan](accuracy.png)"
    if "h" in data:
        pictures += "\n![Error by grid for four degrees](scaling.png)"
    rows = [[f"{task}: {row[0]}", *row[1:]] for task, lay in _ROWS.items() if task in data for row in lay(data[task])]
    rows += _slopes(data["h"]) if "h" in data else []
    cells = table(["task", "published or rerun", "numkan: median / 90th percentile", "seconds"], rows)
    return "\n\n".join(["## Accuracy", fill(about, 120), pictures, cells, *_above(data)])


def _slopes(part: Part) -> list[list[str]]:
    """Lay out the slopes of task h: each cell of numkan's is one degree."""
    found = {k: slope(by_grid) for k, by_grid in medians(part["runs"]).items()}
    theory = " / ".join(str(-k - 1) for k in found)
    what = f"h: slope of log error over log G, k = {', '.join(map(str, found))}"
    return [[what, f"theory {theory}", " / ".join(f"{value:.2f}" for value in found.values()), "-"]]


def _above(data: dict[str, Part]) -> list[str]:
    """Name the functions whose median error is not below what is published."""
    published = {
        "d": {name: kan for name, (kan, _) in SPECIAL_PUBLISHED.items()},
        "e": {name: p.best for name, p in FEYNMAN_PUBLISHED.items()},
    }
    found = []
    for task, bounds in published.items():
        if task in data:
            own = functions(data[task])
            worse = [
                f"{name} ({s.median:.1e} of {bounds[name]:.1e})" for name, s in own.items() if s.median >= bounds[name]
            ]
            found += [fill(f"Not below the published figure in {task}: {', '.join(worse)}.", 120)] if worse else []
    return found


def report_text(data: dict[str, Part]) -> str:
    """Write everything that the file holds, task by task: where and when, the table, the goals."""
    parts = []
    for task in TABLES:
        if task in data:
            goals, about = GOALS[task](data[task]), data[task]["about"]
            where = f"{paragraph(about)} Load of the machine before the run: {about['load']}."
            parts.append(f"## {TITLES[task]}: {count(goals)}\n\n{where}\n\n{TABLES[task](data[task])}")
            parts.append(goal_table(goals))
    return "\n\n".join(parts)


def readme_text(data: dict[str, Part], more: Iterable[list[str]] = ()) -> str:
    """Lay out the README's table: the first case of each task that has been measured, and rows of other scripts."""
    rows = [*(lay(data[task])[0] for task, lay in _ROWS.items() if task in data), *more]
    heads = ["task", "published or rerun", "numkan", "seconds"]
    dates = sorted({part["about"]["date"] for part in data.values()})
    machines = sorted({part["about"]["machine"] for part in data.values()})
    about = (
        "RMSE on fresh points: median / 90th percentile over the seeds; one core, float64 (the determinant: float32), "
        "without compilation. Poisson: relative, median / worst. "
        f"{dates[-1]}, {'; '.join(machines)}."
    )
    return f"{table(heads, rows)}\n\n{fill(about, 120)}"


def other_rows() -> list[list[str]]:
    """Return what formulas and differential equations add to the README's table."""
    return [*_symbolic_report.readme_rows(_symbolic_report.sets()), *_physics_report.readme_rows()]


def _spread_cells(s: Spread) -> list[str]:
    return [f"{s.median:.1e} / {s.high:.1e}", f"{s.seconds:.2g}"]


def _row_a(part: Part) -> list[list[str]]:
    best = [r for (width, _), r in best_of_ladder(part["peers"]).items() if width == "[2, 5, 1]"]
    again = f"; rerun {np.median([r['rmse'] for r in best]):.1e}" if best else ""
    peer = f"pykan 4.7e-4 in 23 s{again}"
    if best:
        peer += f" in {np.median([r['seconds'] for r in best]):.0f} s"
    names = {"search": "`search`", "[2, 5, 1]": "[2, 5, 1]"}
    found = cases(part["runs"], "case")
    return [[f"{FEW.formula}, n = 1000, {names[c]}", peer, *_spread_cells(spread(found[c]))] for c in names]


def _by_degree(name: str, peer: str, part: Part) -> list[list[str]]:
    found = cases(part["runs"], "case")
    return [[f"{name}, {case}", peer, *_spread_cells(spread(runs))] for case, runs in found.items()]


def _row_b(part: Part) -> list[list[str]]:
    return _by_degree("the same, n = 3000, [2, 1, 1]", f"pykan {RECORD_B:.2e} in 165 s", part)


def _row_c(part: Part) -> list[list[str]]:
    return _by_degree("three layers deep, n = 3000, [4, 2, 1, 1]", f"pykan {RECORD_C:.2e} in 355 s", part)


def _row_d(part: Part) -> list[list[str]]:
    own = functions(part)
    below = sum(s.median < SPECIAL_PUBLISHED[name][0] for name, s in own.items())
    cell = f"{geometric_mean(s.median for s in own.values()):.1e}, {below} of {len(own)} below"
    published = geometric_mean(kan for kan, _ in SPECIAL_PUBLISHED.values())
    return [["15 special functions, geometric mean", f"KAN paper {published:.1e}", cell, _seconds(own)]]


def _row_e(part: Part) -> list[list[str]]:
    own = functions(part)
    below = sum(s.median < FEYNMAN_PUBLISHED[name].best for name, s in own.items())
    cell = f"{geometric_mean(s.median for s in own.values()):.1e}, {below} of {len(own)} below"
    published = geometric_mean(p.best for p in FEYNMAN_PUBLISHED.values())
    return [["27 Feynman formulas, geometric mean", f"best of KAN paper {published:.1e}", cell, _seconds(own)]]


def _seconds(own: dict[str, Spread]) -> str:
    return f"{np.median([s.seconds for s in own.values()]):.2g}"


def _row_f(part: Part) -> list[list[str]]:
    found = cases(part["runs"], "case")
    rows = []
    for bound in PEARSON:
        s = spread(found[f"{bound:g}"], "pearson")
        rows.append(
            [
                f"determinant of 4 x 4, Pearson, goal {bound:g}",
                "C++ 0.970 in 3.7 s",
                f"{s.median:.4f}",
                f"{s.seconds:.2g}",
            ]
        )
    return rows


def _row_g(part: Part) -> list[list[str]]:
    own, peers = cases(part["runs"], "set", "case"), cases(part["peers"], "set", "case")
    rows = []
    for (name, case), found in own.items():
        if case == "search" and (name, "GP") in peers:
            gp = spread(peers[name, "GP"])
            peer = f"Gaussian process {gp.median:.1e} in {gp.seconds:.2g} s"
            rows.append([f"{NOISY.formula} + {name}, n = 300", peer, *_spread_cells(spread(found))])
    return rows


_ROWS = {"a": _row_a, "b": _row_b, "c": _row_c, "d": _row_d, "e": _row_e, "f": _row_f, "g": _row_g}


def draw(data: dict[str, Part]) -> None:
    """Redraw the figures of what has been measured."""
    if "a" in data:
        draw_time(data["a"], TIME)
    if "h" in data:
        draw_scaling(data["h"], SCALING)
