"""numkan.model.network: a network as a whole - its function, its derivatives, and nothing in them that is stale."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from numkan import KAN, KANLayer
from numkan.conformance.adapter import Array
from numkan.conformance.law import assert_identical, assert_within
from numkan.model import network
from tests.network_cases import model_of, numbers_of
from tests.small_networks import FLOATS, NAMES, assert_same_results, points, results, small, targets

# --- nothing stale ------------------------------------------------------------------------------------------------


def shift_grid(layer: KANLayer) -> None:
    layer.grid = layer.grid * 1.5 + 0.1


def halve(name: str) -> Any:
    def change(layer: KANLayer) -> None:
        getattr(layer, name)[...] *= 0.5

    return change


def assign(name: str) -> Any:
    def change(layer: KANLayer) -> None:
        setattr(layer, name, getattr(layer, name) * 0.5)

    return change


def other_policy(layer: KANLayer) -> None:
    layer.extrapolate = "fade"


CHANGES = {
    **{f"{name}[...] =": halve(name) for name in NAMES},
    **{f"{name} =": assign(name) for name in NAMES},
    "grid =": shift_grid,
    "extrapolate =": other_policy,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_through_a_layer_is_seen_by_everything_at_once(change: str) -> None:
    model, x, y = small(scale_base_sigma=6), points(), targets()  # hidden activations outside the grid too
    for depth in range(2):
        before = results(model, x, y)
        CHANGES[change](model.act_fun[depth])
        assert (model(x) != before["outputs"]).any(), "the change is one"
        assert_same_results(model, model_of(numbers_of(model)), x, y, f"after {change} in layer {depth}")


def test_new_params_are_seen_by_everything_at_once() -> None:
    model, x, y = small(), points(), targets()
    results(model, x, y)
    model.params = 0.5 * model.params
    assert_same_results(model, model_of(numbers_of(model)), x, y)


def test_updated_grids_are_seen_by_everything_at_once() -> None:
    model, x, y = small(), points(), targets()
    results(model, x, y)
    view = model.act_fun[1].coef
    model.update_grid_from_samples(points(30))
    assert model.act_fun[1].coef is view, "views outlive what does not change a shape"
    assert_same_results(model, model_of(numbers_of(model)), x, y)


def test_a_grid_that_another_thread_replaces_meanwhile_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here in the middle of a call: after memory was made for the layers as they were, before they are packed."""
    x, y = points(7, 2), targets(7, 3)
    for call in (lambda model: model(x), lambda model: model.loss_and_grad(x, y)[0]):
        model = KAN([2, 4, 3], grid=5, extrapolate="nan", seed=0)
        finer, make = model.refine(40), network._new_coefficients
        want = call(finer)

        def late(*arguments: Any) -> Any:
            made = make(*arguments)  # noqa: B023
            model._become(finer)  # noqa: B023
            return made

        with monkeypatch.context() as patch, ThreadPoolExecutor(1) as fresh:  # a thread that keeps no memory yet
            patch.setattr(network, "_new_coefficients", late)
            assert_identical(fresh.submit(call, model).result(), want)


# --- what a network computes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_activations_are_the_inputs_of_every_layer_and_the_outputs(dtype: type) -> None:
    model, x = small(dtype=dtype), points(dtype=dtype)
    acts = model.activations(x)
    assert [a.shape for a in acts] == [(7, 2), (7, 3), (7, 2)]
    assert_identical(acts[0], x)
    for layer, inputs, outputs in zip(model.act_fun, acts[:-1], acts[1:], strict=True):
        np.testing.assert_allclose(layer(inputs), outputs, rtol=0, atol=16 * np.finfo(dtype).eps * abs(outputs).max())
    np.testing.assert_allclose(acts[-1], model(x), rtol=0, atol=16 * np.finfo(dtype).eps * abs(acts[-1]).max())
    assert not np.shares_memory(acts[0], x)
    acts[0][...] = acts[1][...] = 0
    assert_identical(model.activations(x)[-1], acts[-1])


