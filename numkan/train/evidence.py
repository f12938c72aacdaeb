r"""How much each edge is smoothed, estimated from the data.

With a penalty of several measures m for every edge e,

.. math:: f(c) = |r(c)|^2 + \sum_e c_e^T R_e c_e, \qquad R_e = \sum_m \lambda_{me} D_m^T D_m ,

minus the logarithm of a posterior is :math:`f / 2 s^2`, s the deviation of the noise. The weights that make the data
most likely are fixed points of

.. math:: \lambda_{me} \leftarrow s^2 \lambda_{me} \frac{\partial \log |R_e|_+ / \partial \lambda_{me}
          - \operatorname{tr} (H^{-1})_{ee} Q_m}{c_e^T Q_m c_e}, \qquad Q_m = D_m^T D_m,\ H = J^T J + R, \qquad
          s^2 = \frac{|r|^2}{n - \operatorname{tr} H^{-1} J^T J} .

The trace in s is the *effective degrees of freedom*. The measures are an edge's mean slope, its curvature and the jumps
of its highest derivative (:mod:`numkan.spline.smoothness`): straight lines, other polynomials of the splines' degree
and the rest, so that an edge which only follows noise straightens, then vanishes; and where data are free of noise, the
weights fall until only empty cells feel them, which go on with their neighbours' polynomial.

A network of more coefficients than targets can run through all of them, and s falls to zero. If held-out samples show
more noise, their deviation is passed as a lower bound on s (`least_noise`).

References
----------
D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4 (1992). S. N. Wood and M. Fasiolo, "A generalized
Fellner-Schall method for smoothing parameter optimization", Biometrics 73 (2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy import linalg

from numkan._check import FloatArray
from numkan.model.least_squares import LeastSquares, SplineLayer
from numkan.spline.basis import B_batch
from numkan.spline.smoothness import difference_matrices

__all__ = ["Evidence", "Smoothness", "measures"]

#: One update changes no weight by a larger factor.
_FASTEST = 1e3

#: A penalty on a coefficient is at most this many times the diagonal of J^T J, or rounding hides the data beside it.
_MAX_RATIO = 1e9

#: No weight falls below this, times the number of targets and the unit of its edge.
_LEAST = 1e-60

#: The degrees of freedom that estimate the noise are at least this share of the targets.
_LEFT = 0.02

#: Added to the diagonal of H, as a share of it, where neither data nor penalties determine a direction.
_HELD = 1e-14

_TINY = np.finfo(np.float64).tiny


class Evidence(NamedTuple):
    """What one update has found, in units of the targets' deviation."""

    noise: float  # s
    freedom: float  # effective degrees of freedom
    score: float  # root of the generalized cross-validation: residuals enlarged by the degrees of freedom


def measures(k: int) -> int:
    """Return how many measures there are for splines of degree k."""
    return min(k, 2) + 1


def _orders(layer: SplineLayer, smooth: bool) -> list[int]:
    """Return the orders of the differences that are measured, one or two."""
    k, most = layer.k, layer.shape[1] - 1
    if smooth and 2 <= k <= most - 3:
        return [k + 1, k + 3]
    return sorted({min(2, k + 1), k + 1})


class _Roughness:
    """The measures of the edges of one layer; arrays whose first axis has one entry serve all inputs."""

    def __init__(self, layer: SplineLayer, orders: Sequence[int]) -> None:
        knots, k = layer.grid, layer.k
        span = knots[:, -1 - k, None] - knots[:, k, None]
        unit = (knots - knots[:, k, None]) / span
        rows = knots[:1] if np.allclose(unit, unit[0], rtol=0, atol=1e-9) else knots
        by_input = [difference_matrices(row, k, orders) for row in rows]
        self.matrices = [np.array(matrices) for matrices in zip(*by_input, strict=True)]
        #: eigenvalues of the highest order's square beside the lowest's, (n_rows, n_eigen); None if there is one order
        self.relative = None
        if len(orders) == 2:
            self.relative = np.array([_eigenvalues(row, k, *orders) for row in rows])
        if k > 0:
            self.matrices.insert(0, np.array([_mean_slope(row, k) for row in rows]))
        self.products = [D.transpose(0, 2, 1) @ D for D in self.matrices]
        largest = np.array([np.diagonal(Q, axis1=1, axis2=2).max() for Q in self.products])
        self.largest = np.where(largest > 0.0, largest, 1.0)  # few coefficients have no differences of high order

    def squares(self, coef: FloatArray) -> FloatArray:
        """Return |D c_e|^2, (n_measures, n_in, n_out)."""
        return np.array([np.square(D @ coef).sum(axis=1) for D in self.matrices])

    def slopes_of_determinant(self, weight: FloatArray) -> FloatArray:
        """Return the derivatives of log |R_e|_+ by the weights, (n_measures, n_in, n_out).

        The mean slope has a direction of its own, the straight line. Of the two orders the lower one is positive
        definite on all others, and the higher one has known eigenvalues beside it.
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


def _mean_slope(knots: FloatArray, k: int) -> FloatArray:
    """Return the row (1, G + k) that gives a curve's rise over its domain: its mean slope on the unit interval."""
    ends = np.array([[knots[k]], [knots[-1 - k]]])
    low, high = B_batch(ends, knots[None, :], k)[:, 0]
    rise: FloatArray = (high - low)[None, :]
    return rise


