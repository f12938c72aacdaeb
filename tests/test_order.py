"""What finer grids say of a fit: in order, noise or stuck; and what a fit that is stuck does about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.train import climbs
from numkan.train.least_squares import LeastSquaresStages
from numkan.train.order import falls_in_order, falls_too_little, neighbours_agree
from numkan.train.session import Session
from numkan.train.start import NotFiniteError


def uniform(n: int, n_in: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-1, 1, (n, n_in))


# --- the rule -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("ratio", [1.5, 4.0, 5.5])
def test_an_error_of_the_splines_order_falls_in_order_and_one_that_stays_falls_too_little(ratio, k):
    full = ratio ** (k + 1)
    for order, in_order, too_little in (
        (1.0, True, False),
        (0.5, False, False),
        (0.2, False, True),
        (0.0, False, True),
    ):
        assert falls_in_order(full**order, ratio, k) == in_order
        assert falls_too_little(full**order, ratio, k) == too_little
    assert falls_too_little(0.5, ratio, k)  # an error that grew


def test_nothing_is_said_without_a_finer_grid_or_without_a_number():
    for gain, ratio in ((1.0, 1.0), (2.0, 1.0), (float("nan"), 4.0)):
        assert not falls_in_order(gain, ratio, 3)
        assert not falls_too_little(gain, ratio, 3)


@pytest.mark.parametrize("n_in", [1, 2, 4])
@pytest.mark.parametrize("n", [300, 3000, 30_000])
def test_neighbours_agree_on_a_function_of_the_inputs_and_not_on_noise(n, n_in):
    x = uniform(n, n_in) * np.logspace(-3, 3, n_in) + 5
    u = (x - 5) / np.logspace(-3, 3, n_in)
    function = np.stack([np.prod(u, axis=1), np.sin(2 * u.sum(axis=1))], axis=1)
    noise = np.random.default_rng(1).standard_normal((n, 2))
    assert neighbours_agree(x, function)
    assert neighbours_agree(x, 1e-9 * function)
    assert not neighbours_agree(x, noise)
    assert not neighbours_agree(x, function + 10 * noise)


def test_copies_of_a_sample_are_no_neighbours_and_constant_columns_no_matter():
    """Copies have one and the same noise."""
    noise = np.random.default_rng(1).standard_normal((40, 1))
    x = np.column_stack([uniform(40, 2), np.full(40, 3.0)])
    assert not neighbours_agree(np.repeat(x, 15, axis=0), np.repeat(noise, 15, axis=0))
    assert neighbours_agree(np.repeat(x, 15, axis=0), np.repeat(x[:, :1], 15, axis=0))


@pytest.mark.parametrize("n", [1, 2, 9])
def test_few_samples_or_residuals_of_zero_say_nothing(n):
    assert not neighbours_agree(uniform(n, 2), np.ones((n, 1)))
    assert not neighbours_agree(uniform(200, 2), np.zeros((200, 1)))


# --- in a fit -----------------------------------------------------------------------------------------------------


def harmonic(n: int = 400, seed: int = 1) -> Any:
    """A product of two factors, which needs two hidden nodes; with random_state 1 the first start is a poor one."""
    x = np.random.default_rng(seed).uniform(0, 1, (n, 2)) * [np.pi, 2 * np.pi]
    return x, np.sin(x[:, 0]) * np.cos(x[:, 0]) * np.cos(x[:, 1])


LADDER: dict[str, Any] = {"grids": [5, 20], "validation": None, "random_state": 1}


@pytest.mark.jit
def test_other_starts_are_climbed_from_where_the_first_is_stuck():
    x, y = harmonic()
    stuck, model = (KAN([2, 2, 1], seed=0) for _ in range(2))
    first = stuck.fit(x, y, **LADDER, restarts=30)
    result = model.fit(x, y, **LADDER)
    assert (first.status, first.success) == ("stuck", True)
    assert first.message.startswith("Stuck: a grid 4 times as fine has lowered the residuals by a factor of ")
    assert result.status == "finished"
    assert "the first start was stuck, and 1 more were tried" in result.chosen["start"]
    assert result.starts[: len(first.starts)] == first.starts
    assert len(result.starts) > len(first.starts)
    assert [stage.grid for stage in result.stages][:4] == [5, 20, 5, 20]
    assert np.sqrt(result.loss) < 1e-2 * np.sqrt(first.loss)
    assert result.gcv < 1e-2 * first.gcv
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-6)


@pytest.mark.jit
@pytest.mark.parametrize(("effort", "more"), [(0.2, 0), (0.5, 1), (1.0, 2)])
def test_a_network_that_is_too_narrow_is_called_stuck_after_as_many_climbs_as_effort_allows(effort, more):
    x, y = harmonic()
    model = KAN([2, 1, 1], seed=0)
    result = model.fit(x, y, **LADDER, steps=10, effort=effort)
    assert result.status == "stuck"
    assert [stage.grid for stage in result.stages][: 2 * more + 2] == [5, 20] * (more + 1)
    climbs = [result.stages[2 * n + 1].loss for n in range(more + 1)]
    assert result.loss < 1.5 * min(climbs)


@pytest.mark.jit
def test_noise_is_not_called_stuck_and_pays_for_no_other_start():
    x, y = harmonic()
    y = y + 0.1 * np.random.default_rng(5).standard_normal(len(y))
    for width in ([2, 2, 1], [2, 5, 1]):
        for random_state in range(3):
            result = KAN(width, seed=0).fit(x, y, **{**LADDER, "random_state": random_state})
            assert result.stages[0].loss < 1.5 * result.stages[1].loss  # the finer grid did not help
            assert result.status != "stuck"
            assert result.chosen["start"] == "redraw: the model is as its constructor drew it"


@pytest.mark.jit
def test_a_model_that_goes_on_is_called_stuck_and_tries_no_other_start():
    x, y = harmonic()
    model = KAN([2, 1, 1], seed=0)
    model.fit(x, y, **{**LADDER, "grids": [5]})
    result = model.fit(x, y, **LADDER)
    assert result.status == "stuck"
    assert result.starts == ()


@pytest.mark.jit
@pytest.mark.parametrize("error", [KeyboardInterrupt, NotFiniteError])
def test_another_climb_that_fails_loses_nothing_of_the_first(error, monkeypatch):
    x, y = harmonic()
    first, model = (KAN([2, 2, 1], seed=0) for _ in range(2))
    first.fit(x, y, **LADDER, restarts=30)
    begin, calls = LeastSquaresStages.begin_stage, []

    def fail(self: Any, grid: int) -> None:
        calls.append(grid)
        if len(calls) in (3, 4):
            raise error("the test")
        begin(self, grid)

    monkeypatch.setattr(LeastSquaresStages, "begin_stage", fail)
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, **LADDER)
        assert model.grid == [20, 20]
    else:
        assert model.fit(x, y, **LADDER).status == "stuck"
        np.testing.assert_array_equal(model(x), first(x))


@pytest.mark.jit
def test_time_that_runs_out_in_another_climb_is_left_to_the_last_fit(monkeypatch):
    x, y = harmonic()
    model = KAN([2, 1, 1], seed=0)
    shares: list[float] = []
    monkeypatch.setattr(Session, "check_time", lambda self: shares.append(self.time_share))
    result = model.fit(x, y, grids="auto", random_state=1, steps=5)
    assert "2 more were tried" in result.chosen["start"]
    assert shares[0] == 1.0  # there is nothing yet that a last fit could begin with
    assert set(shares[shares.index(climbs._LADDER_SHARE) :]) == {climbs._LADDER_SHARE, 1.0}
    last_of_ladder = len(shares) - shares[::-1].index(climbs._LADDER_SHARE)
    assert 1.0 not in shares[shares.index(climbs._LADDER_SHARE) : last_of_ladder]


@pytest.mark.parametrize("effort", [0, -1.0, np.inf, np.nan, "much", True])
def test_effort_is_a_positive_number(effort):
    x, y = harmonic(20)
    model = KAN([2, 1, 1], seed=0)
    before = model.params
    with pytest.raises((ValueError, TypeError), match="Argument `effort` must"):
        model.fit(x, y, effort=effort)
    np.testing.assert_array_equal(model.params, before)
