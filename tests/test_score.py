"""numkan.model.score: predictions, and how good they are, as scikit-learn has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from numkan import KAN
from numkan.conformance.law import assert_identical
from tests.small_networks import points, targets

X = points(40)
WEIGHT = np.random.default_rng(5).uniform(0.1, 2.0, 40)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_predict_is_a_call(dtype: type) -> None:
    model = KAN([2, 3, 2], dtype=dtype)
    assert_identical(model.predict(X), model(X))
    with pytest.raises(ValueError, match=r"^Argument `x` must have shape \(n, 2\)"):
        model.predict(X[0])


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("weight", [None, WEIGHT, (WEIGHT > 1) * WEIGHT])
@pytest.mark.parametrize("unit", [1.0, 2.0**600, 2.0**-600])
def test_the_score_of_numbers_is_r2_in_any_units(n_out: int, weight: Any, unit: float) -> None:
    model, y = KAN([2, n_out], seed=3), targets(40, n_out)
    want = r2_score(y, model(X), sample_weight=weight)
    for layer in model.act_fun:
        layer.coef *= unit
        layer.scale_base *= unit
    assert model.score(X, y * unit, weight) == pytest.approx(want, rel=1e-12)
    if n_out == 1:
        assert model.score(X, y[:, 0] * unit, sample_weight=weight) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0, 1e300])
def test_constant_targets_score_1_where_met_and_else_0(value: float) -> None:
    model = KAN([2, 2])
    for layer in model.act_fun:
        layer.coef[...] = layer.scale_base[...] = 0.0
    y = np.column_stack([np.full(40, value), np.zeros(40)])
    assert model.score(X, y) == (1.0 if value == 0.0 else 0.5)
    assert model.score(X, y, WEIGHT) == (1.0 if value == 0.0 else 0.5)
    moved = np.where(np.arange(40)[:, None] == 3, 5.0, y)
    assert model.score(X, moved, np.arange(40) != 3) == (1.0 if value == 0.0 else 0.5)


def test_one_sample_has_no_spread() -> None:
    assert np.isnan(KAN([2, 1]).score(X[:1], [0.5]))


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("kind", [list, np.array, lambda y: np.array(y, float), lambda y: np.array(y, np.uint8)])
def test_the_score_of_labels_is_their_accuracy(weight: Any, kind: Any) -> None:
    model, labels = KAN([2, 3], seed=3), np.random.default_rng(0).integers(0, 3, 40)
    want = accuracy_score(labels, model(X).argmax(axis=1), sample_weight=weight)
    assert 0.0 < want < 1.0
    assert model.score(X, kind(labels.tolist()), sample_weight=weight) == pytest.approx(want, rel=1e-14)


def test_what_cannot_be_scored_is_named() -> None:
    model = KAN([2, 3])
    for y, said in (
        (np.zeros((40, 2)), "`y` must have shape"),
        (np.full(40, 0.5), "`y` must hold integer labels"),
        (["a"] * 40, "`y` must hold integer labels, not texts"),
        (np.full(40, 3), "`y` must hold labels in"),
        (np.zeros(39), "`y` must have shape"),
    ):
        with pytest.raises((ValueError, TypeError), match=rf"^Argument {said}"):
            model.score(X, y)
    with pytest.raises(ValueError, match=r"^Argument `sample_weight` must not be negative"):
        model.score(X, np.zeros((40, 3)), -WEIGHT)
    with pytest.raises(ValueError, match=r"^Argument `x` must have at least one row"):
        model.score(X[:0], np.zeros((0, 3)))
