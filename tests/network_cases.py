"""Strategies and adapters for the laws of networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numba import config

import numkan
from numkan import KAN, KANLayer
from numkan.model import archive
from tests.laws import Array
from tests.laws.networks import NetworkCase
from tests.naive_network import KINDS, Layer


def tanh_slope(x: Array) -> Array:
    return 1 / np.cosh(x) ** 2


TANH = (np.tanh, tanh_slope)
BASES = ("silu", "identity", "zero", TANH)
POLICIES = ("continue", "fade", "linear", "clamp")
FLOATS = (np.float64, np.float32)

#: Degrees of float32 cases: each compiles for ten seconds. With the JIT off all are tried.
SINGLE = range(6) if config.DISABLE_JIT else (1, 3)


# --- numkan behind the names of the laws --------------------------------------------------------------------------


def layer_of(numbers: Layer) -> KANLayer:
    """A KANLayer with these numbers."""
    n_in, n_out, n_basis = numbers.coef.shape
    layer = KANLayer(
        n_in,
        n_out,
        n_basis - numbers.k,
        numbers.k,
        base_fun=numbers.base_fun,
        extrapolate=numbers.extrapolate,
        init="power",
        dtype=numbers.coef.dtype,
    )
    for name in ("grid", *KINDS, "mask"):
        setattr(layer, name, getattr(numbers, name))
    return layer


def model_of(layers: Any) -> KAN:
    """A KAN with these layers."""
    return KAN._of([layer_of(numbers) for numbers in layers])


def numbers_of(model: Any) -> list[Layer]:
    """A model's numbers, copied."""
    names = ("grid", *KINDS, "mask")
    return [
        Layer(*(np.array(getattr(layer, name)) for name in names), layer.k, layer.base_fun, layer.extrapolate)
        for layer in model.act_fun
    ]


