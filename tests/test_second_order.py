"""``model.fit`` by Levenberg-Marquardt: when it redraws, what it promises of data, weights, noise, and how it ends."""

from __future__ import annotations

import copy
import math
import pickle
import signal
from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.model.network import Network
from numkan.train import climbs, least_squares, starts
from numkan.train.history import FitStatus
from numkan.train.session import Ended, Session
from numkan.train.start import NotFiniteError
from tests.clocks import wind

pytestmark = pytest.mark.jit  # in plain Python normal equations take minutes

LM: dict[str, Any] = {"method": "lm", "validation": None}
QUICK: dict[str, Any] = {**LM, "grids": [3], "steps": 3, "restarts": 1}


def data(n: int = 80, n_in: int = 2, noise: float = 0.0, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, n_in))
    return x, np.sin(2 * x[:, 0]) + x[:, -1] ** 2 + noise * rng.standard_normal(n)


def small(**options: Any) -> KAN:
    return KAN([2, 1, 1], **{"grid": 4, "seed": 0, **options})


def state(model: Network) -> bytes:
    """All that training may change, and what it must not."""
    layers = [
        a.tobytes() for layer in model.act_fun for a in (layer.grid, layer.scale_base, layer.scale_sp, layer.mask)
    ]
    return b"".join([model.params.tobytes(), *layers])


def rms(a: Any, b: Any) -> float:
    return float(np.sqrt(np.mean(np.square(np.ravel(a) - np.ravel(b)))))


def redraws(model: Network, **options: Any) -> bool:
    """Whether a fit began from other numbers than the model's."""
    result = model.copy().fit(*data(), **{**QUICK, **options})
    told = result.chosen["start"].startswith("redraw: ")
    assert told == bool(result.starts)
    return told


# --- the redraw rule ----------------------------------------------------------------------------------------------


def write_coef(model: KAN) -> None:
    model.act_fun[1].coef[0, 0, 2] += 1e-12


def write_params(model: KAN) -> None:
    model.params = model.params * 2


def write_grid(model: KAN) -> None:
    grid = np.array(model.act_fun[0].grid)
    grid[0, 4] += 1e-9
    model.act_fun[0].grid = grid


def write_mask(model: KAN) -> None:
    model.act_fun[0].mask[1, 0] = 0


def write_scale_base(model: KAN) -> None:
    model.act_fun[0].scale_base[0, 0] *= 2


def write_scale_sp(model: KAN) -> None:
    model.act_fun[1].scale_sp[...] = 0.5


def regrid(model: KAN) -> None:
    model.update_grid_from_samples(data()[0])


def take_grid_from_a_parent(model: KAN) -> None:
    model.initialize_grid_from_parent(small(grid=2, seed=1), data()[0])


def fit_one_step(model: KAN) -> None:
    model.fit(*data(), **{**QUICK, "steps": 1})


def fit_by_lbfgs(model: KAN) -> None:
    model.fit(*data(), method="lbfgs", steps=1, grids=None, validation=None)


TOUCHES = [
    write_coef, write_params, write_grid, write_mask, write_scale_base, write_scale_sp, regrid,
    take_grid_from_a_parent, fit_one_step, fit_by_lbfgs,
]  # fmt: skip


def test_a_model_as_its_constructor_drew_it_is_drawn_anew():
    assert redraws(small())
    assert redraws(small(init="power", dtype=np.float32))
    assert redraws(KAN([2, 3, 1], seed=np.random.default_rng(3), extrapolate="fade", grid_eps=0.5))
    assert redraws(KAN([2, 1]))


@pytest.mark.parametrize("touch", TOUCHES, ids=lambda touch: touch.__name__)
def test_a_model_that_was_touched_goes_on(touch):
    model = small()
    touch(model)
    assert not redraws(model)
    assert not redraws(pickle.loads(pickle.dumps(model)))
    assert redraws(model, start="redraw")


