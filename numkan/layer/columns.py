r"""The column form of layers: samples are lanes, and what belongs to an input lies in a column of its block.

Where grids have few pieces and a network is small, an edge is not summed over basis functions. Its k + 1 functions on a
piece j and its coefficients are merged into one polynomial first, once for every call,

.. math:: \phi_{io}(x) = E_{io}\, b(x) + \sum_{m=0}^{k} A_{iojm}\, w^m, \qquad
    A_{iojm} = \sum_{r=0}^{k} P_{ijmr}\, C_{i, f_j + r, o},

and a sample then costs k + 1 look-ups by its piece, and as many multiply-adds. A basis function is such a polynomial
too (its coefficients are 0 and 1), which is how gradients get theirs.

This module says what the tables are; where they lie, ``places.py``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numkan._lanes import index_dtype, sample_lanes
from numkan.spline.pieces import Pieces

BLOCK = 128  # samples

#: Registers for the tables of edges; the rest are for samples.
_TABLE_REGISTERS = 16


class ColumnTables(NamedTuple):
    """What look-ups find about the grids of one layer, for every piece; `entries` pieces at most."""

    breaks: Any  # (n_in, entries): where pieces end, then NaN, which no x reaches
    local: Any  # (n_in, 2, entries): centre and inverse, w = (x - centre) * inverse
    poly: Any  # (n_in, k + 1, k + 1, entries): power m, highest first, of function first + r
    functions: Any  # (n_in, G + k, k + 1, entries): power m of function p, most of them zero
    matrices: Any  # (n_in, entries, k + 1, lanes): poly by piece, as in `Pieces`: one sample finds its own together
    first: Any  # (n_in, k + 1, entries) integers: first + r


def column_tables(pieces: Pieces, k: int, n_basis: int, entries: int) -> ColumnTables:
    """Return the tables of a layer's grids."""
    n_in, n_pieces = pieces.first.shape
    dtype, powers = pieces.poly.dtype, k + 1
    breaks = np.full((n_in, entries), np.nan, dtype)
    breaks[:, : n_pieces - 1] = pieces.ends[:, :-1]
    local = np.zeros((n_in, 2, entries), dtype)
    local[:, 0, :n_pieces], local[:, 1, :n_pieces] = pieces.centre, pieces.inverse
    poly = np.zeros((n_in, powers, powers, entries), dtype)
    matrices = np.zeros((n_in, entries, *pieces.poly.shape[2:]), dtype)
    matrices[:, :n_pieces] = pieces.poly
    poly[:] = matrices[..., :powers].transpose(0, 2, 3, 1)
    functions = np.zeros((n_in, n_basis, powers, entries), dtype)
    first = np.zeros((n_in, powers, entries), index_dtype(dtype))
    inputs, places = np.arange(n_in)[:, None], np.arange(n_pieces)
    for r in range(powers):
        functions[inputs, pieces.first + r, :, places] = pieces.poly[..., r]
        first[:, r, :n_pieces] = pieces.first + r
    return ColumnTables(breaks, local, poly, functions, matrices, first)


def edges_together(k: int, dtype: np.dtype[Any], entries: int) -> int:
    """Return how many edges are evaluated at once: as many as have their tables in registers."""
    return max(1, min(4, _TABLE_REGISTERS * sample_lanes(dtype) // ((k + 1) * entries)))


def group(dtype: np.dtype[Any]) -> int:
    """Return how many outputs a gradient is summed for at once, as far as they go; the rest one by one."""
    return min(4, sample_lanes(dtype))


def padded(n: Any, dtype: np.dtype[Any]) -> Any:
    """Return n rounded up to whole vectors."""
    lanes = sample_lanes(dtype)
    return -(-n // lanes) * lanes
