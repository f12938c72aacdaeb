"""Steady samples: rounding does not move any of their hidden activations to the other side of a knot.

Outputs or their derivatives may jump at a knot, so laws of whole networks hold for steady samples only.
"""

from __future__ import annotations

import numpy as np

from numkan.conformance import network_twin
from numkan.conformance.adapter import Array, Layer
from numkan.conformance.cases import NetworkCase

__all__ = ["breaks", "is_steady", "steady_rows"]


def breaks(layer: Layer) -> Array:
    """Return the points where curves may lack derivatives: knots, and the break points of policies (n_in, ...)."""
    low, high = layer.grid[:, [layer.k]], layer.grid[:, [-1 - layer.k]]
    reach = 0.03 * (high - low)
    return np.concatenate([layer.grid, low - reach, high + reach], axis=1)


def steady_rows(case: NetworkCase) -> Array:
    """Return for each sample whether its hidden activations stay in their pieces under rounding errors."""
    layers, x = case.exact
    steady = np.ones(len(x), bool)
    acts, gathered = network_twin.activations(layers, x), network_twin.sizes(layers, x)
    for layer, a, size in list(zip(layers, acts, gathered, strict=False))[1:]:
        distance = np.abs(a[:, :, None] - breaks(layer)).min(axis=2)
        steady &= (distance > 1000 * case.eps * (size + np.abs(layer.grid).max())).all(axis=1)
    return steady


def is_steady(case: NetworkCase) -> bool:
    """Return whether all samples are steady."""
    return bool(steady_rows(case).all())
