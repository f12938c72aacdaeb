"""Networks whose edges are merged, and what must hold of them: shared by the tests of the two forms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config

from numkan import KAN
from numkan.model.evaluate import forward, loss_and_gradients
from numkan.model.losses import targets

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
if config.DISABLE_JIT:
    DEGREES = [(k, dtype) for k in range(6) for dtype in FLOATS]


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
    merged = model._merged()
    assert merged is not None
    return merged.plan


def form_of(model: KAN) -> str | None:
    """The name of the form that a network takes."""
    merged = model._merged()
    return None if merged is None else "column" if merged.plan.entries else "direct"


def check_form(model: KAN, x: Any, y: Any, loss: str = "mse", weight: Any = None) -> None:
    """Outputs, loss and gradient of the merged form against those of the rows, to rounding."""
    merged = model._merged()
    assert merged is not None
    eps = 256 * np.finfo(model.dtype).eps
    want = forward(model._pack(), x)
    np.testing.assert_allclose(merged.predictor()(x), want, rtol=0, atol=eps * max(abs(want).max(), 1))
    goal = targets(y, len(x), model.n_out, model.dtype, loss, weight)
    value, grad = merged.loss_and_grad(x, goal)
    assert merged.loss(x, goal) == value
    expected, receivers = model._gradient()
    other = loss_and_gradients(model._pack(), x, goal, receivers)
    assert abs(value - other) <= eps * abs(other)
    assert grad.dtype == model.dtype
    np.testing.assert_allclose(grad, expected, rtol=0, atol=eps * abs(expected).max())
    for parts in model.unravel(grad):
        assert all(np.isfinite(part).all() for part in parts.values())


def check_single(model: KAN, x: Any, y: Any, loss: str = "mse", weight: Any = None) -> Any:
    """Outputs, loss and gradient of one sample against what blocks give: the same bits, signs of 0 too."""
    merged = model._merged()
    assert merged is not None
    x = np.array(x, model.dtype).reshape(1, -1)
    goal = targets(y, 1, model.n_out, model.dtype, loss, weight)
    want = np.full(model.n_params, 7, model.dtype)
    with np.errstate(all="ignore"):  # the JIT off
        value = merged._blocks(x, goal, want, True)
        got, grad = merged.loss_and_grad(x, goal)
        assert str(merged.loss(x, goal)) == str(got) == str(value)
        outputs, rows = merged.predict(x), merged.predict(np.repeat(x, 3, axis=0))
    assert_same_bits(outputs, rows[:1])
    assert_same_bits(grad, want)
    return grad


def assert_same_bits(got: Any, want: Any) -> None:
    np.testing.assert_array_equal(got, want)
    known = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[known]), np.signbit(want[known]))
