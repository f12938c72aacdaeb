"""What second-order training works on: the same function as the network's, on any grids and in any units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.interpolate import BSpline

from numkan import KAN
from numkan.layer.grid import grid_from_samples
from numkan.train.splines import Splines, _points
from tests.network_cases import TANH
from tests.small_networks import patchy


def points(n: int, n_in: int, reach: float = 1.0, seed: int = 3) -> Any:
    return np.random.default_rng(seed).uniform(-reach, reach, (n, n_in))


def outputs(splines: Splines, x: Any) -> Any:
    return splines.activations(x)[-1]


# --- from a network -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixed", [{}, {"sp_trainable": False, "sb_trainable": False}], ids=["free", "fixed"])
@pytest.mark.parametrize(
    "options", [{"k": 3}, {"k": [1, 2]}, {"k": 5, "base_fun": "identity"}, {"base_fun": TANH}], ids=str
)
def test_they_are_the_network_s_function(options, fixed):
    model = patchy([2, 3, 2], grid=[4, 6], **options, **fixed)
    x = points(50, 2, 1.3)
    for own, told in zip(Splines.of(model).activations(x), model.activations(x), strict=True):
        np.testing.assert_allclose(own, told, rtol=1e-11, atol=1e-11)


def test_those_of_a_float32_network_are_float64():
    model = patchy([2, 3, 2], dtype=np.float32)
    splines = Splines.of(model)
    assert all(array.dtype == np.float64 for array in (splines.vector, splines.layers[0].grid, *splines.coefs))
    np.testing.assert_allclose(outputs(splines, points(9, 2)), model(points(9, 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("trainable", [True, False])
def test_without_base_only_trainable_base_functions_are_left_out(trainable):
    model = patchy([2, 3, 1], sb_trainable=trainable)
    x, splines = points(20, 2), Splines.of(model, base=False)
    if trainable:
        for layer in model.act_fun:
            layer.scale_base[...] = 0
    np.testing.assert_allclose(outputs(splines, x), model(x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("trainable", [True, False])
def test_an_edge_of_scale_zero_is_live_only_where_the_scale_may_change(trainable):
    model = patchy([2, 2, 1], sp_trainable=trainable)
    model.act_fun[0].mask[...] = [[1, 1], [1, 0]]
    model.act_fun[0].scale_sp[...] = [[1, 0], [1, 1]]
    splines = Splines.of(model)
    assert splines.layers[0].live.tolist() == [[1, trainable], [1, 0]]
    assert not splines.coefs[0][0, :, 1].any()
    assert not splines.coefs[0][1, :, 1].any()


def test_one_vector_holds_all_coefficients():
    splines = Splines.of(patchy([2, 3, 2], grid=[4, 6]))
    vector = splines.vector
    again = splines.at(vector)
    for mine, theirs in zip(splines.coefs, again.coefs, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    vector[:] = np.nan
    assert np.isfinite(again.vector).all()
    assert np.isfinite(splines.vector).all()
    other = splines.at(np.arange(vector.size))
    assert other.vector.tolist() == list(range(vector.size))
    assert other.coefs[0].shape == (2, 7, 3)


# --- other units --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["continue", "linear", "clamp"])
def test_scaled_outputs_are_the_outputs_scaled_everywhere(policy):
    splines = Splines.of(patchy([2, 3, 2], extrapolate=policy))
    x, shift = points(50, 2, 3.0), np.array([7.0, -300.0])
    want = -2.5 * outputs(splines, x) + shift
    np.testing.assert_allclose(outputs(splines.scaled(-2.5, shift), x), want, rtol=1e-12, atol=1e-11)


def test_scaling_there_and_back_is_nothing():
    splines = Splines.of(patchy([2, 3, 2]))
    x, shift = points(50, 2), np.array([7.0, -3.0])
    again = splines.scaled(0.25, -shift / 4).scaled(4.0, shift)
    np.testing.assert_allclose(outputs(again, x), outputs(splines, x), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(again.layers[-1].base_scale, splines.layers[-1].base_scale, rtol=1e-15)


def test_a_shift_goes_into_live_edges_and_an_output_without_any_keeps_its_own():
    model = patchy([2, 3, 2])
    model.act_fun[1].mask[...] = [[1, 0], [0, 0], [1, 0]]
    splines, x = Splines.of(model), points(20, 2)
    moved = splines.scaled(1.0, np.array([5.0, 5.0]))
    difference = outputs(moved, x) - outputs(splines, x)
    np.testing.assert_allclose(difference, np.broadcast_to([5.0, 0.0], difference.shape), atol=1e-12)
    assert not moved.coefs[1][1].any()
    assert not moved.coefs[1][:, :, 1].any()


# --- other grids --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_where_the_new_knots_hold_the_old_ones_the_function_stays(k, times):
    splines, x = Splines.of(patchy([2, 3, 2], grid=4, k=k)), points(60, 2)
    finer = splines.on_grids(x, [4 * times] * 2, over_samples=False)
    assert [layer.shape[1] for layer in finer.layers] == [4 * times + k] * 2
    # hidden activations may lie outside their grid, where knots are not nested
    np.testing.assert_allclose(finer.activations(x)[1], splines.activations(x)[1], rtol=1e-10, atol=1e-11)
    hidden = splines.layers[1]
    inside = points(60, 3) * 0.5 * (hidden.grid[:, -k - 1] - hidden.grid[:, k]) + 0.5 * (
        hidden.grid[:, -k - 1] + hidden.grid[:, k]
    )
    tops = [Splines(each.layers[1:], each.coefs[1:]) for each in (splines, finer)]
    np.testing.assert_allclose(outputs(tops[1], inside), outputs(tops[0], inside), rtol=1e-10, atol=1e-11)


def test_uneven_grids_are_refined_in_their_own_proportions():
    model = patchy([2, 2, 1], grid=3)
    uneven = np.array(model.act_fun[0].grid)
    uneven[:, 4] += 0.2
    model.act_fun[0].grid = uneven
    splines, x = Splines.of(model), points(60, 2)
    finer = splines.on_grids(x, [6, 3], over_samples=False)
    assert set(splines.layers[0].grid[0, 3:-3]) <= set(finer.layers[0].grid[0, 3:-3])
    np.testing.assert_allclose(finer.activations(x)[1], splines.activations(x)[1], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_elsewhere_it_is_approximated_to_the_order_of_the_splines(k):
    """A smooth curve, taken from a fine grid to coarse ones that share no inner knot with it."""
    fine = Splines.of(KAN([1, 1], grid=509, k=k, base_fun="zero", seed=0))
    at = _points(fine.layers[0].basis)
    t = fine.layers[0].grid[0]
    matrix = BSpline.design_matrix(at[:, 0], t, k).toarray()
    smooth = fine.at(np.linalg.solve(matrix, np.sin(2 * at[:, 0])))
    x = np.linspace(-1, 1, 999)[:, None]
    errors = []
    grids = (6, 12, 24)
    for G in grids:
        coarse = smooth.on_grids(x, [G])
        errors.append(np.abs(outputs(coarse, x) - outputs(smooth, x)).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > k + 0.6).all(), orders
    assert errors[-1] > 1e-12  # or rounding would be what is measured


@pytest.mark.parametrize("k", [0, 1, 2, 3, 5])
def test_the_new_curves_meet_the_old_ones_at_the_greville_abscissae_inside(k):
    splines = Splines.of(patchy([2, 2], grid=7, k=k, base_fun="zero"))
    coarse = splines.on_grids(points(40, 2, 0.9), [4])
    layer = coarse.layers[0]
    at = _points(layer.basis)
    low, high = layer.grid[:, k], layer.grid[:, -k - 1]
    assert at.shape == (4 + k, 2)
    np.testing.assert_allclose(np.clip(at, low, high), at, rtol=1e-15)  # but for rounding
    assert (np.diff(at, axis=0) > 0).all()
    if k:
        np.testing.assert_allclose(at[[0, -1]], [low, high], rtol=1e-14)  # both ends are met
    np.testing.assert_allclose(outputs(coarse, at), outputs(splines, at), rtol=1e-11, atol=1e-12)
    if k > 0:
        between = 0.5 * (at[1:] + at[:-1])
        assert np.abs(outputs(coarse, between) - outputs(splines, between)).max() > 1e-4


@pytest.mark.parametrize("eps", [1.0, 0.3])
def test_grids_lie_over_the_activations_as_the_model_s_own_would(eps):
    splines, x = Splines.of(patchy([2, 3, 1], grid_eps=eps)), points(90, 2) ** 3
    laid = splines.on_grids(x, [6, 4])
    hidden = splines.activations(x)[1]
    np.testing.assert_array_equal(laid.layers[0].grid, grid_from_samples(x, 6, 3, eps))
    np.testing.assert_allclose(laid.layers[1].grid, grid_from_samples(hidden, 4, 3, eps, 0.01))
    assert (laid.layers[1].grid[:, 3] < hidden.min(axis=0)).all()  # room for activations that move
    assert (laid.layers[1].grid[:, -4] > hidden.max(axis=0)).all()


def test_what_else_a_layer_is_stays():
    model = patchy([2, 3, 2], extrapolate="fade", grid_eps=0.5)
    model.act_fun[0].mask[...] = [[1, 0, 1], [0, 0, 1]]
    splines = Splines.of(model)
    laid = splines.on_grids(points(90, 2), [6, 4])
    for old, new in zip(splines.layers, laid.layers, strict=True):
        assert (new.k, new.basis.policy, new.grid_eps) == (old.k, old.basis.policy, old.grid_eps)
        assert new.base == old.base
        np.testing.assert_array_equal(new.live, old.live)
        np.testing.assert_array_equal(new.base_scale, old.base_scale)
    assert not laid.coefs[0].transpose(0, 2, 1)[splines.layers[0].live == 0].any()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e250])
def test_grids_cannot_lie_over_activations_that_are_not_numbers(value):
    splines = Splines.of(patchy([2, 2, 1]))
    splines.coefs[0][0, :, 0] = value
    with pytest.raises(FloatingPointError, match="the activations of layer 1"), np.errstate(invalid="ignore"):
        splines.on_grids(points(9, 2), [5, 5])


# --- and back -----------------------------------------------------------------------------------------------------


def fitted_for_no_step(model: KAN, x: Any, start: str = "keep") -> KAN:
    """Through splines, in the units of some targets, and back into the model."""
    model.fit(x, 1e3 + 50 * x[:, 0], method="lm", start=start, grids=None, steps=0, update_grid=False, validation=None)
    return model


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", ["fixed", "trainable", "zero"])
def test_there_and_back_the_function_stays(scale, dtype):
    model = patchy([2, 3, 1], dtype=dtype, sp_trainable=scale != "fixed", sb_trainable=scale != "fixed")
    if scale == "zero":
        model.act_fun[0].scale_sp[1, :] = 0
    x = points(30, 2, 0.9)
    before, masks = model(x), [layer.mask.copy() for layer in model.act_fun]
    scales = [(layer.scale_base.copy(), layer.scale_sp.copy()) for layer in model.act_fun]
    fitted_for_no_step(model, x)
    # targets are of size 1000: that is what rounding is measured in
    np.testing.assert_allclose(model(x), before, rtol=0, atol=1e4 * np.finfo(dtype).eps)
    assert model.dtype == dtype
    for layer, mask, (base, sp) in zip(model.act_fun, masks, scales, strict=True):
        np.testing.assert_array_equal(layer.mask, mask)
        np.testing.assert_array_equal(layer.scale_base, base)
        np.testing.assert_array_equal(layer.scale_sp, np.where(sp == 0, 1, sp) if scale == "zero" else sp)


def test_a_fixed_scale_of_zero_stays_zero_through_a_fit():
    model = patchy([2, 2, 1], sp_trainable=False)
    model.act_fun[0].scale_sp[...] = [[1, 0], [0, 1]]
    x = points(60, 2)
    assert model.fit(x, np.sin(2 * x[:, 0]) + x[:, 1], method="lm", start="keep", grids=[3], steps=5).success
    assert model.act_fun[0].scale_sp.tolist() == [[1, 0], [0, 1]]
    assert np.isfinite(model.params).all()


@pytest.mark.parametrize("trainable", [True, False])
def test_a_redraw_drops_base_functions_that_are_trainable_and_keeps_the_others(trainable):
    model = patchy([2, 2, 1], sb_trainable=trainable, base_fun="identity")
    before = [layer.scale_base.copy() for layer in model.act_fun]
    x = points(60, 2)
    result = model.fit(x, np.sin(2 * x[:, 0]) + x[:, 1], method="lm", start="redraw", grids=[3], steps=5)
    for layer, old in zip(model.act_fun, before, strict=True):
        np.testing.assert_array_equal(layer.scale_base, 0 * old if trainable else old)
    assert result.loss == pytest.approx(model.loss(x, np.sin(2 * x[:, 0]) + x[:, 1]), rel=1e-12)
