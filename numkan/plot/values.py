"""The numbers that pictures of edges show."""

from __future__ import annotations

import numpy as np

from numkan._check import FloatArray
from numkan.base import base_and_slope
from numkan.layer.layer import KANLayer
from numkan.spline.curve import coef2curve

__all__ = ["drawable", "edge_parts", "edge_values", "ranges", "spread"]


def edge_values(layer: KANLayer, x: FloatArray) -> FloatArray:
    r"""Return every edge's function :math:`\phi_{io}(x_{ni})`, shape (n, n_in, n_out), at x (n, n_in).

    Their sum over the inputs is the layer's output.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KANLayer
    >>> layer, x = KANLayer(3, 2), np.array([[0.1, -0.4, 0.9]])
    >>> bool(np.allclose(edge_values(layer, x).sum(axis=1), layer(x)))
    True
    """
    base, curve = _parts(layer, x)
    values: FloatArray = layer.mask * (base + curve)
    return values


def _parts(layer: KANLayer, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    curve = coef2curve(x, layer.grid, layer.coef, layer.k, extrapolate=layer.extrapolate)
    b = base_and_slope(layer._base, x)[0][:, :, None]
    return layer.scale_base * b, layer.scale_sp * curve


def edge_parts(layer: KANLayer, i: int, o: int, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the base part and the spline part (n,) of one edge at points (n,) of its input.

    Under the policy ``"raise"`` the spline is NaN outside its grid.
    """
    policy = "nan" if layer.extrapolate == "raise" else layer.extrapolate
    curve = coef2curve(
        at[:, None], layer.grid[i : i + 1], layer.coef[i : i + 1, o : o + 1], layer.k, extrapolate=policy
    )
    base = layer.scale_base[i, o] * base_and_slope(layer._base, at)[0]
    mask = layer.mask[i, o]
    return mask * base, mask * layer.scale_sp[i, o] * curve[:, 0, 0]


def drawable(act: FloatArray) -> FloatArray:
    """Return activations with NaN for those that cannot be drawn: NaN, infinite, or with squares beyond the dtype."""
    return np.where(np.abs(act) < np.sqrt(np.finfo(act.dtype).max) / 16, act, np.nan)


def spread(values: FloatArray) -> FloatArray:
    """Return the standard deviation of the finite values along the first axis, 0 where there are none."""
    finite = np.isfinite(values)
    count = np.maximum(finite.sum(axis=0), 1)
    mean = np.sum(values, axis=0, where=finite) / count
    out: FloatArray = np.sqrt(np.sum(np.square(values - mean), axis=0, where=finite) / count)
    return out


def ranges(layer: KANLayer, x: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Return the ends (n_in,) between which the curves of each input are drawn: of its samples, or of its grid."""
    domain = layer.grid[:, layer.k], layer.grid[:, -1 - layer.k]
    if x is None:
        return domain
    finite = np.isfinite(x)
    found = finite.any(axis=0)
    low = np.where(found, np.min(x, axis=0, initial=np.inf, where=finite), domain[0])
    high = np.where(found, np.max(x, axis=0, initial=-np.inf, where=finite), domain[1])
    flat = low == high
    return np.where(flat, low - 0.01, low), np.where(flat, high + 0.01, high)
