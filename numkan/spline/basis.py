"""B-spline basis functions and their derivatives, by the local Cox-de Boor scheme.

At a point of the span [t_j, t_{j+1}) only B_{j-k} ... B_j differ from zero. The triangular scheme builds these k + 1
values from degree 0 upwards with divided differences of knots that all enclose the (non-empty) span, so that no
quotient 0/0 ever forms: terms with an empty support are left out. Every quantity added is non-negative, so
each value has a small *relative* error (de Boor, "A Practical Guide to Splines", chapter X, BSPLVB).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples, check_integer
from numkan.compile import kernel
from numkan.spline.knots import check_grid, common_dtype, interior_knots

__all__ = ["B_batch", "basis_at_knots", "find_span", "local_basis"]

#: Points in one kernel call, which takes well under 100 ms, so that Ctrl-C is answered.
_POINTS_PER_CALL = 1 << 19


@kernel
def find_span(x, knots, k):  # type: ignore[no-untyped-def]
    """Return j with t_j <= x < t_{j+1}, or -1 outside the knots; the domain's right end belongs to the span before.

    `x` is not NaN. Empty spans are never returned.
    """
    last = knots.shape[0] - 1
    end = last - k
    if x == knots[end]:  # closed domain: the last non-empty span inside, which exists by check_grid
        j = end - 1
        while knots[j] == x:
            j -= 1
        return j
    if x < knots[0] or x >= knots[last]:
        return -1
    low, high = 0, last
    while high - low > 1:  # t_low <= x < t_high throughout
        middle = (low + high) // 2
        if knots[middle] <= x:
            low = middle
        else:
            high = middle
    return low


@kernel
def local_basis(x, knots, k, nu, counts, values):  # type: ignore[no-untyped-def]
    """Write D^nu B_{j-k}(x) ... D^nu B_j(x) into values[0..k] and return the span j (-1: outside, all zero).

    `counts` holds 0 ... k in the dtype of the knots. Functions whose knots would lie outside the vector (index below 0
    or above G + k - 1) do not exist: their entries in `values` have no meaning.
    """
    j = find_span(x, knots, k)
    if j < 0 or nu > k:
        for r in range(k + 1):
            values[r] = 0.0
        return j
    last = knots.shape[0] - 1
    zero = x - x  # of the dtype of x, which is finite here
    values[0] = 1.0
    for d in range(1, k - nu + 1):  # values: degree d - 1 -> degree d
        carried = zero
        for r in range(d):
            low, high = j - d + 1 + r, j + 1 + r  # the support of the old function r is [t_low, t_high]
            old = values[r]
            values[r] = carried
            carried = zero
            if low >= 0 and high <= last:
                # ratio first: tiny widths cannot overflow, and scaling by a power of two changes no bit
                width = knots[high] - knots[low]
                values[r] += (knots[high] - x) / width * old
                carried = (x - knots[low]) / width * old
        values[d] = carried
    for d in range(k - nu, k):  # D^m, degree d -> D^(m+1), degree d + 1
        previous = zero
        for r in range(d + 1):
            low, high = j - d + r, j + 1 + r
            quotient = zero
            if low >= 0 and high <= last:
                quotient = values[r] / (knots[high] - knots[low])
            values[r] = counts[d + 1] * (previous - quotient)
            previous = quotient
        values[d + 1] = counts[d + 1] * previous
    return j


@kernel
def _fill_basis(x, grid, k, nu, counts, values, out):  # type: ignore[no-untyped-def]
    """Scatter the local values of each x (n, 1 or n_in) on each grid row (1 or n_in) into zeros (n, n_in, G + k)."""
    n_basis = out.shape[2]
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            point = x[n, min(i, x.shape[1] - 1)]
            if point != point:
                for p in range(n_basis):
                    out[n, i, p] = point
                continue
            j = local_basis(point, grid[min(i, grid.shape[0] - 1)], k, nu, counts, values)
            if j >= 0:
                for p in range(max(0, j - k), min(j + 1, n_basis)):
                    out[n, i, p] = values[p - j + k]


def B_batch(x: Any, grid: Any, k: int, nu: int = 0) -> FloatArray:
    r"""Evaluate all B-spline basis functions, or their derivatives of order `nu`, at each point.

    .. math::

        B_{i,0}(x) = [t_i \le x < t_{i+1}], \qquad
        B_{i,d}(x) = \frac{x - t_i}{t_{i+d} - t_i} B_{i,d-1}(x)
                   + \frac{t_{i+d+1} - x}{t_{i+d+1} - t_{i+1}} B_{i+1,d-1}(x),

        D^{m+1} B_{i,d+1} = (d + 1) \left( \frac{D^m B_{i,d}}{t_{i+d+1} - t_i}
                          - \frac{D^m B_{i+1,d}}{t_{i+d+2} - t_{i+1}} \right),
        \qquad 0/0 := 0 \text{ term by term.}

    This is the plain basis on the whole knot vector, padding included, and zero outside it. Functions are continuous
    from the right, except at the last interior knot t_{G+k}: the domain [t_k, t_{G+k}] is closed, and there the value
    and all derivatives are those of the last non-empty interval inside.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
        Points. NaN gives NaN, infinities give zeros.
    grid : array_like, shape (n_in, G + 2k + 1)
        Extended knots, non-decreasing; repeats are welcome. If `x` or `grid` has one input only, it serves all.
    k : int
        Degree, at least 0.
    nu : int
        Order of the derivative; beyond `k` all of them are zero.

    Returns
    -------
    ndarray, shape (n, n_in, G + k)
        float32 if both `x` and `grid` are float32, float64 otherwise.

    Raises
    ------
    ValueError, TypeError
        If a shape, a dtype, `k`, `nu` or the knots are not as said.

    Notes
    -----
    With u half the spacing of 1, on the closed domain and for knots as rounded to the dtype: for nu = 0 the error is at
    most 8 (k + 1) u B + 8 (k + 1) times the smallest normal number; for nu >= 1, at most 8 (k + 1) u times the sum of
    the magnitudes of the terms of the derivative formula, up to underflow.

    References
    ----------
    C. de Boor, "A Practical Guide to Splines", revised edition, 2001, chapters IX and X.

    Examples
    --------
    >>> B_batch([[2.2]], np.arange(1.0, 13.0)[None, :], 3)[0, 0, :3]  # exact: 106/375, 1/750, 0
    array([0.28266667, 0.00133333, 0.        ])
    """
    k = check_integer("k", k, 0)
    nu = min(check_integer("nu", nu, 0), k + 1)  # from there on derivatives are 0
    dtype = common_dtype(x, grid)
    points = as_samples("x", x, None, dtype)
    knots = check_grid("grid", grid, k, dtype)
    n_in = max(points.shape[1], knots.shape[0]) if points.shape[1] else 0
    if points.shape[1] not in (1, n_in) or (knots.shape[0] not in (1, n_in) and n_in):
        raise ValueError(
            f"Argument `x` must have as many columns as `grid` has rows (or one of them 1), "
            f"not shape {points.shape} beside {knots.shape}."
        )
    out = np.zeros((points.shape[0], n_in, knots.shape[1] - k - 1), dtype)
    counts = np.arange(k + 1, dtype=dtype)
    values = np.empty(k + 1, dtype)
    step = max(1, _POINTS_PER_CALL // max(1, n_in))
    with np.errstate(all="ignore"):  # where the JIT is off, NumPy scalars would warn of underflow
        for start in range(0, len(points), step):
            stop = start + step
            _fill_basis(points[start:stop], knots, k, nu, counts, values, out[start:stop])
    return out


def basis_at_knots(knots: FloatArray, k: int) -> FloatArray:
    """Return the B-splines (G + 1, G + k) of one input at its knots t_k ... t_{G+k}, bit for bit as `B_batch` does.

    The recursion of :func:`local_basis`, of all points at once. New models and default fits ask for these alone, and
    need not wait until that is compiled.
    """
    x: Any = interior_knots(knots[None], k)[0]
    inside = np.searchsorted(knots, x, side="right") - 1
    j = np.where(x < x[-1], inside, np.searchsorted(knots, x[-1]) - 1)  # the last point lies in the span on its left
    values = [np.ones_like(x)]
    for d in range(1, k + 1):
        raised = [np.zeros_like(x) for _ in range(d + 1)]
        for r, old in enumerate(values):
            low, high = knots[j - d + 1 + r], knots[j + 1 + r]
            raised[r] += (high - x) / (high - low) * old
            raised[r + 1] += (x - low) / (high - low) * old
        values = raised
    out: FloatArray = np.zeros((len(x), len(knots) - k - 1))
    for r, value in enumerate(values):
        out[np.arange(len(x)), j - k + r] = value
    return out
