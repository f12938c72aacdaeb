r"""The direct form of layers: polynomials of all pieces lie in memory, and a sample reads those of its piece.

The k + 1 basis functions on a piece j and the coefficients of an edge are merged into one polynomial in a local
variable w,

.. math:: \phi_{io}(x) = E_{io}\, b(x) + \sum_{m=0}^{k} A_{iojm}\, w^m, \qquad w = (x - c_{ij})\, r_{ij},

once for every call. The k + 1 rows of a piece, one entry for each output, lie next to each other. A sample finds its
piece by arithmetic and reads these rows; outputs are the lanes of a vector. A finer grid costs no more than a coarse
one as long as the polynomials stay in the cache. A layer of one output has samples as lanes instead: they gather their
polynomials.

Where the breaks between pieces are equally spaced, the number of a point's piece is a difference, a product and a
floor, and so is its w (``spline/uniform.py``). A point at a break lies in the piece on the right. A point a few
roundings below a break may be given to the piece on the right too, where the two polynomials differ by a rounding
there. The outermost breaks, where the extrapolation policy begins, are compared. On other grids the same arithmetic
finds a cell of the look-up of ``spline/lookup.py``, whose breaks are compared, so that pieces are exact.

The memory of a network in this form is described in ``layout.py``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.simd.transpose import row_stride
from numkan.simd.vectors import sample_lanes
from numkan.spline.pieces import Pieces
from numkan.spline.uniform import uniform_centres

__all__ = [
    "BLOCK",
    "CELL_STRIDE",
    "MAX_SUMS",
    "DirectTables",
    "direct_tables",
    "padded",
    "piece_stride",
    "row_width",
]

#: Samples in a block: they share the polynomials of an input that the first-level cache holds.
BLOCK = 512

#: The gradient of one output is summed by piece on grids of at most this many pieces. On finer ones a block has too few
#: samples for each piece, and adding up the pieces would take longer than the sums.
MAX_SUMS = BLOCK

#: Length of the table of an input's cells: left, rate, top, and the spans of ``simd/cells.py``, or zeros.
CELL_STRIDE = 3 + 11

#: Breaks that are compared in a cell of a grid that is not equally spaced.
_BREAKS_PER_CELL = 2

#: Tolerance, in ulps of a grid's largest knot, by which a computed break may lie below the true one. The two adjacent
#: polynomials differ there by O(d^k), d in units of the knot spacing. That must be below one ulp, so the shortcut is
#: never taken at k = 1.
_SLACK = 16


class DirectTables(NamedTuple):
    """The tables of the grids of one layer."""

    local: Any  # (n_in, n_pieces, 4): centre and inverse, w = (x - centre) * inverse
    matrices: Any  # (n_in, n_pieces, k + 1, lanes): power m, highest first, of function first + r, as in `Pieces`
    cells: Any  # (n_in, CELL_STRIDE)
    hints: Any  # (n_in, n_cells, 4): pieces before a cell, and its breaks; (n_in, 0, 4) where each cell is a piece
    first: Any  # (n_in, k + 1, n_pieces) integers: first + r


def padded(n: Any, dtype: np.dtype[Any]) -> Any:
    """Return n rounded up to whole vectors."""
    lanes = sample_lanes(dtype)
    return -(-n // lanes) * lanes


def row_width(n_out: int, dtype: np.dtype[Any]) -> int:
    """Return the length of a row of outputs: one, or whole vectors."""
    return 1 if n_out == 1 else int(padded(n_out, dtype))


def piece_stride(k: int, width: Any) -> Any:
    """Return the distance from the polynomials of one piece to those of the next."""
    return np.where(width == 1, row_stride(k + 1), (k + 1) * width)


def direct_tables(pieces: Pieces, k: int) -> DirectTables | None:
    """Return the tables of a layer's grids, or None if breaks lie too close for the look-up."""
    (n_in, n_pieces), dtype = pieces.first.shape, pieces.ends.dtype
    local = np.zeros((n_in, n_pieces, row_stride(2)), dtype)
    local[..., 0], local[..., 1] = pieces.centre, pieces.inverse
    cells, hints = _lattice(pieces, k), np.zeros((n_in, 0, row_stride(3)), dtype)
    if cells is None:
        if pieces.per_cell.max() > _BREAKS_PER_CELL:
            return None
        cells, hints = _hints(pieces)
    first = pieces.first[:, None] + np.arange(k + 1)[:, None]
    return DirectTables(local, pieces.poly, cells, hints, first.astype(np.int32))


def _lattice(pieces: Pieces, k: int) -> Any:
    """Return the cells (n_in, CELL_STRIDE) that are pieces, or None if breaks are not equally spaced."""
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
    n_pieces, uniform = pieces.centre.shape[1], pieces.uniform
    number, centre = np.arange(n_pieces - 2), pieces.centre[:, 1:-1]
    # An outer one of these pieces may continue the polynomial of the span beside it, and then has its centre too.
    first = 0 + (uniform_centres(uniform, number[:1]) != centre[:, :1])
    last = n_pieces - 3 - (uniform_centres(uniform, number[-1:]) != centre[:, -1:])
    centres = uniform_centres(uniform, np.clip(number, first, last))
    if not ((centres == centre).all() and (pieces.inverse[:, 1:-1] == uniform[:, 2:]).all()):
        return None
    outermost = [numbers[:, [end]] for end in (0, -1) for numbers in (pieces.centre, pieces.inverse)]
    return np.concatenate([uniform, first, last, *outermost], axis=1, dtype=uniform.dtype)


def _hints(pieces: Pieces) -> tuple[Any, Any]:
    """Return the cells of the look-up, and the hints of each cell, see `DirectTables`."""
    n_in, n_cells = pieces.hint.shape
    cells = np.zeros((n_in, CELL_STRIDE), pieces.ends.dtype)
    cells[:, 0], cells[:, 1], cells[:, 2] = pieces.origin, pieces.cells_per_unit, n_cells - 1
    hints = np.zeros((n_in, n_cells, row_stride(3)), pieces.ends.dtype)
    hints[..., 0] = pieces.hint
    ends = np.pad(pieces.ends, ((0, 0), (0, 1)), constant_values=np.nan)
    for number in range(_BREAKS_PER_CELL):
        hints[..., 1 + number] = np.take_along_axis(ends, pieces.hint + number, axis=1)
    return cells, hints
