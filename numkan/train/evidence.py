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
weights fall until they matter in empty cells only, where they continue the polynomial of the neighbours.

The dispersion of a loss that is a likelihood (:mod:`numkan.model.curved`) is known, s = 1, and n never enters. In a
network of classes all outputs of the last layer share their weights: numerators and denominators are summed over them,
which makes the result independent of how classes are numbered. A *tie* a is a prior of the weights, a Gamma density of
shape 1 + a about a common weight for all inputs of a node,

.. math:: \lambda_{me} \leftarrow \frac{\gamma_{me} + a}{c_e^T Q_m c_e / s^2 + a / (\bar\lambda_m u_{me})}, \qquad
          \gamma_{me} = \lambda_{me} (\partial \log |R_e|_+ / \partial \lambda_{me} - \operatorname{tr} (H^{-1})_{ee}
          Q_m), \qquad \bar\lambda_m = s^2 \frac{\sum_e \gamma_{me}}{\sum_e u_{me} c_e^T Q_m c_e}

with u the squared deviation of an input over its range for the mean slope, and 1 for the other measures: without a tie
each edge has a weight of its own, and few data let some of them run away. Classes that can be told apart without error
let all of them run away, for there the data determine ever less as logits grow; so the common weight is tied to an
expected one in the same way, :math:`\bar\lambda_m = (\sum \gamma + b) / (\sum u c^T Q c / s^2 + b / \lambda_{0m})`.

The evidence itself, by Laplace's method and but for a constant of the data, has the logarithm
:math:`(\log |R|_+ - \log |H| - f / s^2) / 2`. It compares minima only.

In a network with hidden layers noise is followed in ways that are not linear near the minimum, and not counted by the
trace; where there is noise, a degree of freedom counts one and a half times.

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
from numkan.train.roughness import Roughness, orders

__all__ = ["UNTIED", "Evidence", "Prior", "Smoothness", "free_targets"]

#: One update changes no weight by a larger factor.
_FASTEST = 1e3

#: A penalty on a coefficient is at most this many times the diagonal of J^T J, or rounding hides the data beside it.
_MAX_RATIO = 1e9

#: No weight falls below this, times the number of targets and the unit of its edge.
_LEAST = 1e-60

#: The degrees of freedom that estimate the noise are at least this share of the targets.
_LEFT = 0.02

#: With hidden layers, noise is also followed in ways that the linearisation does not count: a degree of freedom counts
#: as much as the first number, if the residuals' root mean square is above the second (a share of the deviation).
_HIDDEN_PRICE, _POOR = 1.5, 0.03

#: Added to the diagonal of H, as a share of it, where neither data nor penalties determine a direction.
_HELD = 1e-14

_TINY = np.finfo(np.float64).tiny


class Evidence(NamedTuple):
    """The result of one update, in units of the targets' deviation."""

    noise: float  # s
    freedom: float  # effective degrees of freedom
    score: float  # root of the generalized cross-validation: residuals enlarged by the degrees of freedom
    log: float = math.nan  # logarithm of the evidence, but for a constant of the data
    to_fall: float = math.nan  # decrease of f / s^2 in a full step; `log` holds where it is small, near a minimum


class Prior(NamedTuple):
    """Prior knowledge of the weights."""

    tie: float = 0.0  # a
    firm: float = 0.0  # b
    least_noise: float = 0.0  # from which on there is a tie
    is_shared: bool = False  # whether all outputs have the weights of the last layer in common
    spread: tuple[FloatArray, ...] = ()  # (n_in,) for each layer: deviation of an input over its range
    expected: tuple[FloatArray, ...] = ()  # (n_measures, 1, 1 or n_out) for each layer: common weights; none are known


#: Every edge has a weight of its own.
UNTIED = Prior()


