"""Networks in direct form, and what must hold of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config

from numkan import KAN
from numkan.model.derivatives import new_gradient
from numkan.model.evaluate import forward, loss_and_gradients
from numkan.model.targets import targets
from tests.network_cases import AGAIN, DOUBLE, SINGLE

FLOATS = [np.float32, np.float64]

#: Each pair compiles for ten seconds. With the JIT off all are tried.
DEGREES: list[Any] = [
    (0, np.float64),
    (1, np.float32),
    (2, np.float64),
    (3, np.float32),
    (3, np.float64),
    (5, np.float64),
]
if AGAIN or config.DISABLE_JIT:
    DEGREES = [*((k, np.float32) for k in SINGLE), *((k, np.float64) for k in DOUBLE)]


def model_of(width: list[int], grid: Any, k: Any = 3, seed: int = 0, **options: Any) -> KAN:
    """A network on knots that are not uniform, with a mask and numbers of size one."""
    rng = np.random.default_rng(seed)
    model = KAN(width, grid=grid, k=k, seed=seed, **options)
    for layer in model.act_fun:
        step = (layer.grid[:, -1:] - layer.grid[:, :1]) / layer.grid.shape[1]
        layer.grid = layer.grid + 0.4 * step * rng.uniform(-1, 1, layer.grid.shape)
        layer.coef = rng.normal(size=layer.coef.shape)
        layer.scale_base, layer.scale_sp = rng.normal(size=(2, *layer.mask.shape))
        layer.mask = rng.integers(0, 4, layer.mask.shape) > 0
    return model


def plan_of(model: KAN) -> Any:
    direct = model._direct()
    assert direct is not None
    return direct.plan


def is_direct(model: KAN) -> bool:
    """Whether a network takes the direct form."""
    return model._direct() is not None


def check_form(model: KAN, x: Any, y: Any, loss: str = "mse", weight: Any = None) -> None:
    """Outputs, loss and gradient of the direct form against those of sorted samples, to rounding."""
    direct = model._direct()
    assert direct is not None
    eps = 256 * np.finfo(model.dtype).eps
    want = forward(model._pack(), x)
    np.testing.assert_allclose(direct.predictor()(x), want, rtol=0, atol=eps * max(abs(want).max(), 1))
    goal = targets(y, len(x), model.n_out, model.dtype, loss, weight)
    value, grad = direct.loss_and_grad(x, goal)
    assert direct.loss(x, goal) == value
    expected, sinks = new_gradient(model)
    other = loss_and_gradients(model._pack(), x, goal, sinks)
    assert abs(value - other) <= eps * abs(other)
    assert grad.dtype == model.dtype
    np.testing.assert_allclose(grad, expected, rtol=0, atol=eps * abs(expected).max())
    for parts in model.unravel(grad):
        assert all(np.isfinite(part).all() for part in parts.values())
