"""Kernels of normal equations: a row of a network's Jacobian is short stretches of numbers, and so is what it adds.

By the effective coefficients, in memory's order (n_in, G + k, n_out) layer by layer, a sample's row has k + 1
coefficients for every input of a layer, each for all outputs: one *stretch* of (k + 1) n_out numbers that lie side by
side. Rows are kept as stretches; what they add to J^T J costs the product of their lengths, whatever G is.
"""

from __future__ import annotations

from numkan.compile import kernel
from numkan.simd.vectors import vector_ops

__all__ = ["add_stretches", "back", "fill_dense", "fill_stretches", "mirror"]

#: Stretches are a multiple of so many numbers long, the last ones zeros: loops without a remainder.
STRIDE = 4


@kernel
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


@kernel
def fill_stretches(values, first, delta, q, weight, live, n_basis, begin, slot, at, begins, rows):  # type: ignore[no-untyped-def]
    """Write a layer's stretches of the rows for output q: where they begin, and their numbers from place `at` on.

    delta (n, n_out, n_q) has the derivatives by the layer's outputs; weight (n,) multiplies the rows, or is empty; live
    (n_in, n_out) multiplies the edges.
    """
    n, n_in, order = values.shape
    n_out = delta.shape[1]
    length = -(-order * n_out // STRIDE) * STRIDE
    for s in range(n):
        factor = weight[s] if weight.shape[0] else 1.0
        for i in range(n_in):
            begins[s, slot + i] = begin + (i * n_basis + first[s, i]) * n_out
            place = at + i * length
            for r in range(order):
                value = factor * values[s, i, r]
                for o in range(n_out):
                    rows[s, place + r * n_out + o] = value * delta[s, o, q] * live[i, o]
            for rest in range(order * n_out, length):
                rows[s, place + rest] = 0.0


_load, _store, _splat, _fma = vector_ops(STRIDE)[1:5]


@kernel
def add_stretches(rows, begins, places, residual, gradient, normal):  # type: ignore[no-untyped-def]
    """Add rows^T residual to gradient, and rows^T rows to the lower triangle of normal.

    places (n_slots + 1,) says where the stretches of a row lie; they are in the order of their columns.
    """
    n, n_slots = begins.shape
    for s in range(n):
        e = residual[s]
        row = rows[s]
        for a in range(n_slots):
            for j in range(places[a], places[a + 1]):
                number = row[j]
                if number == 0.0:
                    continue
                to = begins[s, a] + j - places[a]
                gradient[to] += number * e
                factor, line = _splat(number), normal[to]
                for b in range(a + 1):
                    left = begins[s, b] - places[b]
                    for c in range(places[b], places[b + 1], STRIDE):
                        _store(line, left + c, _fma(factor, _load(row, c), _load(line, left + c)))


@kernel
def fill_dense(rows, begins, places, dense):  # type: ignore[no-untyped-def]
    """Write rows of stretches as rows of a dense matrix, which holds zeros wherever none lies."""
    n, n_slots = begins.shape
    for s in range(n):
        for a in range(n_slots):
            shift = begins[s, a] - places[a]
            for j in range(places[a], places[a + 1]):
                dense[s, shift + j] += rows[s, j]


@kernel
def mirror(normal):  # type: ignore[no-untyped-def]
    """Copy the lower triangle into the upper one."""
    for i in range(normal.shape[0]):
        for j in range(i):
            normal[j, i] = normal[i, j]
