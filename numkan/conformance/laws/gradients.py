"""Laws of outputs, gradients, Jacobians and their products.

Sizes are those of :mod:`numkan.conformance.network_twin`: sums of the magnitudes of the terms, including those of
hidden activations. A term is a product of a dozen rounded numbers, so bounds are 64 eps of a size. For networks,
rounding must not move a hidden activation into another piece: at a knot where a function or its derivative jumps, no
law could hold.
"""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from numkan.conformance import network_twin
from numkan.conformance.adapter import KINDS, Array, claims
from numkan.conformance.cases import NetworkCase
from numkan.conformance.law import assert_within, law, require
from numkan.conformance.steady import breaks, is_steady

#: A bound as a function of the size.
Room: TypeAlias = Callable[[Any], Any]


def contracted(jacobian: Array, y_bar: Array) -> Any:
    """Return the sum over n and q of y_bar[n, q] * jacobian[n, q, ...]."""
    return np.einsum("nq,nq...->...", y_bar, jacobian)


def flat(dots: Any, *, batch: int = 0) -> Array:
    """Return all numbers of a list of dicts side by side, in float64; the first `batch` axes stay."""
    parts = [np.asarray(d[name], float) for d in dots for name in KINDS if name in d]
    shapes = [(*part.shape[:batch], int(np.prod(part.shape[batch:]))) for part in parts]
    return np.concatenate([part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)], axis=batch)


def shared(dots: Any, other: Any) -> list[dict[str, Array]]:
    """Return a list of dicts without the entries that another one lacks: gradients by scales may be left out."""
    return [{name: d[name] for name in KINDS if name in d and name in o} for d, o in zip(dots, other, strict=True)]


def _room(factor: float, case: NetworkCase) -> Room:
    """Return the bound for a size: `factor` eps of it, and what underflows, whatever it is multiplied by later.

    In float64, more is lost by the complex step itself, which multiplies derivatives by 1e-30.
    """
    stepped = float(np.finfo(np.float64).smallest_subnormal) / network_twin.STEP
    lost = 2.0**20 * max(float(np.finfo(case.dtype).tiny), stepped)
    return lambda size: factor * case.eps * np.asarray(size) + lost * (1 + np.max(size, initial=0.0)) ** 2


def _compare(got: Any, want: Any, size: Any, room: Room, what: str) -> None:
    """Compare the parameters' entries of dicts, both of which may lack those of the scales."""
    for name in KINDS:
        if name == "coef" or (name in got and name in want):
            assert_within(got[name], want[name], room(size[name]), f"{what}, {name}")


def _compare_all(got: Any, want: Any, size: Any, room: Room, what: str) -> None:
    require(len(got) == len(want), f"{what}: {len(got)} layers where {len(want)} are due")
    for depth, one in enumerate(got):
        require("coef" in one, f"{what}, layer {depth}: entries {sorted(one)}")
        _compare(one, want[depth], size[depth], room, f"{what}, layer {depth}")


@law(
    "N-ORC",
    "64 eps of the sum of the terms' magnitudes, plus underflow",
    "the definition, in float64",
    "networks",
    needs=("layer_forward",),
)
def layer_outputs(impl: Any, case: NetworkCase) -> None:
    """A layer's outputs are sum_i mask (scale_base b(x_i) + scale_sp sum_p coef_p B_p(x_i)), under its policy."""
    layer, x = case.layer.astype(float), case.x.astype(float)
    size = network_twin.sizes([layer], x)[-1]
    lost = float(np.finfo(case.dtype).tiny) * (1.0 + np.abs(layer.mask * layer.scale_base).sum(axis=0))  # underflow
    got = impl.layer_forward(case.layer, case.x)
    assert_within(got, network_twin.forward(layer, x), 64 * case.eps * size + lost, "output")
    require(got.dtype == case.dtype, f"{got.dtype} comes out where {case.dtype} goes in")


@law(
    "N-NET",
    "64 eps of the sum of the terms' magnitudes",
    "the definition, in float64",
    "networks",
    needs=("network_forward",),
)
def network_outputs(impl: Any, case: NetworkCase) -> None:
    """A network's outputs are those of its layers, one after the other."""
    if not is_steady(case):
        return
    layers, x = case.exact
    got = impl.network_forward(case.layers, case.x)
    assert_within(
        got, network_twin.network_forward(layers, x), 64 * case.eps * network_twin.sizes(layers, x)[-1], "output"
    )
    require(got.dtype == case.dtype, f"{got.dtype} comes out where {case.dtype} goes in")


