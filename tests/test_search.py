"""``numkan.search``: the narrowest network that fits is found, within a budget, and what was tried is told."""

from __future__ import annotations

import math
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest

import numkan
from numkan import KAN, search
from numkan.compile.build import this_build
from numkan.search import SearchResult, Trial
from numkan.train.attempt import Attempt, attempt
from numkan.train.budget import step_work, steps_within
from numkan.train.plan import make_plan
from tests.clocks import wind
from tests.executors import OTHER_PROCESSES, Backwards, opened

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
    model, result = search(x, y, random_state=seed)
    assert model.width == [2, 1, 1]
    assert result.chosen.width == (2, 1, 1)
    assert result.chosen.fits
    assert len(result.trials) < 6
    assert (result.status, result.message) == ("finished", "Finished: [2, 1, 1] fits.")
    fresh, truth = data(1000, seed=99)
    assert rms(model(fresh), truth) < 1e-4
    assert rms(model(x), y) < 1e-6
    assert result.fit.loss == pytest.approx(model.loss(x, y), rel=1e-6)


def test_no_narrower_network_is_taken_where_it_does_not_fit():
    """x0 x1 needs two hidden nodes: ((x0 + x1)^2 - (x0 - x1)^2) / 4."""
    x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    y = x[:, 0] * x[:, 1]
    model, result = search(x, y)
    assert model.width == [2, 2, 1]
    assert rms(model(x), y) < 1e-6
    narrow = [trial for trial in result.trials if trial.width in ((2, 1), (2, 1, 1))]
    assert narrow
    assert all(trial.score > 100 * result.chosen.score for trial in narrow)


def test_the_chosen_network_is_the_narrowest_of_those_that_are_about_as_good():
    x, y = data(200)
    y = y + 0.3 * np.random.default_rng(1).standard_normal(200)
    model, result = search(x, y, effort=0.1)
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


def test_on_noise_it_ends_before_its_budget_is_used_up():
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-1, 1, (150, 2)), rng.standard_normal(150)
    model, result = search(x, y)
    assert len(result.trials) < 10
    assert (result.status, result.message[:51]) == ("finished", "Finished: the best shapes agree, and finer grids ga")
    assert np.std(model(x)) < 0.6


def test_given_widths_are_tried_in_their_order_and_no_others():
    x, y = data()
    y = y + 0.2 * np.random.default_rng(1).standard_normal(len(y))
    widths = [[2, 2, 1], (2, 1, 1)]
    model, result = search(x, y, widths=widths, effort=0.03)
    assert [trial.width for trial in result.trials[:2]] == [(2, 2, 1), (2, 1, 1)]
    assert {trial.width for trial in result.trials} == {(2, 2, 1), (2, 1, 1)}
    assert tuple(model.width) in {(2, 2, 1), (2, 1, 1)}
    one, told = search(*data(), widths=[[2, 1]], effort=0.1)
    assert one.width == [2, 1]
    assert {trial.width for trial in told.trials} == {(2, 1)}


def test_degree_five_is_tried_where_it_may_be_chosen_and_taken_where_it_is_better():
    x, y = data(300)
    model, result = search(x, y, widths=[[2, 1, 1]], k="auto")
    assert [trial.k for trial in result.trials] == [3, 5]
    three, five = result.trials
    assert model.k == [result.chosen.k] * 2
    assert (result.chosen is five) == (five.score < three.score)
    assert model.k == [5, 5]
    assert rms(model(x), y) < 1e-7


@pytest.mark.parametrize("k", [1, 2])
def test_another_degree_may_be_asked_for(k):
    x, y = data()
    model, result = search(x, y, k=k, widths=[[2, 1, 1]], effort=0.05)
    assert model.k == [k, k]
    assert {trial.k for trial in result.trials} == {k}


def test_several_outputs_and_one_input():
    x = np.linspace(-1, 1, 120)[:, None]
    y = np.concatenate([np.sin(3 * x), np.exp(x)], axis=1)
    model, result = search(x, y, effort=0.1)
    assert (model.width[0], model.width[-1]) == (1, 2)
    assert rms(model(x), y) < 1e-5
    assert all((trial.width[0], trial.width[-1]) == (1, 2) for trial in result.trials)


