"""numkan.layer.sorted_samples: samples sorted by piece, beside NumPy's stable sort, and what is filled for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan.base import CUSTOM
from numkan.conformance.adapter import Array
from numkan.conformance.law import assert_identical, assert_within
from numkan.layer.packed import BaseValues
from numkan.layer.scratch import FOUR, Group, Scratch, highest_power, scratch_for
from numkan.layer.sorted_samples import fill_kernel, sort_kernel
from numkan.spline import extend_grid
from numkan.spline.pieces import Pieces, local_pieces
from numkan.spline.policies import EXTRAPOLATIONS
from tests.network_cases import AGAIN, SINGLE

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]


def sorted_group(x: Array, pieces: Pieces, k: int, group: Group) -> Scratch:
    """Sort the inputs of a group at its samples of x (n, n_in)."""
    scratch = scratch_for(x.dtype, k, pieces.poly.shape[1], 16)
    sort_kernel(x.dtype)(x, group, pieces, scratch)
    return scratch


def runs(scratch: Scratch, group: Group, pieces: Pieces) -> list[list[slice]]:
    """Return the runs of each input, with their padding, as places among the sorted samples."""
    n_pieces = pieces.ends.shape[1]
    found = []
    for slot in range(group.high - group.low):
        offsets = scratch.offsets[slot * (n_pieces + 1) :] + slot * scratch.stride
        found.append([slice(int(offsets[j]), int(offsets[j + 1])) for j in range(n_pieces)])
    return found


def check(scratch: Scratch, x: Array, group: Group, pieces: Pieces) -> None:
    rows = slice(group.begin, group.begin + group.size)
    for i, own in zip(range(group.low, group.high), runs(scratch, group, pieces), strict=True):
        piece = (x[rows, i, None] >= pieces.ends[i, :-1]).sum(axis=1)
        for j, run in enumerate(own):
            samples = np.flatnonzero(piece == j)
            length = -(-len(samples) // FOUR) * FOUR
            order = np.full(length, group.size)
            order[: len(samples)] = samples
            points = np.full(length, pieces.centre[i, j])
            points[: len(samples)] = x[rows, i][samples]
            np.testing.assert_array_equal(scratch.order[run], order)
            assert_identical(scratch.ordered[run], points)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("extrapolate", EXTRAPOLATIONS)
@pytest.mark.parametrize("G", [1, 5, 17, 50])  # the last one is looked up
def test_samples_are_sorted_by_piece_and_runs_are_whole_fours(G: int, extrapolate: str, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(G)
    knots = np.sort(rng.integers(-8, 9, (3, G + 1)) / 8, axis=1)  # some of them repeated
    knots[:, 0], knots[:, -1] = -1.1, 1.1
    pieces = local_pieces(extend_grid(knots, k_extend=2).astype(dtype), 2, extrapolate)
    for n in (1, 63, 100, 128):
        x = rng.normal(size=(n + 2, 3)).astype(dtype)
        x[rng.random(x.shape) < 0.2] = 0.125  # on a knot
        x[rng.random(x.shape) < 0.05] = np.nan
        x[rng.random(x.shape) < 0.05] = np.inf
        x[rng.random(x.shape) < 0.05] = -np.inf
        for group in (Group(2, n, 0, 3), Group(0, n, 1, 2)):
            check(sorted_group(x, pieces, 2, group), x, group, pieces)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("extrapolate", EXTRAPOLATIONS)
@pytest.mark.parametrize(
    ("low", "high", "bend"), [(-1, 1, 0), (0.1, 0.3, 0), (1e5, 1e5 + 1, 0), (-1, 1, 0.01), (0, 1, 9)]
)
@pytest.mark.parametrize("G", [9, 50])
def test_a_piece_is_found_at_every_break_and_beside_it(
    G: int, low: float, high: float, bend: float, extrapolate: str, dtype: np.dtype[Any]
) -> None:
    """Where breaks are so uniform that each has a cell of its own, where they hardly are, and where they are not."""
    share = np.linspace(0, 1, G + 1)
    knots = low + (high - low) * (share + bend * share**2) / (1 + bend)
    pieces = local_pieces(extend_grid(np.stack([knots, 2 * knots]), k_extend=3).astype(dtype), 3, extrapolate)
    breaks = pieces.ends[:, :-1]
    beside = [np.nextafter(breaks, dtype.type(far)) for far in (-np.inf, np.inf)]
    extremes = np.tile(np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0], dtype), (2, 1))
    x = np.ascontiguousarray(np.concatenate([breaks, *beside, extremes], axis=1).T)
    group = Group(0, len(x), 0, 2)
    check(sorted_group(x, pieces, 3, group), x, group, pieces)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("G", [5, 21, 50])
def test_a_full_block_leaves_the_slot_after_it_alone(G: int, dtype: np.dtype[Any]) -> None:
    pieces = local_pieces(extend_grid(np.linspace(-1, 1, G + 1)[None], k_extend=2).astype(dtype), 2)
    scratch = scratch_for(dtype, 2, pieces.poly.shape[1], 16)
    x = np.random.default_rng(0).uniform(-1, 1, (scratch.block, 1)).astype(dtype)
    beside = slice(scratch.stride, 2 * scratch.stride)
    scratch.ordered[beside], scratch.order[beside], scratch.powers[beside] = -9, 9, -9
    group, base = Group(0, scratch.block, 0, 1), BaseValues(0, x[:0], x[:0])
    check(sorted_group(x, pieces, 2, group), x, group, pieces)
    fill_kernel(2, dtype, backward=False)(group, pieces, base, False, scratch)
    assert (scratch.ordered[beside] == -9).all()
    assert (scratch.order[beside] == 9).all()
    assert (scratch.powers[beside] == -9).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("k", SINGLE if AGAIN else [0, 1, 3])
def test_w_its_powers_and_base_values_are_filled(k: int, backward: bool, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(k)
    knots = extend_grid(np.sort(rng.uniform(-1, 1, (4, 5)), axis=1), k).astype(dtype)
    pieces, x = local_pieces(knots, k), rng.uniform(-2, 2, (75, 4)).astype(dtype)
    values, slopes = rng.normal(size=(2, 75, 4)).astype(dtype)
    group, highest = Group(3, 70, 1, 4), highest_power(k) if backward else 1
    scratch = sorted_group(x, pieces, k, group)
    fill_kernel(k, dtype, backward=backward)(group, pieces, BaseValues(CUSTOM, values, slopes), True, scratch)
    powers, outermost = scratch.powers.reshape(highest_power(k), -1), 0
    for i, own in zip(range(1, 4), runs(scratch, group, pieces), strict=True):
        for piece, run in enumerate(own):
            outer = piece in (0, pieces.ends.shape[1] - 1)
            for q in range(run.start, run.stop):
                sample = int(scratch.order[q])
                is_padding = sample == group.size
                point = pieces.centre[i, piece] if is_padding else x[group.begin + sample, i]
                w = (float(point) - float(pieces.centre[i, piece])) * float(pieces.inverse[i, piece])
                want = [w] + [0.0 if outer else w**m for m in range(2, highest + 1)]
                bound = 8 * np.finfo(dtype).eps * (1 + abs(np.array(want)) + abs(float(pieces.inverse[i, piece])))
                assert_within(powers[:highest, q], want, bound, "powers")
                assert scratch.base[q] == (0 if is_padding else values[group.begin + sample, i])
                assert scratch.slope[q] == (0 if is_padding else slopes[group.begin + sample, i])
            outermost += outer and run.stop > run.start
    assert outermost > 0
