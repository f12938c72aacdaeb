r"""A penalty on curves that rise. Without it, classes that can be told apart without error drive logits to infinity.

With the averages of the knots under each B-spline, :math:`\xi_p = (t_{p+1} + \dots + t_{p+k}) / k`, where a curve is
about as large as its coefficient, the length :math:`L_i` of an input's grid, and the size :math:`W_o` of an output,
which is 1 for the network's outputs and a third of the next layer's grid for a hidden node, the penalty is

.. math::

    P = \frac{\alpha}{2 n} \sum_{layers} \sum_{iop} \frac{m_{io}^2}{W_o^2}
        \frac{(s^{sp}_{io})^2 (c_{io,p+1} - c_{iop})^2 + (s^{base}_{io})^2 (b(\xi_{i,p+1}) - b(\xi_{ip}))^2}
             {(\xi_{i,p+1} - \xi_{ip}) / L_i} ,

of a spline about :math:`\int_0^1 (d\phi / du)^2 du / W_o^2` with :math:`u = (x_i - t_{ik}) / L_i`: the same in any
units of the inputs and on any grid. The two parts of an edge count each on its own, so that neither grows by taking the
other away. n is the number of samples, with weights :math:`(\sum w)^2 / \sum w^2`. For a straight edge it is a ridge on
its coefficient; added to the mean loss it is a prior, whose share falls as samples are added.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numkan._check import FloatArray
from numkan.base import base_and_slope
from numkan.layer.layer import KANLayer
from numkan.model.network import Network
from numkan.model.targets import Targets

__all__ = ["WEIGHT", "CurvePenalty", "number_of_samples"]

#: The weight alpha of ``penalty="auto"``.
WEIGHT = 0.1

#: The size of a hidden node, as a share of its grid.
_OF_GRID = 1 / 3


def number_of_samples(goal: Targets) -> float:
    """Return n, or the effective number of weighted samples."""
    if not goal.weight.size:
        return float(max(len(goal.label), len(goal.y)))
    weight = goal.weight.astype(np.float64) / float(goal.weight.max())
    return float(weight.sum() ** 2 / np.square(weight).sum())


class CurvePenalty:
    """The penalty of one network, on its grids as they are now; `weight` is alpha / n."""

    def __init__(self, model: Network, weight: float) -> None:
        sizes = [_OF_GRID * _lengths(layer) for layer in model.act_fun[1:]] + [np.ones(model.n_out)]
        self._weights: list[FloatArray] = []  # (n_in, G + k - 1, n_out)
        self._of_base: list[FloatArray] = []  # (n_in, n_out): of the squares of base scales
        for layer, size in zip(model.act_fun, sizes, strict=True):
            places = _places(layer)
            gaps = np.diff(places, axis=1) / _lengths(layer)[:, None]
            weights = weight / (gaps[:, :, None] * size**2)
            base = base_and_slope(layer._base, np.ascontiguousarray(places.T.astype(model.dtype)))[0].T
            self._weights.append(weights.astype(model.dtype))
            self._of_base.append(
                (weights * np.diff(base.astype(np.float64), axis=1)[:, :, None] ** 2).sum(axis=1).astype(model.dtype)
            )

    def add(self, model: Network, grad: FloatArray) -> float:
        """Return the penalty of the model's parameters, and add its gradient (n_params,)."""
        value, at = 0.0, 0
        for layer, weights, of_base in zip(model.act_fun, self._weights, self._of_base, strict=True):
            value += _add(layer, weights, of_base, layer._sections(grad[at : at + layer.n_params]))
            at += layer.n_params
        return value


def _add(layer: KANLayer, weights: FloatArray, of_base: FloatArray, sections: dict[str, FloatArray]) -> float:
    on, base = layer._mask * layer._scale_sp, layer._mask * layer._scale_base
    steps = np.diff(layer._coef, axis=1)
    pull = weights * steps
    squares = (pull * steps).sum(axis=1)
    pull *= (on * on)[:, None, :]
    sections["coef"][:, 1:] += pull
    sections["coef"][:, :-1] -= pull
    if "scale_sp" in sections:
        sections["scale_sp"] += layer._mask * on * squares
    if "scale_base" in sections:
        sections["scale_base"] += layer._mask * base * of_base
    return 0.5 * float((on * on * squares + base * base * of_base).sum(dtype=np.float64))


def _places(layer: KANLayer) -> FloatArray:
    """Return the averages of the knots under each B-spline (n_in, G + k), in float64; of degree 0 the middles."""
    grid = layer.grid.astype(np.float64)
    if not layer.k:
        return 0.5 * (grid[:, 1:] + grid[:, :-1])
    places: FloatArray = sliding_window_view(grid[:, 1:-1], layer.k, axis=1).mean(axis=2)
    return places


def _lengths(layer: KANLayer) -> FloatArray:
    """Return the lengths of the grids' domains (n_in,)."""
    grid = layer.grid.astype(np.float64)
    length: FloatArray = grid[:, layer.k + layer.G] - grid[:, layer.k]
    return length
