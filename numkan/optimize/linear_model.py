r"""Residuals near a point: a linear model of them, in scaled variables z = D p.

There are two models. One takes the singular values of the Jacobian, and is as accurate as that allows. The other takes
the Cholesky factors of the normal equations :math:`A = J^T J`, :math:`g = J^T r`; it is many times cheaper and accurate
to the square root of the precision.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from scipy import linalg

from numkan._check import FloatArray

__all__ = ["JacobianModel", "LinearModel", "NormalModel"]


class LinearModel(Protocol):
    """Residuals near a point."""

    def solve(self, damping: float) -> tuple[FloatArray, float, float]:
        """Return z, its length, and the derivative of the length by the damping; length inf if z does not exist."""

    def squared(self, z: FloatArray) -> float:
        """Return the square of J D^-1 z."""

    @property
    def gradient_norm(self) -> float:
        """Length of the scaled gradient, J^T r / D."""

    @property
    def predicted_reduction(self) -> float:
        """The predicted reduction of a step without a radius; inf if it is unknown."""


class JacobianModel:
    """The model of residuals (m,) and Jacobian (m, n), by its singular values."""

    def __init__(self, residuals: FloatArray, jacobian: FloatArray, scale: FloatArray) -> None:
        u, s, self._vt = linalg.svd(jacobian / scale, full_matrices=False, check_finite=False)
        self._s = np.where(s > s.max(initial=0.0) * max(jacobian.shape) * np.finfo(float).eps, s, 0.0)
        along = u.T @ residuals
        self._q = self._s * along
        self._predicted_reduction = float(np.square(along[self._s > 0]).sum())

    def solve(self, damping: float) -> tuple[FloatArray, float, float]:
        """Return z, its length, and the derivative of the length by the damping; the shortest z if J is singular."""
        below = self._s**2 + damping
        c = np.divide(-self._q, below, out=np.zeros_like(below), where=below > 0)
        size = float(np.linalg.norm(c))
        bend = float((np.divide(c**2, below, out=np.zeros_like(below), where=below > 0)).sum())
        return self._vt.T @ c, size, -bend / size if size else 0.0

    def squared(self, z: FloatArray) -> float:
        """Return the square of J D^-1 z."""
        return float(np.square(self._s * (self._vt @ z)).sum())

    @property
    def gradient_norm(self) -> float:
        """Length of the scaled gradient."""
        return float(np.linalg.norm(self._q))

    @property
    def predicted_reduction(self) -> float:
        """The square of the residuals' part that columns of the Jacobian can cancel."""
        return self._predicted_reduction


class NormalModel:
    """The model of normal equations, gradient g (n,) and A (n, n), by Cholesky."""

    def __init__(self, gradient: FloatArray, normal: FloatArray, scale: FloatArray) -> None:
        self._g = gradient / scale
        self._a = normal / scale / scale[:, None]

    def solve(self, damping: float) -> tuple[FloatArray, float, float]:
        """Return z, its length (inf where A with damping is not positive definite), and the derivative of that."""
        damped = self._a.copy()
        damped.flat[:: len(damped) + 1] += damping
        try:
            lower = linalg.cholesky(damped, lower=True, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError:
            return np.zeros_like(self._g), math.inf, 0.0
        z = -linalg.cho_solve((lower, True), self._g, check_finite=False)
        size = float(np.linalg.norm(z))
        if not size:
            return z, 0.0, 0.0
        bend = linalg.solve_triangular(lower, z, lower=True, check_finite=False)
        return z, size, -float(bend @ bend) / size

    def squared(self, z: FloatArray) -> float:
        """Return the square of J D^-1 z."""
        return float(z @ (self._a @ z))

    @property
    def gradient_norm(self) -> float:
        """Length of the scaled gradient."""
        return float(np.linalg.norm(self._g))

    @property
    def predicted_reduction(self) -> float:
        """The predicted reduction of the undamped step; inf where A is singular."""
        z, size, _ = self.solve(0.0)
        return self.squared(z) if math.isfinite(size) else math.inf
