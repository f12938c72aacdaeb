"""The law of refinement: more knots, the same function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from numkan.conformance import network_twin
from numkan.conformance.adapter import Array, Layer
from numkan.conformance.cases import NetworkCase
from numkan.conformance.grids import dyadic_grid
from numkan.conformance.law import assert_identical, assert_within, law, require
from numkan.conformance.steady import is_steady


def covered(case: NetworkCase, even: bool) -> NetworkCase:
    """Return the case with simple knots, even ones if need be, and with grids that hold all activations."""
    x, layers = case.x, []
    for layer in case.layers:
        low, high = x.min(axis=0) - 0.1, x.max(axis=0) + 0.1
        if even:
            knots = dyadic_grid(np.stack([low, high]).astype(case.dtype), layer.G, layer.k)
        else:
            knots = _stretched(layer, low, high)
        layers.append(layer.replace(grid=knots.astype(case.dtype)))
        x = network_twin.forward(layers[-1].astype(float), x.astype(float))
    return replace(case, layers=tuple(layers))


def _stretched(layer: Layer, low: Array, high: Array) -> Array:
    """Return the layer's knots, none too near its neighbour, with their domain moved to [low, high]."""
    gaps = np.maximum(np.diff(layer.grid, axis=1), 0.1)
    inside = slice(layer.k, gaps.shape[1] - layer.k)
    gaps *= ((high - low) / gaps[:, inside].sum(axis=1))[:, None]
    start = low - gaps[:, : layer.k].sum(axis=1)
    return np.concatenate([start[:, None], start[:, None] + np.cumsum(gaps, axis=1)], axis=1)


@law("N-REF", "128 (k + 1) eps sum |terms|", "knot insertion; Boehm 1980", "networks", needs=("refine",))
def refined(impl: Any, case: NetworkCase) -> None:
    """On two and three times as many intervals outputs and derivatives stay, where grids hold the activations.

    On any number of intervals, fewer too, knots divide the old ones evenly by their place; all else is carried over.
    """
    case = covered(case, getattr(impl, "uniform_only", False))
    if not is_steady(case):
        return
    layers, x = case.exact
    bound = 128 * (max(layer.k for layer in layers) + 1) * case.eps
    outputs, slopes = network_twin.network_forward(layers, x), network_twin.network_jacobian(layers, x)[1]
    sizes, size_x = network_twin.sizes(layers, x)[-1], network_twin.jacobian_sizes(layers, x)[1]
    for times in (2, 3):
        finer = [_refined(impl, layer, times * layer.G, case.eps).astype(float) for layer in case.layers]
        assert_within(network_twin.network_forward(finer, x), outputs, bound * sizes, f"{times} G: outputs")
        assert_within(network_twin.network_jacobian(finer, x)[1], slopes, bound * size_x, f"{times} G: derivatives")
    least = getattr(impl, "min_intervals", None) or 1
    if least < case.layer.G:
        coarse = _refined(impl, case.layer, case.layer.G - 1, case.eps)
        require(np.isfinite(coarse.coef).all(), "coefficients on fewer intervals are not finite")


def _refined(impl: Any, layer: Layer, G: int, eps: float) -> Layer:
    """Return a layer on G intervals, after a check of its knots, scales and settings."""
    fine: Layer = impl.refine(layer, G)
    places = np.arange(G + 1) * layer.G / G
    due = [np.interp(places, np.arange(layer.G + 1), t) for t in layer.grid[:, layer.k : layer.grid.shape[1] - layer.k]]
    require(fine.grid.shape[1] == G + 2 * fine.k + 1, f"{fine.grid.shape[1]} knots on {G} intervals")
    found = fine.grid[:, fine.k : fine.grid.shape[1] - fine.k]
    assert_within(found, due, 8 * eps * abs(layer.grid).max(), "knots")
    for name in ("mask", "scale_base"):
        assert_identical(getattr(fine, name), getattr(layer, name), f"{name} of a refined layer")
    for name in ("base_fun", "k", "extrapolate"):
        require(getattr(fine, name) == getattr(layer, name), f"{name} of a refined layer: {getattr(fine, name)!r}")
    return fine
