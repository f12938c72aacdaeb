"""``numkan.search``: the narrowest network that fits is found, in time, and what was tried is told."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

import numkan
from numkan import KAN, search
from numkan.search import SearchResult, Trial

pytestmark = pytest.mark.jit  # in plain Python normal equations take minutes


def data(n: int = 200, n_in: int = 2, seed: int = 0) -> tuple[Any, Any]:
    """The tutorial's function, of width [2, 1, 1]."""
    x = np.random.default_rng(seed).uniform(-1, 1, (n, n_in))
    return x, np.exp(np.sin(np.pi * x[:, 0]) + x[:, -1] ** 2)


def rms(a: Any, b: Any) -> float:
    return float(np.sqrt(np.mean(np.square(np.ravel(a) - np.ravel(b)))))


# --- what is found ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_shape_of_the_tutorial_s_function_is_found_at_once(seed):
    x, y = data(300, seed=seed)
    model, result = search(x, y, time_limit=20, random_state=seed)
    assert model.width == [2, 1, 1]
    assert result.chosen.width == (2, 1, 1)
    assert result.chosen.fits
    assert result.seconds < 10
    fresh, truth = data(1000, seed=99)
    assert rms(model(fresh), truth) < 1e-4
    assert rms(model(x), y) < 1e-6
    assert result.fit.loss == pytest.approx(model.loss(x, y), rel=1e-6)


def test_no_narrower_network_is_taken_where_it_does_not_fit():
    """x0 x1 needs two hidden nodes: ((x0 + x1)^2 - (x0 - x1)^2) / 4."""
    x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    y = x[:, 0] * x[:, 1]
    model, result = search(x, y, time_limit=20)
    assert model.width == [2, 2, 1]
    assert rms(model(x), y) < 1e-6
    narrow = [trial for trial in result.trials if trial.width in ((2, 1), (2, 1, 1))]
    assert narrow
    assert all(trial.score > 100 * result.chosen.score for trial in narrow)


def test_the_chosen_network_is_the_narrowest_of_those_that_are_about_as_good():
    x, y = data(200)
    y = y + 0.3 * np.random.default_rng(1).standard_normal(200)
    model, result = search(x, y, time_limit=6)
    best = min(trial.score for trial in result.trials)
    assert result.chosen in result.trials
    assert result.chosen.score <= 1.03 * best
    narrower = [
        trial for trial in result.trials if (len(trial.width), sum(trial.width)) < (len(model.width), sum(model.width))
    ]
    assert all(trial.score > 1.03 * best for trial in narrower)
    assert tuple(model.width) == result.chosen.width
    assert 0.2 < result.fit.noise < 0.36
    fresh, truth = data(1000, seed=99)
    assert rms(model(fresh), truth) < 0.25


def test_on_noise_it_ends_before_its_time():
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-1, 1, (150, 2)), rng.standard_normal(150)
    began = time.perf_counter()
    model, _ = search(x, y, time_limit=40)
    assert time.perf_counter() - began < 25
    assert np.std(model(x)) < 0.6


def test_given_widths_are_tried_in_their_order_and_no_others():
    x, y = data()
    y = y + 0.2 * np.random.default_rng(1).standard_normal(len(y))
    widths = [[2, 2, 1], (2, 1, 1)]
    model, result = search(x, y, widths=widths, time_limit=2)
    assert [trial.width for trial in result.trials[:2]] == [(2, 2, 1), (2, 1, 1)]
    assert {trial.width for trial in result.trials} == {(2, 2, 1), (2, 1, 1)}
    assert tuple(model.width) in {(2, 2, 1), (2, 1, 1)}
    one, told = search(*data(), widths=[[2, 1]], time_limit=1)
    assert one.width == [2, 1]
    assert {trial.width for trial in told.trials} == {(2, 1)}


def test_degree_five_is_tried_where_it_may_be_chosen_and_taken_where_it_is_better():
    x, y = data(300)
    model, result = search(x, y, widths=[[2, 1, 1]], k="auto", time_limit=20)
    assert [trial.k for trial in result.trials] == [3, 5]
    three, five = result.trials
    assert model.k == [result.chosen.k] * 2
    assert (result.chosen is five) == (five.score < three.score)
    assert model.k == [5, 5]
    assert rms(model(x), y) < 1e-7


@pytest.mark.parametrize("k", [1, 2])
def test_another_degree_may_be_asked_for(k):
    x, y = data()
    model, result = search(x, y, k=k, widths=[[2, 1, 1]], time_limit=3)
    assert model.k == [k, k]
    assert {trial.k for trial in result.trials} == {k}