class NumkanNetworks:
    """numkan's layers and networks."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        return layer_of(layer)(x)

    def layer_vjp(self, layer: Layer, x: Any, y_bar: Array) -> dict[str, Array]:
        grads, x_bar = self.network_vjp([layer], x, y_bar)
        return {**grads[0], "x": x_bar}

    def layer_jacobian(self, layer: Layer, x: Any) -> dict[str, Array]:
        return self.network_jacobian([layer], x)[0]

    def network_forward(self, layers: Any, x: Any) -> Array:
        return self.model(layers)(x)

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> tuple[float, list[dict[str, Array]]]:
        model = self.model(layers)
        value, grad = model.loss_and_grad(x, y, loss, weight)
        return value, model.unravel(grad)

    def network_vjp(self, layers: Any, x: Any, y_bar: Array) -> tuple[list[dict[str, Array]], Array]:
        model = self.model(layers)
        grad, x_bar = model.vjp(x, y_bar)
        return model.unravel(grad), x_bar

    def network_jvp(self, layers: Any, x: Any, dots: list[dict[str, Array]], x_dot: Array) -> Array:
        model = self.model(layers)
        change = np.zeros_like(model.params)
        for into, dot in zip(model.unravel(change), dots, strict=True):
            for name in KINDS:
                into[name][...] = dot[name]
        return model.jvp(x, change, x_dot)

    def network_jacobian(self, layers: Any, x: Any) -> list[dict[str, Array]]:
        model = self.model(layers)
        rows = model.jacobian(x)
        read = [[model.unravel(row) for row in sample] for sample in rows]
        return [
            {
                name: np.array([[row[depth][name] for row in sample] for sample in read]).reshape(
                    *rows.shape[:2], *getattr(layers[depth], name).shape
                )
                for name in KINDS
            }
            for depth in range(model.depth)
        ]

    def network_derivative(self, layers: Any, x: Any) -> Array:
        return self.model(layers).derivative(x)

    def refine(self, layers: Any, times: int) -> list[Layer]:
        model = self.model(layers)
        return numbers_of(model.refine([times * G for G in model.grid]))

    def model(self, layers: Any) -> Any:
        return model_of(layers)

    def state(self, model: Any) -> bytes:
        arrays = [getattr(layer, name).tobytes() for layer in model.act_fun for name in ("grid", *KINDS, "mask")]
        return b"".join(arrays)

    def set_threads(self, count: int) -> None:
        numkan.set_threads(count)

    def save(self, layers: Any, path: Any) -> None:
        archive.save(self.model(layers), path)

    def load(self, path: Any, base_fun: Any) -> list[Layer]:
        return numbers_of(archive.load(path, KAN, None if isinstance(base_fun, str) else base_fun))


# --- cases --------------------------------------------------------------------------------------------------------


def random_layer(
    rng: np.random.Generator, n_in: int, n_out: int, G: int, k: int, base_fun: Any = "silu", extrapolate: str = "fade"
) -> Layer:
    """A layer whose knots are uneven, some repeated, and different for each input."""
    gaps = 10.0 ** rng.uniform(-1, 0.5, (n_in, G + 2 * k))
    gaps *= 2.5 / gaps[:, k : k + G].sum(axis=1, keepdims=True)
    if k >= 2 and G > 2:
        gaps[:, k + 1] *= rng.integers(0, 2, n_in)
    knots = np.concatenate([np.zeros((n_in, 1)), np.cumsum(gaps, axis=1)], axis=1)
    knots -= knots[:, k, None] + rng.uniform(1.0, 1.5, (n_in, 1))
    scales = [rng.normal(size=(n_in, n_out)) for _ in range(2)]
    mask = (rng.random((n_in, n_out)) < 0.8).astype(float)
    return Layer(knots, rng.normal(size=(n_in, n_out, G + k)), *scales, mask, k, base_fun, extrapolate)


def random_points(rng: np.random.Generator, layer: Layer, n: int) -> Array:
    """Points inside and outside, and on knots and ends of the first layer."""
    low, high = layer.grid[:, layer.k], layer.grid[:, -1 - layer.k]
    x = low + rng.uniform(-0.3, 1.3, (n, len(low))) * (high - low)
    knots = np.take_along_axis(layer.grid, rng.integers(layer.k, layer.grid.shape[1] - layer.k, x.T.shape), axis=1).T
    return np.where(rng.random(x.shape) < 0.2, knots, x).astype(layer.grid.dtype)


def random_case(
    seed: int, widths: Any, grids: Any, degrees: Any, n: int = 5, dtype: Any = np.float64, **options: Any
) -> NetworkCase:
    rng = np.random.default_rng(seed)
    shapes = zip(widths[:-1], widths[1:], grids, degrees, strict=True)
    layers = tuple(random_layer(rng, *shape, **options).astype(dtype) for shape in shapes)
    x = random_points(rng, layers[0], n)
    y, weight = rng.normal(size=(n, widths[-1])).astype(dtype), rng.uniform(0.5, 2, n).astype(dtype)
    return NetworkCase(layers, x, y, rng.integers(0, widths[-1], n), weight)


@st.composite
def network_cases(draw: st.DrawFn) -> NetworkCase:
    depth = draw(st.integers(1, 3))
    widths = draw(st.lists(st.integers(1, 4), min_size=depth + 1, max_size=depth + 1))
    grids = draw(st.lists(st.integers(1, 4), min_size=depth, max_size=depth))
    n, dtype = draw(st.integers(1, 6)), draw(st.sampled_from(FLOATS))
    known = st.sampled_from(SINGLE) if dtype == np.float32 else st.integers(0, 5)
    degrees = draw(st.lists(known, min_size=depth, max_size=depth))
    base_fun, policy = draw(st.sampled_from(BASES)), draw(st.sampled_from(POLICIES))
    seed = draw(st.integers(0, 10_000))
    return random_case(seed, widths, grids, degrees, n, dtype, base_fun=base_fun, extrapolate=policy)
