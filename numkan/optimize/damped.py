r"""Levenberg-Marquardt with the damping itself in the lead: one factorisation a trial.

The step of normal equations :math:`A = J^T J`, :math:`g = J^T r` is :math:`(A + \lambda D)\, p = -g`, where D is I, or
the diagonal of A (Marquardt 1963), which lets variables that are hardly seen move as freely as others. With the *gain
ratio* :math:`\rho` of what it brings to what the model predicts, the damping becomes
:math:`\lambda \max(1/3,\, 1 - (2\rho - 1)^3)` after an accepted step, and :math:`\lambda\nu` with
:math:`\nu = 2, 4, 8, \dots` after each that is not (Nielsen's rule: K. Madsen, H. B. Nielsen and O. Tingleff, "Methods
for non-linear least squares problems", 2nd edition, Technical University of Denmark 2004, section 3.2).

:class:`numkan.optimize.LevenbergMarquardt` needs fewer steps where a model is poor far from a point; this one's are
cheaper. Matrices are brought to a diagonal of 1 before they are factorised, which keeps what is small beside what is
large (A. van der Sluis, "Condition numbers and equilibration of matrices", Numerische Mathematik 14, 1969).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import linalg

from numkan._check import FloatArray, check_number
from numkan.optimize.levenberg_marquardt import LevenbergMarquardtState, NormalEquations
from numkan.optimize.objective import sealed, start_vector
from numkan.optimize.result import Status

__all__ = ["DampedLeastSquares"]

#: A step is accepted that brings this share of what the model predicts.
_ACCEPTED = 1e-4

#: So many trials in a row without a step end the run.
_MOST_TRIALS = 12

#: The damping does not fall below this; after a very good step it falls by this factor instead of a third.
_LEAST, _FASTER = 1e-14, 0.1


class DampedLeastSquares:
    """The iteration, one accepted step at a time.

    Parameters
    ----------
    problem : NormalEquations
        With the methods ``loss(x)`` and ``normal_equations(x)``.
    x0 : array_like, shape (n,)
        The start, of finite loss.
    damping : float
        The first lambda.
    scaled : bool
        Whether D is the diagonal of A.
    ftol : float
        Converged when a step lowers the loss by less than this share of it.

    Attributes
    ----------
    state : LevenbergMarquardtState
        The last accepted point; its `radius` is NaN.
    status : Status or None
        None while there is a step to take.
    nfev : int

    Examples
    --------
    >>> import numpy as np
    >>> class Line:
    ...     a, y = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 5.0])
    ...     def loss(self, x):
    ...         return float(np.sum((self.a @ x - self.y) ** 2))
    ...     def normal_equations(self, x):
    ...         return self.loss(x), self.a.T @ (self.a @ x - self.y), self.a.T @ self.a
    >>> run = DampedLeastSquares(Line(), [0.0, 0.0])
    >>> while run.step(): pass
    >>> run.state.x.round(9), run.status.success
    (array([1., 2.]), True)
    """

    def __init__(
        self, problem: NormalEquations, x0: Any, *, damping: float = 1.0, scaled: bool = False, ftol: float = 0.0
    ) -> None:
        self._problem, self._scaled = problem, scaled
        self._ftol = check_number("ftol", ftol, 0.0)
        x = np.array(start_vector("x0", x0), np.float64)
        self.nfev = 1
        self.status: Status | None = None
        fun, self._gradient, self._normal = problem.normal_equations(sealed(x))
        if not (math.isfinite(fun) and _finite(self._gradient, self._normal)):
            raise ValueError(f"Argument `x0` must be a point of finite loss and Jacobian, not of loss {fun}.")
        self._show(x, fun, 0, check_number("damping", damping, 0.0, exclusive=True))

    def _show(self, x: FloatArray, fun: float, step: int, damping: float) -> None:
        self.state = LevenbergMarquardtState(
            sealed(x), fun, sealed(2.0 * self._gradient), step, self.nfev, damping, math.nan
        )

    def step(self) -> bool:
        """Take one accepted step; False, with `status` saying why, where there is none to take."""
        if self.status is not None:
            return False
        at, damping, growth, finite, refused = self.state, self.state.damping, 2.0, True, False
        for _ in range(_MOST_TRIALS):
            diagonal = np.diagonal(self._normal) if self._scaled else np.ones(at.x.size)
            p = self._solve(damping * diagonal)
            if p is not None:
                x = at.x + p
                fun = self._problem.loss(sealed(x))
                self.nfev += 1
                predicted = float(p @ (damping * diagonal * p - self._gradient))
                gain = (at.fun - fun) / predicted if predicted > 0.0 else -math.inf
                finite = math.isfinite(fun)
                if finite and gain > _ACCEPTED:
                    if self._accept(x, damping, gain):
                        return True
                    refused = True
            damping, growth = damping * growth, 2.0 * growth
        self.status = Status.ROUNDING if finite and not refused else Status.NONFINITE
        return False

    def _solve(self, added: FloatArray) -> FloatArray | None:
        """Return the step with `added` on the diagonal, or None where the matrix is singular."""
        diagonal = np.diagonal(self._normal) + added
        scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        matrix = self._normal * scale
        matrix *= scale[:, None]
        matrix.flat[:: len(matrix) + 1] = 1.0
        lower, failed = linalg.lapack.dpotrf(matrix.T, lower=1, overwrite_a=1)
        if failed:
            return None
        step, _ = linalg.lapack.dpotrs(lower, scale * self._gradient, lower=1)
        solution: FloatArray = -scale * step
        return solution

    def _accept(self, x: FloatArray, damping: float, gain: float) -> bool:
        """Go to x, unless its Jacobian is not finite; return whether."""
        before = self.state
        fun, gradient, normal = self._problem.normal_equations(sealed(x))
        if not _finite(gradient, normal):
            return False
        self._gradient, self._normal = gradient, normal
        damping *= max(_FASTER if gain > 0.9 else 1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
        self._show(x, fun, before.step + 1, max(damping, _LEAST))
        if before.fun - fun <= self._ftol * before.fun:
            self.status = Status.DECREASE
        return True


def _finite(gradient: FloatArray, normal: FloatArray) -> bool:
    """Whether a Jacobian is finite: each of its numbers has its square on the diagonal."""
    return bool(np.isfinite(gradient).all() and np.isfinite(np.diagonal(normal)).all())
