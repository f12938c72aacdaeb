r"""Local polynomials: what every curve and every layer evaluates, inside the grid and outside.

On one span of the knots the ``k + 1`` B-splines that do not vanish are polynomials. This module writes them out once
for a grid,

.. math:: B_{first + r,\,k}(x) = \sum_{m=0}^{k} P_{m r}\, w^m , \qquad w = (x - centre) \cdot inverse ,

one table for each *piece* of the real line. Outside the domain the extrapolation policy adds pieces of its own (the end
polynomial, a straight line, a constant, NaN), so that value, derivative, Jacobian and refit follow one policy by
construction, and no kernel knows that policies exist.

The polynomials are centred at mid-span, or very near, where their coefficients are smallest: about the left knot,
rounding errors of up to 107 u arise at degree 5, about the middle 6.7 u. The tables are computed in
float64 and rounded to the grid's dtype.

References
----------
C. de Boor, *A Practical Guide to Splines*, revised edition, Springer 2001, ch. IX-X (recurrence, local polynomials).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray, check_option
from numkan.spline.lookup import lookup_of
from numkan.spline.uniform import are_uniform, uniform_centres, uniform_spans

__all__ = ["EXTRAPOLATIONS", "Pieces", "check_inside", "function_lanes", "local_pieces"]

#: The policies outside the domain; `"continue"` is the default of models, `"fade"` is pykan's.
EXTRAPOLATIONS = ("continue", "fade", "linear", "clamp", "nan", "raise")

#: Under `"continue"` the end polynomial goes on for this share of the domain's length.
CONTINUED_SHARE = 0.03

_Ints = NDArray[np.int64]


class Pieces(NamedTuple):
    """The local polynomials of every input, as plain arrays that kernels take as one argument.

    Piece ``j`` of input ``i`` holds for ``ends[i, j - 1] <= x < ends[i, j]``, the outermost without end.
    """

    ends: Any  # (n_in, n_pieces) float: where the next piece begins; NaN, which no x reaches, for the last one
    centre: Any  # (n_in, n_pieces) float: origin of the local variable w
    inverse: Any  # (n_in, n_pieces) float: w = (x - centre) * inverse; 0 on constant pieces
    uniform: Any  # (n_in, 3) float: what ``uniform.py`` computes both from; piece j has the number j - 1
    first: Any  # (n_in, n_pieces) int64: index of the first of the k + 1 functions
    poly: Any  # (n_in, n_pieces, k + 1, lanes) float: poly[..., m, r] multiplies w^(k - m) in function first + r
    origin: Any  # (n_in,) float: left end of the look-up cells
    cells_per_unit: Any  # (n_in,) float
    hint: Any  # (n_in, n_cells) int32: number of breaks in the cells before this one
    per_cell: Any  # (n_in,) int64: the most breaks in one cell


def function_lanes(k: int) -> int:
    """Return the room that tables have for k + 1 functions: 4, 8, 16, ..."""
    return max(4, 1 << k.bit_length())


def local_pieces(grid: FloatArray, k: int, extrapolate: str = "continue", nu: int = 0) -> Pieces:
    r"""Return the local polynomials of a grid's B-splines (or of their `nu`-th derivative) under a policy.

    Parameters
    ----------
    grid : ndarray, shape (n_in, G + 2k + 1)
        Knots, non-decreasing in each row, with ``grid[:, k] < grid[:, G + k]``; float32 or float64.
    k : int
        Degree.
    extrapolate : {"continue", "fade", "linear", "clamp", "nan", "raise"}
        What stands for the spline outside ``[t_k, t_{G+k}]``. `"raise"` gives NaN pieces here; its error is raised
        by :func:`check_inside` before anything is evaluated.
    nu : int
        Order of the derivative that the pieces represent.

    Returns
    -------
    Pieces
        In the grid's dtype; ``lanes`` is the least of 4, 8, 16, ... that holds ``k + 1`` functions, the rest are zero.
    """
    check_option("extrapolate", extrapolate, EXTRAPOLATIONS)
    dtype = grid.dtype
    knots = grid.astype(np.float64)
    # `before` spans or pieces of the policy lie between the first piece and the domain.
    domain, before = knots[:, k : knots.shape[1] - k], {"fade": k, "continue": 1}.get(extrapolate, 0)
    uniform = uniform_spans(domain[:, :-1], domain[:, 1:], before, dtype)
    centre, inverse, poly = _span_polynomials(knots, k, uniform, before - k)
    starts = _last_start(knots, k, dtype)
    if extrapolate == "fade":
        parts = _faded(starts, centre, inverse, poly, k)
    else:
        parts = _extended(knots, starts, centre, inverse, poly, k, extrapolate, dtype)
    breaks, centre, inverse, first, poly = parts
    with np.errstate(over="ignore", invalid="ignore"):
        poly = _differentiated(poly, inverse, nu)
        breaks = breaks.astype(dtype)
        lanes = function_lanes(k)
        table = np.zeros((*poly.shape[:2], k + 1, lanes), dtype)
        table[..., : k + 1] = poly[:, :, ::-1, :]
    ends = np.column_stack([breaks, np.full(len(breaks), np.nan, dtype)])
    local = centre.astype(dtype), inverse.astype(dtype), uniform
    return Pieces(ends, *local, first, table, *lookup_of(breaks))


def _span_polynomials(
    knots: FloatArray, k: int, uniform: FloatArray, number: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return centre, inverse (n_in, n_spans) and poly (n_in, n_spans, power m, function r) on every span of the knots.

    Function r of span s is B_{s-k+r}; where that index does not exist, its polynomial is zero. `number` is that of span
    0 among uniform spans.
    """
    n_in, n_knots = knots.shape
    n_spans = n_knots - 1
    left, right = knots[:, :-1], knots[:, 1:]
    span = np.arange(n_spans)
    half, by_number = 0.5 * (right - left), are_uniform(uniform, left, right, number + span)
    # The centre is rounded to the dtype first and the polynomial is made about that very number: on spans of a few
    # units in the last place the rounding of a midpoint is a good part of the span. So is that for the inverse of all.
    centre = np.where(by_number, uniform_centres(uniform, number + span), (left + half).astype(uniform.dtype))
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(half > 0, np.where(by_number, uniform[:, 2:], 1 / half), 0)
        half = np.where(by_number, 1 / inverse, half)
    centre = centre.astype(np.float64)
    poly = np.zeros((n_in, n_spans, k + 1, k + 1))
    poly[:, :, 0, 0] = half > 0
    for d in range(1, k + 1):
        lower, poly = poly[..., :d], np.zeros_like(poly)
        # function r of degree d - 1 lies over the knots `begin` to `begin + d`: it rises into function r + 1 of degree
        # d, and falls into function r
        begin = span[:, None] + np.arange(1 - d, 1)
        low, high = (knots[:, np.clip(begin + far, 0, n_knots - 1)] for far in (0, d))
        up, down, slope = _ratios((centre[..., None] - low, high - centre[..., None], half[..., None]), high - low)
        _add_linear_times(poly[..., 1 : d + 1], up, slope, lower)
        _add_linear_times(poly[..., :d], down, -slope, lower)
        i = span[:, None] + np.arange(-d, 1)
        poly.swapaxes(2, 3)[:, :, : d + 1][:, (i < 0) | (i + d + 1 >= n_knots)] = 0
    return centre, inverse, poly


