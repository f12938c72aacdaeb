"""`partial_fit`: a network that learns from batches what it would have learned from all rows."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from numkan.sklearn import KANClassifier, KANRegressor

pytestmark = pytest.mark.jit


def f(x):
    return np.exp(x[:, 0]) + np.sin(3 * x[:, 1])


def batches(number=6, n=100, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(number):
        x = rng.uniform(-1, 1, (n, 2))
        yield x, f(x) + noise * rng.standard_normal(n)


NEW = np.random.default_rng(9).uniform(-0.95, 0.95, (500, 2))


def learned(parts, **options):
    model = KANRegressor(**options)
    for x, y in parts:
        model.partial_fit(x, y)
    return model


def error(model):
    return np.sqrt(np.mean((model.predict(NEW) - f(NEW)) ** 2))


def test_batches_give_what_their_rows_give_together_in_any_order():
    first, *others = batches()
    together = tuple(np.concatenate(parts) for parts in zip(*others, strict=True))
    whole, *models = (learned([first, *parts]) for parts in ([together], others, others[::-1]))
    for model in models:
        difference = model.predict(NEW) - whole.predict(NEW)
        assert np.abs(difference).max() < 0.05 * error(whole)


def test_the_error_falls_with_the_rows_and_is_that_of_a_fit_of_all_of_them():
    parts = list(batches())
    alone, all_of_them = learned(parts[:1]), learned(parts)
    x, y = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    assert error(all_of_them) < 0.7 * error(alone)
    assert error(all_of_them) < 1.3 * error(KANRegressor(hidden=()).fit(x, y))


def test_intervals_narrow_with_the_rows_and_hold_what_they_say():
    parts = list(batches())
    widths = []
    for model in (learned(parts[:1]), learned(parts)):
        lower, upper = model.predict_interval(NEW, 0.9)
        held = (lower < f(NEW) + 0.2 * np.random.default_rng(1).standard_normal(500)) & (upper > lower)
        assert 0.8 < held.mean() < 1.0
        widths.append(np.mean(model.models_[0].predict_std(NEW)))
    assert widths[1] < 0.6 * widths[0]


def test_hidden_layers_learn_from_later_batches():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (900, 2))
    y = x[:, 0] * x[:, 1] + 0.1 * rng.standard_normal(900)
    errors, model = [], KANRegressor(hidden=(2,))
    for rows in np.split(np.arange(900), 3):
        model.partial_fit(x[rows], y[rows])
        errors.append(np.sqrt(np.mean((model.predict(NEW) - NEW.prod(axis=1)) ** 2)))
    assert errors[-1] < 0.8 * errors[0]


def test_weights_are_frequencies_to_the_bit():
    (x, y), often = next(batches(1)), np.arange(100) % 3
    weighed = KANRegressor().partial_fit(x, y).partial_fit(x, y, often)
    repeated = KANRegressor().partial_fit(x, y).partial_fit(np.repeat(x, often, axis=0), np.repeat(y, often))
    np.testing.assert_array_equal(weighed.predict(NEW), repeated.predict(NEW))


def test_what_is_kept_does_not_grow_and_pickles():
    parts = list(batches())
    two, six = (pickle.dumps(learned(parts[:number])) for number in (2, 6))
    assert len(six) < 1.02 * len(two)
    again, model = pickle.loads(six).partial_fit(*parts[0]), pickle.loads(six).partial_fit(*parts[0])
    np.testing.assert_array_equal(again.predict(NEW), model.predict(NEW))


def test_the_encoding_is_that_of_the_first_batch():
    rng = np.random.default_rng(0)
    model = KANRegressor()
    for levels in (["a", "b"], ["b", "c"]):
        frame = pd.DataFrame({"size": rng.normal(size=50), "kind": rng.choice(levels, 50)})
        model.partial_fit(frame, frame["size"] + (frame["kind"] == "b"))
    assert model.input_names_ == ["size", "kind = a", "kind = b"]
    assert model.predict(pd.DataFrame({"size": [0.0], "kind": ["b"]}))[0] == pytest.approx(1.0, abs=0.05)


def test_several_outputs_and_a_sense_are_kept():
    rng = np.random.default_rng(0)
    model = KANRegressor(monotonic_cst=[1, 0])
    for _ in range(3):
        x = rng.uniform(-1, 1, (60, 2))
        model.partial_fit(x, np.column_stack([x[:, 0] ** 3, 10 * x[:, 1]]) + 0.3 * rng.standard_normal((60, 2)))
    line = np.column_stack([np.linspace(-1.2, 1.2, 300), np.zeros(300)])
    assert model.predict(line).shape == (300, 2)
    assert (np.diff(model.predict(line)[:, 0]) > -1e-12).all()


# --- classes ------------------------------------------------------------------------------------------------------


def inside(x):
    return np.where((x**2).sum(axis=1) < 0.6, "inside", "outside")


def test_classes_may_be_missing_from_a_batch():
    x = np.random.default_rng(0).uniform(-1, 1, (600, 2))
    y = inside(x)
    model, order = KANClassifier(), np.argsort(y[:100], kind="stable")
    ones = np.flatnonzero(y == "inside")[:60]
    model.partial_fit(x[ones], y[ones], classes=["outside", "inside"])
    assert model.classes_.tolist() == ["inside", "outside"]
    assert (model.predict(x[ones]) == "inside").all()
    assert np.isfinite(model.predict_proba(NEW)).all()
    model.partial_fit(x[order], y[order]).partial_fit(x[100:], y[100:])
    assert model.score(NEW, inside(NEW)) > 0.93


def test_three_classes_are_learned_about_as_well_as_from_all_rows():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (900, 2))
    y = np.digitize(x.sum(axis=1) + 0.3 * rng.standard_normal(900), [-0.4, 0.4])
    model = KANClassifier()
    for rows in np.split(np.arange(900), 3):
        model.partial_fit(x[rows], y[rows], classes=[0, 1, 2])
    whole = KANClassifier(hidden=()).fit(x, y)
    assert np.abs(model.predict_proba(NEW) - whole.predict_proba(NEW)).mean() < 0.03


# --- what is refused ----------------------------------------------------------------------------------------------

X = np.linspace(-1, 1, 40).reshape(20, 2)


@pytest.mark.parametrize(
    ("model", "first", "second", "error", "says"),
    [
        (KANRegressor(), (X, X[:, 0]), (X[:, :1], X[:, 0]), ValueError, "features"),
        (KANRegressor(), (X, X[:, 0]), (X, X), ValueError, r"`y` must have shape \(n,\) as in the first call"),
        (KANRegressor(), (X, X), (X, X[:, :1]), ValueError, r"must have shape \(n, 2\) as in the first call"),
        (KANRegressor(), (X, X[:, 0]), (X, np.full(20, np.nan)), ValueError, "NaN"),
        (KANClassifier(), None, (X, X[:, 0] > 0), ValueError, "`classes` must hold all classes in the first call"),
        (KANClassifier(), None, (X, X[:, 0] > 0, [True]), ValueError, "`classes` must hold two classes at least"),
        (
            KANClassifier(), (X, X[:, 0] > 0, [False, True]), (X, X[:, 0] > 0, [0, 1, 2]), ValueError,
            "`classes` must hold the same classes as in the first call",
        ),
        (
            KANClassifier(), (X, np.arange(20) % 2, [0, 1]), (X, np.arange(20) % 3), ValueError,
            "`y` must hold none but the classes of the first call, not 2",
        ),
    ],
)  # fmt: skip
def test_a_call_that_is_refused_leaves_the_network_as_it_was(model, first, second, error, says):
    if first:
        model.partial_fit(*first)
        before = model.predict(X)
    with pytest.raises(error, match=says):
        model.partial_fit(*second)
    if first:
        np.testing.assert_array_equal(model.predict(X), before)
    else:
        assert not hasattr(model, "models_")


def test_what_fit_has_fitted_is_not_dropped_in_silence():
    model = KANRegressor(hidden=()).fit(X, X[:, 0])
    with pytest.warns(UserWarning, match="`partial_fit` begins anew: `fit` keeps no sums") as caught:
        model.partial_fit(X, X[:, 1])
    assert caught[0].filename == __file__
    assert np.abs(model.predict(X) - X[:, 1]).max() < 1e-3
    model.partial_fit(X, X[:, 1])  # and goes on without a word


def test_a_single_row_is_a_batch():
    model = KANRegressor().partial_fit(X[:1], [2.0])
    assert model.predict(X[:1])[0] == pytest.approx(2.0)
    assert np.isfinite(model.partial_fit(X, X[:, 0]).predict(X)).all()
