r"""How rough a spline is: differences of its coefficients, in the units of derivatives on the unit interval.

The d-th derivative of :math:`\sum_p c_p B_{p,k}` is a spline of degree k - d with the coefficients

.. math:: c^{(d)}_j = (k - d + 1) \, \frac{c^{(d-1)}_{j+1} - c^{(d-1)}_j}{t_{j+k+1} - t_{j+d}}

(de Boor, *A Practical Guide to Splines*, ch. X). A row of the matrix :math:`D_d` is :math:`c^{(d)}_j` times the square
root of the mean length of the spans that it covers, with the domain stretched to [0, 1], so that

.. math:: |D_d c|^2 \approx \int_0^1 \big(f^{(d)}\big)^2 .

For d = k + 1 its rows are the jumps of the k-th derivative at the knots, over the length of the spans on both sides.
For higher d they are divided differences of these. These are the measures of Eilers and Marx, "Flexible smoothing with
B-splines and penalties", Statistical Science 11 (1996), for any knots. A polynomial of degree below d, up to k, has
:math:`D_d c = 0`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numkan._check import FloatArray

__all__ = ["difference_matrices"]


def difference_matrices(knots: FloatArray, k: int, orders: Sequence[int], of: int = 0) -> list[FloatArray]:
    """Return :math:`D_d` for each of some orders d; or, with `of`, the matrices B with :math:`D_d = B D_{of}`.

    Parameters
    ----------
    knots : ndarray, shape (G + 2k + 1,)
        Extended knots of one input, increasing.
    k : int
        Degree.
    orders : sequence of int
        Each from `of` up, below G + k.
    of : int
        The order of the differences from which the matrices start: 0 for the coefficients themselves.

    Returns
    -------
    list of ndarray, shapes (G + k - d, G + k - of)

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.spline import extend_grid, curve2coef
    >>> grid = extend_grid(np.linspace(0, 2, 9)[None, :], k_extend=3)
    >>> x = np.linspace(0, 2, 50)[:, None]
    >>> coef = curve2coef(x, (x**2)[:, :, None], grid, 3)[0, 0]
    >>> second, fourth = difference_matrices(grid[0], 3, [2, 4])
    >>> float(np.square(second @ coef).sum().round(6)), bool(np.abs(fourth @ coef).max() < 1e-6)
    (72.0, True)
    """
    unit = (knots - knots[k]) / (knots[len(knots) - 1 - k] - knots[k])
    wanted, found = set(orders), {}
    matrix = np.eye(len(unit) - k - 1 - of)
    if of:
        matrix /= np.sqrt(_lengths(unit, k, of))
    for d in range(of, max(orders, default=of) + 1):
        if d > of:
            matrix = np.diff(matrix, axis=0) / _lengths(unit, k, d)[:, None]
        if d in wanted:
            found[d] = matrix * np.sqrt(_lengths(unit, k, d))[:, None]
    return [found[d] for d in orders]


def _lengths(unit: FloatArray, k: int, d: int) -> FloatArray:
    """Return the mean length of a span under each coefficient of the d-th derivative, or around the jumps."""
    count = len(unit) - k - 1 - d
    if d > k:
        return (unit[d + 1 : d + 1 + count] - unit[k : k + count]) / (d - k + 1)
    return (unit[k + 1 : k + 1 + count] - unit[d : d + count]) / (k - d + 1)
