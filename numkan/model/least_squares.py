r"""A network's sum of squares, or another loss, and its normal equations, for Levenberg-Marquardt.

The unknowns are the *effective* coefficients :math:`c_{iop} = m_{io} s^{sp}_{io} coef_{iop}`, in memory's order, layer
by layer: with the scales among them the Jacobian would be singular everywhere. What the base functions add stays as it
is.

.. math:: f(c) = \sum_{no} w_n (\hat y_{no} - y_{no})^2 + c^T R c

Other losses come as residuals and factors of each sample (:mod:`numkan.model.curved`), by which the rows of J are
multiplied. J^T J is put together in blocks of rows, from segments (:mod:`numkan.model.normal_kernels`) where grids are
fine, as dense products where that is faster. No Jacobian of all rows ever exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.linalg import blas

from numkan._check import FloatArray
from numkan._kept import empty, zeros
from numkan.base import BaseFunction, base_and_slope
from numkan.compile import jit_is_off
from numkan.layer.layer import KANLayer
from numkan.model.curved import SQUARES, CurvedLoss
from numkan.model.normal_kernels import (
    STRIDE,
    Segment,
    add_segments,
    add_slopes,
    back,
    fill_dense,
    fill_segments,
    mirror,
)
from numkan.model.shapes import Shapes
from numkan.spline.local import LocalFunctions, add_curves, local_functions
from numkan.spline.spline_basis import SplineBasis

__all__ = [
    "LayerBasis", "LeastSquares", "Pass", "Quadratic", "SplineLayer", "activations", "forward_pass", "output_deltas",
    "spline_layer",
]  # fmt: skip

#: Samples that go through the network at a time, and rows of the Jacobian that are added at a time.
_SAMPLES, _ROWS = 8192, 512

#: Multiply-adds that a dense product does in the time that segments take for one, if these are compiled.
_DENSE_GAIN = np.inf if jit_is_off() else 6.0


class Quadratic(Protocol):
    """A penalty c^T R c."""

    def value(self, c: FloatArray) -> float:
        """Return c^T R c."""

    def add(self, c: FloatArray, gradient: FloatArray, normal: FloatArray) -> None:
        """Add R c to gradient and R to normal, in place."""


@dataclass(frozen=True, eq=False)
class SplineLayer:
    """A layer without its coefficients, in float64."""

    basis: SplineBasis
    grid_eps: float
    base: BaseFunction
    base_scale: FloatArray  # (n_in, n_out), masked
    live: FloatArray  # (n_in, n_out), 1 where an edge has a spline, else 0
    dtype: Any = np.float64  # of the model, which must hold all knots apart
    known: Shapes | None = None  # the shapes that its curves are to have

    @property
    def grid(self) -> FloatArray:
        """Its knots, (n_in, G + 2k + 1)."""
        return self.basis.knots

    @property
    def k(self) -> int:
        """Degree of its splines."""
        return self.basis.degree

    def on(self, knots: FloatArray) -> SplineLayer:
        """Return the layer with other knots."""
        return replace(self, basis=self.basis.on(knots.astype(np.float64)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of its coefficients: (n_in, G + k, n_out)."""
        n_in, n_out = self.live.shape
        return n_in, self.basis.n_basis, n_out


class LayerBasis(NamedTuple):
    """The functions of one layer at its inputs."""

    functions: LocalFunctions
    base: tuple[FloatArray, FloatArray] | None  # values and slopes of the base function, where one counts

    @classmethod
    def of(cls, layer: SplineLayer, x: FloatArray) -> LayerBasis:
        """Return them at x (n, n_in)."""
        counts = not layer.base.is_zero and layer.base_scale.any()
        functions = local_functions(x, layer.basis.pieces, slopes=True)
        return cls(functions, base_and_slope(layer.base, x) if counts else None)


class Pass(NamedTuple):
    """The results of a pass through the layers."""

    activations: list[FloatArray]  # x, the inputs of every further layer, the outputs
    bases: list[LayerBasis]
    edge_slopes: list[FloatArray]  # (n, n_in, n_out), where asked for, but not of the first layer


def forward_pass(
    layers: Sequence[SplineLayer], coefs: Sequence[FloatArray], x: FloatArray, first: LayerBasis, *, sloped: bool
) -> Pass:
    """Take x (n, n_in) through the layers; `first` holds the functions of the first one there."""
    done = Pass([x], [], [])
    for depth, (layer, coef) in enumerate(zip(layers, coefs, strict=True)):
        inputs = done.activations[-1]
        coef = np.require(coef, requirements="W")  # one signature of the kernels, for read-only numbers too
        basis = LayerBasis.of(layer, inputs) if depth else first
        n, n_in = inputs.shape
        n_out = layer.live.shape[1]
        wanted = sloped and depth > 0
        y, edge_slopes = zeros((n, n_out)), zeros((n if wanted else 0, n_in, n_out))
        at, values, slopes = basis.functions
        add_curves(at, values, coef, y[:, None])
        if wanted:
            add_curves(at, slopes, coef, edge_slopes)
        if basis.base is not None:
            y += basis.base[0] @ layer.base_scale
            if wanted:
                edge_slopes += basis.base[1][:, :, None] * layer.base_scale
        done.activations.append(y)
        done.bases.append(basis)
        done.edge_slopes.append(edge_slopes)
    return done


