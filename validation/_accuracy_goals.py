"""What the records of `accuracy.py` are held against, task by task: published figures, reruns, and numkan's own goals.

Published seconds are those of the machines and versions of their time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from _accuracy_determinant import GOALS as PEARSON
from _accuracy_feynman import FEYNMAN
from _accuracy_feynman import PUBLISHED as FEYNMAN_PUBLISHED
from _accuracy_noise import NOISE, SETS
from _accuracy_peers import Record
from _accuracy_slopes import medians, slope
from _accuracy_special import PUBLISHED as SPECIAL_PUBLISHED
from _accuracy_special import SPECIAL
from _goals import Goal

RECORD_B, RECORD_C = 3.27e-8, 5.07e-7  # pykan 0.0.x, docs: Example_8_scaling (165 s) and Example_2 (355 s)

# task -> case -> goals of the median error, of its 90th percentile, and of the median seconds
SPREADS = {
    "a": {"search": (8e-8, 3e-7, 3.0), "[2, 5, 1]": (3e-6, 2e-5, 3.0)},
    "b": {"k = 3": (1e-9, 5e-9, 0.5), "k = 5": (1e-12, 1e-11, 1.0)},
    "c": {"k = 3": (1e-8, 3e-7, 2.0), "k = 5": (1e-10, 1e-8, 4.0)},
}


@dataclass(frozen=True)
class Spread:
    """Median, 90th percentile and worst of some errors, and the median of the seconds."""

    median: float
    high: float
    worst: float
    seconds: float
    count: int


def spread(runs: Iterable[Record], key: str = "rmse") -> Spread:
    """Sum up the runs of one case."""
    found = [(r[key], r["seconds"]) for r in runs]
    values, seconds = np.transpose(found)
    high = float(np.quantile(values, 0.9))
    return Spread(float(np.median(values)), high, float(values.max()), float(np.median(seconds)), len(found))


def cases(runs: Iterable[Record], *keys: str) -> dict[Any, list[Record]]:
    """Gather records by the value of a key, or by the values of several."""
    found: dict[Any, list[Record]] = {}
    for r in runs:
        values = tuple(r[key] for key in keys)
        found.setdefault(values[0] if len(keys) == 1 else values, []).append(r)
    return found


def best_of_ladder(peers: list[Record]) -> dict[tuple[str, int], Record]:
    """Return, by network and seed, the grid at which pykan did best on the fresh points, with the seconds up to it."""
    return {key: min(found, key=lambda r: r["rmse"]) for key, found in cases(peers, "network", "seed").items()}


def rerun(part: dict[str, Any]) -> dict[str, float]:
    """Return pykan's best error by function."""
    return {name: min(r["rmse"] for r in found) for name, found in cases(part["peers"], "function").items()}


