"""``model.fit``: what it promises about data, stages, judgement, interruptions, and arguments that it refuses."""

from __future__ import annotations

import _thread
import itertools
import math
import signal
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import numkan
from numkan import KAN
from numkan._interrupt import uninterrupted
from numkan.model.network import Network
from numkan.train import FitResult, FitStatus, Stage, session, start, with_adam, with_lbfgs
from numkan.train.commit import scratch_copy
from numkan.train.plan import make_plan
from numkan.train.samples import Batches, check_samples, split
from tests.clocks import wind
from tests.network_cases import TANH

QUICK = {"method": "lbfgs", "steps": 4, "grids": None, "validation": None}


def data(n: int = 40, n_in: int = 2, seed: int = 0) -> tuple[Any, Any]:
    x = np.random.default_rng(seed).uniform(-1, 1, (n, n_in))
    return x, np.sin(2 * x[:, 0]) + x[:, -1] ** 2


def small(**options: Any) -> KAN:
    return KAN([2, 2, 1], **{"grid": 3, "seed": 0, **options})


def state(model: Network) -> bytes:
    """All that training may change, and what it must not."""
    numbers = [a.tobytes() for layer in model.act_fun for a in (layer.grid, layer.scale_base, layer.scale_sp)]
    policies = [layer.extrapolate.encode() for layer in model.act_fun]
    return b"".join([model.params.tobytes(), *numbers, *policies])


def share_unexplained(model: KAN, x: Any, y: Any) -> float:
    return float(np.mean((model(x)[:, 0] - y) ** 2) / np.var(y))


# --- data of every kind -------------------------------------------------------------------------------------------


@pytest.mark.jit
@pytest.mark.parametrize(("factor", "offset"), [(1, 0), (1e6, 1e8), (1e-9, 0), (1e-6, -5), (10, -50)])
@pytest.mark.parametrize(("y_factor", "y_offset"), [(1, 0), (1e-9, 0), (1e6, 1e9)])
def test_inputs_and_targets_in_any_units_are_learned(factor, offset, y_factor, y_offset):
    x, y = data(60)
    model = small()
    result = model.fit(x * factor + offset, y * y_factor + y_offset, **{**QUICK, "steps": 60})
    assert result.success
    assert share_unexplained(model, x * factor + offset, y * y_factor + y_offset) < 0.01


@pytest.mark.jit
def test_a_float32_model_stays_float32_in_any_units():
    x, y = data(60)
    x, y = (x * 100 + 1e4).astype(np.float32), (y * 1e-6).astype(np.float32)
    model = small(dtype=np.float32)
    result = model.fit(x, y, **{**QUICK, "steps": 30})
    assert model.params.dtype == model(x).dtype == np.float32
    assert share_unexplained(model, x, y) < 0.2
    assert result.loss == model.loss(x, y)


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_targets_with_one_output_may_be_flat(method):
    x, y = data()
    flat, column = small(), small()
    options = {**QUICK, "method": method}
    assert flat.fit(x, y, **options).loss == column.fit(x, y[:, None], **options).loss
    assert state(flat) == state(column)


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_integer_labels_are_learned_with_cross_entropy(method):
    x, _ = data(60)
    labels = (x[:, 0] + x[:, 1] > 0).astype(int) + (x[:, 0] > 0.5)
    model = KAN([2, 3], grid=2, seed=0)
    before = model.loss(x, labels, "cross_entropy")
    options = {**QUICK, "method": method, "steps": 30, "learning_rate": 0.1, "validation": (x[:9], labels[:9])}
    result = model.fit(x, labels, loss="cross_entropy", **options)
    assert result.loss == model.loss(x, labels, "cross_entropy") < 0.5 * before
    assert result.validation_loss == model.loss(x[:9], labels[:9], "cross_entropy")


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_samples_of_weight_zero_have_no_say(method):
    x, y = data()
    weight = np.repeat([1.0, 0.0], [30, 10])
    wrong = np.where(weight > 0, y, 1e3)
    model = small()
    options = {**QUICK, "method": method, "steps": 20, "batch_size": 10 if method == "adam" else None}
    result = model.fit(x, wrong, sample_weight=weight, **options)
    assert result.loss == model.loss(x, wrong, sample_weight=weight)
    assert share_unexplained(model, x[:30], y[:30]) < 1


@pytest.mark.parametrize("x", [np.array([[0.3, 7.0]]), np.full((5, 2), 3.0), np.array([[1.0, 2.0], [1.0, 3.0]])])
@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_one_sample_and_constant_columns_are_no_trouble(x, method):
    y = 5.0 + np.arange(len(x)) * (np.ptp(x) > 6)
    model = small()
    result = model.fit(x, y, **{**QUICK, "method": method, "lamb": 1e-3})
    assert result.success
    assert np.isfinite(model(x)).all()


def test_constant_targets_are_met():
    x, _ = data()
    model = small()
    model.fit(x, np.full(len(x), 7.5), **QUICK)
    assert np.abs(model(x) - 7.5).max() < 0.1


