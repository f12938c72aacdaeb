"""One sample alone through the inputs of a layer in direct form; what follows is that of ``column_single.py``."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._cells import cell_ops
from numkan._jit import kernel
from numkan._lanes import sample_lanes, silu_op
from numkan._simd import vector_ops
from numkan._turn import row_numbers
from numkan.base import IDENTITY, SILU
from numkan.layer.direct import CELL_NUMBERS
from numkan.layer.direct_forward import cells_kernel
from numkan.layer.places import (
    CELLS,
    ENTRIES,
    HINTS,
    INPUTS,
    KIND,
    LOCAL,
    N_CELLS,
    N_IN,
    SLOPE,
    VALUES,
    B,
    W,
)

__all__ = ["locate_single_direct"]


@cache
def locate_single_direct(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that prepares the inputs of a layer: what `direct_forward.locate_direct` does, bit for bit."""
    step, load, store, *_ = vector_ops(sample_lanes(dtype))
    cell, _, bounded, span = cell_ops(dtype, single=True)
    read_cells = cells_kernel(1)
    silu, local_numbers, hint_numbers = silu_op(dtype), row_numbers(2), row_numbers(3)
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def locate(tables, firsts, places, layer, offsets, work, index):  # type: ignore[no-untyped-def]
        """Fill piece, w, b and b' of the layer's inputs."""
        n_in, kind, before = places[layer, N_IN], places[layer, KIND], places[layer, INPUTS]
        at, at_w, at_b = offsets[VALUES] + before, offsets[W] + before, offsets[B] + before
        at_slope, entries, n_cells = offsets[SLOPE] + before, places[layer, ENTRIES], places[layer, N_CELLS]
        for i in range(n_in):
            x = work[at + i]
            cells, spans = read_cells(tables, places[layer, CELLS] + i * CELL_NUMBERS)
            own = cell(x, cells[0], cells[1], cells[2])
            if n_cells > 0:
                hint = places[layer, HINTS] + (i * n_cells + np.int64(own)) * hint_numbers
                piece = np.int64(tables[hint]) + (x >= tables[hint + 1]) + (x >= tables[hint + 2])
                local = places[layer, LOCAL] + (i * entries + piece) * local_numbers
                work[at_w + i] = (bounded(x) - tables[local]) * tables[local + 1]
            else:
                piece = np.int64(own) + (x >= spans[0]) + (x >= spans[1])
                work[at_w + i], _ = span(x, own, spans)
            index[before + i] = piece
            if kind != SILU:
                work[at_b + i] = x if kind == IDENTITY else zero
                work[at_slope + i] = one if kind == IDENTITY else zero
        if kind == SILU:
            for i in range(0, n_in, step):  # what a vector has too many lies in the padding
                value, slope = silu(load(work, at + i))
                store(work, at_b + i, value)
                store(work, at_slope + i, slope)

    return locate
