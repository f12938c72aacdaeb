"""Knot vectors: extended, interior, checked, and the abscissae that belong to them.

A *grid* has one row of knots for each input. The interior grid t_k <= ... <= t_{G+k} spans the domain; k more knots at
each end complete the G + k basis functions of degree k that are not zero inside it (de Boor, "A Practical Guide to
Splines", revised edition, chapter IX).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from numkan._check import FloatArray, as_float_array, check_finite, check_integer, check_size
from numkan._real import as_plain_array

__all__ = ["check_grid", "check_grid_row", "common_dtype", "extend_grid", "greville", "interior_knots"]


def common_dtype(*arrays: Any) -> np.dtype[Any]:
    """Return float32 where every array is float32, and float64 otherwise (integers, lists, mixtures).

    >>> common_dtype(np.ones(2, np.float32), np.ones(2, np.float32)), common_dtype(np.ones(2, np.float32), [1, 2])
    (dtype('float32'), dtype('float64'))
    """
    for array in arrays:
        try:
            dtype = as_plain_array("", array).dtype
        except (TypeError, ValueError):  # as_float_array raises the error that names the argument
            return np.dtype(np.float64)
        if dtype.newbyteorder("=") != np.float32:
            return np.dtype(np.float64)
    return np.dtype(np.float32)


def check_grid(name: str, grid: Any, k: int, dtype: DTypeLike) -> FloatArray:
    """Return a read-only, C-contiguous copy of an extended grid of degree `k`; raise an error if it is not one.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    grid : array_like, shape (n_in, G + 2k + 1)
        Non-decreasing knots, one row for each input.
    k : int
        Degree, at least 0.
    dtype : float32 or float64
        The knots are rounded to it before they are checked.

    Raises
    ------
    ValueError
        Not 2-D, too few knots, NaN or infinite, decreasing, a range beyond the dtype, or an empty domain.
    """
    knots = np.array(as_float_array(name, grid, dtype), order="C", copy=True)
    _check_shape(name, knots, k)
    check_finite(name, knots, grid)
    decreasing = knots[:, 1:] < knots[:, :-1]
    if decreasing.any():
        row, place = (int(index) for index in np.argwhere(decreasing)[0])
        raise ValueError(
            f"Argument `{name}` must be non-decreasing in each row, not fall from {knots[row, place]} to "
            f"{knots[row, place + 1]} at knot {place + 1} of row {row}."
        )
    with np.errstate(over="ignore"):
        wide = ~np.isfinite(knots[:, -1] - knots[:, 0])
    if wide.any():
        row = int(np.argmax(wide))
        raise ValueError(
            f"Argument `{name}` must span a range that {knots.dtype} holds, not {knots[row, 0]} to {knots[row, -1]} "
            f"in row {row}."
        )
    last = knots.shape[1] - 1 - k
    empty = knots[:, k] == knots[:, last]
    if empty.any():
        row = int(np.argmax(empty))
        raise ValueError(
            f"Argument `{name}` must have a domain of positive length, not knots {k} and {last} both at "
            f"{knots[row, k]} in row {row}."
        )
    knots.setflags(write=False)
    return knots


def check_grid_row(name: str, row: Any, k: int, dtype: DTypeLike) -> FloatArray:
    """Return a read-only copy of the knots of one input, (G + 2k + 1,), checked as by `check_grid`."""
    knots = as_float_array(name, row, dtype)
    if knots.ndim != 1:
        raise ValueError(f"Argument `{name}` must have shape (n_knots,), not {knots.shape}.")
    checked: FloatArray = check_grid(name, knots[None, :], k, dtype)[0]
    return checked


def _check_shape(name: str, knots: FloatArray, k: int) -> None:
    """Raise an error unless a grid is 2-D with G + 2k + 1 columns for some G >= 1."""
    if knots.ndim != 2:
        hint = f" Use {name}[None, :] for the knots of one input." if knots.ndim == 1 else ""
        raise ValueError(f"Argument `{name}` must have shape (n_in, n_knots), not {knots.shape}.{hint}")
    if knots.shape[0] < 1:
        raise ValueError(f"Argument `{name}` must have a row for each input, not shape {knots.shape}.")
    if knots.shape[1] < 2 * k + 2:
        raise ValueError(
            f"Argument `{name}` must have at least 2k + 2 = {2 * k + 2} knots a row for degree k = {k}, "
            f"not {knots.shape[1]}."
        )


def extend_grid(grid: Any, k_extend: int = 0) -> FloatArray:
    """Pad an interior grid with `k_extend` knots at each end.

    The step of the padding is the mean step (last - first) / G of each row, whether the grid is uniform or adaptive.

    Parameters
    ----------
    grid : array_like, shape (n_in, G + 1)
        Interior knots, non-decreasing.
    k_extend : int
        Knots to add at each end: the degree of the splines that will live on the grid.

    Returns
    -------
    ndarray, shape (n_in, G + 1 + 2 * k_extend)
        float32 if `grid` is float32, float64 otherwise.

    Raises
    ------
    ValueError
        If `grid` is not 2-D, is decreasing, is not finite or has a row of zero length.

    Examples
    --------
    >>> extend_grid(np.linspace(-1, 1, 6)[None, :], k_extend=3).round(4)
    array([[-2.2, -1.8, -1.4, -1. , -0.6, -0.2,  0.2,  0.6,  1. ,  1.4,  1.8, 2.2]])
    """
    k_extend = check_size("k_extend", k_extend, 0)
    interior = check_grid("grid", grid, 0, common_dtype(grid))
    first, last = interior[:, :1], interior[:, -1:]
    # multiples of the step, because the rounding of repeated sums would grow
    counts = np.arange(1, k_extend + 1, dtype=interior.dtype)
    with np.errstate(over="ignore"):
        offsets = counts * ((last - first) / interior.dtype.type(interior.shape[1] - 1))
        extended = np.concatenate([first - offsets[:, ::-1], interior, last + offsets], axis=1)
    if not np.isfinite(extended).all():
        raise ValueError(f"Argument `grid` must leave room for {k_extend} more knots, not end at {float(last.max())}.")
    return extended


def interior_knots(grid: FloatArray, k: int) -> FloatArray:
    """Return the G + 1 knots t_k ... t_{G+k} of each row: the domain, without its padding (a view).

    Examples
    --------
    >>> interior_knots(np.arange(8.0)[None, :], 2)
    array([[2., 3., 4., 5.]])
    """
    return grid[:, k : grid.shape[1] - k]


def greville(grid: Any, k: int) -> FloatArray:
    """Return the Greville abscissae xi_p = (t_{p+1} + ... + t_{p+k}) / k of each row (k = 0: the midpoints).

    With them as coefficients a spline is the identity, sum_p xi_p B_p(x) = x on the domain, and a curve follows its
    control points (xi_p, c_p) (de Boor, chapter IX).

    Parameters
    ----------
    grid : array_like, shape (n_in, G + 2k + 1)
        Extended knots.
    k : int
        Degree, at least 0.

    Returns
    -------
    ndarray, shape (n_in, G + k)

    Examples
    --------
    >>> greville([[0.0, 0.0, 0.0, 1.0, 4.0, 4.0, 4.0]], 2)
    array([[0. , 0.5, 2.5, 4. ]])
    """
    k = check_integer("k", k, 0)
    knots = check_grid("grid", grid, k, common_dtype(grid))
    n_basis = knots.shape[1] - k - 1
    if k == 0:
        return knots[:, :-1] + (knots[:, 1:] - knots[:, :-1]) / 2
    # the mean is taken of offsets from the first knot: exact where knots coincide, and accurate far from zero
    first = knots[:, 1 : n_basis + 1]
    offsets = np.zeros_like(first)
    for r in range(2, k + 1):
        offsets += knots[:, r : n_basis + r] - first
    return first + offsets / knots.dtype.type(k)