def test_products_with_unit_vectors_are_columns_and_rows() -> None:
    model, x = small(), points()
    jac, slopes = model.jacobian(x), model.derivative(x)
    assert jac.shape == (7, 2, model.n_params)
    assert slopes.shape == (7, 2, 2)
    eye = np.eye(model.n_params)
    scale = 1e-13 * (1 + abs(jac).max())
    for place in range(0, model.n_params, 5):
        assert_within(model.jvp(x, eye[place]), jac[:, :, place], scale, f"parameter {place}")
    for i in range(2):
        assert_within(model.jvp(x, x_dot=np.tile(np.eye(2)[i], (7, 1))), slopes[:, :, i], 1e-13, f"input {i}")
    assert not model.jvp(x).any(), "no change, no change"
    both = model.jvp(x, eye[0], np.ones_like(x))
    assert_within(both, jac[:, :, 0] + slopes.sum(axis=2), scale)
    y_bar = targets()
    params_bar, x_bar = model.vjp(x, y_bar)
    assert (params_bar.shape, x_bar.shape) == ((model.n_params,), (7, 2))
    assert_within(params_bar, np.einsum("nqp,nq->p", jac, y_bar), 10 * scale)
    assert_within(x_bar, np.einsum("nqi,nq->ni", slopes, y_bar), 1e-13)


def softmax(y: Array) -> Array:
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_gradients_are_products_with_the_slope_of_the_loss() -> None:
    model, x, y = small(), points(), targets()
    weight, labels = np.arange(7) + 0.5, np.arange(7) % 2
    share = (weight / weight.sum())[:, None]
    predicted = model(x)
    want = model.vjp(x, share * (predicted - y))[0]
    loss, grad = model.loss_and_grad(x, y, sample_weight=weight)
    assert isinstance(loss, float)
    assert loss == pytest.approx((share * (predicted - y) ** 2).sum() / 2, rel=1e-14)
    assert_within(grad, want, 1e-13)
    loss, grad = model.loss_and_grad(x, labels, "cross_entropy", weight)
    p = softmax(predicted)
    assert loss == pytest.approx(-(share[:, 0] * np.log(p[np.arange(7), labels])).sum(), rel=1e-13)
    assert_within(grad, model.vjp(x, share * (p - np.eye(2)[labels]))[0], 1e-13)
    for target, kind in ((y, "mse"), (labels, "cross_entropy")):
        both = model.loss(x, target, kind, weight), model.loss_and_grad(x, target, kind, weight)[0]
        assert both[0] == pytest.approx(both[1], rel=1e-14)


def test_one_output_takes_targets_without_their_axis_and_labels_come_in_any_number_type() -> None:
    model, x, y = KAN([2, 1], grid=4), points(), targets(n_out=1)
    assert_identical(model.loss_and_grad(x, y[:, 0])[1], model.loss_and_grad(x, y)[1])
    assert model.loss(x, y[:, 0]) == model.loss(x, y)
    assert_identical(model.residuals_and_jacobian(x, y[:, 0])[0], model.residuals_and_jacobian(x, y)[0])
    model, labels = small(), np.arange(7) % 2
    want = model.loss_and_grad(x, labels, "cross_entropy")
    for same in (labels.tolist(), labels.astype(np.uint8), labels.astype(float), labels.astype(bool)):
        value, grad = model.loss_and_grad(x, same, "cross_entropy")
        assert value == want[0]
        assert_identical(grad, want[1])


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("weight", [None, np.arange(7.0)], ids=["plain", "weighted"])
def test_residuals_square_to_the_loss_and_their_jacobian_gives_its_gradient(weight: Any, dtype: type) -> None:
    model, x, y = small(dtype=dtype), points(dtype=dtype), targets(dtype=dtype)
    residuals, jac = model.residuals_and_jacobian(x, y, weight)
    assert (residuals.shape, jac.shape) == ((14,), (14, model.n_params))
    assert residuals.dtype == jac.dtype == dtype
    loss, grad = model.loss_and_grad(x, y, sample_weight=weight)
    r, J, eps = residuals.astype(float), jac.astype(float), float(np.finfo(dtype).eps)
    assert r @ r == pytest.approx(loss, rel=20 * eps)
    assert_within(2 * J.T @ r, grad, 100 * eps * (abs(J).T @ abs(r)) + 10 * eps)


