"""Laws of gradients, Jacobians and their products.

Sizes are those of ``tests/naive_network.py``: sums of the magnitudes of the terms, hidden activations with what they
have gathered. A term is a product of a dozen rounded numbers, so bounds are 64 eps of a size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests import naive_network as naive
from tests.laws import Array, Law, assert_within, law
from tests.laws.networks import NetworkCase, Networks, contracted, flat, is_steady
from tests.naive_network import KINDS

LAWS: list[Law] = []


def loss_sizes(y: Array, size: Array, target: Array, loss: str, weight: Array) -> Array:
    """Sizes of the derivatives of a loss by the outputs."""
    share = (weight / weight.sum())[:, None]
    return share * (2 * (size + np.abs(y - target)) / y.shape[1] if loss == "mse" else 2 + size)


def _compare(got: Any, want: Any, size: Any, factor: float, what: str) -> None:
    for depth, layer in enumerate(want):
        for name in KINDS:
            assert_within(got[depth][name], layer[name], factor * size[depth][name], f"{what}, {name} of layer {depth}")


@law("N-GCS", "64 eps of the sum of the terms' magnitudes (rel 1e-12 in float64)", "complex step; Squire, Trapp", LAWS)
def complex_step(impl: Networks, case: NetworkCase) -> None:
    """Gradients of both losses, and products with cotangents, by coef, scales and input, are those of complex steps."""
    if not is_steady(case):
        return
    layers, x = case.exact
    y, size = naive.network_forward(layers, x), naive.sizes(layers, x)[-1]
    by_params, by_x = naive.network_jacobian(layers, x)
    size_params, size_x = naive.jacobian_sizes(layers, x)
    factor = 64 * case.eps
    for loss, target in (("mse", case.y.astype(float)), ("cross_entropy", case.labels)):
        weight = case.weight.astype(float)
        slope = naive.loss_slope(y, target, loss, weight)
        shape = loss_sizes(y, size, target if loss == "mse" else y, loss, weight)
        value, got = impl.network_loss(case.layers, case.x, case.y if loss == "mse" else case.labels, loss, case.weight)
        want = [{name: contracted(d[name], slope) for name in KINDS} for d in by_params]
        sizes = [{name: contracted(d[name], shape) for name in KINDS} for d in size_params]
        _compare(got, want, sizes, factor, loss)
        expected = naive.LOSSES[loss](y, target, weight)
        bound = (np.abs(slope) * size).sum() + (shape * size).sum() + np.abs(expected)
        assert_within(value, expected, factor * bound, loss)
    y_bar = case.noise(*y.shape)
    got, x_bar = impl.network_vjp(case.layers, case.x, y_bar)
    want = [{name: contracted(d[name], y_bar) for name in KINDS} for d in by_params]
    sizes = [{name: contracted(d[name], np.abs(y_bar)) for name in KINDS} for d in size_params]
    _compare(got, want, sizes, factor, "product")
    weight = np.abs(y_bar).astype(float)
    assert_within(
        x_bar, np.einsum("nq,nqi->ni", y_bar, by_x), factor * np.einsum("nq,nqi->ni", weight, size_x), "input"
    )
    assert_within(impl.network_derivative(case.layers, case.x), by_x, factor * size_x, "derivative")


@law("N-GFD", "1e-6 of the size", "central difference; points > 2 steps from knots", LAWS)
def finite_difference(impl: Networks, case: NetworkCase) -> None:
    """One layer's cotangents are central differences of its own outputs (float64)."""
    layer, x = (numbers.astype(float) for numbers in (case.layer, case.x))
    gaps = np.diff(layer.grid, axis=1)
    h = 2e-5 * np.where(gaps > 0, gaps, np.inf).min(axis=1)
    reach = 0.03 * (layer.grid[:, -1 - layer.k] - layer.grid[:, layer.k])[:, None]
    breaks = [layer.grid, layer.grid[:, [layer.k]] - reach, layer.grid[:, [-1 - layer.k]] + reach]
    distance = np.abs(x[:, :, None] - np.concatenate(breaks, axis=1)).min(axis=2)
    y_bar = case.noise(len(x), layer.coef.shape[1]).astype(float)
    got = impl.layer_vjp(layer, x, y_bar)
    sizes = naive.jacobian_sizes([layer], x)[1]
    for i, step in enumerate(h):
        moved = x.copy()
        moved[:, i] += step
        up = impl.layer_forward(layer, moved)
        moved[:, i] -= 2 * step
        slope = (up - impl.layer_forward(layer, moved)) / (2 * step)
        bound = 1e-6 * np.einsum("nq,nq->n", np.abs(y_bar), sizes[:, :, i] + 1e-3)
        far = distance[:, i] > 2 * step
        assert_within(got["x"][far, i], np.einsum("no,no->n", y_bar, slope)[far], bound[far], f"input {i}")
    for name in KINDS:
        dot = case.noise(*got[name].shape).astype(float)
        numbers = getattr(layer, name)
        up, down = (impl.layer_forward(layer._replace(**{name: numbers + s * dot}), x) for s in (1, -1))
        change = (y_bar * (up - down)).sum() / 2
        bound = 1e-6 * (np.abs(y_bar) * (np.abs(up) + np.abs(down))).sum() + 1e-12
        assert_within((got[name] * dot).sum(), change, bound, name)


