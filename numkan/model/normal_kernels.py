"""Kernels of the normal equations, for Jacobians whose rows are a few short segments.

The effective coefficients lie in memory in the order (n_in, G + k, n_out), layer by layer. A sample depends on k + 1
coefficients of every input of a layer, each for all outputs: one *segment* of (k + 1) n_out adjacent values in its row
of the Jacobian. Rows are stored as segments. Adding a row to J^T J costs the product of their lengths, for any G.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from numkan.compile import kernel
from numkan.simd.vectors import vector_ops

__all__ = ["Segment", "add_segments", "add_slopes", "back", "fill_dense", "fill_segments", "mirror"]

#: Segments are padded with zeros to a multiple of this length, so that loops have no remainder.
STRIDE = 4


class Segment(NamedTuple):
    """The positions of a layer's segments, in a row and among all coefficients."""

    n_basis: int  # G + k
    begin: int  # of the layer's coefficients among all
    slot: int  # of its first input among all
    at: int  # offset of its first segment in a row


@partial(kernel, noalias=True)
def back(edge_slopes, above, below):  # type: ignore[no-untyped-def]
    """Fill below (n, n_in, n_q) with the derivatives of outputs q by a layer's inputs, from those by its outputs."""
    n, n_in, n_out = edge_slopes.shape
    n_q = above.shape[2]
    for s in range(n):
        for i in range(n_in):
            for q in range(n_q):
                total = 0.0
                for o in range(n_out):
                    total += edge_slopes[s, i, o] * above[s, o, q]
                below[s, i, q] = total


@partial(kernel, noalias=True)
def add_slopes(functions, pull, live, slopes):  # type: ignore[no-untyped-def]
    """Add a layer's part of J^T r to slopes (n_in, G + k, n_out).

    functions: first (n, n_in) and values (n, n_in, k + 1); pull (n, n_out): J^T r of each sample, by the outputs.
    """
    first, values = functions
    n, n_in, order = values.shape
    n_out = pull.shape[1]
    for s in range(n):
        for i in range(n_in):
            for r in range(order):
                value, own = values[s, i, r], slopes[i, first[s, i] + r]
                for o in range(n_out):
                    own[o] += value * pull[s, o] * live[i, o]


@partial(kernel, noalias=True)
def fill_segments(functions, delta, q, weight, live, segment, begins, rows):  # type: ignore[no-untyped-def]
    """Write a layer's segments of the rows for output q, and into `begins` the coefficients where they begin.

    functions: first (n, n_in) and values (n, n_in, k + 1); delta (n, n_out, n_q) has the derivatives by the layer's
    outputs; weight (n,) multiplies the rows, or is empty; live (n_in, n_out) multiplies the edges.
    """
    first, values = functions
    n, n_in, order = values.shape
    n_out = delta.shape[1]
    length = -(-order * n_out // STRIDE) * STRIDE
    for s in range(n):
        factor = weight[s] if weight.shape[0] else 1.0
        for i in range(n_in):
            begins[s, segment.slot + i] = segment.begin + (i * segment.n_basis + first[s, i]) * n_out
            to = segment.at + i * length
            for r in range(order):
                value = factor * values[s, i, r]
                for o in range(n_out):
                    rows[s, to + r * n_out + o] = value * delta[s, o, q] * live[i, o]
            for rest in range(order * n_out, length):
                rows[s, to + rest] = 0.0


_load, _store, _splat, _fma = vector_ops(STRIDE)[1:5]


@partial(kernel, noalias=True)
def add_segments(rows, begins, offsets, residual, gradient, normal):  # type: ignore[no-untyped-def]
    """Add rows^T residual to gradient, and rows^T rows to the lower triangle of normal.

    offsets (n_slots + 1,): where the segments of a row lie, which are in the order of their columns. Pairs of segments
    come one after the other, each for all rows: of a large matrix the cache then has to hold a block at a time.
    """
    n, n_slots = begins.shape
    for s in range(n):
        for a in range(n_slots):
            to = begins[s, a] - offsets[a]
            for j in range(offsets[a], offsets[a + 1]):
                if rows[s, j] != 0.0:
                    gradient[to + j] += rows[s, j] * residual[s]
    for a in range(n_slots):
        for b in range(a + 1):
            for s in range(n):
                row, to, left = rows[s], begins[s, a] - offsets[a], begins[s, b] - offsets[b]
                for j in range(offsets[a], offsets[a + 1]):
                    if row[j] == 0.0:
                        continue
                    factor, line = _splat(row[j]), normal[to + j]
                    for c in range(offsets[b], offsets[b + 1], STRIDE):
                        _store(line, left + c, _fma(factor, _load(row, c), _load(line, left + c)))


@partial(kernel, noalias=True)
def fill_dense(rows, begins, offsets, dense):  # type: ignore[no-untyped-def]
    """Write rows of segments as rows of a dense matrix, which holds zeros outside of segments."""
    n, n_slots = begins.shape
    for s in range(n):
        for a in range(n_slots):
            shift = begins[s, a] - offsets[a]
            for j in range(offsets[a], offsets[a + 1]):
                dense[s, shift + j] += rows[s, j]


@kernel
def mirror(normal):  # type: ignore[no-untyped-def]
    """Copy the lower triangle into the upper one."""
    for i in range(normal.shape[0]):
        for j in range(i):
            normal[j, i] = normal[i, j]
