"""Task f of `accuracy.py`: the determinant of a 4 x 4 matrix, 100,000 rows, by Adam on mini-batches.

The measure is the correlation of Pearson on 20,000 fresh rows, as in the programs that published the times: rows are
drawn from U[0, 10]^16, and drawing them is not timed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from _accuracy_fits import Fitted, predict
from _accuracy_problems import Array
from _accuracy_runs import WARM, Part, one_core
from numpy.typing import NDArray

import numkan

ROWS, FRESH = 100_000, 20_000
REACH = 4.0  # the grids of both layers: [-4, 4], for inputs stretched to it and for hidden activations of deviation 1


@dataclass(frozen=True)
class Recipe:
    """The options of the fit for one goal: everything special to this task."""

    seconds: float  # that it may take
    hidden: int
    G: int  # of the outer functions
    batch: int
    passes: float  # over the rows
    learning_rate: float = 0.05


GOALS = {0.97: Recipe(0.6, 48, 8, 200, 1.6), 0.99: Recipe(2.0, 64, 12, 250, 4)}  # by Pearson's correlation


def train(x: Array, y: Array, seed: int, recipe: Recipe) -> Fitted:
    """Train by public options: straight lines with a kink in the middle inside, cubic splines outside."""
    start = time.process_time()
    model = numkan.KAN(
        [16, recipe.hidden, 1],
        grid=[2, recipe.G],
        k=[1, 3],
        grid_range=(-REACH, REACH),
        base_fun="zero",
        seed=seed,
        dtype=np.float32,
    )
    point_at_random(model, seed)
    steps = int(recipe.passes * len(x) / recipe.batch)
    options: dict[str, Any] = {"batch_size": recipe.batch, "learning_rate": recipe.learning_rate, "steps": steps}
    standing = {"grids": None, "update_grid": False, "validation": None}  # the grids stay where they are
    y = (y - y.mean()) / y.std()
    result = model.fit(stretched(x), y, method="adam", random_state=seed, **options, **standing)
    return Fitted(model, time.process_time() - start, result)


def point_at_random(model: Any, seed: int) -> None:
    """Start each hidden node as a random direction, with activations of deviation 1, and the outer functions small."""
    rng = np.random.default_rng(seed)
    inner, outer = model.act_fun
    knots = np.array([-REACH, 0.0, REACH])  # where the coefficients of degree 1 are values
    lines, kinks = rng.normal(size=(2, *inner.mask.shape, 1))
    deviation = REACH * np.sqrt(inner.mask.shape[0] / 3)  # of the sum of all inputs
    inner.coef[...] = (lines * knots + 0.2 * kinks * abs(knots)) / deviation
    outer.coef[...] = 0.3 / np.sqrt(outer.mask.shape[0]) * rng.normal(size=outer.coef.shape)
    for layer in (inner, outer):
        layer.scale_sp[...] = 1.0


def stretched(x: Array) -> NDArray[np.float32]:
    """Bring U[0, 10] to the grid."""
    return (REACH * (x / 5 - 1)).astype(np.float32)


def sample(seed: int) -> tuple[Array, Array, Array, Array]:
    """Draw training rows and fresh ones, with their determinants."""
    rng = np.random.default_rng(seed)
    x, fresh = rng.uniform(0, 10, (ROWS, 16)), rng.uniform(0, 10, (FRESH, 16))
    return x, determinant(x), fresh, determinant(fresh)


def determinant(x: Array) -> Array:
    """Return the determinants of rows of 16 numbers."""
    return np.linalg.det(x.reshape(-1, 4, 4))


def f(seeds: int, peers: bool) -> Part:
    """Train for each goal on the data of every seed."""
    one_core()
    x, y, *_ = sample(WARM)
    for recipe in GOALS.values():
        train(x, y, WARM, recipe)
    runs = []
    for seed in range(seeds):
        x, y, fresh, truth = sample(seed)
        for goal, recipe in GOALS.items():
            fitted = train(x, y, seed, recipe)
            found = float(np.corrcoef(predict(fitted.model, stretched(fresh)), truth)[0, 1])
            case = f"{goal:g}"
            runs.append({"case": case, "seed": seed, "pearson": found, "seconds": fitted.seconds})
            runs[-1]["network"] = str(fitted)
            print(f"for {case}, seed {seed}: {found:.4f} in {fitted.seconds:.2f} s, {fitted}", flush=True)
    return {"runs": runs, "peers": []}
