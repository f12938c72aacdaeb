"""numkan._lanes: every operation against NumPy, in the way that kernels run here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan._jit import kernel
from numkan._lanes import fitting_entries, has_lookups, index_dtype, lane_ops, sample_lanes, tile_ops
from numkan._simd import vector_ops

pytestmark = pytest.mark.skipif(not has_lookups(), reason="the host has no look-ups")

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
SIZES = [16, 32]


def tables_of(dtype: np.dtype[Any]) -> list[int]:
    return [entries for entries in SIZES if fitting_entries(entries, dtype) == entries]


CASES = [(dtype, entries) for dtype in FLOATS for entries in tables_of(dtype)]


def named(case: Any) -> str:
    return f"{case[0]}-{case[1]}" if isinstance(case, tuple) else str(case)


def test_tables_grow_by_doubling_to_two_registers() -> None:
    single, double = FLOATS
    assert [fitting_entries(n, single) for n in (1, 16, 17, 32, 33)] == [16, 16, 32, 32, 0]
    assert [fitting_entries(n, double) for n in (1, 15, 16, 17, 33)] == [16, 16, 16, 0, 0]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_find_counts_the_breaks_that_are_reached(case: Any) -> None:
    dtype, entries = case
    load, ops = vector_ops(sample_lanes(dtype)).load, lane_ops(3, dtype, entries, 1)
    store_index, find = ops.store_index, ops.find

    @kernel
    def run(x, breaks, index):
        for s in range(0, x.shape[0], step):
            store_index(index, s, find(breaks, 0, load(x, s)))

    step = sample_lanes(dtype)
    rng = np.random.default_rng(entries)
    for n in (0, 1, entries // 2, entries - 1):
        breaks = np.full(entries, np.nan, dtype)
        breaks[:n] = np.sort(rng.integers(-3, 4, n) / 2)  # with repeats
        x = np.concatenate([rng.uniform(-3, 3, 57), breaks[:n][:4], [np.inf, -np.inf, np.nan]]).astype(dtype)
        x = np.resize(x, 64)
        index = np.zeros(64, index_dtype(dtype))
        run(x, breaks, index)
        np.testing.assert_array_equal(index, (x[:, None] >= breaks).sum(axis=1))


@pytest.mark.parametrize("k", [0, 1, 3, 5])
@pytest.mark.parametrize("case", CASES, ids=named)
def test_edges_are_polynomials_looked_up_and_so_are_their_slopes(case: Any, k: int) -> None:
    dtype, entries = case
    step = sample_lanes(dtype)
    _, load, store, splat, *_ = vector_ops(step)
    tile = 1 if step == 1 else 2
    ops = lane_ops(k, dtype, entries, tile)
    load_index, load_edges, load_scales, add_edges = ops.load_index, ops.load_edges, ops.load_scales, ops.add_edges
    fill_edges, no_slopes, add_slopes, slope = ops.fill_edges, ops.no_slopes, ops.add_slopes, ops.slope

    @kernel
    def run(tables, scales, index, w, b, y, values, slopes):
        edges, factors = load_edges(tables, 0), load_scales(scales, 0)
        for s in range(0, w.shape[0], step):
            piece, at = load_index(index, s), load(w, s)
            add_edges(edges, factors, load(b, s), piece, at, y, s, 64)
            fill_edges(edges, piece, at, values, s, 64)
            sums = no_slopes(at)
            for edge in range(tile):
                sums = add_slopes(sums, tables, edge * (k + 1) * entries, piece, splat(scales[edge]))
            store(slopes, s, slope(sums, at))

    rng = np.random.default_rng(k)
    tables = rng.normal(size=(tile, k + 1, entries)).astype(dtype)
    index = rng.integers(0, entries, 64).astype(index_dtype(dtype))
    w, b = rng.uniform(-1, 1, (2, 64)).astype(dtype)
    w[5] = np.nan
    scales, before = rng.normal(size=tile).astype(dtype), rng.normal(size=(tile, 64)).astype(dtype)
    y, values, slopes = before.reshape(-1).copy(), np.empty(tile * 64, dtype), np.empty(64, dtype)
    run(tables.reshape(-1), scales, index, w, b, y, values, slopes)
    powers = w.astype(float) ** np.arange(k, -1, -1)[:, None]
    terms = tables.astype(float)[:, :, index] * powers
    terms[:, :, 5] = np.nan
    want = before + scales[:, None] * b.astype(float) + terms.sum(axis=1)
    size = abs(before) + abs(scales[:, None] * b) + abs(terms).sum(axis=1)
    bound = 2 * (k + 3) * np.finfo(dtype).eps * size
    got = y.reshape(tile, 64)
    assert np.isnan(got[:, 5]).all()
    assert np.isnan(slopes[5])
    assert (abs(got - want) <= bound)[:, w == w].all()
    bound = 2 * (k + 3) * np.finfo(dtype).eps * abs(terms).sum(axis=1)
    alone = values.reshape(tile, 64)
    assert np.isnan(alone[:, 5]).all()
    assert (abs(alone - terms.sum(axis=1)) <= bound)[:, w == w].all()
    lower = np.arange(k, 0, -1)[:, None] * w.astype(float) ** np.arange(k - 1, -1, -1)[:, None]
    parts = scales.astype(float)[:, None, None] * tables[:, :k][:, :, index] * lower
    size = abs(parts).sum(axis=(0, 1))
    assert (abs(slopes - parts.sum(axis=(0, 1))) <= 4 * (k + 3) * np.finfo(dtype).eps * size)[w == w].all()


@pytest.mark.parametrize("k", [0, 3, 5])
@pytest.mark.parametrize("case", CASES, ids=named)
def test_merged_edges_are_sums_over_the_functions_of_their_pieces(case: Any, k: int) -> None:
    dtype, entries = case
    step, powers = sample_lanes(dtype), k + 1
    merge = lane_ops(k, dtype, entries, 1).merge

    @kernel
    def run(firsts, tables, coefs, edges):
        for lane in range(0, entries, step):
            merge(firsts, lane, tables, lane, coefs, 3, edges, 5 + lane)

    rng = np.random.default_rng(k)
    firsts = rng.integers(0, entries, (powers, entries)).astype(index_dtype(dtype))
    tables = rng.normal(size=(powers, powers, entries)).astype(dtype)
    coefs, edges = rng.normal(size=3 + entries).astype(dtype), np.full(5 + powers * entries, 7, dtype)
    run(firsts.reshape(-1), tables.reshape(-1), coefs, edges)
    terms = tables.astype(float) * coefs[3:].astype(float)[firsts]
    assert (edges[:5] == 7).all()
    bound = 2 * (k + 2) * np.finfo(dtype).eps * abs(terms).sum(axis=1)
    assert (abs(edges[5:].reshape(powers, entries) - terms.sum(axis=1)) <= bound).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_local_keeps_infinity_finite_and_nan_nan(dtype: np.dtype[Any]) -> None:
    step = sample_lanes(dtype)
    _, load, store, splat, *_ = vector_ops(step)
    local = lane_ops(3, dtype, 16, 1).local
    centre, inverse = dtype.type(0.25), dtype.type(0.5)

    @kernel
    def run(x, out):
        for s in range(0, x.shape[0], step):
            store(out, s, local(load(x, s), splat(centre), splat(inverse)))

    x = np.resize(np.array([np.inf, -np.inf, np.nan, 1.5, 0.25], dtype), 16)
    out = np.empty(16, dtype)
    run(x, out)
    largest = np.finfo(dtype).max
    np.testing.assert_array_equal(out[:5], [largest / 2, -largest / 2, np.nan, 0.625, 0])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("columns", [1, 4])
def test_tiles_are_sums_of_products(dtype: np.dtype[Any], columns: int) -> None:
    step = sample_lanes(dtype)
    columns = min(columns, step)
    store = vector_ops(step).store
    rows, width, zeros, add, totals = tile_ops(dtype, columns)
    assert rows * width == step

    @kernel
    def run(f, g, out):
        tile = zeros(f)
        for s in range(0, 64, step):
            tile = add(tile, f, s, 64, g, s, 64)
        store(out, 0, totals(tile))

    rng = np.random.default_rng(columns)
    f, g = rng.normal(size=(rows, 64)).astype(dtype), rng.normal(size=(width, 64)).astype(dtype)
    out = np.empty(step, dtype)
    run(f.reshape(-1), g.reshape(-1), out)
    want, size = f.astype(float) @ g.T.astype(float), abs(f) @ abs(g).T
    assert (abs(out.reshape(rows, width) - want) <= 64 * np.finfo(dtype).eps * size).all()
