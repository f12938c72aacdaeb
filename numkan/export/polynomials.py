"""The splines of a model as scipy's piecewise polynomials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from numkan._check import FloatArray
from numkan.export.tables import LayerTables, layer_tables
from numkan.model.network import Network

if TYPE_CHECKING:
    from scipy.interpolate import PPoly

__all__ = ["to_scipy"]


def to_scipy(self: Network) -> list[list[list[PPoly]]]:
    r"""Return the spline part of every edge as a piecewise polynomial of scipy.

    ``model.to_scipy()[l][i][o]`` is :math:`m_{io}\, s^{sp}_{io} \sum_p c_{iop} B_{p,k}(x; t_i)` of layer l, a
    :class:`scipy.interpolate.PPoly` in float64 that can be evaluated, differentiated, integrated and solved. It goes on
    outside the grid by the policy of the layer (NaN for ``"raise"``). An edge adds to it
    :math:`m_{io}\, s^{base}_{io}\, b(x)`.

    Returns
    -------
    list of list of list of scipy.interpolate.PPoly
        By layer, input and output.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model = KAN([2, 3, 1], base_fun="zero", seed=0)
    >>> curve = model.to_scipy()[0][1][2]
    >>> x = np.linspace(-1, 1, 5)
    >>> hidden = model.activations(np.stack([0 * x, x], axis=1))[1][:, 2]
    >>> bool(np.allclose(curve(x) - curve(0), hidden - hidden[2], atol=1e-12))
    True
    >>> area = curve.antiderivative()
    >>> bool(np.isclose(curve.integrate(-1, 1), area(1) - area(-1)))
    True
    """
    return [_layer(layer_tables(layer)) for layer in self.act_fun]


def _layer(layer: LayerTables) -> list[list[PPoly]]:
    n_in, _, n_out, _ = layer.poly.shape
    return [[_curve(layer, i, o) for o in range(n_out)] for i in range(n_in)]


def _curve(layer: LayerTables, i: int, o: int) -> PPoly:
    from scipy.interpolate import PPoly  # loads a third of scipy, so not with the package

    breaks = layer.breaks[i].astype(np.float64)
    span = max(breaks[-1] - breaks[0], 1.0)
    ends = np.concatenate([[breaks[0] - span], breaks, [breaks[-1] + span]])
    there = np.diff(ends) > 0  # pieces between repeated knots are empty
    left = ends[:-1][there]
    inverse, centre = layer.inverse[i, there].astype(np.float64), layer.centre[i, there].astype(np.float64)
    powers = _about(layer.poly[i, there, o].astype(np.float64), (left - centre) * inverse)
    c = powers.T * inverse ** np.arange(layer.k, -1, -1)[:, None]
    return PPoly(c, np.append(left, ends[-1]))


def _about(poly: FloatArray, w0: FloatArray) -> FloatArray:
    """Return the coefficients in w - w0 of polynomials in w (n, k + 1), the highest power first, by Horner's scheme."""
    out = poly.copy()
    k = poly.shape[1] - 1
    for last in range(k, 0, -1):
        for m in range(1, last + 1):
            out[:, m] += w0 * out[:, m - 1]
    return out
