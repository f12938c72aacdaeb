"""What tables.json says: ranks, goals, and the score of every table."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from _goals import Claim, Goal, goal_table
from _report import paragraph, table
from _tables_list import CLASSIFICATION, REGRESSION, ROWS_OF_PROCESS, guides

FILE = Path(__file__).with_name("tables.json")

Data = dict[str, Any]
Scores = dict[str, dict[str, float]]  # table -> contender -> mean over the folds

#: A contender takes part in ranks where it has scores on this share of the tables at least.
_MOST_TABLES = 0.8

#: Tables of fewer rows are left out of the goals on single folds.
_ROWS = 60

#: What contenders are ranked by.
_RANKED = (
    ("regression", "r2", "R2"), ("classification", "log_loss", "log-loss"), ("classification", "brier", "Brier")
)  # fmt: skip

#: All contenders of a kind, whether or not they have been run.
CONTENDER_NAMES = {
    "regression": (
        "numkan", "ridge", "mlp", "svm", "forest", "boosting", "xgboost", "process", "pygam", "ebm", "kanboost"
    ),
    "classification": (
        "numkan", "logistic", "mlp", "svm", "forest", "boosting", "xgboost", "process", "pygam", "ebm", "kanboost"
    ),
}  # fmt: skip

#: How far under ridge's a fold's R2 may be; how far under the best one's a table's.
_UNDER_RIDGE, _REGRET = 0.2, 0.10

#: Errors over those that were claimed: the median of tables, and the worst; CPU seconds of a large fit.
_HONEST, _TOO_SURE, _LARGE = 1.15, 1.3, 10.0


def summary_line(found: Data) -> str:
    """Say what one contender reached on one table."""
    if "error" in found:
        return str(found["error"])
    folds = found["folds"]
    means = {key: float(np.mean([fold[key] for fold in folds])) for key in folds[0] if key != "calibration"}
    return "  ".join(f"{key} {value:.4g}" for key, value in means.items())


def names_of(kind: str, half: str) -> list[str]:
    """Return the names of the tables of one kind in one half, or in both."""
    guiding = guides()
    tables = REGRESSION if kind == "regression" else CLASSIFICATION
    return [t.name for t in tables if half == "both" or (t.name in guiding) == (half == "guide")]


def scores(data: Data, names: list[str], measure: str) -> Scores:
    """Return the means over the folds of one measure."""
    found: Scores = {name: {} for name in names}
    for contender, runs in data.get("runs", {}).items():
        for name in names:
            folds = runs.get(name, {}).get("folds")
            if folds and measure in folds[0]:
                found[name][contender] = float(np.mean([fold[measure] for fold in folds]))
    return {name: each for name, each in found.items() if "numkan" in each}


def ranks(found: Scores, more_is_better: bool) -> dict[str, float]:
    """Return the mean rank of the contenders that were tried on most tables, among those that have a score."""
    sign = -1.0 if more_is_better else 1.0
    tried = {c for each in found.values() for c in each}
    taking = {c for c in tried if sum(c in each for each in found.values()) >= _MOST_TABLES * len(found)}
    places: dict[str, list[float]] = {c: [] for c in taking}
    for each in found.values():
        values = {c: sign * each[c] for c in taking if c in each}
        for c, value in values.items():
            better = sum(other < value for other in values.values())
            equal = sum(other == value for other in values.values())
            places[c].append(better + 0.5 * (equal + 1))
    return dict(sorted(((c, float(np.mean(p))) for c, p in places.items()), key=lambda pair: pair[1]))


def _folds_under_ridge(data: Data, names: list[str]) -> int:
    own, ridge = (data["runs"][c] for c in ("numkan", "ridge"))
    return sum(
        mine["r2"] < other["r2"] - _UNDER_RIDGE
        for name in names
        if "folds" in own.get(name, {}) and "folds" in ridge.get(name, {})
        for mine, other in zip(own[name]["folds"], ridge[name]["folds"], strict=True)
    )


def _seconds(data: Data, contender: str, names: list[str]) -> float:
    runs = data["runs"][contender]
    return sum(fold["seconds"] for name in names for fold in runs.get(name, {}).get("folds", []))


def goals(data: Data, half: str = "judge") -> list[Goal]:
    """Hold numkan against the contenders on one half of the tables."""
    numbers, classes = names_of("regression", half), names_of("classification", half)
    r2 = scores(data, numbers, "r2")
    losses, briers = (scores(data, classes, measure) for measure in ("log_loss", "brier"))
    large = [name for name in r2 if data["runs"]["numkan"][name]["rows"] >= _ROWS]
    regret = max(max(r2[name].values()) - r2[name]["numkan"] for name in large)
    worst = max(each["numkan"] / each["logistic"] for each in losses.values() if "logistic" in each)
    both = [*r2, *losses]
    ratio = _seconds(data, "numkan", both) / _seconds(data, "mlp", both)
    found = [
        _first(f"mean rank by R2, {len(r2)} tables", ranks(r2, True)),
        Goal("folds with R2 under ridge's minus 0.2", _folds_under_ridge(data, large), 0, True, ""),
        Goal("worst regret of R2 to the best contender", regret, _REGRET, True, ""),
        _first(f"mean rank by log-loss, {len(losses)} tables", ranks(losses, False)),
        _first(f"mean rank by Brier score, {len(briers)} tables", ranks(briers, False)),
        Goal("worst log-loss over logistic regression's", worst, 1.3, True),
        Goal("seconds of all fits over MLP's", ratio, 6.0, True),
    ]
    return found + _honesty(data, numbers) + _large(data)


def _honesty(data: Data, names: list[str]) -> list[Goal]:
    """Hold the errors of numkan's predictions against the deviations that it gives with them."""
    runs = data["runs"]["numkan"]
    folds = [runs[name]["folds"] for name in names if "claimed" in runs.get(name, {}).get("folds", [{}])[0]]
    if not folds:
        return []
    errors, claims = (np.array([[fold[key] for fold in each] for each in folds]) for key in ("rmse", "claimed"))
    ratios = np.sqrt(np.square(errors).sum(axis=1) / np.square(claims).sum(axis=1))
    return [
        Goal(f"errors over those claimed, median of {len(folds)} tables", float(np.median(ratios)), _HONEST, True),
        Goal("errors over those claimed, worst table", float(ratios.max()), _TOO_SURE, True),
    ]


