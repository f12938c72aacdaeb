"""Outputs of a block of samples, or their cotangents, tile by tile.

A *tile* is a few vectors of a sample's outputs, which ``runs.py`` takes at once; where no whole tile is left, it is a
single vector. In rows of many outputs the tiles of two samples lie far apart, and if the length of a row is a power of
two, they share a few sets of the first-level cache. So the kernels of a layer keep the tiles of a block together: the
tiles of the outputs from v on, of `count` samples and then of the padding, begin at ``v * (count + 1)``. That saves a
wide layer a quarter of its time (256-bit vectors).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.scratch import tile_width
from numkan.simd.vectors import lanes_of, vector_ops

__all__ = ["copy_rows", "from_tiles", "into_tiles"]


@cache
def copy_rows(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that copies rows between flat arrays of different row widths.

    Its loops are written out because compilers make scalar loops of slice assignments.
    """
    step, load, store, *_ = vector_ops(lanes_of(dtype))

    @kernel
    def copy(source, source_begin, source_width, target, target_begin, target_width, n_rows, n_columns):  # type: ignore[no-untyped-def]
        whole = n_columns // step * step
        for s in range(n_rows):
            read = source_begin + s * source_width
            write = target_begin + s * target_width
            for o in range(0, whole, step):
                store(target, write + o, load(source, read + o))
            for o in range(whole, n_columns):
                target[write + o] = source[read + o]

    return copy


@cache
def from_tiles(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that writes the tiles of a block into rows."""
    copy, tile, step = copy_rows(dtype), tile_width(dtype), lanes_of(dtype)

    @kernel
    def write(tiles, count, width, rows, begin, n_out):  # type: ignore[no-untyped-def]
        """Fill rows begin ... begin + count - 1 of `rows`, flat, with n_out entries each; width: n_out, padded."""
        whole = width // tile * tile
        for v in range(0, whole, tile):
            copy(tiles, v * (count + 1), tile, rows, begin * n_out + v, n_out, count, min(tile, n_out - v))
        for v in range(whole, width, step):
            copy(tiles, v * (count + 1), step, rows, begin * n_out + v, n_out, count, min(step, n_out - v))

    return write


@cache
def into_tiles(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that reads rows into tiles, block by block."""
    copy, tile = copy_rows(dtype), tile_width(dtype)
    step, _, store, splat, *_ = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def read(rows, tiles, width, block):  # type: ignore[no-untyped-def]
        """Fill tiles from rows (n, n_out), and the padding of samples and outputs with 0; width: n_out, padded."""
        n, n_out = rows.shape
        flat, start = rows.reshape(-1), 0
        for begin in range(0, n, block):
            count = min(block, n - begin)
            v = 0
            while v < width:
                own, to = tile if v + tile <= width else step, start + v * (count + 1)
                first = to if own > n_out - v else to + count * own
                for at in range(first, to + (count + 1) * own, step):
                    store(tiles, at, splat(zero))
                copy(flat, begin * n_out + v, n_out, tiles, to, own, count, min(own, n_out - v))
                v += own
            start += (count + 1) * width

    return read
