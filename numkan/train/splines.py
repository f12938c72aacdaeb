"""The splines of a network as second-order training uses them: effective coefficients in float64, without scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from numkan._check import FloatArray
from numkan.layer.grid import constant_inside, grid_from_samples, refined_grid
from numkan.model.least_squares import SplineLayer, activations, spline_layer
from numkan.model.network import Network
from numkan.spline.local import curves, local_functions
from numkan.spline.spline_basis import SplineBasis
from numkan.train.box import FAR, MARGIN, box_ends

__all__ = ["Splines", "laid_over", "of_shape", "through"]

#: Hidden grids are laid over numbers at most this large, and below the largest of the model's dtype by the second
#: factor: knots reach beyond them.
_LARGEST, _ROOM = 1e200, 256


@dataclass(frozen=True, slots=True, eq=False)
class Splines:
    """A network's layers and their coefficients."""

    layers: tuple[SplineLayer, ...]
    coefs: tuple[FloatArray, ...]  # (n_in, G + k, n_out) each

    @classmethod
    def of(cls, model: Network, *, base: bool = True) -> Splines:
        """Return those of a network; without `base`, trainable base scales count as 0."""
        return cls(*map(tuple, zip(*(spline_layer(layer, base=base) for layer in model.act_fun), strict=True)))

    def holding(self, edges: NDArray[np.bool_]) -> Splines:
        """Return the same splines with some edges (n_in, n_out) of the first layer fixed."""
        first = self.layers[0]
        return Splines((replace(first, live=first.live * ~edges), *self.layers[1:]), self.coefs)

    @property
    def vector(self) -> FloatArray:
        """All coefficients in one vector, a copy."""
        return np.concatenate([coef.reshape(-1) for coef in self.coefs])

    def at(self, vector: FloatArray) -> Splines:
        """Return the same splines with other coefficients."""
        offsets = np.cumsum([coef.size for coef in self.coefs])[:-1]
        parts = np.split(np.array(vector), offsets)
        return Splines(
            self.layers, tuple(part.reshape(coef.shape) for part, coef in zip(parts, self.coefs, strict=True))
        )

    def of_shape(self) -> Splines:
        """Return the splines with their known shapes exact to the last bit; only rounding changes."""
        if all(layer.known is None for layer in self.layers):
            return self
        return Splines(self.layers, tuple(map(of_shape, self.layers, self.coefs)))

    def activations(self, x: FloatArray) -> list[FloatArray]:
        """Return x, the inputs of every further layer, and the outputs."""
        with np.errstate(over="ignore", invalid="ignore"):
            return activations(self.layers, self.coefs, x)

    def scaled(self, by: float, shift: FloatArray) -> Splines:
        """Return the network whose outputs are `by` times this one's, and `shift` (n_out,) more.

        The shift goes into the coefficients of the last layer, which sum to it everywhere, in equal shares of its live
        edges; an output that has none keeps its own.
        """
        last = self.layers[-1]
        number = last.live.sum(axis=0)
        share = last.live * np.divide(shift, number, out=np.zeros_like(number), where=number > 0)
        layer = replace(last, base_scale=by * last.base_scale)
        return Splines((*self.layers[:-1], layer), (*self.coefs[:-1], by * self.coefs[-1] + share[:, None, :]))

    def on_grids(
        self,
        x: FloatArray,
        G: Sequence[int],
        *,
        over_samples: bool = True,
        box: FloatArray | None = None,
        farthest: float = FAR,
    ) -> Splines:
        """Return the same functions on G intervals in each layer, laid over the activations of samples x.

        An input that is constant there, inside its grid, keeps its grid and so its curves. Hidden grids have margins,
        because activations move in training, and also cover the activations at points of a `box`, see
        :func:`numkan.train.box.box_ends`. Without `over_samples` the knots are the old ones interpolated. The new curve
        interpolates the old one at the Greville abscissae of the new knots inside the domain. It is the same function
        where the new knots contain the old ones; elsewhere its error is of the order of that of the best approximation
        (de Boor, "A Practical Guide to Splines", ch. XIII).
        """
        acts: list[FloatArray] | list[None] = [None] * len(self.layers)
        if over_samples:
            acts = seen = self.activations(x)
            if box is not None:
                both = zip(seen[1:], self.activations(box)[1:], strict=True)
                acts = [x, *(np.concatenate([a, box_ends(a, wide, farthest)]) for a, wide in both)]
        layers, coefs = [], []
        for depth, (layer, coef, a, n) in enumerate(zip(self.layers, self.coefs, acts, G, strict=False)):
            if a is None:
                new = layer.on(refined_grid(layer.basis, n))
            elif np.abs(a).max() < min(_LARGEST, float(np.finfo(layer.dtype).max) / _ROOM):
                new = laid_over(layer, a, n, MARGIN if depth else 0.0)
                kept = constant_inside(a, layer.basis)
                if kept.any():
                    new = layer.on(np.where(kept[:, None], refined_grid(layer.basis, n), new.grid))
            else:
                raise FloatingPointError(f"the activations of layer {depth}")
            same = np.array_equal(layer.grid, new.grid)
            layers.append(layer if same else new)
            coefs.append(coef if same else of_shape(new, through(layer.basis, coef, new.basis)))
        return Splines(tuple(layers), tuple(coefs))

    def stretched(self, x: FloatArray, box: FloatArray) -> Splines:
        """Return the same functions on hidden grids that points of a box do not leave.

        Where activations at samples x or at those points leave a grid, its end knots move outwards, and no other: on
        the old grid the curves stay the same. Beyond it their end polynomials continue, where they would become
        straight lines on the old grid.
        """
        layers, coefs = list(self.layers), list(self.coefs)
        for depth, (layer, coef) in enumerate(zip(self.layers, self.coefs, strict=True)):
            if depth:
                layers[depth] = _stretched(layer, box_ends(x, box))
                if layers[depth] is not layer:
                    new = through(layer.basis, coef, layers[depth].basis, _points(layer.basis))
                    coefs[depth] = of_shape(layers[depth], new)
            here = Splines((layers[depth],), (coefs[depth],))
            x, box = here.activations(x)[-1], here.activations(box)[-1]
        return Splines(tuple(layers), tuple(coefs))


