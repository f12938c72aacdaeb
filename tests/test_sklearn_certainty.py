"""Intervals of the estimators: the mixture of the networks of the average, in the units of the targets."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from numkan import KAN
from numkan.conformance.law import assert_identical
from numkan.sklearn import KANClassifier, KANRegressor
from numkan.sklearn.certainty import Calibration, Mixture, without_it
from numkan.sklearn.tasks import Numbers

pytestmark = pytest.mark.jit

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (200, 2))
Y = 50.0 + 10.0 * (np.sin(3 * X[:, 0]) * X[:, 1] + 0.1 * RNG.standard_normal(200))
AT = np.random.default_rng(1).uniform(-1, 1, (400, 2))


@pytest.fixture(scope="module")
def average() -> Any:
    """Several networks, because the function is no sum."""
    model = KANRegressor().fit(X, Y)
    assert len(model.models_) > 1
    return model


def mixture() -> Mixture:
    rng = np.random.default_rng(2)
    return Mixture(np.array([0.5, 0.3, 0.2]), rng.standard_normal((3, 4, 2)), rng.uniform(0.5, 2.0, (3, 4, 2)))


def test_the_mixture_has_the_deviation_and_the_quantiles_of_draws_from_its_parts():
    of, rng = mixture(), np.random.default_rng(3)
    part = rng.choice(3, 200_000, p=of.weights)
    draws = of.means[part, 1, 0] + of.deviations[part, 1, 0] * rng.standard_normal(len(part))
    assert of.deviation[1, 0] == pytest.approx(draws.std(), rel=0.01)
    for share in (0.05, 0.5, 0.9):
        assert of.quantile(share)[1, 0] == pytest.approx(np.quantile(draws, share), abs=0.02)


def test_the_mixture_s_distribution_function_is_the_share_at_its_quantile():
    of = mixture()
    for share in (1e-6, 0.025, 0.5, 0.975):
        below = norm.cdf((of.quantile(share) - of.means) / of.deviations)
        np.testing.assert_allclose(np.tensordot(of.weights, below, axes=1), share, rtol=1e-9)


def test_of_one_network_the_interval_is_the_normal_one():
    model = KANRegressor(hidden=()).fit(X, Y)
    predicted, deviation = model.predict(AT, return_std=True)
    lower, upper = model.predict_interval(AT, level=0.8)
    np.testing.assert_allclose(upper - predicted, norm.ppf(0.9) * deviation, rtol=1e-9)
    np.testing.assert_allclose(predicted - lower, norm.ppf(0.9) * deviation, rtol=1e-9)


def test_return_std_leaves_the_predictions_as_they_are_and_takes_their_shape(average):
    predicted, deviation = average.predict(AT, return_std=True)
    assert_identical(predicted, average.predict(AT))
    assert deviation.shape == predicted.shape == (400,)
    assert (deviation > 0.8).all()


def test_several_outputs_have_intervals_of_their_own_each():
    both = np.column_stack([Y, 0.01 * X[:, 0] + 0.001 * RNG.standard_normal(200)])
    model = KANRegressor(hidden=()).fit(X, both)
    _, deviation = model.predict(AT, return_std=True)
    lower, upper = model.predict_interval(AT)
    assert deviation.shape == lower.shape == upper.shape == (400, 2)
    assert (deviation[:, 0] > 100 * deviation[:, 1]).all()
    assert (lower < upper).all()


def test_intervals_hold_about_as_many_observations_as_they_say(average):
    seen = 50.0 + 10.0 * (np.sin(3 * AT[:, 0]) * AT[:, 1] + 0.1 * np.random.default_rng(5).standard_normal(400))
    for level in (0.5, 0.9):
        lower, upper = average.predict_interval(AT, level)
        assert abs(np.mean((lower < seen) & (seen < upper)) - level) < 0.06


def test_intervals_are_no_wider_where_there_is_little_noise():
    """Errors are those of the average at samples that none of its networks has seen: 91 % were held before."""
    shares = []
    for seed in (0, 4):
        (x, y), (at, seen) = (_product(n, s) for n, s in ((100, seed), (1000, seed + 1)))
        lower, upper = KANRegressor().fit(x, y).predict_interval(at, 0.8)
        shares.append(np.mean((lower < seen) & (seen < upper)))
    assert abs(np.mean(shares) - 0.8) < 0.07


def _product(n: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    return x, np.sin(3 * x[:, 0]) * x[:, 1] + 0.021 * rng.standard_normal(n)


def test_what_a_network_would_say_without_a_sample_is_what_a_fit_says_that_has_not_seen_it():
    x, y, n, rows = X[:60], Y[:60] - 50.0, 60, np.array([3, 25, 41])

    def fitted(weight: Any, penalty: float) -> KAN:
        model = KAN([2, 1], grid=3, grid_range=(-1, 1), extrapolate="clamp", seed=0)
        options: dict[str, Any] = {"method": "lm", "grids": None, "update_grid": False, "validation": None}
        model.fit(x, y, sample_weight=weight, penalty=penalty, **options)
        return model

    weight = np.random.default_rng(1).uniform(0.5, 2.0, n)
    whole, task = fitted(weight, 1e-4), Numbers(x, y[:, None], weight, 1)
    said, deviation = without_it(whole, task, rows, np.ones(3, bool))
    for place, row in enumerate(rows):
        others = np.where(np.arange(n) == row, 0.0, weight)
        other = fitted(others, 1e-4 * weight.sum() / others.sum())  # the same penalty beside the sum of the others
        at = x[row : row + 1]
        assert said[place, 0] == pytest.approx(other(at)[0, 0], rel=1e-6)
        ratio = other.predict_std(at)[0, 0] / other._posterior.noise * whole._posterior.noise
        assert deviation[place, 0] == pytest.approx(ratio * np.sqrt(weight.sum() / others.sum()), rel=1e-6)
    plain, _ = without_it(whole, task, rows, np.zeros(3, bool))
    assert_identical(plain, whole(x[rows]))


def test_far_from_the_data_the_interval_is_wider_though_predictions_stay(average):
    (_, inside), (_, outside) = (average.predict(x, return_std=True) for x in (AT, AT + 3.0))
    assert outside.min() > 2.0 * np.median(inside)


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, "0.9", np.nan])
def test_a_level_that_is_no_probability_is_refused(average, level):
    with pytest.raises((ValueError, TypeError), match=r"^Argument `level` must"):
        average.predict_interval(AT, level)


def test_a_network_without_a_posterior_is_an_error_that_says_what_to_do(average):
    model = copy.deepcopy(average)
    model.models_[0].act_fun[0].coef[...] *= 1.01
    for ask in (lambda: model.predict(AT, return_std=True), lambda: model.predict_interval(AT)):
        with pytest.raises(RuntimeError, match=r"^A network of the average has no posterior"):
            ask()
    assert np.isfinite(model.predict(AT)).all()


def test_a_constant_in_the_average_does_not_widen_intervals_where_it_has_seen_no_inputs():
    """It is fitted with all inputs 0, and its curves are constants: far from 0 it is as sure as there."""
    rng = np.random.default_rng(0)
    model = KAN([2, 1], k=1, extrapolate="clamp", seed=0)
    model.fit(np.zeros((100, 2)), rng.standard_normal(100), grids=[1], validation=None, method="lm")
    std = model.predict_std(rng.standard_normal((5, 2)))
    np.testing.assert_allclose(std, model.predict_std(np.zeros((1, 2)))[0, 0], rtol=1e-12)
    assert 0.05 < std[0, 0] < 0.2


def test_the_reach_of_a_level_is_that_share_s_quantile_of_errors_and_goes_on_beyond_the_largest():
    sizes = np.sort(np.abs(np.random.default_rng(0).standard_t(3, 99)))
    of = Calibration(np.ones(1), np.ones(1), sizes[:, None])
    for place in (0, 49, 98):
        assert of.reach((place + 1) / 100)[0] == pytest.approx(sizes[place], rel=1e-12)
    assert of.reach(0.999)[0] == pytest.approx(sizes[-1] * norm.ppf(0.9995) / norm.ppf(0.995), rel=1e-12)


# --- effects ------------------------------------------------------------------------------------------------------


def table() -> Any:
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": rng.uniform(-1, 1, 300), "b": rng.uniform(-1, 1, 300), "c": rng.choice(list("xyz"), 300)})
    return x, 10.0 * x["a"] ** 2 + 2.0 * (x["c"] == "x") + 0.1 * rng.standard_normal(300)


def test_effects_of_columns_are_their_centred_curves_with_bands_that_hold_them():
    x, y = table()
    a, b, c = KANRegressor(hidden=()).fit(x, y).effects(x)
    assert [a.name, b.name, c.name] == ["a", "b", "c"]
    assert c.x.tolist() == ["x", "y", "z"]
    truth = 10.0 * a.x**2 - np.mean(10.0 * x["a"].to_numpy() ** 2)
    assert (np.abs(a.curve[:, 0] - truth) < 4 * a.std[:, 0] + 0.01).all()
    assert (a.std < 0.2).all()
    assert np.abs(b.curve).max() < 0.1
    assert c.curve[0, 0] - c.curve[1, 0] == pytest.approx(2.0, abs=0.1)
    assert float(a.share[0] + b.share[0] + c.share[0]) == pytest.approx(1.0, abs=0.01)


def test_effects_of_an_average_with_hidden_layers_leave_out_what_interacts(average):
    first, second = average.effects(X)
    assert first.curve.shape == first.std.shape == (51, 1)
    assert (first.std > 0.0).all()
    assert float(first.share[0] + second.share[0]) < 0.5  # of a product of centred inputs


def test_effects_of_two_hundred_rows_are_averages_over_all_of_them(average):
    first, _ = average.effects(X)
    ends = [average.predict(np.column_stack([np.full(len(X), value), X[:, 1]])).mean() for value in first.x[[0, -1]]]
    assert first.curve[-1, 0] - first.curve[0, 0] == pytest.approx(ends[1] - ends[0], rel=1e-9)


def test_effects_on_the_odds_of_two_classes_are_the_curves_that_they_were_drawn_from_within_their_bands():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (600, 2))
    odds = 4.0 * x[:, 0] ** 2 - 2.0 * x[:, 1]
    y = np.where(rng.random(600) < 1.0 / (1.0 + np.exp(-odds)), "yes", "no")
    first, second = KANClassifier(hidden=()).fit(x, y).effects(x)
    parts = (first, 4.0 * first.x**2, 4.0 * x[:, 0] ** 2), (second, -2.0 * second.x, -2.0 * x[:, 1])
    for effect, curve, own in parts:
        error = effect.curve[:, 0] - (curve - own.mean())
        assert (np.abs(error) < 4 * effect.std[:, 0]).all()
        assert (effect.std < 1.0).all()
    assert float(first.share[0] + second.share[0]) == pytest.approx(1.0, abs=0.01)


def test_effects_on_the_odds_of_three_classes_are_refused():
    with pytest.raises(ValueError, match=r"^Effects are on the odds of two classes, and this fit has 3\.$"):
        KANClassifier(hidden=()).fit(X[:90], np.repeat([0, 1, 2], 30)).effects(X[:90])


def test_functions_deviate_by_no_more_than_the_largest_target():
    of = Calibration(np.array([0.3]), np.ones(1), np.ones((1, 1)), np.array([2.0]))
    functions = Mixture(np.ones(1), np.zeros((1, 2, 1)), np.array([0.4, 1e3]).reshape(1, 2, 1))
    np.testing.assert_allclose(of.deviation(functions)[:, 0], np.hypot(0.3, [0.4, 2.0]))


def test_the_calibration_of_a_fit_knows_the_largest_target(average):
    largest = np.abs((Y - average.target_mean_) / average.target_scale_).max()
    assert average._calibration.most == pytest.approx(largest)
