r"""From parameters to the direct form: edges as rows of polynomials; for the way back see ``direct_unpack.py``.

The effective coefficients of one input (``pack.py``) lie in scratch memory first, in rows of outputs with padding:

.. math:: A_{ijm} = \sum_r P_{ijmr}\, E_{i, f_j + r}.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from numkan.compile import Entry, kernel
from numkan.simd.vectors import rounded_ops, sample_lanes
from numkan.spline.pieces import function_lanes

__all__ = ["pack_direct"]


@partial(kernel, noalias=True)
def _effective(storage, layer, i, edges, rows, to):  # type: ignore[no-untyped-def]
    """Fill the rows (n_basis, width) of one input from `to` on, and its scales of b in edges; their padding is 0."""
    n_out, width, zero = np.uint64(layer.n_out), np.uint64(layer.width), rows.dtype.type(0)
    edge, scales = i * layer.n_out, np.uint64(layer.scales + i * layer.width)
    mask, base = np.uint64(layer.mask + edge), np.uint64(layer.scale_base + edge)
    scale = np.uint64(layer.scale_sp + edge)
    for o in range(n_out):
        edges[scales + o] = storage[mask + o] * storage[base + o]
    for o in range(n_out, width):
        edges[scales + o] = zero
    for p in range(layer.n_basis):
        own, row = np.uint64(layer.coef + (i * layer.n_basis + p) * layer.n_out), np.uint64(to + p * layer.width)
        for o in range(n_out):
            rows[row + o] = storage[mask + o] * storage[scale + o] * storage[own + o]
        for o in range(n_out, width):
            rows[row + o] = zero


@cache
def _merge_kernel(k: int, columns: int) -> Any:
    """Return the kernel that merges `columns` columns of the rows of one input."""
    _, load, store, splat, fma, *_ = rounded_ops(columns)
    powers, numbers_of_row = k + 1, function_lanes(k)

    @kernel
    def merge(grids, layer, i, edges, rows, at, v):  # type: ignore[no-untyped-def]
        """Fill the polynomials of all pieces, outputs v ..., from the rows from `at` on."""
        n_pieces, width, zero = layer.n_pieces, layer.width, rows.dtype.type(0)
        matrices, first = layer.matrices + i * n_pieces * powers * numbers_of_row, layer.first + i * powers * n_pieces
        for piece in range(n_pieces):
            own = at + v + np.int64(grids.firsts[np.uint64(first + piece)]) * width
            matrix = np.uint64(matrices + piece * powers * numbers_of_row)
            polynomial = layer.edges + v + (i * n_pieces + piece) * layer.piece_stride
            for m in range(powers):
                part = splat(zero)
                for r in range(powers):
                    factor = splat(grids.tables[matrix + np.uint64(m * numbers_of_row + r)])
                    part = fma(factor, load(rows, own + r * width), part)
                store(edges, polynomial + m * width, part)

    return merge


@cache
def pack_direct(k: int, dtype: np.dtype[Any]) -> Entry:
    """Return the kernel that packs the edges of a network."""
    lanes = sample_lanes(dtype)
    merge_many, merge_one = _merge_kernel(k, lanes), _merge_kernel(k, 1)

    @kernel
    def pack(storage, grids, scratch, edges):  # type: ignore[no-untyped-def]
        """Fill edges from the network's parameters."""
        rows, at = scratch.work, scratch.buffer
        for number in range(grids.layers.shape[0]):
            layer = grids.layers[number]
            for i in range(layer.n_in):
                _effective(storage, layer, i, edges, rows, at)
                if layer.width == 1:
                    merge_one(grids, layer, i, edges, rows, at, 0)
                    continue
                for v in range(0, layer.width, lanes):
                    merge_many(grids, layer, i, edges, rows, at, v)

    return Entry(pack)
