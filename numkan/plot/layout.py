"""Where the boxes of a network's edges stand, and how large they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray

__all__ = ["Layout", "box_layout", "rows_of"]

_BOX = 0.72  # width of a box, where one of them has width 1 to stand in
_NARROWEST = 0.17  # inches that one box has to stand in, at least
_WRITTEN = 0.5  # the same, where numbers stand below it
_LARGEST = 0.13  # half the height of a box, where a layer has height 1


class Layout(NamedTuple):
    """The boxes of a layer's edges."""

    edges: list[tuple[int, int]]  # (input, output), in the order of the boxes
    boxes: FloatArray  # (n_edges, 4): the middle, across in [0, 1] and up in [0, 1], and the half sizes
    rows: int


def rows_of(n_edges: int, inches: float, scales: bool = False) -> int:
    """Return in how many rows the boxes of a layer are folded, on axes of this width."""
    return max(1, -(-n_edges // max(1, int(inches / (_WRITTEN if scales else _NARROWEST)))))


def box_layout(shown: NDArray[np.bool_], inches: float, scales: bool = False) -> Layout:
    """Return the boxes of the edges (n_in, n_out) that are shown, on axes of this width, with room for scales or not.

    Boxes stand in one row, input by input. Many of them are folded into rows, each shifted against the one below, so
    that the lines to the rows above find a way between.
    """
    edges = [(int(i), int(o)) for i, o in np.argwhere(shown)]
    rows = rows_of(len(edges), inches, scales)
    column, row = np.divmod(np.arange(len(edges)), rows)
    pitch = 1.0 / (max(1, -(-len(edges) // rows)) + (rows - 1) / rows)
    boxes = np.empty((len(edges), 4))
    boxes[:, 0] = (column + 0.5 + row / rows) * pitch
    low, high = (0.5, 0.5) if rows == 1 else (0.3, 0.7) if rows < 4 else (0.2, 0.8)
    step = (high - low) / max(rows - 1, 1)
    boxes[:, 1] = low + step * row
    boxes[:, 2] = min(_BOX * pitch, 0.2) / 2
    boxes[:, 3] = _LARGEST if rows == 1 else min(_LARGEST, (0.26 if scales else 0.42) * step)
    return Layout(edges, boxes, rows)
