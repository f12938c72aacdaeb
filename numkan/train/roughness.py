"""The measures of how rough the edges of a layer are, and the determinants of penalties that they make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy import linalg

from numkan._check import FloatArray
from numkan.model.least_squares import SplineLayer
from numkan.spline.basis import basis_at_knots
from numkan.spline.smoothness import difference_matrices

__all__ = ["Roughness", "measures", "orders"]


def measures(k: int) -> int:
    """Return how many measures there are for splines of degree k."""
    return min(k, 2) + 1


def orders(layer: SplineLayer, smooth: bool) -> list[int]:
    """Return the orders of the differences that are measured, one or two."""
    k, most = layer.k, layer.shape[1] - 1
    if smooth and 2 <= k <= most - 3:
        return [k + 1, k + 3]
    return sorted({min(2, k + 1), k + 1})


class Roughness:
    """The measures of the edges of one layer; arrays whose first axis has one entry serve all inputs."""

    def __init__(self, layer: SplineLayer, orders: Sequence[int]) -> None:
        knots, k = layer.grid, layer.k
        span = knots[:, -1 - k, None] - knots[:, k, None]
        unit = (knots - knots[:, k, None]) / span
        rows = knots[:1] if np.allclose(unit, unit[0], rtol=0, atol=1e-9) else knots
        by_input = [difference_matrices(row, k, orders) for row in rows]
        self.matrices = [np.array(matrices) for matrices in zip(*by_input, strict=True)]
        #: eigenvalues of one order's square relative to the other's, (n_rows, n_eigen); None if there is one order
        self.relative = None
        if len(orders) == 2:
            self.relative = np.array([_eigenvalues(row, k, *orders) for row in rows])
        if k > 0:
            self.matrices.insert(0, np.array([_mean_slope(row, k) for row in rows]))
        self.products = [D.transpose(0, 2, 1) @ D for D in self.matrices]
        largest = np.array([np.diagonal(Q, axis1=1, axis2=2).max() for Q in self.products])
        self.largest = np.where(largest > 0.0, largest, 1.0)  # few coefficients have no differences of high order
        self._k = k

    def squares(self, coef: FloatArray) -> FloatArray:
        """Return |D c_e|^2, (n_measures, n_in, n_out)."""
        return np.array([np.square(D @ coef).sum(axis=1) for D in self.matrices])

    def slopes_of_determinant(self, weight: FloatArray) -> FloatArray:
        """Return the derivatives of log |R_e|_+ by the weights, (n_measures, n_in, n_out).

        The mean slope has a direction of its own, the straight line. On all others the lower of the two orders is
        positive definite, and the higher one has known eigenvalues relative to it.
        """
        out: FloatArray = 1.0 / weight
        if self.relative is None:
            out[-1] *= self.matrices[-1].shape[1]
            return out
        mu = self.relative[:, None, :]
        lower, higher = weight[-2, :, :, None], weight[-1, :, :, None]
        out[-2] = (1.0 / (lower + higher * mu)).sum(axis=2)
        out[-1] = (mu / (lower + higher * mu)).sum(axis=2)
        return out

    def log_determinant(self, weight: FloatArray) -> float:
        """Return the sum of log |R_e|_+ over the edges, R_e without the directions that no measure sees."""
        total: float = float(self._unit_determinants.mean()) * weight.shape[1] * weight.shape[2]
        if self._k > 0:
            total += float(np.log(weight[0]).sum())
        if self.relative is None:
            return total + int(self.matrices[-1].shape[1]) * float(np.log(weight[-1]).sum())
        mu = self.relative[:, None, :]
        return total + float(np.log(weight[-2, :, :, None] + weight[-1, :, :, None] * mu).sum())

    @cached_property
    def _unit_determinants(self) -> FloatArray:
        """The logarithms for weights of 1 for the mean slope and the lower order, and of 0 for the higher order."""
        lower = self.matrices[1 if self._k > 0 else 0]
        slopes = self.matrices[0][:, 0] if self._k > 0 else [None] * len(lower)
        return np.array([_log_determinant(D, slope) for D, slope in zip(lower, slopes, strict=True)])


def _log_determinant(D: FloatArray, slope: FloatArray | None) -> float:
    """Return log |D^T D|_+ plus the logarithm of the squared length of the slope's part in the null space of D."""
    q, r = np.linalg.qr(D.T)
    total = 2.0 * float(np.log(np.abs(np.diagonal(r))).sum())
    if slope is not None:
        unseen = slope - q @ (q.T @ slope)
        total += math.log(float(unseen @ unseen))
    return total


def _mean_slope(knots: FloatArray, k: int) -> FloatArray:
    """Return the row (1, G + k) that gives a curve's rise over its domain: its mean slope on the unit interval."""
    at_knots = basis_at_knots(knots, k)
    rise: FloatArray = (at_knots[-1] - at_knots[0])[None, :]
    return rise


def _eigenvalues(knots: FloatArray, k: int, lower: int, higher: int) -> FloatArray:
    """Return the eigenvalues of D_higher^T D_higher relative to D_lower^T D_lower; higher - lower of them are 0."""
    (between,) = difference_matrices(knots, k, [higher], of=lower)
    mu: FloatArray = linalg.eigvalsh(between.T @ between, check_finite=False)
    mu[: higher - lower] = 0.0
    return np.maximum(mu, 0.0)