@pytest.mark.parametrize("twin", [KAN.copy, copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_a_fresh_model_is_fresh(twin):
    assert redraws(twin(small()))
    model = twin(small())
    write_coef(model)
    assert not redraws(model)


def test_a_model_that_was_loaded_refined_pruned_or_imported_goes_on(tmp_path):
    model = small()
    model.save(tmp_path / "model.npz")
    assert not redraws(KAN.load(tmp_path / "model.npz"))
    assert not redraws(model.refine(8))
    assert not redraws(model.refine(4))
    assert not redraws(model.prune(data()[0], threshold=0.0))
    assert not redraws(KAN._of([copy.deepcopy(layer) for layer in model.act_fun]))  # as an import makes it
    assert redraws(model)  # which none of them has changed


def test_what_is_written_and_taken_back_byte_for_byte_is_fresh():
    model = small()
    before = model.params
    model.params = before + 1
    assert not redraws(model)
    model.params = before
    assert redraws(model)


def test_keep_goes_on_from_a_fresh_model_and_from_its_very_function():
    assert not redraws(small(), start="keep")
    x, y = data()
    model = small()
    loss = model.loss(x, y)
    result = model.fit(x, y, **{**QUICK, "grids": None}, start="keep", update_grid=False)
    assert result.history.train[0] == pytest.approx(loss, rel=1e-9)
    assert result.starts == ()


@pytest.mark.parametrize("start", ["redraw", "keep", "auto"])
def test_no_start_touches_masks_and_edges_that_are_off_stay_off(start):
    x, y = data()
    model = KAN([2, 3, 1], grid=3, seed=0)
    model.act_fun[0].mask[...] = [[1, 0, 1], [0, 0, 1]]
    model.act_fun[1].mask[1] = 0
    masks = [layer.mask.copy() for layer in model.act_fun]
    model.fit(x, y, **{**LM, "grids": [3, 6], "steps": 10}, start=start)
    for layer, mask in zip(model.act_fun, masks, strict=True):
        np.testing.assert_array_equal(layer.mask, mask)
    assert np.isfinite(model.params).all()
    # the input that has one edge, to the third node: without that node there is nothing of it
    model.act_fun[1].mask[2] = 0
    assert np.ptp(model(np.array([[0.3, -0.9], [0.3, 0.1], [0.3, 0.9]]))) == 0


def test_a_redraw_depends_on_the_random_state_and_not_on_the_model_s_numbers():
    x, y = data()

    def outputs(seed: int, random_state: int) -> Any:
        model = small(seed=seed)
        model.fit(x, y, **{**LM, "grids": [3], "steps": 5}, random_state=random_state)
        return model(x)

    np.testing.assert_array_equal(outputs(0, 7), outputs(1, 7))
    assert not np.array_equal(outputs(0, 7), outputs(0, 8))


# --- what is fitted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_function_of_its_shape_is_found_from_any_seed_with_nothing_said(seed):
    x, y = data(150)
    model = small(seed=seed)
    result = model.fit(x, y, random_state=seed)
    fresh = data(500, seed=9)
    assert result.chosen["method"].startswith("lm: ")
    assert rms(model(fresh[0]), fresh[1]) < 1e-5
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-6)


@pytest.mark.parametrize("k", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("width", [[1, 1], [1, 1, 1]])
def test_every_degree_with_one_input_and_one_output(width, k):
    x = np.linspace(-1, 1, 100)[:, None]
    y = np.exp(x)
    model = KAN(width, k=k, seed=0)
    result = model.fit(x, y, **{**LM, "grids": [4, 8]})
    # a step function of 8 steps has an error of 0.1; each degree more takes a factor of the grid's
    if k or len(width) == 2:
        assert rms(model(x), y) < [0.2, 1e-2, 1e-3, 1e-4, 1e-4, 1e-6][k]
    assert result.success
    assert model.k == [k] * (len(width) - 1)


def test_splines_of_degree_zero_have_no_slope_and_call_for_another_method():
    x, y = data(40)
    result = KAN([2, 1, 1], k=0, seed=0).fit(x, y, time_limit=0.0)
    assert not result.chosen["method"].startswith("lm")


def test_several_outputs_share_a_hidden_layer():
    x, y = data(200)
    both = np.stack([y, 100 - 3 * y], axis=1)
    model = KAN([2, 1, 2], seed=0)
    result = model.fit(x, both)
    assert result.chosen["method"].startswith("lm: ")
    assert rms(model(x), both) < 1e-3
    assert result.loss == pytest.approx(model.loss(x, both), rel=1e-6)
    assert result.weights[1].shape[1:] == (1, 2)


def test_a_float32_model_is_trained_in_float64_and_stays_float32():
    x, y = data(150)
    model, other = small(dtype=np.float32), small()
    result = model.fit(x.astype(np.float32), y.astype(np.float32))
    other.fit(x, y)
    assert model.params.dtype == model(x).dtype == np.float32
    assert rms(model(x), y) < 1e-5
    assert rms(model(x), other(x)) < 1e-5
    assert result.loss == model.loss(x, y)


@pytest.mark.parametrize("factor", [2.0**-40, 8.0, 2.0**70])
def test_units_that_are_powers_of_two_change_no_bit(factor):
    x, y = data()
    options = {**LM, "grids": [3, 6]}
    one, other, third = small(), small(), small()
    first = one.fit(x, y, **options)
    told = other.fit(x, factor * y, **options)
    third.fit(factor * x, y, **options)
    np.testing.assert_array_equal(other(x), factor * one(x))
    np.testing.assert_array_equal(third(factor * x), one(x))
    assert told.noise == pytest.approx(factor * first.noise, rel=1e-12)
    assert told.gcv == pytest.approx(factor * first.gcv, rel=1e-12)
    assert told.starts == pytest.approx(tuple(factor * start for start in first.starts), rel=1e-12)
    assert told.loss == pytest.approx(factor**2 * first.loss, rel=1e-12)
    assert told.freedom == first.freedom


@pytest.mark.parametrize(("factor", "offset"), [(1e6, 1e9), (1e-9, 5.0), (-3.0, -1e3)])
def test_other_units_change_nothing_but_rounding(factor, offset):
    x, y = data(noise=0.1)
    one, other = small(), small()
    one.fit(x, y, **LM, grids=[4])
    other.fit(x, factor * y + offset, **LM, grids=[4])
    lost = 1e-15 * abs(offset / factor)
    assert rms((other(x) - offset) / factor, one(x)) < 0.01 + 1e3 * lost


@pytest.mark.parametrize("value", [0.0, 7.5, -1e12])
@pytest.mark.parametrize("width", [[2, 1], [2, 2, 1]])
def test_constant_targets_are_met(width, value):
    x, _ = data()
    model = KAN(width, seed=0)
    result = model.fit(x, np.full(len(x), value))
    assert result.success
    np.testing.assert_allclose(model(x), value, atol=1e-9 * max(abs(value), 1.0))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_few_samples_are_no_trouble(n):
    x, y = data(n)
    model = KAN([2, 2, 1], seed=0)
    result = model.fit(x, y)
    assert result.success
    assert rms(model(x)[:, 0], y) <= max(0.1, y.std())  # no worse than their mean: hidden layers are smooth on few rows
    assert np.isfinite(model.params).all()


def test_constant_columns_are_no_trouble():
    x, _ = data()
    x[:, 1] = 3.0
    model = small()
    assert model.fit(x, np.sin(2 * x[:, 0])).success
    assert rms(model(x), np.sin(2 * x[:, 0])) < 1e-3


def test_grids_between_equal_steps_and_equal_counts_are_kept():
    x = data(200)[0] ** 3
    y = np.cbrt(x[:, 0]) + x[:, 1]
    model = small(grid_eps=0.0)
    model.fit(x, y, **LM, grids=[8])
    inner = model.act_fun[0].grid[0, 3:-3]
    counts = np.histogram(x[:, 0], inner)[0]
    assert counts.max() - counts.min() <= 2
    even = small()
    even.fit(x, y, **LM, grids=[8])
    assert model.loss(x, y) < 0.7 * even.loss(x, y)


@pytest.mark.parametrize("policy", ["nan", "raise", "fade"])
def test_every_policy_is_trained_and_kept_and_refuses_no_training_sample(policy):
    x, y = data(120)
    model = small(extrapolate=policy)
    result = model.fit(x, y)
    assert [layer.extrapolate for layer in model.act_fun] == [policy] * 2
    assert np.isfinite(model(x)).all()
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-3)
    assert result.loss < 1e-7


def test_a_fit_can_be_gone_on_with():
    x, y = data(120)
    model = small()
    first = model.fit(x, y, **LM, grids=[4])
    second = model.fit(x, y, **LM, grids=[4])
    assert second.starts == ()
    assert second.history.train[0] < 3 * first.loss + 1e-12
    assert second.loss < 1.1 * first.loss + 1e-12
    finer = model.fit(x, y, **LM, grids=[16])
    assert finer.loss < 1e-2 * first.loss


# --- the weights of samples ---------------------------------------------------------------------------------------


def test_a_sample_of_weight_two_counts_as_two():
    x, y = data(60, noise=0.1)
    weight = np.repeat([2.0, 1.0], [20, 40])
    model, other, plain = small(), small(), small()
    options = {**LM, "grids": None, "start": "keep", "penalty": None, "update_grid": False}
    model.fit(x, y, sample_weight=weight, **options)
    other.fit(np.concatenate([x, x[:20]]), np.concatenate([y, y[:20]]), **options)
    plain.fit(x, y, **options)
    assert rms(model(x), other(x)) < 1e-5
    assert rms(model(x), plain(x)) > 1e-3


def test_the_scale_of_weights_does_not_matter():
    x, y = data(60, noise=0.1)
    weight = np.random.default_rng(1).uniform(0.5, 2, 60)
    one, other = small(), small()
    results = [m.fit(x, y, **LM, grids=[4], sample_weight=w) for m, w in ((one, weight), (other, 1024 * weight))]
    np.testing.assert_array_equal(one(x), other(x))
    assert results[0].noise == results[1].noise


def test_a_sample_of_weight_zero_is_as_if_absent():
    x, y = data(60, noise=0.1)
    inside = 0.5 * x[:20]
    model, other = small(), small()
    options = {**LM, "grids": None, "start": "keep", "penalty": None, "update_grid": False}
    model.fit(
        np.concatenate([x, inside]), np.append(y, np.full(20, 99.0)), sample_weight=np.repeat([1.0, 0.0], [60, 20]),
        **options,
    )  # fmt: skip
    other.fit(x, y, **options)
    assert rms(model(x), other(x)) < 1e-5


def test_wrong_targets_of_weight_zero_are_not_learned_with_nothing_else_said():
    x, y = data(150)
    weight = np.repeat([1.0, 0.0], [120, 30])
    model = small()
    result = model.fit(x, np.where(weight > 0, y, 1e3), sample_weight=weight)
    assert rms(model(x), y) < 1e-4
    assert result.loss == pytest.approx(model.loss(x, y, sample_weight=weight), rel=1e-6)


# --- noise --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "most"), [([2, 1], 15), ([2, 1, 1], 25)])
def test_the_noise_level_that_was_added_is_in_the_result(width, most):
    """Mean over five data sets within four of its standard errors."""
    ratios = []
    for seed in range(5):
        x, y = data(300, noise=0.1, seed=seed)
        result = KAN(width, seed=0).fit(x, y, random_state=seed)
        ratios.append(result.noise / 0.1)
        assert 3 < result.freedom < most
        assert result.noise < result.gcv < 1.15 * result.noise
        assert math.sqrt(result.loss) < result.noise
    assert abs(np.mean(ratios) - 1) < 4 / np.sqrt(2 * 300 * 5)


def test_the_last_fit_smooths_as_the_ladder_has_found():
    """It keeps the measures that the weights belong to: by those of other ones it would hardly smooth."""
    rng = np.random.default_rng(0)
    x, at = rng.uniform(-1, 1, (100, 1)), np.linspace(-0.95, 0.95, 300)[:, None]
    model = KAN([1, 1], seed=0)
    result = model.fit(x, np.sin(9 * x) + 0.035 * rng.standard_normal(x.shape), method="lm")
    assert [stage.grid for stage in result.stages[-2:]] == [65, 65]
    assert 12 < result.freedom < 20
    assert rms(model(at), np.sin(9 * at)) < 0.6 * 0.035


def test_a_model_that_is_far_too_wide_does_not_follow_noise():
    x, y = data(200, noise=0.3, seed=2)
    fresh, truth = data(500, seed=5)
    model = KAN([2, 5, 1], seed=0)
    result = model.fit(x, y)
    assert result.freedom < 60
    assert 0.2 < result.noise < 0.35
    assert rms(model(fresh), truth) < 0.25


def test_pure_noise_is_recognised():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (200, 2)), rng.standard_normal(200)
    model = KAN([2, 2, 1], seed=0)
    result = model.fit(x, y)
    assert 0.8 < result.noise < 1.1
    assert result.freedom < 40
    assert np.std(model(x)) < 0.6


