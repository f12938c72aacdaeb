"""numkan.layer.powers: what is filled for sorted samples, against the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan.base import GIVEN
from numkan.layer.powers import powers_kernel, values_kernel
from numkan.layer.prepare import place_kernel
from numkan.layer.row_numbers import VALUES, highest_power, powers_of
from numkan.layer.work import workspace
from numkan.simd.groups import group_ops
from numkan.spline.knots import extend_grid
from numkan.spline.pieces import local_pieces
from tests.laws import assert_identical, assert_within

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
SAMPLES, INPUTS, LOW, HIGH = 75, 4, 1, 4


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_groups_hold_w_its_powers_and_base_values(k: int, backward: bool, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(k)
    knots = extend_grid(np.sort(rng.uniform(-1, 1, (INPUTS, 5)), axis=1), k).astype(dtype)
    pieces = local_pieces(knots, k)
    n_pieces, x = pieces.centre.shape[1], rng.uniform(-2, 2, (SAMPLES, INPUTS)).astype(dtype)
    given, slope = rng.normal(size=(2, SAMPLES, INPUTS)).astype(dtype)
    work, at = workspace(dtype, k, n_pieces, 16), 0
    filled = np.full_like(work.numbers, np.nan)
    work = work._replace(numbers=filled)
    place_kernel(dtype)(x, 0, SAMPLES, LOW, HIGH, 16, knots.shape[1] - k, pieces, at, work)
    fill = powers_kernel(k, dtype) if backward else values_kernel(dtype)
    fill(0, SAMPLES, LOW, HIGH, pieces, GIVEN, given, slope, True, at, work)

    numbers, highest = (powers_of(k), highest_power(k)) if backward else (VALUES, 1)
    size, where, behind, _ = group_ops(numbers, dtype)
    first = outermost = 0
    for slot, i in enumerate(range(LOW, HIGH)):
        q, seen = 0, []
        for run in range((at + slot) * work.runs, (at + slot) * work.runs + int(work.n_runs[at + slot])):
            piece, end = int(work.run_piece[run]) - i * n_pieces, int(work.run_end[run])
            straight = piece in (0, n_pieces - 1)
            for s in range(q, end):
                sample = int(work.order[(at + slot) * work.stride + s])
                got = filled[where(first, s - q) + size * np.arange(numbers)]
                w = (float(x[sample, i]) - float(pieces.centre[i, piece])) * float(pieces.inverse[i, piece])
                powers = [w] + [0.0 if straight else w**m for m in range(2, highest + 1)]
                bound = 8 * np.finfo(dtype).eps * (1 + abs(np.array(powers)) + abs(float(pieces.inverse[i, piece])))
                assert_within(got[:highest], powers, bound, "powers")
                assert_identical(got[highest:], np.array([given[sample, i], slope[sample, i]])[: numbers - highest])
                seen.append(sample)
            outermost += straight and end > q
            first, q = behind(first, end - q), end
        assert sorted(seen) == list(range(SAMPLES))
    assert outermost > 0
