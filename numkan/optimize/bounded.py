r"""Levenberg-Marquardt under linear inequalities, by bounds on other variables.

In variables u with :math:`c = T u` the inequalities are :math:`u_j \ge 0` for some j. A step solves

.. math:: \min_p\; \tfrac12 p^T (A + \lambda D)\, p + g^T p, \qquad p_j \ge -u_j ,

with the normal equations :math:`A = T^T J^T J T,\ g = T^T J^T r`, so that every point is within the bounds, and
variables leave and reach them in one step, many at a time. The damping :math:`D = T^T D_c T` is that of the
coefficients: a step that meets no bound is that of :class:`numkan.optimize.nielsen.Nielsen`. The minimum is found by
*block principal pivoting*: variables are at their bounds or free; those whose value or multiplier has the wrong sign
change over, all of them as long as their number falls, else the last one alone, which ends after finitely many
exchanges. One factorization of the matrix serves them all.

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

    def pull_diagonal(self, diagonal: FloatArray) -> FloatArray:
        """Return T^T D T of a diagonal matrix."""


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
        self._damped = chart.pull_diagonal(np.diagonal(normal) if self._scaled else np.ones(len(normal)))
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
    try:
        p = _pivoted(_Minimum(matrix, gradient), gradient, low)
    except linalg.LinAlgError:
        return None
    return scale * np.maximum(p, low)


def _pivoted(minimum: _Minimum, gradient: FloatArray, low: FloatArray) -> FloatArray:
    """Return the least point at which no value and no multiplier has the wrong sign."""
    at_bound = (low >= 0.0) & (gradient > 0.0)
    least, patience = len(low) + 1, _PATIENCE
    p: FloatArray = np.zeros(len(low))
    for _ in range(_EXCHANGES):
        p, multiplier = minimum.where(at_bound, low)
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
    return p


class _Minimum:
    r"""The least point of p^T M p / 2 + g^T p with some variables at given values, from one factorization M = L L^T.

    With the multipliers m of the variables at their values v, :math:`M p + g = E m` and :math:`E^T p = v`: the least
    point of all is moved by :math:`M^{-1} E m`, where :math:`E^T M^{-1} E\, m = v - E^T p_0`. Columns of
    :math:`L^{-1} E` and their products are kept for the next variables at bounds, most of which are the same.
    """

    def __init__(self, matrix: FloatArray, gradient: FloatArray) -> None:
        self._factor = linalg.cholesky(matrix, lower=True, check_finite=False)
        self._least = -self._solved(self._solved(gradient), transposed=True)
        self._place = np.full(len(gradient), -1)  # of a variable among the kept columns
        self._columns, self._products = np.empty((len(gradient), 0)), np.empty((0, 0))

    def where(self, at_bound: NDArray[np.bool_], values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the least point with the variables `at_bound` at their values, and their multipliers, else 0."""
        p, multiplier, held = self._least.copy(), np.zeros(len(values)), np.flatnonzero(at_bound)
        if len(held):
            self._keep(held[self._place[held] < 0])
            chosen = self._place[held]
            products = self._products[np.ix_(chosen, chosen)]
            _, found, failed = linalg.lapack.dposv(products, values[held] - p[held], lower=1)
            if failed:
                raise linalg.LinAlgError("columns of the inverse are dependent to rounding")
            multiplier[held] = found
            p += self._solved(self._columns[:, chosen] @ multiplier[held], transposed=True)
            p[held] = values[held]
        return p, multiplier

    def _keep(self, new: NDArray[np.int64]) -> None:
        if not len(new):
            return
        self._place[new] = self._columns.shape[1] + np.arange(len(new))
        units = np.zeros((len(self._place), len(new)), order="F")
        units[new, np.arange(len(new))] = 1.0
        columns = self._solved(units)
        across = self._columns.T @ columns
        self._products = np.block([[self._products, across], [across.T, columns.T @ columns]])
        self._columns = np.hstack([self._columns, columns])

    def _solved(self, right: FloatArray, *, transposed: bool = False) -> FloatArray:
        found: FloatArray = linalg.lapack.dtrtrs(self._factor, right, lower=1, trans=int(transposed))[0]
        return found
