"""The scratch memory of layer kernels, and how many samples and inputs they take at once.

A thread keeps this memory, because fresh memory costs as much as the work of a small layer. Its sizes follow from the
layer alone, so results have the same bits in each call and on each thread.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from numkan.layer.buffers import BLOCK, MAX_BLOCK, aligned_empty
from numkan.simd.vectors import lanes_of

__all__ = ["FOUR", "Group", "Scratch", "highest_power", "scratch_for", "tile_width"]

#: Runs are padded to a multiple of this many samples: their sums over outputs are taken four at once.
FOUR = 4

#: Vectors of a tile of outputs.
_TILE_VECTORS = 4

#: Least size of a block's outputs in one tile, in bytes: half of the first-level cache.
_TILE_BYTES = 1 << 14

#: Blocks grow with the number of pieces, so that a run has about this many samples: its polynomials are made once a
#: run, and all coefficients go through the caches once a block.
_RUN = 64

#: At most this many inputs are prepared at once, and about this many points. The outputs are read from the third-level
#: cache once for all of these inputs; the prepared points should stay in the second-level cache.
_MAX_INPUTS, _MAX_POINTS = 16, 192 * BLOCK


class Group(NamedTuple):
    """Inputs low ... high - 1 at samples begin ... begin + size - 1, which are sorted at once."""

    begin: int
    size: int
    low: int
    high: int


class Scratch(NamedTuple):
    """Scratch memory of one thread.

    Slot j of an array, from j * stride on, belongs to input j of a group. Samples sorted by piece lie in *runs*, one
    for each piece. A run is padded to a multiple of four by a sample with the index `size`, at the centre of the piece.
    """

    block: int  # samples of a block
    inputs: int  # inputs of a group
    stride: int  # length of a slot: samples, the padding of runs, and the rest of a vector
    points: Any  # (inputs * stride,) points, in the order of the samples
    piece: Any  # (stride,) the piece of each sample, for one input, as a float
    ends: Any  # (n_pieces,) int64: first the number of samples in each piece, then the position of its next sample
    offsets: Any  # (inputs * (n_pieces + 1),) int64: where the run of each piece begins in its slot, and the end
    order: Any  # (inputs * stride,) uint16: indices of the samples, sorted by piece
    ordered: Any  # (inputs * stride,) points, in the same order
    powers: Any  # (highest_power(k) * inputs * stride,) w, then w^2, ..., of the sorted samples
    base: Any  # (inputs * stride,) b of the sorted samples
    slope: Any  # (inputs * stride,) b' of the sorted samples
    rows: Any  # ((k + 2) * tile_width,) the polynomials of a piece
    out: Any  # ((block + 1) * width,) outputs of a block in tiles


def highest_power(k: int) -> int:
    """Return the highest power of w that is stored: at degree 0 w itself too, so that NaN is not lost."""
    return max(1, k)


def tile_width(dtype: np.dtype[Any]) -> int:
    """Return the number of outputs in a tile; the last tile of a row may be shorter."""
    return _TILE_VECTORS * lanes_of(dtype)


def block_rows(n_pieces: int, tile_bytes: int) -> int:
    """Return how many samples a layer takes at once, by its number of pieces and the bytes of a sample's tile."""
    block = BLOCK
    while block < min(max(_RUN * n_pieces, _TILE_BYTES // tile_bytes), MAX_BLOCK):
        block *= 2
    return block


_local = threading.local()


def scratch_for(dtype: np.dtype[Any], k: int, n_pieces: int, width: int) -> Scratch:
    """Return this thread's scratch memory for degree `k`, `n_pieces` pieces and `width` padded outputs."""
    spaces: dict[tuple[Any, ...], Scratch] | None = getattr(_local, "spaces", None)
    if spaces is None:
        spaces = _local.spaces = {}
    max_pieces = 1 << n_pieces.bit_length()
    key = (dtype, k, max_pieces, width)
    scratch = spaces.get(key)
    if scratch is None:
        scratch = spaces[key] = _new_scratch(dtype, k, max_pieces, width)
    return scratch


def _new_scratch(dtype: np.dtype[Any], k: int, max_pieces: int, width: int) -> Scratch:
    tile = min(width, tile_width(dtype))
    block = block_rows(max_pieces // 2, tile * dtype.itemsize)
    inputs = min(_MAX_INPUTS, _MAX_POINTS // block)
    stride = block + (FOUR - 1) * min(block, max_pieces) + lanes_of(dtype)
    stride += -stride % lanes_of(dtype)
    size = inputs * stride

    def floats(size: int) -> Any:
        array = aligned_empty(size, dtype)
        array[:] = 0  # kernels compute with the padding too, and subnormal values there would be slow
        return array

    return Scratch(
        block=block,
        inputs=inputs,
        stride=stride,
        points=floats(size),
        piece=floats(stride),
        ends=np.zeros(max_pieces, np.int64),
        offsets=np.zeros(inputs * (max_pieces + 1), np.int64),
        order=np.zeros(size, np.uint16),
        ordered=floats(size),
        powers=floats(highest_power(k) * size),
        base=floats(size),
        slope=floats(size),
        rows=floats((k + 2) * tile),
        out=floats((block + 1) * width),
    )
