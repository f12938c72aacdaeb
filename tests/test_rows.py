"""numkan.layer.rows: polynomials, moments and sums against their formulas; instructions against memory, by bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import config

from numkan.compile import kernel
from numkan.layer.row_numbers import VALUES, highest_power
from numkan.layer.rows import RowOps, _ops_in_memory, row_ops, tile_vectors
from numkan.simd.groups import group_ops
from numkan.simd.vectors import has_wide_vectors, lanes_of
from numkan.spline.pieces import function_lanes
from tests.laws import Array, assert_identical, assert_within

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
CASES = [(0, 4), (1, 4), (2, 3), (3, 1), (3, 4), (5, 3)]
SAMPLES, FIRST, LAST = 39, 6, 2  # samples of a run: whole groups and some; where their numbers and their order begin
PIECE = 5  # where the polynomials begin


def in_groups(numbers: Array) -> Array:
    """Return numbers (rows, SAMPLES) of a run as they lie in groups from FIRST on."""
    rows, dtype = len(numbers), numbers.dtype
    size, place, behind, _ = group_ops(rows, dtype)
    groups = np.full(behind(FIRST, SAMPLES), 9, dtype)
    for s in range(SAMPLES):
        groups[place(FIRST, s) + size * np.arange(rows)] = numbers[:, s]
    return groups


def results(ops: RowOps, k: int, dtype: np.dtype[Any], vectors: int) -> dict[str, Any]:
    """Run every operation over the same numbers."""
    load, load_slopes, clear, store, add_outputs, add_moments, add_totals = ops
    tile, lanes = vectors * lanes_of(dtype), function_lanes(k)
    width, begin = tile + 2, 3  # rows that do not begin at whole vectors
    rng = np.random.default_rng(k)
    w = rng.uniform(-1, 1, SAMPLES).astype(dtype)
    b, slope = rng.normal(size=(2, SAMPLES)).astype(dtype)
    powers = np.array([w**p for p in range(1, highest_power(k) + 1)] + [b, slope], dtype)
    values, powers_in_groups = in_groups(np.array([w, b])), in_groups(powers)
    coefs, out, poly, totals = (
        rng.normal(size=size).astype(dtype)
        for size in ((k + 4) * width, begin + (SAMPLES + 1) * tile, PIECE + (k + 1) * lanes, SAMPLES + LAST + 2)
    )
    order = np.concatenate([[99] * LAST, rng.permutation(SAMPLES), [99] * 4]).astype(np.uint16)
    grad, shares, last, end = coefs.copy(), totals.copy(), (k + 3) * width, LAST + SAMPLES
    room, inverse = np.empty((k + 2) * tile, dtype), dtype.type(0.75)

    @kernel
    def outputs(coefs, poly, values, order, out, room):  # type: ignore[no-untyped-def]
        add_outputs(load(coefs, width, width, last, poly, PIECE, room), values, FIRST, order, LAST, end, out, begin)

    @kernel
    def moments(grad, poly, powers, order, out, room):  # type: ignore[no-untyped-def]
        rows = add_moments(clear(grad, width, width, room), powers, FIRST, order, LAST, end, out, begin)
        store(rows, grad, width, width, last, poly, PIECE)

    @kernel
    def sums(coefs, poly, powers, order, out, room, totals):  # type: ignore[no-untyped-def]
        rows = load_slopes(coefs, width, width, last, poly, PIECE, room, inverse)
        add_totals(rows, powers, FIRST, order, LAST, end, out, begin, totals, 1)

    before = out.copy()
    moments(grad, poly, powers_in_groups, order, out, room)
    sums(coefs, poly, powers_in_groups, order, out, room, shares)
    outputs(coefs, poly, values, order, out, room)
    return {
        "coefs": coefs, "w": w, "b": b, "slope": slope, "poly": poly, "inverse": inverse, "before": before, "out": out,
        "grad": grad, "totals": totals, "shares": shares, "order": order, "width": width, "begin": begin, "tile": tile,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("k", "vectors"), CASES, ids=str)
def test_operations_are_their_formulas(k: int, vectors: int, dtype: np.dtype[Any]) -> None:
    got = results(row_ops(k, dtype, vectors), k, dtype, vectors)
    width, begin, tile, eps = got["width"], got["begin"], got["tile"], np.finfo(dtype).eps
    order = got["order"][LAST : LAST + SAMPLES]
    wide = {name: value.astype(float) for name, value in got.items() if isinstance(value, np.ndarray)}
    rows = wide["coefs"].reshape(-1, width)[[*range(1, k + 2), k + 3], :tile]
    P = wide["poly"][PIECE:].reshape(k + 1, -1)[:, : k + 1]  # highest power first
    powers = wide["w"] ** np.arange(k, -1, -1)[:, None]
    functions = np.concatenate([P.T @ powers, wide["b"][None]])  # of a sample: what its rows are multiplied by
    slopes = np.concatenate([P[:k].T @ (np.arange(k, 0, -1)[:, None] * powers[1:]), wide["slope"][None]])
    slopes[:-1] *= float(got["inverse"])
    # the same sums, of magnitudes
    of_functions = np.concatenate([abs(P.T) @ abs(powers), abs(wide["b"])[None]])
    of_slopes = np.concatenate([k * abs(P.T) @ np.ones_like(powers), abs(wide["slope"])[None]])

    before, out = (wide[name][begin : begin + SAMPLES * tile].reshape(-1, tile)[order] for name in ("before", "out"))
    size = of_functions.T @ abs(rows) + 1 + abs(before)
    assert_within(out, before + functions.T @ rows, 4 * (k + 2) * eps * size, "outputs")
    beside = np.r_[0:begin, begin + SAMPLES * tile : len(got["out"])]
    assert_identical(got["out"][beside], got["before"][beside], "what lies beside the tiles")

    grad, kept = (wide[name].reshape(-1, width) for name in ("grad", "coefs"))
    want, size = kept.copy(), abs(kept)
    want[[*range(1, k + 2), k + 3], :tile] += functions @ before
    size[[*range(1, k + 2), k + 3], :tile] += of_functions @ abs(before)
    assert_within(grad, want, 4 * (SAMPLES + k) * eps * size, "gradient")
    assert_identical(grad[[0, k + 2]], kept[[0, k + 2]], "what lies between rows")

    sums = slice(1 + LAST, 1 + LAST + SAMPLES)
    bound = 8 * (k + 2) * eps * (1 + (of_slopes.T @ abs(rows) * abs(before)).sum(axis=1) + abs(wide["totals"][sums]))
    share = ((slopes.T @ rows) * before).sum(axis=1)
    assert_within(wide["shares"][sums], wide["totals"][sums] + share, bound, "totals")
    assert_identical(np.delete(got["shares"], np.r_[sums]), np.delete(got["totals"], np.r_[sums]), "other totals")


@pytest.mark.jit
@pytest.mark.skipif(config.BOUNDSCHECK == 1, reason="both ways are one")
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("k", "vectors"), CASES, ids=str)
def test_registers_and_memory_give_the_same_bits(k: int, vectors: int, dtype: np.dtype[Any]) -> None:
    got = results(row_ops(k, dtype, vectors), k, dtype, vectors)
    want = results(_ops_in_memory(k, dtype, vectors), k, dtype, vectors)
    for name in ("out", "grad", "shares"):
        assert_identical(got[name], want[name], name)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_no_sample_is_lost_that_is_not_a_number(dtype: np.dtype[Any]) -> None:
    """At degree 0 too, where no sum needs w."""
    ops, lanes = row_ops(0, dtype, 1), lanes_of(dtype)
    load, load_slopes, clear, store, add_outputs, add_moments, add_totals = ops
    poly = np.zeros(function_lanes(0), dtype)
    poly[0] = 1
    order, coefs, grad = np.zeros(4, np.uint16), np.ones(2 * lanes, dtype), np.zeros(2 * lanes, dtype)
    out, bars, sums = np.ones(lanes, dtype), np.ones(lanes, dtype), np.zeros(1, dtype)
    room = np.empty(2 * lanes, dtype)
    nan = np.full(64, np.nan, dtype)
    nan[group_ops(VALUES, dtype).size :] = 0  # the base function and its slope vanish

    @kernel
    def run(coefs, poly, numbers, order, out, bars, grad, sums, room):  # type: ignore[no-untyped-def]
        add_outputs(load(coefs, 0, lanes, lanes, poly, 0, room), numbers, 0, order, 0, 1, out, 0)
        rows = add_moments(clear(grad, 0, lanes, room), numbers, 0, order, 0, 1, bars, 0)
        store(rows, grad, 0, lanes, lanes, poly, 0)
        slopes = load_slopes(coefs, 0, lanes, lanes, poly, 0, room, coefs[0])
        add_totals(slopes, numbers, 0, order, 0, 1, bars, 0, sums, 0)

    run(coefs, poly, nan, order, out, bars, grad, sums, room)
    assert np.isnan(out).all()
    assert np.isnan(grad[:lanes]).all()
    assert_identical(grad[lanes:], np.zeros(lanes, dtype))
    assert np.isnan(sums).all()


def test_tiles_leave_registers_for_the_outputs() -> None:
    for k in range(12):
        assert 1 <= tile_vectors(k) <= 4
        assert tile_vectors(k) == 1 or (k + 3 + (k > 1)) * tile_vectors(k) <= (32 if has_wide_vectors() else 16)
