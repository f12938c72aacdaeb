"""From parameters to the column form: edges as polynomials; for the way back see ``merged_unpack.py``."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import lane_ops, sample_lanes
from numkan.layer.places import (
    COEF,
    EDGES,
    FIRST,
    MASK,
    N_BASIS,
    N_IN,
    N_OUT,
    POLY,
    SCALE_BASE,
    SCALE_SP,
    SCALES,
    VALUES,
)

__all__ = ["pack_kernel"]


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