@pytest.mark.parametrize("base_fun", ["silu", "identity", "zero", TANH], ids=str)
@pytest.mark.parametrize("fixed", [{}, {"sp_trainable": False, "sb_trainable": False}], ids=["free", "fixed"])
def test_every_base_function_is_trained_with_scales_free_or_fixed(base_fun, fixed):
    x, y = data()
    model = small(base_fun=base_fun, scale_base_sigma=50.0, **fixed)
    before = [layer.scale_base.copy() for layer in model.act_fun]
    result = model.fit(100 * x + 1000, y, **QUICK)
    assert result.history.train[-1] < result.history.train[0]
    if fixed:
        assert all((layer.scale_base == old).all() for layer, old in zip(model.act_fun, before, strict=True))


def test_where_the_base_function_has_died_away_it_is_not_blown_up():
    # silu(-60) is 1e-25; were its scale 1e25, the next sample, at -50, would be 20000 times as large.
    x, y = data()
    model = small(dtype=np.float32)
    model.fit(x * 5 - 60, y, **QUICK)
    assert np.abs(model.act_fun[0].scale_base).max() < 100
    samples = check_samples(model, x * 5 - 60, y, "mse", None)
    assert model.unravel(start.units(model, samples))[0]["scale_base"].max() <= 16


def test_a_large_offset_of_the_inputs_does_not_reach_the_hidden_layer():
    x, y = data()
    samples = check_samples(small(), x + 1e6, y, "mse", None)
    hidden = start.first_grids(small(), samples, grids=True).activations(samples.x)[1]
    assert np.abs(hidden).max() < 10


def test_small_coefficients_do_not_enlarge_the_steps_of_their_scales():
    model, (x, y) = small(init="power"), data()
    samples = check_samples(model, x, y, "mse", None)
    for unit in model.unravel(start.units(model, samples)):
        assert unit["scale_sp"].max() <= 1


# --- the start ----------------------------------------------------------------------------------------------------


def test_what_was_learned_is_gone_on_from():
    x, y = data()
    model = small()
    first = model.fit(x, y, **{**QUICK, "steps": 20})
    second = model.fit(x, y, **{**QUICK, "steps": 2})
    # the hidden grids are laid anew, so it is the same to a few per cent only
    assert second.history.train[0] < 1.2 * first.loss


@pytest.mark.parametrize("grids", [None, [3], [2, 4]])
def test_without_grid_updates_only_refinement_moves_knots(grids):
    x, y = data()
    model = small()
    ends = [(layer.grid[:, layer.k].copy(), layer.grid[:, -1 - layer.k].copy()) for layer in model.act_fun]
    model.fit(x, y, **{**QUICK, "grids": grids}, update_grid=False)
    for layer, (low, high) in zip(model.act_fun, ends, strict=True):
        np.testing.assert_array_equal(layer.grid[:, layer.k], low)
        np.testing.assert_array_equal(layer.grid[:, -1 - layer.k], high)


def test_grids_lie_over_the_data():
    x, y = data()
    model = small()
    model.fit(x, y, **QUICK)
    first, second = model.act_fun
    np.testing.assert_array_equal(first.grid[:, 3], x.min(axis=0))
    np.testing.assert_array_equal(first.grid[:, -4], x.max(axis=0))
    assert (second.grid[:, 3] > -2).all()
    assert model.coverage(x)[0].outside.max() == 0


@pytest.mark.jit
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_a_refit_does_not_swing_between_sparse_samples(seed):
    """On heavy-tailed samples a strict least-squares refit left the old curves by 40 to a million times their size."""
    x = np.random.default_rng(seed).standard_t(2, (200, 1))
    model = KAN([1, 3, 1], grid=20, seed=seed, grid_range=(1.3 * x.min(), 1.1 * x.max()))
    model.act_fun[0].coef = np.random.default_rng(seed).normal(size=(1, 3, 23))
    laid = start.lay_grids(model, x, inputs=True)
    between = np.linspace(x.min(), x.max(), 2000)[:, None]
    old, new = model.act_fun[0](between), laid.act_fun[0](between)
    assert np.abs(new - old).max() < np.abs(old).max()


# --- stages -------------------------------------------------------------------------------------------------------


def test_every_entry_of_grids_is_a_stage_and_the_model_ends_with_the_last():
    x, y = data(60)
    model = small()
    result = model.fit(x, y, **{**QUICK, "grids": [2, 3, 6]})
    assert [stage.grid for stage in result.stages] == [2, 3, 6]
    assert [stage.steps for stage in result.stages] == [4, 4, 4]
    assert model.grid == [6, 6]
    assert result.steps == 12
    assert result.stages[0].loss > result.stages[-1].loss == result.loss == model.loss(x, y)
    assert result.status == FitStatus.FINISHED == "finished"


def test_one_number_is_one_stage_and_a_grid_per_layer_stays_where_grids_is_none():
    x, y = data()
    model = small()
    assert [stage.grid for stage in model.fit(x, y, **{**QUICK, "grids": 5}).stages] == [5]
    assert model.grid == [5, 5]
    uneven = small(grid=[2, 4])
    uneven.fit(x, y, **QUICK)
    assert uneven.grid == [2, 4]


def test_views_stay_live_unless_shapes_change():
    x, y = data()
    model = small()
    view = model.act_fun[0].coef
    model.fit(x, y, **QUICK)
    assert view.flags.writeable
    np.testing.assert_array_equal(view, model.act_fun[0].coef)
    model.fit(x, y, **{**QUICK, "grids": [4]})
    assert not view.flags.writeable