def functions(part: dict[str, Any]) -> dict[str, Spread]:
    """Sum up the searches by function."""
    return {name: spread(found) for name, found in cases(part["runs"], "function").items()}


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean."""
    return math.exp(float(np.mean([math.log(v) for v in values])))


def _error(what: str, value: float, bound: float) -> Goal:
    return Goal(what, value, bound, most=True, unit="RMSE")


def _seconds(what: str, value: float, bound: float) -> Goal:
    return Goal(what, value, bound, most=True, unit="s")


def spreads(task: str, part: dict[str, Any]) -> list[Goal]:
    """Hold the cases of a, b or c against their goals."""
    goals = []
    found = cases(part["runs"], "case")
    for case, (median, high, seconds) in SPREADS[task].items():
        s = spread(found[case])
        goals.append(_error(f"{case}, median", s.median, median))
        goals.append(_error(f"{case}, 90th percentile", s.high, high))
        goals.append(_seconds(f"{case}, median time", s.seconds, seconds))
    return goals


def a(part: dict[str, Any]) -> list[Goal]:
    """Hold task a against its goals, and against pykan at its best on the same data."""
    goals = spreads("a", part)
    best = best_of_ladder(part["peers"])
    if best:
        ratios = [
            (r["rmse"], r["seconds"], peer)
            for r in part["runs"]
            if r["case"] == "search"
            for (_, seed), peer in best.items()
            if seed == r["seed"]
        ]
        error = min(peer["rmse"] / own for own, _, peer in ratios)
        seconds = min(peer["seconds"] / own for _, own, peer in ratios)
        goals.append(Goal("search: error of pykan's best grid over its own, least of seeds", error, 1.0))
        goals.append(Goal("search: seconds of pykan's best grid over its own, least of seeds", seconds, 1.0))
    return goals


def b(part: dict[str, Any]) -> list[Goal]:
    """Hold task b against its goals."""
    return spreads("b", part)


def c(part: dict[str, Any]) -> list[Goal]:
    """Hold task c against its goals."""
    worst = spread(cases(part["runs"], "case")["k = 3"]).worst
    return [*spreads("c", part), _error("k = 3, worst: below the published", worst, RECORD_C)]


def d(part: dict[str, Any]) -> list[Goal]:
    """Hold the special functions against the table of the paper, and against pykan on these domains."""
    own, peer = functions(part), rerun(part)
    below = sum(s.median < SPECIAL_PUBLISHED[name][0] for name, s in own.items())
    goals = [
        Goal("below the published figure", below, 10, unit=f"of {len(SPECIAL)}"),
        _error("geometric mean", geometric_mean(s.median for s in own.values()), 4e-5),
        _seconds("longest search", max(r["seconds"] for r in part["runs"]), 10.0),
    ]
    if peer:
        below = sum(own[name].median < error for name, error in peer.items())
        goals.append(Goal("below pykan's rerun", below, len(peer), unit=f"of {len(peer)}"))
    return goals


def e(part: dict[str, Any]) -> list[Goal]:
    """Hold the Feynman formulas against the best column of the paper's table."""
    own = functions(part)
    below = sum(s.median < FEYNMAN_PUBLISHED[name].best for name, s in own.items())
    return [
        Goal("below the best of four published columns", below, 24, unit=f"of {len(FEYNMAN)}"),
        _error("geometric mean", geometric_mean(s.median for s in own.values()), 2e-5),
        _seconds("longest search", max(r["seconds"] for r in part["runs"]), 10.0),
    ]


def f(part: dict[str, Any]) -> list[Goal]:
    """Hold the determinant against its correlations and seconds."""
    goals = []
    found = cases(part["runs"], "case")
    for bound, recipe in PEARSON.items():
        s = spread(found[f"{bound:g}"], "pearson")
        goals.append(Goal(f"for {bound:g}: median", s.median, bound, unit="Pearson"))
        goals.append(_seconds(f"for {bound:g}: median time", s.seconds, recipe.seconds))
    return goals


def g(part: dict[str, Any]) -> list[Goal]:
    """Hold noisy targets against the Gaussian process, real data against two regressors."""
    own, peers = cases(part["runs"], "set", "case"), cases(part["peers"], "set", "case")
    goals = []
    for name in (f"noise {noise:g}" for noise in NOISE):
        if (name, "GP") not in peers:
            continue
        gp = spread(peers[name, "GP"])
        for case, bound in (("search", 0.7), ("[2, 5, 1]", 1.0)):
            s = spread(own[name, case])
            goals.append(Goal(f"{name}, {case}: error over the GP's", s.median / gp.median, bound, most=True))
            goals.append(Goal(f"{name}, {case}: seconds over the GP's", s.seconds / gp.seconds, 1.0, most=True))
    for name in (name for name in SETS if (name, "search") in own):
        score = float(np.mean([r["r2"] for r in own[name, "search"]]))
        for peer in ("MLP", "RidgeCV"):
            if (name, peer) in peers:
                bound = float(np.mean([r["r2"] for r in peers[name, peer]])) - 0.01
                goals.append(Goal(f"{name}, beside {peer}'s - 0.01", score, round(bound, 4), unit="R2"))
    return goals


def h(part: dict[str, Any]) -> list[Goal]:
    """Hold the slopes against those of theory."""
    return [
        Goal(f"k = {k}: distance from -{k + 1}", abs(slope(by_grid) + k + 1), 0.3, most=True, unit="in slope")
        for k, by_grid in medians(part["runs"]).items()
    ]


GOALS: dict[str, Callable[[dict[str, Any]], list[Goal]]] = {goal.__name__: goal for goal in (a, b, c, d, e, f, g, h)}
