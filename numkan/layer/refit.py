r"""Coefficients on new knots that keep the curves of a layer, where there are samples and elsewhere.

A grid update replaces the knots :math:`t` by :math:`t'`. The new coefficients are the least-squares solution on the
samples that is closest to the old function (:func:`refit`):

.. math:: c' = c_w + A^+ (y - A c_w), \qquad A_{np} = B_p(x_n; t'), \quad y_n = \sum_p c_p B_p(x_n; t),

where :math:`A^+` is the pseudo-inverse and :math:`c_w` the projection of the old curve on the new basis in
:math:`L_2` over the new domain (:func:`project`). Where the samples determine the coefficients, :math:`c_w` drops out;
where they do not (empty spans, few samples), the old curve is kept.

Everything is computed in float64, one factorisation per input for all of its outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray, as_float_array, as_samples, check_finite
from numkan.spline.curve import rows_per_block
from numkan.spline.knots import common_dtype, greville
from numkan.spline.local import curves, local_functions
from numkan.spline.lstsq import COND, LocalLeastSquares
from numkan.spline.spline_basis import SplineBasis

__all__ = ["project", "refit"]

#: Directions whose singular value is below this share of the largest keep their value at the Greville abscissae. Beside
#: a span of a thousandth of the padding's step, the outermost function is as small as that; its best coefficient is
#: then a large number that gains nothing. On uniform knots all singular values of the scaled basis are above 5e-5 of
#: the largest up to degree 5.
_PROJECTION_COND = 1e-6

#: Ratio of a correction's start to its result above which rounding errors of the start count.
_LARGE_START = 16


def refit(x: Any, old: SplineBasis, coef: Any, new: SplineBasis, cond: float = COND) -> FloatArray:
    """Return the coefficients on new knots that keep the curves on the samples, and change them least elsewhere.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
        Samples of the inputs, finite, at least one, in any order.
    old : SplineBasis
        The basis of `coef`. Under a policy without values outside (`"nan"`, `"raise"`) both curves are continued as
        under `"continue"`: there is nothing else to fit.
    coef : array_like, shape (n_in, n_out, G_old + k_old)
        Coefficients.
    new : SplineBasis
        The basis of the result: knots of as many inputs, of any degree.
    cond : float
        Singular values below `cond` times the largest count as zero: in those directions the change is zero.

    Returns
    -------
    ndarray, shape (n_in, n_out, G_new + k_new)
        float32 if `coef` is float32, float64 otherwise. Inputs whose knots stay the same keep their coefficients bit
        for bit.

    Notes
    -----
    The default `cond` gives the least-squares solution to rounding. Where few samples lie in the tails of a uniform
    grid, that solution may bend far away between them: a function that one sample sees with weight 1e-8 gets a
    coefficient of 1e8 residuals. ``cond=1e-3`` leaves such directions at the old function. On normal samples with
    G = 20 it raised the residual on the samples by less than 0.1 %, and lowered the largest deviation between them by
    factors from 10 to 1e8.

    Examples
    --------
    >>> from numkan.spline import extend_grid
    >>> old, new = (SplineBasis(extend_grid([[-end, 0.0, end]], 1), 1) for end in (1.0, 0.5))
    >>> coef = np.array([[[1.0, 0.0, 1.0]]])  # |x|
    >>> refit([[0.1], [0.2], [0.4]], old, coef, new).round(12) + 0.0  # no sample below 0, yet |x| stays there
    array([[[0.5, 0. , 0.5]]])
    """
    table = as_float_array("coef", coef, common_dtype(coef))
    samples = as_samples("x", x, old.n_in, np.float64)
    if not len(samples):
        raise ValueError("Argument `x` must hold at least one sample, not 0.")
    check_finite("x", samples)
    old, new = (basis.with_values().astype(np.float64) for basis in (old, new))
    same = old.degree == new.degree and old.knots.shape == new.knots.shape
    unchanged = (old.knots == new.knots).all(axis=1) if same else np.zeros(old.n_in, bool)
    packed = np.ascontiguousarray(table.transpose(0, 2, 1), dtype=np.float64)
    out = np.empty((*table.shape[:2], new.n_basis), table.dtype)
    with one_blas_thread():
        for i in range(old.n_in):
            if unchanged[i]:
                out[i] = table[i]
                continue
            curve, basis = (old.input(i), packed[i : i + 1]), new.input(i)
            near = _projected(*curve, basis)
            out[i] = _closest(np.sort(samples[:, i]), *curve, basis, near, cond).T
    return out


def _closest(
    x: FloatArray, old: SplineBasis, packed: FloatArray, new: SplineBasis, near: FloatArray, cond: float
) -> FloatArray:
    """Return the least-squares solution (p, n_out) on sorted samples x (n,) of one input that is nearest to `near`."""
    solution = near + _correction(x, old, packed, new, near, cond)
    if abs(near).max() / _LARGE_START > abs(solution).max():
        solution += _correction(x, old, packed, new, solution, cond)
    return solution


def _correction(
    x: FloatArray, old: SplineBasis, packed: FloatArray, new: SplineBasis, start: FloatArray, cond: float
) -> FloatArray:
    """Return A^+ (y - A start) on sorted samples, block by block."""
    problem = LocalLeastSquares(new.n_basis, new.degree + 1, start.shape[1])
    step = rows_per_block(start.shape[1] + new.degree + 1)
    for begin in range(0, len(x), step):
        points = x[begin : begin + step, None]
        functions = local_functions(points, new.pieces)
        left = curves(local_functions(points, old.pieces), packed) - curves(functions, start[None])
        problem.add(functions.first[:, 0], functions.values[:, 0], left[:, 0])
    return problem.solve(cond).solution


def project(old: SplineBasis, coef: Any, new: SplineBasis) -> FloatArray:
    r"""Return the best approximations on new knots, in :math:`L_2` over the new domain.

    .. math:: \min_{c'} \int_{t'_k}^{t'_{G'+k}} \Bigl( \sum_p c_p B_p(x; t) - \sum_p c'_p B_p(x; t') \Bigr)^2 dx

    Parameters and the result are those of :func:`refit`, without samples. The integral is exact: Gauss-Legendre
    quadrature with as many points as the degree needs, between all neighbours among the old knots, the break points of
    the policy, and the new knots. A curve that the new basis can represent is returned as it is, up to rounding.

    Examples
    --------
    >>> from numkan.spline import extend_grid, greville
    >>> old = SplineBasis(extend_grid([[-1.0, 0.0, 1.0]], 2), 2, "linear")
    >>> new = SplineBasis(extend_grid([[-2.0, 0.5, 2.0]], 2), 2, "linear")
    >>> straight = project(old, greville(old.knots, 2)[:, None], new)
    >>> bool(np.abs(straight[:, 0] - greville(new.knots, 2)).max() < 1e-14)
    True
    """
    table = as_float_array("coef", coef, common_dtype(coef))
    old, new = (basis.with_values().astype(np.float64) for basis in (old, new))
    packed = np.ascontiguousarray(table.transpose(0, 2, 1), dtype=np.float64)
    with one_blas_thread():
        fits = [_projected(old.input(i), packed[i : i + 1], new.input(i)).T for i in range(new.n_in)]
    return np.stack(fits).astype(table.dtype)


def _projected(old: SplineBasis, packed: FloatArray, new: SplineBasis) -> FloatArray:
    """Return the projection (p, n_out) of one input's old curves on its new basis.

    It is computed as a correction of the old curve's values at the Greville abscissae. These remain where a function is
    too small for the integral to determine its coefficient. Columns are scaled by the root of the support's share in
    the domain, so that narrow functions beside wide ones do not look like a loss of rank. The exact solution depends on
    neither.
    """
    knots, k, n_basis = new.knots[0], new.degree, new.n_basis
    low, high = knots[k], knots[n_basis]
    x, weight = _quadrature(np.concatenate([old.pieces.ends[0], new.interior[0]]), low, high, max(old.degree, k) + 1)
    abscissae = np.clip(greville(new.knots, k)[0], low, high)
    near = curves(local_functions(abscissae[:, None], old.pieces), packed)[:, 0]
    functions = local_functions(x[:, None], new.pieces)
    left = curves(local_functions(x[:, None], old.pieces), packed) - curves(functions, near[None])
    first, values, _ = functions
    support = np.minimum(knots[k + 1 :], high) - np.maximum(knots[:n_basis], low)
    scale = 1 / np.sqrt(np.where(support > 0, support / (high - low), 1))
    root = np.sqrt(weight)[:, None]
    problem = LocalLeastSquares(n_basis, k + 1, near.shape[1])
    problem.add(first[:, 0], values[:, 0] * scale[first + np.arange(k + 1)] * root, left[:, 0] * root)
    return near + scale[:, None] * problem.solve(_PROJECTION_COND).solution


def _quadrature(breaks: FloatArray, low: float, high: float, n_nodes: int) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Legendre nodes, increasing, and weights (of sum 1) on every interval between breaks."""
    ends = np.unique(np.clip(breaks[np.isfinite(breaks)], low, high))
    node, weight = np.polynomial.legendre.leggauss(n_nodes)
    half = np.diff(ends)[:, None] / 2
    x = np.clip(ends[:-1, None] + half * (1 + node), ends[:-1, None], ends[1:, None])
    return x.ravel(), (half / (high - low) * weight).ravel()
