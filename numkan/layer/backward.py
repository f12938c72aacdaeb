r"""Backward through one layer: from the cotangents of its outputs to those of its coefficients and inputs.

In the notation of ``forward.py``

.. math:: y_o = \sum_i \Big( \sum_m A_{imo}\, w_i^m + b(x_i)\, C_{i,base,o} \Big), \qquad
    A_{imo} = \sum_r P_{imr}\, C_{i,f+r,o}

With :math:`\bar y_o = \partial L / \partial y_o`, summed for the coefficients over the samples n, run by run of samples
of one piece:

1. :math:`M_{imo} = \sum_n w_{ni}^m\, \bar y_{no}, \quad
   \bar C_{i,f+r,o} \mathrel{+}= \sum_m P_{imr}\, M_{imo}`
2. :math:`\bar C_{i,base,o} \mathrel{+}= \sum_n b(x_{ni})\, \bar y_{no}`
3. :math:`\bar x_{ni} = \sum_o \bar y_{no} \big( w_i' \sum_m m A_{imo}\, w_{ni}^{m-1}
   + b'(x_{ni})\, C_{i,base,o} \big)`, with the piece's :math:`w_i' = dw_i / dx_i`

Step 1 is exact to roundings of its moments: where all samples of a piece lie at one end of it, and a function nearly
vanishes, that is not relative to this function. Where a moment overflows, which takes cotangents as large as that, the
gradients of its piece are not finite; which of them are infinite, and which NaN, is not promised.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.pack import receive
from numkan.layer.powers import powers_kernel
from numkan.layer.prepare import place_kernel
from numkan.layer.row_numbers import powers_of
from numkan.layer.rows import row_ops, tile_vectors
from numkan.simd.groups import group_ops
from numkan.simd.vectors import lanes_of
from numkan.spline.pieces import function_lanes

__all__ = ["backward_kernel"]


@cache
def _coefficient_kernel(k: int, dtype: np.dtype[Any], vectors: int) -> Any:
    """Return the kernel of steps 1 and 2 for a prepared group of inputs and one tile of the outputs of a block."""
    ops, behind = row_ops(k, dtype, vectors), group_ops(powers_of(k), dtype).behind
    clear, add_moments, store, table = ops.clear, ops.add_moments, ops.store, np.uint64((k + 1) * function_lanes(k))

    @kernel
    def add_tile(grad, poly, low, high, n_rows, width, v, bars, tile_at, kept, work):  # type: ignore[no-untyped-def]
        """Add to grad, which begins with input `low`, for inputs low ... high - 1 and outputs from v on.

        poly: flat; tile_at: where the tile of their cotangents begins.
        """
        order, powers, room, first = work.order, work.numbers, work.rows, 0
        before = low * n_rows * width
        for slot in range(high - low):
            base_row = (slot * n_rows + n_rows - 1) * width + v
            start, run = (kept + slot) * work.stride, np.uint64((kept + slot) * work.runs)
            q = start
            for _ in range(work.n_runs[np.uint64(kept + slot)]):
                row, end = work.run_row[run] - before + v, start + work.run_end[run]
                piece = np.int64(np.uint64(work.run_piece[run]) * table)
                rows = add_moments(clear(grad, row, width, room), powers, first, order, q, end, bars, tile_at)
                store(rows, grad, row, width, base_row, poly, piece)
                first, run, q = behind(first, end - q), run + np.uint64(1), end

    return add_tile


@cache
def _input_kernel(k: int, dtype: np.dtype[Any], vectors: int) -> Any:
    """Return the kernel of step 3 for a prepared group of inputs and one tile of the outputs of a block."""
    ops, behind = row_ops(k, dtype, vectors), group_ops(powers_of(k), dtype).behind
    load_slopes, add_totals, table = ops.load_slopes, ops.add_totals, np.uint64((k + 1) * function_lanes(k))

    @kernel
    def add_tile(coefs, poly, inverses, low, high, n_rows, width, v, bars, tile_at, kept, work):  # type: ignore[no-untyped-def]
        """Add to the sums of sorted samples, in work.points, for inputs low ... high - 1.

        poly, tile_at: as above; inverses: flat.
        """
        order, powers, sums, room, first = work.order, work.numbers, work.points, work.rows, 0
        for slot in range(high - low):
            base_row = ((low + slot) * n_rows + n_rows - 1) * width + v
            start, run = (kept + slot) * work.stride, np.uint64((kept + slot) * work.runs)
            q, to = start, slot * work.stride - start
            for _ in range(work.n_runs[np.uint64(kept + slot)]):
                piece, row, end = np.uint64(work.run_piece[run]), work.run_row[run] + v, start + work.run_end[run]
                rows = load_slopes(coefs, row, width, base_row, poly, np.int64(piece * table), room, inverses[piece])
                add_totals(rows, powers, first, order, q, end, bars, tile_at, sums, to)
                first, run, q = behind(first, end - q), run + np.uint64(1), end

    return add_tile


@cache
def _pull_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 3 for a prepared group of inputs and all outputs of a block."""
    vectors, step = tile_vectors(k), lanes_of(dtype)
    pull_many, pull_one = _input_kernel(k, dtype, vectors), _input_kernel(k, dtype, 1)
    tile, zero = vectors * step, dtype.type(0)

    @kernel
    def pull(coefs, poly, inverses, low, high, n_rows, width, bars, bars_at, begin, count, kept, work, x_bar):  # type: ignore[no-untyped-def]
        """Fill columns low ... high - 1 of x_bar, `count` rows from `begin` on: sums over vectors, lanes, tiles."""
        sums, order = work.points, work.order
        sums[: (high - low) * work.stride] = zero
        whole = width // tile * tile
        for v in range(0, whole, tile):
            pull_many(coefs, poly, inverses, low, high, n_rows, width, v, bars, bars_at + v * count, kept, work)
        for v in range(whole, width, step):
            pull_one(coefs, poly, inverses, low, high, n_rows, width, v, bars, bars_at + v * count, kept, work)
        for slot in range(high - low):
            for s in range(count):
                sample = np.int64(order[(kept + slot) * work.stride + s])
                x_bar[begin + sample, low + slot] = sums[slot * work.stride + s]

    return pull


