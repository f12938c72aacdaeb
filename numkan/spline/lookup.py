"""Look-up of the piece that a point lies in, in a time that does not grow with the number of pieces.

The line is cut into cells of equal width. A table holds the number of breaks in the cells before each. Only the breaks
of the point's own cell, at most `per_cell`, have to be compared.

The cell of a break is computed by the formula that a kernel applies to x. That formula is monotone in floating point,
so every break in an earlier cell is <= x and every break in a later one is > x, whatever the rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan.compile import kernel

__all__ = ["Lookup", "find_piece", "lookup_of"]

#: Number of breaks in a cell above which the table is made finer, and the largest number of cells for each break.
_BREAKS_PER_CELL = 2
_CELLS_PER_BREAK = 16


class Lookup(NamedTuple):
    """The cells of every input."""

    origin: Any  # (n_in,) float: left end of the first cell
    cells_per_unit: Any  # (n_in,) float
    hint: Any  # (n_in, n_cells) int32: number of breaks in the cells before this one
    per_cell: Any  # (n_in,) int64: the most breaks in one cell


def lookup_of(breaks: FloatArray) -> Lookup:
    """Return the look-up for breaks (n_in, n_breaks), non-decreasing in each row."""
    n_in, n_breaks = breaks.shape
    uniform = _uniform_lookup(breaks)
    if uniform is not None:
        return uniform
    origin = breaks[:, 0].copy()
    n_cells = 1 << (2 * n_breaks - 1).bit_length()
    while True:
        with np.errstate(all="ignore"):
            rate = breaks.dtype.type(n_cells) / (breaks[:, -1] - origin)
            rate[~np.isfinite(rate)] = 0
        cell = _cells(breaks, origin, rate, n_cells)
        counts = np.zeros((n_in, n_cells), np.int64)
        np.add.at(counts, (np.arange(n_in)[:, None], cell), 1)
        if counts.max() <= _BREAKS_PER_CELL or 2 * n_cells > _CELLS_PER_BREAK * n_breaks:
            break
        n_cells *= 2
    before = np.cumsum(counts, axis=1) - counts
    return Lookup(origin, rate, before.astype(np.int32), counts.max(axis=1))


def _uniform_lookup(breaks: FloatArray) -> Lookup | None:
    """Return the look-up with as many cells as breaks, one in each, or None where breaks are not that uniform.

    Each break then lies in the middle of its cell. The first and the last may lie further out, as under some policies.
    """
    n_in, n_breaks = breaks.shape
    if n_breaks < 4:
        return None
    inner = breaks[:, 1:-1]
    with np.errstate(all="ignore"):
        rate = breaks.dtype.type(n_breaks - 3) / (inner[:, -1] - inner[:, 0])
        origin = inner[:, 0] - breaks.dtype.type(1.5) / rate
        if not (np.isfinite(rate) & np.isfinite(origin)).all():
            return None
    number = np.arange(n_breaks)
    if (_cells(breaks, origin, rate, n_breaks) != number).any():
        return None
    return Lookup(origin, rate, np.tile(number.astype(np.int32), (n_in, 1)), np.ones(n_in, np.int64))


def _cells(breaks: FloatArray, origin: FloatArray, rate: FloatArray, n_cells: int) -> NDArray[np.int64]:
    """Return the cells of breaks, as a kernel finds them."""
    with np.errstate(all="ignore"):
        place = (breaks - origin[:, None]) * rate[:, None]
    return np.minimum(np.maximum(place, 0), n_cells - 1).astype(np.int64)


@kernel
def find_piece(x, i, pieces):  # type: ignore[no-untyped-def]
    """Return the piece of input i that x lies in; the first one if x is NaN."""
    place = (x - pieces.origin[i]) * pieces.cells_per_unit[i]
    last = pieces.hint.shape[1] - 1
    cell = np.int64(0)  # also where place is NaN
    if place >= last:
        cell = np.int64(last)
    elif place > 0:
        cell = np.int64(place)
    piece = np.int64(pieces.hint[i, cell])
    for _ in range(pieces.per_cell[i]):
        piece += np.int64(x >= pieces.ends[i, piece])
    return piece