def _large(data: Data) -> list[Goal]:
    large = data.get("large")
    return [Goal("a fit of 10,000 rows and 20 columns, CPU", large["seconds"], _LARGE, True, "s")] if large else []


def _first(what: str, found: dict[str, float]) -> Goal:
    others = {c: rank for c, rank in found.items() if c != "numkan"}
    best = min(others, key=others.__getitem__)
    return Goal(f"{what} (best of {len(others)} others: {best})", found["numkan"], round(others[best], 2), True, "")


def claim(data: Data) -> Claim:
    """Return the goals as one claim."""
    about = data["about"]["numkan"]
    return Claim("real tables, the half that judges", "tables.py", goals(data), about, decides=False)


def section(data: Data) -> str:
    """Return the section of RESULTS.md."""
    if "numkan" not in data.get("runs", {}):
        return ""
    return "\n\n".join(["## Real tables", _about(data), goal_table(goals(data)), _rank_table(data)])


def _about(data: Data) -> str:
    text = (
        f"{len(REGRESSION)} tables of numbers and {len(CLASSIFICATION)} of classes, five shuffled folds, defaults "
        "only. Half of the tables guided the choice of defaults, the other half judges. Ranks are among contenders "
        f"with a score on {_MOST_TABLES:.0%} of the tables; Gaussian processes see {ROWS_OF_PROCESS} rows at most."
    )
    return fill(text + _missing(data), 120)


def _missing(data: Data) -> str:
    """Say who has a score on fewer tables: what has not been run, or takes too long."""
    runs = data["runs"]
    short = dict.fromkeys(
        contender
        for kind, contenders in CONTENDER_NAMES.items()
        for contender in contenders
        if sum("folds" in runs.get(contender, {}).get(name, {}) for name in names_of(kind, "judge"))
        < _MOST_TABLES * len(names_of(kind, "judge"))
    )
    return f" With fewer scores on one kind: {', '.join(short)}." if short else ""


def _rank_table(data: Data) -> str:
    """Lay out the mean ranks of all contenders: the half that judges, then the one that guided."""
    columns = {
        f"{title}, {'judging' if half == 'judge' else 'guiding'}": ranks(
            scores(data, names_of(kind, half), measure), measure == "r2"
        )
        for kind, measure, title in _RANKED
        for half in ("judge", "guide")
    }
    names = dict.fromkeys(name for found in columns.values() for name in found)
    rows = [[name, *(f"{found[name]:.2f}" if name in found else "-" for found in columns.values())] for name in names]
    return table(["mean rank", *columns], rows)


def report_text(data: Data) -> str:
    """Return the section, and the score of every table."""
    if "numkan" not in data.get("runs", {}):
        return "tables.json holds no run of numkan."
    parts = [section(data), paragraph(data["about"]["numkan"])]
    for kind, measure in (("regression", "r2"), ("classification", "log_loss"), ("classification", "brier")):
        for half in ("judge", "guide"):
            found = scores(data, names_of(kind, half), measure)
            who = list(data["runs"])
            rows = [[n, *(f"{each[c]:.3f}" if c in each else "-" for c in who)] for n, each in found.items()]
            parts.append(
                f"{measure}, half that {'judges' if half == 'judge' else 'guided'}\n\n" + table(["", *who], rows)
            )
    return "\n\n".join(parts)
