r"""Forward through one layer.

.. math:: y_o = \sum_i \Big( \sum_{m=0}^{k} A_{imo}\, w_i^m + b(x_i)\, C_{i,base,o} \Big), \qquad
    A_{imo} = \sum_{r=0}^{k} P_{imr}\, C_{i,f+r,o}

C are the packed coefficients (``pack.py``), f is the first of the k + 1 B-splines that do not vanish at x_i, P are
their polynomials in the local variable w of the piece that x_i lies in (``pieces.py``). Each output is one chain over
the inputs in order, for each input first plus A_0, then plus w times the rest, by Horner, then plus the base. Where
inputs are many it is two, a chain over the first half of them plus one over the others, so that two threads can have
one each. That order is the layer's definition of a sum, whatever the batch, the block, or the other outputs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.pack import pack
from numkan.layer.powers import values_kernel
from numkan.layer.prepare import place_kernel
from numkan.layer.row_numbers import VALUES
from numkan.layer.rows import row_ops, tile_vectors
from numkan.layer.tiles import from_tiles
from numkan.simd.groups import group_ops
from numkan.simd.vectors import lanes_of, vector_ops
from numkan.spline.pieces import function_lanes

__all__ = ["chain_kernel", "forward_kernel", "second_chain"]

#: From so many inputs on, an output is two chains.
_TWO_CHAINS = 512


@kernel
def second_chain(n_in):  # type: ignore[no-untyped-def]
    """Return at which of n_in inputs the second chain begins; n_in where there is only one.

    That is a multiple of 16, however many are prepared at once: it belongs to what a sum is, and follows nothing else.
    """
    return (n_in + 31) // 32 * 16 if n_in >= _TWO_CHAINS else n_in


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
def chain_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of one chain of a layer's outputs over a block, for degree `k` and a dtype."""
    place, fill, contract = place_kernel(dtype), values_kernel(dtype), _contract_kernel(k, dtype)
    step, _, store, splat, *_ = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def chain(x, begin, count, pieces, kind, given, given_slope, source, packs, coefs, work, kept, first, last):  # type: ignore[no-untyped-def]
        """Fill the tiles of work.out with sums over inputs first ... last - 1 of x (n, n_in).

        coefs (n_in, G + k + 1, width): packed on the way from `source` if `packs`: what is packed for a group is near
        when it is read. What is sorted stays in slots kept + first, kept + first + 1, ...; it does not if kept < 0.
        """
        _, n_rows, width = coefs.shape
        flat, poly, out = coefs.reshape(-1), pieces.poly.reshape(-1), work.out
        for at in range(0, count * width, step):
            store(out, at, splat(zero))
        for low in range(first, last, work.inputs):
            high = min(last, low + work.inputs)
            at = kept + low if kept >= 0 else 0
            if packs:
                scales = source.scale_base[low:high], source.scale_sp[low:high], source.mask[low:high]
                pack(source.coef[low:high], *scales, coefs[low:high])
            place(x, begin, count, low, high, width, n_rows, pieces, at, work)
            fill(begin, count, low, high, pieces, kind, given, given_slope, False, at, work)
            contract(flat, poly, low, high, n_rows, width, count, at, work)

    return chain


@cache
def forward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a layer's outputs, for degree `k` and a dtype."""
    chain, write, add = chain_kernel(k, dtype), from_tiles(k, dtype), from_tiles(k, dtype, adds=True)

    @kernel
    def forward(x, pieces, kind, given, given_slope, source, packs, coefs, work, kept, y):  # type: ignore[no-untyped-def]
        """Fill y (n, n_out) from x (n, n_in) and coefs (n_in, G + k + 1, width), which are packed first if `packs`.

        What is sorted stays in slots kept, kept + 1, ..., one for each input of each block; it does not if kept < 0.
        """
        n, n_out = y.shape
        n_in, _, width = coefs.shape
        second, base, outputs = second_chain(n_in), (kind, given, given_slope), y.reshape(-1)
        for begin in range(0, n, work.block):
            count, at = min(work.block, n - begin), kept + begin // work.block * n_in if kept >= 0 else kept
            block, coefficients = (x, begin, count, pieces, *base), (source, packs and begin == 0, coefs, work, at)
            chain(*block, *coefficients, 0, second)
            write(work.out, count, width, outputs, begin, n_out)
            if second < n_in:
                chain(*block, *coefficients, second, n_in)
                add(work.out, count, width, outputs, begin, n_out)

    return forward
