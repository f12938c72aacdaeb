"""Strategies and adapters for the laws of grids: samples of every kind, and layers that they come to."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numkan.layer.grid import grid_from_samples
from numkan.layer.refit import refit
from numkan.spline import extend_grid
from numkan.spline.curve import coef2curve, curve2coef
from tests.laws import Array
from tests.laws.grid import GridCase

SAMPLES = ("drawn", "uniform", "heavy tails", "two clusters", "rounded", "constant", "far", "narrow")


@st.composite
def samples(draw: st.DrawFn, dtype: type, max_size: int = 30) -> Array:
    """One column of samples, (n,), in no order."""
    n = draw(st.integers(1, max_size))
    kind = draw(st.sampled_from(SAMPLES))
    if kind == "drawn":
        numbers = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
        return np.array(draw(st.lists(numbers, min_size=n, max_size=n)), dtype)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x = {
        "uniform": lambda: rng.uniform(-1, 1, n),
        "heavy tails": lambda: rng.standard_cauchy(n),
        "two clusters": lambda: rng.choice([-1.0, 5.0], n) + 1e-3 * rng.normal(size=n),
        "rounded": lambda: np.round(2 * rng.normal(size=n)),
        "constant": lambda: np.full(n, rng.normal()),
        "far": lambda: 1e4 + rng.uniform(0, 1, n),
        "narrow": lambda: 1 + np.finfo(dtype).eps * rng.integers(0, 40, n),
    }[kind]()
    return x.astype(dtype)


@st.composite
def grid_cases(draw: st.DrawFn) -> GridCase:
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    k, G, G_old = draw(st.integers(0, 5)), draw(st.integers(1, 7)), draw(st.integers(1, 5))
    column = draw(samples(dtype))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x = np.stack([column, rng.uniform(-1, 1, len(column)).astype(dtype)], axis=1)
    width = draw(st.sampled_from([0.5, 1.0, 3.0]))
    grid = extend_grid(np.tile(np.linspace(-width, width, G_old + 1), (2, 1)).astype(dtype), k)
    coef = rng.uniform(-1, 1, (2, 2, G_old + k)).astype(dtype)
    return GridCase(x, grid, coef, k, G, draw(st.sampled_from([0.0, 0.02, 0.5, 1.0])))


def uniform_layer(k: int, seed: int = 0, G: int = 5, n_in: int = 3, n_out: int = 2) -> tuple[Array, Array]:
    """Knots of `n_in` inputs over [-1, 1], and random coefficients."""
    grid = extend_grid(np.tile(np.linspace(-1, 1, G + 1), (n_in, 1)), k)
    return grid, np.random.default_rng(seed).normal(size=(n_in, n_out, G + k))


class NumkanGrids:
    """numkan's grids and fits, under one policy outside the grid."""

    extrapolate = "continue"

    def update_grid(self, x: Any, grid: Array, coef: Array, k: int, G: int, grid_eps: float) -> tuple[Array, Array]:
        new = grid_from_samples(x, G, k, grid_eps, dtype=grid.dtype)
        return new, refit(x, grid, coef, new, k, extrapolate=self.extrapolate)

    def fit_curve(self, x: Any, y: Any, grid: Array, k: int, sample_weight: Any = None) -> tuple[Array, Array]:
        coef, info = curve2coef(
            x, y, grid, k, sample_weight=sample_weight, extrapolate=self.extrapolate, return_info=True
        )
        return coef, info.rank

    def evaluate(self, x: Any, grid: Array, coef: Array, k: int) -> Array:
        return coef2curve(x, grid, coef, k, extrapolate=self.extrapolate)