def test_an_empty_batch_has_outputs_of_no_rows() -> None:
    model, none = small(), np.zeros((0, 2))
    assert model(none).shape == model.frozen()(none).shape == (0, 2)
    assert [a.shape for a in model.activations(none)] == [(0, 2), (0, 3), (0, 2)]
    assert model.derivative(none).shape == (0, 2, 2)
    assert model.jacobian(none).shape == (0, 2, model.n_params)
    params_bar, x_bar = model.vjp(none, none)
    assert not params_bar.any()
    assert x_bar.shape == (0, 2)
    assert model.jvp(none, model.params, none).shape == (0, 2)
    assert [np.isnan(c.outside).all() and (c.empty_spans == 4).all() for c in model.coverage(none)] == [True, True]


def test_a_masked_edge_has_gradient_zero_whatever_its_numbers() -> None:
    model, x = small(), points()
    layer = model.act_fun[0]
    layer.mask[0, 0] = 0
    layer.scale_sp[0, 0] = layer.coef[0, 0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        _, grad = model.loss_and_grad(x, np.zeros((len(x), model.n_out)))
    parts = model.unravel(grad)[0]
    assert parts["scale_sp"][0, 0] == parts["scale_base"][0, 0] == 0
    assert not parts["coef"][0, 0].any()


# --- float32 ------------------------------------------------------------------------------------------------------


def wide_slope(x: Array) -> Array:
    return 1 - np.tanh(x.astype(float)) ** 2


WIDE_TANH = (np.tanh, wide_slope)  # its slope is float64


@pytest.mark.parametrize("base_fun", ["silu", WIDE_TANH], ids=["silu", "own"])
def test_a_float32_model_is_float32_from_end_to_end(base_fun: Any) -> None:
    model = small(dtype=np.float32, base_fun=base_fun)
    x, y = points(), targets()  # float64
    rounded = x.astype(np.float32), y.astype(np.float32)

    def check(model: KAN) -> None:
        assert model.dtype == model.params.dtype == np.float32
        for layer in model.act_fun:
            assert layer.dtype == np.float32
            for name in (*NAMES, "grid"):
                assert getattr(layer, name).dtype == np.float32, name
        for name, value in results(model, x, y).items():
            assert value.dtype == (np.float64 if name == "loss" else np.float32), name
        for sections in model.unravel(model.loss_and_grad(x, y)[1]):
            assert {part.dtype for part in sections.values()} == {np.dtype(np.float32)}
        for kind, target in (("mse", y), ("cross_entropy", np.arange(7) % 2)):
            value, grad = model.loss_and_grad(x, target, kind, np.arange(7.0))
            assert (type(value), grad.dtype) == (float, np.float32)
            assert type(model.loss(x, target, kind)) is float

    check(model)
    assert_same_results(model, model.copy(), *rounded)
    for name, value in results(model, x, y).items():
        assert_identical(value, results(model, *rounded)[name], name)
    check(model.refine(8))
    check(model.refine(3))
    model.params = model.params.astype(float)
    model.update_grid_from_samples(points(30))
    check(model)
    child = small(dtype=np.float32, grid=8, base_fun=base_fun)
    child.initialize_grid_from_parent(model, points(30))
    check(child)
    child.fit(points(8), targets(8), grids=None, steps=1)
    check(child)