def _ratios(numerators: tuple[FloatArray, ...], denominator: FloatArray) -> list[FloatArray]:
    """Return quotients with the convention of the recurrence: what is divided by an empty support counts as 0."""
    positive = denominator > 0
    safe = np.where(positive, denominator, 1)
    with np.errstate(over="ignore"):
        return [np.where(positive, numerator / safe, 0) for numerator in numerators]


def _add_linear_times(out: FloatArray, a: FloatArray, b: FloatArray, q: FloatArray) -> None:
    """Add (a + b w) q(w) to out(w), for functions along the last axis, powers along the one before, lowest first."""
    out += a[..., None, :] * q
    out[..., 1:, :] += b[..., None, :] * q[..., :-1, :]


def _last_start(knots: FloatArray, k: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return where each span begins, with the domain closed at its right end.

    At the last interior knot b the last non-empty span inside still holds: what would begin at b begins just after it.
    """
    end = knots[:, knots.shape[1] - k - 1, None]
    after = np.nextafter(end.astype(dtype), np.array(np.inf, dtype)).astype(np.float64)
    return np.where(knots == end, after, knots)


def _faded(
    starts: FloatArray, centre: FloatArray, inverse: FloatArray, poly: FloatArray, k: int
) -> tuple[FloatArray, FloatArray, FloatArray, _Ints, FloatArray]:
    """Pieces of the padded basis: nothing, every span, nothing."""
    n_in, n_spans = centre.shape
    n_basis = n_spans - k
    span = np.arange(n_spans)
    first = np.clip(span - k, 0, n_basis - k - 1)
    shifted = np.zeros_like(poly)
    for r in range(k + 1):  # function r of span s is B_{s-k+r}: its place counts from `first`
        place = span - k + r - first
        ok = np.flatnonzero((place >= 0) & (place <= k))
        shifted[:, ok, :, place[ok]] = poly[:, ok, :, r]

    def edge(array: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
        return np.concatenate([left[:, None], array, right[:, None]], axis=1)

    nothing = np.zeros((n_in, k + 1, k + 1))
    zero = np.zeros(n_in)
    places = np.concatenate([first[:1], first, first[-1:]])
    return (
        starts,
        edge(centre, starts[:, 0], starts[:, -1]),
        edge(inverse, zero, zero),
        np.tile(places, (n_in, 1)).astype(np.int64),
        edge(shifted, nothing, nothing),
    )


def _extended(
    knots: FloatArray,
    starts: FloatArray,
    centre: FloatArray,
    inverse: FloatArray,
    poly: FloatArray,
    k: int,
    extrapolate: str,
    dtype: np.dtype[Any],
) -> tuple[FloatArray, FloatArray, FloatArray, _Ints, FloatArray]:
    """Pieces of the interior spans, with the pieces of a policy on both sides."""
    n_in, n_knots = knots.shape
    inside = slice(k, n_knots - k - 1)
    n_spans = n_knots - 2 * k - 1
    row = np.arange(n_in)
    occupied = inverse[:, inside] > 0
    ends = (np.argmax(occupied, axis=1), n_spans - 1 - np.argmax(occupied[:, ::-1], axis=1))
    centre, inverse, poly = centre[:, inside], inverse[:, inside], poly[:, inside]
    length = knots[:, n_knots - k - 1] - knots[:, k]
    columns: list[list[tuple[FloatArray, FloatArray, FloatArray, _Ints, FloatArray]]] = [[], []]
    for side, (span, sign, end) in enumerate(zip(ends, (-1, 1), (knots[:, k], knots[:, n_knots - k - 1]), strict=True)):
        c, h, p = centre[row, span], inverse[row, span], poly[row, span]
        begin = end if side == 0 else starts[:, n_knots - k - 1]  # x < a, and x > b
        if extrapolate == "continue":
            columns[side].append((begin, c, h, span, p))
            end = (end + sign * CONTINUED_SHARE * length).astype(dtype).astype(np.float64)
            begin = end if side == 0 else np.maximum(end, begin)
        value, slope = _value_and_slope(p, (end - c) * h, h)
        outer = np.zeros_like(p)
        if extrapolate in ("nan", "raise"):
            outer[:] = np.nan
        else:
            outer[:, 0] = value
        scale = np.zeros(n_in)
        if extrapolate in ("continue", "linear") and k > 0:
            scale = 1 / length
            outer[:, 1] = slope * length[:, None]
        columns[side].append((begin, end, scale, span, outer))
    before, after = columns[0][::-1], columns[1]
    breaks = np.column_stack([*(b[0] for b in before), starts[:, inside][:, 1:], *(a[0] for a in after)])
    spans = np.tile(np.arange(n_spans), (n_in, 1))
    first = np.column_stack([*(b[3] for b in before), spans, *(a[3] for a in after)]).astype(np.int64)

    def around(index: int, middle: FloatArray) -> FloatArray:
        left = [np.expand_dims(b[index], 1) for b in before]
        right = [np.expand_dims(a[index], 1) for a in after]
        return np.concatenate([*left, middle, *right], axis=1)

    return breaks, around(1, centre), around(2, inverse), first, around(4, poly)


def _value_and_slope(poly: FloatArray, w: FloatArray, inverse: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Evaluate polynomials (n_in, power, function) and their x-derivatives at w (n_in,), by Horner."""
    value, slope = np.zeros_like(poly[:, 0]), np.zeros_like(poly[:, 0])
    for m in range(poly.shape[1] - 1, -1, -1):
        slope = slope * w[:, None] + value
        value = value * w[:, None] + poly[:, m]
    return value, slope * inverse[:, None]


def _differentiated(poly: FloatArray, inverse: FloatArray, nu: int) -> FloatArray:
    """Return the coefficients in w of the `nu`-th derivative by x; d/dx = inverse * d/dw."""
    k = poly.shape[2] - 1
    for _ in range(nu):
        down = np.zeros_like(poly)
        for m in range(k):
            down[:, :, m] = (m + 1) * poly[:, :, m + 1]
        down[:, :, k] = 0 * poly[:, :, k]  # not a plain zero: NaN pieces stay NaN
        poly = down * inverse[:, :, None, None]
    return poly


def check_inside(name: str, x: FloatArray, grid: FloatArray, k: int) -> None:
    """Raise the error of the policy `"raise"`: how many entries of x lie outside the domain, and where the first."""
    low, high = grid[:, k], grid[:, grid.shape[1] - k - 1]
    outside = (x < low) | (x > high)
    if outside.any():
        row, column = (int(index) for index in np.argwhere(outside)[0])
        raise ValueError(
            f"Argument `{name}` must lie inside the grid where extrapolate is 'raise', not outside at "
            f"{int(outside.sum())} entries, the first ({x[row, column]}) at {(row, column)}, "
            f"where the domain is [{low[column]}, {high[column]}]."
        )
