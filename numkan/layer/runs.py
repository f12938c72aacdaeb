r"""Loops over runs: samples of one piece, which share its polynomials.

The polynomials of a piece, for a tile of outputs, are made from k + 1 rows :math:`C_r` of packed coefficients and the
local polynomials P of its functions (``spline/pieces.py``), highest power first:

.. math:: A_m = \sum_r P_{mr}\, C_r

With its k + 1 B-splines a sample would take k + 2 multiply-adds a vector, and read k + 2 values. With polynomials it
takes one multiply-add less, one addition, and reads two values. About the middle of a piece A is hardly larger than C,
whatever the knots, so nothing is lost to rounding.

The rows A_m lie in `scratch.rows`: row m of a tile of `width` outputs from m * width on, the base function's row last.
The kernel of a run is inlined into the loop over runs, and declares that no two arrays overlap. So the compiler keeps
rows in registers for all samples of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from numkan.compile import kernel
from numkan.layer.scratch import tile_width
from numkan.simd.vectors import lanes_of, prefetch_op, vector_ops
from numkan.spline.pieces import function_lanes

__all__ = ["Run", "distinct", "load_kernel", "run_loop"]

#: Rows of coefficients, after those of a run, that are prefetched: the next pieces need them.
_AHEAD = 2

#: The decorator of the kernels of one run: they are inlined into the loop over runs, and their arrays do not overlap.
distinct = partial(kernel, inline=True, noalias=True)


class Run(NamedTuple):
    """Where the arrays of a run begin, for one tile of outputs."""

    begin: int  # first of its samples, among the sorted ones of the group
    end: int  # after the last; a multiple of four after the first
    row: int  # its first of k + 1 rows of coefficients, in the flat array
    base_row: int  # the row of the base function
    stride: int  # from a row of coefficients to the next
    table: int  # its polynomials P, in the flat array
    inverse: float  # dw/dx
    tile: int  # the tiles of outputs; that of sample s is the s-th


@cache
def _run_kernel(k: int) -> Any:
    table = (k + 1) * function_lanes(k)

    @distinct
    def run_at(layer, group, scratch, at, coefs_at, tiles_at):  # type: ignore[no-untyped-def]
        slot, j, v = at
        i, (_, n_rows, width), pieces = group.low + slot, layer.coefs.shape, layer.pieces
        n_pieces = pieces.ends.shape[1]
        offset, start = slot * (n_pieces + 1) + j, slot * scratch.stride
        begin, end = start + scratch.offsets[offset], start + scratch.offsets[offset + 1]
        row = (i * n_rows + pieces.first[i, j]) * width + v - coefs_at
        base_row = ((i + 1) * n_rows - 1) * width + v - coefs_at
        tile = tiles_at + v * (group.size + 1)
        return Run(begin, end, row, base_row, width, (i * n_pieces + j) * table, pieces.inverse[i, j], tile)

    return run_at


@cache
def _tile_kernel(k: int, visit: Callable[..., Any]) -> Any:
    """Return the kernel that visits the runs of a group at one tile of outputs."""
    run_at = _run_kernel(k)

    @kernel
    def visit_tile(arrays, layer, group, scratch, v, coefs_at, tiles_at):  # type: ignore[no-untyped-def]
        poly = layer.pieces.poly.reshape(-1)
        for slot in range(group.high - group.low):
            for j in range(layer.pieces.ends.shape[1]):
                run = run_at(layer, group, scratch, (slot, j, v), coefs_at, tiles_at)
                if run.begin < run.end:
                    visit(arrays, poly, run, scratch)

    return visit_tile


@cache
def run_loop(k: int, dtype: np.dtype[Any], visit: Callable[..., Any]) -> Any:
    """Return the kernel that visits all runs of a group of inputs, tile by tile of the outputs.

    visit(k, dtype, width) returns the kernel (arrays, poly, run, scratch) that is called with each run and tile.
    """
    tile, step = tile_width(dtype), lanes_of(dtype)
    many, one = (_tile_kernel(k, visit(k, dtype, width)) for width in (tile, step))

    @kernel
    def loop(arrays, layer, group, scratch, coefs_at, tiles_at):  # type: ignore[no-untyped-def]
        """arrays: for `visit`; the flat coefficients begin at coefs_at, the tiles of the block at tiles_at."""
        width = layer.coefs.shape[2]
        whole = width // tile * tile
        for v in range(0, whole, tile):
            many(arrays, layer, group, scratch, v, coefs_at, tiles_at)
        for v in range(whole, width, step):
            one(arrays, layer, group, scratch, v, coefs_at, tiles_at)

    return loop


@cache
def load_kernel(k: int, dtype: np.dtype[Any], width: int, slopes: bool = False) -> Any:
    """Return the kernel that fills rows with A_m, or with D_m = m A_m dw/dx for m > 0 where `slopes`."""
    step, load, store, splat, fma, mul, *_ = vector_ops(lanes_of(dtype))
    powers, lanes, prefetch = k + 1, function_lanes(k), prefetch_op()
    degrees = tuple(dtype.type(m) for m in range(k, -1, -1))

    @distinct
    def load_rows(coefs, poly, run, rows):  # type: ignore[no-untyped-def]
        for v in range(0, width, step):
            for m in range(k if slopes else powers):
                value = mul(splat(poly[run.table + m * lanes]), load(coefs, run.row + v))
                for r in range(1, powers):
                    factor = splat(poly[run.table + m * lanes + r])
                    value = fma(factor, load(coefs, run.row + r * run.stride + v), value)
                if slopes:
                    value = mul(splat(degrees[m] * run.inverse), value)
                store(rows, m * width + v, value)
            store(rows, powers * width + v, load(coefs, run.base_row + v))
            prefetch(coefs, run.row + (powers + _AHEAD) * run.stride + v)

    return load_rows
