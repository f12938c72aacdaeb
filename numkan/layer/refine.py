"""The same curves on more knots, or on fewer: what needs no samples, and what starts a layer from another.

Where the new knots contain the old ones, refinement is exact on the closed domain, by knot insertion; the padding of
the new grid has another step than that of the old one, which :func:`numkan.spline.refinement_matrix` provides for. On
other knots the curves are approximated as well as can be in L2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan._check import FloatArray, as_float_array, check_integer
from numkan.layer.grid import refined_grid
from numkan.layer.refit import project, refit
from numkan.spline.insertion import refinement_matrix
from numkan.spline.knots import check_grid, common_dtype, extend_grid, interior_knots

__all__ = ["grid_from_parent", "refine_coef"]


def refine_coef(grid: Any, coef: Any, new_grid: Any, k: int, *, extrapolate: str = "continue") -> FloatArray:
    """Return the coefficients of the same curves on a refined (or coarser) grid, without samples.

    Parameters
    ----------
    grid : array_like, shape (n_in, G + 2k + 1)
        Old knots.
    coef : array_like, shape (n_in, n_out, G + k)
        Coefficients.
    new_grid : array_like, shape (n_in, G_new + 2k + 1)
        New knots, as :func:`numkan.layer.grid.refined_grid` gives them.
    k : int
        Degree.
    extrapolate : str
        Policy of the curves, which matters only where the new domain is larger than the old one.

    Returns
    -------
    ndarray, shape (n_in, n_out, G_new + k)
        Exact on the closed domain, up to rounding, where every old interior knot is among the new ones and the domain
        is the same; the best approximation in L2 over the domain otherwise. float32 if `coef` is float32.

    Examples
    --------
    >>> from numkan.spline import extend_grid
    >>> old, new = extend_grid([[0.0, 1.0]], 2), extend_grid([[0.0, 0.5, 1.0]], 2)
    >>> refine_coef(old, [[[1.0, 0.0, 1.0]]], new, 2)
    array([[[0.75, 0.25, 0.25, 0.75]]])
    """
    k = check_integer("k", k, 0)
    old = check_grid("grid", grid, k, np.float64)
    new = check_grid("new_grid", new_grid, k, np.float64)
    table = as_float_array("coef", coef, common_dtype(coef))
    out = np.empty((*table.shape[:2], new.shape[1] - k - 1), table.dtype)
    for i in range(len(old)):
        row = slice(i, i + 1)
        if _nested(old[i], new[i], k):
            # not a BLAS product, whose bits would depend on the number of its threads
            out[i] = np.einsum("op,jp->oj", table[i].astype(np.float64), refinement_matrix(old[i], new[i], k))
        else:
            out[row] = project(old[row], table[row], new[row], k, extrapolate=extrapolate)
    return out


def _nested(old: FloatArray, new: FloatArray, k: int) -> bool:
    """Tell whether knot insertion leads from one row of knots to another, neither with functions of empty support."""
    times, rest = divmod(len(new) - 2 * k - 1, len(old) - 2 * k - 1)
    if rest or not np.array_equal(new[k : len(new) - k : times], old[k : len(old) - k]):
        return False
    return not any((knots[k + 1 :] == knots[: -k - 1]).any() for knots in (old, new))


def grid_from_parent(
    x: Any, grid: Any, coef: Any, k_old: int, G: int, k: int, *, extrapolate: str = "continue"
) -> tuple[FloatArray, FloatArray]:
    """Return knots and coefficients of a child layer with `G` intervals: the parent's knots and its curves on samples.

    The knots interpolate the parent's linearly in index space, as pykan's ``initialize_grid_from_parent`` does; the
    coefficients are those of :func:`numkan.layer.refit.refit`.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
        Samples.
    grid, coef, k_old
        The parent's knots (n_in, G_old + 2 k_old + 1), coefficients (n_in, n_out, G_old + k_old) and degree.
    G, k : int
        Intervals and degree of the child.
    extrapolate : str
        Policy of both.

    Returns
    -------
    grid : ndarray, shape (n_in, G + 2k + 1)
    coef : ndarray, shape (n_in, n_out, G + k)

    Examples
    --------
    >>> from numkan.spline import extend_grid
    >>> x = np.linspace(0, 1, 9)[:, None]
    >>> grid, coef = grid_from_parent(x, extend_grid([[0.0, 1.0]], 2), [[[1.0, 0.0, 1.0]]], 2, G=2, k=2)
    >>> coef.round(12)
    array([[[0.75, 0.25, 0.25, 0.75]]])
    """
    k_old, k = check_integer("k_old", k_old, 0), check_integer("k", k, 0)
    dtype = common_dtype(grid)
    parent = check_grid("grid", grid, k_old, dtype)
    child = refined_grid(interior_knots(parent, k_old), G, 0)  # degree 0: knots without padding
    new_grid = extend_grid(child, k_extend=k)
    return new_grid, refit(x, parent, coef, new_grid, k_old, k, extrapolate=extrapolate)