def test_without_evidence_there_is_no_estimate():
    x, y = data()
    result = small().fit(x, y, **LM, grids=[4], penalty=None)
    assert math.isnan(result.noise)
    assert math.isnan(result.freedom)
    assert result.weights == ()
    assert all(math.isnan(value) for value in (small().fit(x, y, method="lbfgs", steps=1).noise,))


def test_weights_have_an_entry_for_every_measure_of_every_edge():
    x, y = data()
    result = KAN([2, 3, 1], k=[3, 1], grid=3, seed=0).fit(x, y, **LM, grids=[3], steps=5)
    assert [weight.shape for weight in result.weights] == [(3, 2, 3), (2, 3, 1)]
    assert all((weight > 0).all() for weight in result.weights)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_fixed_penalty_is_on_jumps_and_leaves_the_polynomial(k):
    x = np.linspace(-1, 1, 100)[:, None]
    y = np.exp(2 * x[:, 0])
    polynomial = np.polyval(np.polyfit(x[:, 0], y, k), x[:, 0])
    free, held = KAN([1, 1], k=k, seed=0), KAN([1, 1], k=k, seed=0)
    free.fit(x, y, **LM, grids=[8], penalty=None)
    held.fit(x, y, **LM, grids=[8], penalty=1.0)
    assert rms(held(x), polynomial) < 0.01
    assert rms(free(x), polynomial) > 1.2 * rms(held(x), polynomial)
    zero = KAN([1, 1], k=k, seed=0)
    zero.fit(x, y, **LM, grids=[8], penalty=0.0)
    np.testing.assert_array_equal(zero(x), free(x))