def activations(layers: Sequence[SplineLayer], coefs: Sequence[FloatArray], x: FloatArray) -> list[FloatArray]:
    """Return x (n, n_in), the inputs of every further layer, and the outputs."""
    return forward_pass(layers, coefs, x, LayerBasis.of(layers[0], x), sloped=False).activations


class LeastSquares:
    """A problem for Levenberg-Marquardt: it has the methods of :class:`numkan.optimize.NormalEquations`.

    Parameters
    ----------
    layers : sequence of SplineLayer
    x : ndarray, shape (n, n_in)
    y : ndarray, shape (n, n_out)
    root_weight : ndarray, shape (n,), or (0,) for ones
        Square roots of the samples' weights.
    penalty : Quadratic, optional
    dense : bool, optional
        Whether J^T J is made of dense products; by default, where that is faster than segments.
    curved : CurvedLoss
        The loss; least squares by default.
    """

    #: The first layer's functions at the samples are kept between calls if they are at most this many values.
    most_kept = 20_000_000

    def __init__(
        self,
        layers: Sequence[SplineLayer],
        x: FloatArray,
        y: FloatArray,
        root_weight: FloatArray | None = None,
        penalty: Quadratic | None = None,
        dense: bool | None = None,
        curved: CurvedLoss = SQUARES,
    ) -> None:
        self.layers, self.curved = tuple(layers), curved
        self.x, self.y = x, y
        self.root_weight = np.empty(0) if root_weight is None else root_weight
        self.penalty = penalty
        starts = range(0, len(x), _SAMPLES)
        self._spans = [slice(begin, min(begin + _SAMPLES, len(x))) for begin in starts]
        self._parts, self._slots, offsets = [], [], [0]
        at = 0
        for layer in self.layers:
            n_in, n_basis, n_out = layer.shape
            self._parts.append(slice(at, at + n_in * n_basis * n_out))
            at += n_in * n_basis * n_out
            length = -(-(layer.k + 1) * n_out // STRIDE) * STRIDE
            self._slots.append((len(offsets) - 1, offsets[-1]))
            offsets += [offsets[-1] + (i + 1) * length for i in range(n_in)]
        self._offsets = np.array(offsets)
        self.n_params = at
        self._kept: tuple[FloatArray, tuple[float, FloatArray, FloatArray]] | None = None
        self.dense = bool(self._offsets[-1] ** 2 * _DENSE_GAIN > at**2) if dense is None else dense

    # --- the function ---------------------------------------------------------------------------------------------

    @cached_property
    def _first(self) -> list[LayerBasis] | None:
        """The functions of the first layer at the samples, by span; None where they would take too much memory."""
        if 2 * self.x.size * (self.layers[0].k + 1) > self.most_kept:
            return None
        return [LayerBasis.of(self.layers[0], self.x[rows]) for rows in self._spans]

    @property
    def n_targets(self) -> int:
        """The number of residuals of all samples."""
        return self.y.size

    def coefficients(self, c: FloatArray) -> list[FloatArray]:
        """Return views of c as the coefficients of every layer, (n_in, G + k, n_out)."""
        return [c[part].reshape(layer.shape) for part, layer in zip(self._parts, self.layers, strict=True)]

    def _passes(self, c: FloatArray, *, sloped: bool) -> Iterator[tuple[slice, Pass]]:
        """Yield rows and what a pass of theirs leaves, for all samples."""
        coefs = self.coefficients(np.ascontiguousarray(c))
        for index, rows in enumerate(self._spans):
            x = self.x[rows]
            first = self._first[index] if self._first else LayerBasis.of(self.layers[0], x)
            yield rows, forward_pass(self.layers, coefs, x, first, sloped=sloped)

    def _weight(self, rows: slice) -> FloatArray:
        return self.root_weight[rows] if self.root_weight.size else self.root_weight

    def loss(self, c: FloatArray) -> float:
        """Return f(c)."""
        with np.errstate(over="ignore", invalid="ignore"):
            value = 0.0
            for rows, done in self._passes(c, sloped=False):
                value += self.curved.value(done.activations[-1], self.y[rows], self._weight(rows))
            return value + (self.penalty.value(c) if self.penalty else 0.0)

    def scatter(self, c: FloatArray) -> float:
        """Return what estimates the dispersion of the loss, see :class:`numkan.model.curved.CurvedLoss`."""
        if self.curved is SQUARES:
            return self.data_equations(c)[0]
        parts = self._passes(c, sloped=False)
        return sum(self.curved.scatter(done.activations[-1], self.y[rows], self._weight(rows)) for rows, done in parts)

    # --- normal equations -----------------------------------------------------------------------------------------

    def normal_equations(self, c: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return f(c), half its gradient, and J^T J + R."""
        with np.errstate(over="ignore", invalid="ignore"):
            squares, gradient, normal = self.data_equations(c)
            if self.penalty:
                gradient, normal = gradient.copy(), normal.copy()
                squares += self.penalty.value(c)
                self.penalty.add(c, gradient, normal)
        return squares, gradient, normal

    def data_equations(self, c: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return f, J^T r and J^T J without the penalty; they are kept, and not to be written."""
        if self._kept is None or not np.array_equal(c, self._kept[0]):
            self._kept = np.array(c), self._equations(np.array(c))
        return self._kept[1]

    def _equations(self, c: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        P, squares = self.n_params, 0.0
        gradient, normal = np.zeros(P + STRIDE), zeros((P + STRIDE, P + STRIDE))
        for rows, done in self._passes(c, sloped=True):
            weight = self._weight(rows)
            value, residuals, factors = self.curved.expand(done.activations[-1], self.y[rows], weight)
            squares += value
            deltas = output_deltas(done, factors)
            for begin in range(0, len(residuals), _ROWS):
                block = slice(begin, min(begin + _ROWS, len(residuals)))
                self._add_rows(done.bases, deltas, residuals, weight[block], block, gradient, normal)
        mirror(normal)
        return squares, gradient[:P], normal[:P, :P]

    def slope(self, c: FloatArray) -> tuple[float, FloatArray]:
        """Return f and J^T r without the penalty, for a small part of what J^T J costs."""
        squares, gradient = 0.0, np.zeros(self.n_params)
        for rows, done in self._passes(c, sloped=True):
            weight = self._weight(rows)
            value, residuals, factors = self.curved.expand(done.activations[-1], self.y[rows], weight)
            squares += value
            weighed = residuals * weight[:, None] if weight.size else residuals
            pulls = output_deltas(done, factors @ weighed[:, :, None])
            parts = zip(self.layers, done.bases, pulls, self.coefficients(gradient), strict=True)
            for layer, basis, pull, slopes in parts:
                add_slopes(basis.functions[:2], pull[:, :, 0], layer.live, slopes)
        return squares, gradient

    def _add_rows(
        self,
        bases: list[LayerBasis],
        deltas: list[FloatArray],
        residuals: FloatArray,
        weight: FloatArray,
        block: slice,
        gradient: FloatArray,
        normal: FloatArray,
    ) -> None:
        """Add the rows of a block of samples, residual by residual."""
        offsets = self._offsets
        count = block.stop - block.start
        rows, begins = empty((count, int(offsets[-1]))), empty((count, len(offsets) - 1), np.int64)
        for q in range(residuals.shape[1]):
            for layer, basis, delta, (slot, at), part in zip(
                self.layers, bases, deltas, self._slots, self._parts, strict=True
            ):
                functions = basis.functions.first[block], basis.functions.values[block]
                segment = Segment(layer.shape[1], part.start, slot, at)
                fill_segments(functions, delta[block], q, weight, layer.live, segment, begins, rows)
            residual = np.ascontiguousarray(residuals[block, q])
            if self.dense:
                dense = zeros((count, len(normal)))
                fill_dense(rows, begins, offsets, dense)
                gradient += dense.T @ residual
                # in Fortran's order: the upper triangle of normal.T is the lower one of normal
                blas.dsyrk(1.0, dense.T, beta=1.0, c=normal.T, lower=0, overwrite_c=1)
            else:
                add_segments(rows, begins, offsets, residual, gradient, normal)


def output_deltas(done: Pass, factors: FloatArray) -> list[FloatArray]:
    """Return the derivatives of the residuals q by every layer's outputs, (n, n_out, n_q) each."""
    deltas = [factors]
    for slopes in done.edge_slopes[:0:-1]:
        below = empty((len(slopes), slopes.shape[1], factors.shape[2]))
        back(slopes, deltas[0], below)
        deltas.insert(0, below)
    return deltas


def spline_layer(layer: KANLayer, *, base: bool = True) -> tuple[SplineLayer, FloatArray]:
    """Return a layer in float64 and its effective coefficients (n_in, G + k, n_out).

    Without `base`, trainable base scales are left out. Edges without a spline have coefficients 0, and so have those
    whose scale is 0; if scales are trainable the latter count as live.
    """
    coef, base_scale = layer._effective(np.dtype(np.float64))
    if layer.sb_trainable and not base:
        base_scale[:] = 0.0
    live = (layer._mask != 0) & ((layer._scale_sp != 0) | layer.sp_trainable)
    described = SplineLayer(
        layer.basis.astype(np.float64), layer.grid_eps, layer._base, base_scale,
        live.astype(np.float64), layer.dtype,
    )  # fmt: skip
    return described, coef
