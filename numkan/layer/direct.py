r"""The direct form of layers: outputs are lanes, and a sample reads its polynomials where they lie.

As in the column form (``columns.py``), the k + 1 functions on a piece j and the coefficients of an edge are merged into
one polynomial,

.. math:: \phi_{io}(x) = E_{io}\, b(x) + \sum_{m=0}^{k} A_{iojm}\, w^m.

Tables of many pieces do not fit into registers. So they stay in memory, as rows of outputs, k + 1 rows of a piece next
to each other: a sample finds its piece by arithmetic and goes there, nothing is sorted, and a finer grid costs no more
than a coarse one as long as the tables stay in the cache.

Where the breaks between pieces are equally spaced, a point's piece is a difference, a product and a cut. The piece is
that of the point at every break, and may be the next one for a point a few roundings below a break, where both agree to
as many roundings, since edges are continuous. The outermost breaks, where a policy begins, are compared. Where breaks
are not equally spaced the same arithmetic gives a cell of the look-up of ``spline/pieces.py``, exactly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._lanes import sample_lanes
from numkan._turn import row_numbers
from numkan.spline.pieces import Pieces

__all__ = [
    "BLOCK",
    "CELL_NUMBERS",
    "OUTER",
    "DirectTables",
    "direct_tables",
    "direct_width",
    "piece_numbers",
    "tile_columns",
]

#: Samples: as many as share what the first-level cache has of an input's polynomials.
BLOCK = 512

#: Breaks that are compared: the outermost on each side.
OUTER = 2

#: What is said about the cells of one input: left, rate, top, and the outer breaks.
CELL_NUMBERS = 3 + OUTER

#: Of breaks that are not equally spaced, so many are compared in a cell at most.
_BREAKS_PER_CELL = 2

#: A break may be taken for so many units in the last place less than it is, of the largest of its grid.
_SLACK = 16


class DirectTables(NamedTuple):
    """What is read about the grids of one layer."""

    local: Any  # (n_in, n_pieces, 4): centre and inverse, w = (x - centre) * inverse
    matrices: Any  # (n_in, n_pieces, k + 1, k + 1): power m, highest first, of function first + r
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
    cells, hints = np.full((n_in, CELL_NUMBERS), np.nan, dtype), np.zeros((n_in, 0, row_numbers(3)), dtype)
    lattices = [_lattice(breaks) for breaks in pieces.ends[:, :-1]]
    if all(lattice is not None for lattice in lattices):
        for own, lattice in zip(cells, lattices, strict=True):
            own[: len(lattice)] = lattice
    elif pieces.per_cell.max() <= _BREAKS_PER_CELL:
        n_cells = pieces.hint.shape[1]
        cells[:, :3] = np.stack([pieces.origin, pieces.cells_per_unit, np.full(n_in, n_cells - 1)], axis=1)
        ends = np.pad(pieces.ends, ((0, 0), (0, 1)), constant_values=np.nan)
        hints = np.zeros((n_in, n_cells, row_numbers(3)), dtype)
        hints[..., 0] = pieces.hint
        for number in range(_BREAKS_PER_CELL):
            hints[..., 1 + number] = np.take_along_axis(ends, pieces.hint + number, axis=1)
    else:
        return None
    first = pieces.first[:, None] + np.arange(k + 1)[:, None]
    return DirectTables(local, pieces.poly[..., : k + 1], cells, hints, first.astype(np.int32))


def _lattice(breaks: FloatArray) -> Any:
    """Return left, rate, top and outer breaks for which cells are pieces, or None if breaks are not equally spaced."""
    inner, outer = breaks[1:-1], [breaks[0], breaks[-1]]
    if len(inner) == 0:
        return [0, 0, 0, *outer]
    dtype = breaks.dtype.type
    tick = float(np.finfo(dtype).eps * abs(breaks).max())
    low, count = float(inner[0]), len(inner)
    step = (float(inner[-1]) - low) / (count - 1) if count > 1 else low - float(breaks[0])
    if not (step > 0 and np.isfinite(1 / step)):
        return None
    left, rate, top = dtype(low - step - _SLACK / 4 * tick), dtype(1 / step), dtype(count)
    below = (inner - dtype(_SLACK * tick)).astype(dtype)
    with np.errstate(over="ignore"):
        at, before = (np.clip(np.floor((x - left) * rate), 0, count) for x in (inner, below))
    numbers = np.arange(count)
    return [left, rate, top, *outer] if (at == numbers + 1).all() and (before == numbers).all() else None