def test_the_penalty_is_in_the_objective_and_not_in_the_loss():
    x, y = data()
    model = small()
    result = model.fit(x, y, **LM, grids=[4], penalty=1e-3)
    assert (result.history.objective > result.history.train).all()
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-9)
    plain = small().fit(x, y, **LM, grids=[4], penalty=None)
    np.testing.assert_array_equal(plain.history.objective, plain.history.train)


# --- stages -------------------------------------------------------------------------------------------------------


def test_every_entry_of_grids_is_a_stage_and_the_model_ends_with_the_last():
    x, y = data(150)
    model = small()
    result = model.fit(x, y, **LM, grids=[3, 6, 12])
    assert [stage.grid for stage in result.stages] == [3, 6, 12]
    assert model.grid == [12, 12]
    assert result.stages[0].loss > result.stages[1].loss > result.stages[2].loss == result.loss
    assert result.status == "finished"
    history = result.history
    assert len(history) == result.steps + 3  # and the start of each
    assert [history.step[0], history.step[-1]] == [0, result.steps]
    assert set(history.grid[history.stage == 1]) == {6}
    assert (np.diff(history.seconds) >= 0).all()


def test_the_order_of_the_splines_shows_on_the_ladder():
    x = np.linspace(-1, 1, 400)[:, None]
    result = KAN([1, 1], seed=0).fit(x, np.exp(np.sin(3 * x)), **LM, grids=[10, 40])
    fall = math.sqrt(result.stages[0].loss / result.stages[1].loss)
    assert 4 - 0.8 < math.log(fall, 4) < 4 + 0.8


