"""Estimators for tables: categories, gaps, weights, mixtures, and what is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from numkan.sklearn import KANClassifier, KANRegressor, candidates
from numkan.sklearn.blend import beats, blend
from numkan.sklearn.candidates import Candidate
from numkan.sklearn.rows import Rows, canonical
from numkan.sklearn.tasks import Classes, Numbers, softmax

pytestmark = pytest.mark.jit

ADDITIVE = {"hidden": ()}


def table(n=60):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "kind": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "text": rng.choice(["x", "y"], n),
            "flat": np.ones(n),
        }
    )
    level = frame["kind"].map({"a": 0.0, "b": 1.0, "c": -1.0}).astype(float)
    y = np.sin(frame["size"]) + level + 2.0 * (frame["text"] == "x")
    return frame, y.to_numpy()


# --- columns ------------------------------------------------------------------------------------------------------


def test_categories_and_texts_of_a_frame_are_inputs_without_being_named():
    x, y = table()
    model = KANRegressor(**ADDITIVE).fit(x, y)
    assert model.input_names_ == ["size", "kind = a", "kind = b", "kind = c", "text = x", "text = y", "flat"]
    assert model.feature_names_in_.tolist() == list(x.columns)
    assert model.score(x, y) > 0.999


def test_an_unseen_level_counts_as_missing():
    x, y = table()
    model = KANRegressor(**ADDITIVE).fit(x, y)
    odd, gap = x.head(3).astype({"text": object}), x.head(3).astype({"text": object})
    odd["text"], gap["text"] = "z", None
    np.testing.assert_array_equal(model.predict(odd), model.predict(gap))


def test_an_unseen_level_of_a_column_without_gaps_is_predicted_between_the_others():
    levels = np.repeat(["a", "b", "c"], [30, 20, 10])
    y = np.array([{"a": 20.0, "b": 26.0, "c": 32.0}[level] for level in levels]) + np.linspace(-0.5, 0.5, 60)
    weight = np.where(levels == "a", 2.0, 1.0)
    model = KANRegressor(**ADDITIVE).fit(pd.DataFrame({"kind": levels}), y, sample_weight=weight)
    expected = np.average(y, weights=weight)
    assert model.predict(pd.DataFrame({"kind": ["d"]}))[0] == pytest.approx(expected, abs=1.0)


def test_a_gap_becomes_a_constant_that_is_learned():
    x, y = table(200)
    x.loc[::4, "size"] = np.nan
    y = np.where(x["size"].isna(), 5.0, y)
    model = KANRegressor(**ADDITIVE).fit(x[["size"]], y)
    assert model.input_names_ == ["size", "size is missing"]
    gap = pd.DataFrame({"size": [np.nan]})
    assert model.predict(gap)[0] == pytest.approx(5.0, abs=0.2)


def test_categories_of_an_array_are_named_by_place_or_by_truth_values():
    x, y = table()
    array = x[["size", "kind"]].astype(object).to_numpy()
    by_place = KANRegressor(**ADDITIVE, categorical_features=[1]).fit(array, y)
    by_flag = KANRegressor(**ADDITIVE, categorical_features=[False, True]).fit(array, y)
    assert by_place.input_names_ == ["x0", "x1 = a", "x1 = b", "x1 = c"]
    np.testing.assert_array_equal(by_place.predict(array), by_flag.predict(array))


def test_frames_of_polars_and_pandas_give_the_same_bits():
    polars = pytest.importorskip("polars")
    x, y = table()
    x = x.astype({"kind": str})
    other = polars.DataFrame({name: x[name].tolist() for name in x.columns})
    model = KANRegressor(**ADDITIVE).fit(x, y)
    np.testing.assert_array_equal(KANRegressor(**ADDITIVE).fit(other, y).predict(other), model.predict(x))


def test_curves_are_constant_outside_the_range_of_the_samples():
    x = np.linspace(0, 1, 50)[:, None]
    model = KANRegressor(**ADDITIVE).fit(x, x[:, 0] ** 2)
    assert model.predict([[100.0]])[0] == model.predict([[1.0]])[0]


# --- weights ------------------------------------------------------------------------------------------------------


def test_weights_are_frequencies_to_the_bit_and_order_does_not_matter():
    x, y = table(40)
    often = np.arange(40) % 3
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(40), often))
    weighed = KANRegressor().fit(x, y, sample_weight=often)
    repeated = KANRegressor().fit(x.iloc[rows], y[rows])
    np.testing.assert_array_equal(weighed.predict(x), repeated.predict(x))


def test_rows_of_weight_zero_drop_and_equal_rows_merge():
    rows = Rows(np.array([[2.0], [1.0], [2.0], [np.nan]]), np.zeros((4, 1)), np.array([1.0, 0.0, 2.0, 1.0]))
    found = canonical(rows)
    assert sorted(found.weight.tolist()) == [1.0, 3.0]
    assert found.x[found.weight == 3.0].tolist() == [[2.0]]


# --- the average --------------------------------------------------------------------------------------------------


def product(n=120):
    x = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    return x, x[:, 0] * x[:, 1]


def test_a_product_is_found_by_hidden_layers_and_every_prediction_is_the_mixtures():
    x, y = product()
    model = KANRegressor().fit(x, y)
    assert any(network.depth > 1 for network in model.models_)
    assert model.weights_.sum() == pytest.approx(1.0)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    mixed = sum(w * m(z)[:, 0] for w, m in zip(model.weights_, model.models_, strict=True))
    np.testing.assert_allclose(model.predict(x), model.target_mean_ + model.target_scale_ * mixed, atol=1e-9)
    assert model.score(x, y) > 0.99


def test_noise_gets_no_more_than_one_hidden_node():
    rng = np.random.default_rng(0)
    model = KANRegressor().fit(rng.normal(size=(80, 3)), rng.normal(size=80))
    assert all(sum(network.width[1:-1]) <= 1 for network in model.models_)


def test_a_curve_of_a_sum_has_one_hidden_node():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 2, (100, 3))
    y = np.exp(x.sum(axis=1))
    model = KANRegressor().fit(x, y + 0.1 * y.std() * rng.standard_normal(100))
    assert list(model.models_[model.weights_.argmax()].width) == [3, 1, 1]


def test_outliers_are_left_to_curves_by_hubers_loss():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 2))
    y = x[:, 0] ** 2 + x[:, 1]
    model = KANRegressor().fit(x, y + 0.1 * rng.standard_t(1, 200))
    weights = [
        weight for weight, result in zip(model.weights_, model.results_, strict=True) if "delta" in str(result.chosen)
    ]
    assert sum(weights) > 0.5


def test_networks_of_folds_take_the_grid_of_the_fit_to_all_samples(monkeypatch):
    grids, fit = [], Candidate.fit

    def note(candidate, task, seed, **options):
        fitted = fit(candidate, task, seed, **options)
        if candidate == Candidate((), 3):
            grids.append((max(fitted.model.grid), options.get("grids")))
        return fitted

    monkeypatch.setattr(Candidate, "fit", note)
    x = np.random.default_rng(0).uniform(-1, 1, (60, 1))
    KANRegressor().fit(x, np.sin(6 * x[:, 0]))
    (chosen, free), *folds = grids
    assert free is None
    assert folds == [(chosen, [chosen])] * 5


def test_of_many_rows_hidden_layers_are_fitted_to_a_sample(monkeypatch):
    """They were left out, so that 1,000,000 rows of a product were fitted by a sum, worse than 10,000 of them."""
    monkeypatch.setattr(candidates, "_WORK", 2e7)
    monkeypatch.setattr(candidates, "_LEAST", 100)
    x = np.random.default_rng(0).uniform(-1, 1, (1500, 2))
    model = KANRegressor().fit(x, x.prod(axis=1))
    assert model.score(x, x.prod(axis=1)) > 0.999
    assert max(network.depth for network in model.models_) == 2


def test_a_candidate_takes_no_more_samples_than_it_may_each_with_its_target_and_weight(monkeypatch):
    seen = []

    def fit(model, x, y, *, sample_weight, **options):
        seen.append((x, y, sample_weight))

    monkeypatch.setattr(candidates.KAN, "fit", fit)
    x = np.arange(200.0)[:, None]
    for seed in (0, 0, 1):
        Candidate((1,), max_samples=50).fit(Numbers(x, 2 * x, x[:, 0] + 1, 1), seed)
    for z, goal, weight in seen:
        assert len(np.unique(z)) == len(z) == 50
        np.testing.assert_array_equal(goal, 2 * z)
        np.testing.assert_array_equal(weight, z[:, 0] + 1)
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    assert (seen[0][0] != seen[2][0]).any()


def test_noise_is_predicted_mostly_by_a_constant():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    model = KANRegressor().fit(x, rng.normal(size=80))
    assert np.ptp(model.models_[model.weights_.argmax()](x)) == 0.0


@pytest.mark.parametrize(("formula", "folds"), [(np.sum, 1), (np.prod, 5)])
def test_hidden_layers_that_lose_the_first_fold_are_not_fitted_to_the_others(formula, folds, monkeypatch):
    fits, fit = [], Candidate.fit

    def count(candidate, task, seed, **limits):
        fits.append((candidate.hidden, seed))
        return fit(candidate, task, seed, **limits)

    monkeypatch.setattr(Candidate, "fit", count)
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    KANRegressor().fit(x, formula(x, axis=1))
    assert len({seed for hidden, seed in fits if hidden == (2,)}) == folds


def test_probabilities_are_the_mixtures_and_add_up_to_one():
    x, y = product()
    model = KANClassifier(hidden=(2,)).fit(x, np.where(y > 0, "up", "down"))
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    up = 1 / (1 + np.exp(-model.models_[0](z)))  # two classes, one output
    np.testing.assert_allclose(model.predict_proba(x), np.hstack([1 - up, up]), atol=1e-9)
    assert model.classes_.tolist() == ["down", "up"]
    assert model.score(x, np.where(y > 0, "up", "down")) > 0.9


def test_probabilities_of_three_classes_are_softmaxes():
    x, y = product()
    model = KANClassifier(hidden=(2,)).fit(x, np.digitize(y, [-0.2, 0.2]))
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(model.predict_proba(x), softmax(model.models_[0](z)), atol=1e-9)


def test_a_constant_is_the_best_answer_without_inputs():
    z, weight = np.zeros((6, 1)), np.array([1.0, 2.0, 1.0, 1.0, 3.0, 1.0])
    numbers = Numbers(z, np.arange(12.0).reshape(6, 2), weight, 2)
    for task in (numbers, Classes(z, np.array([0, 1, 1, 0, 0, 1]), weight, 1), Classes(z, np.arange(6) % 3, weight, 3)):
        best = task.constant()
        said = np.tile(best, (6, 1))
        loss = weight @ task.losses(said)
        for place in range(len(best)):
            moved = said + 1e-3 * (np.arange(len(best)) == place)
            moved = moved if task is numbers else moved / moved.sum(axis=1, keepdims=True)
            assert weight @ task.losses(moved) > loss


def test_jobs_change_no_bit():
    x, y = product(40)
    one, two = (KANRegressor(n_jobs=jobs).fit(x, y).predict(x) for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_stacking_gives_the_better_candidate_the_weight():
    rng = np.random.default_rng(0)
    goal = rng.normal(size=(50, 1))
    task = Numbers(np.zeros((50, 1)), goal, np.ones(50), 1)
    assert blend(task, [goal, rng.normal(size=(50, 1))]).tolist() == [1.0, 0.0]
    sure, unsure = np.array([[0.99, 0.01]] * 50), np.full((50, 2), 0.5)
    labels = Classes(np.zeros((50, 1)), np.zeros(50, np.int64), np.ones(50), 2)
    assert blend(labels, [unsure, sure])[1] == pytest.approx(1.0)


def test_one_standard_error_decides():
    simple = np.array([1.0, 1.0, 1.0, 1.0])
    assert beats(simple - 0.1, simple, np.ones(4))
    assert not beats(np.array([0.0, 2.1, 0.0, 1.8]), simple, np.ones(4))


# --- scikit-learn -------------------------------------------------------------------------------------------------


def test_it_works_in_pipelines_searches_clones_and_pickles():
    x, y = product(40)
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), KANRegressor(**ADDITIVE))
    assert len(cross_val_score(pipeline, x, y, cv=2)) == 2
    search = GridSearchCV(KANRegressor(), {"hidden": [(), (2,)]}, cv=2).fit(x, y)
    assert search.best_params_ == {"hidden": (2,)}
    model = clone(search.best_estimator_).fit(x, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_several_outputs_are_fitted_whatever_their_units():
    x, _ = product(60)
    goal = np.column_stack([x[:, 0] ** 2, 1e6 * x[:, 1]])
    model = KANRegressor(**ADDITIVE).fit(x, goal)
    assert model.predict(x).shape == (60, 2)
    assert model.score(x, goal) > 0.999


def test_warm_start_goes_on_and_keeps_the_encoding():
    x, y = table()
    model = KANRegressor(**ADDITIVE, warm_start=True).fit(x, y)
    encoding = model.input_names_
    model.fit(x.head(20), y[:20])
    assert model.input_names_ == encoding
    assert model.score(x, y) > 0.9


def test_warm_start_fits_the_constant_to_no_inputs_again():
    rng = np.random.default_rng(0)
    x, y, new = rng.uniform(-1, 1, (60, 8)), rng.standard_normal(60), rng.uniform(-1, 1, (500, 8))
    model = KANRegressor(warm_start=True).fit(x, y)
    assert model.weights_.tolist() == [1.0]
    assert np.ptp(model.predict(new)) < 1e-9
    assert np.ptp(model.fit(x, y).predict(new)) < 1e-9


def test_warm_start_gives_intervals_for_the_noise_of_the_new_rows():
    rng = np.random.default_rng(0)

    def rows(n, noise):
        x = rng.uniform(-1, 1, (n, 2))
        return x, np.sin(3 * x[:, 0]) + x[:, 1] + noise * rng.standard_normal(n)

    model = KANRegressor(warm_start=True).fit(*rows(60, 0.5))
    for noise in (0.05, 2.0):
        x, y = rows(500, noise)
        lower, upper = model.fit(x, y).predict_interval(x, level=0.9)
        assert 0.85 < np.mean((lower < y) & (y < upper)) < 0.95


def test_warm_start_asks_for_the_same_outputs():
    x, y = product(40)
    model = KANRegressor(**ADDITIVE, warm_start=True).fit(x, np.c_[y, 100 + 50 * x[:, 0]])
    with pytest.raises(ValueError, match=r"`y` must have shape \(n, 2\) as in the first call, not \(40,\)"):
        model.fit(x, y)


REFUSED = {
    "jobs": ({"n_jobs": 0}, None, "`n_jobs` must be None or an integer that is not 0"),
    "senses": ({"monotonic_cst": [2, 0]}, None, "monotonic_cst"),
    "weights": ({}, -np.ones(60), "`sample_weight` must not be negative"),
}


@pytest.mark.parametrize("kind", [KANRegressor, KANClassifier])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("params", "weight", "says"), REFUSED.values(), ids=REFUSED)
def test_a_refused_fit_leaves_the_estimator_as_it_was(params, weight, says, method, kind):
    x, y = product(60)
    y = y > 0.0 if kind is KANClassifier else y
    model = kind(**ADDITIVE).fit(x, y)
    before, state = model.predict(x), set(vars(model))
    model.set_params(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that `partial_fit` begins anew
        with pytest.raises(ValueError, match=says):
            getattr(model, method)(1000.0 * np.c_[x, x] + 5.0, y, sample_weight=weight)
    assert set(vars(model)) == state
    np.testing.assert_array_equal(model.predict(x), before)


def test_a_stop_during_a_fit_leaves_the_estimator_as_it_was(monkeypatch):
    x, y = product(60)
    model = KANRegressor(**ADDITIVE).fit(x, y)
    before = model.predict(x)

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("numkan.sklearn.estimator.learn", stopped)
    with pytest.raises(KeyboardInterrupt):
        model.fit(100.0 * x, y)
    np.testing.assert_array_equal(model.predict(x), before)


@pytest.mark.parametrize("hidden", [(3,), "auto"])
def test_random_state_draws_the_starts(hidden):
    x, y = product(60)
    said = [KANRegressor(hidden, random_state=seed).fit(x, y).predict(x) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(said[0], said[1])
    assert not np.array_equal(said[0], said[2])


@pytest.mark.parametrize("n", [150, 400])
def test_a_class_by_the_sign_of_a_product_is_learned(n):
    rng = np.random.default_rng(0)
    x, new = rng.uniform(-1, 1, (n, 2)), rng.uniform(-1, 1, (1000, 2))
    model = KANClassifier().fit(x, x[:, 0] * x[:, 1] > 0.0)
    assert model.score(new, new[:, 0] * new[:, 1] > 0.0) > 0.93


def test_shares_as_weights_are_those_of_as_many_samples():
    rng = np.random.default_rng(0)
    loss, simple = rng.uniform(0, 1, 100), rng.uniform(0.4, 1.2, 100)
    assert beats(loss, simple, np.ones(100))
    assert beats(loss, simple, np.full(100, 0.01))


def test_what_a_fit_tells():
    x, y = table()
    model = KANRegressor(**ADDITIVE).fit(x, y)
    assert model.n_iter_ >= 1
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.feature_importances_.sum() == pytest.approx(1.0)
    assert model.feature_importances_[3] == 0.0  # the flat column


def test_a_bar_shows_how_far_the_fits_are(capsys):
    pytest.importorskip("tqdm")
    KANRegressor(**ADDITIVE, progress=True).fit(*product(20))
    assert "1/1" in capsys.readouterr().err


def test_no_time_leaves_the_additive_network():
    x, y = product(60)
    model = KANRegressor(time_limit=0.0).fit(x, y)
    assert [network.depth for network in model.models_] == [1]


def test_more_columns_than_rows_are_answered():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 20))
    assert np.isfinite(KANRegressor(**ADDITIVE).fit(x, x[:, 0]).predict(x)).all()


@pytest.mark.parametrize(
    ("model", "x", "y", "weight", "says"),
    [
        (KANClassifier(), [[0.0], [1.0]], ["a", "a"], None, "`y` must hold two classes at least, not one class, 'a'"),
        (KANClassifier(), [[0.0], [1.0]], ["a", "b"], [1, 0], "two classes at least, not one class, 'a'"),
        (KANClassifier(), [[0.0], [1.0]], ["a", None], None, "`y` must hold a class everywhere, not None"),
        (KANRegressor(n_jobs=0), [[0.0], [1.0]], [0, 1], None, "`n_jobs` must be None or an integer"),
        (KANRegressor(hidden="deep"), [[0.0], [1.0]], [0, 1], None, "`hidden` must be 'auto' or sizes"),
        (KANRegressor(hidden=[0]), [[0.0], [1.0]], [0, 1], None, r"`hidden\[0\]` must be at least 1"),
        (KANRegressor(), [[0.0], [1.0]], [0, 1], [0, 0], "`sample_weight` must have a positive sum"),
        (KANRegressor(), [[0.0], [1.0]], [0, 1], [-1, 1], "`sample_weight` must not be negative"),
        (KANRegressor(categorical_features=["z"]), pd.DataFrame({"a": [1, 2]}), [0, 1], None, "must name columns"),
        (KANRegressor(categorical_features="auto"), [[0.0], [1.0]], [0, 1], None, "must be 'from_dtype', None or"),
        (
            KANRegressor(categorical_features=None), pd.DataFrame({"a": ["u", "v"]}), [0, 1], None,
            "Column 'a' of `X` must hold numbers, or be named in `categorical_features`, not 'u'",
        ),
        (KANRegressor(), pd.DataFrame({"a": [1.0, np.inf]}), [0, 1], None, "Column 'a' of `X` must be finite"),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused_in_a_sentence(model, x, y, weight, says):
    with pytest.raises(ValueError, match=says):
        model.fit(x, y, sample_weight=weight)
    assert not hasattr(model, "models_")


@pytest.mark.parametrize(("labels", "kinds"), [([1, "a", 1], "int and str"), ([{}, {}, {}], "dict")])
def test_classes_that_cannot_be_sorted_are_refused_in_a_sentence(labels, kinds):
    with pytest.raises(TypeError, match=f"`y` must hold classes that can be sorted, not {kinds}"):
        KANClassifier().fit([[0.0], [1.0], [2.0]], np.array(labels, object))


def test_without_scikit_learn_one_sentence_says_how_to_get_it():
    code = "import sys; sys.modules['sklearn'] = None; import numkan.sklearn"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "numkan[sklearn]"' in run.stderr.splitlines()[-1]
