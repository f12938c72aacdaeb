"""The prior of the weights of penalties: ties between inputs, and means.

It holds for outputs of size 1: logits and logarithms of rates, whose scale is absolute, and targets in units of their
deviation. A hidden node has the size of its activations.
"""

from __future__ import annotations

import numpy as np

from numkan._check import FloatArray
from numkan.train.data import Data
from numkan.train.evidence import Prior
from numkan.train.roughness import measures
from numkan.train.splines import Splines

__all__ = ["first_weights", "prior_of"]

#: Weights of mean slope (for a rise by 1 in a deviation of the input), curvature and jumps.
_COMMON = (1.0, 1e-2, 1e-5)

#: The tie of weights: of 0, 0.1, 0.3 and 1 the best mean log-loss on tables that are not part of the records.
_TIE = 0.3

#: Prior mean of the weights, over the common ones, and its strength: for one layer, and for more.
_EXPECTED = ((1.0, 0.3), (10.0, 10.0))


def first_weights(splines: Splines, data: Data) -> list[FloatArray]:
    """Return the first weights (n_measures, n_in, n_out) of a fit."""
    return [
        np.broadcast_to(common, (len(common), *layer.live.shape)).copy()
        for common, layer in zip(_common_weights(splines, data), splines.layers, strict=True)
    ]


def _common_weights(splines: Splines, data: Data) -> list[FloatArray]:
    """Return weights (n_measures, 1, n_out) that all inputs of a node share."""
    nodes = [np.ptp(a, axis=0) for a in splines.activations(data.x)[1:-1]] + [np.ones(data.y.shape[1])]
    return [
        np.array(_COMMON)[-measures(layer.k) :, None, None] / np.maximum(size, 1e-6) ** 2
        for layer, size in zip(splines.layers, nodes, strict=True)
    ]


def prior_of(splines: Splines, data: Data, *, labels: bool, sized: bool, least_noise: float = 0.0) -> Prior:
    """Return the prior of the weights: their means, and the spread of each input by which they are tied.

    Classes share the weights of the last layer. There are means if outputs are `sized`, that is, of size 1. The prior
    holds if the noise is `least_noise` or more: few samples of a smooth function without noise determine its shape.
    """
    spread = []
    for layer, a in zip(splines.layers, splines.activations(data.x), strict=False):
        low, high = layer.basis.domain
        spread.append(a.std(axis=0) / (high - low))
    by, firm = _EXPECTED[len(splines.layers) > 1]
    expected = [by * common for common in _common_weights(splines, data)] if sized else []
    if expected and labels:
        expected[-1] = 2.0 * expected[-1][:, :, :1]  # two logits are half as far from 0 as from each other
    return Prior(_TIE, firm, least_noise, labels, tuple(spread), tuple(expected))
