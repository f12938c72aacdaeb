r"""Curves from coefficients, and coefficients from curves.

.. math:: s_{io}(x) = \sum_p c_{iop}\, B_p(x; t_i)

Both directions go through the local polynomials of :mod:`numkan.spline.pieces`: only ``k + 1`` functions are touched at
a point, so that the cost does not grow with the number of knots, and an extrapolation policy means the same for values,
derivatives and fits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._blas import one_blas_thread
from numkan._check import FloatArray, as_float_array, as_samples, check_finite, check_integer, check_option
from numkan.spline.knots import check_grid, common_dtype
from numkan.spline.local import curves, local_functions
from numkan.spline.lstsq import COND, LocalLeastSquares
from numkan.spline.pieces import check_inside, local_pieces
from numkan.spline.policies import EXTRAPOLATIONS, POLICIES
from numkan.spline.spline_basis import SplineBasis

__all__ = ["CurveFit", "coef2curve", "curve2coef", "rows_per_block"]

#: Entries of the largest temporary array of a block of samples: 8 MB in float64, and far less than 100 ms in a kernel.
_BLOCK_NUMBERS = 1 << 20


class CurveFit(NamedTuple):
    """Ranks and residuals of a least-squares fit."""

    rank: NDArray[np.int64]  # (n_in,): numerical rank, G + k where the samples determine every coefficient
    residual: FloatArray  # (n_in, n_out): weighted sum of squared residuals


def rows_per_block(numbers_per_row: int) -> int:
    """Return how many samples make a block, so that memory stays bounded for any number of them."""
    return max(1, _BLOCK_NUMBERS // max(1, numbers_per_row))


def coef2curve(x_eval: Any, grid: Any, coef: Any, k: int, nu: int = 0, *, extrapolate: str = "fade") -> FloatArray:
    r"""Evaluate spline curves, or their derivatives of order `nu`.

    .. math:: y_{nio} = \sum_p c_{iop}\, B_p^{(\nu)}(x_{ni}; t_i)

    Parameters
    ----------
    x_eval : array_like, shape (n, n_in)
        Points. NaN gives NaN.
    grid : array_like, shape (n_in, G + 2k + 1)
        Extended knots. If `x_eval` or `grid` has one input only, it serves all inputs of `coef`.
    coef : array_like, shape (n_in, n_out, G + k)
        Coefficients.
    k : int
        Degree, at least 0.
    nu : int
        Order of the derivative.
    extrapolate : {"fade", "continue", "linear", "clamp", "nan", "raise"}
        The continuation of the spline outside its domain ``[t_k, t_{G+k}]``, for the value and every derivative:
        `"fade"`, the padded basis itself, which decays to zero (pykan's); `"continue"`, the end polynomial for 3 % of
        the domain's length and then a straight line; `"linear"`; `"clamp"`, the end value; `"nan"`; `"raise"`.

    Returns
    -------
    ndarray, shape (n, n_in, n_out)
        float32 if `x_eval`, `grid` and `coef` all are float32, float64 otherwise.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said; under `"raise"`, if points lie outside (how many, and where the first).

    References
    ----------
    C. de Boor, *A Practical Guide to Splines*, revised edition, Springer 2001, ch. IX and X.

    Examples
    --------
    The Greville abscissae as coefficients give the identity:

    >>> from numkan.spline import extend_grid, greville
    >>> grid = extend_grid(np.linspace(-1, 1, 6)[None, :], k_extend=3)
    >>> coef = greville(grid, 3)[:, None, :]
    >>> coef2curve([[-1.0], [0.25], [1.0]], grid, coef, 3)[:, 0, 0].round(12)
    array([-1.  ,  0.25,  1.  ])
    >>> coef2curve([[0.25], [7.0]], grid, coef, 3, nu=1, extrapolate="linear")[:, 0, 0].round(12)
    array([1., 1.])
    """
    k = check_integer("k", k, 0)
    nu = min(check_integer("nu", nu, 0), k + 1)  # from there on derivatives are 0
    check_option("extrapolate", extrapolate, EXTRAPOLATIONS)
    dtype = common_dtype(x_eval, grid, coef)
    knots = check_grid("grid", grid, k, dtype)
    table = as_float_array("coef", coef, dtype)
    if table.ndim != 3 or table.shape[2] != knots.shape[1] - k - 1:
        raise ValueError(
            f"Argument `coef` must have shape (n_in, n_out, {knots.shape[1] - k - 1}) for this grid, not {table.shape}."
        )
    points, knots = _shared("x_eval", as_samples("x_eval", x_eval, None, dtype), knots, table.shape[0], "`coef`")
    if POLICIES[extrapolate].raises:
        check_inside("x_eval", points, knots, k)
    pieces = local_pieces(knots, k, extrapolate, nu)
    packed = np.ascontiguousarray(table.transpose(0, 2, 1))
    out = np.empty((len(points), *table.shape[:2]), dtype)
    step = rows_per_block(table.shape[0] * max(table.shape[1], k + 1))
    for start in range(0, len(points), step):
        out[start : start + step] = curves(local_functions(points[start : start + step], pieces), packed)
    return out


def _shared(name: str, points: FloatArray, knots: FloatArray, n_in: int, of: str) -> tuple[FloatArray, FloatArray]:
    """Repeat points or knots of one input for all `n_in` inputs; raise an error if their numbers do not match."""
    if points.shape[1] not in (1, n_in):
        raise ValueError(f"Argument `{name}` must have {n_in} columns (or one) as {of} says, not {points.shape[1]}.")
    if knots.shape[0] not in (1, n_in):
        raise ValueError(f"Argument `grid` must have {n_in} rows (or one) as {of} says, not {knots.shape[0]}.")
    if points.shape[1] != n_in:
        points = np.ascontiguousarray(np.broadcast_to(points, (len(points), n_in)))
    if knots.shape[0] != n_in:
        knots = np.ascontiguousarray(np.broadcast_to(knots, (n_in, knots.shape[1])))
    return points, knots


def curve2coef(
    x_eval: Any,
    y_eval: Any,
    grid: Any,
    k: int,
    *,
    sample_weight: Any = None,
    extrapolate: str = "fade",
    return_info: bool = False,
) -> Any:
    r"""Fit spline coefficients to samples of curves, by least squares.

    .. math:: \min_c \sum_n w_n \Bigl( y_{nio} - \sum_p c_{iop}\, B_p(x_{ni}; t_i) \Bigr)^2
              \quad \text{for every } i, o;

    where the samples do not determine the coefficients, those of least norm. One QR factorisation serves all outputs
    of an input; normal equations are never formed.

    Parameters
    ----------
    x_eval : array_like, shape (n, n_in)
        Points, finite, in any order.
    y_eval : array_like, shape (n, n_in, n_out)
        The curves at the points, finite.
    grid : array_like, shape (n_in, G + 2k + 1)
        Extended knots. If `x_eval` or `grid` has one input only, it serves all inputs of `y_eval`.
    k : int
        Degree, at least 0.
    sample_weight : array_like, shape (n,), optional
        Weights w, not negative, not all zero. A sample of weight 2 counts twice, one of weight 0 not at all.
    extrapolate : {"fade", "continue", "linear", "clamp", "nan", "raise"}
        The policy under which the coefficients will be used, see :func:`coef2curve`. Under `"nan"` and `"raise"`,
        points outside the domain are an error.
    return_info : bool
        Whether to return rank and residuals too.

    Returns
    -------
    coef : ndarray, shape (n_in, n_out, G + k)
        Computed in float64; returned as float32 if `x_eval`, `y_eval` and `grid` all are.
    info : CurveFit
        Only with `return_info`: rank (n_in,) and weighted sums of squared residuals (n_in, n_out). A singular value
        below 32 * 2^-52 times the largest counts as zero.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said: the entry, the count and the first place are named.

    Notes
    -----
    Samples are sorted by x first, so that their order changes no bit where the x are distinct. The results of LAPACK
    have the same bits for one build of BLAS.

    References
    ----------
    C. de Boor, *A Practical Guide to Splines*, revised edition, Springer 2001, ch. XIV (least-squares splines).

    Examples
    --------
    >>> from numkan.spline import extend_grid
    >>> grid = extend_grid([[0.0, 1.0, 2.0]], k_extend=1)
    >>> x = np.array([[0.0], [0.5], [1.5], [2.0]])
    >>> coef, info = curve2coef(x, np.abs(x - 1)[:, :, None], grid, 1, return_info=True)
    >>> coef.round(12) + 0.0
    array([[[1., 0., 1.]]])
    >>> info.rank
    array([3])
    """
    k = check_integer("k", k, 0)
    check_option("extrapolate", extrapolate, EXTRAPOLATIONS)
    dtype = common_dtype(x_eval, y_eval, grid)
    targets = _check_targets(y_eval)
    n, n_in, n_out = targets.shape
    knots: FloatArray = check_grid("grid", grid, k, dtype).astype(np.float64)
    points = as_samples("x_eval", x_eval, None, np.float64)
    if len(points) != n:
        raise ValueError(f"Argument `x_eval` must have {n} rows as `y_eval` has, not {len(points)}.")
    check_finite("x_eval", points)
    points, knots = _shared("x_eval", points, knots, n_in, "`y_eval`")
    if not POLICIES[extrapolate].has_values:
        check_inside("x_eval", points, knots, k)
    root = np.sqrt(_check_weight(sample_weight, n))
    basis = SplineBasis.unchecked(knots, k, extrapolate)
    coef = np.empty((n_in, n_out, knots.shape[1] - k - 1), dtype)
    rank, residual = np.empty(n_in, np.int64), np.empty((n_in, n_out))
    with one_blas_thread():
        for i in range(n_in):
            order = np.argsort(points[:, i], kind="stable")
            order = order[root[order] > 0]
            problem, pieces = LocalLeastSquares(coef.shape[2], k + 1, n_out), basis.input(i).pieces
            step = rows_per_block(k + 1 + n_out)
            for start in range(0, len(order), step):
                rows = order[start : start + step]
                first, values, _ = local_functions(points[rows, i][:, None], pieces)
                problem.add(first[:, 0], values[:, 0] * root[rows, None], targets[rows, i] * root[rows, None])
            solution, rank[i], residual[i] = problem.solve(COND)
            coef[i] = solution.T
    return (coef, CurveFit(rank, residual)) if return_info else coef


def _check_targets(y_eval: Any) -> FloatArray:
    """Return `y_eval` as finite float64 of shape (n, n_in, n_out), with at least one sample."""
    targets = as_float_array("y_eval", y_eval, np.float64)
    if targets.ndim != 3:
        raise ValueError(f"Argument `y_eval` must have shape (n, n_in, n_out), not {targets.shape}.")
    if not len(targets):
        raise ValueError("Argument `y_eval` must hold at least one sample, not 0.")
    check_finite("y_eval", targets)
    return targets


def _check_weight(sample_weight: Any, n: int) -> FloatArray:
    """Return the weights as finite, non-negative float64 of shape (n,), not all zero; None stands for ones."""
    if sample_weight is None:
        return np.ones(n)
    weight = as_float_array("sample_weight", sample_weight, np.float64)
    if weight.shape != (n,):
        raise ValueError(f"Argument `sample_weight` must have shape ({n},), not {weight.shape}.")
    check_finite("sample_weight", weight)
    if (weight < 0).any():
        place = int(np.argmax(weight < 0))
        raise ValueError(f"Argument `sample_weight` must not be negative, not {weight[place]} at {place}.")
    if not weight.any():
        raise ValueError("Argument `sample_weight` must have a positive entry, not zeros only.")
    return weight
