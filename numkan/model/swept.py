r"""Sums of squares of residuals that hold derivatives of a network, and their normal equations.

A residual :math:`r(x, u, \partial u, \partial^2 u, \dots; p)` at points x, with unknowns p beside the network's
effective coefficients c, is minimised in :math:`f(c, p) = \sum r^2`. Jacobians of derivatives are never formed: the
residual's partials by u and its derivatives are propagated back through the layers once (:mod:`numkan.layer.jets`). At
each edge they give k + 1 entries of a row, as many as for a value. So :math:`J^T J` is computed by the kernels of fits
(:mod:`numkan.model.normal_kernels`). The unknowns are the last segment of every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from numkan._check import FloatArray
from numkan.base import base_derivatives
from numkan.compile import jit_is_off, kernel
from numkan.layer.jets import Jets, Pairs, edge_derivatives, pull, pull_from_inputs, push, push_inputs
from numkan.model.batches import slices
from numkan.model.least_squares import SplineLayer
from numkan.model.normal_kernels import STRIDE, Segment, add_segments, fill_dense, mirror
from numkan.spline.local import LocalDerivatives

__all__ = ["Linearized", "ResidualSquares", "Term", "jets_at"]

#: Rows of the Jacobian that are added at a time.
_ROWS = 512

#: Multiply-adds that a dense product does in the time that segments take for one, if these are compiled.
_DENSE_GAIN = np.inf if jit_is_off() else 6.0


class Linearized(NamedTuple):
    """Residuals near a point, weighted."""

    residuals: FloatArray  # (n, m)
    partials: list[Jets]  # for each of the m, derivatives by the jets of the outputs
    by_unknowns: FloatArray  # (n, m, n_unknowns)


class Term(Protocol):
    """An equation at its points."""

    x: FloatArray
    order: int
    pairs: Pairs

    def residuals(self, jets: Jets, unknowns: FloatArray) -> FloatArray:
        """Return weighted residuals (n, m)."""

    def linearized(self, jets: Jets, unknowns: FloatArray) -> Linearized:
        """Return weighted residuals and their partials."""


class _Layer(NamedTuple):
    """A layer at the points of a term."""

    functions: LocalDerivatives
    edges: FloatArray  # (order + 2, n, n_in, n_out); of the first layer one less
    below: Jets | None  # of its inputs; None for the first layer


def _local(layer: SplineLayer, a: FloatArray, order: int) -> tuple[LocalDerivatives, list[FloatArray]]:
    counts = not layer.base.is_zero and layer.base_scale.any()
    return layer.basis.local_derivatives(a, order), base_derivatives(layer.base, a, order) if counts else []


def _forward(
    layers: Sequence[SplineLayer],
    coefs: Sequence[FloatArray],
    term: Term,
    first: tuple[LocalDerivatives, list[FloatArray]],
) -> tuple[list[_Layer], Jets]:
    done, jets = list[_Layer](), None
    for layer, coef in zip(layers, coefs, strict=True):
        functions, base = first if jets is None else _local(layer, jets.value, term.order + 1)
        edges = edge_derivatives(functions, base, np.require(coef, requirements=["C", "W"]), layer.base_scale)
        done.append(_Layer(functions, edges, jets))
        jets = push_inputs(edges, term.pairs, term.order) if jets is None else push(edges, term.pairs, jets)
    assert jets is not None
    return done, jets


class _Points(NamedTuple):
    """A term of points alone, for jets without an equation."""

    x: FloatArray
    order: int
    pairs: Pairs


def jets_at(
    layers: Sequence[SplineLayer], coefs: Sequence[FloatArray], x: FloatArray, order: int, pairs: Pairs
) -> Jets:
    """Return the jets of the outputs of spline layers at x (n, n_in)."""
    points: Term = _Points(x, order, pairs)  # type: ignore[assignment]
    return _forward(layers, coefs, points, _local(layers[0], x, order))[1]


@partial(kernel, noalias=True)
def _fill(functions, c, live, segment, at, begins, rows):  # type: ignore[no-untyped-def]
    """Write a layer's segments of the rows of points at, at + 1, ..., and into `begins` where they begin.

    functions: first (n, n_in) and derivatives (order + 1 or more, n, n_in, k + 1); c (n, n_in, n_out, order + 1).
    """
    first, values = functions
    count = rows.shape[0]
    powers = values.shape[3]
    _, n_in, n_out, orders = c.shape
    length = -(-powers * n_out // STRIDE) * STRIDE
    for s in range(count):
        for i in range(n_in):
            begins[s, segment.slot + i] = segment.begin + (i * segment.n_basis + first[at + s, i]) * n_out
            to = segment.at + i * length
            for r in range(powers):
                for o in range(n_out):
                    total = 0.0
                    for m in range(orders):
                        total += values[m, at + s, i, r] * c[at + s, i, o, m]
                    rows[s, to + r * n_out + o] = total * live[i, o]
            for rest in range(powers * n_out, length):
                rows[s, to + rest] = 0.0


class ResidualSquares:
    """A problem for Levenberg-Marquardt: it has the methods of :class:`numkan.optimize.NormalEquations`.

    Parameters
    ----------
    layers : sequence of SplineLayer
    terms : sequence of Term
    n_unknowns : int
    same : ndarray of int, optional, shape (n_coefs,)
        For each coefficient the number of the one that it equals, which is its own original: periodic splines.
    """

    def __init__(
        self,
        layers: Sequence[SplineLayer],
        terms: Sequence[Term],
        n_unknowns: int = 0,
        same: NDArray[np.int64] | None = None,
    ) -> None:
        self.layers, self.terms, self.n_unknowns = tuple(layers), tuple(terms), n_unknowns
        self._first = [_local(self.layers[0], term.x, term.order) for term in self.terms]
        self._segments, offsets, at = list[Segment](), [0], 0
        for layer in self.layers:
            n_in, n_basis, n_out = layer.shape
            self._segments.append(Segment(n_basis, at, len(offsets) - 1, offsets[-1]))
            length = -(-(layer.k + 1) * n_out // STRIDE) * STRIDE
            offsets += [offsets[-1] + (i + 1) * length for i in range(n_in)]
            at += n_in * n_basis * n_out
        self.n_coefs = at
        if n_unknowns:
            offsets.append(offsets[-1] - -n_unknowns // STRIDE * STRIDE)
        self._offsets = np.array(offsets)
        self._size = at + n_unknowns
        self._fold(same)
        self._dense = bool(self._offsets[-1] ** 2 * _DENSE_GAIN > self._n_columns**2)
        self._kept: tuple[FloatArray, list[tuple[list[_Layer], Jets]]] | None = None

    def _fold(self, same: NDArray[np.int64] | None) -> None:
        own = np.arange(self._size)
        origin = own if same is None else np.concatenate([same, own[self.n_coefs :]])
        touched, counts = self._touched(), np.zeros(self._size, bool)
        counts[origin[touched]] = True
        self._keep = np.flatnonzero((origin == own) & counts)
        place = np.full(self._size, len(self._keep))
        place[self._keep] = np.arange(len(self._keep))
        self._place = place[origin]
        # matrices are formed without variables that no point depends on: of inputs with far fewer knots than others
        present = touched | counts
        self._column, self._n_columns = np.cumsum(present) - 1, int(present.sum())
        doubles = np.flatnonzero(touched & (origin != own))
        self._doubles, self._originals = self._column[doubles], self._column[origin[doubles]]
        self._kept_columns = self._column[self._keep]

    def _touched(self) -> NDArray[np.bool_]:
        """Return which variables any point depends on: of the first layer, functions whose support holds a point."""
        n_in, n_basis, n_out = self.layers[0].shape
        used = np.zeros((n_in, n_basis), bool)
        for functions, _ in self._first:
            for r in range(self.layers[0].k + 1):
                used[np.arange(n_in), functions.first + r] = True
        touched = np.ones(self._size, bool)
        touched[: n_in * n_basis * n_out] = np.repeat(used.reshape(-1), n_out)
        return touched

    # --- vectors --------------------------------------------------------------------------------------------------

    def vector(self, coefs: Sequence[FloatArray], unknowns: FloatArray) -> FloatArray:
        """Return coefficients and unknowns as a vector of this problem."""
        return np.concatenate([*(coef.reshape(-1) for coef in coefs), unknowns])[self._keep]

    def split(self, z: FloatArray) -> tuple[list[FloatArray], FloatArray]:
        """Return the coefficients of every layer, (n_in, G + k, n_out), 0 where no point is, and the unknowns."""
        full = np.append(z, 0.0)[self._place]
        offsets = [segment.begin for segment in self._segments[1:]] + [self.n_coefs]
        *parts, unknowns = np.split(full, offsets)
        return [part.reshape(layer.shape) for part, layer in zip(parts, self.layers, strict=True)], unknowns

    @property
    def last_layer(self) -> slice:
        """Where the coefficients of the last layer are."""
        begin = int(np.searchsorted(self._keep, self._segments[-1].begin))
        return slice(begin, len(self._keep) - self.n_unknowns)

    # --- the function ---------------------------------------------------------------------------------------------

    def _passes(self, z: FloatArray) -> list[tuple[list[_Layer], Jets]]:
        """Return the layers and jets of every term; those of the last z are kept."""
        if self._kept is None or not np.array_equal(self._kept[0], z):
            coefs, _ = self.split(z)
            passes = [
                _forward(self.layers, coefs, term, first) for term, first in zip(self.terms, self._first, strict=True)
            ]
            self._kept = np.array(z), passes
        return self._kept[1]

    def squares(self, z: FloatArray) -> FloatArray:
        """Return the weighted sum of squares of each term."""
        with np.errstate(all="ignore"):
            unknowns = self.split(z)[1]
            each = [term.residuals(jets, unknowns) for term, (_, jets) in zip(self.terms, self._passes(z), strict=True)]
            return np.array([float(np.vdot(r, r)) for r in each])

    def loss(self, z: FloatArray) -> float:
        """Return f."""
        return float(self.squares(z).sum())

    def normal_equations(
        self, z: FloatArray, chosen: Sequence[int] | None = None
    ) -> tuple[float, FloatArray, FloatArray]:
        """Return f, J^T r and J^T J, of all terms or the chosen ones."""
        size = self._n_columns
        gradient, normal = np.zeros(size + STRIDE), np.zeros((size + STRIDE,) * 2)
        squares, unknowns = 0.0, self.split(z)[1]
        with np.errstate(all="ignore"):
            for number, (passed, jets) in enumerate(self._passes(z)):
                if chosen is None or number in chosen:
                    linear = self.terms[number].linearized(jets, unknowns)
                    squares += float(np.vdot(linear.residuals, linear.residuals))
                    for q, partials in enumerate(linear.partials):
                        swept = self._swept(passed, partials, self.terms[number].pairs)
                        self._add(passed, swept, linear, q, gradient, normal)
        mirror(normal)
        return squares, *self._folded(gradient[:size], normal[:size, :size])

    def _swept(self, passed: list[_Layer], partials: Jets, pairs: Pairs) -> list[FloatArray]:
        """Return the factors of the edges of every layer, (n, n_in, n_out, order + 1) each."""
        swept = list[FloatArray]()
        for layer in reversed(passed[1:]):
            assert layer.below is not None
            c, partials = pull(layer.edges, pairs, layer.below, partials)
            swept.insert(0, c)
        return [pull_from_inputs(partials, self.layers[0].shape[0]), *swept]

    def _add(
        self,
        passed: list[_Layer],
        swept: list[FloatArray],
        linear: Linearized,
        q: int,
        gradient: FloatArray,
        normal: FloatArray,
    ) -> None:
        """Add the rows of one residual."""
        offsets, n_unknowns = self._offsets, self.n_unknowns
        for block in slices(len(linear.residuals), _ROWS):
            count = block.stop - block.start
            rows, begins = np.zeros((count, offsets[-1])), np.empty((count, len(offsets) - 1), np.int64)
            for layer, own, c, segment in zip(self.layers, passed, swept, self._segments, strict=True):
                _fill(own.functions, c, layer.live, segment, block.start, begins, rows)
            if n_unknowns:
                begins[:, -1] = self.n_coefs
                rows[:, offsets[-2] : offsets[-2] + n_unknowns] = linear.by_unknowns[block, q]
            begins = self._column[begins]
            residual = np.ascontiguousarray(linear.residuals[block, q])
            if self._dense:
                dense = np.zeros((count, len(normal)))
                fill_dense(rows, begins, offsets, dense)
                gradient += dense.T @ residual
                # in Fortran's order: the upper triangle of normal.T is the lower one of normal
                blas.dsyrk(1.0, dense.T, beta=1.0, c=normal.T, lower=0, overwrite_c=1)
            else:
                add_segments(rows, begins, offsets, residual, gradient, normal)

    def _folded(self, gradient: FloatArray, normal: FloatArray) -> tuple[FloatArray, FloatArray]:
        to, of, keep = self._originals, self._doubles, self._kept_columns
        if len(keep) == self._n_columns:
            return gradient, normal
        np.add.at(gradient, to, gradient[of])
        np.add.at(normal.T, to, normal.T[of])
        np.add.at(normal, to, normal[of])
        return gradient[keep], normal.take(keep, axis=1).take(keep, axis=0)  # a third of the time of np.ix_