@cache
def _group_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the cotangents of a group of inputs of a layer, for degree `k` and a dtype."""
    place, fill = place_kernel(dtype), powers_kernel(k, dtype)
    vectors, step = tile_vectors(k), lanes_of(dtype)
    add_many, add_one = _coefficient_kernel(k, dtype, vectors), _coefficient_kernel(k, dtype, 1)
    pull, tile, zero = _pull_kernel(k, dtype), vectors * step, dtype.type(0)

    @kernel
    def backward(  # type: ignore[no-untyped-def]
        x, bars, pieces, kind, given, slope, coefs, work, low, high, grad, x_bar, with_coefs, with_inputs
    ):
        """Fill grad (high - low, G + k + 1, width) and columns low ... high - 1 of x_bar (n, n_in), where asked for.

        bars (n * width,): y_bar, in tiles, for blocks of `work.block` samples.
        """
        n = x.shape[0]
        _, n_rows, width = coefs.shape
        flat, flat_grad = coefs.reshape(-1), grad.reshape(-1)
        poly, inverses = pieces.poly.reshape(-1), pieces.inverse.reshape(-1)
        whole = width // tile * tile
        if with_coefs:
            flat_grad[:] = zero
        for begin in range(0, n, work.block):
            count, start = min(work.block, n - begin), begin * width
            at = 0
            place(x, begin, count, low, high, width, n_rows, pieces, at, work)
            fill(begin, count, low, high, pieces, kind, given, slope, with_inputs, at, work)
            if with_coefs:
                for v in range(0, whole, tile):
                    add_many(flat_grad, poly, low, high, n_rows, width, v, bars, start + v * count, at, work)
                for v in range(whole, width, step):
                    add_one(flat_grad, poly, low, high, n_rows, width, v, bars, start + v * count, at, work)
            if with_inputs:
                pull(flat, poly, inverses, low, high, n_rows, width, bars, start, begin, count, at, work, x_bar)

    return backward


@cache
def backward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the cotangents of some inputs of a layer, for degree `k` and a dtype."""
    backward = _group_kernel(k, dtype)

    @kernel
    def backward_inputs(  # type: ignore[no-untyped-def]
        x, bars, pieces, kind, given, slope, coefs, work, low, high, grad, receiver, x_bar, with_inputs
    ):
        """Do inputs low ... high - 1, as many at a time as `grad`, memory for their gradient, has room for.

        `receiver` gets the gradient unless it is empty. No two inputs meet.
        """
        inputs, with_coefs = grad.shape[0], len(receiver.coef) > 0
        for first in range(low, high, inputs):
            last = min(high, first + inputs)
            part, asked = grad[: last - first], (with_coefs, with_inputs)
            backward(x, bars, pieces, kind, given, slope, coefs, work, first, last, part, x_bar, *asked)
            if with_coefs:
                receive(part, first, last, receiver)

    return backward_inputs
