r"""Edges of a known shape: curves that rise or fall, or are convex or concave, everywhere.

A spline :math:`s = \sum_p c_p B_p` of degree k has the derivative

.. math:: s' = \sum_q m_q B_{q, k-1}, \qquad m_q = \frac{c_{q+1} - c_q}{h_q}, \qquad
          h_q = \frac{t_{q+k+1} - t_{q+1}}{k},

and B-splines are nowhere negative. So a curve rises where the slopes :math:`m_q` are not negative; by the same argument
for s', it is convex where they do not decrease. Outside the grid the policies "linear" and "clamp" go on with the slope
at the end, or with none, and a curve that rises goes on to rise; under "linear" a convex one stays convex.

In a network, give every node a sign that says whether it rises or falls with the inputs in question, or takes no part.
Every edge from one of these inputs, or from a node that takes part, leads to a node that does, and rises or falls as
the two signs say; other edges are free, or off. By induction over the layers each node is monotone: a sum of monotone
functions, of one sense, of nodes that are. Signs of hidden nodes can all be chosen to rise, because a node whose sign
changes, with all its edges, computes the same function.

The coefficients of an edge are :math:`c = T u`, with the slopes' increments, in the right sense, among the variables u
that are not negative (:mod:`numkan.optimize.bounded`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray

__all__ = ["EdgeChart", "Shapes"]

Signs = NDArray[np.int8]


class Shapes(NamedTuple):
    """What is known of the curves of a layer: (n_in, n_out) each."""

    rise: Signs  # 1 where they rise, -1 where they fall, 0 where they are free
    bend: Signs  # 1 where they are convex, -1 where they are concave

    def edges(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield input, output, rise and bend of every edge of which something is known."""
        for i, o in np.argwhere((self.rise != 0) | (self.bend != 0)).tolist():
            yield i, o, int(self.rise[i, o]), int(self.bend[i, o])

    def of_shape(self, coef: FloatArray, knots: FloatArray, k: int) -> FloatArray:
        """Return coefficients (n_in, G + k, n_out) of curves that have the shapes: near ones, the same where they do.

        The nearest non-decreasing numbers to v are near the mean of their running maximum from the left and their
        running minimum from the right, which is v itself where v does not decrease.
        """
        out = coef.copy()
        for i, o, rise, bend in self.edges():
            c = out[i, :, o]
            if bend:
                h = _steps(knots[i], k)
                slopes = bend * _rising(bend * np.diff(c) / h)
                slopes = np.maximum(rise * slopes, 0.0) * rise if rise else slopes
                shaped = np.concatenate([[0.0], np.cumsum(h * slopes)])
                out[i, :, o] = shaped + (c - shaped).mean()
            else:
                out[i, :, o] = rise * _rising(rise * c)
        return out


def _rising(values: FloatArray) -> FloatArray:
    """Return numbers that do not decrease, near some, the same where these do not."""
    above, below = np.maximum.accumulate(values), np.minimum.accumulate(values[::-1])[::-1]
    middle: FloatArray = above + 0.5 * (below - above)
    return np.maximum.accumulate(middle)


def _steps(knots: FloatArray, k: int) -> FloatArray:
    """Return the distances h (G + k - 1,) of the Greville abscissae, by which differences become slopes."""
    h: FloatArray = (knots[k + 1 : -1] - knots[1 : -k - 1]) / k
    return h


def _matrix(h: FloatArray, rise: int, bend: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return T (n_basis, n_basis) of one edge, and which variables are not negative."""
    n = len(h) + 1
    bounded = np.arange(n) >= (1 if rise else 2)
    if not bend:
        below = np.tril(np.ones((n, n)))
        below[:, 1:] *= rise
        return below, bounded
    at_end = rise * bend < 0  # the least steep slope is the last one
    slopes = np.zeros((n - 1, n))  # of c, by u
    slopes[:, 1] = rise or 1
    ones = np.ones((n - 1, n - 2))
    slopes[:, 2:] = -bend * np.triu(ones) if at_end else bend * np.tril(ones, -1)
    matrix = np.zeros((n, n))
    matrix[:, 0] = 1.0
    matrix[1:] += np.cumsum(h[:, None] * slopes, axis=0)
    return matrix, bounded


class _Edge(NamedTuple):
    """The places of an edge's coefficients among all, T, and its inverse."""

    places: slice
    matrix: FloatArray
    inverse: FloatArray


class EdgeChart:
    """Variables u with c = T u, of all coefficients of some layers; see :class:`numkan.optimize.bounded.Chart`.

    `layers` has the shapes, the knots and the degree of each, and its shape (n_in, G + k, n_out).
    """

    def __init__(self, layers: Sequence[tuple[Shapes | None, FloatArray, int, tuple[int, int, int]]]) -> None:
        edges, bounded, at = list[_Edge](), list[NDArray[np.bool_]](), 0
        for known, knots, k, shape in layers:
            n_in, n_basis, n_out = shape
            bounded.append(np.zeros(n_in * n_basis * n_out, bool))
            for i, o, rise, bend in known.edges() if known else ():
                begin, end = i * n_basis * n_out + o, (i + 1) * n_basis * n_out
                matrix, bounded[-1][begin:end:n_out] = _matrix(_steps(knots[i], max(k, 1)), rise, bend)
                edges.append(_Edge(slice(at + begin, at + end, n_out), matrix, np.linalg.inv(matrix)))
            at += n_in * n_basis * n_out
        self._edges, self.bounded = edges, np.concatenate(bounded)

    def variables(self, c: FloatArray) -> FloatArray:
        """Return u."""
        return self._changed(c, [edge.inverse for edge in self._edges])

    def push(self, u: FloatArray) -> FloatArray:
        """Return T u."""
        return self._changed(u, [edge.matrix for edge in self._edges])

    def pull(self, gradient: FloatArray) -> FloatArray:
        """Return T^T g, or that of every row of an array."""
        return self._changed(gradient, [edge.matrix.T for edge in self._edges])

    def pull_normal(self, normal: FloatArray) -> FloatArray:
        """Return T^T A T."""
        return self.pull(self.pull(normal).T)

    def pull_diagonal(self, diagonal: FloatArray) -> FloatArray:
        """Return T^T D T of a diagonal matrix, which mixes no two edges."""
        out = np.diag(diagonal)
        for edge in self._edges:
            out[edge.places, edge.places] = edge.matrix.T * diagonal[edge.places] @ edge.matrix
        return out

    def _changed(self, values: FloatArray, by: list[FloatArray]) -> FloatArray:
        out = values.copy()
        for edge, matrix in zip(self._edges, by, strict=True):
            out[edge.places] = matrix @ values[edge.places]
        return out