@law(
    "N-GCS",
    "64 eps of the sum of the terms' magnitudes (rel 1e-12 in float64), plus underflow",
    "complex step; Squire, Trapp",
    "networks",
    needs=("layer_vjp",),
)
def complex_step(impl: Any, case: NetworkCase) -> None:
    """Gradients by coef, scales and input are those of complex steps: of layers, networks, and losses."""
    room = _room(64, case)
    layer, x = case.layer.astype(float), case.x.astype(float)
    y_bar = case.noise(len(x), layer.n_out)
    (by_params,), by_x = network_twin.network_jacobian([layer], x)
    (bounds,), size_x = network_twin.jacobian_sizes([layer], x)
    got, weight = impl.layer_vjp(case.layer, case.x, y_bar), np.abs(y_bar).astype(float)
    want, bound = ({name: contracted(d[name], v) for name in KINDS} for d, v in ((by_params, y_bar), (bounds, weight)))
    _compare(got, want, bound, room, "gradient")
    bound_x = room(np.einsum("nq,nqi->ni", weight, size_x))
    assert_within(got["x"], np.einsum("nq,nqi->ni", y_bar, by_x), bound_x, "gradient, x")
    asked = any(claims(impl, name) for name in ("network_vjp", "network_derivative", "network_loss"))
    if asked and is_steady(case):
        slopes, sizes = network_twin.network_jacobian(*case.exact), network_twin.jacobian_sizes(*case.exact)
        _network_products(impl, case, slopes, sizes, room)
        _losses(impl, case, slopes[0], sizes[0], room)


def _network_products(impl: Any, case: NetworkCase, slopes: Any, bounds: Any, room: Room) -> None:
    """Products with cotangents, and the derivative by the inputs, of a network that can tell them."""
    (by_params, by_x), (sizes, size_x) = slopes, bounds
    if claims(impl, "network_vjp"):
        y_bar = case.noise(*case.y.shape)
        weight = np.abs(y_bar).astype(float)
        got, x_bar = impl.network_vjp(case.layers, case.x, y_bar)
        want = [{name: contracted(d[name], y_bar) for name in KINDS} for d in by_params]
        bound = [{name: contracted(d[name], weight) for name in KINDS} for d in sizes]
        _compare_all(got, want, bound, room, "product")
        bound_x = room(np.einsum("nq,nqi->ni", weight, size_x))
        assert_within(x_bar, np.einsum("nq,nqi->ni", y_bar, by_x), bound_x, "product, x")
    if claims(impl, "network_derivative"):
        assert_within(impl.network_derivative(case.layers, case.x), by_x, room(size_x), "derivative")


def _losses(impl: Any, case: NetworkCase, by_params: Any, sizes: Any, room: Room) -> None:
    """Both losses and their gradients, of a network that can tell them."""
    if not claims(impl, "network_loss"):
        return
    layers, x = case.exact
    y, size = network_twin.network_forward(layers, x), network_twin.sizes(layers, x)[-1]
    weight = case.weight.astype(float)
    for loss, target in (("mse", case.y.astype(float)), ("cross_entropy", case.labels)):
        slope = network_twin.loss_slope(y, target, loss, weight)
        shape = network_twin.loss_sizes(y, size, target if loss == "mse" else y, loss, weight)
        value, got = impl.network_loss(case.layers, case.x, case.y if loss == "mse" else case.labels, loss, case.weight)
        want = [{name: contracted(d[name], slope) for name in KINDS} for d in by_params]
        bound = [{name: contracted(d[name], shape) for name in KINDS} for d in sizes]
        _compare_all(got, want, bound, room, loss)
        expected = network_twin.LOSSES[loss](y, target, weight)
        assert_within(value, expected, room(((np.abs(slope) + shape) * size).sum() + abs(expected)), loss)


@law(
    "N-GFD",
    "1e-6 of the size, plus 64 eps of that of the outputs over the step",
    "central difference; points > 2 steps from knots",
    "networks",
    needs=("layer_forward", "layer_vjp", "float64"),
)
def finite_difference(impl: Any, case: NetworkCase) -> None:
    """One layer's cotangents are central differences of its own outputs (float64)."""
    layer, x = case.layer.astype(float), case.x.astype(float)
    gaps = np.diff(layer.grid, axis=1)
    h = 2e-5 * np.where(gaps > 0, gaps, np.inf).min(axis=1)
    distance = np.abs(x[:, :, None] - breaks(layer)).min(axis=2)
    y_bar = case.noise(len(x), layer.n_out).astype(float)
    got = impl.layer_vjp(layer, x, y_bar)
    sizes = network_twin.jacobian_sizes([layer], x)[1]
    rounding = 64 * np.finfo(float).eps * network_twin.sizes([layer], x)[-1]
    for i, step in enumerate(h):
        lower, upper = x.copy(), x.copy()
        lower[:, i] -= step
        upper[:, i] += step
        width = (upper - lower)[:, i, None]  # as it is rounded, far from zero
        slope = (impl.layer_forward(layer, upper) - impl.layer_forward(layer, lower)) / width
        bound = np.einsum("nq,nq->n", np.abs(y_bar), 1e-6 * (sizes[:, :, i] + 1e-3) + rounding / step)
        far = distance[:, i] > 2 * step
        assert_within(got["x"][far, i], np.einsum("no,no->n", y_bar, slope)[far], bound[far], f"input {i}")
    for name in (name for name in KINDS if name in got):
        dot = case.noise(*got[name].shape).astype(float)
        numbers = getattr(layer, name)
        up, down = (impl.layer_forward(layer.replace(**{name: numbers + s * dot}), x) for s in (1, -1))
        change = (y_bar * (up - down)).sum() / 2
        bound = 1e-6 * (np.abs(y_bar) * (np.abs(up) + np.abs(down))).sum() + 1e-12
        assert_within((got[name] * dot).sum(), change, bound, name)


