r"""Least squares with local basis functions: one input, many right-hand sides, rank-revealing.

A row of a B-spline design matrix touches only ``k + 1`` neighbouring columns. Samples in increasing order can therefore
be folded into a triangular factor span by span, and the tall matrix never exists:

1. the rows of one span, below the ``k + 1`` rows of the factor that share its columns, are reduced to those rows by
   Householder reflections, which are applied to the right-hand sides as well;
2. the right-hand sides below the triangle are residuals, and only their squares are kept;
3. when all samples are in, ``R c = Q^T y`` is a system of the size of ``c``. A singular value decomposition solves it
   (LAPACK's gelsd), and gives the rank, and the solution of least norm where the rank is short.

Normal equations are never formed: they square the condition number, so half of the digits are lost where it is 1e8.

References
----------
C. L. Lawson and R. J. Hanson, *Solving Least Squares Problems*, SIAM 1995, ch. 27 (banded matrices, sequential).
G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th edition, 2013, sections 5.3 and 5.5 (rank deficiency).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from numkan._blas import one_blas_thread
from numkan._check import FloatArray
from numkan.compile import kernel

__all__ = ["COND", "Fit", "LocalLeastSquares", "local_lstsq"]

#: Singular values below this share of the largest count as zero. A few times what rounding makes of an exact zero
#: (1 to 5 units of 2^-52), and small enough that the normal residual A^T r stays a rounding error of ||A|| ||y||.
COND = 32 * 2.0**-52

#: Rows that one reflection reduces. The errors of n / 64 reductions grow like the root of their number, and a block of
#: this size stays in the first-level cache. The reflections are a kernel of numkan's, not LAPACK's: a threaded BLAS
#: takes ten times as long on such small blocks, and its bits depend on the number of its threads.
_CHUNK = 64


class Fit(NamedTuple):
    """A least-squares solution."""

    solution: FloatArray  # (p, m)
    rank: int  # numerical rank of the matrix, at most p
    residual: FloatArray  # (m,): weighted sum of squared residuals


@kernel
def _reflect(columns, rhs, n_rows, sums):  # type: ignore[no-untyped-def]
    """Make the first `n_rows` rows of `columns` upper triangular by Householder reflections, applied to `rhs` too.

    Golub and Van Loan, algorithms 5.1.1 and 5.2.1, with v[c] = 1 stored nowhere and the rest of v in column c. `sums`
    is scratch memory of one entry for each right-hand side.
    """
    width, n_rhs = columns.shape[1], rhs.shape[1]
    for c in range(width):
        largest = 0.0
        for r in range(c + 1, n_rows):
            largest = max(largest, abs(columns[r, c]))
        if largest == 0.0:
            continue  # already zero below the diagonal
        largest = max(largest, abs(columns[c, c]))
        squares = 0.0
        for r in range(c, n_rows):
            squares += (columns[r, c] / largest) ** 2
        norm = largest * np.sqrt(squares)
        pivot = columns[c, c]
        diagonal = -norm if pivot >= 0 else norm
        columns[c, c] = diagonal
        tau = (diagonal - pivot) / diagonal
        for r in range(c + 1, n_rows):
            columns[r, c] /= pivot - diagonal
        for d in range(c + 1, width):
            total = columns[c, d]
            for r in range(c + 1, n_rows):
                total += columns[r, c] * columns[r, d]
            columns[c, d] -= tau * total
            for r in range(c + 1, n_rows):
                columns[r, d] -= tau * total * columns[r, c]
        for o in range(n_rhs):
            sums[o] = rhs[c, o]
        for r in range(c + 1, n_rows):
            for o in range(n_rhs):
                sums[o] += columns[r, c] * rhs[r, o]
        for o in range(n_rhs):
            sums[o] *= tau
            rhs[c, o] -= sums[o]
        for r in range(c + 1, n_rows):
            for o in range(n_rhs):
                rhs[r, o] -= columns[r, c] * sums[o]


@kernel
def _copy_rows(source, target):  # type: ignore[no-untyped-def]
    """Copy a 2-D array: Numba would allocate for an assignment of slices, because they might overlap."""
    for r in range(source.shape[0]):
        for c in range(source.shape[1]):
            target[r, c] = source[r, c]


class _Room(NamedTuple):
    """Memory for a chunk of rows, below the rows of the factor that share its columns."""

    columns: Any  # (width + rows, width)
    rhs: Any  # (width + rows, n_rhs)
    sums: Any  # (n_rhs,)


@kernel
def _fold(first, values, y, factor, factor_rhs, residual, room):  # type: ignore[no-untyped-def]
    """Fold sorted rows into `factor` and `factor_rhs`, chunk by chunk; add squared residuals to `residual`."""
    columns, rhs, sums = room
    n, width = values.shape
    n_rhs = y.shape[1]
    chunk = columns.shape[0] - width
    begin = 0
    while begin < n:
        p = first[begin]
        end = begin + 1
        while end < n and first[end] == p and end - begin < chunk:
            end += 1
        n_rows = width + end - begin
        _copy_rows(factor[p : p + width, p : p + width], columns[:width])
        _copy_rows(values[begin:end], columns[width:n_rows])
        _copy_rows(factor_rhs[p : p + width], rhs[:width])
        _copy_rows(y[begin:end], rhs[width:n_rows])
        _reflect(columns, rhs, n_rows, sums)
        for r in range(width):
            for c in range(r, width):
                factor[p + r, p + c] = columns[r, c]
        _copy_rows(rhs[:width], factor_rhs[p : p + width])
        for r in range(width, n_rows):
            for o in range(n_rhs):
                residual[o] += rhs[r, o] ** 2
        begin = end


class LocalLeastSquares:
    """Triangular factor of a least-squares problem whose rows touch `width` neighbouring columns.

    Memory is that of the factor, ``(n_basis, n_basis)``, whatever the number of samples.

    Parameters
    ----------
    n_basis : int
        Number of columns p.
    width : int
        Number of neighbouring columns of a row, ``k + 1``.
    n_rhs : int
        Number of right-hand sides m.

    Examples
    --------
    A straight line through three points, as hat functions on two spans:

    >>> problem = LocalLeastSquares(n_basis=3, width=2, n_rhs=1)
    >>> values = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    >>> problem.add(np.array([0, 0, 1]), values, np.array([[0.0], [1.0], [4.0]]))
    >>> fit = problem.solve()
    >>> fit.rank, np.round(fit.solution[:, 0], 12)
    (3, array([0., 2., 4.]))
    """

    def __init__(self, n_basis: int, width: int, n_rhs: int) -> None:
        self._factor = np.zeros((n_basis, n_basis))
        self._rhs = np.zeros((n_basis, n_rhs))
        self._residual = np.zeros(n_rhs)
        rows = _CHUNK + width
        self._room = _Room(np.empty((rows, width)), np.empty((rows, n_rhs)), np.empty(n_rhs))
        self._last = 0

    def add(self, first: NDArray[np.integer[Any]], values: FloatArray, y: FloatArray) -> None:
        """Fold rows into the factor.

        Parameters
        ----------
        first : ndarray of int, shape (n,)
            First column that each row touches, non-decreasing, from call to call too.
        values : ndarray, shape (n, width)
            Entries of the rows, already multiplied by the square roots of the weights.
        y : ndarray, shape (n, m)
            Right-hand sides, multiplied likewise.
        """
        if not len(first):
            return
        if first[0] < self._last or (np.diff(first) < 0).any():
            raise ValueError("Argument `first` must be non-decreasing, not in another order: sort the samples.")
        self._last = int(first[-1])
        rows = (np.ascontiguousarray(array, dtype) for array, dtype in ((first, np.int64), (values, float), (y, float)))
        with np.errstate(all="ignore"):  # where the JIT is off, NumPy scalars would warn of underflow
            _fold(*rows, self._factor, self._rhs, self._residual, self._room)

    def solve(self, cond: float = COND) -> Fit:
        """Return the solution, of least norm among all where singular values below `cond` times the largest exist."""
        solution, _, rank, _ = scipy.linalg.lstsq(self._factor, self._rhs, cond=cond, lapack_driver="gelsd")
        left = self._rhs - self._factor @ solution
        with np.errstate(over="ignore"):  # residuals beyond 1e154: their squares are infinite, the solution is not
            return Fit(solution, int(rank), self._residual + np.square(left).sum(axis=0))


def local_lstsq(
    first: NDArray[np.integer[Any]],
    values: FloatArray,
    y: FloatArray,
    n_basis: int,
    *,
    sqrt_weight: FloatArray | None = None,
    cond: float = COND,
) -> Fit:
    """Solve one least-squares problem with local rows, given at once and in any order.

    Parameters
    ----------
    first : ndarray of int, shape (n,)
        First column that each row touches.
    values : ndarray, shape (n, k + 1)
        The row's entries in the columns ``first .. first + k``.
    y : ndarray, shape (n, m)
        Right-hand sides.
    n_basis : int
        Number of columns p.
    sqrt_weight : ndarray, shape (n,), optional
        Square roots of the weights of the squared residuals. A row of weight zero has no effect.
    cond : float
        Singular values below `cond` times the largest count as zero.

    Returns
    -------
    Fit
        Solution (p, m), rank, and weighted sums of squared residuals (m,).

    Examples
    --------
    >>> fit = local_lstsq(np.array([1, 0]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[4.0], [2.0]]), 3)
    >>> fit.rank, np.round(fit.solution[:, 0], 12)  # nothing is known of the middle one: least norm leaves it 0
    (2, array([2., 0., 4.]))
    """
    order = np.argsort(first, kind="stable")
    if sqrt_weight is not None:
        order = order[sqrt_weight[order] > 0]
        values, y = values * sqrt_weight[:, None], y * sqrt_weight[:, None]
    problem = LocalLeastSquares(n_basis, values.shape[1], y.shape[1])
    problem.add(first[order], values[order], y[order])
    with one_blas_thread():
        return problem.solve(cond)
