"""L-BFGS and Adam work in units of their own: whatever the targets' size, the same bits times a power of two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

from numkan import KAN
from numkan.model.regularization import Penalties, objective_and_grad, penalized
from numkan.train import FitStatus
from numkan.train.samples import check_samples
from numkan.train.scale import Scale
from numkan.train.start import first_grids
from numkan.train.verdict import fault

METHODS = ["lbfgs", "adam"]
#: Exponents of factors on the targets that change no bit.
MOST = {np.float32: 60, np.float64: 400}


def data(dtype: Any = np.float64, n: int = 30) -> tuple[Any, Any]:
    x = np.random.default_rng(0).uniform(-1, 1, (n, 2)).astype(dtype)
    return x, (np.sin(3 * x[:, 0]) + x[:, 1] ** 2).astype(dtype)


def small(**options: Any) -> KAN:
    return KAN([2, 2, 1], **{"grid": 3, "seed": 0, **options})


def options_of(method: str, **options: Any) -> dict[str, Any]:
    batch = {"batch_size": 10} if method == "adam" else {}
    return {"method": method, "steps": 6, "grids": [3, 5], "validation": 0.2, **batch, **options}


@given(
    method=st.sampled_from(METHODS),
    dtype=st.sampled_from([np.float32, np.float64]),
    share=st.floats(-1, 1),
    weighted=st.booleans(),
    offset=st.sampled_from([0.0, 5.0]),
)
@settings(max_examples=3 if config.DISABLE_JIT else 12, deadline=None)
def test_targets_times_a_power_of_two_give_the_same_bits_times_it(method, dtype, share, weighted, offset):
    m = round(share * MOST[dtype])
    x, y = data(dtype)
    y += dtype(offset)
    weight = np.linspace(0, 1, len(x)) if weighted else None
    one, other = small(dtype=dtype), small(dtype=dtype)
    first = one.fit(x, y, sample_weight=weight, **options_of(method))
    second = other.fit(x, np.ldexp(y, m), sample_weight=weight, **options_of(method))
    assert first.success
    assert second.success
    np.testing.assert_array_equal(np.ldexp(one(x), m), other(x))
    for name in ("train", "objective", "validation"):
        np.testing.assert_array_equal(np.ldexp(getattr(first.history, name), 2 * m), getattr(second.history, name))
    assert math.ldexp(first.loss, 2 * m) == second.loss
    assert [math.ldexp(stage.loss, 2 * m) for stage in first.stages] == [stage.loss for stage in second.stages]


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", METHODS)
def test_any_unit_of_the_targets_is_learned_as_well_as_another(method, dtype):
    x, y = data(dtype)
    sizes = (1e-36, 1e-20, 1e20, 1e36) if dtype == np.float32 else (1e-150, 1e-22, 1e30, 1e150)
    for size in sizes:
        model = small(dtype=dtype)
        result = model.fit(x, y * dtype(size), **options_of(method, steps=60, grids=None, validation=None))
        assert result.success
        assert np.mean((model(x)[:, 0] / dtype(size) - y) ** 2) < 0.3 * np.var(y)


@pytest.mark.parametrize("m", [-300, 300])
@pytest.mark.parametrize("method", METHODS)
def test_callbacks_and_results_are_in_the_units_of_the_caller(method, m):
    x, y = data()
    y = np.ldexp(y, m)
    model, seen = small(), []
    options = options_of(method, batch_size=None, validation=None, callback=seen.append)
    result = model.fit(x, y, **options)
    assert len(seen) == result.steps
    assert result.loss == model.loss(x, y) == result.stages[-1].loss
    told: list[float] = []

    def compare(state: Any) -> None:
        told.append(state.loss / model.loss(x, y) - 1)

    model.fit(x, y, **{**options, "callback": compare})
    assert np.abs(told).max() < 1e-12


@pytest.mark.parametrize("m", [-200, -30, 0, 30, 200])
@pytest.mark.parametrize("options", [{}, {"sp_trainable": False, "sb_trainable": False}], ids=["free", "fixed"])
def test_a_model_that_goes_on_is_bit_for_bit_what_it_was_in_units_of_any_targets(m, options):
    x, y = data()
    model = small(**options)
    model.fit(x, y, **options_of("lbfgs", grids=None))
    before, params = model(x), model.params
    result = model.fit(x, np.ldexp(y, m), **options_of("lbfgs", steps=0, grids=None, update_grid=False))
    if not m:
        np.testing.assert_array_equal(model.params, params)
        np.testing.assert_array_equal(model(x), before)
    scale = Scale.of(check_samples(model, x, np.ldexp(y, m), "mse", None), Penalties(), drawn=False)
    back = scale.outside(scale.inside(model), model)
    np.testing.assert_array_equal(back(x), model(x))
    np.testing.assert_array_equal(back.params, model.params)
    assert result.steps == 0


@pytest.mark.parametrize("grids", [None, [3, 5]])
@pytest.mark.parametrize("method", METHODS)
def test_scales_that_are_not_trainable_keep_every_bit(method, grids):
    x, y = data()
    model = small(sp_trainable=False, sb_trainable=False)
    before = [(layer.scale_base.copy(), layer.scale_sp.copy()) for layer in model.act_fun]
    model.fit(x, y * 1e-30, **options_of(method, grids=grids))
    for layer, (base, sp) in zip(model.act_fun, before, strict=True):
        np.testing.assert_array_equal(layer.scale_base, base)
        np.testing.assert_array_equal(layer.scale_sp, sp)


@pytest.mark.parametrize("size", [1e-25, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("terms", [{}, {"lamb_coef": 0.5, "lamb_coefdiff": 0.3}], ids=["edges", "coefficients"])
def test_the_objective_is_loss_and_regularization_in_the_units_of_the_caller(size, terms):
    x, y = data()
    model = small()
    penalties = {"lamb": 1e-3 * size, **terms}
    result = model.fit(x, y * size, **options_of("lbfgs", grids=None, validation=None, **penalties))
    there = objective_and_grad(model, x, y * size, Penalties(**penalties))
    assert result.history.objective[-1] == pytest.approx(there.value, rel=1e-12)
    assert result.loss == pytest.approx(there.loss, rel=1e-12)
    assert there.regularization > 0


@pytest.mark.jit
def test_a_regularization_far_larger_than_the_targets_does_not_overflow():
    x, y = data(np.float32)
    for dtype, size in ((np.float32, 1e-25), (np.float64, 1e-300)):
        model = small(dtype=dtype)
        result = model.fit(x, y.astype(dtype) * dtype(size), **options_of("lbfgs", lamb=1.0, validation=None))
        assert np.isfinite(model.params).all()
        assert np.diff(result.history.objective[:5]).max() <= 0
        assert result.history.objective[-1] < 0.5 * result.history.objective[0]


def test_the_gradient_in_other_units_is_that_of_the_objective_in_the_units_of_the_caller():
    x, y = data()
    model = small(seed=3)
    penalties = Penalties(lamb=0.1, lamb_coef=0.5, lamb_coefdiff=0.3)
    samples = check_samples(model, x, y * 1e5, "mse", None)
    scale = Scale.of(samples, penalties, drawn=False)
    inside = scale.samples(samples)
    here = penalized(scale.inside(model), x, inside.goal, scale.penalties(penalties), scale.unit)
    there = penalized(model, x, samples.goal, penalties)
    assert scale.loss(here.value) == pytest.approx(there.value, rel=1e-12)
    factor = scale.params(model, np.ones(model.n_params))
    np.testing.assert_allclose(here.grad * 4.0**scale.outputs / factor, there.grad, rtol=1e-9, atol=1e-12)


def test_outputs_of_next_to_nothing_are_widened_but_rounding_is_not():
    x, y = data()
    samples = check_samples(small(), x, y, "mse", None)
    for first, last, least, most in ((1.0, 1e-12, 0.1, 10.0), (1e-16, 1.0, 0.0, 1e-12)):
        model = small(base_fun="zero")
        model.act_fun[0].coef *= first
        model.act_fun[1].coef *= last
        spread = first_grids(model, samples, np.zeros((2, 2), bool), grids=False)(x).std()
        assert least <= spread < most


# --- no success where numbers leave the dtype's range ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "x_size", "y_size", "status"),
    [
        (np.float64, 1.0, 1e200, FitStatus.RANGE),
        (np.float64, 1e300, 1.0, FitStatus.NONFINITE),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_it_is_no_success_where_numbers_leave_the_range_of_the_dtype(method, dtype, x_size, y_size, status):
    x, y = data()
    model = small(dtype=dtype)
    result = model.fit((x * x_size).astype(dtype), (y * y_size).astype(dtype), **options_of(method))
    assert not result.success
    assert result.status == status
    assert np.isfinite(model.params).all()


def test_a_model_that_explains_nothing_is_a_fault_only_where_numbers_are_of_extreme_size():
    x, y = data(np.float32)
    model = small(dtype=np.float32)
    model.params = np.zeros(model.n_params)
    y -= y.mean()  # as well as the best constant, but for rounding
    for x_size, y_size, status in ((1, 1, None), (1, 1e-38, FitStatus.RANGE), (1e-38, 1, FitStatus.RANGE)):
        samples = check_samples(model, x * np.float32(x_size), y * np.float32(y_size), "mse", None)
        found = fault(model, samples)
        assert (found and found[0]) == status
    model.act_fun[0].coef[0, 0, 0] = np.inf
    assert fault(model, check_samples(model, x, y, "mse", None))[0] == FitStatus.NONFINITE


def test_untrained_models_and_noise_are_no_fault():
    x, _ = data()
    noise = np.random.default_rng(1).normal(size=len(x))
    assert small().fit(x, noise, **options_of("lbfgs", steps=0)).success
    dead = small()
    dead.act_fun[-1].mask = np.zeros((2, 1))
    assert dead.fit(x, noise, **options_of("lbfgs")).success


def test_moments_that_overflow_end_a_fit_and_are_no_error_about_them():
    x, y = data()
    model = small()
    options = {"steps": 40, "grids": None, "learning_rate": 1e60, "batch_size": 10}
    result = model.fit(x, y, method="adam", **options)
    assert result.status in (FitStatus.NONFINITE, FitStatus.FINISHED)
    assert np.isfinite(model(x)).all()


def test_the_unit_is_nearest_to_the_deviation_of_the_targets_that_count():
    x, y = data()
    weight = np.ones(len(x))
    weight[0] = 0
    wild = y.copy()
    wild[0] = 1e300
    model = small()
    for targets, w, unit in (
        (y, None, 1),
        (8 * y + 1e3, None, 8),
        (wild, weight, 1),
        (np.full_like(y, 6.1), None, 0.5),
    ):
        samples = check_samples(model, x, targets, "mse", w)
        assert Scale.of(samples, Penalties(), drawn=True).unit == unit
    assert Scale.of(check_samples(model, x, 0 * y, "mse", None), Penalties(), drawn=True).unit == 1