def test_several_outputs_and_one_input():
    x = np.linspace(-1, 1, 120)[:, None]
    y = np.concatenate([np.sin(3 * x), np.exp(x)], axis=1)
    model, result = search(x, y, time_limit=6)
    assert (model.width[0], model.width[-1]) == (1, 2)
    assert rms(model(x), y) < 1e-5
    assert all((trial.width[0], trial.width[-1]) == (1, 2) for trial in result.trials)


@pytest.mark.parametrize("target", ["constant", "linear", "zero"])
def test_what_the_first_shapes_meet_exactly_ends_the_search(target):
    x, _ = data(120)
    y = {"constant": np.full(120, 3.0), "linear": 2 * x[:, 0] - x[:, 1], "zero": np.zeros(120)}[target]
    began = time.perf_counter()
    model, result = search(x, y, time_limit=8)
    assert rms(model(x), y) < 1e-9
    assert model.width in ([2, 1], [2, 1, 1])
    assert time.perf_counter() - began < 4
    assert len(result.trials) < 10


def test_options_go_to_the_network():
    x, y = data(120)
    options: dict[str, Any] = {"dtype": np.float32, "extrapolate": "fade", "grid_eps": 0.9, "base_fun": "zero"}
    model, _ = search(x, y, widths=[[2, 1, 1]], time_limit=2, **options)
    (layer, _) = model.act_fun
    assert (model.dtype, layer.extrapolate, layer.grid_eps, layer.base_fun) == (np.float32, "fade", 0.9, "zero")
    assert model(x).dtype == np.float32
    assert isinstance(model, KAN)


def test_samples_of_weight_zero_have_no_say():
    x, y = data(200)
    weight = np.repeat([1.0, 0.0], [150, 50])
    model, result = search(x, np.where(weight > 0, y, 50.0), sample_weight=weight, time_limit=10)
    assert model.width == [2, 1, 1]
    assert rms(model(x[:150]), y[:150]) < 1e-3
    assert result.fit.loss == pytest.approx(model.loss(x, y, sample_weight=weight), rel=1e-6)


