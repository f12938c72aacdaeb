"""The table of local polynomials that a layer's kernels read: flat, in the order in which they read it."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan._simd import lanes_of, lookup_entries
from numkan.layer.prepare import aligned_empty
from numkan.spline.pieces import Pieces

__all__ = ["polynomial_table", "table_entries"]


def table_entries(pieces: Pieces) -> int:
    """Return how many entries the look-up tables of a grid have; 0 where it has too many pieces for look-ups."""
    dtype = pieces.poly.dtype
    return lookup_entries(max(pieces.first.shape[1], lanes_of(dtype) + 1), dtype)


def polynomial_table(pieces: Pieces) -> Any:
    """Return the flat table: rows of k + 1 functions, or for look-ups one table for each number of a piece.

    The look-up tables of an input are centre, inverse, and the coefficient of each power (highest first) of each of the
    k + 1 functions.
    """
    entries = table_entries(pieces)
    if not entries:
        return pieces.poly.reshape(-1)
    n_in, n_pieces, powers, _ = pieces.poly.shape
    out = np.zeros((n_in, 2 + powers * powers, entries), pieces.poly.dtype)
    out[:, 0, :n_pieces] = pieces.centre
    out[:, 1, :n_pieces] = pieces.inverse
    out[:, 2:, :n_pieces] = pieces.poly[..., :powers].transpose(0, 2, 3, 1).reshape(n_in, powers * powers, n_pieces)
    table = aligned_empty(out.size, out.dtype)
    table[:] = out.reshape(-1)
    return table