def test_without_grids_the_model_s_own_stay():
    x, y = data()
    model = small(grid=[2, 5])
    assert len(model.fit(x, y, **LM, grids=None, steps=3).stages) == 1
    assert model.grid == [2, 5]


def test_grids_lie_over_the_data_or_stay_where_they_were():
    x, y = data()
    model, kept = small(), small(grid_range=(-2, 2))
    model.fit(x, y, **LM, grids=[4])
    first, second = model.act_fun
    np.testing.assert_array_equal(first.grid[:, 3], x.min(axis=0))
    np.testing.assert_array_equal(first.grid[:, -4], x.max(axis=0))
    assert model.coverage(x)[1].outside.max() < 0.2
    assert second.grid[0, 3] != -1
    kept.fit(x, y, **LM, grids=[8], start="keep", update_grid=False)
    for layer in kept.act_fun:
        assert (layer.grid[:, 3] == -2).all()
        assert (layer.grid[:, -4] == 2).all()


def test_the_last_fit_sees_all_samples_and_what_was_held_out_is_told():
    x, y = data(100, noise=0.05)
    model = small()
    result = model.fit(x, y)
    assert result.chosen["validation"].startswith("15 of 100 samples")
    assert math.isnan(result.stages[-1].validation)
    assert not math.isnan(result.stages[-2].validation)
    assert result.stages[-1].grid == model.grid[0]
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-9)
    assert result.validation_loss == min(stage.validation for stage in result.stages[:-1])
    assert result.validation_loss == np.nanmin(result.history.validation)


def test_a_ladder_that_takes_its_share_of_the_time_leaves_the_rest_to_the_last_fit(monkeypatch):
    x, y = data(200)
    model = small()
    clock = wind(monkeypatch)
    result = model.fit(x, y, time_limit=2.0, callback=lambda at: clock.sleep(0.09))
    *ladder, last = result.stages
    assert result.status == "time limit"
    assert "the ladder has had its share of the time limit of 2 s" in result.message or result.seconds >= 2.0
    assert ladder[-1].ended == "time limit"
    assert sum(stage.seconds for stage in ladder) == pytest.approx(1.08)
    assert math.isnan(last.validation)
    assert last.steps >= 1
    assert last.grid == model.grid[0]
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-9)
    assert result.seconds < 2.1


def test_a_last_fit_that_is_cut_short_does_not_spoil_what_the_ladder_has_reached(monkeypatch):
    """Steps that lower the penalized sum may raise the loss at first; time may end them there."""
    x, y = data(200)
    consider = Session.consider

    def spoil(self: Any, work: Any, theta: Any, loss: float, objective: float, **options: Any) -> bool:
        kept = consider(self, work, theta, 100.0 if self.validation is None else loss, objective, **options)
        if self.validation is None and self.stages[-1].steps < self.steps:
            raise Ended(FitStatus.TIME, "Stopped.")
        return kept

    monkeypatch.setattr(Session, "consider", spoil)
    model = small()
    result = model.fit(x, y)
    assert result.status == "time limit"
    assert math.isnan(result.stages[-1].validation)
    assert not math.isnan(result.validation_loss)
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-6)
    assert rms(model(x), y) < 1e-4


