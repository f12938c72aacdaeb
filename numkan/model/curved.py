r"""Losses as sums of squares near a point, for the normal equations of :mod:`numkan.model.least_squares`.

Of a sample's loss :math:`\ell(\hat y)` with second derivative W by the outputs, the *generalized Gauss-Newton* method
takes factors A (n_out, n_q) and residuals r (n_q,) with

.. math:: A A^T = W, \qquad A r = \partial \ell / \partial \hat y :

with J the derivative of the outputs by the parameters, :math:`f = 2 \ell` has half the gradient :math:`J^T A r` and,
but for the curvature of the network itself, half the second derivative :math:`J^T A A^T J`. Rows of A^T J and residuals
r then serve as those of a sum of squares do.

Outputs of one entry each have :math:`A = \sqrt{h}` and :math:`r = g / \sqrt{h}` with slope g and curvature h, r a
Pearson residual. Of the softmax p and the indicator y of the class,

.. math:: A_{oq} = (\delta_{oq} - p_o) \sqrt{p_q}, \qquad r_q = (p_q - y_q) / \sqrt{p_q} ,

and where there are two classes one column is enough.

References
----------
N. N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", Neural Computation 14
(2002). P. McCullagh and J. A. Nelder, *Generalized Linear Models*, 2nd edition, Chapman and Hall 1989.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from numkan._check import FloatArray
from numkan.model.losses import Loss

__all__ = ["SQUARES", "CurvedLoss", "Entries", "Expansion", "Softmax"]

#: Curvatures and probabilities count as this much at least: the product of factor and residual stays the slope.
_LEAST_CURVATURE, _LEAST_PROBABILITY = 1e-150, 1e-30

#: The mean curvature counts as this share of that of the steps at least, in the estimate of a dispersion.
_LEAST_SHARE = 0.1


class Expansion(NamedTuple):
    """A loss at the outputs of n samples."""

    value: float  # f, over the samples
    residuals: FloatArray  # (n, n_q), times the roots of the weights
    factors: FloatArray  # (n, n_out, n_q), without weights


class CurvedLoss(Protocol):
    """What the normal equations ask of a loss; `root_weight` (n,), or (0,), has the roots of the samples' weights."""

    def value(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> float:
        """Return f over samples with outputs and targets (n, n_out)."""

    def expand(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> Expansion:
        """Return f, residuals and factors."""

    def scatter(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> float:
        """Return what estimates the dispersion s^2 when it is divided by the free targets; NaN where s is 1."""


class _Squares:
    """The square of the difference, of dispersion s^2 = the variance of the noise."""

    def value(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> float:
        residuals = _weighed(outputs - y, root_weight)
        return float(np.vdot(residuals, residuals))

    def expand(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> Expansion:
        residuals = _weighed(outputs - y, root_weight)
        n, n_out = residuals.shape
        factors = np.broadcast_to(np.eye(n_out), (n, n_out, n_out)).copy()
        return Expansion(float(np.vdot(residuals, residuals)), residuals, factors)

    def scatter(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> float:
        return self.value(outputs, y, root_weight)


#: Least squares.
SQUARES = _Squares()


@dataclass(frozen=True)
class Entries:
    """A loss of single entries, at outputs that are `centre` (n_out,) more than the network's."""

    loss: Loss
    centre: FloatArray

    def value(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> float:
        """Return f, less the least value that any outputs could have."""
        values = np.asarray(self.loss.value(outputs + self.centre, y), np.float64) - self.loss.least(y)
        return 2.0 * float(_squared(root_weight, len(y)) @ values.sum(axis=1))

    def expand(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> Expansion:
        """Return f, residuals and factors."""
        slope = np.asarray(self.loss.derivative(outputs + self.centre, y), np.float64)
        curvature = np.asarray(self.loss.step_curvature(outputs + self.centre, y), np.float64)
        root = np.sqrt(np.maximum(curvature, _LEAST_CURVATURE))
        n, n_out = slope.shape
        factors = np.zeros((n, n_out, n_out))
        factors[:, range(n_out), range(n_out)] = root
        return Expansion(self.value(outputs, y, root_weight), _weighed(slope / root, root_weight), factors)

    def scatter(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> float:
        r"""Return the sum of squared slopes over the mean curvature.

        That of an M-estimate, whose covariance is :math:`\overline{g^2} / \bar\ell''^2 (J^T J)^{-1}`, in units of the
        normal matrix, which has the curvature of the steps.
        """
        if self.loss.is_likelihood:
            return np.nan
        outputs, weight = outputs + self.centre, _squared(root_weight, len(y))

        def total(values: Any) -> float:
            return float(weight @ np.asarray(values, np.float64).sum(axis=1))

        squares = total(np.square(np.asarray(self.loss.derivative(outputs, y))))
        of_steps, own = total(self.loss.step_curvature(outputs, y)), total(self.loss.curvature(outputs, y))
        if not of_steps > 0.0:
            return squares
        mean = of_steps / float(weight.sum() * y.shape[1])
        excess = of_steps / max(own, _LEAST_SHARE * of_steps)
        return squares / mean * excess * excess


@dataclass(frozen=True)
class Softmax:
    """Cross-entropy of logits that are `centre` (n_out,) more than the outputs; y (n, n_out) is 1 at the class."""

    centre: FloatArray

    def value(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> float:
        """Return twice the cross-entropy."""
        logits = outputs + self.centre
        logits -= logits.max(axis=1, keepdims=True)
        values = np.log(np.exp(logits).sum(axis=1)) - np.einsum("no,no->n", logits, y)
        return 2.0 * float(_squared(root_weight, len(y)) @ values)

    def expand(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> Expansion:
        """Return f, residuals and factors."""
        logits = outputs + self.centre
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p = np.maximum(p, _LEAST_PROBABILITY)
        if p.shape[1] == 2:
            root = np.sqrt(p.prod(axis=1, keepdims=True))
            factors = root[:, :, None] * np.array([[-1.0], [1.0]])
            residuals = (p[:, 1:] - y[:, 1:]) / root
        else:
            root = np.sqrt(p)
            factors = -p[:, :, None] * root[:, None, :]
            at = range(p.shape[1])
            factors[:, at, at] += root
            residuals = (p - y) / root
        return Expansion(self.value(outputs, y, root_weight), _weighed(residuals, root_weight), factors)

    def scatter(self, outputs: FloatArray, y: FloatArray, root_weight: FloatArray) -> float:
        """Return NaN."""
        return np.nan


def _weighed(residuals: FloatArray, root_weight: FloatArray) -> FloatArray:
    return residuals * root_weight[:, None] if root_weight.size else residuals


def _squared(root_weight: FloatArray, n: int) -> FloatArray:
    return np.square(root_weight) if root_weight.size else np.ones(n)