def _stretched(layer: SplineLayer, over: FloatArray) -> SplineLayer:
    """Return a layer whose first and last knots have moved outwards, as far as it takes to reach over two ends."""
    k, grid = layer.k, layer.grid.copy()
    low, high = grid[:, k].copy(), grid[:, -1 - k].copy()
    margin, step = MARGIN * (high - low), (high - low) / (grid.shape[1] - 1 - 2 * k)
    padding = step[:, None] * np.arange(k + 1)
    ends = over[0] - margin, over[1] + margin
    below, above = ends[0] < low, ends[1] > high
    if not (below | above).any():
        return layer
    grid[below, : k + 1] = (ends[0][:, None] - padding[:, ::-1])[below]
    grid[above, -1 - k :] = (ends[1][:, None] + padding)[above]
    return layer.on(grid.astype(layer.dtype))


def laid_over(layer: SplineLayer, a: FloatArray, G: int, margin: float = 0.0) -> SplineLayer:
    """Return a layer with a grid of G intervals over activations, whatever its coefficients are."""
    return layer.on(grid_from_samples(a, G, layer.k, layer.grid_eps, margin, layer.dtype))


def of_shape(layer: SplineLayer, coef: FloatArray) -> FloatArray:
    """Return coefficients near the given ones whose curves have the known shapes of the layer."""
    return coef if layer.known is None else layer.known.of_shape(coef, layer.grid, layer.k)


def through(old: SplineBasis, coef: FloatArray, new: SplineBasis, points: FloatArray | None = None) -> FloatArray:
    """Return the coefficients on new knots that take the old curves' values at as many points (n_basis, n_in)."""
    points = _points(new) if points is None else points
    wanted = curves(local_functions(points, old.pieces), coef)
    first, values, _ = local_functions(points, new.pieces)
    rows, out = np.arange(len(points)), np.empty((len(coef), len(points), coef.shape[2]))
    for i in range(len(coef)):
        matrix = np.zeros((len(points), len(points)))
        for r in range(values.shape[2]):
            matrix[rows, first[:, i] + r] = values[:, i, r]
        out[i] = _solved(matrix, wanted[:, i])
    return out


def _solved(matrix: FloatArray, values: FloatArray) -> FloatArray:
    """Return the solution of a system, of least norm where knots that rounding has merged make it singular."""
    _, _, solution, failed = linalg.lapack.dgesv(matrix, values)
    if failed:
        return np.linalg.lstsq(matrix, values, rcond=None)[0]
    found: FloatArray = solution
    return found


def _points(basis: SplineBasis) -> FloatArray:
    """Return as many points inside each domain as there are coefficients (n_basis, n_in), one under every function."""
    low, high = basis.domain
    inside = np.clip(basis.knots, low[:, None], high[:, None])
    if basis.degree == 0:
        return np.ascontiguousarray(0.5 * (inside[:, 1:] + inside[:, :-1]).T)
    windows = np.lib.stride_tricks.sliding_window_view(inside[:, 1:-1], basis.degree, axis=1)
    return np.ascontiguousarray(windows.mean(axis=2).T)