def test_a_start_that_only_coarse_splines_fit_is_not_taken():
    """x (1 / z - 1): many starts of [2, 2, 1] end near 2e-8, with errors that fall in order up to 25 intervals."""
    x = np.random.default_rng(4).uniform([0.0, 0.5], [1.0, 2.0], (3000, 2))
    y = x[:, 0] * (1.0 / x[:, 1] - 1.0)
    model, result = search(x, y, widths=[[2, 1], [2, 1], [2, 2, 1]], random_state=4)
    _, _, first, *others = result.trials
    assert (first.width, first.fits, first.grid > 25) == ((2, 2, 1), False, True)
    assert [trial.fits for trial in others] == [False] * (len(others) - 1) + [True]
    assert result.chosen is others[-1]
    assert result.fit.status == "finished"
    assert result.chosen.score < 0.3 * first.score
    assert rms(model(x), y) < 1e-9


@pytest.mark.parametrize("target", ["constant", "linear", "zero"])
def test_what_the_first_shapes_meet_exactly_ends_the_search(target):
    x, _ = data(120)
    y = {"constant": np.full(120, 3.0), "linear": 2 * x[:, 0] - x[:, 1], "zero": np.zeros(120)}[target]
    model, result = search(x, y)
    assert rms(model(x), y) < 1e-9
    assert model.width in ([2, 1], [2, 1, 1])
    assert len(result.trials) < 4


def test_options_go_to_the_network():
    x, y = data(120)
    options: dict[str, Any] = {"dtype": np.float32, "extrapolate": "fade", "grid_eps": 0.9, "base_fun": "zero"}
    model, _ = search(x, y, widths=[[2, 1, 1]], effort=0.05, **options)
    (layer, _) = model.act_fun
    assert (model.dtype, layer.extrapolate, layer.grid_eps, layer.base_fun) == (np.float32, "fade", 0.9, "zero")
    assert model(x).dtype == np.float32
    assert isinstance(model, KAN)


def test_samples_of_weight_zero_have_no_say():
    x, y = data(200)
    weight = np.repeat([1.0, 0.0], [150, 50])
    model, result = search(x, np.where(weight > 0, y, 50.0), sample_weight=weight)
    assert model.width == [2, 1, 1]
    assert rms(model(x[:150]), y[:150]) < 1e-3
    assert result.fit.loss == pytest.approx(model.loss(x, y, sample_weight=weight), rel=1e-6)


# --- budget and time ----------------------------------------------------------------------------------------------


def hard(n: int, n_in: int = 4) -> tuple[Any, Any]:
    """A function that no shape fits, and that is no noise."""
    x = np.random.default_rng(0).uniform(-1, 1, (n, n_in))
    return x, np.sin(3 * x[:, 0] * x[:, 1]) * np.cos(2 * x[:, 2] * x[:, 3]) + x[:, 0]


def test_the_clock_decides_nothing_without_a_time_limit(monkeypatch):
    x, y = hard(120)

    def found() -> Any:
        model, result = search(x, y, widths=[[4, 1], [4, 2, 1]], effort=0.05)
        return model.params.tobytes(), [(trial.width, trial.error) for trial in result.trials], result.message

    before = found()
    clock = wind(monkeypatch, tick=1.0, growth=1.01)
    assert found() == before
    assert clock.looks > 0
    assert before[2] == "Finished: no shape fits, and the work that `effort` allows is used up."


def test_more_effort_is_more_trials():
    x, y = hard(100)
    little, more = (search(x, y, widths=[[4, 1], [4, 2, 1]], effort=effort)[1] for effort in (1e-4, 0.1))
    assert len(little.trials) == 1
    assert len(more.trials) > 4
    assert min(trial.score for trial in more.trials) < min(trial.score for trial in little.trials)


@pytest.mark.parametrize("effort", [5e-324, 1e-9, 1e308])
def test_any_effort_gives_an_answer(effort):
    x, y = data(60)
    model, result = search(x, y, widths=[[2, 1, 1]] if effort > 1 else None, effort=effort)
    assert (model.width[0], model.width[-1]) == (2, 1)
    assert np.isfinite(model(x)).all()
    assert result.status == "finished"


