"""The scratch memory of layer kernels, and how long and wide its parts are.

Kernels work in memory that their thread keeps, because fresh memory costs as much as the work of a small layer. Sizes
follow from the layer alone, so they change no bit from one call to the next, or from one thread to another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from numkan.simd.groups import group_room
from numkan.simd.vectors import lanes_of

__all__ = [
    "BLOCK",
    "LONGEST_BLOCK",
    "Work",
    "aligned_empty",
    "block_rows",
    "borrowed",
    "lent",
    "workspace",
]

T = TypeVar("T")

BLOCK = 128  # samples at least; a multiple of any vector

#: Blocks are so long at least that the tile of outputs in hand fills half the first-level cache.
_TILES_BYTES = 1 << 14

#: Blocks grow with the number of pieces, so that a run has about so many samples: its polynomials are made once a run,
#: and all coefficients go through the caches once a block.
_RUN, LONGEST_BLOCK = 64, 16 * BLOCK

#: What is prepared at once: 16 inputs, or 12 of the longest blocks. The outputs of a block come from the third-level
#: cache once for all of them, their numbers should stay in the second.
_INPUTS, _PREPARED = 16, 192 * BLOCK

_CACHE_LINE = 64  # bytes, as many as the widest vector has

#: A thread keeps memory of so many bytes at most for what a call needs once.
_KEPT_BYTES = 1 << 26


class Work(NamedTuple):
    """Scratch memory of one thread. Slot j holds input j of the group in hand, in `stride` places."""

    block: int  # samples
    inputs: int  # of a group
    runs: int  # room for the runs of a slot
    stride: int  # samples and, behind them, room for the rest of the last vector, and the rest of a vector
    points: Any  # (inputs * stride,) the points of a group
    piece: Any  # (block,) int32: pieces of the points of one input
    rank: Any  # (block,) int32: how many samples before are of the same piece
    places: Any  # (most pieces,) int64: samples of each piece, then where they begin
    ordered: Any  # (slots * stride,) the points, sorted by piece
    order: Any  # (slots * stride,) uint16: samples in that order
    n_runs: Any  # (slots,) int64
    run_piece: Any  # (slots * runs,) int64: pieces of all inputs are counted
    run_end: Any  # (slots * runs,) int64: place in `order` behind the last sample of a run, within its slot
    run_row: Any  # (slots * runs,) int64: where in the packed coefficients its first row begins
    base: Any  # (stride,) b of the sorted samples of one input
    base_slope: Any  # (stride,)
    numbers: Any  # of the sorted samples, in groups (``_groups.py``), one slot after the other:
    slope: Any  # k + 1 functions and b, and here their derivatives by x (``prepare.py``)
    out: Any  # (block * width,) outputs of the block in tiles (``tiles.py``), or in rows (``edges.py``, tangents)


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Any:
    """Return an uninitialized 1-D array that begins on a cache line; vectors that straddle two cost up to 25 %."""
    raw = np.empty(size + _CACHE_LINE // dtype.itemsize, dtype)
    offset = -raw.__array_interface__["data"][0] % _CACHE_LINE // dtype.itemsize
    return raw[offset : offset + size]


def block_rows(n_pieces: int, tile_bytes: int) -> int:
    """Return how many samples a layer takes at once, with so many pieces and so many bytes of outputs in hand."""
    block = BLOCK
    while block < min(max(_RUN * n_pieces, _TILES_BYTES // tile_bytes), LONGEST_BLOCK):
        block *= 2
    return block


_local = threading.local()


def workspace(dtype: np.dtype[Any], k: int, n_pieces: int, width: int) -> Work:
    """Return this thread's scratch memory for layers of degree `k`, so many pieces and padded output width `width`."""
    spaces: dict[tuple[Any, ...], Work] | None = getattr(_local, "spaces", None)
    if spaces is None:
        spaces = _local.spaces = {}
    most_pieces = 1 << n_pieces.bit_length()
    key = (dtype, k, most_pieces, width)
    work = spaces.get(key)
    if work is None:
        work = spaces[key] = _new_work(dtype, k, most_pieces, width)
    return work


@contextmanager
def lent(name: str, key: Any, make: Callable[[], tuple[T, int]]) -> Iterator[T]:
    """Lend what `make` returns with the bytes that it takes, which this thread keeps for whoever comes with this `key`.

    Like :func:`borrowed`, for what is more than one array: to put it together takes Python tens of microseconds.
    """
    kept = _local.__dict__.pop(name, None)
    if kept is None or kept[0] != key:
        kept = None  # its memory is free for the other
        kept = key, *make()
    yield kept[1]
    if kept[2] <= _KEPT_BYTES:
        _local.__dict__[name] = kept


@contextmanager
def borrowed(name: str, size: int, dtype: np.dtype[Any]) -> Iterator[Any]:
    """Lend a flat array of this thread's memory, uninitialized: the system takes long to hand out megabytes.

    A nested request for the same name, as of a user's function that is called meanwhile, gets a fresh array. After an
    error the array is dropped: a helper may still write into it.
    """
    key = f"{name} {dtype.char}"  # a dtype's full name takes microseconds
    space = _local.__dict__.pop(key, None)
    if space is None or space.size < size:
        space = aligned_empty(size, dtype)
    yield space[:size]
    if space.nbytes <= _KEPT_BYTES:
        _local.__dict__[key] = space


def _new_work(dtype: np.dtype[Any], k: int, most_pieces: int, width: int) -> Work:
    tile = min(width, 4 * lanes_of(dtype))
    block = block_rows(most_pieces // 2, tile * dtype.itemsize)
    inputs = min(_INPUTS, _PREPARED // block)
    stride, runs = block + lanes_of(dtype), min(block, most_pieces)
    numbers = inputs * group_room(block, runs, k + 2, dtype)

    def floats(size: int) -> Any:
        array = aligned_empty(size, dtype)
        array[:] = 0  # the rest of a vector is computed with, and must not be slow
        return array

    def integers(size: int) -> Any:
        return np.zeros(size, np.int64)

    return Work(
        block=block,
        inputs=inputs,
        runs=runs,
        stride=stride,
        points=floats(inputs * stride),
        piece=np.zeros(block, np.int32),
        rank=np.zeros(block, np.int32),
        places=integers(most_pieces),
        ordered=floats(inputs * stride),
        order=np.zeros(inputs * stride, np.uint16),
        n_runs=integers(inputs),
        run_piece=integers(inputs * runs),
        run_end=integers(inputs * runs),
        run_row=integers(inputs * runs),
        base=floats(stride),
        base_slope=floats(stride),
        numbers=floats(numbers),
        slope=floats(numbers),
        out=floats(block * width),
    )