def test_history_tells_every_step():
    x, y = data()
    seen = []
    result = small().fit(x, y, **{**QUICK, "grids": [2, 4], "validation": (x[:5], y[:5])}, callback=seen.append)
    history = result.history
    assert len(history) == len(history.train) == 2 * 5  # a start and four steps, twice
    assert history.step.tolist() == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]
    assert history.stage.tolist() == [0] * 5 + [1] * 5
    assert history.grid.tolist() == [2] * 5 + [4] * 5
    assert history.step.dtype == history.grid.dtype == np.int64
    assert (history.train == history.objective).all()
    assert (np.diff(history.seconds) >= 0).all()
    rows = [place for place in range(10) if place not in (0, 5)]
    assert [told.loss for told in seen] == history.train[rows].tolist()
    assert [told.validation for told in seen] == history.validation[rows].tolist()


def test_the_result_prints_as_a_table_of_the_stages():
    x, y = data()
    result = small().fit(x, y, **{**QUICK, "grids": [2, 4]})
    lines = str(result).splitlines()
    assert len(lines) == 5
    assert lines[0].split() == ["grid", "steps", "loss", "validation", "seconds", "ended"]
    assert lines[2].split()[:2] == ["4", "4"]
    assert lines[3:] == ["Losses are mean squares.", result.message]


def test_the_table_of_classes_has_cross_entropies():
    x, _ = data()
    result = KAN([2, 2], grid=2).fit(x, (x[:, 0] > 0).astype(int), **QUICK, loss="cross_entropy")
    assert result.loss_name == "cross_entropy"
    assert str(result).splitlines()[-2] == "Losses are mean cross-entropies."


@pytest.mark.jit
def test_penalties_are_in_the_objective_and_not_in_the_loss():
    x, y = data()
    model = small()
    result = model.fit(x, y, **QUICK, lamb=0.1, lamb_coef=0.5, lamb_coefdiff=0.5)
    assert (result.history.objective > result.history.train).all()
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-12)
    strong = small()
    strong.fit(x, y, **{**QUICK, "steps": 30}, lamb=10.0)
    assert np.ptp(strong(x)) < 0.3 * np.ptp(y)


@pytest.mark.jit
@pytest.mark.parametrize("validation", [None, 0.2])
def test_with_penalties_on_coefficients_a_finer_grid_is_judged_afresh(validation):
    x, y = data(60)
    model = small()
    penalties = {"lamb": 1.0, "lamb_coef": 1.0}
    result = model.fit(x, y, **{**QUICK, "grids": [2, 12], "validation": validation}, **penalties)
    if validation is None:
        assert model.grid == [12, 12]
    assert result.best_step >= (0 if validation else 4)


# --- what is chosen -----------------------------------------------------------------------------------------------


@pytest.mark.jit
def test_with_nothing_but_data_all_is_chosen_and_said():
    x, y = data(100)
    model = small()
    result = model.fit(x, y, time_limit=0.0)
    assert set(result.chosen) == {"method", "grids", "steps", "start", "validation"}
    assert result.chosen["method"].startswith("lm: ")
    assert result.chosen["grids"].startswith("[5, 8]: ")
    assert result.chosen["start"].startswith("redraw: ")
    assert result.chosen["validation"].startswith("15 of 100 samples")


def test_penalties_of_pykan_and_losses_without_a_curvature_call_for_lbfgs():
    x, y = data(100)
    of_differences = (lambda p, t: np.log(np.cosh(p - t)), lambda p, t: np.tanh(p - t))
    for options in ({"lamb": 1e-3}, {"loss": of_differences}):
        result = KAN([2, 2, 1], grid=3, seed=0).fit(x, y, time_limit=0.0, **options)
        assert result.chosen["method"].startswith("lbfgs: ")
        assert result.chosen["grids"].startswith("[3, 6]: ")


def test_few_samples_are_not_held_out_and_not_refined_for():
    x, y = data(12)
    result = small().fit(x, y, steps=1, method="lbfgs")
    assert result.chosen["grids"].startswith("[3]: ")
    assert math.isnan(result.validation_loss)
    assert np.isnan(result.history.validation).all()


@pytest.mark.jit
def test_the_ladder_ends_at_the_finest_grid():
    x, y = data(5000, 1)
    for method, ladder in (("lbfgs", "[20, 40, 80]: "), ("lm", "[5, 19, 69, 256]: ")):
        result = KAN([1, 1], grid=20, seed=0).fit(x, y, time_limit=0.0, method=method)
        assert result.chosen["grids"].startswith(ladder)


def test_large_problems_and_batches_call_for_adam():
    x, y = data(30)
    wide = KAN([2, 3000, 1000, 1], grid=1, k=1, seed=0)
    # the plan alone: such a network is not to be trained here
    made = make_plan(wide, 30, "auto", None, None, None, None, None, curved=True, redraw=True)
    assert (made.method, made.batch_size) == ("adam", 30)
    assert made.chosen["method"].startswith("adam: a gradient")
    assert made.steps == 500
    result = small().fit(x, y, batch_size=10, steps=3, grids=None)
    assert result.chosen["method"] == "adam: a batch size was given"