def test_given_validation_samples_judge_and_are_not_trained_on():
    x, y = data(60, noise=0.3, seed=3)
    x_val, y_val = data(200, seed=4)
    model = small()
    result = model.fit(x, y, method="lm", grids=[3, 12, 40], validation=(x_val, y_val))
    assert result.validation_loss == pytest.approx(model.loss(x_val, y_val), rel=1e-9)
    assert result.validation_loss == np.nanmin(result.history.validation)
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-9)
    assert result.status == "early stopping"
    assert len(result.stages) < 3


def test_a_ladder_on_noise_ends_where_finer_grids_do_not_pay():
    x, y = data(300, noise=0.3)
    model = small()
    result = model.fit(x, y)
    assert result.status == "early stopping"
    assert "no better" in result.message
    assert max(model.grid) <= 30


def test_splines_keep_the_weights_of_their_own_grid_where_a_finer_one_is_no_better():
    x, y = data(300, noise=0.5, seed=6)
    fits = []
    for grids in ([4], [4, 12]):
        model = KAN([2, 1], grid=4, seed=0)
        result = model.fit(x[:200], y[:200], method="lm", grids=grids, start="keep", validation=(x[200:], y[200:]))
        fits.append((model.params.tobytes(), model.predict_std(x).tobytes(), result.weights[0].tobytes()))
    assert len(result.stages) == 2
    assert fits[0] == fits[1]


# --- how it ends --------------------------------------------------------------------------------------------------


def test_the_model_is_at_the_step_that_the_callback_is_told():
    x, y = data()
    model, told = small(), []
    result = model.fit(x, y, **LM, grids=[3, 6], callback=lambda at: told.append((at, model.loss(x, y))))
    assert [at.step for at, _ in told] == list(range(1, result.steps + 1))
    assert all(at.loss == pytest.approx(found, rel=1e-6, abs=1e-18) for at, found in told)
    assert {at.grid for at, _ in told} == {3, 6}
    assert all(math.isnan(at.validation) for at, _ in told)


@pytest.mark.parametrize("stop_at", [1, 4])
def test_stop_iteration_leaves_the_model_at_that_step(stop_at):
    x, y = data()
    model, told = small(), []

    def stop(at: Any) -> None:
        told.append((at, state(model)))
        if at.step == stop_at:
            raise StopIteration

    result = model.fit(x, y, **LM, grids=[3, 6], callback=stop)
    assert (result.status, result.steps, result.best_step, result.success) == ("callback", stop_at, stop_at, True)
    assert state(model) == told[-1][1]
    assert result.loss == told[-1][0].loss == pytest.approx(model.loss(x, y), rel=1e-9)
    assert result.stages[-1].ended == "callback"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_any_other_error_of_a_callback_comes_out_and_the_model_stays_at_that_step(error):
    x, y = data()
    model, kept = small(), []

    def fail(at: Any) -> None:
        kept.append(state(model))
        if at.step == 3:
            raise error

    with pytest.raises(error):
        model.fit(x, y, **LM, grids=[3, 6], callback=fail)
    assert state(model) == kept[-1]
    assert model.fit(x, y, **LM, grids=[3], steps=1).starts == ()


def test_ctrl_c_leaves_the_last_accepted_step():
    x, y = data()
    model, kept = small(), []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press(at: Any) -> None:
        kept.append(state(model))
        if at.step == 5:
            signal.raise_signal(signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, **LM, grids=[3, 6], callback=press)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(kept) == 5
    assert state(model) == kept[-1]


def test_held_out_samples_have_the_last_word_on_noise(monkeypatch):
    """Classes as numbers: a network of 128 coefficients runs through 128 samples, and evidence believes it."""

    def target(x: Any) -> Any:
        return np.sign(x[:, 0] + x[:, 1] + 0.3 * x[:, 2] ** 2)

    floors: list[float] = []
    update = least_squares.Smoothness.update_weights

    def watched(self: Any, problem: Any, c: Any, least_noise: float) -> Any:
        floors.append(least_noise)
        return update(self, problem, c, least_noise)

    monkeypatch.setattr(least_squares.Smoothness, "update_weights", watched)
    errors: dict[bool, list[float]] = {True: [], False: []}
    held = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x, fresh = rng.uniform(-1, 1, (150, 6)), rng.uniform(-1, 1, (1000, 6))
        for doubting, factor in ((True, 3.0), (False, np.inf)):
            monkeypatch.setattr(climbs, "_CONTRADICTED", factor)
            told: list[Any] = []
            model = KAN([6, 2, 1], seed=seed)
            result = model.fit(x, target(x), callback=told.append)
            assert sorted({state.stage for state in told}) == list(range(len(result.stages)))
            errors[doubting].append(rms(model(fresh), target(fresh)))
            floor = floors[-1] * np.std(target(x))
            assert result.noise >= 0.999999 * floor
            assert doubting or floor == 0.0
            held += floor > 0.1
    assert held
    assert np.mean(errors[True]) < 0.75 * np.mean(errors[False])
    assert max(errors[True]) < 0.55


