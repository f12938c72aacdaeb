"""The knots of a layer: laid over samples, refined, and how well they cover samples.

The coefficients on new knots come from :mod:`numkan.layer.refit`. All functions are pure: arrays in, new arrays out.
They compute in float64 and round to the model's dtype at the end, and the rounded knots obey the rules on distinct
knots.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numkan._check import FloatArray, as_samples, check_finite, check_integer, check_number, is_list
from numkan._shown import shown
from numkan.spline.knots import check_grid, extend_grid
from numkan.spline.spline_basis import SplineBasis

__all__ = ["Coverage", "constant_inside", "coverage", "first_grid", "grid_from_samples", "refined_grid"]

#: Half the width of the grid of an input of zero variance (as pykan's tutorial promises).
_CONSTANT_MARGIN = 0.01

#: Least distance between knots, as a share of the mean step, and in spacings of the dtype.
_GAP_SHARE = 1e-6
_GAP_SPACINGS = 4


class Coverage(NamedTuple):
    """How the samples of a layer's inputs lie on its grid."""

    outside: FloatArray  # (n_in,): share of the samples outside the domain [t_k, t_{G+k}]
    empty_spans: NDArray[np.int64]  # (n_in,): spans of positive length that hold no sample


def grid_from_samples(
    x: Any,
    G: int,
    k: int,
    grid_eps: float = 1.0,
    margin: float = 0.0,
    dtype: DTypeLike = np.float64,
) -> FloatArray:
    r"""Lay the knots of each input over its samples, between equal steps and equal counts.

    With the samples sorted, :math:`x_{(0)} \le \dots \le x_{(n-1)}`,

    .. math:: t_{k+i} = \epsilon \left( x_{(0)} + \tfrac{i}{G} (x_{(n-1)} - x_{(0)}) \right)
              + (1 - \epsilon)\, x_{(\lfloor n i / G \rfloor)}, \qquad 0 < i < G,

    and the two ends are the least and the largest sample, exactly. Then `k` knots of the mean step are added at each
    end (:func:`numkan.spline.extend_grid`).

    Parameters
    ----------
    x : array_like, shape (n, n_in)
        Samples, finite, at least one, in any order; rounded to `dtype` first.
    G : int
        Number of intervals, at least 1.
    k : int
        Degree, at least 0.
    grid_eps : float
        1 is a uniform grid, 0 has about n / G samples in each interval.
    margin : float
        Each end moves outwards by this share of the range first; the order statistics between stay.
    dtype : float32 or float64
        Of the model, hence of the result.

    Returns
    -------
    ndarray, shape (n_in, G + 2k + 1)
        Interior knots strictly increase.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said, or the range is beyond the dtype.

    Notes
    -----
    An input of zero variance gets 0.01 on both sides, or more where the dtype cannot hold G distinct steps there.
    Knots that would coincide (ties, few samples) are moved apart to ``max(1e-6 (last - first) / G, 4 spacings of the
    dtype at the largest knot)``. The ends stay: knots move to the right first, and back where they would pass the last
    knot. Where the range cannot hold G such steps, it is widened as for zero variance. A spacing is never taken to be
    less than the smallest normal number, because a narrower span has no finite reciprocal.

    References
    ----------
    Z. Liu et al., "KAN: Kolmogorov-Arnold Networks", 2024, section 2.4, and pykan's tutorial "Grid".

    Examples
    --------
    >>> x = np.linspace(-10, 10, 1001)[:, None]
    >>> grid_from_samples(x, G=5, k=3)
    array([[-22., -18., -14., -10.,  -6.,  -2.,   2.,   6.,  10.,  14.,  18., 22.]])
    >>> grid_from_samples([[2.0], [2.0]], G=2, k=0)
    array([[1.99, 2.  , 2.01]])
    """
    G, k = check_integer("G", G, 1), check_integer("k", k, 0)
    grid_eps = check_number("grid_eps", grid_eps, 0, 1)
    margin = check_number("margin", margin, 0)
    dtype = np.dtype(dtype)
    samples = as_samples("x", x, None, dtype)
    if not len(samples):
        raise ValueError("Argument `x` must hold at least one sample, not 0.")
    check_finite("x", samples)
    ordered = np.sort(samples, axis=0).T.astype(np.float64)
    first, last = _ends(ordered[:, 0], ordered[:, -1], G, k, margin, dtype)
    place = [int(len(samples) / G * i) for i in range(G)]
    quantile = np.concatenate([ordered[:, place], last[:, None]], axis=1)
    quantile[:, 0] = first
    interior = grid_eps * np.linspace(first, last, G + 1, axis=1) + (1 - grid_eps) * quantile
    interior[:, 0], interior[:, -1] = first, last
    # a blend of two non-decreasing sequences: only rounding could break the order
    interior = np.maximum.accumulate(np.clip(interior, first[:, None], last[:, None]), axis=1)
    return extend_grid(_moved_apart(interior.astype(dtype)), k_extend=k)


