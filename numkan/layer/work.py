"""The scratch memory of layer kernels, and how long and wide its parts are.

Kernels work in memory that their thread keeps, because fresh memory costs as much as the work of a small layer. Sizes
follow from the layer alone, so they change no bit from one call to the next, or from one thread to another.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from numkan._rows import tile_vectors
from numkan._simd import lanes_of

__all__ = ["BLOCK", "Work", "aligned_empty", "block_rows", "gradient_space", "row_width", "workspace"]

BLOCK = 128  # samples at least; a multiple of any vector

#: The tile of outputs that is in hand stays in the first-level cache for all samples of a block.
_TILES_BYTES = 1 << 15

#: Blocks grow with the number of pieces, so that a run has about so many samples: rows are loaded once a run.
_RUN = 16
_LONGEST_BLOCK = 8 * BLOCK

#: What is prepared at once: 16 inputs, or fewer of the longest blocks.
_INPUTS, _PREPARED = 16, 64 * BLOCK

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class Work(NamedTuple):
    """Scratch memory of one thread. Slot j holds input j of the group in hand, in `block` or `stride` places."""

    block: int  # samples
    inputs: int  # of a group
    stride: int  # samples and, behind them, room for the rest of a vector
    width: int  # numbers from one row of outputs to the next, see `row_width`
    points: Any  # (stride,) the points of one input
    found: Any  # (stride,) their pieces, as the dtype's numbers
    ordered: Any  # (stride,) the points sorted, and once b(x) is known, made finite
    piece: Any  # (block,) int32: their pieces
    rank: Any  # (block,) int32: how many samples before are of the same piece
    places: Any  # (most pieces,) int64: samples of each piece, then where they begin
    order: Any  # (inputs * block,) int32: samples, sorted by piece
    n_runs: Any  # (inputs,) int64
    run_piece: Any  # (inputs * block,) int64
    run_end: Any  # (inputs * block,) int64: place in `order` behind the last sample of a run, within its slot
    run_row: Any  # (inputs * block,) int64: where in the packed coefficients its first row begins
    basis: Any  # (inputs * (k + 2) * stride,) k + 1 functions and b of the sorted samples
    slope: Any  # like basis: derivatives by x
    out: Any  # (block * width,) outputs of the block


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Any:
    """Return an uninitialized 1-D array that begins on a cache line; vectors that straddle two cost up to 25 %."""
    raw = np.empty(size + _ALIGNMENT // dtype.itemsize, dtype)
    offset = -raw.__array_interface__["data"][0] % _ALIGNMENT // dtype.itemsize
    return raw[offset : offset + size]


def block_rows(n_pieces: int, tile_bytes: int) -> int:
    """Return how many samples a layer takes at once, with so many pieces and so many bytes of outputs in hand."""
    block = BLOCK
    while block < min(max(_RUN * n_pieces, _TILES_BYTES // tile_bytes), _LONGEST_BLOCK):
        block *= 2
    return block


def row_width(width: int, dtype: np.dtype[Any]) -> int:
    """Return the numbers from one row of `width` outputs to the next.

    Tiles of wide rows one power of two apart would share a few sets of the first-level cache, and wait for stores to
    addresses that look the same: a vector between them is worth 20 %.
    """
    return width + lanes_of(dtype) if width > 4 * lanes_of(dtype) else width


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


def gradient_space(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Any:
    """Return this thread's memory for a gradient of that shape, all zero."""
    size = shape[0] * shape[1] * shape[2]
    space = getattr(_local, f"gradient {dtype}", None)
    if space is None or space.size < size:
        space = aligned_empty(size, dtype)
        setattr(_local, f"gradient {dtype}", space)
    space[:size] = 0
    return space[:size].reshape(shape)


def _new_work(dtype: np.dtype[Any], k: int, most_pieces: int, width: int) -> Work:
    tile = min(width, tile_vectors(k) * lanes_of(dtype))
    block = block_rows(most_pieces // 2, tile * dtype.itemsize)
    inputs = min(_INPUTS, _PREPARED // block)
    stride = block + lanes_of(dtype)

    def floats(size: int) -> Any:
        array = aligned_empty(size, dtype)
        array[:] = 0  # the rest of a vector is computed with, and must not be slow
        return array

    def integers(size: int) -> Any:
        return np.zeros(size, np.int64)

    return Work(
        block=block,
        inputs=inputs,
        stride=stride,
        width=row_width(width, dtype),
        points=floats(stride),
        found=floats(stride),
        ordered=floats(stride),
        piece=np.zeros(block, np.int32),
        rank=np.zeros(block, np.int32),
        places=integers(most_pieces),
        order=np.zeros(inputs * block, np.int32),
        n_runs=integers(inputs),
        run_piece=integers(inputs * block),
        run_end=integers(inputs * block),
        run_row=integers(inputs * block),
        basis=floats(inputs * (k + 2) * stride),
        slope=floats(inputs * (k + 2) * stride),
        out=floats(block * row_width(width, dtype)),
    )
