"""Hidden grids reach over the box of the data: its points, how far a grid is stretched, and what a fit promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.train.box import FAR, NEAR, box_ends, box_points, excess
from numkan.train.splines import Splines
from tests.small_networks import patchy

PHRASE = "In the box of the data, activations leave the grid of layer 1 by up to "


def uniform(n: int, n_in: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-1, 1, (n, n_in))


def share_outside(model: KAN, x: Any, n: int = 100_000) -> float:
    """The share of its length by which n points of the box of x leave a hidden grid."""
    points = np.random.default_rng(123).uniform(x.min(axis=0), x.max(axis=0), (n, x.shape[1]))
    return excess(model, points.astype(model.dtype)).share


# --- the points ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_in", [1, 2, 5, 64])
def test_points_are_the_same_ones_always_and_inside_the_box(n_in):
    x = uniform(50, n_in) * 7 + 100
    points = box_points(x)
    np.testing.assert_array_equal(points, box_points(x[::-1]))
    assert points.shape[1] == n_in
    assert len(points) >= 128
    assert (points >= x.min(axis=0)).all()
    assert (points <= x.max(axis=0)).all()
    np.testing.assert_allclose(points.mean(axis=0), 0.5 * (x.min(axis=0) + x.max(axis=0)), rtol=0, atol=2.0)


def test_points_of_float32_samples_are_float32_and_inside_too():
    x = (uniform(50, 3) / 3).astype(np.float32)
    points = box_points(x)
    assert points.dtype == np.float32
    assert (points >= x.min(axis=0)).all()
    assert (points <= x.max(axis=0)).all()


def test_there_are_no_points_in_a_box_of_very_many_inputs():
    assert box_points(uniform(20, 65)).shape == (0, 65)


@pytest.mark.jit
@pytest.mark.parametrize("n_in", [2, 4, 8])
def test_points_come_nearer_to_the_corners_than_a_hundred_thousand_random_ones(n_in):
    points = box_points(np.array([[-1.0] * n_in, [1.0] * n_in]))
    others = uniform(100_000, n_in, seed=1)
    assert np.abs(points).min(axis=1).max() > np.abs(others).min(axis=1).max()


# --- the ends of a grid -------------------------------------------------------------------------------------------


SAMPLES = np.linspace(0, 1, 11)[:, None]


@pytest.mark.parametrize("farthest", [NEAR, FAR])
def test_ends_reach_over_the_box_but_for_margins_unless_that_is_too_far(farthest):
    for wide in (1.1, farthest):
        np.testing.assert_allclose(
            box_ends(SAMPLES, np.array([[0.2], [wide]]), farthest)[:, 0], [0, wide - 0.014], rtol=1e-12
        )
        np.testing.assert_allclose(
            box_ends(SAMPLES, np.array([[1 - wide], [0.5]]), farthest)[:, 0], [1 - wide + 0.014, 1], rtol=1e-12
        )
    for box in ([[0.5], [farthest + 0.02]], [[0.3], [0.7]], [[-0.013], [1.013]]):
        np.testing.assert_array_equal(box_ends(SAMPLES, np.array(box), farthest)[:, 0], [0, 1])


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e308])
def test_activations_that_are_no_numbers_stretch_no_grid(value):
    ends = box_ends(np.tile(SAMPLES, 2), np.array([[value, -0.1], [0.5, 1.2]]))
    np.testing.assert_allclose(ends, [[0, -0.086], [1, 1.186]], rtol=1e-12)


def test_without_points_of_a_box_the_ends_are_those_of_the_samples():
    np.testing.assert_array_equal(box_ends(SAMPLES, np.empty((0, 1))), [[0], [1]])


@pytest.mark.parametrize(("k", "reach"), [(1, 1.5), (2, 1.5), (3, 1.5), (5, 1.3)])
def test_stretched_grids_keep_the_function_and_go_on_by_its_end_polynomials(k, reach):
    model, x = patchy([2, 3, 1], grid=6, k=k, base_fun="zero"), uniform(300, 2)
    splines = Splines.of(model).on_grids(x, [6, 6])
    wide = splines.stretched(x, reach * x)
    old, new = splines.layers[1], wide.layers[1]
    moved = old.grid != new.grid
    assert moved[:, [k, -1 - k]].any()
    assert not moved[:, k + 1 : -1 - k].any()
    np.testing.assert_array_equal(wide.layers[0].grid, splines.layers[0].grid)
    for own, other in zip(wide.activations(x)[1:], splines.activations(x)[1:], strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-11, atol=1e-11)
    # in the first span, old and new, each curve is one polynomial of degree k
    low, span = new.grid[:, k], new.grid[:, k + 1] - new.grid[:, k]
    inside = low + np.linspace(0, 1, k + 2)[:, None] * span
    curves = Splines((new,), (wide.coefs[1],)).activations(inside)[-1]
    np.testing.assert_allclose(np.diff(curves[:, 0], k + 1), 0, atol=1e-9)


@pytest.mark.jit
def test_the_excess_is_that_of_the_layer_whose_grid_is_left_most():
    model = patchy([2, 3, 2, 1])
    x = uniform(400, 2)
    model.update_grid_from_samples(x)
    assert excess(model, x) == (0, 0.0)
    hidden = model.activations(2 * x)
    shares = []
    for layer, a in zip(model.act_fun[1:], hidden[1:], strict=False):
        low, high = layer.grid[:, layer.k], layer.grid[:, -1 - layer.k]
        shares.append(float((np.maximum(low - a.min(axis=0), a.max(axis=0) - high) / (high - low)).max()))
    assert excess(model, 2 * x) == pytest.approx((1 + int(np.argmax(shares)), max(shares)))
    model.extrapolate = "raise"
    assert excess(model, 2 * x).share > 0
    model.act_fun[0].coef[0, 0, 3] = np.nan
    assert excess(model, x).share == np.inf


# --- what a fit promises ------------------------------------------------------------------------------------------


def bowl(n: int, noise: float = 0.0, seed: int = 0) -> Any:
    x = uniform(n, 3, seed)
    return x, np.exp(np.square(x).sum(axis=1) / 2) + noise * np.random.default_rng(seed).standard_normal(n)


@pytest.mark.jit
@pytest.mark.parametrize(("width", "noise"), [([3, 1, 1], 0.0), ([3, 2, 1], 0.1)])
def test_points_in_the_box_of_the_data_leave_no_hidden_grid_after_a_fit(width, noise):
    for seed in range(3):
        x, y = bowl(600, noise, seed)
        model = KAN(width, seed=0)
        result = model.fit(x, y, grids=[5, 12], validation=None)
        assert share_outside(model, x) < 0.01
        assert PHRASE not in result.message


@pytest.mark.jit
def test_the_box_is_that_of_the_samples_held_out_too():
    """Two samples give the box its size; a fit that holds one out, or both, has to know of its corner all the same."""
    x = np.concatenate([0.5 * uniform(600, 2), [[0.65, 0.0], [0.0, 0.65]]])
    y = np.exp(2 * np.square(x).sum(axis=1))
    for random_state in range(6):
        model = KAN([2, 1, 1], seed=0)
        result = model.fit(x, y, random_state=random_state, steps=10)
        assert share_outside(model, x) < 0.01 or PHRASE in result.message


@pytest.mark.jit
def test_a_policy_that_refuses_keeps_the_grids_over_the_box():
    x, y = bowl(600)
    model = KAN([3, 1, 1], seed=0, extrapolate="nan")
    result = model.fit(x, y, grids=[5, 12])
    assert share_outside(model, x) < 0.01
    assert PHRASE not in result.message


@pytest.mark.jit
def test_where_inputs_depend_on_each_other_the_grids_stay_over_the_data_and_the_message_says_so():
    """Two inputs of sum 0, but for little: a node that has learned their sum reaches far in the empty corners."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, 300)
    x = np.stack([t, 0.05 * rng.uniform(-1, 1, 300) - t], axis=1)
    model = KAN([2, 1, 1], seed=0)
    result = model.fit(x, np.exp(20 * x.sum(axis=1)))
    assert share_outside(model, x) > 1
    assert PHRASE in result.message
    assert np.sqrt(result.loss) < 1e-6


@pytest.mark.jit
@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_other_methods_say_whether_points_in_the_box_leave_a_grid(method):
    x, y = bowl(60)
    model = KAN([3, 1, 1], seed=0)
    result = model.fit(x, y, method=method, grids=None, steps=20)
    assert share_outside(model, x, 200) > 0.01
    assert PHRASE in result.message
