"""The tables of `accuracy.py`, one for each task: its runs beside published figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from _accuracy_determinant import ROWS
from _accuracy_feynman import FEYNMAN, NOTES
from _accuracy_feynman import PUBLISHED as FEYNMAN_PUBLISHED
from _accuracy_goals import RECORD_B, RECORD_C, Spread, best_of_ladder, cases, functions, rerun, spread
from _accuracy_problems import DEEP, FEW, MANY, NOISY
from _accuracy_slopes import GRIDS, medians, slope
from _accuracy_special import PUBLISHED as SPECIAL_PUBLISHED
from _accuracy_special import SPECIAL
from _report import table

Part = dict[str, Any]

TITLES = {
    "a": f"a: {FEW.formula}, n = {FEW.n}",
    "b": f"b: {MANY.formula}, [2, 1, 1], n = {MANY.n}",
    "c": f"c: {DEEP.formula}, [4, 2, 1, 1], n = {DEEP.n}",
    "d": "d: fifteen special functions, n = 3000",
    "e": "e: 27 dimensionless Feynman formulas, n = 3000",
    "f": f"f: the determinant of a 4 x 4 matrix, n = {ROWS}",
    "g": "g: noise, and real data",
    "h": "h: the scaling law, [2, 1, 1]",
}

_SPREAD = ["", "RMSE, median", "90th percentile", "worst", "seconds", "seeds"]


def _cells(s: Spread) -> list[str]:
    return [f"{s.median:.2g}", f"{s.high:.2g}", f"{s.worst:.2g}", f"{s.seconds:.2g}", str(s.count)]


def _case_rows(part: Part) -> list[list[str]]:
    return [[f"numkan, {case}", *_cells(spread(found))] for case, found in cases(part["runs"], "case").items()]


def table_a(part: Part) -> str:
    """Lay out task a: pykan is shown at the best of its grids."""
    rows = _case_rows(part)
    by_network = cases(best_of_ladder(part["peers"]).values(), "network")
    rows += [[f"pykan rerun, {width}, best grid", *_cells(spread(found))] for width, found in by_network.items()]
    rows.append(["pykan 0.2, published, [2, 5, 1]", "4.7e-4", "-", "-", "23", "1"])
    return f"Uniform on {FEW.domain()}, {FEW.n_fresh} fresh points.\n\n{table(_SPREAD, rows)}"


def table_b(part: Part) -> str:
    """Lay out task b."""
    rows = [*_case_rows(part), ["pykan 0.0, published, G = 100", f"{RECORD_B:.3g}", "-", "-", "165", "1"]]
    return f"Uniform on {MANY.domain()}, {MANY.n_fresh} fresh points.\n\n{table(_SPREAD, rows)}"


def table_c(part: Part) -> str:
    """Lay out task c."""
    rows = [*_case_rows(part), ["pykan 0.0, published, G = 50", f"{RECORD_C:.3g}", "-", "-", "355", "1"]]
    return f"Uniform on {DEEP.domain()}, {DEEP.n_fresh} fresh points.\n\n{table(_SPREAD, rows)}"


def _networks(part: Part) -> dict[str, str]:
    """Return, by function, the network of the run with the median error."""
    return {
        name: sorted(found, key=lambda r: r["rmse"])[(len(found) - 1) // 2]["network"]
        for name, found in cases(part["runs"], "function").items()
    }


def _seeds(part: Part) -> int:
    return len({r["seed"] for r in part["runs"]})


def table_d(part: Part) -> str:
    """Lay out the special functions, all errors over the deviation of the targets but the published ones."""
    peer, networks = rerun(part), _networks(part)
    scales = {r["function"]: r["scale"] for r in part["runs"]}
    rows = []
    for name, s in functions(part).items():
        kan, mlp = SPECIAL_PUBLISHED[name]
        through = f", {scales[name]}" if scales[name] else ""
        again = f"{peer[name]:.2g}" if name in peer else "-"
        row = [f"{SPECIAL[name].formula}{through}", SPECIAL[name].domain(), f"{s.median:.2g}", f"{s.worst:.2g}"]
        rows.append([*row, f"{kan:.3g}", f"{mlp:.3g}", again, f"{s.seconds:.1f}", networks[name]])
    about = (
        f"`search(effort={part['effort']})`, numkan's error over the deviation of the targets on 5000 fresh points, "
        f"median and worst of {_seeds(part)} seeds. "
        "Published: best KAN and best MLP of arXiv 2404.19756, table 1, whose domains "
        "are not known. Rerun: pykan [2, 5, 1] at the first seed, G = 3, 5, 10, 20, 50 with 50 steps of L-BFGS each, "
        "best grid on the fresh points; its inputs are stretched to [-1, 1], its targets standardised. Where the first "
        "column says log, both learn the logarithm of the target: that is so where all training targets are positive "
        "and their mean is over three times their median."
    )
    heads = ["function", "domain", "RMSE", "worst", "KAN", "MLP", "pykan rerun", "seconds", "network"]
    return f"{about}\n\n{table(heads, rows)}"


def table_e(part: Part) -> str:
    """Lay out the Feynman formulas with their ranges."""
    networks = _networks(part)
    rows = []
    for name, s in functions(part).items():
        best = FEYNMAN_PUBLISHED[name].best
        row = [f"{name}: {FEYNMAN[name].formula}", FEYNMAN[name].domain(), f"{s.median:.2g}", f"{s.worst:.2g}"]
        rows.append([*row, f"{best:.3g}", "yes" if s.median < best else "no", f"{s.seconds:.1f}", networks[name]])
    about = (
        f"`search(effort={part['effort']})`, RMSE on 5000 fresh points, median and worst of {_seeds(part)} seeds. "
        "Published: "
        "the best of the four columns of arXiv 2404.19756, table 2, whose ranges are not known. Ranges here are pykan "
        "0.2.8's (kan/feynman.py) for the variable of that name or place, in units in which the quantity it is divided "
        "by is 1. Notes: " + "; ".join(f"{name}: {note}" for name, note in NOTES.items()) + "."
    )
    heads = ["formula", "ranges", "RMSE", "worst", "published", "beaten", "seconds", "network"]
    return f"{about}\n\n{table(heads, rows)}"


def table_f(part: Part) -> str:
    """Lay out the determinant."""
    rows = []
    for case, found in cases(part["runs"], "case").items():
        s, least = spread(found, "pearson"), min(r["pearson"] for r in found)
        row = [f"numkan, {found[0]['network']}, for {case}", f"{s.median:.4f}", f"{least:.4f}", f"{s.seconds:.2g}"]
        rows.append([*row, str(s.count)])
    rows.append(["Newton-Kaczmarz in C++, one thread (github.com/andrewpolar)", "0.970", "-", "3.7", "1"])
    rows.append(["Newton-Kaczmarz in C++, three threads on two cores", "0.962", "-", "1.76", "1"])
    about = "Float32. Rows from U[0, 10]^16; Pearson's correlation on 20,000 fresh rows; drawing the rows is not timed."
    return f"{about}\n\n{table(['', 'Pearson, median', 'least', 'seconds', 'seeds'], rows)}"


def table_g(part: Part) -> str:
    """Lay out noise, and real data."""
    runs = part["runs"] + part["peers"]
    noise = [
        [f"{name}, {case}", *_cells(spread(found)), _noise(found)]
        for (name, case), found in cases((r for r in runs if "rmse" in r), "set", "case").items()
    ]
    sets = [
        [f"{name}, {case}", f"{np.mean([r['r2'] for r in found]):.3f}", f"{spread(found, 'r2').seconds:.2g}"]
        for (name, case), found in cases((r for r in runs if "r2" in r), "set", "case").items()
    ]
    about = (
        f"{NOISY.formula} with n = {NOISY.n} noisy targets; RMSE against the truth on {NOISY.n_fresh} fresh points. "
        "GP: scikit-learn's, RBF with a length for each input, and white noise. MLP: MLPRegressor. Inputs and targets "
        "are standardised for all, and no method is given the noise."
    )
    folds = "Mean R2 of five shuffled folds; seconds are those of the five fits together."
    first = table([*_SPREAD, "noise found"], noise)
    return f"{about}\n\n{first}\n\n{folds}\n\n{table(['', 'R2', 'seconds'], sets)}"


def _noise(found: list[dict[str, Any]]) -> str:
    return f"{np.median([r['noise'] for r in found]):.2g}" if "noise" in found[0] else "-"


def table_h(part: Part) -> str:
    """Lay out the errors by grid, and the slopes."""
    rows = [
        [f"k = {k}", *(f"{by_grid[G]:.1e}" for G in GRIDS), f"{slope(by_grid):.2f}", str(-k - 1)]
        for k, by_grid in medians(part["runs"]).items()
    ]
    about = (
        "Task b's data; median RMSE over the seeds by grid, which is reached from G = 5 by fours. The slope is that of "
        "a line through log error over log G, by least squares, where the error is over 1e-12."
    )
    return f"{about}\n\n{table(['', *(f'G = {G}' for G in GRIDS), 'slope', 'theory'], rows)}"


TABLES: dict[str, Callable[[Part], str]] = dict(
    zip("abcdefgh", (table_a, table_b, table_c, table_d, table_e, table_f, table_g, table_h), strict=True)
)
