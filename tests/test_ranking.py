"""The ranking of trials, on scores that are given."""

from __future__ import annotations

import pytest

from numkan.train.ranking import choose, looks_like_noise, ranked
from numkan.train.trials import Trial

NARROW, WIDE = (2, 2, 1), (2, 5, 1)


def trials(*scores: tuple[tuple[int, ...], float], fits: bool = False, gain: float = 1.0) -> list[Trial]:
    return [Trial(width, 3, 25, score, score, gain, fits, 0.0) for width, score in scores]


def test_they_are_ranked_by_their_scores():
    made = trials((NARROW, 3.0), (WIDE, 1.0), (NARROW, 2.0))
    assert ranked(made) == [made[1], made[2], made[0]]


@pytest.mark.parametrize(("fits", "chosen"), [(True, NARROW), (False, WIDE)])
def test_a_narrower_one_may_be_worse_by_less_than_3_if_the_best_fits_and_by_3_percent_if_not(fits, chosen):
    assert choose(trials((NARROW, 2.5), (WIDE, 1.0), fits=fits)).width == chosen
    assert choose(trials((NARROW, 1.02), (WIDE, 1.0), fits=fits)).width == NARROW


def test_among_shapes_that_were_tried_often_and_differ_little_the_average_decides():
    made = trials((NARROW, 0.9), (NARROW, 1.3), (NARROW, 1.2), (WIDE, 1.0), (WIDE, 1.0), (WIDE, 1.1))
    assert choose(made).width == WIDE


def test_the_average_does_not_decide_where_the_starts_of_a_shape_differ_much():
    """Three poor starts say nothing against a good one, from which the last fit will go on."""
    poor = [(NARROW, 1e-6)] * 3
    made = trials((NARROW, 3e-8), *poor, (WIDE, 5e-8), (WIDE, 6e-8), (WIDE, 7e-8))
    assert choose(made) is made[0]


def test_shapes_that_were_tried_often_do_not_beat_one_that_is_much_better():
    often = [(NARROW, 1e-5)] * 3 + [(WIDE, 1e-5)] * 3
    made = trials(((2, 3, 1), 1e-8), *often)
    assert choose(made) is made[0]


def test_noise_is_where_three_shapes_agree_and_finer_grids_gain_nothing():
    same = [(NARROW, 1.0), (WIDE, 1.02), ((2, 3, 1), 1.05)]
    assert looks_like_noise(trials(*same))
    assert not looks_like_noise(trials(*same, gain=2.0))
    assert not looks_like_noise(trials(*same[:2]))
    assert not looks_like_noise(trials(*same[:2], ((2, 3, 1), 1.5)))
    assert not looks_like_noise(trials(*[((6, 2, 1), 1.0)] * 3))  # all narrower than there are inputs
