"""Small networks, samples for them, and everything that a network computes: what the tests of networks share."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from numkan import KAN
from numkan.conformance.adapter import Array
from numkan.conformance.law import assert_identical
from tests.naive_network import KINDS

FLOATS = (np.float64, np.float32)
NAMES = (*KINDS, "mask")


def small(**options: Any) -> KAN:
    """Two inputs, three nodes, two outputs; small enough for plain Python."""
    return KAN([2, 3, 2], **{"grid": 4, "k": 3, "seed": 3, **options})


def points(n: int = 7, n_in: int = 2, dtype: Any = np.float64, reach: float = 1.2) -> Array:
    return np.random.default_rng(n).uniform(-reach, reach, (n, n_in)).astype(dtype)


def targets(n: int = 7, n_out: int = 2, dtype: Any = np.float64) -> Array:
    return np.random.default_rng(n + 1).normal(size=(n, n_out)).astype(dtype)


def state(model: KAN) -> bytes:
    return model.params.tobytes() + pickle.dumps(model)


def results(model: KAN, x: Array, y: Array) -> dict[str, Any]:
    """All that a model computes from its numbers."""
    loss, grad = model.loss_and_grad(x, y)
    params_bar, x_bar = model.vjp(x, y)
    residuals, jac = model.residuals_and_jacobian(x, y)
    return {
        "outputs": model(x),
        "frozen": model.frozen()(x),
        "loss": np.array(loss),
        "gradient": grad,
        "params_bar": params_bar,
        "x_bar": x_bar,
        "jvp": model.jvp(x, params_bar, x_bar),
        "derivative": model.derivative(x),
        "jacobian": model.jacobian(x),
        "residuals": residuals,
        "their jacobian": jac,
        **{f"activations {depth}": a for depth, a in enumerate(model.activations(x))},
    }


def assert_same_results(got: KAN, want: KAN, x: Array, y: Array, what: str = "") -> None:
    expected = results(want, x, y)
    for name, value in results(got, x, y).items():
        assert_identical(value, expected[name], f"{name} {what}")


def patchy(width: list[int], seed: int = 0, **options: Any) -> KAN:
    """Edges of ordinary size, some off."""
    model = KAN(width, seed=seed, **options)
    rng = np.random.default_rng(seed)
    for layer in model.act_fun:
        layer.coef[...] += 0.3 * rng.standard_normal(layer.coef.shape)
        layer.scale_sp[...] = rng.uniform(0.5, 1.5, layer.scale_sp.shape)
        layer.mask[...] = rng.random(layer.mask.shape) < 0.8
        layer.mask[0, 0] = 1
    return model