class Smoothness:
    """The penalty of some layers; `weights` has an array (n_measures, n_in, n_out) for each."""

    def __init__(
        self,
        layers: Sequence[SplineLayer],
        weights: list[FloatArray],
        *,
        smooth: bool = False,
        prior: Prior = UNTIED,
    ) -> None:
        self._layers, self._prior = layers, prior
        ends = [0, *accumulate(math.prod(layer.shape) for layer in layers)]
        self._parts = [slice(*both) for both in pairwise(ends)]
        self._rough = [Roughness(layer, orders(layer, smooth)) for layer in layers]
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

    def _pin(self, whole: FloatArray) -> list[float]:
        """Make H regular, in place, along constants that edges can exchange; return v^T H v of each, v of size 1.

        One edge of a node can give a constant to another without a change of the outputs or the penalties, so that H is
        singular in these directions. For all edges of a node but one the square of the sum of the coefficients is
        added, which has no effect in other directions; for edges that are off too. Where outputs are logits of classes,
        the same is done for the constant that can be added to all of them.
        """
        at, pins = 0, list[float]()
        for layer in self._layers:
            live = layer.live > 0.0
            spare = ~(live & (live.cumsum(axis=0) == 1))
            blocks = _edges(whole, at, layer.shape)
            size = np.einsum("iopp->io", blocks) / layer.shape[1]
            size = np.where(size > 0.0, size, 1.0)
            blocks += (spare * size)[:, :, None, None]
            pins += (layer.shape[1] ** 2 * size[spare]).tolist()
            at += layer.live.size * layer.shape[1]
        if self._prior.is_shared and live.any(axis=0).all():
            n_basis, n_out, outputs = *layer.shape[1:], np.arange(layer.shape[2])
            first = at - layer.live.size * n_basis + live.argmax(axis=0) * n_basis * n_out + outputs
            index = (first + n_out * np.arange(n_basis)[:, None]).reshape(-1)
            common = float(np.diagonal(whole)[index].mean()) or 1.0
            whole[np.ix_(index, index)] += common
            pins.append(common * index.size * n_basis)
        return pins

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

    def root_of_inverse(self, problem: LeastSquares, c: FloatArray, ridge: FloatArray) -> FloatArray:
        """Return X with (J^T J + R + ridge)^-1 = X^T X at c, of the last coefficients: as many as the ridge has."""
        whole = problem.data_equations(c)[2].copy()
        self.add(c, np.zeros(c.size), whole)
        self._pin(whole)
        return _half_inverse(whole[-ridge.size :, -ridge.size :] + np.diag(ridge))

    def update_weights(self, problem: LeastSquares, c: FloatArray, least_noise: float = 0.0) -> Evidence:
        """Update the weights once, by the data of a problem at the point c, whose noise is `least_noise` or more."""
        value, gradient, data = problem.data_equations(c)
        n = problem.n_targets
        whole, gradient = data.copy(), gradient.copy()
        self.add(c, gradient, whole)
        pins = self._pin(whole)
        half = _half_inverse(whole)
        explained = self._explained(half)
        pulled = sum(float((w * e).sum()) for w, e in zip(self._weights, explained, strict=True))
        freedom = max(len(data) - len(pins) - pulled, 0.0)  # tr H^-1 (H - R)
        scatter = problem.scatter(c)
        left = free_targets(len(self._layers), n, scatter, freedom)
        variance = 1.0 if math.isnan(scatter) else max(scatter / left, least_noise**2, _TINY)
        log = self._log_evidence(value + self.value(c), variance, half, pins)
        to_fall = float(np.square(half @ gradient).sum()) / variance
        self._follow(variance, data, explained, self._split(c), n)
        if self._prior.tie:  # with few samples, _HIDDEN_PRICE would make the error too large
            left = max(n - freedom, _LEFT * n)
        score = math.sqrt(n * (value if math.isnan(scatter) else scatter)) / left
        return Evidence(math.sqrt(variance), freedom, score, log, to_fall)

    def _log_evidence(self, fun: float, variance: float, half: FloatArray, pins: list[float]) -> float:
        """Return the logarithm of the evidence by Laplace's method, but for a constant of the data.

        The values in `pins` contain weights, and are divided out. A constant is measured by its value, not by its
        number of coefficients, so that grids can be compared.
        """
        determinants = sum(rough.log_determinant(w) for rough, w in zip(self._rough, self._weights, strict=True))
        curvature = -2.0 * float(np.log(np.diagonal(half)).sum()) - float(np.log(pins).sum())
        curvature += sum(layer.live.size * math.log(layer.shape[1]) for layer in self._layers)
        return 0.5 * (determinants - curvature - fun / variance)

    def _follow(
        self, variance: float, data: FloatArray, explained: list[FloatArray], coefs: list[FloatArray], n: int
    ) -> None:
        """Set the weights to the fixed point's right-hand side."""
        at, weights = 0, []
        for depth, (coef, rough, old, known) in enumerate(
            zip(coefs, self._rough, self._weights, explained, strict=True)
        ):
            seen = _edges(data, at, coef.shape)
            gain = np.maximum(rough.slopes_of_determinant(old) - known, 1e-12 / old)
            with np.errstate(over="ignore"):  # an edge that is straight
                new = self._raised(depth, variance, old, gain, rough.squares(coef))
            new = np.clip(new, old / _FASTEST, old * _FASTEST)
            most = _MAX_RATIO * np.einsum("iopp->io", seen) / coef.shape[1]
            weights.append(np.clip(new, _LEAST * n, np.maximum(most / rough.largest[:, None, None], _LEAST * n)))
            at += coef.size
        self.weights = weights

    def _raised(
        self, depth: int, variance: float, old: FloatArray, gain: FloatArray, squares: FloatArray
    ) -> FloatArray:
        """Return the new weights of a layer."""
        prior = self._prior
        if not prior.tie or variance < prior.least_noise**2:
            return variance * old * gain / np.maximum(squares, _TINY)
        known, shape = old * gain, old.shape
        if prior.is_shared and depth == len(self._layers) - 1:
            known, squares = known.sum(axis=2, keepdims=True), squares.sum(axis=2, keepdims=True)
        squares = squares / variance
        unit = np.ones((len(old), shape[1], 1))
        if self._layers[depth].k > 0:
            unit[0, :, 0] = np.maximum(prior.spread[depth], _TINY) ** 2
        count, size = known.sum(axis=1, keepdims=True), (unit * squares).sum(axis=1, keepdims=True)
        if prior.expected:
            count, size = count + prior.firm, size + prior.firm / prior.expected[depth]
        common = count / np.maximum(size, _TINY)
        new = (known + prior.tie) / (squares + prior.tie / (common * unit))
        return np.broadcast_to(new, shape).copy()


def free_targets(n_layers: int, n: int, scatter: float, freedom: float) -> float:
    """Return how many targets are left to estimate the noise by: fewer where hidden layers have followed noise."""
    price = _HIDDEN_PRICE if n_layers > 1 and scatter / n > _POOR**2 else 1.0
    return max(n - price * freedom, _LEFT * n)


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