@pytest.mark.parametrize(
    ("n", "n_in", "n_out"), [(100, 2, 1), (3000, 2, 1), (400, 6, 2), (10**6, 4, 1), (10**5, 40, 3)]
)
@pytest.mark.parametrize("hidden", [(), (2,), (5, 5), (8, 3)])
def test_what_a_trial_may_cost_stays_within_the_budget(n, n_in, n_out, hidden):
    """By the count: nothing is fitted here."""
    model = KAN([n_in, *hidden, n_out], seed=0)
    for grids, steps in (([5, 25], 40), ("auto", "auto")):
        plan = make_plan(model, n, "auto", grids, steps, None, None, None, curved=True, redraw=True)
        for work in (1e10, 1e11):
            most = steps_within(work, model, n, plan)
            assert 5 <= most <= plan.steps
            costs = sum(step_work(model, n, plan, G) for G in plan.grids or (max(model.grid),))
            assert most * costs <= work or most == 5
            assert (most + 1) * costs > work or most == plan.steps


@pytest.mark.parametrize("limit", [100.0, 1000.0])
def test_a_time_limit_that_cuts_is_reported(limit, monkeypatch):
    x, y = hard(200)
    wind(monkeypatch, tick=1.0, growth=1.01)
    model, result = search(x, y, time_limit=limit)
    assert result.status == "time limit"
    assert result.message == f"Stopped: the time limit of {limit:g} s cut trials or the last fit short."
    assert len(result.trials) < 14
    assert np.isfinite(model(x)).all()


def test_a_time_limit_that_does_not_cut_changes_nothing():
    x, y = data(120)
    (model, result), (same, told) = (search(x, y, widths=[[2, 1, 1]], time_limit=limit) for limit in (None, 1e6))
    assert model.params.tobytes() == same.params.tobytes()
    assert result.status == told.status == "finished"


def test_no_time_at_all_is_time_for_an_answer():
    x, y = data()
    model, result = search(x, y, time_limit=1e-9)
    assert (model.width[0], model.width[-1]) == (2, 1)
    assert np.isfinite(model(x)).all()
    assert result.status == result.fit.status == "time limit"
    assert result.chosen.error == math.inf


# --- the same again, and what is told -----------------------------------------------------------------------------


def test_the_same_random_state_gives_the_same_bits():
    x, y = data(120)

    def found(random_state: Any) -> Any:
        model, result = search(x, y, widths=[[2, 1, 1]], random_state=random_state)
        return model.params.tobytes(), [(trial.error, trial.score) for trial in result.trials]

    assert found(1) == found(1) == found(np.random.default_rng(1))
    assert found(1) != found(2)


def test_no_global_random_state_is_touched_and_no_sample_written_to():
    x, y = data(120)
    kept = x.copy(), y.copy()
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    search(x, y, effort=0.01)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_the_result_prints_as_a_table_of_what_was_tried():
    x, y = data(120)
    _, result = search(x, y + 0.1 * np.random.default_rng(0).standard_normal(120), effort=0.05)
    lines = str(result).splitlines()
    assert len(lines) == len(result.trials) + 4
    assert lines[0].split() == ["width", "k", "grid", "error", "score", "seconds"]
    for line, trial in zip(lines[1:-3], result.trials, strict=True):
        assert line.startswith(str(list(trial.width)))
        assert line.endswith("chosen") == (trial is result.chosen)
        assert ("  fits" in line) == trial.fits
    assert lines[-3] == "Errors and scores are root mean squares."
    assert lines[-2].startswith(f"Fitted to all samples: mean square {result.fit.loss:.3e}, ")
    assert lines[-1] == result.message
    assert isinstance(result, SearchResult)
    assert all(isinstance(trial, Trial) for trial in result.trials)


def test_errors_are_those_of_samples_that_the_trials_have_not_seen():
    """Noise of deviation 0.2: no network foretells it."""
    x, y = data(400)
    y = y + 0.2 * np.random.default_rng(1).standard_normal(400)
    _, result = search(x, y, widths=[[2, 1, 1], [2, 2, 1]], effort=0.05)
    assert len(result.trials) >= 4
    assert all(0.12 < trial.error < 0.4 for trial in result.trials)
    assert all(0.15 < trial.score < 0.4 for trial in result.trials)


