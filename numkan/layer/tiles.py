"""Outputs of a block of samples, or their cotangents, tile by tile.

A *tile* is what ``rows.py`` takes at once: the next few vectors of a sample's outputs; what whole tiles leave over
goes by single vectors. In rows of many outputs the tiles of two samples lie far apart, and where rows are a power of
two long they share a few sets of the first-level cache. So the kernels of a layer keep the tiles of a block together:
the tile of output v, for `count` samples one behind the other, begins at ``v * count``. That saves a wide layer a
quarter of its time (256-bit vectors).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.rows import tile_vectors
from numkan.simd.vectors import lanes_of, vector_ops

__all__ = ["copy_rows", "from_tiles", "into_tiles"]


@cache
def copy_rows(dtype: np.dtype[Any], adds: bool = False) -> Any:
    """Return the kernel that copies rows between flat arrays of different row widths, or adds them to what is there.

    It is written out because compilers leave a scalar loop.
    """
    step, load, store, splat, fma, *_ = vector_ops(lanes_of(dtype))
    one = dtype.type(1)

    @kernel
    def copy(source, source_begin, source_width, target, target_begin, target_width, n_rows, n_columns):  # type: ignore[no-untyped-def]
        whole = n_columns // step * step
        for s in range(n_rows):
            read = source_begin + s * source_width
            write = target_begin + s * target_width
            for o in range(0, whole, step):
                value = load(source, read + o)
                store(target, write + o, fma(splat(one), value, load(target, write + o)) if adds else value)
            for o in range(whole, n_columns):
                target[write + o] = target[write + o] + source[read + o] if adds else source[read + o]

    return copy


@cache
def from_tiles(k: int, dtype: np.dtype[Any], adds: bool = False) -> Any:
    """Return the kernel that writes the tiles of a block into rows, or adds them, for degree `k` and a dtype."""
    copy, step = copy_rows(dtype, adds), lanes_of(dtype)
    tile = tile_vectors(k) * step

    @kernel
    def write(tiles, count, width, rows, begin, n_out):  # type: ignore[no-untyped-def]
        """Fill, or add to, rows begin ... begin + count - 1 of `rows`, flat, n_out numbers each.

        width: n_out, padded.
        """
        whole, to = width // tile * tile, begin * n_out
        for v in range(0, whole, tile):
            copy(tiles, v * count, tile, rows, to + v, n_out, count, min(tile, n_out - v))
        for v in range(whole, width, step):
            copy(tiles, v * count, step, rows, to + v, n_out, count, min(step, n_out - v))

    return write


@cache
def into_tiles(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that reads rows into tiles, block by block, for degree `k` and a dtype."""
    copy = copy_rows(dtype)
    step, _, store, splat, *_ = vector_ops(lanes_of(dtype))
    tile, zero = tile_vectors(k) * step, dtype.type(0)

    @kernel
    def read(rows, tiles, width, block):  # type: ignore[no-untyped-def]
        """Fill tiles (n * width,) from rows (n, n_out); width: n_out, padded with zeros."""
        n, n_out = rows.shape
        flat, whole = rows.reshape(-1), width // tile * tile
        last = whole - tile if whole == width else width - step  # the tile with the padding
        for begin in range(0, n, block):
            count = min(block, n - begin)
            start, source = begin * width, begin * n_out
            for at in range(start + (last if n_out < width else width) * count, start + width * count, step):
                store(tiles, at, splat(zero))
            for v in range(0, whole, tile):
                copy(flat, source + v, n_out, tiles, start + v * count, tile, count, min(tile, n_out - v))
            for v in range(whole, width, step):
                copy(flat, source + v, n_out, tiles, start + v * count, step, count, min(step, n_out - v))

    return read