def _eigenvalues(knots: FloatArray, k: int, lower: int, higher: int) -> FloatArray:
    """Return the eigenvalues of D_higher^T D_higher beside D_lower^T D_lower; as many are 0 as orders lie between."""
    (between,) = difference_matrices(knots, k, [higher], of=lower)
    mu: FloatArray = linalg.eigvalsh(between.T @ between, check_finite=False)
    mu[: higher - lower] = 0.0
    return np.maximum(mu, 0.0)


class Smoothness:
    """The penalty of some layers; `weights` has an array (n_measures, n_in, n_out) for each."""

    def __init__(self, layers: Sequence[SplineLayer], weights: list[FloatArray], *, smooth: bool = False) -> None:
        self._layers = layers
        ends = [0, *accumulate(math.prod(layer.shape) for layer in layers)]
        self._parts = [slice(*both) for both in pairwise(ends)]
        self._rough = [_Roughness(layer, _orders(layer, smooth)) for layer in layers]
        self.weights = weights

    @property
    def weights(self) -> list[FloatArray]:
        """Weight of every measure on every edge."""
        return self._weights

    @weights.setter
    def weights(self, value: list[FloatArray]) -> None:
        self._weights = value
        self._blocks = [
            sum(w[:, :, None, None] * Q[:, None] for w, Q in zip(weight, rough.products, strict=True))
            for weight, rough in zip(value, self._rough, strict=True)
        ]

    def _split(self, c: FloatArray) -> list[FloatArray]:
        """Return the coefficients of every layer, 0 where edges are not to change: they are not penalised."""
        return [
            c[part].reshape(layer.shape) * layer.live[:, None, :]
            for part, layer in zip(self._parts, self._layers, strict=True)
        ]

    def value(self, c: FloatArray) -> float:
        """Return c^T R c."""
        parts = zip(self._weights, self._rough, self._split(c), strict=True)
        return float(sum((weight * rough.squares(coef)).sum() for weight, rough, coef in parts))

    def add(self, c: FloatArray, gradient: FloatArray, normal: FloatArray) -> None:
        """Add R c to gradient and R to normal, in place."""
        at = 0
        for coef, rough, weight, blocks in zip(self._split(c), self._rough, self._weights, self._blocks, strict=True):
            for D, w in zip(rough.matrices, weight, strict=True):
                pull = D.transpose(0, 2, 1) @ (w[:, None, :] * (D @ coef))
                gradient[at : at + coef.size] += pull.reshape(-1)
            _edges(normal, at, coef.shape)[...] += blocks
            at += coef.size

    def relax(self, c: FloatArray, noise: float) -> None:
        r"""Lower the weights, in place, to where the edges are as rough as the penalties let one expect at that noise.

        There :math:`\lambda c^T Q c = s^2 \operatorname{rank} Q`: what has been learned before is not flattened.
        """
        relaxed = []
        for coef, rough, weight in zip(self._split(c), self._rough, self._weights, strict=True):
            rank = np.array([D.shape[1] for D in rough.matrices], float)[:, None, None]
            expected = noise**2 * np.maximum(rank, 1.0) / np.maximum(rough.squares(coef), _TINY)
            relaxed.append(np.minimum(weight, expected))
        self.weights = relaxed

    def _pin(self, whole: FloatArray) -> int:
        """Take away, in place, the constants that the edges of a node can exchange; return how many there are.

        Neither data nor penalties see them, so that H is singular along them. All edges of a node but one are held by
        squares of the sums of their coefficients, which change nothing else; so are edges that are off.
        """
        at, number = 0, 0
        for layer in self._layers:
            live = layer.live > 0.0
            spare = ~(live & (live.cumsum(axis=0) == 1))
            blocks = _edges(whole, at, layer.shape)
            size = np.einsum("iopp->io", blocks) / layer.shape[1]
            blocks += (spare * np.where(size > 0.0, size, 1.0))[:, :, None, None]
            number += int(spare.sum())
            at += layer.live.size * layer.shape[1]
        return number

    def _explained(self, half: FloatArray) -> list[FloatArray]:
        """Return tr (H^-1)_ee Q_m, (n_measures, n_in, n_out) of every layer, from X with H^-1 = X^T X."""
        out: list[FloatArray] = []
        at = 0
        for layer, rough in zip(self._layers, self._rough, strict=True):
            n_in, n_basis, n_out = layer.shape
            traces = np.empty((len(rough.products), n_in, n_out))
            for i in range(n_in):
                for o in range(n_out):
                    begin = at + i * n_basis * n_out + o
                    columns = half[begin:, begin : begin + n_basis * n_out - o : n_out]
                    block = columns.T @ columns
                    traces[:, i, o] = [np.vdot(block, Q[min(i, len(Q) - 1)]) for Q in rough.products]
            out.append(traces)
            at += n_in * n_basis * n_out
        return out

    def update_weights(self, problem: LeastSquares, c: FloatArray, least_noise: float = 0.0) -> Evidence:
        """Update the weights once, by the data of a problem at the point c, whose noise is `least_noise` or more."""
        squares, gradient, data = problem.data_equations(c)
        n = problem.y.size
        whole = data.copy()
        self.add(c, gradient.copy(), whole)
        pinned = self._pin(whole)
        half = _half_inverse(whole)
        coefs = self._split(c)
        explained = self._explained(half)
        pulled = sum(float((w * e).sum()) for w, e in zip(self._weights, explained, strict=True))
        freedom = max(len(data) - pinned - pulled, 0.0)  # tr H^-1 (H - R)
        left = max(n - freedom, _LEFT * n)
        variance = max(squares / left, least_noise**2, _TINY)
        at, weights = 0, []
        for coef, rough, old, known in zip(coefs, self._rough, self._weights, explained, strict=True):
            seen = _edges(data, at, coef.shape)
            gain = np.maximum(rough.slopes_of_determinant(old) - known, 1e-12 / old)
            with np.errstate(over="ignore"):  # an edge that is straight
                new = variance * old * gain / np.maximum(rough.squares(coef), _TINY)
            new = np.clip(new, old / _FASTEST, old * _FASTEST)
            most = _MAX_RATIO * np.einsum("iopp->io", seen) / coef.shape[1]
            weights.append(np.clip(new, _LEAST * n, np.maximum(most / rough.largest[:, None, None], _LEAST * n)))
            at += coef.size
        self.weights = weights
        return Evidence(float(np.sqrt(variance)), freedom, float(np.sqrt(n * squares) / left))


def _edges(matrix: FloatArray, at: int, shape: tuple[int, ...]) -> FloatArray:
    """Return the diagonal blocks of a layer's edges (n_in, n_out, G + k, G + k), a view; the layer begins at `at`."""
    n_in, n_basis, n_out = shape
    row, column = matrix.strides
    both = row + column
    strides = (n_basis * n_out * both, both, n_out * row, n_out * column)
    return as_strided(matrix[at:, at:], (n_in, n_out, n_basis, n_basis), strides)


def _half_inverse(matrix: FloatArray) -> FloatArray:
    """Return the lower triangular X with matrix^-1 = X^T X, held where rounding makes the matrix indefinite.

    It is factorised with a diagonal of 1, so that rounding loses nothing of directions that penalties alone determine.
    """
    diagonal, held = np.diagonal(matrix), _HELD
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    while True:
        scaled = matrix * scale * scale[:, None]
        scaled.flat[:: len(scaled) + 1] = 1.0 + held
        lower, failed = linalg.lapack.dpotrf(scaled.T, lower=1, overwrite_a=1, clean=1)
        if not failed:
            half: FloatArray = linalg.lapack.dtrtri(lower, lower=1, overwrite_c=1)[0] * scale
            return half
        held *= 100.0
