"""Faulty grid updates and fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance import Layer
from numkan.conformance.adapter import Array
from numkan.conformance.grids import interior_knots
from numkan.conformance.laws.grids import dense
from numkan.layer.grid import grid_from_samples
from tests.conformance_adapters import Scipy
from tests.grid_cases import NumkanGrids


class EfficientRanks(NumkanGrids):
    """efficient-kan's ranks of samples, declared as numkan's."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        knots = super().knots(x, layer, G, grid_eps)
        mixed = interior_knots(x, G, grid_eps, "efficient-kan").astype(knots.dtype)
        if (np.diff(mixed) > 0).all():
            knots[:, layer.k + 1 : layer.k + G] = mixed[:, 1:-1]
        return knots


class NothingFadesInHere(NumkanGrids):
    """pykan: a constant feature gets knots that all coincide, and its spline is lost."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        new = super().update_grid(layer, x, grid_eps, G)
        still = np.ptp(x, axis=0) == 0
        grid, coef = new.grid.copy(), new.coef.copy()
        grid[still], coef[still] = x[0, still, None], 0
        return new.replace(grid=grid, coef=coef)


class WholeDtype(NumkanGrids):
    """efficient-kan: a grid in float32 whatever the model is."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        return grid_from_samples(x, G, layer.k, grid_eps, dtype=np.float32).astype(layer.grid.dtype)


class MaskLost(NumkanGrids):
    """An update makes a new layer, without the mask."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        new = super().update_grid(layer, x, grid_eps, G)
        return new.replace(mask=np.ones_like(new.mask))


class BaseScaleLost(NumkanGrids):
    """An update draws the scales of the base function anew."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        new = super().update_grid(layer, x, grid_eps, G)
        return new.replace(scale_base=np.ones_like(new.scale_base))


class DoubleGrid(NumkanGrids):
    """Knots are float64 after an update."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        new = super().update_grid(layer, x, grid_eps, G)
        return new.replace(grid=new.grid.astype(float))


class DoubleFit(NumkanGrids):
    """Coefficients of a fit are float64."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        return super().fit_curve(x, y, knots, k, weight).astype(float)


class SingleFitByNormalEquations(NumkanGrids):
    """Fits are sound in float64, and by normal equations in float32."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        if x.dtype == np.float64:
            return super().fit_curve(x, y, knots, k, weight)
        A = dense(x[:, None], knots[None], k)[0].astype(x.dtype)
        return np.linalg.pinv(A.T @ A) @ (A.T @ y)


class SecondOutputs(NumkanGrids):
    """Outputs after the second keep their coefficients."""

    def refit(self, x: Any, layer: Layer, knots: Array) -> Array:
        coef = super().refit(x, layer, knots)
        coef[:, 2:] = layer.coef[:, 2:]
        return coef


# --- fits ---------------------------------------------------------------------------------------------------------


class Ridge(Scipy):
    """1e-9 is added to the diagonal of A^T A."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        A = self.basis(x, knots, k).astype(float)
        left = A.T if weight is None else A.T * weight
        return np.linalg.solve(left @ A + 1e-9 * np.eye(A.shape[1]), left @ y).astype(x.dtype)


class WeightsSquared(Scipy):
    """Rows are multiplied by weights, and not by their roots."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        return super().fit_curve(x, y, knots, k, None if weight is None else weight**2)


class CoarseCutoff(Scipy):
    """Singular values below 1e-3 of the largest do not count."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        root = np.ones(len(x)) if weight is None else np.sqrt(weight)
        A = self.basis(x, knots, k).astype(float)
        return np.linalg.lstsq(root[:, None] * A, root * y, rcond=1e-3)[0].astype(x.dtype)


class FromARandomStart(Scipy):
    """An iteration that begins anywhere: the last digits are others each time."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        coef = super().fit_curve(x, y, knots, k, weight)
        self.fits = getattr(self, "fits", 0) + 1
        return coef * x.dtype.type(1 + self.fits % 2 * 4 * np.finfo(x.dtype).eps)


class LastSampleLost(Scipy):
    """The last sample is left out."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        some = slice(0, max(1, len(x) - 1))
        return super().fit_curve(x[some], y[some], knots, k, None if weight is None else weight[some])


class RepeatsAreOne(Scipy):
    """A sample that is there twice counts once."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        x, first = np.unique(x, return_index=True)
        return super().fit_curve(x, y[first], knots, k, None if weight is None else weight[first])


# --- grid updates -------------------------------------------------------------------------------------------------


class NothingMoves(NumkanGrids):
    """An update that returns the layer as it was."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        return layer.replace(coef=layer.coef.copy())


class OutputsMixed(NumkanGrids):
    """Coefficients of the outputs come back in reverse order."""

    def refit(self, x: Any, layer: Layer, knots: Array) -> Array:
        return super().refit(x, layer, knots)[:, ::-1].copy()


class FirstKnotsForAll(NumkanGrids):
    """All inputs have the knots of the first."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        knots = super().knots(x, layer, G, grid_eps)
        return np.repeat(knots[:1], len(knots), axis=0)


class PolicyLost(NumkanGrids):
    """A layer fades after an update."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        return super().update_grid(layer, x, grid_eps, G).replace(extrapolate="fade")


class MoreColumnsPass(NumkanGrids):
    """Columns beyond those that the layer has are not looked at."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        return super().update_grid(layer, x[:, : layer.n_in] if np.ndim(x) == 2 else x, grid_eps, G)


class NoSampleNoChange(NumkanGrids):
    """An empty batch is accepted."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        return super().update_grid(layer, x, grid_eps, G) if len(x) else layer