def test_x_and_y_may_be_lists():
    x, y = data(40)
    model, _ = search(x.tolist(), y.tolist(), widths=[[2, 1]], effort=0.01)
    assert model.width == [2, 1]
    assert numkan.search is search


# --- executors ----------------------------------------------------------------------------------------------------


def found_with(executor: Any) -> Any:
    """What is found where trials are made again, in their order, and the numbers of the table."""
    x, y = hard(80)
    model, result = search(x, y, widths=[[4, 1], [4, 2, 1], [4, 1, 1]], effort=0.04, executor=executor)
    numbers = [(trial.width, trial.grid, trial.error, trial.score, trial.gain) for trial in result.trials]
    return model.params.tobytes(), numbers, result.message, result.fit.loss, len(result.fit.starts)


@pytest.fixture(scope="module")
def found_alone() -> Any:
    found = found_with(None)
    assert len(found[1]) > 3  # some are made again
    return found


@pytest.mark.parametrize("name", ["backwards", "threads", *OTHER_PROCESSES])
def test_the_same_model_is_found_with_any_executor_and_with_none(name, found_alone):
    with opened(name) as executor:
        assert found_with(executor) == found_alone


def test_what_was_begun_in_vain_changes_nothing():
    """The executor has made all foreseen trials, the last first, before the first of them is judged."""
    x, y = data(100)
    executor = Backwards()
    model, result = search(x, y, executor=executor)
    alone, told = search(x, y)
    assert model.params.tobytes() == alone.params.tobytes()
    assert [trial.width for trial in result.trials] == [trial.width for trial in told.trials]
    assert executor.n_calls > len(result.trials) + 1


def test_a_trial_does_not_depend_on_those_before_it():
    x, y = data(100)
    y = y + 0.1 * np.random.default_rng(1).standard_normal(100)
    (_, one), (_, other) = (search(x, y, widths=[first, [2, 1, 1]], effort=0.02) for first in ([2, 1], [2, 2, 1]))
    assert one.trials[1].width == other.trials[1].width == (2, 1, 1)
    assert one.trials[1].error == other.trials[1].error


