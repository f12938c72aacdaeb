"""The cotangents of a layer's inputs in direct form for one sample alone: as ``direct_backward.py`` has them.

The gradient by the parameters is made in ``column_single_backward.py``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._simd import rounded_ops
from numkan._turn import row_numbers
from numkan.layer.direct import tile_columns
from numkan.layer.direct_backward import whole_slope_kernel
from numkan.layer.places import EDGES, ENTRIES, INPUTS, LOCAL, N_IN, SCALES, SLOPE, WIDTH, W

__all__ = ["pull_back_single_direct"]


@cache
def _total_kernel(k: int, columns: int) -> Any:
    """Return the kernel of the part in an input's cotangent that `columns` outputs have."""
    _, load, _, splat, _, mul, total, _ = rounded_ops(columns)
    whole_slope = whole_slope_kernel(k, columns)

    @kernel
    def total_of(edges, at, width, scale, w, on_b, inverse, work, bars):  # type: ignore[no-untyped-def]
        """Return it from the rows of the polynomials from `at` on and the row of scales at `scale`."""
        slope = whole_slope(edges, at, width, load(edges, scale), splat(w), splat(on_b), splat(inverse))
        return total(mul(slope, load(work, bars)))

    return total_of


@cache
def pull_back_single_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the cotangents of a layer's inputs."""
    powers, local_numbers, (wide, narrow) = k + 1, row_numbers(2), tile_columns(dtype)
    total_wide, total_narrow, total_one = _total_kernel(k, wide), _total_kernel(k, narrow), _total_kernel(k, 1)
    zero = dtype.type(0)

    @kernel
    def pull_back(tables, edges, places, layer, offsets, work, index, bars, to):  # type: ignore[no-untyped-def]
        """Fill a row of them from `to` on, with its padding, by the edges that forward has kept."""
        width, before, entries = places[layer, WIDTH], places[layer, INPUTS], places[layer, ENTRIES]
        n_in, whole = places[layer, N_IN], width // wide * wide
        for i in range(n_in, places[layer - 1, WIDTH]):
            work[to + i] = zero
        for i in range(n_in):
            at, scale = places[layer, EDGES] + i * powers * width, places[layer, SCALES] + i * width
            piece, w, on_b = (
                np.int64(index[before + i]),
                work[offsets[W] + before + i],
                work[offsets[SLOPE] + before + i],
            )
            inverse = tables[places[layer, LOCAL] + (i * entries + piece) * local_numbers + 1]
            if width == 1:
                work[to + i] = total_one(edges, at, width, scale, w, on_b, inverse, work, bars)
                continue
            x_bar = zero
            for v in range(0, whole, wide):
                x_bar += total_wide(edges, at + v, width, scale + v, w, on_b, inverse, work, bars + v)
            for v in range(whole, width, narrow):
                x_bar += total_narrow(edges, at + v, width, scale + v, w, on_b, inverse, work, bars + v)
            work[to + i] = x_bar

    return pull_back
