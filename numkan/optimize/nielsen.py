r"""Steps by a damping that is updated directly: one factorisation for each trial.

The step of normal equations :math:`A = J^T J`, :math:`g = J^T r` is :math:`(A + \lambda D)\, p = -g`. D is I, or the
diagonal of A (Marquardt 1963), which lets variables with a small influence move as freely as others. With the *gain
ratio* :math:`\rho` of the actual to the predicted reduction, the damping becomes
:math:`\lambda \max(1/3,\, 1 - (2\rho - 1)^3)` after an accepted step, and :math:`\lambda\nu` with
:math:`\nu = 2, 4, 8, \dots` after each that is not (Nielsen's rule: K. Madsen, H. B. Nielsen and O. Tingleff, "Methods
for non-linear least squares problems", 2nd edition, Technical University of Denmark 2004, section 3.2).

A trust region (:mod:`numkan.optimize.trust`) needs fewer steps where a model is poor far from a point; these are
cheaper, and :meth:`numkan.KAN.fit` takes them. Matrices are scaled to a diagonal of 1 before they are factorised, which
preserves small entries beside large ones (A. van der Sluis, "Condition numbers and equilibration of matrices",
Numerische Mathematik 14, 1969).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import linalg

from numkan._check import FloatArray, check_number
from numkan.optimize.linear_model import LinearModel
from numkan.optimize.sum_of_squares import Point

__all__ = ["MAX_TRIALS", "Nielsen"]

#: A run ends after this many trials in a row without an accepted step.
MAX_TRIALS = 12

#: A step accepted with a smaller gain ratio is so near to a minimum that rounding hides its reduction.
_HIDDEN = 1e-4

#: The damping does not fall below this; after a very good step it falls by this factor instead of a third.
_LEAST, _FASTER = 1e-14, 0.1


class Nielsen:
    """Nielsen's rule for the damping; see :class:`numkan.optimize.levenberg_marquardt.StepRule`.

    Parameters
    ----------
    damping : float
        The first lambda.
    scaled : bool
        Whether D is the diagonal of A.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.optimize import LevenbergMarquardt, Nielsen
    >>> run = LevenbergMarquardt(lambda x: (np.exp(x) - 2.0, np.diag(np.exp(x))), [0.0], rule=Nielsen(scaled=True))
    >>> steps = len(list(run))
    >>> run.status.success, bool(np.isclose(run.state.x[0], np.log(2)))
    (True, True)
    """

    radius = math.nan  #: there is none

    def __init__(self, damping: float = 1.0, *, scaled: bool = False) -> None:
        self.damping = check_number("damping", damping, 0.0, exclusive=True)
        self._scaled, self._memory = scaled, np.empty((0, 0))

    def begin(self, point: Point) -> None:
        """Begin at a point."""
        self._point, self._normal = point, point.normal()
        self._growth, self._trials = 2.0, 0

    def model(self, point: Point) -> LinearModel:
        """Return the linear model at a point, in variables scaled by the norms of the Jacobian's columns."""
        return point.model(np.where(point.norms > 0.0, point.norms, 1.0))

    def propose(self) -> tuple[FloatArray, float] | None:
        """Return the damped step and its predicted reduction; None after many trials."""
        gradient = self._point.gradient
        diagonal = self._weights()
        while self._trials < MAX_TRIALS:
            self._trials += 1
            p = self._solve(self.damping * diagonal)
            if p is not None:
                return p, float(p @ (self.damping * diagonal * p - gradient))
            self._grow()
        return None

    def _weights(self) -> FloatArray:
        """Return the diagonal of D."""
        return np.diagonal(self._normal) if self._scaled else np.ones(len(self._normal))

    def _solve(self, added: FloatArray) -> FloatArray | None:
        """Return the step with `added` on the diagonal, or None where the matrix is singular."""
        diagonal = np.diagonal(self._normal) + added
        scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        if self._memory.shape != self._normal.shape:
            self._memory = np.empty_like(self._normal)
        matrix = np.multiply(self._normal, scale, out=self._memory)
        matrix *= scale[:, None]
        matrix.flat[:: len(matrix) + 1] = 1.0
        lower, failed = linalg.lapack.dpotrf(matrix.T, lower=1, overwrite_a=1)
        if failed:
            return None
        step, _ = linalg.lapack.dpotrs(lower, scale * self._point.gradient, lower=1)
        solution: FloatArray = -scale * step
        return solution

    def _grow(self) -> None:
        self.damping, self._growth = self.damping * self._growth, 2.0 * self._growth

    def refuse(self, fun: float, gain: float, *, has_jacobian: bool) -> None:
        """Raise the damping."""
        self._grow()

    def accept(self, point: Point, gain: float) -> None:
        """Continue from the point after the last step; the better the model was, the smaller the new damping."""
        if gain < _HIDDEN:
            gain = 1.0
        factor = max(_FASTER if gain > 0.9 else 1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
        self.damping = max(self.damping * factor, _LEAST)
        self.begin(point)
