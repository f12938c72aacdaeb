"""Task h of `accuracy.py`: how the error of [2,1,1] falls with the grid, for four degrees, on task b's data."""

from __future__ import annotations

import numpy as np
from _accuracy_fits import fit, predict, rmse
from _accuracy_peers import Record
from _accuracy_problems import MANY
from _accuracy_runs import Part, one_core, record

GRIDS = (5, 10, 20, 40, 80, 160, 320)
DEGREES = (1, 2, 3, 5)
ROUNDING = 1e-12  # errors below are no longer the spline's


def ladder(G: int) -> list[int]:
    """Return the grids on the way to G: a fit that begins on a fine grid may stay in the wrong valley."""
    return [coarse for coarse in GRIDS[::2] if coarse < G] + [G]


def h(seeds: int, peers: bool) -> Part:
    """Fit every degree at every grid, on the data of every seed; times are not what this is about."""
    one_core()
    runs = []
    for seed in range(seeds):
        data = MANY.sample(seed)
        for k in DEGREES:
            for G in GRIDS:
                fitted = fit((2, 1, 1), data.x, data.y, k=k, seed=seed, grids=ladder(G))
                error = rmse(predict(fitted.model, data.fresh), data.truth)
                runs.append(record(f"k = {k}", seed, error, fitted, k=k, G=G))
    return {"runs": runs, "peers": []}


def medians(runs: list[Record]) -> dict[int, dict[int, float]]:
    """Return degree -> grid -> median error over the seeds."""
    found: dict[int, dict[int, list[float]]] = {}
    for r in runs:
        found.setdefault(r["k"], {}).setdefault(r["G"], []).append(r["rmse"])
    return {k: {G: float(np.median(e)) for G, e in by_grid.items()} for k, by_grid in found.items()}


def slope(by_grid: dict[int, float]) -> float:
    """Fit a line to log error over log G by least squares, where the error is the spline's."""
    points = [(np.log(G), np.log(error)) for G, error in by_grid.items() if error > ROUNDING]
    return float(np.polyfit(*np.transpose(points), 1)[0]) if len(points) > 1 else float("nan")
