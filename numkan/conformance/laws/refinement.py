"""The law of refinement: more knots, the same function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from numkan.conformance import twin
from numkan.conformance.adapter import Array, Layer
from numkan.conformance.cases import NetworkCase
from numkan.conformance.grids import dyadic_grid
from numkan.conformance.law import assert_within, law, require
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
        x = twin.forward(layers[-1].astype(float), x.astype(float))
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
    """On twice as many intervals outputs and derivatives by the inputs stay, where grids hold the activations."""
    case = covered(case, getattr(impl, "uniform_only", False))
    if not is_steady(case):
        return
    layers, x = case.exact
    finer = []
    for layer in case.layers:
        fine = impl.refine(layer, 2 * layer.G)
        places = np.linspace(0, layer.G, 2 * layer.G + 1)
        due = [
            np.interp(places, np.arange(layer.G + 1), t) for t in layer.grid[:, layer.k : layer.grid.shape[1] - layer.k]
        ]
        require(fine.grid.shape[1] == 2 * layer.G + 2 * fine.k + 1, f"{fine.grid.shape[1]} knots on 2 G intervals")
        found = fine.grid[:, fine.k : fine.grid.shape[1] - fine.k]
        assert_within(found, due, 8 * case.eps * abs(layer.grid).max(), "knots")
        finer.append(fine.astype(float))
    bound = 128 * (max(layer.k for layer in layers) + 1) * case.eps
    before, after = (twin.network_forward(numbers, x) for numbers in (layers, finer))
    assert_within(after, before, bound * twin.sizes(layers, x)[-1], "outputs")
    before, after = (twin.network_jacobian(numbers, x)[1] for numbers in (layers, finer))
    assert_within(after, before, bound * twin.jacobian_sizes(layers, x)[1], "derivatives")
