"""`monotonic_cst` of the estimators: every network of the average rises where it is told to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from numkan.sklearn import KANClassifier, KANRegressor

pytestmark = pytest.mark.jit

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (200, 2))
Y = np.tanh(4 * X[:, 0]) * (1.5 + X[:, 1]) + 0.4 * RNG.standard_normal(200)
T = np.linspace(-3, 3, 400)


def least_step(say: Any) -> float:
    """Return the least step of answers along the first column, for some values of the second."""
    return min(float(np.diff(say(np.column_stack([T, np.full(400, other)]))).min()) for other in np.linspace(-2, 2, 7))


@pytest.mark.parametrize("given", [[1, 0], np.array([1, 0]), {"a": 1}])
def test_predictions_of_the_average_rise_where_those_of_a_free_one_do_not(given):
    named = pd.DataFrame(X, columns=["a", "b"])
    model = KANRegressor(monotonic_cst=given).fit(named, Y)
    assert least_step(lambda x: model.predict(pd.DataFrame(x, columns=["a", "b"]))) >= -1e-13
    if isinstance(given, list):
        assert least_step(KANRegressor().fit(X, Y).predict) < -1e-4


def test_the_probability_of_the_second_class_falls_where_it_is_told_to():
    model = KANClassifier(monotonic_cst=[-1, 0]).fit(X, np.where(Y > 0.5, "a", "b"))
    assert least_step(lambda x: -model.predict_proba(x)[:, 1]) >= -1e-13
    assert model.score(X, np.where(Y > 0.5, "a", "b")) > 0.8


def test_a_fit_that_goes_on_keeps_the_sense():
    model = KANRegressor(hidden=(2,), monotonic_cst=[1, 0], warm_start=True).fit(X, Y)
    assert least_step(model.fit(X[:150], Y[:150]).predict) >= -1e-13


def test_a_gap_has_no_sense_and_neither_has_a_category():
    x = pd.DataFrame({"a": np.where(X[:, 0] > 0.8, np.nan, X[:, 0]), "c": np.where(X[:, 1] > 0, "x", "y")})
    model = KANRegressor(hidden=(), monotonic_cst={"a": 1}).fit(x, Y)
    along = pd.DataFrame({"a": T, "c": "x"})
    assert np.diff(model.predict(along)).min() >= -1e-13
    with pytest.raises(ValueError, match=r"^Argument `monotonic_cst` must be 0 for the categories of column 'c'"):
        KANRegressor(monotonic_cst=[0, 1]).fit(x, Y)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ([1], "must have an entry for each of 2 columns"),
        ([1, 2], "must hold -1, 0 and 1 only, not 2"),
        ({"z": 1}, "must name columns, not 'z'"),
    ],
)
def test_what_is_no_sense_is_refused(given, error):
    with pytest.raises(ValueError, match=f"^Argument `monotonic_cst` {error}"):
        KANRegressor(monotonic_cst=given).fit(X, Y)


def test_three_classes_have_no_sense():
    with pytest.raises(ValueError, match=r"^Argument `monotonic_cst` must be None for 3 classes"):
        KANClassifier(monotonic_cst=[1, 0]).fit(X, np.digitize(Y, [-1, 1]))
