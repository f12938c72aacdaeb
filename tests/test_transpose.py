"""numkan.simd.transpose: rows into columns and back, in the way that kernels run here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan.compile import kernel
from numkan.simd.totals import TOTALS, put_totals_op
from numkan.simd.transpose import FOUR, gather_op, pair_ops, row_stride, transpose_four_op, transpose_op
from numkan.simd.vectors import rounded_ops, sample_lanes, vector_ops

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("four", [False, True])
def test_transpose_moves_a_square_or_four_columns(four: bool, dtype: np.dtype[Any]) -> None:
    lanes = sample_lanes(dtype)
    transpose, columns = (transpose_four_op(dtype), FOUR) if four else (transpose_op(dtype), lanes)

    @kernel
    def run(source, to):  # type: ignore[no-untyped-def]
        transpose(source, 3, lanes + 9, to, lanes + 6, lanes + 5)

    rows = np.random.default_rng(0).normal(size=(lanes + 2, lanes + 9)).astype(dtype)
    target = np.zeros((columns + 3, lanes + 5), dtype)
    run(rows.reshape(-1), target.reshape(-1))
    want = np.zeros_like(target)
    want[1 : 1 + columns, 1 : 1 + lanes] = rows[:lanes, 3 : 3 + columns].T
    np.testing.assert_array_equal(target, want)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 8])
def test_pick_reads_the_rows_of_a_table_that_samples_say(count: int, dtype: np.dtype[Any]) -> None:
    lanes, stride = sample_lanes(dtype), row_stride(count)
    assert stride % FOUR == 0
    assert count <= stride < count + FOUR
    store, gather = vector_ops(lanes).store, gather_op(dtype, count)

    @kernel
    def run(table, index, out):  # type: ignore[no-untyped-def]
        at = 0
        for column in gather(table, 8, index, 2):
            store(out, at, column)
            at += lanes

    rng = np.random.default_rng(count)
    table = rng.normal(size=8 + 20 * stride).astype(dtype)
    index = rng.integers(0, 20, lanes + 3).astype(np.int32)
    out = np.zeros(count * lanes, dtype)
    run(table, index, out)
    want = table[8:].reshape(20, stride)[index[2 : 2 + lanes], :count]
    np.testing.assert_array_equal(out.reshape(count, lanes), want.T)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_pairs_lie_next_to_each_other(dtype: np.dtype[Any]) -> None:
    lanes = sample_lanes(dtype)
    _, load, store, *_ = vector_ops(lanes)
    store_pairs, load_pairs, splat_pair = pair_ops(dtype, lanes)

    @kernel
    def run(a, b, pairs, out):  # type: ignore[no-untyped-def]
        store_pairs(pairs, 3, load(a, 0), load(b, 0))
        first, second = load_pairs(pairs, 3)
        store(out, 0, first)
        store(out, lanes, second)
        low, high = splat_pair(pairs, 3 + 2 * (lanes - 1))
        store(out, 2 * lanes, low)
        store(out, 3 * lanes, high)

    a, b = np.random.default_rng(1).normal(size=(2, lanes)).astype(dtype)
    pairs, out = np.zeros(2 * lanes + 4, dtype), np.zeros(4 * lanes, dtype)
    run(a, b, pairs, out)
    np.testing.assert_array_equal(pairs[3:-1].reshape(lanes, 2), np.column_stack([a, b]))
    want = [a, b, np.full(lanes, a[-1]), np.full(lanes, b[-1])]
    np.testing.assert_array_equal(out.reshape(4, lanes), want)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("add", [False, True])
def test_four_totals_have_the_bits_of_one_after_the_other(add: bool, dtype: np.dtype[Any]) -> None:
    lanes = sample_lanes(dtype)
    load, total, put_totals = rounded_ops(lanes).load, rounded_ops(lanes).total, put_totals_op(dtype, lanes)

    @kernel
    def run(numbers, add, sums, singles):  # type: ignore[no-untyped-def]
        a, b = load(numbers, 0), load(numbers, lanes)
        c, d = load(numbers, 2 * lanes), load(numbers, 3 * lanes)
        put_totals(sums, 1, add, a, b, c, d)
        singles[0], singles[1], singles[2], singles[3] = total(a), total(b), total(c), total(d)

    rng = np.random.default_rng(2)
    for case in (rng.normal(size=TOTALS * lanes), np.full(TOTALS * lanes, -0.0)):
        before = np.pad(rng.normal(size=TOTALS), 1, constant_values=7).astype(dtype)
        sums, singles = before.copy(), np.zeros(TOTALS, dtype)
        run(case.astype(dtype), add, sums, singles)
        np.testing.assert_array_equal(sums[1:-1], singles + (before[1:-1] if add else dtype.type(0)))
        assert not np.signbit(sums[1:-1][sums[1:-1] == 0]).any()
        assert sums[0] == sums[-1] == 7
