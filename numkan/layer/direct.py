r"""The direct form of layers: outputs are lanes, and a sample reads its polynomials where they lie.

As in the column form (``columns.py``), the k + 1 functions on a piece j and the coefficients of an edge are merged into
one polynomial,

.. math:: \phi_{io}(x) = E_{io}\, b(x) + \sum_{m=0}^{k} A_{iojm}\, w^m.

Tables of many pieces do not fit into registers. So they stay in memory, as rows of outputs, k + 1 rows of a piece next
to each other: a sample finds its piece by arithmetic and goes there, nothing is sorted, and a finer grid costs no more
than a coarse one as long as the tables stay in the cache.

Where the breaks between pieces are equally spaced, a point's piece is a difference, a product and a cut, and so is its
w (``spline/even.py``). The piece is that of the point at every break, and may be the next one for a point a few
roundings below a break, where that makes a difference of a rounding at most. The outermost breaks, where a policy
begins, are compared. Elsewhere the same arithmetic gives a cell of the look-up of ``spline/pieces.py``, and its breaks
are compared, so that pieces are exact.

In the scratch memory (``places.py``) VALUES are columns of the points of one layer, W has pairs (w, b) for all inputs,
SLOPE pairs (b', dw/dx). Outputs, and BARS by them, are rows of whole vectors, or one column where there is one output;
OTHER_BARS are columns of the inputs' cotangents, before they are turned into the rows of the layer below.
FUNCTION_VALUES are the functions of one input, a row for every sample; or, where there is one output and there are not
too many pieces, their sums, a row for every piece; or what the slopes of one input are made with, a column for each;
when edges are packed, the coefficients of one input. A sample alone has w and b apart, in W and B, b' alone, and its
numbers one after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._lanes import sample_lanes
from numkan._turn import row_numbers
from numkan.spline.even import even_centres
from numkan.spline.pieces import Pieces

__all__ = [
    "BLOCK",
    "CELL_NUMBERS",
    "MOST_SUMS",
    "DirectTables",
    "direct_tables",
    "direct_width",
    "piece_numbers",
    "tile_columns",
]

#: Samples: as many as share what the first-level cache has of an input's polynomials.
BLOCK = 512

#: Of one output's gradient the sums go by piece where there are so many pieces at most: there is more to put together
#: than to sum up where a block has far fewer samples.
MOST_SUMS = BLOCK

#: What is said of the cells of one input: left, rate, top; and the spans of ``_cells.py``, or zeros.
CELL_NUMBERS = 3 + 11

#: Of breaks that are not equally spaced, so many are compared in a cell at most.
_BREAKS_PER_CELL = 2

#: A break may be taken for so many roundings of the largest of its grid less than it is. Two pieces differ there by the
#: k-th power of the distance, in units of that between breaks, which has to be a rounding: it never is where k = 1.
_SLACK = 16


class DirectTables(NamedTuple):
    """What is read about the grids of one layer."""

    local: Any  # (n_in, n_pieces, 4): centre and inverse, w = (x - centre) * inverse
    matrices: Any  # (n_in, n_pieces, k + 1, lanes): power m, highest first, of function first + r, as in `Pieces`
    cells: Any  # (n_in, CELL_NUMBERS)
    hints: Any  # (n_in, n_cells, 4): pieces before a cell, and its breaks; (n_in, 0, 4) where cells are pieces
    first: Any  # (n_in, k + 1, n_pieces) integers: first + r


def direct_width(n_out: int, dtype: np.dtype[Any]) -> int:
    """Return the numbers in a row of outputs: one, or whole vectors."""
    lanes = sample_lanes(dtype)
    return 1 if n_out == 1 else -(-n_out // lanes) * lanes


def tile_columns(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return how many outputs are in hand at once, where there are enough, and where there are fewer."""
    lanes = sample_lanes(dtype)
    return (2 * lanes if lanes > 1 else 1), lanes


def piece_numbers(k: int, width: Any) -> Any:
    """Return the numbers from the polynomials of one piece to those of the next."""
    return np.where(width == 1, row_numbers(k + 1), (k + 1) * width)


