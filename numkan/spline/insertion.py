"""Knot insertion: the same spline on more knots, exactly.

A coefficient is the blossom of the polynomial at the k knots inside its support, c_i = F(t_{i+1}, ..., t_{i+k}); F is
symmetric and affine in each argument, and inserting a knot z only asks for F at k new sets of arguments that contain z.
Each comes from two neighbouring coefficients (Boehm's algorithm):

    c'_i = ((z - t_i) c_i + (t_{i+k} - z) c_{i-1}) / (t_{i+k} - t_i),       j - k < i <= j,  t_j <= z < t_{j+1}.

The weights are not negative and sum to one, so insertion is stable and never leaves the range of the coefficients.

References
----------
W. Boehm, "Inserting new knots into B-spline curves", Computer-Aided Design 12 (1980) 199-201.
E. Cohen, T. Lyche, R. Riesenfeld, "Discrete B-splines and subdivision techniques", CGIP 14 (1980) 87-111 (Oslo).
L. Ramshaw, "Blossoms are polar forms", CAGD 6 (1989) 323-358.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_float_array, check_finite, check_integer
from numkan.spline.knots import check_grid, check_grid_row, common_dtype

__all__ = ["insert_knots", "refinement_matrix"]


def insert_knots(grid: Any, coef: Any, k: int, new_knots: Any) -> tuple[FloatArray, FloatArray]:
    """Insert knots into the domain of splines without changing them.

    Parameters
    ----------
    grid : array_like, shape (G + 2k + 1,) or (n_in, G + 2k + 1)
        Extended knots of one spline, or of each input.
    coef : array_like, shape (..., G + k) or (n_in, ..., G + k)
        Coefficients; any axes in between (outputs) share the knots.
    k : int
        Degree, at least 0.
    new_knots : array_like, shape (r,) or (n_in, r)
        Knots to insert, in any order, repeats included, each in the closed domain [t_k, t_{G+k}].

    Returns
    -------
    grid : ndarray, shape (..., G + r + 2k + 1)
    coef : ndarray, shape (..., G + r + k)
        float32 if `grid` and `coef` are, float64 otherwise. The padding stays, and so does the function beyond the
        domain.

    Raises
    ------
    ValueError
        If a shape does not fit, a new knot lies outside the domain, or a knot would occur more than k + 1 times.

    Examples
    --------
    >>> insert_knots([0.0, 0.0, 1.0, 2.0, 2.0], [1.0, 3.0, 2.0], 1, [0.5])
    (array([0. , 0. , 0.5, 1. , 2. , 2. ]), array([1., 2., 3., 2.]))
    """
    k = check_integer("k", k, 0)
    dtype = common_dtype(grid, coef)
    rows = as_float_array("grid", grid, dtype)
    one = rows.ndim == 1
    rows = check_grid_row("grid", rows, k, dtype)[None] if one else check_grid("grid", rows, k, dtype)
    values = _check_coef(coef, rows, k, one, dtype)
    new = as_float_array("new_knots", new_knots, dtype)
    if new.ndim != 1 and (one or new.ndim != 2 or len(new) != len(rows)):
        wanted = "(r,)" if one else f"(r,) or ({len(rows)}, r)"
        raise ValueError(f"Argument `new_knots` must have shape {wanted}, not {new.shape}.")
    new = np.broadcast_to(new, (len(rows), new.shape[-1]))
    check_finite("new_knots", new)
    refined = [_insert_row(row, value, k, extra) for row, value, extra in zip(rows, values, new, strict=True)]
    finer, coefs = np.stack([knots for knots, _ in refined]), np.stack([value for _, value in refined])
    return (finer[0], coefs[0]) if one else (finer, coefs)


def _check_coef(coef: Any, rows: FloatArray, k: int, one: bool, dtype: Any) -> FloatArray:
    """Return coefficients as (n_in, ..., G + k); raise an error if their shape is wrong."""
    values = as_float_array("coef", coef, dtype)
    n_basis = rows.shape[1] - k - 1
    lead: tuple[int, ...] = () if one else (len(rows),)
    if values.ndim < 1 + len(lead) or values.shape[-1] != n_basis or values.shape[: len(lead)] != lead:
        wanted = "(..., " if one else f"({len(rows)}, ..., "
        raise ValueError(f"Argument `coef` must have shape {wanted}{n_basis}) for these knots, not {values.shape}.")
    return values[None] if one else values


def _insert_row(
    row: FloatArray, coef: FloatArray, k: int, new: FloatArray, name: str = "new_knots"
) -> tuple[FloatArray, FloatArray]:
    """Insert into one knot vector, in float64 whatever the dtype: one rounding at the end."""
    low, high = row[k], row[len(row) - 1 - k]
    outside = (new < low) | (new > high)
    if outside.any():
        raise ValueError(f"Argument `{name}` must lie in the domain [{low}, {high}], not at {new[outside][0]}.")
    times = Counter(row.tolist()) + Counter(new.tolist())
    for knot in new.tolist():
        if times[knot] > k + 1:
            raise ValueError(
                f"Argument `{name}` must leave no knot more than k + 1 = {k + 1} times, not {knot} {times[knot]} times."
            )
    knots = row.astype(np.float64).tolist()
    columns = list(np.moveaxis(coef, -1, 0).astype(np.float64))  # one entry for each basis function
    for knot in sorted(new.tolist()):
        _boehm(knots, columns, k, knot)
    finer = np.moveaxis(np.array(columns), 0, -1).astype(coef.dtype)
    return np.array(knots, row.dtype), finer


def _boehm(knots: list[float], columns: list[Any], k: int, z: float) -> None:
    """Insert `z` into `knots` and `columns` in place."""
    j = bisect_right(knots, z) - 1
    stop = min(j, len(columns))  # beyond, z is the right end itself and coefficients only move up
    fresh = []
    for i in range(j - k + 1, stop + 1):
        width = knots[i + k] - knots[i]  # positive: it spans [t_j, t_{j+1}]
        share, rest = (z - knots[i]) / width, (knots[i + k] - z) / width
        fresh.append(share * columns[i] + rest * columns[i - 1] if share else columns[i - 1])
    columns[:] = columns[: j - k + 1] + fresh + columns[stop:]
    knots.insert(j + 1, z)


def refinement_matrix(grid_row: Any, finer_row: Any, k: int) -> FloatArray:
    """Return A with c' = A c: the coefficients of the same spline on finer knots.

    Parameters
    ----------
    grid_row : array_like, shape (G + 2k + 1,)
        Extended knots.
    finer_row : array_like, shape (G' + 2k + 1,)
        Extended knots whose interior t'_k ... t'_{G'+k} contains that of `grid_row`, with multiplicities. The padding
        is free: where it differs (a grid refined with a smaller step), the splines agree on the closed domain only.
    k : int
        Degree, at least 0.

    Returns
    -------
    ndarray, shape (G' + k, G + k)
        float32 if both rows are, float64 otherwise. Rows sum to 1, and are not negative where the knots nest in the
        padding too (or the padding is the same).

    Raises
    ------
    ValueError
        If the domains differ, a knot of the interior is missing in `finer_row`, or a knot occurs more than k + 1 times.

    Examples
    --------
    >>> refinement_matrix([-1.0, 0.0, 1.0, 2.0], [-0.5, 0.0, 0.5, 1.0, 1.5], 1)
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 1. ]])
    """
    k = check_integer("k", k, 0)
    dtype = common_dtype(grid_row, finer_row)
    coarse, finer = (
        check_grid_row(name, row, k, dtype) for name, row in (("grid_row", grid_row), ("finer_row", finer_row))
    )
    new = _new_interior_knots(coarse, finer, k)
    wide, fine = coarse.astype(np.float64), finer.astype(np.float64)
    knots, rows = _insert_row(wide, np.eye(len(coarse) - k - 1), k, new, "finer_row")
    matrix = np.ascontiguousarray(rows.T)
    if k > 1:  # k - 1 knots of the padding at each end affect the domain; the outermost does not
        _repad(knots, matrix, k, fine[1:k])
        _repad(-knots[::-1], matrix[::-1], k, -fine[::-1][1:k])
    # an entry that is zero by nesting may come out of _repad as a rounding error
    noise = 4 * (k + 1) * np.finfo(np.float64).eps
    matrix[(matrix < 0) & (matrix >= -noise)] = 0.0
    return matrix.astype(dtype)


def _new_interior_knots(coarse: FloatArray, finer: FloatArray, k: int) -> FloatArray:
    """Return the knots that the interior of `finer` has beyond that of `coarse`; raise an error if it lacks any."""
    old, new = (row[k : len(row) - k].tolist() for row in (coarse, finer))
    if old[0] != new[0] or old[-1] != new[-1]:
        raise ValueError(
            f"Argument `finer_row` must have the domain [{old[0]}, {old[-1]}] of `grid_row`, not [{new[0]}, {new[-1]}]."
        )
    lacking = Counter(old) - Counter(new)
    if lacking:
        raise ValueError(
            f"Argument `finer_row` must contain the interior knots of `grid_row`, not lack {min(lacking)}."
        )
    return np.array(sorted((Counter(new) - Counter(old)).elements()))


def _repad(knots: FloatArray, matrix: FloatArray, k: int, padding: FloatArray) -> None:
    """Exchange knots t_1 ... t_{k-1} of the left padding for `padding`, in place: same polynomials on the domain.

    Where the padding nests, the missing knots are inserted at their places, which drops the outermost knots: these are
    Boehm's convex combinations. Otherwise all of them are inserted beside the domain, from the inside out.
    """
    old, wanted = knots[1:k].tolist(), padding.tolist()
    missing = sorted((Counter(wanted) - Counter(old)).elements())
    if sorted(old + missing)[len(missing) :] == wanted:
        for z in missing:
            _enter(knots, matrix, k, z, bisect_right(knots[1:k].tolist(), z))
    else:
        for place in range(k - 1, 0, -1):
            _enter(knots, matrix, k, wanted[place - 1], place)


def _enter(knots: FloatArray, matrix: FloatArray, k: int, z: float, place: int) -> None:
    """Insert `z` as knot number `place` of the left padding, and drop t_1.

    With S the knots that two neighbouring coefficients share, F(t_{i+1}, S) and F(S, t_{i+k+1}) give F(S, z). The
    widths reach from the padding into the domain, so nothing cancels.
    """
    for i in range(place):
        low, high = knots[i + 1], knots[i + k + 1]
        if low < high:  # else the function is zero on the domain, and its coefficient is arbitrary
            matrix[i] = (high - z) / (high - low) * matrix[i] + (z - low) / (high - low) * matrix[i + 1]
    knots[1:place] = knots[2 : place + 1]
    knots[place] = z