@pytest.mark.parametrize("stop_at", [2, 3, None])
def test_a_second_climb_that_is_no_better_or_cut_short_leaves_the_first(stop_at, monkeypatch):
    x, y = data(100)
    options = {**LM, "grids": [3, 6], "validation": 0.2}
    once, twice = small(), small()
    monkeypatch.setattr(climbs, "_AS_GOOD", 0.0)
    expected = once.fit(x, y, **options)
    monkeypatch.setattr(climbs, "_CONTRADICTED", 0.0)
    monkeypatch.setattr(climbs, "_POOR", 0.0)

    def stop(at: Any) -> None:
        if at.stage == stop_at:
            raise StopIteration

    result = twice.fit(x, y, **options, callback=stop)
    assert [stage.grid for stage in result.stages][:2] == [stage.grid for stage in expected.stages] == [3, 6]
    assert len(result.stages) == {2: 3, 3: 4, None: 4}[stop_at]
    assert state(twice) == state(once)
    for name in ("loss", "validation_loss", "noise", "freedom", "gcv"):
        assert getattr(result, name) == getattr(expected, name)


def test_a_second_climb_that_overflows_is_no_failure_of_the_fit(monkeypatch):
    x, y = data(100)
    options = {**LM, "grids": [3, 6], "validation": 0.2}
    once, twice = small(), small()
    once.fit(x, y, **options)
    monkeypatch.setattr(climbs, "_CONTRADICTED", 0.0)
    monkeypatch.setattr(climbs, "_POOR", 0.0)
    begin = least_squares.LeastSquaresStages.begin_stage

    def overflow(self: Any, grid: int) -> None:
        if self._session.stage == 3:
            raise NotFiniteError("the parameters")
        begin(self, grid)

    monkeypatch.setattr(least_squares.LeastSquaresStages, "begin_stage", overflow)
    result = twice.fit(x, y, **options)
    assert len(result.stages) == 4
    assert result.success
    assert result.status == "finished"
    assert state(twice) == state(once)


def test_a_time_limit_is_looked_at_before_every_step(monkeypatch):
    x, y = data()
    model = small()
    clock = wind(monkeypatch)

    def wait(at: Any) -> None:
        clock.sleep(0.4 if at.step == 2 else 0)

    result = model.fit(x, y, **LM, grids=[3, 6], time_limit=0.35, callback=wait)
    assert (result.status, result.success, result.steps) == ("time limit", True, 2)
    assert "0.35 s" in result.message
    assert result.stages[-1].ended == "time limit"
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-9)


def test_a_time_limit_that_ends_the_starts_leaves_the_model_as_it_was(monkeypatch):
    monkeypatch.setattr(starts, "_ACCEPTED", 0.0)
    monkeypatch.setattr(starts, "_N_AGREEING", 10**9)
    x, y = data(noise=1.0)
    model = small()
    before = state(model)
    clock = wind(monkeypatch, tick=1e-3)
    result = model.fit(x, y, **LM, grids=[3], restarts=10**6, time_limit=0.2)
    assert clock.looks < 220
    assert (result.status, result.success, result.steps) == ("time limit", True, 0)
    assert state(model) == before
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-12)


@pytest.mark.parametrize("start", ["keep", "redraw"])
def test_parameters_that_are_not_numbers_are_told_and_left(start):
    x, y = data()
    model = small()
    model.act_fun[0].coef[0, 0, 0] = np.nan
    before = state(model)
    result = model.fit(x, y, **LM, grids=[3], start=start)
    if start == "keep":
        assert (result.status, result.success) == ("non-finite", False)
        assert "NaN or infinity after step 0, beginning in" in result.message
        assert "The model is as it was." in result.message
        assert math.isnan(result.loss)
        assert state(model) == before


def test_a_base_function_that_is_infinite_is_told():
    x, y = data()
    model = small(base_fun=(lambda x: np.where(x > 0.5, np.inf, x), np.ones_like), sb_trainable=False)
    before = state(model)
    result = model.fit(x, y, **LM, grids=[3])
    assert (result.status, result.success) == ("non-finite", False)
    assert "beginning in" in result.message
    assert state(model) == before


def test_validation_samples_that_give_nan_do_not_judge_in_silence():
    x, y = data()
    model = small(base_fun=(lambda x: np.where(abs(x) < 2, x, np.nan), np.ones_like), sb_trainable=False)
    result = model.fit(x, y, method="lm", grids=[3], start="keep", validation=(x * 3, y))
    assert result.status == "non-finite"
    assert result.message.startswith("The validation loss was NaN or infinite throughout, beginning in the outputs")


# --- the same again -----------------------------------------------------------------------------------------------


