"""numkan._rows: the operations as instructions are the same operations in memory, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import config

from numkan._jit import kernel
from numkan._rows import RowOps, _ops_in_memory, row_ops, tile_vectors
from numkan._simd import lanes_of
from tests.laws import assert_identical, assert_within

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
CASES = [(1, 4), (3, 1), (3, 4), (5, 3)]
SAMPLES, STRIDE = 3, 5  # of the functions


def results(ops: RowOps, k: int, dtype: np.dtype[Any], vectors: int) -> dict[str, Any]:
    """Run every operation over the same numbers."""
    load, add_outputs, add_products, store, total = ops
    width = vectors * lanes_of(dtype) + 2  # rows that do not begin at whole vectors
    rng = np.random.default_rng(k)
    coefs, out, functions = (
        rng.normal(size=size).astype(dtype) for size in ((k + 4) * width, SAMPLES * width, (k + 2) * STRIDE)
    )
    grad, totals = coefs.copy(), np.zeros(SAMPLES, dtype)
    last = (k + 3) * width

    @kernel
    def outputs(coefs, functions, out):  # type: ignore[no-untyped-def]
        rows = load(coefs, width, width, last)
        for s in range(SAMPLES):
            add_outputs(rows, functions, s, STRIDE, out, s * width)

    @kernel
    def products(grad, functions, out):  # type: ignore[no-untyped-def]
        rows = load(grad, width, width, last)
        for s in range(SAMPLES):
            rows = add_products(rows, functions, s, STRIDE, out, s * width)
        store(rows, grad, width, width, last)

    @kernel
    def sums(coefs, functions, out, totals):  # type: ignore[no-untyped-def]
        rows = load(coefs, width, width, last)
        for s in range(SAMPLES):
            totals[s] = total(rows, functions, s, STRIDE, out, s * width)

    before = out.copy()
    products(grad, functions, out)
    sums(coefs, functions, out, totals)
    outputs(coefs, functions, out)
    return {
        "coefs": coefs, "functions": functions, "before": before, "out": out, "grad": grad, "totals": totals,
        "width": width,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("k", "vectors"), CASES, ids=str)
def test_operations_are_sums_of_products(k: int, vectors: int, dtype: np.dtype[Any]) -> None:
    got = results(row_ops(k, dtype, vectors), k, dtype, vectors)
    width, eps = got["width"], np.finfo(dtype).eps
    used = vectors * lanes_of(dtype)
    wide = {name: array.astype(float) for name, array in got.items() if name != "width"}
    rows = wide["coefs"].reshape(-1, width)[[*range(1, k + 2), k + 3], :used]
    functions = wide["functions"].reshape(-1, STRIDE)[:, :SAMPLES]
    before, out = (wide[name].reshape(-1, width) for name in ("before", "out"))
    size = abs(functions.T) @ abs(rows) + 1
    assert_within(out[:, :used], before[:, :used] + functions.T @ rows, 8 * eps * size, "outputs")
    assert_identical(out[:, used:], before[:, used:], "what lies beside a tile")
    grad, kept = (wide[name].reshape(-1, width) for name in ("grad", "coefs"))
    want = kept.copy()
    want[[*range(1, k + 2), k + 3], :used] += functions @ before[:, :used]
    assert_within(grad, want, 8 * eps * (abs(kept) + abs(functions).max() * abs(before).sum()), "products")
    assert_identical(grad[[0, k + 2]], kept[[0, k + 2]], "what lies between rows")
    bound = 8 * eps * (abs(functions.T) @ abs(rows) * abs(before[:, :used])).sum(axis=1)
    assert_within(wide["totals"], ((functions.T @ rows) * before[:, :used]).sum(axis=1), bound, "totals")


@pytest.mark.jit
@pytest.mark.skipif(config.BOUNDSCHECK == 1, reason="both ways are one")
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("k", "vectors"), CASES, ids=str)
def test_registers_and_memory_give_the_same_bits(k: int, vectors: int, dtype: np.dtype[Any]) -> None:
    got = results(row_ops(k, dtype, vectors), k, dtype, vectors)
    want = results(_ops_in_memory(k, dtype, vectors), k, dtype, vectors)
    for name in ("out", "grad", "totals"):
        assert_identical(got[name], want[name], name)


def test_tiles_leave_registers_for_the_outputs() -> None:
    for k in range(12):
        assert 1 <= tile_vectors(k) <= 4
        assert tile_vectors(k) == 1 or (k + 2) * tile_vectors(k) <= 24