# --- time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0.3, 2.0])
def test_the_time_limit_is_kept_but_for_a_step_or_so(limit):
    """On a function that no shape fits."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 4))
    y = np.sin(9 * x[:, 0] * x[:, 1]) * np.cos(7 * x[:, 2] * x[:, 3])
    began = time.perf_counter()
    model, result = search(x, y, time_limit=limit)
    took = time.perf_counter() - began
    assert took < limit + 1.5
    assert result.seconds == pytest.approx(took, abs=0.1)
    assert len(result.trials) >= 1
    assert sum(trial.seconds for trial in result.trials) <= took
    assert np.isfinite(model(x)).all()


def test_no_time_at_all_is_time_for_an_answer():
    x, y = data()
    model, result = search(x, y, time_limit=1e-9)
    assert (model.width[0], model.width[-1]) == (2, 1)
    assert np.isfinite(model(x)).all()
    assert result.fit.status == "time limit"
    assert result.chosen.error == math.inf


# --- the same again, and what is told -----------------------------------------------------------------------------


def test_the_same_random_state_gives_the_same_bits():
    x, y = data(120)

    def found(random_state: Any) -> Any:
        model, result = search(x, y, widths=[[2, 1, 1]], time_limit=60, random_state=random_state)
        return model.params.tobytes(), [(trial.error, trial.score) for trial in result.trials]

    assert found(1) == found(1) == found(np.random.default_rng(1))
    assert found(1) != found(2)


def test_no_global_random_state_is_touched_and_no_sample_written_to():
    x, y = data(120)
    kept = x.copy(), y.copy()
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    search(x, y, time_limit=2)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_the_result_prints_as_a_table_of_what_was_tried():
    x, y = data(120)
    _, result = search(x, y + 0.1 * np.random.default_rng(0).standard_normal(120), time_limit=1.5)
    lines = str(result).splitlines()
    assert len(lines) == len(result.trials) + 2
    assert lines[0].split() == ["width", "k", "grid", "error", "score", "seconds"]
    for line, trial in zip(lines[1:-1], result.trials, strict=True):
        assert line.startswith(str(list(trial.width)))
        assert line.endswith("chosen") == (trial is result.chosen)
        assert ("  fits" in line) == trial.fits
    assert lines[-1].startswith(f"Fitted to all samples: loss {result.fit.loss:.3e}, ")
    assert isinstance(result, SearchResult)
    assert all(isinstance(trial, Trial) for trial in result.trials)


def test_errors_are_those_of_samples_that_the_trials_have_not_seen():
    """Noise of deviation 0.2: no network foretells it."""
    x, y = data(400)
    y = y + 0.2 * np.random.default_rng(1).standard_normal(400)
    _, result = search(x, y, widths=[[2, 1, 1], [2, 2, 1]], time_limit=3)
    # The last one may have been cut short, before its error or between that and its score.
    done = [trial for trial in result.trials if trial.score < math.inf]
    assert len(done) >= 2
    assert all(0.12 < trial.error < 0.4 for trial in done)
    assert all(0.15 < trial.score < 0.4 for trial in done)


def test_x_and_y_may_be_lists():
    x, y = data(40)
    model, _ = search(x.tolist(), y.tolist(), widths=[[2, 1]], time_limit=1)
    assert model.width == [2, 1]
    assert numkan.search is search


# --- bad arguments ------------------------------------------------------------------------------------------------

X, Y = data(20)
HOLE = X.copy()
HOLE[3, 1] = np.nan

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"x": HOLE}, ValueError, r"`x` must be finite, not with 1 NaN .* at \(3, 1\)"),
    ({"x": X[:7], "y": Y[:7]}, ValueError, r"`x` must have at least 8 rows to search with, not 7"),
    ({"x": X[:0], "y": Y[:0]}, ValueError, r"`x` must have at least one row"),
    ({"x": X[:, 0]}, ValueError, r"`x` must have shape \(n, 1\), not \(20,\)"),
    ({"x": X[:, :, None]}, ValueError, r"`x` must have shape \(n, "),
    ({"y": Y[:10]}, ValueError, r"`y` must have "),
    ({"y": np.full(20, np.nan)}, ValueError, r"`y` must be finite"),
    ({"sample_weight": -np.ones(20)}, ValueError, r"`sample_weight` must "),
    ({"sample_weight": np.ones(19)}, ValueError, r"`sample_weight` must have "),
    ({"widths": []}, TypeError, r"`widths` must be a list of lists of integers, not \[\]"),
    ({"widths": [2, 1]}, TypeError, r"`widths` must be a list of lists of integers, not \[2, 1\]"),
    ({"widths": "auto"}, TypeError, r"`widths` must be a list of lists of integers, not 'auto'"),
    ({"widths": [[2, 1, 1], [3, 1]]}, ValueError, r"`widths\[1\]` must go from 2 inputs to 1 outputs, not \(3, 1\)"),
    ({"widths": [[2, 2]]}, ValueError, r"`widths\[0\]` must go from 2 inputs to 1 outputs, not \(2, 2\)"),
    ({"widths": [[2]]}, ValueError, r"`widths\[0\]` must go from 2 inputs to 1 outputs, not \(2,\)"),
    ({"widths": [[2, 0, 1]]}, ValueError, r"`widths\[0\]` must be at least 1, not 0"),
    ({"widths": [[2, 1.5, 1]]}, TypeError, r"`widths\[0\]` must be an integer, not 1\.5"),
    ({"k": -1}, ValueError, r"`k` must be at least 0, not -1"),
    ({"k": "best"}, ValueError, r"`k` must .*'auto'.*, not 'best'"),
    ({"k": 2.5}, TypeError, r"`k` must .*integer.*, not 2\.5"),
    ({"time_limit": 0}, ValueError, r"`time_limit` must be .*0.*, not 0"),
    ({"time_limit": math.nan}, ValueError, r"`time_limit` must be .*, not nan"),
    ({"time_limit": "1 s"}, TypeError, r"`time_limit` must be a real number, not '1 s'"),
    ({"time_limit": None}, TypeError, r"`time_limit` must be a real number, not None"),
    ({"random_state": "x"}, TypeError, r"`random_state` must be an integer"),
    ({"extrapolate": "best"}, ValueError, r"`extrapolate` must be one of"),
]


@pytest.mark.parametrize(
    ("bad", "error", "text"), BAD, ids=lambda value: ",".join(value) if type(value) is dict else ""
)
def test_an_argument_that_is_not_as_said_is_one_sentence(bad, error, text):
    with pytest.raises(error, match=text) as caught:
        search(**{"x": X, "y": Y, "time_limit": 1, **bad})
    assert str(caught.value).startswith("Argument `")


@pytest.mark.parametrize("option", ["grid_epsilon", "seed", "grid", "width"])
def test_an_option_that_there_is_not_is_named(option):
    with pytest.raises(TypeError, match=option):
        search(X, Y, time_limit=1, **{option: 3})
