r"""The step of Levenberg and Marquardt: a linear model of residuals within a trust region.

In scaled variables z = D p, with residuals r and their Jacobian J,

.. math:: z(\lambda) = \arg\min_z \|r + J D^{-1} z\|^2 + \lambda \|z\|^2 .

The step for a radius :math:`\Delta` has :math:`\lambda = 0` if :math:`\|z(0)\| \le \Delta`, else the
:math:`\lambda > 0` with :math:`\|z(\lambda)\| = \Delta`, to a tenth. :math:`1 / \|z(\lambda)\|` is nearly a straight
line, so Newton's method on :math:`1 / \Delta - 1 / \|z\|` needs two or three steps (Hebden 1973; More, "The
Levenberg-Marquardt algorithm: implementation and theory", 1978; Nocedal and Wright, Numerical Optimization, 2006,
section 10.3).

A model is one of two: of the Jacobian itself, by its singular values, which are as accurate as the Jacobian allows; or
of the normal equations :math:`A = J^T J`, :math:`g = J^T r`, by Cholesky, which is many times cheaper and good to the
square root of the precision.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
from scipy import linalg

from numkan._check import FloatArray

__all__ = ["JacobianModel", "LinearModel", "NormalModel", "TrustStep", "step_within"]

#: The length of a step may miss the radius by this share of it.
_TOLERANCE = 0.1
_MOST_TRIALS = 30

#: So small a damping, beside a diagonal of at most 1, only makes a singular model solvable.
_SINGULAR = 1e-12


class TrustStep(NamedTuple):
    """A step, and what the model says of it."""

    z: FloatArray  # (n,) in scaled variables
    size: float  # its length
    damping: float
    predicted: float  # by how much the sum of squares falls in the model


class LinearModel(Protocol):
    """Residuals near a point."""

    def solve(self, damping: float) -> tuple[FloatArray, float, float]:
        """Return z, its length, and the derivative of the length by the damping; length inf where there is no z."""

    def squared(self, z: FloatArray) -> float:
        """Return the square of J D^-1 z."""

    @property
    def steepness(self) -> float:
        """Length of the scaled gradient, J^T r / D."""

    @property
    def promise(self) -> float:
        """By how much the sum of squares falls in the model without a radius; inf where that is not known."""


class JacobianModel:
    """The model of residuals (m,) and Jacobian (m, n), by its singular values."""

    def __init__(self, residuals: FloatArray, jacobian: FloatArray, scale: FloatArray) -> None:
        u, s, self._vt = linalg.svd(jacobian / scale, full_matrices=False, check_finite=False)
        self._s = np.where(s > s.max(initial=0.0) * max(jacobian.shape) * np.finfo(float).eps, s, 0.0)
        along = u.T @ residuals
        self._q = self._s * along
        self._promise = float(np.square(along[self._s > 0]).sum())

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
    def steepness(self) -> float:
        """Length of the scaled gradient."""
        return float(np.linalg.norm(self._q))

    @property
    def promise(self) -> float:
        """The square of the residuals' part that columns of the Jacobian can cancel."""
        return self._promise


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
    def steepness(self) -> float:
        """Length of the scaled gradient."""
        return float(np.linalg.norm(self._g))

    @property
    def promise(self) -> float:
        """By how much the undamped step lowers the sum of squares; inf where A is singular."""
        z, size, _ = self.solve(0.0)
        return self.squared(z) if math.isfinite(size) else math.inf


def step_within(model: LinearModel, radius: float, damping: float) -> TrustStep:
    """Return the step of a model within a radius; `damping` is a guess, that of the last step."""
    z, size, slope = model.solve(0.0)
    singular = not math.isfinite(size)
    if size <= (1 + _TOLERANCE) * radius:
        return TrustStep(z, size, 0.0, model.squared(z))
    lower = 0.0 if singular else _newton(0.0, size, slope, radius)
    upper = model.steepness / radius
    damping = min(max(damping, lower), upper) or max(1e-3 * upper, lower)
    best = TrustStep(np.zeros_like(z), 0.0, damping, 0.0)
    for _ in range(_MOST_TRIALS):
        z, size, slope = model.solve(damping)
        if math.isfinite(size) and (not best.size or size <= (1 + _TOLERANCE) * radius):
            best = TrustStep(z, size, damping, model.squared(z) + 2.0 * damping * size**2)
        # A singular model may have no step as long as the radius: damping goes down to the rounding of its diagonal.
        if abs(size - radius) <= _TOLERANCE * radius or (singular and size < radius and damping <= _SINGULAR):
            break
        if size < radius:
            upper = min(upper, damping)
        else:
            lower = max(lower, damping)
        proposed = _newton(damping, size, slope, radius) if math.isfinite(size) else 0.0
        damping = proposed if lower < proposed < upper else max(1e-3 * upper, math.sqrt(lower * upper))
    return best


def _newton(damping: float, size: float, slope: float, radius: float) -> float:
    """Return the next damping by Newton's method on 1 / radius - 1 / size."""
    return damping + (size - radius) / radius * size / -slope if slope < 0.0 else damping
