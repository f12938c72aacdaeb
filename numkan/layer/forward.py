r"""Forward through one layer.

.. math:: y_o = \sum_i \Big( \sum_{r=0}^{k} B_{f+r}(x_i)\, C_{i,f+r,o} + b(x_i)\, C_{i,base,o} \Big)

C are the packed coefficients (``pack.py``), f is the first of the k + 1 functions that do not vanish at x_i. Each
output is one chain of fused multiply-adds, over the inputs in order, for each input over its k + 1 functions and then
the base: that order is the layer's definition of a sum, whatever the batch, the block, or the other outputs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._groups import group_ops
from numkan._jit import kernel
from numkan._rows import row_ops, tile_vectors
from numkan._simd import lanes_of, vector_ops
from numkan.layer.prepare import fill_kernel, place_kernel, prepare_kernel
from numkan.layer.tiles import from_tiles

__all__ = ["forward_kernel", "tangent_kernel"]


@cache
def _tile_kernel(k: int, dtype: np.dtype[Any], vectors: int) -> Any:
    """Return the kernel that adds a group of prepared inputs to one tile of the outputs of a block."""
    ops, behind = row_ops(k, dtype, vectors), group_ops(k + 2, dtype).behind
    load, add_outputs = ops.load, ops.add_outputs

    @kernel
    def add_tile(functions, coefs, low, high, n_rows, width, v, tile_at, kept, work):  # type: ignore[no-untyped-def]
        """Add inputs low ... high - 1, in slots 0, 1, ..., sorted in slots from `kept` on, to the outputs from v on.

        tile_at: where their tile begins.
        """
        order, out, first = work.order, work.out, 0
        for slot in range(high - low):
            base_row = ((low + slot) * n_rows + n_rows - 1) * width + v
            start, run = (kept + slot) * work.stride, np.uint64((kept + slot) * work.runs)
            q = start
            for _ in range(work.n_runs[np.uint64(kept + slot)]):
                rows, end = load(coefs, work.run_row[run] + v, width, base_row), start + work.run_end[run]
                add_outputs(rows, functions, first, order, q, end, out, tile_at)
                first, run, q = behind(first, end - q), run + np.uint64(1), end

    return add_tile


@cache
def _contract_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that adds a group of prepared inputs to the outputs of a block."""
    vectors = tile_vectors(k)
    add_many, add_one = _tile_kernel(k, dtype, vectors), _tile_kernel(k, dtype, 1)
    step = lanes_of(dtype)
    tile = vectors * step

    @kernel
    def contract(functions, coefs, low, high, n_rows, width, count, kept, work):  # type: ignore[no-untyped-def]
        """Add inputs low ... high - 1, sorted from slot `kept` on, to the tiles of work.out.

        functions: the basis or its slopes.
        """
        whole = width // tile * tile
        for v in range(0, whole, tile):
            add_many(functions, coefs, low, high, n_rows, width, v, v * count, kept, work)
        for v in range(whole, width, step):
            add_one(functions, coefs, low, high, n_rows, width, v, v * count, kept, work)

    return contract


@cache
def forward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a layer's outputs, for degree `k` and a dtype."""
    place, fill, contract = place_kernel(dtype), fill_kernel(k, dtype), _contract_kernel(k, dtype)
    write = from_tiles(k, dtype)
    step, _, store, splat, *_ = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def forward(x, pieces, kind, given, given_slope, coefs, work, kept, y):  # type: ignore[no-untyped-def]
        """Fill y (n, n_out) from x (n, n_in) and coefs (n_in, G + k + 1, width).

        What is sorted stays in slots kept, kept + 1, ..., one for each input of each block; it does not if kept < 0.
        """
        n, n_out = y.shape
        n_in, n_rows, width = coefs.shape
        flat, out, outputs = coefs.reshape(-1), work.out, y.reshape(-1)
        for begin in range(0, n, work.block):
            count = min(work.block, n - begin)
            for at in range(0, count * width, step):
                store(out, at, splat(zero))
            for low in range(0, n_in, work.inputs):
                high = min(n_in, low + work.inputs)
                at = kept + begin // work.block * n_in + low if kept >= 0 else 0
                place(x, begin, count, low, high, width, n_rows, pieces, at, work)
                fill(begin, count, low, high, pieces, kind, given, given_slope, False, at, work)
                contract(work.basis, flat, low, high, n_rows, width, count, at, work)
            write(out, count, width, outputs, begin, n_out)

    return forward


@cache
def tangent_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    r"""Return the kernel of a layer's directional derivative, for degree `k` and a dtype.

    .. math:: \dot y_o = \sum_i \big( \phi_{io}'(x_i)\, \dot x_i + \dot\phi_{io}(x_i) \big)

    where the second term is the layer with the tangent of its packed coefficients: two contractions, one of slopes
    times the tangent of x with C, one of values with the tangent of C.
    """
    prepare, contract, (size, place, behind, _) = (
        prepare_kernel(k, dtype),
        _contract_kernel(k, dtype),
        group_ops(k + 2, dtype),
    )
    write = from_tiles(k, dtype)
    step, _, store, splat, *_ = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def tangent(x, x_dot, pieces, kind, given, given_slope, coefs, coefs_dot, work, y_dot):  # type: ignore[no-untyped-def]
        """Fill y_dot (n, n_out) from x, x_dot (n, n_in) and coefs, coefs_dot (n_in, G + k + 1, width)."""
        n, n_out = y_dot.shape
        n_in, n_rows, width = coefs.shape
        flat, flat_dot = coefs.reshape(-1), coefs_dot.reshape(-1)
        out, outputs, slope = work.out, y_dot.reshape(-1), work.slope
        for begin in range(0, n, work.block):
            count = min(work.block, n - begin)
            for at in range(0, count * width, step):
                store(out, at, splat(zero))
            for low in range(0, n_in, work.inputs):
                high, first = min(n_in, low + work.inputs), 0
                prepare(x, begin, count, low, high, width, n_rows, pieces, kind, given, given_slope, True, work)
                for i in range(low, high):
                    start, run, q = (i - low) * work.stride, (i - low) * work.runs, 0
                    while q < count:
                        end = work.run_end[run]
                        for s in range(q, end):
                            dot, at = x_dot[begin + np.int64(work.order[start + s]), i], place(first, s - q)
                            for r in range(k + 2):
                                slope[at + r * size] *= dot
                        first, run, q = behind(first, end - q), run + 1, end
                contract(slope, flat, low, high, n_rows, width, count, 0, work)
                contract(work.basis, flat_dot, low, high, n_rows, width, count, 0, work)
            write(out, count, width, outputs, begin, n_out)

    return tangent
