r"""The local polynomials that every curve and every layer evaluates, inside the grid and outside.

On one span of the knots the ``k + 1`` B-splines that do not vanish are polynomials (:mod:`numkan.spline.spans`). This
module writes them out once for a grid,

.. math:: B_{first + r,\,k}(x) = \sum_{m=0}^{k} P_{m r}\, w^m , \qquad w = (x - centre) \cdot inverse ,

one table for each *piece* of the real line. Outside the domain the extrapolation policy adds pieces of its own
(:mod:`numkan.spline.policies`). The tables are computed in float64 and rounded to the grid's dtype.

References
----------
C. de Boor, *A Practical Guide to Splines*, revised edition, Springer 2001, ch. IX-X (recurrence, local polynomials).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, check_option
from numkan.spline.lookup import lookup_of
from numkan.spline.policies import EXTRAPOLATIONS, POLICIES, End, Piece
from numkan.spline.spans import Spans, differentiated, span_polynomials
from numkan.spline.uniform import uniform_spans

__all__ = ["Pieces", "check_inside", "derived_pieces", "function_lanes", "local_pieces"]


class Pieces(NamedTuple):
    """The local polynomials of every input, as plain arrays that kernels take as one argument.

    Piece ``j`` of input ``i`` is used for ``ends[i, j - 1] <= x < ends[i, j]``; the outermost pieces have no outer end.
    """

    ends: Any  # (n_in, n_pieces) float: where the next piece begins; NaN, which no x reaches, for the last one
    centre: Any  # (n_in, n_pieces) float: origin of the local variable w
    inverse: Any  # (n_in, n_pieces) float: w = (x - centre) * inverse; 0 on constant pieces
    uniform: Any  # (n_in, 3) float: from these ``uniform.py`` computes both; piece j has the number j - 1
    first: Any  # (n_in, n_pieces) int64: index of the first of the k + 1 functions
    poly: Any  # (n_in, n_pieces, k + 1, lanes) float: poly[..., m, r] multiplies w^(k - m) in function first + r
    origin: Any  # (n_in,) float: left end of the look-up cells
    cells_per_unit: Any  # (n_in,) float
    hint: Any  # (n_in, n_cells) int32: number of breaks in the cells before this one
    per_cell: Any  # (n_in,) int64: the most breaks in one cell


def function_lanes(k: int) -> int:
    """Return the number of lanes that tables have for k + 1 functions: 4, 8, 16, ..."""
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
        The policy outside ``[t_k, t_{G+k}]``. `"raise"` gives NaN pieces here; its error is raised by
        :func:`check_inside` before anything is evaluated.
    nu : int
        Order of the derivative that the pieces represent.

    Returns
    -------
    Pieces
        In the grid's dtype; ``lanes`` is the least of 4, 8, 16, ... that holds ``k + 1`` functions, the rest are zero.
    """
    check_option("extrapolate", extrapolate, EXTRAPOLATIONS)
    policy, dtype = POLICIES[extrapolate], grid.dtype
    knots = grid.astype(np.float64)
    # `before` pieces of the policy lie between the first piece and the domain.
    domain, before = knots[:, k : knots.shape[1] - k], policy.count(k) - 1
    uniform = uniform_spans(domain[:, :-1], domain[:, 1:], before, dtype)
    spans = span_polynomials(knots, k, uniform, before - k)
    left, right = (policy.outside(end) for end in _ends(knots, k, spans, dtype))
    begins, centre, inverse, first, poly = _joined(left[::-1], _inside(spans, k), right)
    # piece j of the left ends at its `begin`; those inside and on the right begin there
    breaks = np.delete(begins, len(left), axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        poly = differentiated(poly, inverse, nu)
        breaks = breaks.astype(dtype)
        table = np.zeros((*poly.shape[:2], k + 1, function_lanes(k)), dtype)
        table[..., : k + 1] = poly[:, :, ::-1, :]
    ends = np.column_stack([breaks, np.full(len(breaks), np.nan, dtype)])
    local = centre.astype(dtype), inverse.astype(dtype), uniform
    return Pieces(ends, *local, first.astype(np.int64), table, *lookup_of(breaks))


def derived_pieces(pieces: Pieces, nu: int) -> Pieces:
    """Return the pieces of the `nu`-th derivative by x: those of its values have the same breaks."""
    poly = pieces.poly
    rate = pieces.inverse[:, :, None, None]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(min(nu, poly.shape[2])):  # all that follow are 0 as well
            down = np.empty_like(poly)
            down[:, :, 0] = 0 * poly[:, :, 0]  # not a plain zero: NaN pieces stay NaN
            for m in range(1, poly.shape[2]):
                down[:, :, m] = (poly.shape[2] - m) * poly[:, :, m - 1]
            poly = down * rate
    return pieces._replace(poly=poly)


def _inside(spans: Spans, k: int) -> Piece:
    """Return the spans of the domain as pieces, along the second axis of all arrays."""
    own = slice(k, spans.centre.shape[1] - k)
    starts, centre, inverse, poly = (table[:, own] for table in spans)
    first = np.broadcast_to(np.arange(centre.shape[1]), centre.shape)
    return Piece(starts[:, : centre.shape[1]], centre, inverse, first, poly)


def _joined(left: list[Piece], inside: Piece, right: list[Piece]) -> Piece:
    """Return all pieces from left to right, along the second axis of all arrays."""
    tables = []
    for place, own in enumerate(inside):
        before, after = ([piece[place][:, None] for piece in side] for side in (left, right))
        tables.append(np.concatenate([*before, own, *after], axis=1))
    return Piece(*tables)


def _ends(knots: FloatArray, k: int, spans: Spans, dtype: np.dtype[Any]) -> tuple[End, End]:
    """Return both ends of the domain."""
    n_knots, row = knots.shape[1], np.arange(len(knots))
    low, high = knots[:, k], knots[:, n_knots - k - 1]
    occupied = spans.inverse[:, k : n_knots - k - 1] > 0
    outermost = np.argmax(occupied, axis=1), occupied.shape[1] - 1 - np.argmax(occupied[:, ::-1], axis=1)
    ends = []
    for sign, knot, begin, s in zip(
        (-1, 1), (low, high), (low, spans.starts[:, n_knots - k - 1]), outermost, strict=True
    ):
        at = row, s + k
        inside = Piece(begin, spans.centre[at], spans.inverse[at], s, spans.poly[at])
        ends.append(End(sign, knot, begin, high - low, inside, spans, k, dtype))
    return ends[0], ends[1]


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
