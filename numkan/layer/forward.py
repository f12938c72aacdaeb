r"""Forward through one layer.

.. math:: y_o = \sum_i \Big( \sum_{m=0}^{k} A_{imo}\, w_i^m + b(x_i)\, C_{i,base,o} \Big), \qquad
    A_{imo} = \sum_{r=0}^{k} P_{imr}\, C_{i,f+r,o}

C are the packed coefficients (``pack.py``), f is the first of the k + 1 B-splines that do not vanish at x_i, P are
their polynomials in the local variable w of the piece that x_i lies in (``pieces.py``). Each output is one chain over
the inputs in order, for each input first plus A_0, then plus w times the rest, by Horner, then plus the base. That
order is the layer's definition of a sum, whatever the batch, the block, or the other outputs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.powers import values_kernel
from numkan.layer.prepare import place_kernel, prepare_kernel
from numkan.layer.row_numbers import VALUES
from numkan.layer.rows import row_ops, tile_vectors
from numkan.layer.tiles import copy_rows, from_tiles
from numkan.simd.groups import group_ops
from numkan.simd.vectors import lanes_of, vector_ops
from numkan.spline.pieces import function_lanes

__all__ = ["forward_kernel", "tangent_kernel"]


@cache
def _tile_kernel(k: int, dtype: np.dtype[Any], vectors: int) -> Any:
    """Return the kernel that adds a group of inputs to one tile of the outputs of a block."""
    ops, behind = row_ops(k, dtype, vectors), group_ops(VALUES, dtype).behind
    load, add_outputs, table = ops.load, ops.add_outputs, np.uint64((k + 1) * function_lanes(k))

    @kernel
    def add_tile(coefs, poly, low, high, n_rows, width, v, tile_at, kept, work):  # type: ignore[no-untyped-def]
        """Add inputs low ... high - 1, sorted in slots from `kept` on, to the outputs from v on.

        poly: flat; tile_at: where their tile begins.
        """
        order, values, out, room, first = work.order, work.numbers, work.out, work.rows, 0
        for slot in range(high - low):
            base_row = ((low + slot) * n_rows + n_rows - 1) * width + v
            start, run = (kept + slot) * work.stride, np.uint64((kept + slot) * work.runs)
            q = start
            for _ in range(work.n_runs[np.uint64(kept + slot)]):
                piece, end = np.int64(np.uint64(work.run_piece[run]) * table), start + work.run_end[run]
                rows = load(coefs, work.run_row[run] + v, width, base_row, poly, piece, room)
                add_outputs(rows, values, first, order, q, end, out, tile_at)
                first, run, q = behind(first, end - q), run + np.uint64(1), end

    return add_tile


@cache
def _contract_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that adds a group of inputs to the outputs of a block."""
    vectors, step = tile_vectors(k), lanes_of(dtype)
    add_many, add_one, tile = _tile_kernel(k, dtype, vectors), _tile_kernel(k, dtype, 1), vectors * step

    @kernel
    def contract(coefs, poly, low, high, n_rows, width, count, kept, work):  # type: ignore[no-untyped-def]
        """Add inputs low ... high - 1, sorted from slot `kept` on, to the tiles of work.out."""
        whole = width // tile * tile
        for v in range(0, whole, tile):
            add_many(coefs, poly, low, high, n_rows, width, v, v * count, kept, work)
        for v in range(whole, width, step):
            add_one(coefs, poly, low, high, n_rows, width, v, v * count, kept, work)

    return contract


@cache
def forward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a layer's outputs, for degree `k` and a dtype."""
    place, fill, contract = place_kernel(dtype), values_kernel(dtype), _contract_kernel(k, dtype)
    step, _, store, splat, *_ = vector_ops(lanes_of(dtype))
    write, zero = from_tiles(k, dtype), dtype.type(0)

    @kernel
    def forward(x, pieces, kind, given, given_slope, coefs, work, y):  # type: ignore[no-untyped-def]
        """Fill y (n, n_out) from x (n, n_in) and packed coefs (n_in, G + k + 1, width)."""
        n, n_out = y.shape
        n_in, n_rows, width = coefs.shape
        flat, poly, out, outputs = coefs.reshape(-1), pieces.poly.reshape(-1), work.out, y.reshape(-1)
        for begin in range(0, n, work.block):
            count = min(work.block, n - begin)
            for at in range(0, count * width, step):
                store(out, at, splat(zero))
            for low in range(0, n_in, work.inputs):
                high = min(n_in, low + work.inputs)
                place(x, begin, count, low, high, width, n_rows, pieces, 0, work)
                fill(begin, count, low, high, pieces, kind, given, given_slope, False, 0, work)
                contract(flat, poly, low, high, n_rows, width, count, 0, work)
            write(out, count, width, outputs, begin, n_out)

    return forward


@cache
def tangent_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    r"""Return the kernel of a layer's directional derivative, for degree `k` and a dtype.

    .. math:: \dot y_o = \sum_i \big( \phi_{io}'(x_i)\, \dot x_i + \dot\phi_{io}(x_i) \big)

    where the second term is the layer with the tangent of its packed coefficients. Each of the k + 2 functions is taken
    for itself, since what its slope is multiplied by is the sample's own.
    """
    prepare, (size, place, behind, _) = prepare_kernel(k, dtype), group_ops(k + 2, dtype)
    step, load, store, splat, fma, *_ = vector_ops(lanes_of(dtype))
    copy, powers, zero = copy_rows(dtype), k + 1, dtype.type(0)

    @kernel
    def tangent(x, x_dot, pieces, kind, given, given_slope, coefs, coefs_dot, work, y_dot):  # type: ignore[no-untyped-def]
        """Fill y_dot (n, n_out) from x, x_dot (n, n_in) and coefs, coefs_dot (n_in, G + k + 1, width)."""
        n, n_out = y_dot.shape
        n_in, n_rows, width = coefs.shape
        flat, flat_dot, basis, slope = coefs.reshape(-1), coefs_dot.reshape(-1), work.numbers, work.slope
        out, outputs = work.out, y_dot.reshape(-1)
        for begin in range(0, n, work.block):
            count = min(work.block, n - begin)
            for at in range(0, count * width, step):
                store(out, at, splat(zero))
            for i in range(n_in):
                prepare(x, begin, count, i, i + 1, width, n_rows, pieces, kind, given, given_slope, True, work)
                base_row, run, groups, start = (i * n_rows + n_rows - 1) * width, 0, 0, 0
                for q in range(count):
                    if q == work.run_end[run]:
                        run, groups, start = run + 1, behind(groups, q - start), q
                    sample, at = np.int64(work.order[q]), place(groups, q - start)
                    dot = x_dot[begin + sample, i]
                    for v in range(0, width, step):
                        y = load(out, sample * width + v)
                        for r in range(powers + 1):
                            row = (work.run_row[run] + r * width if r < powers else base_row) + v
                            y = fma(splat(slope[at + r * size] * dot), load(flat, row), y)
                            y = fma(splat(basis[at + r * size]), load(flat_dot, row), y)
                        store(out, sample * width + v, y)
            copy(out, 0, width, outputs, begin * n_out, n_out, count, n_out)

    return tangent
