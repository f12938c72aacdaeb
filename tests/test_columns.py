"""The column form of networks: when it is taken, and that it is the function that the other form is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan._lanes import has_lookups
from numkan.layer.columns import BLOCK
from numkan.model.evaluate import forward
from numkan.model.losses import targets
from tests.merged_cases import DEGREES, FLOATS, check_form, check_single, form_of, model_of, plan_of

pytestmark = pytest.mark.skipif(not has_lookups(), reason="the host has no look-ups")


@pytest.mark.parametrize(("k", "dtype"), DEGREES, ids=lambda value: str(getattr(value, "__name__", value)))
def test_both_forms_are_one_function_for_every_degree(k: int, dtype: type) -> None:
    model = model_of([3, 5, 2] if k else [3, 5], [4, 2] if k else 4, k, dtype=dtype)
    rng = np.random.default_rng(1)
    x = rng.uniform(-1.5, 1.5, (BLOCK + 3, 3)).astype(dtype)
    check_form(model, x, rng.normal(size=(len(x), model.n_out)))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("grid", [1, 12, 20, 28])
def test_both_forms_are_one_function_for_tables_of_every_size(grid: int, dtype: type) -> None:
    model = model_of([2, 6, 1], grid, dtype=dtype)
    assert form_of(model) == ("column" if grid <= 12 or dtype == np.float32 else "direct")
    rng = np.random.default_rng(grid)
    x = rng.uniform(-1.2, 1.2, (37, 2)).astype(dtype)
    check_form(model, x, rng.normal(size=37), weight=rng.uniform(0, 1, 37))


@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
@pytest.mark.parametrize("base", ["silu", "identity", "zero"])
def test_both_forms_are_one_function_for_every_policy_and_base(policy: str, base: str) -> None:
    model = model_of([2, 3, 3], 3, 2, extrapolate=policy, base_fun=base)
    x = np.random.default_rng(3).uniform(-3, 3, (20, 2))
    check_form(model, x, np.arange(20) % 3, "cross_entropy")


@pytest.mark.parametrize("n_out", [1, 5])
def test_masked_edges_have_a_gradient_of_zero_where_others_have_none(n_out: int) -> None:
    model = model_of([3, n_out], 4)
    model.act_fun[0].mask[1, -1] = 0
    x = np.full((4, 3), np.nan)
    columns = model._merged()
    assert columns is not None
    _, grad = columns.loss_and_grad(x, targets(np.zeros((4, n_out)), 4, n_out, model.dtype, "mse"))
    for part in model.unravel(grad)[0].values():
        assert (part[model.act_fun[0].mask == 0] == 0).all()
        assert np.isnan(part[model.act_fun[0].mask != 0]).any(axis=-1).all()


def test_a_model_whose_numbers_grids_or_policy_change_is_packed_anew() -> None:
    model, x = KAN([2, 3, 1], grid=3), np.random.default_rng(5).uniform(-1, 1, (6, 2))
    plan = plan_of(model)
    before = model(x)
    model.act_fun[1].coef[...] += 1
    assert plan_of(model) is plan  # which does not depend on it
    moved = model(x)
    assert (moved != before).all()
    model.act_fun[0].grid = model.act_fun[0].grid * 1.5
    assert plan_of(model) is not plan
    assert (model(x) != moved).any()
    np.testing.assert_allclose(model(x), forward(model._pack(), x), rtol=1e-12)
    model.act_fun[0].extrapolate = "nan"
    assert model._merged() is None


@pytest.mark.parametrize(
    ("width", "grid", "k", "options"),
    [
        ([64, 64, 64], 5, 3, {}),  # tables beyond the cache
        ([2, 3, 1], 5, [2, 3], {}),  # two degrees
        ([2, 3, 1], 5, 0, {}),  # edges that jump: a rounding between layers would count
        ([2, 3, 1], 5, 3, {"extrapolate": "raise"}),
        ([2, 3, 1], 5, 3, {"base_fun": (np.tanh, lambda x: 1 / np.cosh(x) ** 2)}),
    ],
    ids=["wide", "degrees", "jumps", "raise", "base"],
)
def test_networks_that_no_merged_form_suits_are_summed_over_functions(
    width: list[int], grid: int, k: Any, options: Any
) -> None:
    model = KAN(width, grid=grid, k=k, **options)
    assert model._merged() is None
    assert model(np.zeros((2, width[0]))).shape == (2, width[-1])


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_samples_enough_for_many_pieces_sum_to_the_same_gradient(dtype: type) -> None:
    model = model_of([4, 8, 8, 1], 5, dtype=dtype)
    assert form_of(model) == "column"
    rng = np.random.default_rng(6)
    x = rng.uniform(-1, 1, (60_001, 4)).astype(dtype)
    check_form(model, x, rng.normal(size=len(x)))


def test_what_was_found_of_numbers_that_another_thread_replaced_is_found_again() -> None:
    model = model_of([2, 5, 1], 4)
    model._planned = ([layer.pieces for layer in model.act_fun], model.params, None)
    columns = model._merged()
    assert columns is not None
    assert model._merged() is columns


# --- one sample ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "dtype"), DEGREES, ids=lambda value: str(getattr(value, "__name__", value)))
def test_one_sample_has_the_same_bits_for_every_degree(k: int, dtype: type) -> None:
    rng = np.random.default_rng(k)
    for width in ([2, 16, 17, 1], [3, 5, 4], [17, 9, 33], [1, 1]):
        model = model_of(width if k else [width[0], width[-1]], 4, k, seed=k, dtype=dtype)
        for row in rng.uniform(-1.5, 1.5, (4, width[0])):
            check_single(model, row, rng.normal(size=(1, width[-1])), weight=rng.uniform(0.1, 2, 1))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("grid", [1, 12, 20])
def test_one_sample_has_the_same_bits_for_tables_of_every_size(grid: int, dtype: type) -> None:
    model = model_of([2, 6, 1], grid, dtype=dtype)
    for row in np.random.default_rng(grid).uniform(-1.2, 1.2, (20, 2)):
        check_single(model, row, [0.5])


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
def test_one_sample_has_the_same_bits_for_every_policy_base_and_loss(policy: str, dtype: type) -> None:
    far = float(np.finfo(dtype).max)
    rows = [[0.2, 0.3], [-3, 3], [np.nan, 0.3], [0.2, np.inf], [-np.inf, 0.1], [far, -far], [0, -0.0], [1e-30, 1]]
    for base in ("silu", "identity", "zero"):
        for trained in ((True, True), (True, False), (False, True), (False, False)):
            options = {"sb_trainable": trained[0], "sp_trainable": trained[1], "extrapolate": policy, "base_fun": base}
            model = model_of([2, 5, 3], 3, dtype=dtype, **options)
            for row in rows:
                check_single(model, row, [[0.1, -2.0, 0.0]], weight=[0.3])
                check_single(model, row, [2], "cross_entropy")
