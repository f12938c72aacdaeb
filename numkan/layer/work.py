"""The scratch memory of layer kernels, and how long and wide its parts are.

Kernels work in memory that their thread keeps, because fresh memory costs as much as the work of a small layer. Sizes
follow from the layer alone, so they change no bit from one call to the next, or from one thread to another.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from numkan.layer.row_numbers import powers_of
from numkan.layer.rows import tile_vectors
from numkan.simd.bits import bit_ops
from numkan.simd.groups import group_room
from numkan.simd.vectors import lanes_of

__all__ = [
    "BLOCK",
    "LONGEST_BLOCK",
    "Sorted",
    "Work",
    "aligned_empty",
    "block_rows",
    "borrowed",
    "lent",
    "spaces_for",
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
    stride: int  # samples and, behind them, room for the rest of the last vector, and what ``_bits.py`` writes too far
    points: Any  # (inputs * stride,) the points of a group
    reached: Any  # (block,) uint8: how many ends the points of one input have reached, where there are few pieces
    piece: Any  # (block,) int32: pieces of the points of one input
    rank: Any  # (block,) int32: how many samples before are of the same piece
    places: Any  # (most pieces,) int64: samples of each piece, then where they begin
    ordered: Any  # (slots * stride,) the points, sorted by piece; `inputs` slots, or more: see `Sorted`
    order: Any  # (slots * stride,) uint16: samples in that order
    n_runs: Any  # (slots,) int64
    run_piece: Any  # (slots * runs,) int64: pieces of all inputs are counted
    run_end: Any  # (slots * runs,) int64: place in `order` behind the last sample of a run, within its slot
    run_row: Any  # (slots * runs,) int64: where in the packed coefficients its first row begins
    base: Any  # (stride,) b of the sorted samples of one input
    base_slope: Any  # (stride,)
    numbers: Any  # of the sorted samples, in groups (``groups.py``), one slot after the other: ``powers.py``
    rows: Any  # room for a tile of the rows of a piece (``rows.py``)
    out: Any  # (block * width,) outputs of the block in tiles (``tiles.py``), or in rows (``edges.py``, tangents)


class Sorted:
    """The parts of `Work` that tell what was sorted, with a slot for every input of every block of samples.

    Threads share them, each with scratch memory of its own, of which their shorter blocks use a part.
    """

    def __init__(self, work: Work, n: int, n_in: int, block: int) -> None:
        stride = block + work.stride - work.block
        slots = n_in * -(-n // block)
        sizes = dict.fromkeys(("ordered", "order"), slots * stride)
        sizes |= dict.fromkeys(("run_piece", "run_end", "run_row"), slots * work.runs) | {"n_runs": slots}
        parts = {name: aligned_empty(size, getattr(work, name).dtype) for name, size in sizes.items()}
        self.nbytes = sum(part.nbytes for part in parts.values())
        self._changes = {"block": block, "stride": stride, **parts}
        self._own = threading.local()

    def within(self, work: Work) -> Work:
        """Return the calling thread's `work` with them in place of its own; it is put together once."""
        own: Work | None = getattr(self._own, "work", None)
        if own is None:
            own = self._own.work = work._replace(**self._changes)
        return own


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


def spaces_for(shapes: Sequence[tuple[int, int, int]], dtype: np.dtype[Any]) -> list[Any]:
    """Return memory of this thread for packed coefficients of these shapes, or for their gradient, uninitialized.

    It is that of the call before: a thread is in one kernel at a time.
    """
    room = _CACHE_LINE // dtype.itemsize
    sizes = [math.prod(shape) for shape in shapes]
    ends = list(itertools.accumulate(size + -size % room for size in sizes))
    total = ends[-1] if ends else 0
    space = getattr(_local, f"coefficients {dtype.char}", None)
    if space is None or space.size < total:
        space = aligned_empty(total, dtype)
        setattr(_local, f"coefficients {dtype.char}", space)
    begins = [0, *ends[:-1]]
    return [
        space[begin : begin + size].reshape(shape) for begin, size, shape in zip(begins, sizes, shapes, strict=False)
    ]


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

    Who asks for the same name while it is lent, as a user's function might that is called meanwhile, gets another. It
    does not come back from a call that fails, where a helper may still write into it.
    """
    key = f"{name} {dtype.char}"  # a dtype's full name takes microseconds
    space = _local.__dict__.pop(key, None)
    if space is None or space.size < size:
        space = aligned_empty(size, dtype)
    yield space[:size]
    if space.nbytes <= _KEPT_BYTES:
        _local.__dict__[key] = space


def _new_work(dtype: np.dtype[Any], k: int, most_pieces: int, width: int) -> Work:
    tile = min(width, tile_vectors(k) * lanes_of(dtype))
    block = block_rows(most_pieces // 2, tile * dtype.itemsize)
    inputs = min(_INPUTS, _PREPARED // block)
    stride, runs = block + bit_ops(dtype).room, min(block, most_pieces)
    numbers = inputs * group_room(block, runs, max(powers_of(k), k + 2), dtype)

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
        reached=aligned_empty(block, np.dtype(np.uint8)),
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
        rows=floats((k + 2) * tile),
        out=floats(block * width),
    )
