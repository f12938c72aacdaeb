r"""The step of Levenberg and Marquardt: a linear model of residuals within a trust region.

In scaled variables z = D p, with residuals r and their Jacobian J,

.. math:: z(\lambda) = \arg\min_z \|r + J D^{-1} z\|^2 + \lambda \|z\|^2 .

The step for a radius :math:`\Delta` has :math:`\lambda = 0` if :math:`\|z(0)\| \le \Delta`, else the
:math:`\lambda > 0` with :math:`\|z(\lambda)\| = \Delta`, to a tenth. :math:`1 / \|z(\lambda)\|` is nearly a straight
line, so Newton's method on :math:`1 / \Delta - 1 / \|z\|` needs two or three steps (Hebden 1973; More, "The
Levenberg-Marquardt algorithm: implementation and theory", 1978; Nocedal and Wright, Numerical Optimization, 2006,
section 10.3).

The radius grows if the model was good and shrinks if it was not, by the rules of More, as in MINPACK. Variables are
scaled by the largest norm so far of their column of the Jacobian, so a change of units changes nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numkan._check import FloatArray, check_number
from numkan.optimize.linear_model import LinearModel
from numkan.optimize.sum_of_squares import Point

__all__ = ["TrustRegion", "TrustStep", "step_within"]

#: The length of a step may differ from the radius by this share of it.
_TOLERANCE = 0.1
_MAX_TRIALS = 30

#: A damping this small, added to a diagonal of at most 1, only makes a singular model solvable.
_SINGULAR = 1e-12


class TrustStep(NamedTuple):
    """A step, and its predicted reduction."""

    z: FloatArray  # (n,) in scaled variables
    size: float  # its length
    damping: float
    predicted: float  # reduction of the sum of squares in the model


class TrustRegion:
    """A trust region; see :class:`numkan.optimize.levenberg_marquardt.StepRule`.

    Parameters
    ----------
    radius : float
        The first one, as a multiple of the length of x0 in scaled variables.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.optimize import LevenbergMarquardt, TrustRegion
    >>> run = LevenbergMarquardt(lambda x: (np.exp(x) - 2.0, np.diag(np.exp(x))), [0.0], rule=TrustRegion())
    >>> steps = len(list(run))
    >>> run.status.success, bool(np.isclose(run.state.x[0], np.log(2)))
    (True, True)
    """

    def __init__(self, radius: float = 100.0) -> None:
        self._factor = check_number("radius", radius, 0.0, exclusive=True)
        self.damping = 0.0

    def begin(self, point: Point) -> None:
        """Begin at a point."""
        self._scale = np.where(point.norms > 0.0, point.norms, 1.0)
        self.radius = self._factor * (float(np.linalg.norm(self._scale * point.x)) or 1.0)
        self._point = point
        self._model: LinearModel | None = None

    def model(self, point: Point) -> LinearModel:
        """Return the linear model at a point, in the scaled variables; that of the present one is kept."""
        if point is not self._point:
            return point.model(self._scale)
        if self._model is None:
            self._model = point.model(self._scale)
        return self._model

    def propose(self) -> tuple[FloatArray, float]:
        """Return the step within the radius, and its predicted reduction."""
        self._step = step_within(self.model(self._point), self.radius, self.damping)
        return self._step.z / self._scale, self._step.predicted

    def refuse(self, fun: float, gain: float, *, has_jacobian: bool) -> None:
        """Shorten the radius."""
        if not has_jacobian:
            self.damping, self.radius = self._step.damping, 0.25 * self._step.size
        else:
            self.damping, self.radius = _next_region(self._point, self._step, fun, gain, self.radius)

    def accept(self, point: Point, gain: float) -> None:
        """Continue from the point after the last step."""
        self.damping, self.radius = _next_region(self._point, self._step, point.fun, gain, self.radius)
        self._scale = np.maximum(self._scale, point.norms)
        self._point, self._model = point, None


def step_within(model: LinearModel, radius: float, damping: float) -> TrustStep:
    """Return the step of a model within a radius; `damping` is a guess, that of the last step."""
    z, size, slope = model.solve(0.0)
    singular = not math.isfinite(size)
    if size <= (1 + _TOLERANCE) * radius:
        return TrustStep(z, size, 0.0, model.squared(z))
    lower = 0.0 if singular else _newton(0.0, size, slope, radius)
    upper = model.gradient_norm / radius
    damping = min(max(damping, lower), upper) or max(1e-3 * upper, lower)
    best = TrustStep(np.zeros_like(z), 0.0, damping, 0.0)
    for _ in range(_MAX_TRIALS):
        z, size, slope = model.solve(damping)
        if math.isfinite(size) and (not best.size or size <= (1 + _TOLERANCE) * radius):
            best = TrustStep(z, size, damping, model.squared(z) + 2.0 * damping * size**2)
        # A singular model may have no step as long as the radius. The damping then falls to the rounding of its
        # diagonal.
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


def _next_region(point: Point, step: TrustStep, fun: float, gain: float, radius: float) -> tuple[float, float]:
    """Return damping and radius after a step, accepted or not; see More (1978), section 4."""
    if gain > 0.75 or (gain > 0.25 and step.damping == 0.0):
        return 0.5 * step.damping, max(radius, 2.0 * step.size)
    if gain > 0.25:
        return step.damping, radius
    # a quarter or less: shrink to the minimum of the parabola through f at both ends of the step and its slope
    share = 0.1
    if math.isfinite(fun) and fun < 100.0 * point.fun:
        slope = -step.predicted  # a lower bound of the steepness: the predicted reduction without the damping term
        share = 0.5 if fun <= point.fun else 0.5 * slope / (slope + 0.5 * (point.fun - fun))
        share = min(max(share, 0.1), 0.5)
    return step.damping / share, share * min(radius, 10.0 * step.size)