# --- Adam ---------------------------------------------------------------------------------------------------------


def test_mini_batches_are_recorded_by_epoch_on_all_samples():
    x, y = data(40)
    model = small()
    result = model.fit(x, y, method="adam", batch_size=10, steps=10, grids=None, learning_rate=0.05)
    assert result.history.step.tolist() == [0, 4, 8, 10]
    assert result.loss == result.history.train.min() == model.loss(x, y)
    assert result.best_step == result.history.step[result.history.train.argmin()]


@pytest.mark.parametrize("update_grid", [True, False])
def test_sizes_are_those_over_some_samples_that_have_a_weight(update_grid, monkeypatch):
    """Every third sample is looked at, unless those with a weight are the others; the first grid lies over all."""
    monkeypatch.setattr(start, "_GRID_SAMPLES", 100)
    x, y = data(300)
    x[1] = 3.0
    weight = np.ones(len(x))
    weight[::3] = 0.0
    model = small()
    options = {"method": "adam", "batch_size": 50, "steps": 12, "grids": None, "update_grid": update_grid}
    result = model.fit(x, 1e6 * y, sample_weight=weight, **options)
    assert result.success
    assert result.loss < 1.01 * np.var(1e6 * y[weight > 0])
    assert result.loss < result.history.train[0]
    assert (model.act_fun[0].grid[0, -1 - model.k[0]] >= 3.0) == update_grid


def test_a_batch_of_all_samples_is_no_mini_batch():
    x, y = data(20)
    result = small().fit(x, y, method="adam", batch_size=50, steps=6, grids=None)
    assert result.history.step.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_adam_goes_on_with_its_moments_after_a_grid_update(monkeypatch):
    """Its hidden grids are laid anew after a quarter, an eighth, ... of the steps."""
    seen = []

    class Watched(with_adam.Adam):
        def restart(self, x: Any, **options: Any) -> None:
            before = self.state
            super().restart(x, **options)
            after = self.state
            seen.append(before.step)
            assert (after.step, after.t) == (before.step, before.t)
            np.testing.assert_array_equal(after.m, before.m)
            np.testing.assert_array_equal(after.v, before.v)
            assert before.m.any()

    monkeypatch.setattr(with_adam, "Adam", Watched)
    x, y = data(40)
    model = small(dtype=np.float32)
    result = model.fit(x, y, method="adam", steps=40, grids=None, learning_rate=0.02, grid_update_num=3)
    assert seen == [2, 5, 10]
    assert result.loss < 0.5 * result.history.train[0]


def test_batches_take_every_sample_once_an_epoch_but_for_an_incomplete_last_batch():
    x, y = data(23)
    weight = np.linspace(1, 2, 23)
    samples = check_samples(small(), x, y, "mse", weight)
    drawn = list(itertools.islice(Batches(samples, 5, np.random.default_rng(0)), 8))
    for epoch in (drawn[:4], drawn[4:]):
        rows = np.concatenate([batch.x for batch in epoch])
        assert len(np.unique(rows, axis=0)) == 20
    assert not np.array_equal(drawn[0].x, drawn[4].x)
    assert all(batch.goal.total == pytest.approx(samples.goal.total * 5 / 23) for batch in drawn)


# --- judgement ----------------------------------------------------------------------------------------------------


def test_a_share_is_held_out_at_random_and_the_rest_is_in_order():
    x, y = data(30)
    samples = check_samples(small(), x, y, "mse", np.arange(30.0))
    train, held = split(samples, 0.2, np.random.default_rng(0))
    assert (len(train), len(held)) == (24, 6)
    place = {row.tobytes(): index for index, row in enumerate(samples.x)}
    order = [place[row.tobytes()] for row in train.x]
    assert order == sorted(order)
    assert sorted(order + [place[row.tobytes()] for row in held.x]) == list(range(30))
    assert held.goal.total == held.goal.weight.sum()
    assert train.goal.weight.tolist() == [index / 32 for index in order]  # weights are relative


def test_the_best_parameters_by_validation_are_kept():
    rng = np.random.default_rng(1)
    x, y = data(20)
    noisy, (x_val, y_val) = y + rng.normal(size=20), data(50, seed=3)
    model = small()
    result = model.fit(x, noisy, **{**QUICK, "steps": 25, "validation": (x_val, y_val)})
    record = result.history.validation
    assert result.validation_loss == record.min() == model.loss(x_val, y_val)
    assert record.argmin() < len(record) - 1
    assert result.best_step == result.history.step[record.argmin()]
    assert result.loss == model.loss(x, noisy)


def test_patience_ends_a_stage_and_the_fit():
    rng = np.random.default_rng(1)
    x, y = data(20)
    validation = (*data(50, seed=3), np.ones(50))
    options = {**QUICK, "steps": 60, "validation": validation, "patience": 3}
    result = small().fit(x, y + rng.normal(size=20), **options)
    assert result.status == FitStatus.EARLY
    assert result.stages[-1].ended == "validation loss no better"
    assert result.steps - result.best_step >= 3
    assert result.steps < 60


