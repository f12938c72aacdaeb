"""The cases of laws about grids: samples with every kind of distribution, and a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numkan.conformance.adapter import Array
from numkan.conformance.cases import GridCase
from numkan.conformance.choices import Choices
from numkan.conformance.scope import Scope

__all__ = ["BLENDS", "SAMPLES", "SHAPES", "column", "grid", "power_of_two"]

#: Kinds of samples of one input.
SAMPLES = ("uniform", "drawn", "heavy tails", "two clusters", "rounded", "constant", "far", "narrow")

#: grid_eps: from order statistics to even knots.
BLENDS = (0.5, 0.0, 0.02, 1.0)

#: Inputs, outputs, and most samples.
SHAPES = {"two by two": (2, 2, 30), "one by one": (1, 1, 30), "five by three": (5, 3, 30), "many samples": (2, 1, 400)}


def grid(choices: Choices, scope: Scope, resized: bool = False) -> tuple[GridCase, dict[str, str]]:
    """Return samples with a layer on an even grid, and what kind they are of.

    With `resized` the update is to another number of intervals than the layer has.
    """
    k = choices.pick("degree", scope.degrees_of_grids)
    dtype = np.dtype(choices.pick("dtype", scope.dtypes))
    kind, shape = choices.pick("samples", SAMPLES), choices.pick("shape", tuple(SHAPES))
    grid_eps = choices.pick("grid_eps", BLENDS if scope.uneven else (1.0,))
    policy = choices.pick("policy", scope.layer_extrapolate)
    n_in, n_out, most = SHAPES[shape]
    more = scope.min_intervals - 1
    G = more + choices.integer("intervals", 1, 7)
    G_old = more + choices.integer("intervals before", 1, 5) if resized else G
    first = column(choices, dtype, kind, most)
    rng = np.random.default_rng(choices.integer("rest", 0, 1000))
    others = rng.uniform(-1, 1, (len(first), n_in - 1)).astype(dtype)
    width = choices.pick("width", (1.0, 0.5, 3.0))
    fractions = G_old if scope.uneven else power_of_two(G_old)
    knots = width * (2 * np.arange(-k, G_old + k + 1) / fractions - 1)
    coef = rng.uniform(-1, 1, (n_in, n_out, G_old + k)).astype(dtype)
    x = np.concatenate([first[:, None], others], axis=1)
    knots = np.tile(knots, (n_in, 1)).astype(dtype)
    case = GridCase(x, knots, coef, k, G, grid_eps, policy, scope.flavour)
    facts = {"degree": str(k), "dtype": dtype.name, "samples": kind, "shape": shape, "grid_eps": str(grid_eps)}
    return case, {**facts, "policy": policy}


def column(choices: Choices, dtype: Any, kind: str, most: int) -> Array:
    """Return one column of samples, (n,), in no order."""
    if kind == "drawn":
        return np.array([choices.number("column", 1e3) for _ in choices.count("column", 1, min(most, 30))], dtype)
    n = choices.integer("samples of a column", 1, most)
    rng = np.random.default_rng(choices.integer("column", 0, 1000))
    kinds: dict[str, Callable[[], Array]] = {
        "uniform": lambda: rng.uniform(-1, 1, n),
        "heavy tails": lambda: rng.standard_cauchy(n),
        "two clusters": lambda: rng.choice([-1.0, 5.0], n) + 1e-3 * rng.normal(size=n),
        "rounded": lambda: np.round(2 * rng.normal(size=n)),
        "constant": lambda: np.full(n, rng.normal()),
        "far": lambda: 1e4 + rng.uniform(0, 1, n),
        "narrow": lambda: 1 + np.finfo(dtype).eps * rng.integers(0, 40, n),
    }
    return kinds[kind]().astype(dtype)


def power_of_two(number: int) -> int:
    """Return the least power of two that is not below a number.

    >>> power_of_two(1), power_of_two(5)
    (1, 8)
    """
    return 1 << (number - 1).bit_length()
