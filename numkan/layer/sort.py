"""Samples of a block, sorted by piece: input by input, those of a piece in the order in which they came.

It is a counting sort, after a look-up.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.spline.pieces import find_kernel

__all__ = ["sort_kernel"]


@cache
def sort_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that sorts a group of inputs by piece, for a dtype."""
    find = find_kernel(dtype)

    @kernel
    def sort(count, low, high, width, n_rows, pieces, at, work):  # type: ignore[no-untyped-def]
        """Fill order, ordered and runs of slots at, at + 1, ... from work.points of inputs low ... high - 1.

        `places` are counts first, then where pieces begin.
        """
        piece, rank, places, order, ordered = work.piece, work.rank, work.places, work.order, work.ordered
        n_pieces = pieces.ends.shape[1]
        for i in range(low, high):
            points = work.points[(i - low) * work.stride :]
            find(points, count, i, pieces, work.numbers, piece)  # which is filled later, and may serve as scratch
            for j in range(n_pieces):
                places[j] = 0
            for s in range(count):
                own = np.uint32(piece[s])
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
