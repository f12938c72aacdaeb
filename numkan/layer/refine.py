"""The same curves on finer or coarser knots: without samples, or as the start of a child layer.

Where the new knots contain the old ones, refinement is exact on the closed domain, by knot insertion. The padding of
the new grid has another step than that of the old one; :func:`numkan.spline.refinement_matrix` takes care of that. On
other knots the result is the best approximation in L2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan._check import FloatArray, as_float_array, check_integer
from numkan.layer.grid import refined_grid
from numkan.layer.refit import project, refit
from numkan.spline.insertion import refinement_matrix
from numkan.spline.knots import common_dtype, extend_grid
from numkan.spline.spline_basis import SplineBasis

__all__ = ["grid_from_parent", "refine_coef"]


def refine_coef(old: SplineBasis, coef: Any, new: SplineBasis) -> FloatArray:
    """Return the coefficients of the same curves on a refined (or coarser) grid, without samples.

    Parameters
    ----------
    old : SplineBasis
        Its policy matters only where the new domain is larger than the old one.
    coef : array_like, shape (n_in, n_out, G + k)
        Coefficients.
    new : SplineBasis
        Of the same degree, on knots such as :func:`numkan.layer.grid.refined_grid` gives.

    Returns
    -------
    ndarray, shape (n_in, n_out, G_new + k)
        Exact on the closed domain, up to rounding, where every old interior knot is among the new ones and the domain
        is the same; the best approximation in L2 over the domain otherwise. float32 if `coef` is float32.

    Examples
    --------
    >>> from numkan.spline import extend_grid
    >>> old, new = (SplineBasis(extend_grid(knots, 2), 2) for knots in ([[0.0, 1.0]], [[0.0, 0.5, 1.0]]))
    >>> refine_coef(old, [[[1.0, 0.0, 1.0]]], new)
    array([[[0.75, 0.25, 0.25, 0.75]]])
    """
    old, new = old.astype(np.float64), new.astype(np.float64)
    table = as_float_array("coef", coef, common_dtype(coef))
    out = np.empty((*table.shape[:2], new.n_basis), table.dtype)
    for i in range(old.n_in):
        row, k = slice(i, i + 1), old.degree
        if _nested(old.knots[i], new.knots[i], k):
            # not a BLAS product, whose bits would depend on the number of its threads
            matrix = refinement_matrix(old.knots[i], new.knots[i], k)
            out[i] = np.einsum("op,jp->oj", table[i].astype(np.float64), matrix)
        else:
            out[row] = project(old.input(i), table[row], new.input(i))
    return out


def _nested(old: FloatArray, new: FloatArray, k: int) -> bool:
    """Return whether knot insertion leads from one row of knots to another, without functions of empty support."""
    times, rest = divmod(len(new) - 2 * k - 1, len(old) - 2 * k - 1)
    if rest or not np.array_equal(new[k : len(new) - k : times], old[k : len(old) - k]):
        return False
    return not any((knots[k + 1 :] == knots[: -k - 1]).any() for knots in (old, new))


def grid_from_parent(x: Any, parent: SplineBasis, coef: Any, G: int, k: int) -> tuple[FloatArray, FloatArray]:
    """Return knots and coefficients of a child layer with `G` intervals: the parent's knots and its curves on samples.

    The knots interpolate the parent's linearly in index space, as pykan's ``initialize_grid_from_parent`` does; the
    coefficients are those of :func:`numkan.layer.refit.refit`.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
        Samples.
    parent : SplineBasis
        Its policy is that of the child too.
    coef : array_like, shape (n_in, n_out, G_old + k_old)
        The parent's coefficients.
    G, k : int
        Intervals and degree of the child.

    Returns
    -------
    grid : ndarray, shape (n_in, G + 2k + 1)
    coef : ndarray, shape (n_in, n_out, G + k)

    Examples
    --------
    >>> from numkan.spline import extend_grid
    >>> x, parent = np.linspace(0, 1, 9)[:, None], SplineBasis(extend_grid([[0.0, 1.0]], 2), 2)
    >>> grid, coef = grid_from_parent(x, parent, [[[1.0, 0.0, 1.0]]], G=2, k=2)
    >>> coef.round(12)
    array([[[0.75, 0.25, 0.25, 0.75]]])
    """
    k = check_integer("k", k, 0)
    interior = SplineBasis.unchecked(parent.interior, 0, parent.policy)  # degree 0: knots without padding
    knots = extend_grid(refined_grid(interior, G), k_extend=k)
    return knots, refit(x, parent, coef, SplineBasis.unchecked(knots, k, parent.policy))