@pytest.mark.jit
def test_a_finer_grid_that_does_not_help_ends_the_ladder_and_is_not_kept():
    rng = np.random.default_rng(0)
    x, y = data(24)
    model = small()
    options = {**QUICK, "steps": 15, "grids": [2, 12, 24], "validation": data(60, seed=5)}
    result = model.fit(x, y + 0.5 * rng.normal(size=24), **options)
    assert [stage.grid for stage in result.stages] == [2, 12]
    assert (result.success, result.status) == (True, "early stopping")
    assert result.message.startswith("Finished: the validation loss gets no better.")
    assert model.grid == [2, 2]


def test_a_stage_of_lbfgs_ends_where_the_loss_falls_no_further():
    x, y = data(10, 1)
    model = KAN([1, 1], grid=2, seed=0)
    result = model.fit(x, y, method="lbfgs", grids=[2, 2])
    assert result.stages[0].ended in ("objective falls no further", "no step lowers the objective", "converged")
    assert result.stages[0].steps < 2000
    steps = with_lbfgs.WithLBFGS()
    assert steps.is_flat([1.0] * 51)
    assert not steps.is_flat([1.0] * 50)
    assert not steps.is_flat([0.99**step for step in range(60)])


def test_where_the_start_cannot_be_bettered_the_fit_ends_well():
    x = np.zeros((4, 1))
    result = KAN([1, 1], grid=2, seed=0).fit(x, np.zeros(4), **{**QUICK, "steps": 50})
    assert result.success
    assert result.loss < 1e-20


# --- interruptions ------------------------------------------------------------------------------------------------


def test_a_callback_may_stop_the_fit_with_stop_iteration():
    x, y = data()

    def stop(told: Any) -> None:
        if told.step == 3:
            raise StopIteration

    result = small().fit(x, y, **{**QUICK, "grids": [3, 6]}, callback=stop)
    assert result.status == "callback"
    assert result.success
    assert result.steps == 3
    assert result.stages[-1].ended == "callback"
    assert len(result.stages) == 1


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_the_model_is_at_the_step_that_the_callback_is_told(method):
    x, y = data()
    model = small()
    losses = []

    def look(told: Any) -> None:
        losses.append((told.loss, model.loss(x, y)))

    model.fit(x, y, **{**QUICK, "method": method, "steps": 12}, callback=look)
    assert len(losses) == 12
    assert all(told == pytest.approx(found, rel=1e-12) for told, found in losses)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_any_other_error_of_a_callback_comes_out_and_the_model_stays_at_that_step(error):
    x, y = data()
    model = small()
    kept = []

    def fail(told: Any) -> None:
        kept.append(state(model))
        if told.step == 3:
            raise error

    with pytest.raises(error):
        model.fit(x, y, **QUICK, callback=fail)
    assert state(model) == kept[-1]
    assert model.fit(x, y, **QUICK).success


