"""Rows of collections of dask as tasks get them: in chunks as they are, which each task cuts for itself.

Tasks that cut chunks and put rows together cost dask more than the work itself where chunks are no larger than what a
few tasks need. Larger chunks would be sent to each worker as a whole, so tasks of their own cut what a piece needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Piece", "pieces_of", "rows_of_piece"]

#: A chunk is cut by tasks of its own if it has the rows of more tasks than this.
_MOST_USES = 8

#: Dask joins chunks if there are more for each piece. As arguments of tasks they cost the client a time that grows with
#: the square of their number, in each pass.
_MOST_CHUNKS = 2


class Piece(NamedTuple):
    """Rows that follow each other."""

    chunks: list[Any]  # delayed arrays, one below the other
    skip: int  # rows of the first chunk before them
    length: int


def pieces_of(values: Any, size: int) -> Iterator[Piece]:
    """Yield the rows of an array of dask in pieces of `size`, the last one shorter."""
    from dask import delayed

    many = len(values.chunks[0]) > _MOST_CHUNKS * -(-values.shape[0] // size)
    wanted = ({0: size} if many else {}) | ({1: -1} if values.ndim == 2 else {})
    whole = values.rechunk(wanted) if wanted else values
    chunks, lengths = whole.to_delayed().ravel().tolist(), whole.chunks[0]
    starts = [0, *accumulate(lengths)]
    first = 0
    for begin in range(0, starts[-1], size):
        end = min(begin + size, starts[-1])
        while starts[first + 1] <= begin:
            first += 1
        taken, skip, number = list[Any](), begin - starts[first], first
        while number < len(chunks) and starts[number] < end:
            if lengths[number] > _MOST_USES * size:
                low, high = (min(max(at - starts[number], 0), lengths[number]) for at in (begin, end))
                taken.append(delayed(_cut, pure=False)(chunks[number], low, high))
                skip = 0 if number == first else skip
            elif lengths[number]:
                taken.append(chunks[number])
            number += 1
        yield Piece(taken, skip, end - begin)


def rows_of_piece(chunks: Sequence[Any], skip: int, length: int) -> Any:
    """Return the rows of a piece whose chunks are here."""
    found, left = [], length
    for chunk in chunks:
        found.append(chunk[skip : skip + left])
        left, skip = left - len(found[-1]), 0
    return found[0] if len(found) == 1 else np.concatenate(found)


def _cut(chunk: Any, low: int, high: int) -> Any:
    return chunk[low:high]
