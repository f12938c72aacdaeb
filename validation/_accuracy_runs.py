"""Tasks a to e of `accuracy.py`: functions without noise, as records for accuracy.json.

Every function here runs in a process of its own, which has one core. What is timed has run once before, on the data
of a seed that no task uses, so that nothing compiles.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from _accuracy_feynman import FEYNMAN
from _accuracy_fits import PLAIN, Fitted, Scale, fit, predict, rmse, scale_of, search
from _accuracy_peers import Record, pykan
from _accuracy_problems import DEEP, FEW, MANY, Data, Problem
from _accuracy_special import RERUN, SPECIAL

import numkan

Part = dict[str, list[Record]]

WARM = 10**6  # a seed whose data only warm up
EFFORT = 0.17  # of a search of d and e: about ten seconds at most
PYKAN_SEEDS = 3  # at most: it takes half a minute a seed


def one_core() -> None:
    """Use one thread, and say so if this process was not started for it."""
    numkan.set_threads(1)
    assert os.environ.get("OMP_NUM_THREADS") == os.environ.get("OPENBLAS_NUM_THREADS") == "1"


def record(case: str, seed: int, error: float, fitted: Fitted, **more: Any) -> Record:
    """Make a record, and print it for whoever waits."""
    found = {"case": case, "seed": seed, "rmse": error, "seconds": fitted.seconds, "network": str(fitted), **more}
    name = f"{more['function']}, {case}" if "function" in more else case
    print(f"{name}, seed {seed}: {error:.2e} in {fitted.seconds:.2f} s, {fitted}", flush=True)
    return found


def _error(fitted: Fitted, data: Data) -> float:
    return rmse(predict(fitted.model, data.fresh), data.truth)


def a(seeds: int, peers: bool) -> Part:
    """Run `search` and [2,5,1] by default; pykan with five hidden nodes, and with the one that is enough."""
    one_core()
    runs = []
    for seed in _warmed(seeds):
        data = FEW.sample(seed)
        for case, fitted in {
            "search": search(data.x, data.y, seed),
            "[2, 5, 1]": fit((2, 5, 1), data.x, data.y, seed=seed),
        }.items():
            if seed != WARM:
                runs.append(record(case, seed, _error(fitted, data), fitted))
    return {"runs": runs, "peers": pykan_on(FEW, ((2, 5, 1), (2, 1, 1)), seeds) if peers else []}


def pykan_on(problem: Problem, widths: Iterable[Sequence[int]], seeds: int) -> list[Record]:
    """Run pykan on the data of the first seeds."""
    records = []
    for seed in range(min(seeds, PYKAN_SEEDS)):
        for width in widths:
            found = pykan(width, problem.sample(seed), seed)
            _show_ladder(found)
            records.extend(found)
    return records


def _show_ladder(found: list[Record]) -> None:
    for r in found:
        name = f"{r['function']}, " if "function" in r else ""
        text = f"{name}pykan {r['network']}, seed {r['seed']}, G = {r['G']}: {r['rmse']:.2e} after {r['seconds']:.1f} s"
        print(text, flush=True)


def b(seeds: int, peers: bool) -> Part:
    """Fit [2,1,1] by default, and with degree 5."""
    return by_degree(MANY, (2, 1, 1), seeds)


def c(seeds: int, peers: bool) -> Part:
    """Fit [4,2,1,1] by default, and with degree 5."""
    return by_degree(DEEP, (4, 2, 1, 1), seeds)


def by_degree(problem: Problem, width: Sequence[int], seeds: int) -> Part:
    """Fit one network of degree 3 and one of degree 5 to the data of every seed."""
    one_core()
    runs = []
    for seed in _warmed(seeds):
        data = problem.sample(seed)
        for k in (3, 5):
            fitted = fit(width, data.x, data.y, k=k, seed=seed)
            if seed != WARM:
                runs.append(record(f"k = {k}", seed, _error(fitted, data), fitted))
    return {"runs": runs, "peers": []}


def _warmed(seeds: int) -> list[int]:
    return [WARM, *range(seeds)]


def d(seeds: int, peers: bool) -> Part:
    """Search for each special function; pykan [2,5,1] on some, at the first seed."""
    one_core()
    warm_up(SPECIAL.values())
    runs, rerun = [], []
    for problem in SPECIAL.values():
        runs += searches(problem, seeds, scaled=True)
        if peers and problem.name in RERUN:
            rerun += rerun_scaled(problem)
    return {"effort": EFFORT, "runs": runs, "peers": rerun}


def e(seeds: int, peers: bool) -> Part:
    """Search for each Feynman formula."""
    one_core()
    warm_up(FEYNMAN.values())
    runs = [r for problem in FEYNMAN.values() for r in searches(problem, seeds, scaled=False)]
    return {"effort": EFFORT, "runs": runs, "peers": []}


def warm_up(problems: Iterable[Problem]) -> None:
    """Search once for every number of inputs."""
    for problem in {len(p.box): p for p in problems}.values():
        data = problem.sample(WARM)
        search(data.x, data.y, effort=EFFORT)


def searches(problem: Problem, seeds: int, scaled: bool) -> list[Record]:
    """Search on the data of every seed; ``scaled``: through a scale, and with the error over the targets' deviation."""
    runs = []
    for seed in range(seeds):
        data = problem.sample(seed)
        scale = scale_of(data.y) if scaled else PLAIN
        fitted = search(data.x, scale.into(data.y), seed, effort=EFFORT)
        error = rmse(scale.back(predict(fitted.model, data.fresh)), data.truth)
        error /= float(data.truth.std()) if scaled else 1.0
        runs.append(record("search", seed, error, fitted, function=problem.name, scale=scale.name))
    return runs


def rerun_scaled(problem: Problem, seed: int = 0) -> list[Record]:
    """Run pykan [2,5,1] on a special function: same data, same scale and measure as numkan.

    It is given the inputs stretched to [-1, 1], where its grids are, and targets of mean 0 and deviation 1.
    """
    data = problem.sample(seed)
    scale = scale_of(data.y)
    moved, back = standardised(problem, data, scale)
    found = pykan((2, 5, 1), moved, seed, back)
    for r in found:
        r["rmse"] /= float(data.truth.std())
        r["function"] = problem.name
    _show_ladder(found)
    return found


def standardised(problem: Problem, data: Data, scale: Scale) -> tuple[Data, Any]:
    """Stretch the box to [-1, 1] and the scaled targets to mean 0, deviation 1; return also the way back."""
    low, high = np.transpose(problem.box)
    y = scale.into(data.y)
    mean, deviation = y.mean(), y.std()
    moved = replace(
        data,
        x=2 * (data.x - low) / (high - low) - 1,
        y=(y - mean) / deviation,
        fresh=2 * (data.fresh - low) / (high - low) - 1,
    )
    return moved, lambda z: scale.back(mean + deviation * z)
