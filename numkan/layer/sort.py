"""Samples of a block, sorted by piece: input by input, those of a piece in the order in which they came.

With few pieces all samples are compared with the end of every piece, and a set of bits says which are a piece's own: no
sample waits for another. With many it is a counting sort, after a look-up.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.simd.bits import SAMPLES, bit_ops
from numkan.spline.lookup import find_piece

__all__ = ["sort_kernel"]

#: Up to so many breaks, comparing a point with all of them is faster than looking its piece up.
MOST_COUNTED = 24

#: Of more pieces, a piece has too few of 64 samples for `append_many`.
_MOST_DENSE = 16


@cache
def sort_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that sorts a group of inputs by piece, for a dtype."""
    sort_few, sort_many = _few_kernel(dtype), _many_kernel(dtype)

    @kernel
    def sort(count, low, high, width, n_rows, pieces, at, work):  # type: ignore[no-untyped-def]
        """Fill order, ordered and runs of slots at, at + 1, ... from work.points of inputs low ... high - 1."""
        if pieces.ends.shape[1] - 1 <= MOST_COUNTED:
            sort_few(count, low, high, width, n_rows, pieces, at, work)
        else:
            sort_many(count, low, high, width, n_rows, pieces, at, work)

    return sort


@cache
def _few_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel for few pieces."""
    number, members, append, append_many, carries, _ = bit_ops(dtype)

    @kernel
    def sort(count, low, high, width, n_rows, pieces, at, work):  # type: ignore[no-untyped-def]
        """Arguments as in `sort_kernel`. A NaN has reached no end, so it is of the first piece."""
        ends, reached, points, order, ordered = pieces.ends, work.reached, work.points, work.order, work.ordered
        n_pieces, rounded = ends.shape[1], -(-count // SAMPLES) * SAMPLES
        dense = n_pieces <= _MOST_DENSE
        for i in range(low, high):
            start, begin = (i - low) * work.stride, (at + i - low) * work.stride
            run, end = (at + i - low) * work.runs, begin
            first_run = run
            for s in range(0, rounded, SAMPLES):
                number(points, start + s, ends, i, n_pieces - 1, reached, s)
            for s in range(count, rounded):
                reached[s] = n_pieces  # of none
            for j in range(n_pieces):
                before = end
                for s in range(0, rounded, SAMPLES):
                    own = members(reached, s, j)
                    if own != 0 and dense:
                        end = append_many(own, points, start + s, s, ordered, order, end)
                    elif own != 0:
                        end = append(own, points, start + s, s, ordered, order, end)
                if end > before:
                    work.run_piece[run], work.run_end[run] = i * n_pieces + j, end - begin
                    work.run_row[run] = (i * n_rows + pieces.first[i, j]) * width
                    run += 1
                if end - begin == count:
                    break
            work.n_runs[at + i - low] = run - first_run
            if not (carries and dense):
                for q in range(np.uint64(begin), np.uint64(end)):
                    ordered[q] = points[np.uint64(start) + np.uint64(order[q])]

    return sort


@cache
def _many_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel for many pieces."""

    @kernel
    def sort(count, low, high, width, n_rows, pieces, at, work):  # type: ignore[no-untyped-def]
        """Arguments as in `sort_kernel`; `places` are counts first, then where pieces begin."""
        piece, rank, places, order, ordered = work.piece, work.rank, work.places, work.order, work.ordered
        n_pieces = pieces.ends.shape[1]
        for i in range(low, high):
            points = work.points[(i - low) * work.stride :]
            for j in range(n_pieces):
                places[j] = 0
            for s in range(count):
                own = np.uint32(find_piece(points[s], i, pieces))
                piece[s] = own
                before = places[own]
                rank[s], places[own] = before, before + 1
            run, end = (at + i - low) * work.runs, 0
            first_run = run
            for j in range(n_pieces):
                of_piece = places[j]
                places[j] = end
                if of_piece > 0:
                    end += of_piece
                    work.run_piece[run], work.run_end[run] = i * n_pieces + j, end
                    work.run_row[run] = (i * n_rows + pieces.first[i, j]) * width
                    run += 1
            work.n_runs[at + i - low] = run - first_run
            begin = (at + i - low) * work.stride
            for s in range(count):
                q = np.uint64(begin + places[np.uint32(piece[s])] + rank[s])
                order[q], ordered[q] = s, points[s]

    return sort
