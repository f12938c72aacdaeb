"""numkan.layer.tiles: rows of outputs into tiles and back, against NumPy's indexing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from numkan.conformance.adapter import Array
from numkan.conformance.law import assert_identical
from numkan.layer.scratch import tile_width
from numkan.layer.tiles import from_tiles, into_tiles
from numkan.simd.vectors import lanes_of

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
BLOCK = 16


def tiled(rows: Array, width: int) -> Array:
    """Return the rows of one block, and one of zeros, as they lie in tiles."""
    step, tile = lanes_of(rows.dtype), tile_width(rows.dtype)
    padded = np.zeros((len(rows) + 1, width), rows.dtype)
    padded[:-1, : rows.shape[1]] = rows
    cuts = [*range(0, width // tile * tile, tile), *range(width // tile * tile, width + 1, step)]
    return np.concatenate([padded[:, a:b].reshape(-1) for a, b in pairwise(cuts)])


def sizes(dtype: np.dtype[Any]) -> list[tuple[int, int]]:
    """Return numbers of outputs and their padded widths: with and without padding, in whole tiles and after them."""
    step, tile = lanes_of(dtype), tile_width(dtype)
    outs = {1, step - 1, step, tile - 1, tile, tile + 1, 2 * tile, 2 * tile + step + 1}
    return [(n_out, -(-n_out // step) * step) for n_out in sorted(outs)]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_rows_lie_in_tiles_block_by_block_and_come_back(dtype: np.dtype[Any]) -> None:
    read, write = into_tiles(dtype), from_tiles(dtype)
    for n_out, width in sizes(dtype):
        for n in (0, 1, BLOCK, 2 * BLOCK + 3):
            rows = np.random.default_rng(n).normal(size=(n, n_out)).astype(dtype)
            tiles = np.full((n - (-n // BLOCK)) * width, np.nan, dtype)
            read(rows, tiles, width, BLOCK)
            want = [tiled(rows[begin : begin + BLOCK], width) for begin in range(0, n, BLOCK)]
            assert_identical(tiles, np.concatenate([tiles[:0], *want]), f"{n} rows of {n_out}")
            again = np.full((n + 1, n_out), 7, dtype)  # the last row is another block's
            for number, begin in enumerate(range(0, n, BLOCK)):
                count = min(BLOCK, n - begin)
                write(tiles[(begin + number) * width :], count, width, again.reshape(-1), begin, n_out)
            assert_identical(again[:n], rows)
            assert (again[n] == 7).all()
