r"""From parameters to the direct form: edges as rows of polynomials; for the way back see ``direct_unpack.py``.

The effective coefficients of one input (``pack.py``) lie in scratch memory first, in rows of outputs with padding:

.. math:: A_{ijm} = \sum_r P_{ijmr}\, E_{i, f_j + r}.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.direct import few_columns
from numkan.layer.layout import (
    BUFFER,
    COEF,
    EDGES,
    FIRST,
    MASK,
    MATRICES,
    N_BASIS,
    N_IN,
    N_OUT,
    N_PIECES,
    PIECE_STRIDE,
    SCALE_BASE,
    SCALE_SP,
    SCALES,
    WIDTH,
)
from numkan.simd.vectors import rounded_ops, sample_lanes
from numkan.spline.pieces import function_lanes

__all__ = ["pack_direct"]


@cache
def _scale_kernel(columns: int) -> Any:
    """Return the kernel that fills `columns` columns of the rows of one input."""
    _, load, store, _, _, mul, *_ = rounded_ops(columns)

    @kernel
    def scale(storage, mask, scale_sp, scale_base, coef, n_basis, n_out, rows, to, width, edges, to_scale):  # type: ignore[no-untyped-def]
        """Fill effective coefficients from `to` on, and scales of b in edges."""
        own = load(storage, mask)
        factor = mul(own, load(storage, scale_sp))
        for p in range(n_basis):
            store(rows, to + p * width, mul(factor, load(storage, coef + p * n_out)))
        store(edges, to_scale, mul(own, load(storage, scale_base)))

    return scale


@cache
def _merge_kernel(k: int, columns: int) -> Any:
    """Return the kernel that merges `columns` columns of the rows of one input."""
    _, load, store, splat, fma, *_ = rounded_ops(columns)
    powers, numbers_of_row = k + 1, function_lanes(k)

    @kernel
    def merge(tables, matrices, firsts, first, n_pieces, rows, at, width, edges, to, stride):  # type: ignore[no-untyped-def]
        """Fill the polynomials of all pieces from `to` on."""
        zero = rows.dtype.type(0)
        for piece in range(n_pieces):
            own = at + np.int64(firsts[np.uint64(first + piece)]) * width
            matrix, polynomial = np.uint64(matrices + piece * powers * numbers_of_row), to + piece * stride
            for m in range(powers):
                part = splat(zero)
                for r in range(powers):
                    factor = splat(tables[matrix + np.uint64(m * numbers_of_row + r)])
                    part = fma(factor, load(rows, own + r * width), part)
                store(edges, polynomial + m * width, part)

    return merge


@cache
def _effective_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the rows of one input, and its scales of b."""
    few = few_columns(dtype)
    scale_few, scale_one = _scale_kernel(few), _scale_kernel(1)
    zero = dtype.type(0)

    @kernel
    def effective(storage, layout, layer, i, rows, to, edges):  # type: ignore[no-untyped-def]
        """Fill rows from `to` on; their padding is 0."""
        n_out, n_basis, width = layout[layer, N_OUT], layout[layer, N_BASIS], layout[layer, WIDTH]
        to_scale, whole = layout[layer, SCALES] + i * width, n_out // few * few
        for o in range(n_out, width):
            edges[to_scale + o] = zero
            for p in range(n_basis):
                rows[to + p * width + o] = zero
        for o in range(n_out):
            if o < whole and o % few > 0:
                continue
            edge, coef = i * n_out + o, layout[layer, COEF] + i * n_basis * n_out + o
            mask, base = layout[layer, MASK] + edge, layout[layer, SCALE_BASE] + edge
            where = mask, layout[layer, SCALE_SP] + edge, base, coef, n_basis, n_out
            if o < whole:
                scale_few(storage, *where, rows, to + o, width, edges, to_scale + o)
            else:
                scale_one(storage, *where, rows, to + o, width, edges, to_scale + o)

    return effective


@cache
def pack_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that packs the edges of a network."""
    lanes, effective = sample_lanes(dtype), _effective_kernel(dtype)
    merge_many, merge_one = _merge_kernel(k, lanes), _merge_kernel(k, 1)
    powers, numbers_of_row = k + 1, function_lanes(k)

    @kernel
    def pack(storage, tables, firsts, layout, offsets, work, edges):  # type: ignore[no-untyped-def]
        """Fill edges from the network's parameters."""
        rows = offsets[BUFFER]
        for layer in range(layout.shape[0]):
            width, n_pieces, stride = layout[layer, WIDTH], layout[layer, N_PIECES], layout[layer, PIECE_STRIDE]
            for i in range(layout[layer, N_IN]):
                effective(storage, layout, layer, i, work, rows, edges)
                matrices = layout[layer, MATRICES] + i * n_pieces * powers * numbers_of_row
                where = matrices, firsts, layout[layer, FIRST] + i * powers * n_pieces, n_pieces
                to = layout[layer, EDGES] + i * n_pieces * stride
                if width == 1:
                    merge_one(tables, *where, work, rows, width, edges, to, stride)
                    continue
                for v in range(0, width, lanes):
                    merge_many(tables, *where, work, rows + v, width, edges, to + v, stride)

    return pack
