"""Where the knots of a network lie that solves an equation: over the box in the first layer, over activations beyond.

Beside a grid the policy of a model would draw straight lines, where curvature is 0 and an equation of second order sees
nothing. So in training the end polynomials go on without limit, and hidden grids reach over the activations at all
points of all equations, with a margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan.layer.grid import grid_from_samples
from numkan.model.least_squares import SplineLayer
from numkan.spline.knots import extend_grid
from numkan.spline.spline_basis import SplineBasis
from numkan.train.splines import Splines, through

__all__ = ["FirstGrid", "endless", "laid", "same_coefficients"]

#: Hidden grids reach so much further than activations, as a share of their range.
MARGIN = 0.05


def endless(layer: SplineLayer, knots: FloatArray) -> SplineLayer:
    """Return a layer on other knots, whose end polynomials go on without limit."""
    moved = layer.on(knots)
    basis = SplineBasis.unchecked(moved.grid, layer.k, "continue")
    pieces = basis.pieces
    tables = [np.array(table) for table in (pieces.centre, pieces.inverse, pieces.first, pieces.poly)]
    for table in tables:
        table[:, 0], table[:, -1] = table[:, 1], table[:, -2]
    basis.__dict__["pieces"] = pieces._replace(centre=tables[0], inverse=tables[1], first=tables[2], poly=tables[3])
    return SplineLayer(basis, layer.grid_eps, layer.base, layer.base_scale, layer.live, layer.dtype)


@dataclass(frozen=True, eq=False)
class FirstGrid:
    """The knots of the inputs."""

    low: FloatArray  # (n_in,): of all points
    high: FloatArray
    given: Mapping[int, FloatArray]  # interior knots that the caller gave, by input
    periodic: tuple[int, ...]

    def knots(self, G: int, k: int) -> FloatArray:
        """Return extended knots with G intervals in each input, or those that were given; all inputs have as many."""
        n = max([G, *(len(knots) - 1 for knots in self.given.values())], default=G)
        if self.periodic:
            n = max(n, k)
        rows = []
        for i, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if i in self.given:
                interior = _subdivided(self.given[i], n)
            elif i in self.periodic:
                interior = np.linspace(low, high, n + 1)
            else:  # G intervals over the points, and the others beside them, where nothing is
                interior = low + (high - low) / G * (np.arange(n + 1) - (n - G) // 2)
            row = extend_grid(interior[None], k)[0]
            if i in self.periodic and k:
                row[:k] = interior[-1 - k : -1] - (high - low)
                row[-k:] = interior[1 : k + 1] + (high - low)
            rows.append(row)
        return np.array(rows)


def _subdivided(knots: FloatArray, n: int) -> FloatArray:
    """Return knots with n intervals, of which the longest are halved until there are enough."""
    out = np.array(knots)
    while len(out) <= n:
        longest = int(np.argmax(np.diff(out)))
        out = np.insert(out, longest + 1, 0.5 * (out[longest] + out[longest + 1]))
    return out


def laid(splines: Splines, points: FloatArray, grids: list[int], first: FirstGrid) -> Splines:
    """Return the same functions with the first grid as it is to be, and hidden ones over activations at the points."""
    layers, coefs, a = [], [], points
    for depth, (layer, coef, G) in enumerate(zip(splines.layers, splines.coefs, grids, strict=True)):
        knots = grid_from_samples(a, G, layer.k, 1.0, MARGIN) if depth else first.knots(G, layer.k)
        new = layer if np.array_equal(knots, layer.grid) else endless(layer, knots)
        layers.append(new)
        coefs.append(coef if new is layer else through(layer.basis, coef, new.basis))
        if depth + 1 < len(grids):
            a = Splines((new,), (coefs[-1],)).activations(a)[-1]
            if not np.isfinite(a).all():
                raise FloatingPointError(f"the activations of layer {depth + 1}")
    return Splines(tuple(layers), tuple(coefs))


def same_coefficients(splines: Splines, periodic: tuple[int, ...]) -> NDArray[np.int64] | None:
    """Return for each coefficient the one that it equals; see :class:`numkan.model.swept.ResidualSquares`."""
    if not periodic:
        return None
    same = np.arange(sum(coef.size for coef in splines.coefs))
    n_in, n_basis, n_out = splines.coefs[0].shape
    n = n_basis - splines.layers[0].k
    view = same[: n_in * n_basis * n_out].reshape(n_in, n_basis, n_out)
    for i in periodic:
        view[i, n:] = view[i, np.arange(n, n_basis) % n]
    return same
