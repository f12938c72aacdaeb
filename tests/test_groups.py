"""numkan.simd.groups: where the numbers of a run's samples lie, against the formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan.compile import kernel
from numkan.simd.groups import FOUR, group_ops, group_room
from numkan.simd.vectors import lanes_of, vector_ops
from tests.laws import assert_identical

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]


def number(first: int, s: int, rows: int, r: int, size: int) -> int:
    return first + s // size * size * rows + size * r + s % size


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("rows", [3, 5])
def test_functions_of_a_group_are_one_stretch_and_runs_begin_with_groups(rows: int, dtype: np.dtype[Any]) -> None:
    size, place, behind, _ = group_ops(rows, dtype)
    assert size % FOUR == size & (size - 1) == 0
    first, taken = 40, set()
    for count in (1, 3, 4, 5, 8, 17, 32, 33):
        assert [place(first, s) for s in range(count)] == [number(first, s, rows, 0, size) for s in range(count)]
        own = {number(first, s, rows, r, size) for s in range(count) for r in range(rows)}
        assert len(own) == count * rows
        assert not own & taken
        taken |= own
        assert behind(first, count) == first + -(-count // size) * size * rows > max(own)
        first = behind(first, count)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("rows", [3, 5])
def test_vectors_of_samples_are_stored_where_their_samples_are(rows: int, dtype: np.dtype[Any]) -> None:
    lanes, (size, place, _, store) = lanes_of(dtype), group_ops(rows, dtype)
    load, first, count = vector_ops(lanes).load, 8, 48
    values = np.random.default_rng(rows).normal(size=(rows, count)).astype(dtype)

    @kernel
    def fill(flat, array):  # type: ignore[no-untyped-def]
        for s in range(0, count, lanes):
            for r in range(rows):
                store(array, place(first, s) + r * size, load(flat, r * count + s))

    got, want = np.full(first + rows * count + 8, 7, dtype), np.full(first + rows * count + 8, 7, dtype)
    fill(values.reshape(-1), got)
    for r in range(rows):
        for s in range(count):
            want[number(first, s, rows, r, size)] = values[r, s]
    assert_identical(got, want)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_there_is_room_for_any_runs(dtype: np.dtype[Any]) -> None:
    rng, rows, block = np.random.default_rng(0), 5, 64
    size, _, behind, _ = group_ops(rows, dtype)
    for runs in (1, 2, 7, 30, block):
        most = 0
        for trial in range(20):
            cuts = np.sort(rng.choice(np.arange(1, block), runs - 1, replace=False)) if trial else np.arange(1, runs)
            end = 0
            for count in np.diff([0, *cuts, block]):
                end = behind(end, int(count))
            most = max(most, end)
        beyond = rows * max(0, lanes_of(dtype) - size)
        assert most + beyond <= group_room(block, runs, rows, dtype)
    assert most + beyond == group_room(block, block, rows, dtype) == rows * size * block + beyond
