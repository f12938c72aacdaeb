r"""Conditions that hold exactly: :math:`u = g + d N` with the network N, where d vanishes.

The jets of u follow from those of g, d and N by the product rule, and so do a residual's partials by the jets of N.
Derivatives of g and d are Cauchy integrals over small circles (J. N. Lyness and C. B. Moler, "Numerical
differentiation of analytic functions", SIAM J. Numer. Anal. 4, 1967), exact to rounding for analytic functions:

.. math:: f^{(m)}(x) = \frac{m!}{M \rho^m} \sum_j f(x + \rho e^{i \theta_j})\, e^{-i m \theta_j}.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.layer.jets import Jets, Pairs

__all__ = ["Hard", "function_jets", "hard_conditions"]

#: Points on the upper half of a circle; its radius as a share of the points' range; how often it is halved.
_HALF, _RADIUS, _HALVINGS = 8, 0.1, 8

#: Two radii must agree to this share.
_AGREE = 1e-5


class Hard(NamedTuple):
    """The jets of g and d at some points, (n, n_out, ...) and (n, 1 or n_out, ...)."""

    g: Jets
    d: Jets

    def apply(self, own: Jets, pairs: Pairs) -> Jets:
        """Return the jets of u from those of the network."""
        g, d = self
        n0, n1, n2, n3 = own
        value, first = g.value + d.value * n0, own.first
        if n1.shape[2]:
            first = g.first + d.first * n0[..., None] + d.value[..., None] * n1
        second, third = own.second, own.third
        if n2.shape[2]:
            left, right = pairs.left, pairs.right
            second = g.second + d.second * n0[..., None] + d.value[..., None] * n2
            second += d.first[..., left] * n1[..., right] + d.first[..., right] * n1[..., left]
        if n3.shape[2]:
            pure = slice(0, pairs.n_in)
            third = g.third + d.third * n0[..., None] + d.value[..., None] * n3
            third += 3.0 * (d.second[..., pure] * n1 + d.first * n2[..., pure])
        return Jets(value, first, second, third)

    def pull(self, by_u: Jets, pairs: Pairs) -> Jets:
        """Return the partials of a residual by the network's jets from those by the jets of u."""
        d, (f0, f1, f2, f3) = self.d, by_u
        b0, b1, b2 = f0 * d.value, f1 * d.value[..., None], f2 * d.value[..., None]
        if f1.shape[2]:
            b0 = b0 + (f1 * d.first).sum(axis=2)
        if f2.shape[2]:
            b0 = b0 + (f2 * d.second).sum(axis=2)
            for p, (a, b) in enumerate(zip(pairs.left, pairs.right, strict=True)):
                b1[..., a] += f2[..., p] * d.first[..., b]
                b1[..., b] += f2[..., p] * d.first[..., a]
        if f3.shape[2]:
            pure = slice(0, pairs.n_in)
            b0 = b0 + (f3 * d.third).sum(axis=2)
            b1 += 3.0 * f3 * d.second[..., pure]
            b2[..., pure] += 3.0 * f3 * d.first
        return Jets(*(np.ascontiguousarray(b) for b in (b0, b1, b2, f3 * d.value[..., None])))


def hard_conditions(transform: Any, x: FloatArray, order: int, pairs: Pairs) -> Hard | None:
    """Return the jets of `transform`, (g, d) or None, at x."""
    if transform is None:
        return None
    return Hard(*(function_jets(f, x, order, pairs) for f in transform))


def function_jets(f: Any, x: FloatArray, order: int, pairs: Pairs) -> Jets:
    """Return the jets of a function of x (n, n_in): of a network or a solution, or of a formula."""
    if not len(x):
        return Jets(*(part[:0] for part in function_jets(f, np.zeros((1, x.shape[1])), order, pairs)))
    if hasattr(f, "derivatives"):
        found = f.derivatives(x, max(order, 1), mixed=len(pairs.left) > pairs.n_in)
        second = found[2] if order > 1 else None
        if second is not None and second.ndim == 4:
            second = second[:, :, pairs.left, pairs.right]
        parts = [found[0], found[1] if order else None, second, found[3] if order > 2 else None]
        empty = np.zeros((*found[0].shape, 0))
        return Jets(*(empty if part is None else np.ascontiguousarray(part) for part in parts))
    value = _values(f, x)
    jets = Jets.zeros(len(x), value.shape[1], pairs, order)
    jets.value[...] = value
    scale = np.ptp(x, axis=0)
    scale[scale == 0.0] = 1.0
    for p, (a, b) in enumerate(zip(pairs.left, pairs.right, strict=True)):
        if not order:
            break
        direction = scale * ((np.arange(x.shape[1]) == a) | (np.arange(x.shape[1]) == b))
        along = _along(f, x, direction, order)
        if a == b:
            for nu in range(1, order + 1):
                jets[nu][:, :, a] = along[nu - 1] / scale[a] ** nu
        else:
            both = along[1] - scale[a] ** 2 * jets.second[:, :, a] - scale[b] ** 2 * jets.second[:, :, b]
            jets.second[:, :, p] = 0.5 * both / (scale[a] * scale[b])
    return jets


def _values(f: Any, x: FloatArray) -> Any:
    out = np.asarray(f(x))
    if out.ndim < 2:
        out = np.broadcast_to(out, (len(x),))[:, None]
    if out.ndim != 2 or len(out) != len(x):
        raise ValueError(f"Argument `transform` must have functions that return (n,) or (n, n_out), not {out.shape}.")
    return out


def _along(f: Any, x: FloatArray, direction: FloatArray, order: int) -> list[FloatArray]:
    """Return derivatives along a direction, in its length: those of the radius that agrees best with its half."""
    ends = [np.abs(_values(f, x + share * direction)).max() for share in (-_RADIUS, 0.0, _RADIUS)]
    own_size = 1e-300 + float(max(ends))
    best, least, before, radius = list[FloatArray](), math.inf, None, _RADIUS
    for _ in range(_HALVINGS):
        now = _circle(f, x, direction, order, radius)
        if before is not None:
            size = [own_size + float(np.abs(own).max()) for own in now]
            gap = max(float(np.abs(a - b).max()) / s for a, b, s in zip(now, before, size, strict=True))
            if gap < least:
                best, least = before, gap
            if gap < 1e-10:
                break
        before, radius = now, 0.5 * radius
    step = 1e-5
    difference = (_values(f, x + step * direction) - _values(f, x - step * direction)) / (2 * step)
    off = float(np.abs(best[0] - difference).max()) if best else math.inf
    if not least < _AGREE or not off <= 1e-4 * (own_size + float(np.abs(difference).max())):
        raise ValueError(
            "Argument `transform` must have analytic functions of NumPy, which take complex numbers, or objects with a "
            "method `derivatives`, not functions with a kink or a comparison."
        )
    return best


def _circle(f: Any, x: FloatArray, direction: FloatArray, order: int, radius: float) -> list[FloatArray]:
    out = [0.0 for _ in range(order)]
    for j in range(_HALF):
        turn = np.exp(1j * np.pi * (j + 0.5) / _HALF)
        values = _values(f, x + radius * turn * direction)
        for nu in range(1, order + 1):
            factor = math.factorial(nu) / (_HALF * radius**nu)
            out[nu - 1] = out[nu - 1] + factor * np.real(values * turn**-nu)
    return out  # type: ignore[return-value]
