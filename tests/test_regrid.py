"""numkan.model.regrid: the grids of a network."""

from __future__ import annotations

import numpy as np
import pytest

from numkan import KAN
from numkan.conformance.law import assert_identical, assert_within
from numkan.model.layer_outputs import layer_outputs
from numkan.spline import extend_grid
from tests.small_networks import FLOATS, points, small, state
from tests.test_layer_grid import TUTORIAL_ADAPTIVE, TUTORIAL_UNIFORM

# --- grids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_the_tutorials_cells_print_the_tutorials_grids(dtype: type) -> None:
    for end, outer in ((10, 22.0), (0.5, 1.1)):
        model = KAN(width=[1, 1], grid=5, k=3, dtype=dtype)
        np.testing.assert_allclose(model.act_fun[0].grid[0], np.linspace(-2.2, 2.2, 12), rtol=0, atol=5e-5)
        model.update_grid_from_samples(np.linspace(-end, end, 1001)[:, None])
        grid = model.act_fun[0].grid
        assert grid.dtype == dtype
        np.testing.assert_allclose(grid[0], np.linspace(-outer, outer, 12), rtol=0, atol=5e-5)


@pytest.mark.parametrize(("grid_eps", "printed"), [(1.0, TUTORIAL_UNIFORM), (0.0, TUTORIAL_ADAPTIVE)])
def test_the_tutorials_normal_samples_give_the_grids_it_prints(grid_eps: float, printed: list[float]) -> None:
    # five samples that have the order statistics of its knots stand for the tutorial's, whose generator is not ours
    x = np.repeat(TUTORIAL_ADAPTIVE[3:8], 10)
    x[-1] = TUTORIAL_ADAPTIVE[8]
    model = KAN(width=[1, 1], grid=5, k=3, grid_eps=grid_eps)
    model.update_grid_from_samples(x[::-1, None])
    np.testing.assert_allclose(model.act_fun[0].grid[0], printed, rtol=0, atol=1.01e-4)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_layers_are_updated_front_to_back_on_activations_recomputed(dtype: type) -> None:
    model, x = small(dtype=dtype, noise_scale=3), points(40, dtype=dtype, reach=3)
    old, alone, a = model.copy(), model.copy(), x
    model.update_grid_from_samples(x)
    for layer, updated in zip(alone.act_fun, model.act_fun, strict=True):
        layer.update_grid_from_samples(a)
        assert_identical(updated.grid, layer.grid)
        assert_identical(updated.coef, layer.coef)
        for name in ("scale_base", "scale_sp", "mask"):
            assert_identical(getattr(updated, name), getattr(layer, name))
        a = layer_outputs(layer, a)
    inputs = model.activations(x)
    for layer, a in zip(model.act_fun, inputs[:-1], strict=True):
        assert_identical(layer.grid[:, layer.k], a.min(axis=0))
        assert_identical(layer.grid[:, -1 - layer.k], a.max(axis=0))
    assert (inputs[1] != old.activations(x)[1]).any(), "so the order matters here"


def test_a_margin_widens_every_layer() -> None:
    model, x = small(), points(40)
    model.update_grid_from_samples(x, margin=0.25)
    for layer, a in zip(model.act_fun, model.activations(x)[:-1], strict=True):
        length = np.ptp(a, axis=0)
        np.testing.assert_allclose(layer.grid[:, 3], a.min(axis=0) - 0.25 * length, rtol=1e-13)
        np.testing.assert_allclose(layer.grid[:, -4], a.max(axis=0) + 0.25 * length, rtol=1e-13)


def test_an_update_keeps_the_function_that_the_new_knots_can_represent() -> None:
    model = small()
    for layer in model.act_fun:  # one polynomial on the domain, which "continue" and any knots keep
        layer.grid = np.repeat(extend_grid(np.linspace(-9, 9, 5)[None], 3), layer.n_in, axis=0)
        layer.coef = np.broadcast_to(np.arange(7.0) / 10, layer.coef.shape)
    x = points(60)
    before = model(x)
    model.update_grid_from_samples(x)
    assert_within(model(x), before, 1e-12 * abs(before).max())


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_samples_than_intervals_update_all_layers(n: int) -> None:
    model, x = small(grid_eps=0.5), points(n)
    before = model(x)
    model.update_grid_from_samples(x)
    for layer in model.act_fun:
        assert (np.diff(layer.grid) > 0).all()
    assert_within(model(x), before, 1e-9)


def test_a_failing_update_leaves_every_layer_as_it_was() -> None:
    x, far = points(20), points(20)
    far[3, 1] = np.nan

    def at(model: KAN, depth: int, name: str, value: float) -> KAN:
        getattr(model.act_fun[depth], name)[0, 0] = value
        return model

    for model, samples, message in (
        (small(), far, r"^Argument `x` must be finite, not with 1 NaN.*\(nan\) at \(3, 1\)\.$"),
        (at(small(), 0, "scale_base", np.inf), x, r"^Argument `activations\[1\]` must be finite, not with 20 NaN"),
        (at(small(), 1, "coef", np.nan), x, r"^Argument `act_fun\[1\]\.coef` must be finite, not with 7 NaN"),
    ):
        before = state(model)
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
            model.update_grid_from_samples(samples)
        assert state(model) == before
        with (
            np.errstate(all="ignore"),
            pytest.raises(ValueError, match=message.replace("act_fun", r"parent\.act_fun", 1)),
        ):
            small(grid=8).initialize_grid_from_parent(model, samples)
        assert state(model) == before


