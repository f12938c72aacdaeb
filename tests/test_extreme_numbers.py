"""Fits at the ends of the range of numbers: success is said of no model that is not finite or explains nothing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import numkan
from numkan import KAN
from numkan.model.targets import targets

pytestmark = pytest.mark.jit  # in plain Python normal equations take minutes

METHODS = ["lm", "lbfgs", "adam"]


def data(dtype: Any = "f8", x_unit: float = 1.0, y_unit: float = 1.0, n: int = 60) -> tuple[Any, Any]:
    x = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    y = np.sin(3 * x[:, 0]) + x[:, 1] ** 2
    return (x * x_unit).astype(dtype), (y * y_unit).astype(dtype)


def explained(model: KAN, x: Any, y: Any) -> float:
    """Share of the targets' variance that a model explains, whatever their unit."""
    largest = float(np.abs(y).max())
    y, predicted = y.astype(np.float64) / largest, model(x)[:, 0].astype(np.float64) / largest
    return float(1 - np.mean((predicted - y) ** 2) / y.var())


# --- Levenberg-Marquardt ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "x_unit", "y_unit", "why"),
    [
        ("f4", 1e-38, 1.0, "inputs that differ by at most 2.0e-38 leave no room for knots in float32"),
        ("f8", 1e-307, 1.0, "inputs that differ by at most 2.0e-307 leave no room for knots in float64"),
        ("f8", 1.0, 1e-170, "the squares of targets that differ by at most .*e-170 are 0 in float64"),
        ("f8", 1.0, 5e307, "in the parameters, which float64 does not hold"),
    ],
)
def test_numbers_that_are_out_of_reach_are_a_failure_and_leave_the_model(dtype, x_unit, y_unit, why):
    x, y = data(dtype, x_unit, y_unit)
    model = KAN([2, 2, 1], seed=0, dtype=dtype)
    before = model.params
    result = model.fit(x, y, method="lm")
    assert not result.success
    assert result.status == "non-finite"
    assert re.search(why, result.message)
    assert "The model is as it was." in result.message
    np.testing.assert_array_equal(model.params, before)


def test_coefficients_beyond_float32_are_a_failure_and_the_model_stays_finite():
    x, y = data("f4", y_unit=1e38)
    model = KAN([2, 2, 1], seed=0, dtype=np.float32)
    result = model.fit(x, y, method="lm")
    assert not result.success
    assert "in the parameters, which float32 does not hold" in result.message
    assert np.isfinite(model(x)).all()


@pytest.mark.parametrize(
    ("dtype", "x_unit", "y_unit"),
    [("f4", 1e-35, 1.0), ("f4", 1e35, 1e30), ("f4", 1.0, 1e-37), ("f8", 1e-304, 1e-150), ("f8", 1e150, 1e145)],
)
def test_numbers_near_the_ends_are_fitted(dtype, x_unit, y_unit):
    x, y = data(dtype, x_unit, y_unit)
    model = KAN([2, 2, 1], seed=0, dtype=dtype)
    assert model.fit(x, y, method="lm").success
    assert explained(model, x, y) > 0.99


def test_a_model_whose_outputs_are_not_finite_is_no_success(monkeypatch):
    x, y = data()
    monkeypatch.setattr("numkan.train.climbs.local_loss", lambda model, samples: np.nan)
    result = KAN([2, 1], seed=0).fit(x, y, method="lm")
    assert not result.success
    assert "not finite on its training samples" in result.message


def test_float32_knots_stay_apart_far_from_zero():
    x, y = data(n=300)
    x = (x + 1e4).astype(np.float32)
    model = KAN([2, 2, 1], seed=0, dtype=np.float32)
    model.fit(x, y, method="lm")
    for layer in model.act_fun:
        assert (np.diff(layer.grid) > 0).all()
    assert explained(model, x, y) > 0.99


# --- weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("unit", [2.0**1020, 2.0**-1000])
def test_a_power_of_two_in_the_weights_changes_no_bit(method, unit):
    x, y = data()
    weight = np.random.default_rng(1).uniform(0.5, 2, len(x))
    models = [KAN([2, 2, 1], seed=0) for _ in range(2)]
    results = [
        model.fit(x, y, method=method, steps=5, sample_weight=w, grids=[3])
        for model, w in zip(models, (weight, weight * unit), strict=True)
    ]
    np.testing.assert_array_equal(models[0].params, models[1].params)
    assert results[0].loss == results[1].loss == pytest.approx(models[0].loss(x, y, sample_weight=weight * unit))


def test_weights_whose_sum_overflows_are_weights():
    goal = targets(np.arange(400.0), 400, 1, np.dtype(np.float64), "mse", np.full(400, 1e307))
    assert goal.total == goal.weight.sum() < np.inf


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("random_state", range(3))
def test_one_sample_with_a_weight_is_enough(method, random_state):
    x, y = data()
    model = KAN([2, 2, 1], seed=0)
    result = model.fit(x, y, method=method, sample_weight=np.eye(60)[7], random_state=random_state)
    assert result.success
    assert abs(model(x)[7, 0] - y[7]) < 0.1


# --- NumPy's handling of floating-point errors --------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("y_unit", "weight_unit"), [(1.0, 1.0), (1e-170, 1.0), (1.7e307, 1.0), (1.0, 1e307)])
def test_a_fit_raises_no_floating_point_error_where_numpy_is_told_to(method, y_unit, weight_unit):
    x, y = data(y_unit=y_unit)
    with np.errstate(all="raise"):
        model = KAN([2, 2, 1], seed=0)
        model.fit(x, y, method=method, steps=5, sample_weight=np.full(60, weight_unit))


def test_a_search_raises_no_floating_point_error_where_numpy_is_told_to():
    x, y = data(y_unit=1e-170)
    with np.errstate(all="raise"):
        _, result = numkan.search(x, y, widths=[[2, 1]], time_limit=60)
    assert not result.fit.success


def test_a_callback_sees_the_handling_that_its_caller_has_set():
    x, y = data()
    seen = []
    with np.errstate(over="raise", under="ignore", divide="print"):
        mine = np.geterr()
        KAN([2, 1], seed=0).fit(x, y, steps=2, callback=lambda state: seen.append(np.geterr()))
    assert seen
    assert all(handling == mine for handling in seen)


# --- scores of edges ----------------------------------------------------------------------------------------------


def test_scores_of_activations_whose_squares_overflow_are_one_clear_error():
    x = data(x_unit=1e308)[0]
    model = KAN([2, 2, 1], seed=0)
    for judge in (model.edge_scores, model.prune):
        with pytest.raises(ValueError, match="must give activations whose squares are finite, not up to 9"):
            judge(x)


@pytest.mark.parametrize("policy", ["nan", "raise"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_policy_that_refuses_samples_is_no_failure_of_the_fit(policy, dtype):
    x, y = data(dtype, x_unit=2.0)
    model = KAN([2, 2, 1], seed=0, extrapolate=policy, dtype=dtype)
    result = model.fit(x, y, method="lm", steps=3, update_grid=False)
    assert result.success
    assert np.isfinite(result.loss)