@law(
    "N-ADJ",
    "64 eps sum |v| |J| |p|, |J| the sum of the terms' magnitudes, plus underflow",
    "adjoint identity",
    "networks",
    needs=("network_jvp", "network_vjp"),
)
def adjoint(impl: Any, case: NetworkCase) -> None:
    """<v, J p> = <J^T v, p> for changes of parameters and inputs at once."""
    if not is_steady(case):
        return
    x_dot, v = case.noise(*case.x.shape)[::-1].copy(), case.noise(*case.y.shape)
    grads, x_bar = impl.network_vjp(case.layers, case.x, v)
    dots = [
        {name: case.noise(*getattr(layer, name).shape) * (name in grad) for name in KINDS}  # what is left out stays
        for layer, grad in zip(case.layers, grads, strict=True)
    ]
    forward = impl.network_jvp(case.layers, case.x, dots, x_dot).astype(float)
    backward = flat(grads) @ flat(shared(dots, grads)) + (x_bar.astype(float) * x_dot).sum()
    layers, x = case.exact
    by_params, by_x = network_twin.jacobian_sizes(layers, x)
    sizes = flat(by_params, batch=2) @ np.abs(flat(dots)) + (by_x * np.abs(x_dot)[:, None, :]).sum(axis=2)
    room = _room(64, case)
    assert_within((forward * v).sum(), backward, room((np.abs(v) * sizes).sum()), "<v, J p>")
    plain, slopes = network_twin.network_jacobian(layers, x)
    want = flat(plain, batch=2) @ flat(dots) + (slopes * x_dot[:, None, :]).sum(axis=2)
    assert_within(forward, want, room(sizes), "J p")


@law(
    "N-JAC",
    "8 eps of the sum of the terms' magnitudes",
    "Levenberg-Marquardt's rows",
    "networks",
    needs=("layer_jacobian", "layer_vjp"),
)
def jacobian_rows(impl: Any, case: NetworkCase) -> None:
    """Each row of a Jacobian is the product of a unit cotangent with it, in layers and in networks."""
    case = case.rows(slice(0, 5))
    whole = impl.layer_jacobian(case.layer, case.x)
    (sizes,), size_x = network_twin.jacobian_sizes([case.layer.astype(float)], case.x.astype(float))
    for place in range(len(case.x)):
        for q in range(case.layer.n_out):
            y_bar = np.eye(case.layer.n_out, dtype=case.dtype)[[q]]
            got = impl.layer_vjp(case.layer, case.x[place : place + 1], y_bar)
            want, bound = ({name: d[name][place, q] for name in KINDS if name in whole} for d in (whole, sizes))
            _compare(got, want, bound, _room(8, case), f"row {place}, {q} of a layer")
            assert_within(got["x"][0], whole["x"][place, q], 8 * case.eps * size_x[place, q], "x of a layer")
    if is_steady(case) and all(claims(impl, f"network_{name}") for name in ("jacobian", "vjp", "derivative")):
        _network_rows(impl, case)


def _network_rows(impl: Any, case: NetworkCase) -> None:
    """The same of a whole network."""
    n_out = case.y.shape[1]
    whole, slopes = impl.network_jacobian(case.layers, case.x), impl.network_derivative(case.layers, case.x)
    sizes, size_x = network_twin.jacobian_sizes(*case.exact)
    for place in range(len(case.x)):
        for q in range(n_out):
            x = case.x[place : place + 1]
            got, x_bar = impl.network_vjp(case.layers, x, np.eye(n_out, dtype=case.dtype)[[q]])
            want, bound = (
                [{name: d[name][place, q] for name in KINDS if name in d} for d in rows] for rows in (whole, sizes)
            )
            _compare_all(got, want, bound, _room(8, case), f"row {place}, {q}")
            assert_within(x_bar[0], slopes[place, q], 8 * case.eps * size_x[place, q], "x")