@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp", "nan", "raise"])
def test_grids_can_be_laid_over_samples_outside_whatever_the_policy(policy: str) -> None:
    model = small(extrapolate=policy)
    x = points(30, reach=2)
    model.update_grid_from_samples(x)
    assert np.isfinite(model(x)).all()
    for cover in model.coverage(x):
        assert not cover.outside.any()


def test_coverage_counts_by_layer_and_input() -> None:
    model = small()
    x = np.array([[-1.0, 0.9], [0.4, 1.1], [1.0, -1.5], [0.2, 0.0]])
    first, second = model.coverage(x)
    np.testing.assert_array_equal(first.outside, [0, 0.5])
    np.testing.assert_array_equal(first.empty_spans, [1, 2])  # spans end at -1, -0.5, 0, 0.5, 1
    hidden = model.activations(x)[1]
    np.testing.assert_array_equal(second.outside, (abs(hidden) > 1).mean(axis=0))


# --- refinement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["continue", "linear", "clamp"])
def test_on_nested_grids_a_refined_model_is_the_same_function(policy: str) -> None:
    model = small(extrapolate=policy, noise_scale=3, grid_eps=0.5)
    x = points(50, reach=1.5)
    model.update_grid_from_samples(x)
    model.act_fun[0].mask[0, 0] = 0
    before, views = state(model), [layer.coef for layer in model.act_fun]
    finer = model.refine(12)
    assert (type(finer), finer.grid, finer.k, finer.width) == (KAN, [12, 12], [3, 3], [2, 3, 2])
    at = points(90, reach=2)  # outside the grids too: there the end polynomials go on
    assert_within(finer(at), model(at), 1e-12 * (1 + abs(model(at)).max()))
    assert_within(finer.derivative(at), model.derivative(at), 1e-11 * (1 + abs(model.derivative(at)).max()))
    assert [layer.grid_eps for layer in finer.act_fun] == [0.5, 0.5]
    assert_identical(finer.act_fun[0].mask, model.act_fun[0].mask)
    finer.params = 0 * finer.params
    finer.act_fun[0].mask[...] = 0
    assert state(model) == before
    assert all(layer.coef is view and view.flags.writeable for layer, view in zip(model.act_fun, views, strict=True))


def test_each_layer_may_have_its_own_new_grid_coarser_or_the_same() -> None:
    model = small()
    for layer in model.act_fun:  # a quadratic on wide knots, which every grid can represent
        layer.grid = np.repeat(extend_grid(np.linspace(-9, 9, 5)[None], 3), layer.n_in, axis=0)
        layer.coef = np.broadcast_to(np.arange(7.0) ** 2 / 10, layer.coef.shape)
    x = points(20)
    for grid, want in ((2, [2, 2]), ([6, 3], [6, 3]), ((4, 8), [4, 8]), (np.array([1, 4]), [1, 4])):
        other = model.refine(grid)
        assert other.grid == want
        assert_within(other(x), model(x), 1e-11 * abs(model(x)).max())


def test_a_coarser_model_is_close() -> None:
    model = small(grid=8)
    for layer in model.act_fun:
        layer.coef = np.sin(np.arange(11.0) / 3) * np.ones((layer.n_in, layer.n_out, 1))
    x = points(50, reach=0.9)
    coarse = model.refine(4)
    assert 0 < abs(coarse(x) - model(x)).max() < 0.02 * np.ptp(model(x))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_a_child_takes_over_the_splines_of_its_parent(dtype: type) -> None:
    parent, child = small(noise_scale=3, dtype=dtype), small(grid=8, seed=9, dtype=dtype)
    x = points(60, dtype=dtype)
    parent.update_grid_from_samples(x)
    for layer, of in zip(child.act_fun, parent.act_fun, strict=True):
        layer.scale_base, layer.scale_sp = of.scale_base, of.scale_sp  # the scales stay behind, as in pykan
    before, view = state(parent), child.act_fun[0].coef
    child.initialize_grid_from_parent(parent, x)
    assert state(parent) == before
    assert child.act_fun[0].coef is view
    assert_within(child(x), parent(x), 1e4 * np.finfo(dtype).eps)
    for layer, of in zip(child.act_fun, parent.act_fun, strict=True):
        assert_identical(layer.grid[:, 3:-3:2], of.grid[:, 3:-3])


def test_a_childs_own_samples_are_not_rounded_to_the_parents_dtype() -> None:
    parent, x = small(dtype=np.float32), points(60)
    child, other = small(grid=8), small(grid=8)
    child.initialize_grid_from_parent(parent, x)
    other.act_fun[0].initialize_grid_from_parent(parent.act_fun[0], x)
    assert_identical(child.act_fun[0].coef, other.act_fun[0].coef)
