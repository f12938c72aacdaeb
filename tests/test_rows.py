"""numkan._rows: the operations as instructions are the same operations in memory, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import config

from numkan._groups import group_ops
from numkan._jit import kernel
from numkan._rows import RowOps, _ops_in_memory, row_ops, tile_vectors
from numkan._simd import lanes_of
from tests.laws import Array, assert_identical, assert_within

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
CASES = [(1, 4), (3, 1), (3, 4), (5, 3)]
SAMPLES, FIRST, LAST = 11, 6, 2  # samples of a run: whole groups and some; where their functions and their order begin


def functions_of(groups: Array, k: int) -> Array:
    """Return the functions of a run, (k + 2, SAMPLES), from where they lie."""
    whole = groups[FIRST:].reshape(-1, k + 2, group_ops(k + 2, groups.dtype).size)
    return whole.transpose(1, 0, 2).reshape(k + 2, -1)[:, :SAMPLES]


def results(ops: RowOps, k: int, dtype: np.dtype[Any], vectors: int) -> dict[str, Any]:
    """Run every operation over the same numbers."""
    load, add_outputs, add_products, add_totals, store = ops
    tile = vectors * lanes_of(dtype)
    width, begin = tile + 2, 3  # rows that do not begin at whole vectors
    rng = np.random.default_rng(k)
    groups = group_ops(k + 2, dtype).behind(FIRST, SAMPLES)
    coefs, out, functions, totals = (
        rng.normal(size=size).astype(dtype)
        for size in ((k + 4) * width, begin + (SAMPLES + 1) * tile, groups, SAMPLES + LAST + 2)
    )
    order = np.concatenate([[99] * LAST, rng.permutation(SAMPLES), [99] * 4]).astype(np.uint16)
    grad, shares, last, end = coefs.copy(), totals.copy(), (k + 3) * width, LAST + SAMPLES

    @kernel
    def outputs(coefs, functions, order, out):  # type: ignore[no-untyped-def]
        add_outputs(load(coefs, width, width, last), functions, FIRST, order, LAST, end, out, begin)

    @kernel
    def products(grad, functions, order, out):  # type: ignore[no-untyped-def]
        rows = load(grad, width, width, last)
        store(add_products(rows, functions, FIRST, order, LAST, end, out, begin), grad, width, width, last)

    @kernel
    def sums(coefs, functions, order, out, totals):  # type: ignore[no-untyped-def]
        add_totals(load(coefs, width, width, last), functions, FIRST, order, LAST, end, out, begin, totals, 1)

    before = out.copy()
    products(grad, functions, order, out)
    sums(coefs, functions, order, out, shares)
    outputs(coefs, functions, order, out)
    return {
        "coefs": coefs, "functions": functions, "before": before, "out": out, "grad": grad, "totals": totals,
        "shares": shares, "order": order, "width": width, "begin": begin, "tile": tile,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("k", "vectors"), CASES, ids=str)
def test_operations_are_sums_of_products(k: int, vectors: int, dtype: np.dtype[Any]) -> None:
    got = results(row_ops(k, dtype, vectors), k, dtype, vectors)
    width, begin, tile, eps = got["width"], got["begin"], got["tile"], np.finfo(dtype).eps
    order = got["order"][LAST : LAST + SAMPLES]
    wide = {name: got[name].astype(float) for name in ("coefs", "before", "out", "grad", "totals", "shares")}
    rows = wide["coefs"].reshape(-1, width)[[*range(1, k + 2), k + 3], :tile]
    functions = functions_of(got["functions"], k).astype(float)
    before, out = (wide[name][begin : begin + SAMPLES * tile].reshape(-1, tile)[order] for name in ("before", "out"))
    size = abs(functions.T) @ abs(rows) + 1
    assert_within(out, before + functions.T @ rows, 8 * eps * size, "outputs")
    beside = np.r_[0:begin, begin + SAMPLES * tile : len(got["out"])]
    assert_identical(got["out"][beside], got["before"][beside], "what lies beside the tiles")
    grad, kept = (wide[name].reshape(-1, width) for name in ("grad", "coefs"))
    want = kept.copy()
    want[[*range(1, k + 2), k + 3], :tile] += functions @ before
    assert_within(grad, want, 8 * eps * (abs(kept) + abs(functions).max() * abs(before).sum()), "products")
    assert_identical(grad[[0, k + 2]], kept[[0, k + 2]], "what lies between rows")
    sums = slice(1 + LAST, 1 + LAST + SAMPLES)
    bound = 8 * eps * (1 + (abs(functions.T) @ abs(rows) * abs(before)).sum(axis=1))
    share = ((functions.T @ rows) * before).sum(axis=1)
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


def test_tiles_leave_registers_for_the_outputs() -> None:
    for k in range(12):
        assert 1 <= tile_vectors(k) <= 4
        assert tile_vectors(k) == 1 or (k + 2) * tile_vectors(k) <= 24
