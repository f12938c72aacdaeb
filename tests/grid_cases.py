"""numkan's grids for the laws, and layers on even grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array, Layer
from numkan.conformance.own import Numkan
from numkan.conformance.strategies import grid_cases as grid_cases
from numkan.layer import refine as refinement
from numkan.layer import refit as refits
from numkan.layer.grid import grid_from_samples
from numkan.spline import SplineBasis, extend_grid


def refit(
    x: Any, grid: Any, coef: Any, new: Any, k: int, k_new: int | None = None, extrapolate: str = "continue"
) -> Array:
    """numkan's refit, for knots."""
    old = SplineBasis(grid, k, extrapolate)
    return refits.refit(x, old, coef, SplineBasis(new, k if k_new is None else k_new, extrapolate))


def project(grid: Any, coef: Any, new: Any, k: int) -> Array:
    """numkan's projection, for knots."""
    return refits.project(SplineBasis(grid, k), coef, SplineBasis(new, k))


def refine_coef(grid: Any, coef: Any, new: Any, k: int) -> Array:
    """numkan's refinement, for knots."""
    return refinement.refine_coef(SplineBasis(grid, k), coef, SplineBasis(new, k))


def uniform_layer(k: int, seed: int = 0, G: int = 5, n_in: int = 3, n_out: int = 2) -> tuple[Array, Array]:
    """Knots of `n_in` inputs over [-1, 1], and random coefficients."""
    grid = extend_grid(np.tile(np.linspace(-1, 1, G + 1), (n_in, 1)), k)
    return grid, np.random.default_rng(seed).normal(size=(n_in, n_out, G + k))


class NumkanGrids(Numkan):
    """numkan's grids and fits, where the number of intervals may change at the same time."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        return grid_from_samples(x, G, layer.k, grid_eps, dtype=layer.grid.dtype)

    def refit(self, x: Any, layer: Layer, knots: Array) -> Array:
        return refit(x, layer.grid, layer.coef, knots, layer.k, extrapolate=layer.extrapolate)

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        knots = self.knots(x, layer, layer.G if G is None else G, grid_eps)
        return layer.replace(grid=knots, coef=self.refit(x, layer, knots))