def first_grid(
    grid_range: tuple[float, float], n_in: int, n_intervals: int, k: int, dtype: np.dtype[Any]
) -> FloatArray:
    """Return the uniform grid of a new layer, the same for every input."""
    if not is_list(grid_range) or len(grid_range) != 2:
        raise TypeError(f"Argument `grid_range` must be a pair of numbers, not {shown(grid_range)}.")
    low, high = (check_number("grid_range", end) for end in grid_range)
    if not low < high:
        raise ValueError(f"Argument `grid_range` must be increasing, not ({low:g}, {high:g}).")
    with np.errstate(over="ignore", invalid="ignore"):
        reach = (high - low) * (1 + 2 * k / n_intervals)
        if not np.isfinite(np.array([reach, low, high]).astype(dtype)).all():
            raise ValueError(f"Argument `grid_range` must span a range that {dtype} holds, not ({low:g}, {high:g}).")
    interior = np.linspace(low, high, n_intervals + 1)[None, :]
    row = check_grid("grid_range", extend_grid(interior, k_extend=k).astype(dtype), k, dtype)
    knots: FloatArray = np.repeat(row, n_in, axis=0)
    return knots


def constant_inside(x: FloatArray, basis: SplineBasis) -> NDArray[np.bool_]:
    """Return for each input whether all samples (n, n_in) are one number that lies in the domain of its grid.

    A grid laid over such samples would lose the curve everywhere but at that number.
    """
    low, high = basis.domain
    inside = (x[0] >= low) & (x[0] <= high)
    found: NDArray[np.bool_] = inside & (x == x[0]).all(axis=0)
    return found


