"""The design matrix of one input: basis functions at samples, as a sparse matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray, as_float_array, check_integer
from numkan.compile import kernel
from numkan.spline.basis import local_basis
from numkan.spline.knots import check_grid_row, common_dtype

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["design_matrix"]

#: Points in one kernel call, which takes well under 100 ms, so that Ctrl-C is answered.
_POINTS_PER_CALL = 1 << 19


@kernel
def _fill_rows(x, knots, k, nu, counts, values, data, columns):  # type: ignore[no-untyped-def]
    """Write the k + 1 entries of each row, and their columns; columns stay within the matrix in the padding too."""
    n_basis = knots.shape[0] - 1 - k
    for n in range(x.shape[0]):
        point = x[n]
        missing = point != point
        j = -1
        if not missing:
            j = local_basis(point, knots, k, nu, counts, values)
        first = max(0, min(j - k, n_basis - 1 - k))
        for r in range(k + 1):
            columns[n, r] = first + r
            place = first + r - (j - k)
            if missing:
                data[n, r] = point
            elif j >= 0 and place >= 0 and place <= k:
                data[n, r] = values[place]


def design_matrix(x: Any, grid_row: Any, k: int, nu: int = 0) -> csr_array[Any, tuple[int, int]]:
    """Return the CSR matrix with entries D^nu B_p(x_n): the rows of `B_batch`, k + 1 stored entries each.

    Parameters
    ----------
    x : array_like, shape (n,)
        Points. NaN gives k + 1 NaN entries; outside the knots the stored entries are zeros.
    grid_row : array_like, shape (G + 2k + 1,)
        Extended knots of one input.
    k : int
        Degree, at least 0.
    nu : int
        Order of the derivative.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, G + k)
        float32 if `x` and `grid_row` are, float64 otherwise; the same bits as `B_batch`.

    Examples
    --------
    >>> design_matrix([0.5, 2.0], [-1.0, 0.0, 1.0, 2.0, 3.0], 1).toarray()
    array([[0.5, 0.5, 0. ],
           [0. , 0. , 1. ]])
    """
    # scipy.sparse takes a third of the time that the import of numkan may cost
    from scipy.sparse import csr_array

    k = check_integer("k", k, 0)
    nu = min(check_integer("nu", nu, 0), k + 1)  # from there on derivatives are 0
    dtype = common_dtype(x, grid_row)
    points = as_float_array("x", x, dtype)
    if points.ndim != 1:
        raise ValueError(f"Argument `x` must have shape (n,), not {points.shape}.")
    knots = check_grid_row("grid_row", grid_row, k, dtype)
    n, n_basis = len(points), len(knots) - k - 1
    data, columns = _rows(points, knots, k, nu)
    starts = np.arange(n + 1) * (k + 1)
    return csr_array((data.ravel(), columns.ravel(), starts), shape=(n, n_basis))


def _rows(points: FloatArray, knots: FloatArray, k: int, nu: int) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return entries and columns, (n, k + 1) each."""
    data = np.zeros((len(points), k + 1), knots.dtype)
    columns = np.empty((len(points), k + 1), np.intp)
    counts = np.arange(k + 1, dtype=knots.dtype)
    values = np.empty(k + 1, knots.dtype)
    with np.errstate(all="ignore"):  # where the JIT is off, NumPy scalars would warn of underflow
        for start in range(0, len(points), _POINTS_PER_CALL):
            part = slice(start, start + _POINTS_PER_CALL)
            _fill_rows(points[part], knots, k, nu, counts, values, data[part], columns[part])
    return data, columns
