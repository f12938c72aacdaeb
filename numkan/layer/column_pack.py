"""Between parameters and the column form: edges as polynomials, and gradients back to parameters."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import lane_ops, sample_lanes
from numkan._simd import vector_ops
from numkan.layer.columns import (
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
)

__all__ = ["pack_kernel", "unpack_columns"]


@cache
def pack_kernel(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that packs the edges of a network."""
    powers = k + 1
    step, load, store, splat, fma, *_ = vector_ops(sample_lanes(dtype))
    ops = lane_ops(k, dtype, entries, 1)
    load_index, lookup = ops.load_index, ops.lookup
    zero = dtype.type(0)

    @kernel
    def pack(numbers, tables, firsts, places, scratch, edges):  # type: ignore[no-untyped-def]
        """Fill edges from the network's numbers; scratch holds `entries` numbers, then k + 1 vectors."""
        for layer in range(places.shape[0]):
            n_in, n_out, n_basis = places[layer, N_IN], places[layer, N_OUT], places[layer, N_BASIS]
            to, to_scale = places[layer, EDGES], places[layer, SCALES]
            for i in range(n_in):
                first = places[layer, FIRST] + i * powers * entries
                poly = places[layer, POLY] + i * powers * powers * entries
                for o in range(n_out):
                    edge = i * n_out + o
                    m = numbers[places[layer, MASK] + edge]
                    factor = m * numbers[places[layer, SCALE_SP] + edge]
                    at = places[layer, COEF] + i * n_basis * n_out + o
                    for p in range(n_basis):
                        scratch[p] = factor * numbers[at + p * n_out]
                    for lane in range(0, entries, step):
                        # the coefficients of the k + 1 functions of each piece, then their polynomials' sum
                        for r in range(powers):
                            index = load_index(firsts, first + r * entries + lane)
                            store(scratch, entries + r * step, lookup(scratch, 0, index))
                        for power in range(powers):
                            total = splat(zero)
                            for r in range(powers):
                                part = load(tables, poly + (power * powers + r) * entries + lane)
                                total = fma(part, load(scratch, entries + r * step), total)
                            store(edges, to + power * entries + lane, total)
                    to += powers * entries
                    edges[to_scale + edge] = m * numbers[places[layer, SCALE_BASE] + edge]

    return pack


@kernel
def unpack_columns(packed, numbers, places, trained, together, grad):  # type: ignore[no-untyped-def]
    """Fill grad (n_params,) by the chain rule from the packed gradient, as `pack.unpack_gradient` does.

    packed: for every input the sums of `together` outputs at a time, (n_rows, together), then (n_rows,) of each output
    left over, as `column_backward.py` leaves them; trained (depth, 2): whether scale_base and scale_sp are parameters.
    """
    zero = numbers.dtype.type(0)
    for layer in range(places.shape[0]):
        n_in, n_out, n_basis = places[layer, N_IN], places[layer, N_OUT], places[layer, N_BASIS]
        n_rows, n_whole = places[layer, N_ROWS], n_out // together * together
        for i in range(n_in):
            for o in range(n_out):
                if o < n_whole:
                    at, stride = (i * n_out + o // together * together) * n_rows + o % together, together
                else:
                    at, stride = (i * n_out + o) * n_rows, 1
                at += places[layer, GRADS]
                edge = i * n_out + o
                m = numbers[places[layer, MASK] + edge]
                coef = places[layer, COEF] + i * n_basis * n_out + o
                factor = m * numbers[places[layer, SCALE_SP] + edge]
                on_scale = zero
                for p in range(n_basis):
                    part = packed[at + p * stride]
                    grad[coef + p * n_out] = factor * part if m != 0 else zero
                    on_scale += m * numbers[coef + p * n_out] * part if m != 0 else zero
                if trained[layer, 0]:
                    grad[places[layer, SCALE_BASE] + edge] = m * packed[at + n_basis * stride] if m != 0 else zero
                if trained[layer, 1]:
                    grad[places[layer, SCALE_SP] + edge] = on_scale
