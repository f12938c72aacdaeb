"""Between parameters and the column form: edges as polynomials, and gradients back to parameters."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import lane_ops, sample_lanes
from numkan._simd import vector_ops
from numkan.layer.columns import group
from numkan.layer.places import (
    COEF,
    EDGES,
    FIRST,
    GRADS,
    MASK,
    N_BASIS,
    N_IN,
    N_OUT,
    N_ROWS,
    POLY,
    SCALE_BASE,
    SCALE_SP,
    SCALES,
    VALUES,
)

__all__ = ["pack_kernel", "unpack_edges_kernel", "unpack_kernel"]


@cache
def pack_kernel(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that packs the edges of a network."""
    powers = k + 1
    step = sample_lanes(dtype)
    merge = lane_ops(k, dtype, entries, 1).merge

    @kernel
    def pack(numbers, tables, firsts, places, offsets, scratch, edges):  # type: ignore[no-untyped-def]
        """Fill edges from the network's numbers; scratch holds `entries` numbers for every output of a layer."""
        coefs = offsets[VALUES]
        for layer in range(places.shape[0]):
            n_in, n_out, n_basis = places[layer, N_IN], places[layer, N_OUT], places[layer, N_BASIS]
            at_mask, at_sp, at_base = places[layer, MASK], places[layer, SCALE_SP], places[layer, SCALE_BASE]
            to, to_scale = places[layer, EDGES], places[layer, SCALES]
            for i in range(n_in):
                first = places[layer, FIRST] + i * powers * entries
                poly = places[layer, POLY] + i * powers * powers * entries
                # All outputs first: a vector cannot be loaded at once where numbers have just been stored.
                for o in range(n_out):
                    edge = i * n_out + o
                    factor = numbers[at_mask + edge] * numbers[at_sp + edge]
                    at = np.uint64(places[layer, COEF] + i * n_basis * n_out + o)
                    for p in range(np.uint64(coefs + o * entries), np.uint64(coefs + o * entries + n_basis)):
                        scratch[p] = factor * numbers[at]
                        at += np.uint64(n_out)  # unsigned: whether an index is negative costs more than the rest
                    edges[to_scale + edge] = numbers[at_mask + edge] * numbers[at_base + edge]
                for o in range(n_out):
                    for lane in range(0, entries, step):
                        merge(firsts, first + lane, tables, poly + lane, scratch, coefs + o * entries, edges, to + lane)
                    to += powers * entries

    return pack


@cache
def unpack_edges_kernel(columns: int) -> Any:
    """Return the kernel of the gradients of one input's edges to `columns` outputs."""
    _, load, store, splat, fma, mul, *_ = vector_ops(columns)

    @kernel
    def unpack(packed, at, stride, numbers, coef, n_basis, n_out, mask, scale_sp, base, sp, grad):  # type: ignore[no-untyped-def]
        """Fill grad at `coef` and the scales at `base` and `sp`, if not negative, from packed rows `stride` apart."""
        zero, one = packed.dtype.type(0), packed.dtype.type(1)
        m = load(numbers, mask)
        factor, on_scale = mul(m, load(numbers, scale_sp)), splat(zero)
        for p in range(n_basis):
            part, own = load(packed, at + p * stride), coef + p * n_out
            on_scale = fma(splat(one), mul(mul(m, load(numbers, own)), part), on_scale)
            store(grad, own, mul(factor, part))
        if base >= 0:
            store(grad, base, mul(m, load(packed, at + n_basis * stride)))
        if sp >= 0:
            store(grad, sp, on_scale)
        for e in range(columns):
            if numbers[mask + e] == 0:  # exactly 0, also where the packed gradient is not finite
                for p in range(n_basis):
                    grad[coef + p * n_out + e] = zero
                if base >= 0:
                    grad[base + e] = zero
                if sp >= 0:
                    grad[sp + e] = zero

    return unpack


@cache
def unpack_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that turns packed gradients into those of a network's parameters."""
    together = group(dtype)
    unpack_several, unpack_one = unpack_edges_kernel(together), unpack_edges_kernel(1)

    @kernel
    def unpack(packed, numbers, places, trained, grad):  # type: ignore[no-untyped-def]
        """Fill grad (n_params,) by the chain rule from the packed gradient, as `pack.unpack_gradient` does.

        packed: for every input the sums of `together` outputs at a time, (n_rows, together), then (n_rows,) of each
        output left over, as `column_backward.py` leaves them; trained (depth, 2): whether scale_base and scale_sp are
        parameters.
        """
        for layer in range(places.shape[0]):
            n_in, n_out, n_basis = places[layer, N_IN], places[layer, N_OUT], places[layer, N_BASIS]
            n_rows, whole = places[layer, N_ROWS], n_out // together * together
            for i in range(n_in):
                at = places[layer, GRADS] + i * n_out * n_rows
                for o in range(n_out):
                    if o < whole and o % together > 0:
                        continue
                    edge, coef = i * n_out + o, places[layer, COEF] + i * n_basis * n_out + o
                    mask, scale_sp = places[layer, MASK] + edge, places[layer, SCALE_SP] + edge
                    base = places[layer, SCALE_BASE] + edge if trained[layer, 0] else -1
                    sp, own = scale_sp if trained[layer, 1] else -1, at + o * n_rows
                    if o < whole:
                        unpack_several(
                            packed, own, together, numbers, coef, n_basis, n_out, mask, scale_sp, base, sp, grad
                        )
                    else:
                        unpack_one(packed, own, 1, numbers, coef, n_basis, n_out, mask, scale_sp, base, sp, grad)

    return unpack