def test_the_same_random_state_gives_the_same_bits_and_another_does_not():
    x, y = data(noise=0.1)

    def fitted(random_state: Any) -> tuple[bytes, Any]:
        model = small()
        result = model.fit(x, y, steps=6, random_state=random_state)
        return state(model), (result.loss, result.noise, result.starts)

    assert fitted(3) == fitted(3) == fitted(np.random.default_rng(3))
    assert fitted(3) != fitted(4)
    assert fitted(None) != fitted(None)


def test_no_global_random_state_is_touched_and_no_sample_written_to():
    x, y = data(noise=0.1)
    kept = x.copy(), y.copy()
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    small().fit(x, y, steps=5)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_no_more_starts_are_tried_than_was_said():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (100, 2)), rng.standard_normal(100)
    for restarts in (1, 2):
        result = KAN([2, 2, 1], seed=0).fit(x, y, **{**QUICK, "restarts": restarts})
        assert len(result.starts) == restarts
        assert all(0 < start < 2 for start in result.starts)


# --- bad arguments ------------------------------------------------------------------------------------------------

X, Y = data(20)

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"start": "fresh"}, ValueError, r"`start` must be one of 'auto', 'keep', 'redraw', not 'fresh'"),
    ({"start": None}, TypeError, r"`start` must be one of 'auto', 'keep', 'redraw', not None"),
    ({"restarts": 0}, ValueError, r"`restarts` must be at least 1, not 0"),
    ({"restarts": "many"}, ValueError, r"`restarts` must .*'auto'.*, not 'many'"),
    ({"restarts": 1.5}, TypeError, r"`restarts` must .*integer.*, not 1\.5"),
    ({"restarts": True}, TypeError, r"`restarts` must .*integer.*, not True"),
    ({"penalty": "evidence"}, ValueError, r"`penalty` must .*'auto'.*, not 'evidence'"),
    ({"penalty": -1e-3}, ValueError, r"`penalty` must be at least 0, not -0\.001"),
    ({"penalty": math.nan}, ValueError, r"`penalty` must be at least 0, not nan"),
    ({"penalty": [1.0]}, TypeError, r"`penalty` must be a real number.*, not \[1\.0\]"),
    ({"lamb": 0.1}, ValueError, r"`method` must not be 'lm' with `lamb`: use 'lbfgs'"),
    ({"batch_size": 10}, ValueError, r"`batch_size` must be None for method 'lm', not 10: use 'adam'"),
    ({"steps": -1}, ValueError, r"`steps` must be at least 0, not -1"),
    ({"grids": []}, ValueError, r"`grids` must have at least one entry, not 0"),
    ({"grids": [20_000]}, ValueError, r"'lm' for 60009 coefficients \(grid 20000\), .* take 28808640648 bytes: use"),
]


@pytest.mark.parametrize(
    ("bad", "error", "text"), BAD, ids=lambda value: ",".join(value) if type(value) is dict else ""
)
def test_an_argument_that_is_not_as_said_is_one_sentence_and_changes_nothing(bad, error, text):
    model = small()
    before = state(model)
    with pytest.raises(error, match=text) as caught:
        model.fit(X, Y, **{"method": "lm", **bad})
    assert str(caught.value).startswith("Argument `")
    assert str(caught.value).endswith((".", "'?"))
    assert state(model) == before


def test_a_loss_without_a_curvature_is_no_sum_of_squares():
    loss = (
        lambda prediction, target: abs(prediction - target),
        lambda prediction, target: np.sign(prediction - target),
    )
    with pytest.raises(ValueError, match=r"`loss` must have a curvature for the method 'lm'"):
        KAN([2, 1], seed=0).fit(X, Y, method="lm", loss=loss)


def test_too_many_coefficients_are_refused_with_their_bytes_and_left_to_others_by_default():
    wide = KAN([2, 200, 200, 1], grid=1, k=1, seed=0)
    with pytest.raises(ValueError, match=r"for 81200 coefficients .*, whose normal equations take 52747520000 bytes"):
        wide.fit(X, Y, method="lm", grids=None)
    result = wide.fit(X, Y, time_limit=0.0)
    assert not result.chosen["method"].startswith("lm")


def test_going_on_from_a_good_fit_does_not_flatten_it():
    # more coefficients than half the targets: the first weights of a fit that begins anew would be strong
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 3))
    truth = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)
    y = truth + 0.1 * rng.normal(size=300)
    model = KAN([3, 1, 1], seed=0)
    model.fit(x, y, grids=[5], validation=None)
    model = model.refine(48)
    before = model.loss(x, truth)
    result = model.fit(x, y, start="keep", grids=None)
    assert model.loss(x, truth) < 2 * before + 1e-4
    assert result.noise == pytest.approx(0.1, rel=0.15)
