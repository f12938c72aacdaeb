r"""Levenberg-Marquardt under linear inequalities, by bounds on other variables.

In variables u with :math:`c = T u` the inequalities are :math:`u_j \ge 0` for some j. A step solves

.. math:: \min_p\; \tfrac12 p^T (A + \lambda D)\, p + g^T p, \qquad p_j \ge -u_j ,

with the normal equations :math:`A = T^T J^T J T,\ g = T^T J^T r`, so that every point is within the bounds, and
variables leave and reach them in one step, many at a time. The damping :math:`D = T^T D_c T` is that of the
coefficients: a step that meets no bound is that of :class:`numkan.optimize.nielsen.Nielsen`. The minimum is found by
*block principal pivoting*: variables are at their bounds or free; those whose value or multiplier has the wrong sign
change over, all of them as long as their number falls, else the last one alone, which ends after finitely many
exchanges.

References
----------
L. F. Portugal, J. J. Judice and L. N. Vicente, "A comparison of block pivoting and interior-point algorithms for linear
least squares problems with nonnegative variables", Mathematics of Computation 63 (1994).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from numkan._check import FloatArray
from numkan.optimize.nielsen import MAX_TRIALS, Nielsen
from numkan.optimize.sum_of_squares import Point

__all__ = ["Bounded", "Chart", "bounded_minimum"]

#: Exchanges of all variables that do not lower the number of wrong ones, and of any kind.
_PATIENCE, _EXCHANGES = 5, 200

#: Values and multipliers are wrong beyond this share of the largest one.
_ROUNDING = 1e-12


class Chart(Protocol):
    """Variables u with c = T u."""

    bounded: NDArray[np.bool_]  # which of them are not negative

    def variables(self, c: FloatArray) -> FloatArray:
        """Return u."""

    def push(self, u: FloatArray) -> FloatArray:
        """Return T u."""

    def pull(self, gradient: FloatArray) -> FloatArray:
        """Return T^T g."""

    def pull_normal(self, normal: FloatArray) -> FloatArray:
        """Return T^T A T."""


class Bounded(Nielsen):
    """Nielsen's rule in the variables of a chart, within their bounds."""

    def __init__(self, chart: Chart, damping: float = 1.0, *, scaled: bool = False) -> None:
        super().__init__(damping, scaled=scaled)
        self._chart = chart

    def begin(self, point: Point) -> None:
        """Begin at a point."""
        chart = self._chart
        normal = point.normal()
        self._point, self._normal = point, chart.pull_normal(normal)
        self._damped = chart.pull_normal(np.diag(np.diagonal(normal) if self._scaled else np.ones(len(normal))))
        self._gradient = chart.pull(point.gradient)
        self._low = np.where(chart.bounded, -np.maximum(chart.variables(point.x), 0.0), -np.inf)
        self._growth, self._trials = 2.0, 0

    def propose(self) -> tuple[FloatArray, float] | None:
        """Return the damped step within the bounds and its predicted reduction; None after many trials."""
        while self._trials < MAX_TRIALS:
            self._trials += 1
            p = bounded_minimum(self._normal + self.damping * self._damped, self._gradient, self._low)
            if p is not None:
                return self._chart.push(p), -float(p @ (2.0 * self._gradient + self._normal @ p))
            self._grow()
        return None


def bounded_minimum(matrix: FloatArray, gradient: FloatArray, low: FloatArray) -> FloatArray | None:
    """Return the least point p >= low of p^T matrix p / 2 + gradient^T p; None where the matrix is singular.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.optimize.bounded import bounded_minimum
    >>> bounded_minimum(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([-1.0, 1.0]), np.zeros(2)).round(12).tolist()
    [0.5, 0.0]
    """
    diagonal = np.diagonal(matrix)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    matrix, gradient, low = matrix * scale * scale[:, None], gradient * scale, low / scale
    matrix.flat[:: len(matrix) + 1] = 1.0
    at_bound = (low >= 0.0) & (gradient > 0.0)
    least, patience = len(low) + 1, _PATIENCE
    p: FloatArray = np.zeros(len(low))
    for _ in range(_EXCHANGES):
        found = _free_minimum(matrix, gradient, low, at_bound)
        if found is None:
            return None
        p, multiplier = found
        slack = _ROUNDING * np.abs(p).max(initial=0.0), _ROUNDING * np.abs(gradient).max(initial=0.0)
        wrong = np.where(at_bound, multiplier < -slack[1], p < low - slack[0])
        number = int(wrong.sum())
        if not number:
            break
        if number < least:
            least, patience = number, _PATIENCE
        elif patience:
            patience -= 1
        else:
            wrong[: np.flatnonzero(wrong)[-1]] = False
        at_bound ^= wrong
    return scale * np.maximum(p, low)


def _free_minimum(
    matrix: FloatArray, gradient: FloatArray, low: FloatArray, at_bound: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray] | None:
    """Return the least point with some variables at their bounds, and the gradient there."""
    p, free = np.where(at_bound, low, 0.0), np.flatnonzero(~at_bound)
    if len(free):
        right = -(gradient + matrix @ p)[free]
        _, solution, failed = linalg.lapack.dposv(matrix[np.ix_(free, free)].T, right, lower=1, overwrite_a=1)
        if failed:
            return None
        p[free] = solution
    return p, gradient + matrix @ p
