"""One edge's spline to and from `scipy.interpolate`, and to piecewise polynomials.

The spline is converted on its domain [t_k, t_{G+k}]. Beyond it the libraries differ (numkan's policies, scipy's
`extrapolate`), so the objects made here give NaN there.
"""

from __future__ import annotations

from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray, as_float_array, check_finite, check_integer
from numkan.spline.basis import B_batch
from numkan.spline.knots import check_grid_row, interior_knots

if TYPE_CHECKING:
    from scipy.interpolate import BSpline, PPoly

__all__ = ["from_scipy", "to_ppoly", "to_scipy"]


def _check_row(grid_row: Any, coef_row: Any, k: Any) -> tuple[FloatArray, FloatArray, int]:
    """Return the knots, the coefficients and the degree of one spline in float64, the only precision scipy has."""
    k = check_integer("k", k, 0)
    knots = check_grid_row("grid_row", grid_row, k, np.float64)
    coef = as_float_array("coef_row", coef_row, np.float64)
    if coef.shape != (len(knots) - k - 1,):
        raise ValueError(f"Argument `coef_row` must have shape ({len(knots) - k - 1},), not {coef.shape}.")
    check_finite("coef_row", coef)
    return knots, coef, k


def to_scipy(grid_row: Any, coef_row: Any, k: int) -> BSpline[np.float64]:
    """Return sum_p coef_row[p] B_p as a `scipy.interpolate.BSpline` on the same knots, NaN beyond the domain.

    Parameters
    ----------
    grid_row : array_like, shape (G + 2k + 1,)
        Extended knots.
    coef_row : array_like, shape (G + k,)
        Coefficients, multiplied by their scales.
    k : int
        Degree, at least 0.

    Raises
    ------
    ValueError
        If the last interior knot is repeated inside the domain. scipy evaluates such an end on the empty span and gives
        zero; numkan on the last non-empty one.

    Examples
    --------
    >>> float(to_scipy([-1.0, 0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 2.0], 1)(0.5))
    2.0
    """
    # scipy.interpolate takes longer than the import of numkan may cost
    from scipy.interpolate import BSpline

    knots, coef, k = _check_row(grid_row, coef_row, k)
    end = len(knots) - 1 - k
    if knots[end - 1] == knots[end]:
        raise ValueError(
            f"Argument `grid_row` must not repeat the last interior knot inside the domain (scipy gives 0 there), "
            f"not have knots {end - 1} and {end} both at {knots[end]}."
        )
    return BSpline(knots, coef, k, extrapolate=False)


def from_scipy(bspline: BSpline[np.float64]) -> tuple[FloatArray, FloatArray, int]:
    """Return (grid_row, coef_row, k) of a `scipy.interpolate.BSpline`: its `t`, `c` and `k`, checked.

    scipy allows more coefficients than the knots call for; the surplus is dropped, as scipy's own evaluation does.

    Raises
    ------
    TypeError, ValueError
        If it is not a BSpline, is periodic, has complex or several-dimensional coefficients, or an axis other than 0.

    Examples
    --------
    >>> from scipy.interpolate import BSpline
    >>> from_scipy(BSpline([-1.0, 0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 2.0], 1))
    (array([-1.,  0.,  1.,  2.,  3.]), array([1., 3., 2.]), 1)
    """
    from scipy.interpolate import BSpline  # see to_scipy

    if not isinstance(bspline, BSpline):
        raise TypeError(f"Argument `bspline` must be a scipy.interpolate.BSpline, not {type(bspline).__name__}.")
    if bspline.extrapolate == "periodic":
        raise ValueError("Argument `bspline` must not be periodic, not with extrapolate='periodic'.")
    if bspline.c.ndim != 1:
        raise ValueError(f"Argument `bspline` must have coefficients of shape (n,), not {bspline.c.shape}.")
    k = int(bspline.k)
    knots, coef, k = _check_row(
        bspline.t, as_float_array("bspline", bspline.c, np.float64)[: len(bspline.t) - k - 1], k
    )
    return np.array(knots), np.array(coef), k


def to_ppoly(grid_row: Any, coef_row: Any, k: int) -> PPoly[np.float64]:
    """Return the spline as a `scipy.interpolate.PPoly` on the domain, one polynomial for each non-empty span.

    The coefficients are Taylor's at the left end of each span, s^(m)(t_j) / m!; NaN beyond the domain.

    Parameters
    ----------
    grid_row, coef_row, k
        As in `to_scipy`; repeated knots are welcome anywhere.

    Examples
    --------
    >>> to_ppoly([-1.0, 0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 2.0], 1).c
    array([[ 2., -1.],
           [ 1.,  3.]])
    """
    from scipy.interpolate import PPoly  # see to_scipy

    knots, coef, k = _check_row(grid_row, coef_row, k)
    breaks = np.unique(interior_knots(knots[None], k)[0])
    with one_blas_thread():
        taylor = [B_batch(breaks[:-1, None], knots[None], k, m)[:, 0] @ coef / factorial(m) for m in range(k + 1)]
    return PPoly(np.array(taylor[::-1]), breaks, extrapolate=False)
