"""Cases that the conformance kit has not drawn, and whether two adapters agree on them within a bound."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from numkan.conformance import Layer

__all__ = ["differs", "drawn", "results"]

Result = Callable[[Any], Any]


def drawn(number: int) -> dict[str, Any]:
    """Return the case of a number: knots, points, coefficients, and for every eighth a network."""
    rng = np.random.default_rng((2026, number))
    dtype = np.dtype(np.float32 if number % 4 == 3 else np.float64)
    k, G = int(rng.integers(0, 6)), int(rng.integers(1, 9))
    case: dict[str, Any] = {"k": k, "knots": _knots(rng, k, G, number % 5).astype(dtype)}
    knots = case["knots"]
    reach = knots[-1] - knots[0]
    x = np.concatenate([rng.uniform(knots[0] - 0.1 * reach, knots[-1] + 0.1 * reach, 9), rng.choice(knots, 4)])
    case["x"] = np.append(x, np.nan).astype(dtype)
    case["coef"] = rng.normal(size=G + k).astype(dtype)
    inside = knots[k : k + G + 1]
    case["new"] = float(dtype.type(rng.uniform(inside[0], inside[0] + 0.999 * (inside[-1] - inside[0]))))
    if number % 8 == 0:
        case["network"] = _network(rng, dtype)
    return case


def _knots(rng: np.random.Generator, k: int, G: int, kind: int) -> Any:
    """Return knots: even, uneven, clamped, with a double one, far from zero."""
    gaps = np.full(G + 2 * k, 0.5) if kind == 0 else rng.lognormal(sigma=0.7, size=G + 2 * k)
    if kind == 2:
        gaps[:k] = gaps[G + k :] = 0
    if kind == 3 and G > 2:
        gaps[k + 1] = 0
    return np.concatenate([[0.0], np.cumsum(gaps)]) + (100 if kind == 4 else -gaps.sum() / 2)


def _network(rng: np.random.Generator, dtype: Any) -> dict[str, Any]:
    """Return one or two layers, samples, targets, cotangents, weights."""
    widths = rng.integers(1, 5, 2 + int(rng.integers(2)))
    k, G, n = int(rng.integers(1, 4)), int(rng.integers(2, 6)), int(rng.integers(1, 9))
    layers = []
    for n_in, n_out in pairwise(widths):
        grid = 2 / G * np.arange(-k, G + k + 1) - 1 + rng.normal(scale=0.1, size=(n_in, 1))
        scales = [rng.normal(size=(n_in, n_out)) for _ in range(2)]
        mask = (rng.random((n_in, n_out)) < 0.8).astype(float)
        base = ("silu", "identity")[int(rng.integers(2))]
        layers.append(Layer(grid, rng.normal(size=(n_in, n_out, G + k)), *scales, mask, k, base).astype(dtype))
    x = rng.normal(size=(n, widths[0])).astype(dtype)
    y, labels = rng.normal(size=(n, widths[-1])).astype(dtype), rng.integers(0, widths[-1], n)
    return {"layers": layers, "x": x, "y": y, "labels": labels, "weight": rng.uniform(0.5, 2, n).astype(dtype)}


def results(adapter: Any, case: dict[str, Any]) -> dict[str, Any]:
    """Return all that an adapter computes of a case, as arrays by name."""
    x, knots, coef, k = case["x"], case["knots"], case["coef"], case["k"]
    out = {f"order {nu}": adapter.dbasis(x, knots, k, nu) for nu in range(4)}
    out["curve"] = adapter.curve(x, knots, coef, k)
    out["knots"], out["coefficients"] = adapter.insert_knot(knots, coef, k, case["new"])
    if "network" in case:
        samples = np.linspace(knots[k], knots[len(knots) - 1 - k], 3 * len(coef)).astype(knots.dtype)
        weight = (1 + np.arange(len(samples)) % 3).astype(knots.dtype)
        for name, more in (("fit", {}), ("weighted fit", {"weight": weight})):
            fitted = adapter.fit_curve(samples, np.cos(samples), knots, k, **more)
            out[name] = adapter.basis(samples, knots, k) @ fitted
        out |= _of_network(adapter, case["network"])
    return out


def _of_network(adapter: Any, given: dict[str, Any]) -> dict[str, Any]:
    layers, x = given["layers"], given["x"]
    out = {"outputs": adapter.network_forward(layers, x)}
    grads, out["by x"] = adapter.network_vjp(layers, x, given["y"])
    told = {"product": grads}
    for loss, target in (("mse", given["y"]), ("cross_entropy", given["labels"])):
        value, told[loss] = adapter.network_loss(layers, x, target, loss, given["weight"])
        out[loss] = np.asarray(value)
    return out | {
        f"{what} {depth} {name}": grad
        for what, dicts in told.items()
        for depth, one in enumerate(dicts)
        for name, grad in one.items()
    }


def differs(found: dict[str, Any], due: dict[str, Any], case: dict[str, Any]) -> str:
    """Return the name of the first result that is off by more than the bound: 1000 eps of the largest entry."""
    eps = float(np.finfo(case["knots"].dtype).eps)
    for name, want in due.items():
        got = np.asarray(found[name])
        if got.shape != want.shape or (got.dtype != want.dtype and want.ndim):
            return name
        room = 1000 * eps * (float(np.abs(want[np.isfinite(want)]).max(initial=0)) + eps)
        same = (np.abs(got - want) <= room) | ((got != got) & (want != want)) | (got == want)
        if not same.all():
            return name
    return ""