def test_an_error_of_a_trial_names_its_width_and_drops_the_trials_ahead():
    class Broken(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            futures.append(Future())
            if len(futures) == 1:
                futures[0].set_running_or_notify_cancel()
                futures[0].set_exception(MemoryError())
            return futures[-1]

    futures: list[Future[Any]] = []
    with pytest.raises(MemoryError) as caught:
        search(*data(40), widths=[[2, 1], [2, 1, 1], [2, 2, 1]], executor=Broken())
    assert caught.value.__notes__ == ["This was the trial of the width [2, 1]."]
    assert [future.cancelled() for future in futures] == [False, True, True]


class Inventor(Executor):
    """One whose trials of the width `short` fall short; those of all others are of no use. No network is fitted."""

    def __init__(self, short: Any) -> None:
        self._short = short
        x, y = data(20)
        self._fit = KAN([2, 1]).fit(x, y, grids=[5], steps=1)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        function, (order, *rest) = args
        future: Future[Any] = Future()
        if function is attempt:
            score = 0.1 + 0.1 * order.number
            trial = Trial(order.width, order.k, 5, score, score, 9.0, fits=False, seconds=0.0)
            fits = (self._fit,) * (2 if order.width == self._short else 1)
            future.set_result((Attempt(order, rest[0], fits, trial), this_build()))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize(("short", "times"), [((2, 1), (5, 1, 1)), ((2, 1, 1), (1, 5, 1)), ((2, 2, 1), (1, 1, 1))])
def test_a_shape_that_falls_short_is_tried_again_before_the_next_one(short, times):
    widths = [(2, 1), (2, 1, 1), (2, 2, 1)]
    _, result = search(*data(60), widths=widths, effort=0.1, executor=Inventor(short))
    tried = [trial.width for trial in result.trials]
    once = [width for width, number in zip(widths, times, strict=True) for _ in range(number)]
    assert tried[: len(once)] == once
    assert len(tried) == len(once) + 6  # the best ones again, at most 60 times the effort
    assert set(tried[len(once) :]) == set(widths)


@pytest.mark.jit
def test_the_last_fit_begins_below_the_grid_on_which_a_trial_was_found_to_fit():
    x = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    _, result = search(x, np.exp(np.sin(3 * x[:, 0]) + x[:, 1]), widths=[[2, 1, 1]], random_state=0)
    (trial,) = result.trials
    assert trial.fits
    assert result.fit.stages[0].grid < trial.grid


# --- bad arguments ------------------------------------------------------------------------------------------------

X, Y = data(20)
HOLE = X.copy()
HOLE[3, 1] = np.nan
HUGE = np.full((20, 2), 2**53 + 1)

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
    ({"effort": 0.0}, ValueError, r"`effort` must be greater than 0, not 0.0"),
    ({"effort": -1}, ValueError, r"`effort` must be greater than 0, not -1"),
    ({"effort": math.inf}, ValueError, r"`effort` must be .*, not inf"),
    ({"effort": None}, TypeError, r"`effort` must be a real number, not None"),
    ({"x": np.ma.masked_equal(X, X[2, 1])}, TypeError, r"`x` must not be a masked array"),
    ({"x": list(np.ma.masked_equal(X, X[2, 1]))}, TypeError, r"`x` must not be a masked array"),
    ({"y": np.ma.masked_equal(Y, Y[2])}, TypeError, r"`y` must not be a masked array"),
    ({"sample_weight": np.ma.masked_equal(np.ones(20), 1.0)}, TypeError, r"`sample_weight` must not be a masked array"),
    ({"x": HUGE}, ValueError, r"`x` must hold integers of at most 2\^53 in magnitude, not 9007199254740993"),
    ({"y": HUGE[:, 0]}, ValueError, r"`y` must hold integers of at most 2\^53 in magnitude, not 9007199254740993"),
    ({"x": [[0.5], [0.5, 1.0]] * 10}, ValueError, r"`x` must have rows of equal length, not a ragged sequence"),
    ({"y": Y + 1j}, TypeError, r"`y` must hold real numbers, not dtype complex128"),
    ({"executor": 2}, TypeError, r"`executor` must be None or a concurrent\.futures\.Executor .*, not 2"),
    ({"random_state": "x"}, TypeError, r"`random_state` must be an integer"),
    ({"extrapolate": "best"}, ValueError, r"`extrapolate` must be one of"),
]


@pytest.mark.parametrize(
    ("bad", "error", "text"), BAD, ids=lambda value: ",".join(value) if type(value) is dict else ""
)
def test_an_argument_that_is_not_as_said_is_one_sentence(bad, error, text):
    with pytest.raises(error, match=text) as caught:
        search(**{"x": X, "y": Y, "effort": 0.01, **bad})
    assert str(caught.value).startswith("Argument `")


@pytest.mark.parametrize("option", ["grid_epsilon", "seed", "grid", "width"])
def test_an_option_that_there_is_not_is_named(option):
    with pytest.raises(TypeError, match=option):
        search(X, Y, effort=0.01, **{option: 3})


@pytest.mark.jit
def test_narrow_shapes_that_agree_are_not_taken_for_noise():
    """Gravity between two points: three shapes of up to three nodes stopped at one error for this draw of the data."""
    rng = np.random.default_rng(2)
    box = [(-1.0, 1.0), (-1.0, -0.5), (-1.0, -0.5), (0.5, 1.0), (-1.0, -0.5), (0.5, 1.0)]
    a, b, c, d, e, f = x = rng.uniform(*np.transpose(box), (3000, 6)).T
    y = a / ((b - 1) ** 2 + (c - d) ** 2 + (e - f) ** 2)
    widths = [[6, 1], [6, 1, 1], [6, 2, 1], [6, 3, 1], [6, 2, 1, 1], [6, 5, 1]]
    _, table = numkan.search(x.T, y, random_state=2, effort=0.1, widths=widths)
    assert "noise" not in table.message
    assert any(trial.width == (6, 5, 1) for trial in table.trials)