def direct_tables(pieces: Pieces, k: int) -> DirectTables | None:
    """Return the tables of a layer's grids, or None if breaks lie too close for the look-up."""
    (n_in, n_pieces), dtype = pieces.first.shape, pieces.ends.dtype
    local = np.zeros((n_in, n_pieces, row_numbers(2)), dtype)
    local[..., 0], local[..., 1] = pieces.centre, pieces.inverse
    cells, hints = _lattice(pieces, k), np.zeros((n_in, 0, row_numbers(3)), dtype)
    if cells is None:
        if pieces.per_cell.max() > _BREAKS_PER_CELL:
            return None
        cells, hints = _hints(pieces)
    first = pieces.first[:, None] + np.arange(k + 1)[:, None]
    return DirectTables(local, pieces.poly, cells, hints, first.astype(np.int32))


def _lattice(pieces: Pieces, k: int) -> Any:
    """Return the cells (n_in, CELL_NUMBERS) that are pieces, or None if breaks are not equally spaced."""
    breaks = pieces.ends[:, :-1]
    cells, spans = _cells(breaks, k), _spans(pieces)
    if cells is None or spans is None:
        return None
    return np.concatenate([cells, breaks[:, [0, -1]], spans], axis=1, dtype=breaks.dtype)


def _cells(breaks: FloatArray, k: int) -> Any:
    """Return left, rate and top (n_in, 3) of the cells between breaks (n_in, n), or None if they do not find points."""
    dtype, inner = breaks.dtype, breaks[:, 1:-1]
    count = inner.shape[1]
    if count == 0:
        return np.zeros_like(breaks[:, [0, 0, 0]])
    wide, numbers = inner.astype(np.float64), np.arange(count)
    tick = float(np.finfo(dtype).eps) * abs(breaks).max(axis=1, keepdims=True).astype(np.float64)
    step = (wide[:, -1:] - wide[:, :1]) / (count - 1) if count > 1 else wide - breaks[:, :1]
    with np.errstate(all="ignore"):
        left, rate = (wide[:, :1] - step - _SLACK / 4 * tick).astype(dtype), (1 / step).astype(dtype)
        below = (wide - _SLACK * tick).astype(dtype)
        at, before = (np.clip(np.floor((x - left) * rate), 0, count) for x in (inner, below))
    holds = (at == numbers + 1) & (before == numbers)
    if not (holds.all() and (rate > 0).all() and ((_SLACK * tick / step) ** k <= np.finfo(dtype).eps).all()):
        return None
    return np.concatenate([left, rate, np.full_like(rate, count)], axis=1)


def _spans(pieces: Pieces) -> Any:
    """Return origin ... high_inverse (n_in, 9), or None if arithmetic does not find the centres of inner pieces."""
    n_pieces, even = pieces.centre.shape[1], pieces.even
    number, centre = np.arange(n_pieces - 2), pieces.centre[:, 1:-1]
    # The outer of these may go on with the polynomial, so the centre, of the span beside it.
    first = 0 + (even_centres(even, number[:1]) != centre[:, :1])
    last = n_pieces - 3 - (even_centres(even, number[-1:]) != centre[:, -1:])
    centres = even_centres(even, np.clip(number, first, last))
    if not ((centres == centre).all() and (pieces.inverse[:, 1:-1] == even[:, 2:]).all()):
        return None
    outermost = [numbers[:, [end]] for end in (0, -1) for numbers in (pieces.centre, pieces.inverse)]
    return np.concatenate([even, first, last, *outermost], axis=1, dtype=even.dtype)


def _hints(pieces: Pieces) -> tuple[Any, Any]:
    """Return the cells of the look-up, and what it says about each of them."""
    n_in, n_cells = pieces.hint.shape
    cells = np.zeros((n_in, CELL_NUMBERS), pieces.ends.dtype)
    cells[:, 0], cells[:, 1], cells[:, 2] = pieces.origin, pieces.cells_per_unit, n_cells - 1
    hints = np.zeros((n_in, n_cells, row_numbers(3)), pieces.ends.dtype)
    hints[..., 0] = pieces.hint
    ends = np.pad(pieces.ends, ((0, 0), (0, 1)), constant_values=np.nan)
    for number in range(_BREAKS_PER_CELL):
        hints[..., 1 + number] = np.take_along_axis(ends, pieces.hint + number, axis=1)
    return cells, hints