def _spacing(magnitude: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    """Return the spacing of the dtype's numbers at `magnitude`, or its smallest normal number if that is more.

    Below the latter, numbers are distinct but have no finite reciprocal, and local polynomials divide by spans.
    """
    spacing: FloatArray = np.maximum(np.spacing(magnitude.astype(dtype)), np.finfo(dtype).tiny)
    return spacing.astype(np.float64)


def _ends(
    first: FloatArray, last: FloatArray, G: int, k: int, margin: float, dtype: np.dtype[Any]
) -> tuple[FloatArray, FloatArray]:
    """Return both ends of each grid, as numbers of the dtype: moved by the margin, widened where G steps need it."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = last - first
        low = (first - margin * length).astype(dtype).astype(np.float64)
        high = (last + margin * length).astype(dtype).astype(np.float64)
        narrow = high - low < G * _GAP_SPACINGS * _spacing(np.maximum(abs(low), abs(high)), dtype)
        largest = np.maximum(abs(low), abs(high))
        width = np.full_like(low, _CONSTANT_MARGIN)
        for _ in range(2):  # widening may reach the next power of two, where the spacing doubles, but not a third
            width = np.maximum(width, (_GAP_SPACINGS * G / 2 + 1) * _spacing(largest + width, dtype))
        low = np.where(narrow, low - width, low).astype(dtype).astype(np.float64)
        high = np.where(narrow, high + width, high).astype(dtype).astype(np.float64)
        padding = k / G * (high - low)
        beyond = ~np.isfinite((high + padding - (low - padding)).astype(dtype))
    if beyond.any():
        row = int(np.argmax(beyond))
        raise ValueError(
            f"Argument `x` must span a range that {dtype} holds, not {first[row]} to {last[row]} in column {row}."
        )
    return low, high


def _moved_apart(interior: FloatArray) -> FloatArray:
    """Return the knots with at least the least gap between neighbours, the ends unmoved.

    Rows that need it are moved on the lattice of the dtype's spacing at their largest knot, where sums are exact. The
    end with the larger magnitude lies on that lattice. The other end does too, or the range is more than half of the
    largest knot, and so long a range always has room for G steps of 4 spacings.
    """
    knots = interior.astype(np.float64)
    first, last = knots[:, :1], knots[:, -1:]
    G = knots.shape[1] - 1
    spacing = _spacing(np.maximum(abs(first), abs(last)), interior.dtype)
    gap = np.maximum(_GAP_SHARE * (last - first) / G, _GAP_SPACINGS * spacing)
    rows = np.flatnonzero((np.diff(knots, axis=1) < gap).any(axis=1))
    if not rows.size:
        return interior
    unit = spacing[rows]
    step = np.ceil(gap[rows] / unit)
    place = np.rint(knots[rows] / unit)
    place[:, :1], place[:, -1:] = np.ceil(first[rows] / unit), np.floor(last[rows] / unit)
    steps = step * np.arange(G + 1)
    most = place[:, -1:] - steps[:, -1:]
    place = np.maximum.accumulate(place - steps, axis=1)  # rightwards: place_i >= place_{i-1} + step
    place = np.minimum(place, most) + steps  # and back: place_i <= place_G - (G - i) step
    out = interior.copy()
    out[rows, 1:-1] = (place * unit)[:, 1:-1].astype(interior.dtype)
    return out


def refined_grid(basis: SplineBasis, G: int) -> FloatArray:
    """Return a grid of `G` intervals on the domain of a basis: its knots, interpolated linearly in index space.

    Parameters
    ----------
    basis : SplineBasis
    G : int
        New number of intervals, finer or coarser.

    Returns
    -------
    ndarray, shape (n_in, G + 2k + 1)
        Padded with the new mean step. Where `G` is a multiple of the old number of intervals, the old interior knots
        are among the new ones bit for bit. Of the dtype of the knots.

    Examples
    --------
    >>> refined_grid(SplineBasis(extend_grid([[0.0, 1.0, 4.0]], 1), 1), 4)
    array([[-1. ,  0. ,  0.5,  1. ,  2.5,  4. ,  5. ]])
    """
    G, old = check_integer("G", G, 1), basis.interior.astype(np.float64)
    G_old = old.shape[1] - 1
    # index j G_old / G in integers: an old knot is met exactly, whatever G_old / G rounds to
    whole, rest = np.divmod(np.arange(G + 1) * G_old, G)
    left, right = old[:, whole], old[:, np.minimum(whole + 1, G_old)]
    new = np.minimum(left + rest / G * (right - left), right)
    return extend_grid(np.maximum.accumulate(new, axis=1).astype(basis.dtype), k_extend=basis.degree)


def coverage(x: Any, basis: SplineBasis) -> Coverage:
    """Return the share of the samples outside the domain, and the number of spans without a sample, for each input.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
        Samples; NaN counts as outside.
    basis : SplineBasis

    Returns
    -------
    Coverage
        ``outside`` (n_in,), NaN where there are no samples, and ``empty_spans`` (n_in,). A sample on a knot belongs to
        the span on its right, on the last knot to the last span of positive length.

    Examples
    --------
    >>> coverage([[0.5], [3.5], [9.0], [4.0]], SplineBasis(extend_grid([[0.0, 1.0, 3.0, 4.0]], 2), 2))
    Coverage(outside=array([0.25]), empty_spans=array([1]))
    """
    knots = basis.interior
    samples = as_samples("x", x, len(knots), knots.dtype)
    inside = (samples >= knots[:, 0]) & (samples <= knots[:, -1])
    empty = np.empty(len(knots), np.int64)
    for i, row in enumerate(knots):
        distinct = np.unique(row)
        span = np.searchsorted(distinct, samples[inside[:, i], i], side="right") - 1
        held = np.unique(np.minimum(span, len(distinct) - 2))
        empty[i] = len(distinct) - 1 - len(held)
    with np.errstate(invalid="ignore"):
        return Coverage(1 - inside.sum(axis=0) / np.float64(len(samples)), empty)