@law("N-ADJ", "64 eps sum |v| |J| |p|, |J| the sum of the terms' magnitudes", "adjoint identity", LAWS)
def adjoint(impl: Networks, case: NetworkCase) -> None:
    """<v, J p> = <J^T v, p> for changes of parameters and inputs at once."""
    if not is_steady(case):
        return
    dots = [{name: case.noise(*getattr(layer, name).shape) for name in KINDS} for layer in case.layers]
    x_dot, v = case.noise(*case.x.shape)[::-1].copy(), case.noise(*case.y.shape)
    forward = impl.network_jvp(case.layers, case.x, dots, x_dot).astype(float)
    grads, x_bar = impl.network_vjp(case.layers, case.x, v)
    backward = flat(grads) @ flat(dots) + (x_bar.astype(float) * x_dot).sum()
    layers, x = case.exact
    by_params, by_x = naive.jacobian_sizes(layers, x)
    sizes = flat(by_params, batch=2) @ np.abs(flat(dots)) + (by_x * np.abs(x_dot)[:, None, :]).sum(axis=2)
    assert_within((forward * v).sum(), backward, 64 * case.eps * (np.abs(v) * sizes).sum())
    plain, slopes = naive.network_jacobian(layers, x)
    want = flat(plain, batch=2) @ flat(dots) + (slopes * x_dot[:, None, :]).sum(axis=2)
    assert_within(forward, want, 64 * case.eps * sizes, "J p")


@law("N-JAC", "8 eps of the sum of the terms' magnitudes", "Levenberg-Marquardt's rows", LAWS)
def jacobian_rows(impl: Networks, case: NetworkCase) -> None:
    """Each row of the Jacobian is the product of a unit cotangent with it, in networks and in layers."""
    if not is_steady(case):
        return
    case = case.rows(slice(0, 2))
    n, n_out = case.y.shape
    whole, slopes = impl.network_jacobian(case.layers, case.x), impl.network_derivative(case.layers, case.x)
    first = impl.layer_jacobian(case.layer, case.x)
    sizes, size_x = naive.jacobian_sizes(*case.exact)
    for place in range(n):
        x = case.x[place : place + 1]
        for q in range(n_out):
            got, x_bar = impl.network_vjp(case.layers, x, np.eye(n_out, dtype=case.dtype)[[q]])
            want = [{name: d[name][place, q] for name in KINDS} for d in whole]
            bound = [{name: d[name][place, q] for name in KINDS} for d in sizes]
            _compare(got, want, bound, 8 * case.eps, f"row {place}, {q}")
            assert_within(x_bar[0], slopes[place, q], 8 * case.eps * size_x[place, q], "input")
        y_bar = np.eye(case.layer.coef.shape[1], dtype=case.dtype)[[0]]
        got = impl.layer_vjp(case.layer, x, y_bar)
        alone = naive.jacobian_sizes([case.layer.astype(float)], x.astype(float))[0][0]
        for name in KINDS:
            assert_within(got[name], first[name][place, 0], 8 * case.eps * alone[name][0, 0], f"layer's {name}")