def recorded(model: Network, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The states that are about to be committed, from now on; the first is the present one."""
    states = [state(model)]
    params, grids = session.commit_params, session.commit_grids

    def commit_params(to: Network, theta: Any) -> None:
        copy = to.copy()
        copy.params = theta
        states.append(state(copy))
        params(to, theta)

    def commit_grids(to: Network, work: Network) -> None:
        states.append(state(work))
        grids(to, work)

    monkeypatch.setattr(session, "commit_params", commit_params)
    monkeypatch.setattr(session, "commit_grids", commit_grids)
    return states


def measured() -> bool:
    """Whether coverage is watching: its own Python code holds a lock, which an interruption would leave locked."""
    coverage = sys.modules.get("coverage")
    return coverage is not None and coverage.Coverage.current() is not None


@pytest.fixture
def ctrl_c():
    """Ctrl-C as in a terminal: what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(measured(), reason="an interruption could hit the measurement of coverage")
def test_ctrl_c_at_any_moment_leaves_the_last_accepted_step(monkeypatch, ctrl_c):
    x, y = data()
    rng = np.random.default_rng(0)
    small().fit(x, y, **{**QUICK, "grids": [2, 3]})  # compiled before the clock runs
    interrupted = 0
    for _ in range(6):
        model = small()
        states = recorded(model, monkeypatch)
        timer = threading.Timer(rng.uniform(0, 0.3), _thread.interrupt_main)
        try:
            timer.start()  # on a busy machine the interruption comes before it returns
            model.fit(x, y, **{**QUICK, "steps": 100_000, "grids": [2, 3] * 50}, grid_update_num=60)
            timer.join()
            time.sleep(0.1)  # the interruption came too late, and is not for the next statement
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            monkeypatch.undo()
        assert state(model) in states[-2:]
        assert np.isfinite(model(x)).all()
    assert interrupted


def test_signals_are_the_main_thread_s_affair(ctrl_c):
    x, y = data()
    found: list[FitResult] = []
    worker = threading.Thread(target=lambda: found.append(small().fit(x, y, **QUICK)))
    worker.start()
    worker.join()
    assert found[0].success
    handler = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        assert signal.getsignal(signal.SIGINT) is not handler
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_time_limit_ends_the_fit_at_the_next_step(monkeypatch):
    x, y = data()
    model = small()
    result = model.fit(x, y, **{**QUICK, "grids": [3, 6], "steps": 10_000}, time_limit=0.0)
    assert (result.status, result.steps, len(result.stages)) == ("time limit", 0, 1)
    assert result.success
    assert result.loss == model.loss(x, y)

    clock = wind(monkeypatch)

    def wait(told: Any) -> None:
        clock.sleep(0.3 if told.stage == 0 and told.step == 4 else 0)

    late = small().fit(x, y, **{**QUICK, "grids": [3, 6]}, time_limit=0.25, callback=wait)
    assert late.status == "time limit"
    assert "0.25 s" in late.message
    assert late.steps == 4
    assert late.stages[-1].grid == 3


def exploding(limit: float) -> Any:
    """A base function that is infinite beyond a limit, and grows on the way there."""

    def value(x: Any) -> Any:
        return np.where(np.abs(x) > limit, np.inf, x)

    return value, np.ones_like


@pytest.mark.parametrize(("rate", "where"), [(1e15, ""), (1e38, "the parameters")])
def test_a_loss_that_becomes_infinite_ends_the_fit_with_the_best_parameters_met(rate, where):
    x, y = data()
    model = small(dtype=np.float32)
    result = model.fit(x, y, method="adam", steps=200, grids=None, learning_rate=rate, update_grid=False)
    assert result.status == FitStatus.NONFINITE
    assert not result.success
    assert f"after step {result.steps}, beginning in {where}" in result.message
    assert "has the best parameters met before" in result.message
    assert result.stages[-1].ended == "non-finite"
    assert result.loss == result.history.train.min() == pytest.approx(model.loss(x, y))
    assert np.isfinite(model(x)).all()


def test_lbfgs_steps_back_from_infinity():
    x, y = data()
    model = small(base_fun=exploding(1.5))
    result = model.fit(x, 10 * y, **{**QUICK, "steps": 10}, update_grid=False)
    assert result.success
    assert result.loss < result.history.train[0]


@pytest.mark.parametrize(
    ("depth", "name", "value", "where"),
    [
        (0, "coef", np.nan, "the parameters"),
        (0, "scale_sp", 1e200, "the outputs of layer 1, first in sample 0, output 0"),
        (1, "scale_sp", 1e200, "the loss or its gradient, with outputs of magnitude up to 1"),
        (1, "scale_base", 1e308, "the parameters"),
    ],
)
def test_a_start_that_is_not_finite_is_left_as_it_is_and_told(depth, name, value, where):
    x, y = data()
    model = small()
    getattr(model.act_fun[depth], name).fill(value)
    before = state(model)
    result = model.fit(x, y, **QUICK, update_grid=False)
    assert result.status == "non-finite"
    assert f"after step 0, beginning in {where}" in result.message
    assert "The model is as it was." in result.message
    assert math.isnan(result.loss)
    assert state(model) == before


def test_nan_among_the_parameters_is_told_before_any_grid_is_laid():
    x, y = data()
    model = small()
    model.act_fun[0].coef[0, 0, 0] = np.nan
    before = state(model)
    assert "beginning in the parameters. The model is as it was." in model.fit(x, y, **QUICK).message
    assert state(model) == before


def test_grids_cannot_lie_over_activations_beyond_the_dtype():
    x, y = data()
    model = small()
    model.act_fun[0].scale_base.fill(1e308)
    before = state(model)
    result = model.fit(x, y, **QUICK)
    assert "beginning in the grid of layer 1, whose activations are" in result.message
    assert state(model) == before


def test_validation_samples_that_give_nan_do_not_judge_in_silence():
    x, y = data()
    model = small(base_fun=(lambda x: np.where(abs(x) < 2, x, np.nan), np.ones_like))
    result = model.fit(x, y, **{**QUICK, "validation": (x * 3, y)})
    assert result.status == "non-finite"
    assert result.message.startswith("The validation loss was NaN or infinite throughout, beginning in the outputs")
    assert result.loss == model.loss(x, y) == result.history.train[-1]


@pytest.mark.jit
@pytest.mark.parametrize("policy", ["raise", "nan"])
def test_policies_that_refuse_points_outside_are_trained_and_kept(policy):
    x, y = data()
    model, other = small(extrapolate=policy), small()
    options = {**QUICK, "steps": 40, "grids": [3, 5]}
    result, usual = model.fit(x, y, **options), other.fit(x, y, **options)
    assert [layer.extrapolate for layer in model.act_fun] == [policy] * 2
    assert np.isfinite(model(x)).all()  # no training sample is refused
    assert abs(result.loss - model.loss(x, y)) <= 1e-12 * result.loss
    assert result.loss < 1.5 * usual.loss
    assert {layer.extrapolate for layer in scratch_copy(model).act_fun} == {"continue"}


# --- the same again -----------------------------------------------------------------------------------------------

STREAM: dict[str, Any] = {"method": "adam", "batch_size": 8, "steps": 12, "grids": [2, 4], "validation": 0.25}


@pytest.mark.jit
def test_the_same_random_state_gives_the_same_bits_and_another_does_not():
    x, y = data()

    def fitted(random_state: Any) -> tuple[bytes, float]:
        model = small()
        return state(model), model.fit(x, y, **STREAM, random_state=random_state).loss

    assert fitted(3) == fitted(3) == fitted(np.random.default_rng(3))
    assert fitted(3) != fitted(4)
    assert fitted(None) != fitted(None)


@pytest.mark.jit
@pytest.mark.parametrize("options", [STREAM, {**QUICK, "lamb": 0.01, "grids": [2, 3]}], ids=["adam", "lbfgs"])
def test_threads_change_no_bit(options):
    x, y = data(1100, 3)
    threads, found = numkan.get_threads(), []
    try:
        for count in (1, 2):
            numkan.set_threads(count)
            model = KAN([3, 40, 1], grid=2, seed=0)
            result = model.fit(x, y, **{**options, "steps": 3})
            found.append((state(model), result.history.train.tobytes(), result.validation_loss))
    finally:
        numkan.set_threads(threads)
    assert str(found[0]) == str(found[1])


def test_no_global_random_state_is_touched():
    x, y = data()
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    small().fit(x, y, **STREAM)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002


# --- progress -----------------------------------------------------------------------------------------------------


class Bar:
    """What tqdm would be told."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self.steps, self.closed, self.shown = total, 0, False, {}
        bars.append(self)

    def set_postfix(self, numbers: dict[str, Any], refresh: bool) -> None:
        self.shown = numbers

    def update(self) -> None:
        self.steps += 1

    def close(self) -> None:
        self.closed = True


bars: list[Bar] = []


@pytest.mark.parametrize("validation", [None, 0.2])
def test_progress_goes_to_tqdm_step_by_step(validation, monkeypatch):
    module = type(sys)("tqdm.auto")
    module.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    monkeypatch.setitem(sys.modules, "tqdm", type(sys)("tqdm"))
    x, y = data()
    result = small().fit(x, y, **{**QUICK, "validation": validation}, progress=True)
    bar = bars.pop()
    assert (bar.total, bar.steps, bar.closed) == (4, result.steps, True)
    assert set(bar.shown) == {"grid", "loss"} | ({"validation"} if validation else set())
    small().fit(x, y, **QUICK)
    assert not bars


def test_progress_without_tqdm_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    x, y = data()
    assert small().fit(x, y, **QUICK, progress=True).success
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "python -m pip install tqdm" in err
    assert small().fit(x, y, **QUICK).success
    assert capsys.readouterr() == ("", "")


# --- bad arguments ------------------------------------------------------------------------------------------------

X, Y = data(20)
HOLE = X.copy()
HOLE[3, 1] = np.nan

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"x": HOLE}, ValueError, r"`x` must be finite, not with 1 NaN .* at \(3, 1\)"),
    ({"x": X[:, :1]}, ValueError, r"`x` must have shape \(n, 2\), not \(20, 1\)"),
    ({"x": X[:, 0]}, ValueError, r"`x` must have shape \(n, 2\), not \(20,\)"),
    ({"x": X[None]}, ValueError, r"`x` must have shape"),
    ({"x": X[:0], "y": Y[:0]}, ValueError, r"`x` must have at least one row to fit, not shape \(0, 2\)"),
    ({"x": [[1, 2], [3]]}, ValueError, r"`x` must have rows of equal length"),
    ({"x": X.astype(complex)}, TypeError, r"`x` must hold real numbers"),
    ({"x": np.ma.masked_array(X)}, TypeError, r"`x` must not be a masked array"),
    ({"x": X.astype(str)}, TypeError, r"`x` must hold real numbers"),
    ({"y": Y[:5]}, ValueError, r"`y` must have shape \(20, 1\) or \(20,\), not \(5,\)"),
    ({"y": HOLE[:, 1]}, ValueError, r"`y` must be finite"),
    ({"y": Y, "loss": "cross_entropy"}, ValueError, r"`y` must hold integer labels"),
    ({"y": np.ones(20), "loss": "cross_entropy"}, ValueError, r"`y` must hold labels in \[0, 1\)"),
    ({"loss": "mes"}, ValueError, r"`loss` must be one of .* Did you mean 'mse'"),
    ({"sample_weight": -(Y**2)}, ValueError, r"`sample_weight` must not be negative"),
    ({"sample_weight": np.zeros(20)}, ValueError, r"`sample_weight` must have a positive sum"),
    ({"sample_weight": Y[:3]}, ValueError, r"`sample_weight` must have shape \(20,\)"),
    ({"sample_weight": np.eye(20)[0], "validation": 0.5}, ValueError, r"`validation` must leave at least one of 1 dis"),
    ({"method": "lbgfs"}, ValueError, r"`method` must be one of .* Did you mean 'lbfgs'"),
    ({"method": None}, TypeError, r"`method` must be one of"),
    ({"steps": -1}, ValueError, r"`steps` must be at least 0, not -1"),
    ({"steps": 2.5}, TypeError, r"`steps` must be an integer"),
    ({"steps": "many"}, ValueError, r"`steps` must be one of 'auto'"),
    ({"grids": []}, ValueError, r"`grids` must have at least one entry, not 0"),
    ({"grids": [3, 0]}, ValueError, r"`grids\[1\]` must be at least 1, not 0"),
    ({"grids": 0}, ValueError, r"`grids\[0\]` must be at least 1, not 0"),
    ({"grids": "fine"}, ValueError, r"`grids` must be one of 'auto'"),
    ({"grids": 2.5}, TypeError, r"`grids` must be None, 'auto', an integer or a list"),
    ({"grids": True}, TypeError, r"`grids` must be None"),
    ({"validation": "some"}, ValueError, r"`validation` must be 'auto', None, a fraction or \(x, y\), not 'some'"),
    ({"validation": 1.5}, ValueError, r"`validation` must lie in \(0, 1\], not 1.5"),
    ({"validation": 0}, ValueError, r"`validation` must lie in \(0, 1\]"),
    ({"validation": 1.0}, ValueError, r"`validation` must leave at least one of 20 samples"),
    ({"validation": True}, TypeError, r"`validation` must be None, 'auto', a fraction, .* not bool"),
    ({"validation": (X,)}, TypeError, r"`validation` must be None"),
    ({"validation": (HOLE, Y)}, ValueError, r"`validation\[0\]` must be finite"),
    ({"validation": (X[:, :1], Y)}, ValueError, r"`validation\[0\]` must have shape"),
    ({"validation": (X, Y[:3])}, ValueError, r"`validation\[1\]` must have shape"),
    ({"validation": (X, Y, Y[:3])}, ValueError, r"`validation\[2\]` must have shape"),
    ({"patience": 0}, ValueError, r"`patience` must be at least 1"),
    ({"batch_size": 0}, ValueError, r"`batch_size` must be at least 1"),
    ({"batch_size": 5, "method": "lbfgs"}, ValueError, r"`batch_size` must be None for method 'lbfgs', not 5"),
    ({"learning_rate": 0.0}, ValueError, r"`learning_rate` must be greater than 0"),
    ({"lamb": -1.0}, ValueError, r"`lamb` must be at least 0"),
    ({"lamb_l1": np.inf}, ValueError, r"`lamb_l1` must be at least 0"),
    ({"lamb_entropy": "2"}, TypeError, r"`lamb_entropy` must be a real number"),
    ({"update_grid": 1}, TypeError, r"`update_grid` must be True or False, not 1"),
    ({"grid_update_num": -1}, ValueError, r"`grid_update_num` must be at least 0"),
    ({"callback": 3}, TypeError, r"`callback` must be callable or None, not 3"),
    ({"progress": "yes"}, TypeError, r"`progress` must be True or False"),
    ({"time_limit": -1}, ValueError, r"`time_limit` must be at least 0"),
    ({"random_state": -1}, ValueError, r"`random_state` must be at least 0"),
    ({"random_state": "x"}, TypeError, r"`random_state` must be an integer"),
]


@pytest.mark.parametrize(
    ("bad", "error", "text"), BAD, ids=lambda value: ",".join(value) if type(value) is dict else ""
)
def test_a_bad_argument_is_one_clear_error_and_the_model_stays_byte_for_byte(bad, error, text):
    model = small()
    before, view = state(model), model.act_fun[0].coef
    with pytest.raises(error, match=f"^Argument {text}"):
        model.fit(**{"x": X, "y": Y, "steps": 1, **bad})
    assert state(model) == before
    assert view.flags.writeable


def test_one_sample_cannot_be_divided():
    with pytest.raises(ValueError, match=r"`validation` must leave at least one of 1 samples"):
        small().fit(X[:1], Y[:1], validation=0.5)


def test_no_steps_lay_the_grids_and_measure():
    model = small()
    result = model.fit(X, Y, **{**QUICK, "steps": 0})
    assert (result.steps, result.best_step, result.loss) == (0, 0, model.loss(X, Y))
    assert isinstance(result.stages[0], Stage)
    assert result.stages[0].ended == "all steps taken"


def test_more_grid_updates_than_steps_can_hold_cost_nothing():
    assert small().fit(X, Y, **QUICK, grid_update_num=10**12).success


# --- honest errors ----------------------------------------------------------------------------------------------------


def error_of(width: list[int], n: int, seed: int) -> tuple[float, float]:
    """The error of a fit to noisy samples of four inputs, two of which are idle; and what it claims."""
    rng = np.random.default_rng(seed)
    x, fresh = rng.uniform(-1, 1, (n, 4)), rng.uniform(-1, 1, (2000, 4))

    def function(x):
        return np.sin(2 * x[:, :1]) + x[:, 1:2]

    model = KAN(width, seed=0)
    result = model.fit(x, function(x) + 0.5 * rng.standard_normal((n, 1)))
    noisy = function(fresh) + 0.5 * rng.standard_normal((2000, 1))
    return float(np.sqrt(np.mean((model(fresh) - noisy) ** 2))), result.gcv


@pytest.mark.jit
@pytest.mark.parametrize(("width", "n"), [([4, 1], 100), ([4, 3, 1], 100), ([4, 3, 1], 300)])
def test_the_claimed_error_is_about_that_of_fresh_samples(width, n):
    errors, claims = np.transpose([error_of(width, n, seed) for seed in range(4)])
    assert 0.85 < np.median(errors / claims) < 1.15
    assert (errors / claims).max() < 1.3


@pytest.mark.jit
def test_a_wide_network_on_few_noisy_samples_is_smooth():
    """It has 192 coefficients on 25 samples, and is about as good as one of a single layer."""
    wide, alone = ([error_of(width, 25, seed)[0] for seed in range(4)] for width in ([4, 5, 1], [4, 1]))
    assert np.median(wide) < 1.3 * np.median(alone) < 1.2
