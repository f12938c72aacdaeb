"""Task g of `accuracy.py`: noisy targets, and three sets of real data, beside scikit-learn on the same numbers.

Inputs and targets are standardised for all, by the training part alone.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from _accuracy_fits import fit, predict, rmse, search
from _accuracy_peers import REGRESSORS, Record, regress
from _accuracy_problems import NOISY, Array
from _accuracy_runs import WARM, Part, one_core

NOISE = (0.1, 0.01)
SETS = ("diabetes", "wine", "breast cancer")
SPLITS = 3  # shuffles of the real data, at most
EFFORT = 0.17  # of a search on real data

#: Predictor, seconds, and the noise that was found, NaN where nothing is said of it.
Found = tuple[Callable[[Array], Array], float, float]
Way = Callable[[Array, Array, int], Found]


def _search(x: Array, y: Array, seed: int) -> Found:
    fitted = search(x, y, seed, effort=EFFORT)
    return (lambda z: predict(fitted.model, z)), fitted.seconds, float("nan")


def _five(x: Array, y: Array, seed: int) -> Found:
    fitted = fit((2, 5, 1), x, y, seed=seed)
    return (lambda z: predict(fitted.model, z)), fitted.seconds, float(fitted.result.noise)


def _peer(name: str) -> Way:
    return lambda x, y, seed: (*regress(name, x, y), float("nan"))


def g(seeds: int, peers: bool) -> Part:
    """Run the noisy function on every seed, and the real sets on as many shuffles, up to three."""
    one_core()
    runs = noisy(seeds, peers)
    if importlib.util.find_spec("sklearn"):  # which has the data
        runs += [r for name in SETS for r in real(name, min(seeds, SPLITS), peers)]
    own = [r for r in runs if r["case"] not in REGRESSORS]
    return {"runs": own, "peers": [r for r in runs if r["case"] in REGRESSORS]}


def noisy(seeds: int, peers: bool) -> list[Record]:
    """Measure the error against the truth, on fresh points."""
    ways: dict[str, Way] = {"search": _search, "[2, 5, 1]": _five}
    if peers:
        ways |= {name: _peer(name) for name in ("GP", "MLP")}
    runs = []
    for noise in NOISE:
        for seed in [WARM, *range(seeds)]:
            data = NOISY.sample(seed, noise)
            x, y, back = _standardise(data.x, data.y)
            for case, way in ways.items():
                model, seconds, found = way(x(data.x), y, seed)
                error = rmse(back(model(x(data.fresh))), data.truth)
                if seed == WARM:
                    continue
                runs.append({"set": f"noise {noise:g}", "case": case, "seed": seed, "rmse": error, "seconds": seconds})
                if np.isfinite(found):
                    runs[-1]["noise"] = found * float(data.y.std())
                print(f"noise {noise:g}, {case}, seed {seed}: {error:.2e} in {seconds:.2f} s", flush=True)
    return runs


def load(name: str) -> tuple[Array, Array]:
    """Return one of scikit-learn's sets; a class is a number."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name.replace(' ', '_')}")(return_X_y=True)
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def real(name: str, splits: int, peers: bool) -> list[Record]:
    """Measure the mean R2 of five shuffled folds; seconds are those of all five fits."""
    from sklearn.model_selection import KFold

    ways: dict[str, Way] = {"search": _search}
    if peers:
        ways |= {peer: _peer(peer) for peer in ("MLP", "RidgeCV")}
    inputs, targets = load(name)
    _search(inputs[::2], targets[::2], WARM)
    runs = []
    for split in range(splits):
        for case, way in ways.items():
            scores, spent = [], 0.0
            for train, test in KFold(5, shuffle=True, random_state=split).split(inputs):
                x, y, back = _standardise(inputs[train], targets[train])
                model, seconds, _ = way(x(inputs[train]), y, split)
                scores.append(r2(back(model(x(inputs[test]))), targets[test]))
                spent += seconds
            runs.append({"set": name, "case": case, "seed": split, "r2": float(np.mean(scores)), "seconds": spent})
            print(f"{name}, {case}, shuffle {split}: R2 {np.mean(scores):.3f} in {spent:.1f} s", flush=True)
    return runs


def r2(y: Array, truth: Array) -> float:
    """Share of the variance that is explained."""
    return float(1 - np.sum((y - truth) ** 2) / np.sum((truth - truth.mean()) ** 2))


def _standardise(x: Array, y: Array) -> tuple[Callable[[Array], Array], Array, Callable[[Array], Any]]:
    """Return the standardisation of inputs, the standardised targets, and the way back."""
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    centre, size = y.mean(), y.std()
    return (lambda z: (z - mean) / deviation), (y - centre) / size, lambda z: centre + size * z
