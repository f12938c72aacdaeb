"""Inputs and hidden nodes that are constant in training: what a fit says of them, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numkan
from numkan import KAN
from numkan.model.targets import targets
from numkan.train.samples import Samples, split

pytestmark = pytest.mark.jit  # in plain Python normal equations take minutes

METHODS = ["lm", "lbfgs", "adam"]
TANH = (np.tanh, lambda x: 1 - np.tanh(x) ** 2)


def data(n: int = 40, value: float = 3.0, seed: int = 0) -> tuple[Any, Any]:
    """Samples of three inputs, of which the second is constant."""
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    x[:, 1] = value
    return x, np.sin(3 * x[:, 0]) + x[:, 2] ** 2


def quick(method: str, **options: Any) -> dict[str, Any]:
    return {"method": method, "steps": 5, **({"restarts": 2} if method == "lm" else {}), **options}


def changed(x: Any, to: float, column: int = 1) -> Any:
    other = x.copy()
    other[:, column] = to
    return other


# --- a model that begins anew -------------------------------------------------------------------------------------


@settings(max_examples=16)
@given(
    st.sampled_from(METHODS),
    st.sampled_from([[3, 1], [3, 2, 2]]),
    st.sampled_from(["f4", "f8"]),
    st.sampled_from(["silu", "identity", "zero", TANH]),
    st.sampled_from(["continue", "fade", "linear", "clamp"]),
    st.sampled_from([0.0, 0.25, 3.0, -1e6]),
    st.booleans(),
    st.booleans(),
)
def test_outputs_do_not_depend_on_a_constant_column_to_the_bit(
    method, width, dtype, base_fun, policy, value, penalised, update_grid
):
    x, y = data(value=value)
    y = 100.0 + 10.0 * np.repeat(y[:, None], width[-1], axis=1)
    model = KAN(width, seed=0, dtype=dtype, base_fun=base_fun, extrapolate=policy)
    lamb = 1e-3 * (penalised and method != "lm")
    assert model.fit(x, y, **quick(method, lamb=lamb, update_grid=update_grid)).success
    before = model(x)
    for to in (value + 1e-3, value + 1.0, -1e5, 0.0):
        np.testing.assert_array_equal(model(changed(x, to)), before)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_column_takes_little_from_the_fit(method):
    x, y = data(n=100)
    with_it, without = KAN([3, 2, 1], seed=0), KAN([2, 2, 1], seed=0)
    with_it.fit(x, y, method=method, steps=100)
    without.fit(x[:, [0, 2]], y, method=method, steps=100)
    lost = [np.sqrt(model.loss(inputs, y)) for model, inputs in ((with_it, x), (without, x[:, [0, 2]]))]
    assert lost[0] < 2 * lost[1] + 1e-3
    assert lost[0] < 0.2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("width", [[1, 1], [2, 1], [2, 2, 1]])
def test_where_all_columns_are_constant_the_model_is_the_mean(method, width):
    x, y = np.full((50, width[0]), 3.0), 5 + np.random.default_rng(0).standard_normal(50)
    model = KAN(width, seed=0)
    result = model.fit(x, y, method=method)
    assert result.success
    assert result.loss == pytest.approx(model.loss(x, y), rel=1e-12)
    np.testing.assert_allclose(model(x), y.mean(), atol=0.1)
    np.testing.assert_allclose(model(changed(x, 40.0, 0)), model(x), rtol=1e-10)  # 1850 grids away


@pytest.mark.parametrize("method", METHODS)
def test_a_hidden_node_of_constant_columns_is_constant(method):
    x, y = data()
    model = KAN([3, 2, 1], seed=0)
    model.act_fun[0].mask[[0, 2], 0] = 0
    model.fit(x, y, **quick(method, start="redraw"))
    if method == "lm":  # the others go on where masks were written into
        np.testing.assert_array_equal(model(changed(x, 5.0)), model(x))
        assert np.ptp(model.act_fun[0](x)[:, 0]) == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_base_scale_that_is_not_trained_goes_on_as_the_user_has_given_it(method):
    x, y = data()
    model = KAN([3, 1], seed=0, base_fun="identity", sb_trainable=False)
    scale = model.act_fun[0].scale_base[1, 0]
    model.fit(x, y, **quick(method))
    np.testing.assert_allclose(model(changed(x, 5.0)) - model(x), 2.0 * scale, rtol=1e-9)


def test_rows_without_weight_tell_nothing_of_a_column():
    x, y = data(n=60)
    x[:20, 1] = 7.0
    model = KAN([3, 2, 1], seed=0)
    model.fit(x, y, **quick("lm", sample_weight=np.repeat([0.0, 1.0], [20, 40])))
    np.testing.assert_array_equal(model(changed(x, 5.0)), model(changed(x, 3.0)))


def test_search_s_model_does_not_depend_on_a_constant_column():
    x, y = data(n=100)
    model, _ = numkan.search(x, y, widths=[[3, 1], [3, 1, 1]], time_limit=60)
    np.testing.assert_array_equal(model(changed(x, 4.0)), model(x))
    assert np.sqrt(model.loss(x, y)) < 1e-2


# --- a model that goes on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("update_grid", [True, False])
def test_a_model_that_goes_on_keeps_the_curve_of_a_column_that_is_constant_now(method, update_grid):
    x = np.random.default_rng(0).uniform(-1, 1, (80, 2))
    model = KAN([2, 2, 1], seed=0)
    model.fit(x, np.sin(3 * x[:, 0]) + x[:, 1] ** 2, **quick(method))

    def curves() -> Any:
        layer = model.copy().act_fun[0]
        layer.mask[0] = 0
        return layer(np.linspace(-1, 1, 50)[:, None] * [0, 1])

    before, first = curves(), model(x)
    now = changed(x, 0.5)
    model.fit(now, np.sin(3 * x[:, 0]) + 0.25 + 0.1 * x[:, 0], **quick(method, update_grid=update_grid))
    np.testing.assert_allclose(curves(), before, atol=1e-12 * np.abs(before).max())
    assert not np.array_equal(model(x), first)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_constant_is_learned_where_it_changes_in_a_later_fit(method):
    x, y = data(n=100)
    model = KAN([3, 2, 1], seed=0)
    model.fit(x, y, method=method, steps=30)
    x[:, 1] = np.random.default_rng(1).uniform(-1, 1, 100)
    y += x[:, 1]
    model.fit(x, y, method=method, steps=100)
    assert model.loss(x, y) < 0.2 * np.var(y)  # a third of which is the column's


# --- a category that few samples have -----------------------------------------------------------------------------


def test_the_only_rows_that_tell_a_column_from_a_constant_are_not_held_out():
    x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    x[:, 1] = 0.0
    held = np.random.default_rng(5).permutation(200)[:30]
    x[held[:3], 1] = 1.0
    samples = Samples(x, targets(np.arange(200), 200, 1, x.dtype, "mse"))
    train, test = split(samples, 0.15, np.random.default_rng(5))
    assert len(test) == 27
    assert train.x[:, 1].sum() == 3
    x[:, 1] = 0.0
    x[held[:16], 1] = 1.0  # most that are drawn: they stay
    train, test = split(Samples(x, samples.goal), 0.15, np.random.default_rng(5))
    assert len(test) == 30
    assert train.x[:, 1].sum() == 0


def test_a_category_of_three_samples_is_learned_though_chance_holds_them_out():
    x = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    x[:, 2] = 0.0
    x[np.random.default_rng(0).permutation(200)[:3], 2] = 1.0
    model = KAN([3, 2, 1], seed=0)
    model.fit(x, np.sin(3 * x[:, 0]) + x[:, 1] ** 2 + 2 * x[:, 2])
    fresh = np.random.default_rng(1).uniform(-1, 1, (200, 3))
    fresh[:, 2] = fresh[:, 2] > 0
    truth = np.sin(3 * fresh[:, 0]) + fresh[:, 1] ** 2 + 2 * fresh[:, 2]
    assert np.sqrt(np.mean((model(fresh)[:, 0] - truth) ** 2)) < 0.02
