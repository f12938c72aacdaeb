"""Starts of second-order training: what is drawn, when one is given up, accepted, or the search ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.model.least_squares import LeastSquares
from numkan.optimize import LevenbergMarquardt, Nielsen
from numkan.train import starts
from numkan.train.data import Data
from numkan.train.splines import Splines
from numkan.train.starts import draw, find_start, train_start

NONE = np.empty(0)


def splines(width: list[int], **options: Any) -> Splines:
    return Splines.of(KAN(width, seed=0, **options), base=False)


def points(n: int = 200, n_in: int = 2, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-1, 1, (n, n_in))


def standard(y: Any) -> Any:
    y = np.asarray(y).reshape(len(y), -1)
    return (y - y.mean(axis=0)) / y.std()


def found(width: list[int], x: Any, y: Any, restarts: int = 20, seed: Any = 0, weight: Any = NONE, **options: Any):
    rng = np.random.default_rng(seed)
    return find_start(splines(width, **options), Data(x, standard(y), np.sqrt(weight)), restarts, rng, lambda: None)


def residual(of: Splines, x: Any, y: Any, root: Any = NONE) -> float:
    return float(np.sqrt(LeastSquares(of.layers, x, standard(y), root).loss(of.vector) / len(y)))


# --- what is drawn ------------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_bits_and_another_does_not():
    x, model = points(), splines([2, 3, 1])
    one, other, third = (draw(model, x, np.random.default_rng(seed)).vector for seed in (1, 1, 2))
    assert one.tobytes() == other.tobytes() != third.tobytes()


@pytest.mark.parametrize("grid", [1, 3, 20])
def test_grids_of_three_intervals_lie_over_the_activations(grid):
    x = points() * [10.0, 1e-3] + [500.0, 0.0]
    drawn = draw(splines([2, 3, 2, 1], grid=grid), x, np.random.default_rng(0))
    for layer, a in zip(drawn.layers, drawn.activations(x), strict=False):
        assert layer.shape[1] == 3 + 3
        low, high = layer.grid[:, 3], layer.grid[:, -4]
        np.testing.assert_allclose(low, a.min(axis=0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(high, a.max(axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_edges_are_straight_lines_with_a_little_noise(k):
    """Slopes of deviation 1 / sqrt(n_in) over [-1, 1], noise of a fifth of that."""
    model = splines([8, 200], k=k)
    drawn = draw(model, points(50, 8), np.random.default_rng(0))
    coef, grid = drawn.coefs[0], drawn.layers[0].grid
    place = np.array([[np.mean(t[p + 1 : p + k + 1]) for p in range(3 + k)] for t in grid])
    u = (2 * place - grid[:, k, None] - grid[:, -1 - k, None]) / (grid[:, -1 - k] - grid[:, k])[:, None]
    slope = np.einsum("ip,ipo->io", u, coef) / np.square(u).sum(axis=1)[:, None]
    noise = coef - slope[:, None, :] * u[:, :, None]
    assert np.std(slope) == pytest.approx(np.sqrt((1 + 0.04 / np.square(u).sum(axis=1).mean()) / 8), rel=0.06)
    share = 1 - 1 / (3 + k)  # of the noise, what is no slope
    assert np.std(noise) == pytest.approx(0.2 * np.sqrt(share / 8), rel=0.06)
    assert abs(slope.mean()) < 4 * np.std(slope) / np.sqrt(slope.size)


def test_edges_that_are_off_stay_off():
    model = KAN([2, 3, 1], seed=0)
    model.act_fun[0].mask[...] = [[1, 0, 1], [0, 0, 1]]
    model.act_fun[1].mask[2] = 0
    x = points()
    start = find_start(
        Splines.of(model), Data(x, standard(x[:, 0] + x[:, 1] ** 2)), 1, np.random.default_rng(0), lambda: None
    )
    for layer, own, coef in zip(model.act_fun, start.splines.layers, start.splines.coefs, strict=True):
        np.testing.assert_array_equal(own.live, layer.mask)
        assert not coef.transpose(0, 2, 1)[layer.mask == 0].any()
        assert coef.transpose(0, 2, 1)[layer.mask == 1].any(axis=1).all()


def test_a_draw_does_not_depend_on_what_the_model_was():
    x = points()
    one, other = splines([2, 3, 1]), splines([2, 3, 1])
    for coef in other.coefs:
        coef[...] = 1e3
    drawn = [draw(model, x, np.random.default_rng(0)).vector.tobytes() for model in (one, other)]
    assert drawn[0] == drawn[1]


# --- one start ----------------------------------------------------------------------------------------------------


@pytest.mark.jit
def test_a_trained_start_is_returned_at_its_best_with_its_residual():
    x = points()
    y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)
    for seed in range(4):
        drawn = draw(splines([2, 2, 1]), x, np.random.default_rng(seed))
        trained, least = train_start(drawn, Data(x, standard(y)), lambda: None)
        assert least == pytest.approx(residual(trained, x, y), rel=1e-10)
        assert least < residual(drawn, x, y)


def test_rounds_end_where_little_is_gained_or_enough_is_reached(monkeypatch):
    """Four rounds of ten steps at most: a start on noise is given up after two, one on a line accepted after one."""
    begun = []
    stepper = starts.LevenbergMarquardt

    def counted(*args: Any, **options: Any) -> Any:
        begun.append(options["rule"].damping)
        return stepper(*args, **options)

    monkeypatch.setattr(starts, "LevenbergMarquardt", counted)
    x, steps = points(), []
    drawn = draw(splines([2, 1, 1]), x, np.random.default_rng(0))
    train_start(drawn, Data(x, standard(x[:, 0] + 2 * x[:, 1])), lambda: steps.append(1))
    assert len(begun) == 1
    assert 0 < len(steps) <= 10
    begun.clear()
    _, least = train_start(drawn, Data(x, np.random.default_rng(1).standard_normal((200, 1))), lambda: None)
    assert len(begun) == 2
    assert least > 0.5
    assert begun[0] == 1.0 != begun[1]  # the damping is gone on with


# --- the search ---------------------------------------------------------------------------------------------------


def test_a_good_start_is_accepted_at_once():
    x = points()
    start = found([2, 1, 1], x, x[:, 0] - 3 * x[:, 1])
    assert len(start.tried) == 1
    assert start.residual == start.tried[0] < starts._ACCEPTED


@pytest.mark.jit
def test_poor_starts_are_left_behind_until_one_is_accepted():
    x = points()
    y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)
    several = 0
    for seed in range(8):
        start = found([2, 1, 1], x, y, seed=seed)
        assert start.residual == min(start.tried) == start.tried[-1] < starts._ACCEPTED
        assert min(start.tried[:-1], default=1.0) >= starts._ACCEPTED
        several += len(start.tried) > 1
        assert start.residual == pytest.approx(residual(start.splines, x, y), rel=1e-9)
    assert several  # or nothing was there to be left behind


@pytest.mark.jit
def test_on_noise_it_ends_once_three_of_the_best_agree():
    x = points(300)
    y = np.random.default_rng(5).standard_normal(300)
    start = found([2, 1], x, y, restarts=30)
    assert len(start.tried) == 1  # one layer: there is one minimum
    for width, fewest in (([2, 2, 1], 4), ([2, 2, 1, 1], 24)):
        ended = found(width, x, y, restarts=30).tried
        assert fewest <= len(ended)
        ordered, before = sorted(ended), sorted(ended[:-1])
        assert ordered[2] < (1 + starts._AGREE) * ordered[0] or len(ended) == 30
        assert len(before) < fewest or before[2] >= (1 + starts._AGREE) * before[0]


def hard() -> tuple[Any, Any]:
    x = points(400)
    return x, np.sin(7 * x[:, 0] * x[:, 1]) + np.cos(5 * x[:, 0])


def finest(start: Any, x: Any, y: Any, grids: Any) -> Any:
    """Train a start on one grid after the other, and return its residual on each."""
    out = []
    for grid in grids:
        start = start.on_grids(x, [grid] * len(start.layers))
        run = LevenbergMarquardt(LeastSquares(start.layers, x, standard(y), NONE), start.vector, rule=Nielsen(), gtol=0)
        for _ in range(15):
            if not run.step():
                break
        start = start.at(run.state.x)
        out.append(residual(start, x, y))
    return out


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(3))
def test_hard_functions_have_a_tournament(seed, monkeypatch):
    """Six of the starts meet on 8 intervals, the three best of these on 16; the winner goes on as it started."""
    tried = []

    def kept(*args: Any) -> Any:
        tried.append(train_start(*args))
        return tried[-1]

    monkeypatch.setattr(starts, "train_start", kept)
    x, y = hard()
    start = found([2, 2, 1], x, y, restarts=8, seed=seed)
    assert len(start.tried) == 8
    six = sorted((least, place, trained) for place, (trained, least) in enumerate(tried))[:6]
    ends = [(*finest(trained, x, y, (8, 16)), place) for _, place, trained in six]
    place = min((end[1], end[2]) for end in sorted(ends)[:3])[1]
    assert start.splines is tried[place][0]
    assert start.residual == start.tried[place]


@pytest.mark.jit
def test_a_tournament_needs_samples_for_its_grids():
    x, y = hard()
    start = found([2, 2, 1], x[:60], y[:60], restarts=3)
    assert start.residual == min(start.tried)


@pytest.mark.jit
@pytest.mark.parametrize("restarts", [1, 2])
def test_no_more_are_tried_than_was_said(restarts):
    x = points(300)
    start = found([2, 2, 1], x, np.random.default_rng(5).standard_normal(300), restarts=restarts)
    assert len(start.tried) == restarts
    assert start.residual == min(start.tried)


@pytest.mark.jit
def test_the_best_is_kept_and_not_the_last():
    x = points()
    y = np.sin(4 * x[:, 0]) * np.cos(5 * x[:, 1])
    last_is_best = 0
    for seed in range(4):
        start = found([2, 2, 1], x, y, restarts=3, seed=seed)
        assert start.residual == min(start.tried) == pytest.approx(residual(start.splines, x, y), rel=1e-9)
        last_is_best += start.tried[-1] == start.residual
    assert last_is_best < 4


def test_the_same_seed_finds_the_same_bits():
    x = points()
    y = np.sin(3 * x[:, 0]) * x[:, 1]
    one, other, third = (found([2, 2, 1], x, y, restarts=3, seed=seed) for seed in (3, 3, 4))
    assert one.splines.vector.tobytes() == other.splines.vector.tobytes() != third.splines.vector.tobytes()
    assert one.tried == other.tried != third.tried


@pytest.mark.jit
def test_only_the_first_thousand_samples_are_used():
    x = points(1300)
    y = np.sin(3 * x[:, :1]) * x[:, 1:]
    y /= y[:1000].std()
    far = y.copy()
    far[1000:] = np.nan
    one, other = (
        find_start(splines([2, 2, 1]), Data(x, goal), 2, np.random.default_rng(0), lambda: None) for goal in (y, far)
    )
    assert one.splines.vector.tobytes() == other.splines.vector.tobytes()


def test_samples_of_weight_zero_have_no_say():
    x = points()
    y = standard(x[:, 0] + x[:, 1])
    y[:40] = 50.0
    root = np.ones(200)
    root[:40] = 0.0
    start = find_start(splines([2, 1, 1]), Data(x, y, root), 5, np.random.default_rng(0), lambda: None)
    assert start.residual < starts._ACCEPTED
    np.testing.assert_allclose(start.splines.activations(x[40:])[-1], y[40:], atol=0.3)


def test_where_no_draw_can_be_trained_there_is_none():
    x = points()
    start = find_start(splines([2, 1]), Data(x, np.full((200, 1), np.nan)), 4, np.random.default_rng(0), lambda: None)
    assert (start.residual, start.tried) == (np.inf, ())
    assert start.splines.layers[0].shape == (2, 8, 1)


def test_every_step_asks_whether_to_go_on():
    class Over(Exception):
        pass

    x, asked = points(), []

    def check() -> None:
        asked.append(1)
        if len(asked) == 17:
            raise Over

    with pytest.raises(Over):
        find_start(
            splines([2, 2, 1]), Data(x, standard(np.sin(5 * x[:, 0] * x[:, 1]))), 9, np.random.default_rng(0), check
        )
    assert len(asked) == 17
