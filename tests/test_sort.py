"""numkan.simd.bits and numkan.layer.sort: sets of samples, and samples sorted by piece, beside NumPy's stable sort."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan.compile import kernel
from numkan.layer.sort import MOST_COUNTED, _few_kernel, _many_kernel, sort_kernel
from numkan.layer.work import Work, workspace
from numkan.simd.bits import SAMPLES, bit_ops
from numkan.spline import extend_grid
from numkan.spline.pieces import Pieces, local_pieces
from numkan.spline.policies import EXTRAPOLATIONS
from tests.laws import Array

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_number_counts_the_ends_that_are_not_greater_and_members_sets_the_bits_of_one_count(dtype: Any) -> None:
    ops = bit_ops(dtype)
    number, members = ops.number, ops.members

    @kernel
    def run(x, ends, n, numbers, out):  # type: ignore[no-untyped-def]
        number(x, 3, ends, 1, n, numbers, 2)
        for j in range(len(out)):
            out[j] = members(numbers, 2, j)

    x = np.random.default_rng(0).integers(-3, 4, SAMPLES + 5).astype(dtype)
    x[[7, 20, 40]] = np.nan, np.inf, -np.inf
    ends = np.array([[9.0] * 255, [-np.inf, -1, 0, 0, 3, np.inf, np.nan, *[0] * 248]], dtype)
    for n in (0, 1, 5, 7, 255):
        numbers, out = np.full(SAMPLES + 4, 99, np.uint8), np.zeros(256, np.uint64)
        run(x, ends, n, numbers, out)
        want = (x[3 : 3 + SAMPLES, None] >= ends[1, :n]).sum(axis=1)
        assert list(numbers) == [99, 99, *want, 99, 99]
        for j, bits in enumerate(out.tolist()):
            assert [bits >> s & 1 for s in range(SAMPLES)] == list(want == j)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["append", "append_many"])
def test_append_writes_the_members_of_a_set_in_order(name: str, dtype: np.dtype[Any]) -> None:
    ops = bit_ops(dtype)
    append, room, carries = getattr(ops, name), ops.room, ops.carries and name == "append_many"

    @kernel
    def run(own, x, values, numbers, out):  # type: ignore[no-untyped-def]
        out[0] = append(own, x, 2, 1000, values, numbers, 5)

    rng = np.random.default_rng(1)
    x = rng.normal(size=SAMPLES + 2).astype(dtype)
    sets = [rng.random(SAMPLES) < share for share in (0.0, 0.02, 0.2, 0.7, 1.0)]
    sets += [np.arange(SAMPLES) == 0, np.arange(SAMPLES) == SAMPLES - 1]
    for members in sets:
        own = np.uint64(sum(1 << int(s) for s in np.flatnonzero(members)))
        values = np.full(5 + SAMPLES + room + 1, -9, dtype)
        numbers, end = np.full(values.size, 9, np.uint16), np.zeros(1, np.int64)
        run(own, x, values, numbers, end)
        assert end[0] == 5 + members.sum()
        if carries:
            np.testing.assert_array_equal(values[5 : end[0]], x[2:][members])
        np.testing.assert_array_equal(numbers[5 : end[0]], 1000 + np.flatnonzero(members))
        for array, before in ((values, -9), (numbers, 9)):
            assert (array[:5] == before).all()
            assert (array[end[0] + room :] == before).all()


def sorted_slots(kernel: Any, x: Array, pieces: Pieces, k: int) -> tuple[Work, int]:
    """Sort all inputs of x (n, n_in), no more than a block, in slots 1, 2, ...; also return the numbers of an input."""
    work = workspace(x.dtype, k, pieces.poly.shape[1], 16)
    width, n_rows = 16, 40
    work.points.reshape(work.inputs, work.stride)[: x.shape[1], : len(x)] = x.T
    kernel(len(x), 0, x.shape[1], width, n_rows, pieces, 1, work)
    return work, n_rows * width


def check_slots(work: Work, row: int, x: Array, pieces: Pieces) -> None:
    n, n_in = x.shape
    for i in range(n_in):
        piece = sum((x[:, i] >= end).astype(int) for end in pieces.ends[i])
        order = np.argsort(piece, kind="stable")
        at, runs = (1 + i) * work.stride, slice((1 + i) * work.runs, (1 + i) * work.runs + int(work.n_runs[1 + i]))
        np.testing.assert_array_equal(work.order[at : at + n], order)
        np.testing.assert_array_equal(work.ordered[at : at + n], x[order, i])
        own, counts = np.unique(piece, return_counts=True)
        np.testing.assert_array_equal(work.run_piece[runs], i * pieces.centre.shape[1] + own)
        np.testing.assert_array_equal(work.run_end[runs], np.cumsum(counts))
        np.testing.assert_array_equal(work.run_row[runs], i * row + pieces.first[i, own] * 16)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("extrapolate", EXTRAPOLATIONS)
@pytest.mark.parametrize("G", [1, 5, 9, 17, 50])
def test_samples_are_sorted_by_piece(G: int, extrapolate: str, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(G)
    knots = np.sort(rng.integers(-8, 9, (3, G + 1)) / 8, axis=1)  # some of them repeated
    knots[:, 0], knots[:, -1] = -1.1, 1.1
    pieces = local_pieces(extend_grid(knots, k_extend=2).astype(dtype), 2, extrapolate)
    assert (pieces.ends.shape[1] - 1 <= MOST_COUNTED) == (G < 50)
    for n in (1, 63, 64, 100, 128):
        x = rng.normal(size=(n, 3)).astype(dtype)
        x[rng.random(x.shape) < 0.2] = 0.125  # on a knot
        x[rng.random(x.shape) < 0.05] = np.nan
        x[rng.random(x.shape) < 0.05] = np.inf
        x[rng.random(x.shape) < 0.05] = -np.inf
        check_slots(*sorted_slots(sort_kernel(dtype), x, pieces, 2), x, pieces)
        if G < 50:
            check_slots(*sorted_slots(_many_kernel(dtype), x, pieces, 2), x, pieces)
            check_slots(*sorted_slots(_few_kernel(dtype), x, pieces, 2), x, pieces)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("G", [5, 21, 50])
def test_a_full_slot_leaves_those_beside_it_alone(G: int, dtype: np.dtype[Any]) -> None:
    """What is appended goes too far, and another thread may have filled the next slot by then."""
    pieces = local_pieces(extend_grid(np.linspace(-1, 1, G + 1)[None], k_extend=2).astype(dtype), 2)
    work = workspace(dtype, 2, pieces.poly.shape[1], 16)
    assert G != 21 or pieces.ends.shape[1] - 1 == MOST_COUNTED
    x = np.random.default_rng(0).uniform(-1, 1, (work.block, 1)).astype(dtype)
    beside = [slice(0, work.stride), slice(2 * work.stride, 3 * work.stride)]
    for slot in beside:
        work.ordered[slot], work.order[slot] = -9, 9
    check_slots(*sorted_slots(sort_kernel(dtype), x, pieces, 2), x, pieces)
    for slot in beside:
        assert (work.ordered[slot] == -9).all()
        assert (work.order[slot] == 9).all()
