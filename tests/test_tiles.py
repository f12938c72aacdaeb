"""numkan.layer.tiles: rows of outputs into tiles and back, against NumPy's indexing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from numkan.layer.rows import tile_vectors
from numkan.layer.tiles import from_tiles, into_tiles
from numkan.simd.vectors import lanes_of
from tests.laws import Array, assert_identical

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
BLOCK = 16


def tiled(rows: Array, k: int, width: int) -> Array:
    """Return the rows of one block as they lie in tiles."""
    step = lanes_of(rows.dtype)
    tile = tile_vectors(k) * step
    padded = np.zeros((len(rows), width), rows.dtype)
    padded[:, : rows.shape[1]] = rows
    cuts = [*range(0, width // tile * tile, tile), *range(width // tile * tile, width + 1, step)]
    return np.concatenate([padded[:, a:b].reshape(-1) for a, b in pairwise(cuts)])


def sizes(k: int, dtype: np.dtype[Any]) -> list[tuple[int, int]]:
    """Return numbers of outputs and their padded widths: with and without padding, in whole tiles and behind them."""
    step = lanes_of(dtype)
    tile = tile_vectors(k) * step
    outs = {1, step - 1, step, tile - 1, tile, tile + 1, 2 * tile, 2 * tile + step + 1}
    return [(n_out, -(-n_out // step) * step) for n_out in sorted(outs)]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("k", [1, 3, 5, 11])  # tiles of one to four vectors
def test_rows_lie_in_tiles_block_by_block_and_come_back(k: int, dtype: np.dtype[Any]) -> None:
    read, write, add = into_tiles(k, dtype), from_tiles(k, dtype), from_tiles(k, dtype, adds=True)
    for n_out, width in sizes(k, dtype):
        for n in (0, 1, BLOCK, 2 * BLOCK + 3):
            rows = np.random.default_rng(n).normal(size=(n, n_out)).astype(dtype)
            tiles = np.full(n * width, np.nan, dtype)
            read(rows, tiles, width, BLOCK)
            want = [tiled(rows[begin : begin + BLOCK], k, width) for begin in range(0, n, BLOCK)]
            assert_identical(tiles, np.concatenate([tiles[:0], *want]), f"{n} rows of {n_out}")
            again = np.full((n + 1, n_out), 7, dtype)  # the last row is another block's
            for begin in range(0, n, BLOCK):
                count = min(BLOCK, n - begin)
                write(tiles[begin * width :], count, width, again.reshape(-1), begin, n_out)
            assert_identical(again[:n], rows)
            for begin in range(0, n, BLOCK):
                count = min(BLOCK, n - begin)
                add(tiles[begin * width :], count, width, again.reshape(-1), begin, n_out)
            assert_identical(again[:n], rows + rows)
            assert (again[n] == 7).all()
