"""The cotangents of a layer's inputs in direct form for one sample alone: as ``direct_pull.py`` has them.

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
from numkan.layer.direct_pull import share_kernel, slope_ratios
from numkan.layer.places import (
    EDGES,
    ENTRIES,
    FUNCTION_VALUES,
    INPUTS,
    LOCAL,
    N_IN,
    SCALES,
    SLOPE,
    WIDTH,
    W,
)

__all__ = ["pull_back_single_direct"]


@cache
def _steps_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of what the slopes of one input are made with."""
    ratios, zero, (_, _, store, splat, fma, mul, *_) = slope_ratios(k, dtype), dtype.type(0), rounded_ops(1)

    @kernel
    def fill_steps(work, to, w, on_b, inverse):  # type: ignore[no-untyped-def]
        """Put b', dw/dx, and w times every ratio, one behind the other."""
        w, inverse = splat(w), splat(inverse)
        store(work, to, splat(on_b))
        store(work, to + 1, inverse if k > 1 else fma(splat(zero), w, inverse))
        for m in range(1, k):
            store(work, to + m + 1, mul(splat(ratios[m - 1]), w))

    return fill_steps


@cache
def _total_kernel(k: int, columns: int, tiles: int) -> Any:
    """Return the kernel of the part in an input's cotangent that `tiles` tiles of `columns` outputs have."""
    *_, total, _ = rounded_ops(columns)
    share = share_kernel(k, columns, tiles)

    @kernel
    def total_of(edges, at, width, scale, work, steps, bars):  # type: ignore[no-untyped-def]
        return total(share(edges, at, width, scale, work, steps, 1, bars))

    return total_of


@cache
def pull_back_single_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the cotangents of a layer's inputs."""
    powers, local_numbers, (wide, narrow) = k + 1, row_numbers(2), tile_columns(dtype)
    total_two, total_wide = _total_kernel(k, wide, 2), _total_kernel(k, wide, 1)
    total_narrow, total_one = _total_kernel(k, narrow, 1), _total_kernel(k, 1, 1)
    fill_steps, zero = _steps_kernel(k, dtype), dtype.type(0)

    @kernel
    def pull_back(tables, edges, places, layer, offsets, work, index, bars, to):  # type: ignore[no-untyped-def]
        """Fill a row of them from `to` on, with its padding, by the edges that forward has kept."""
        width, before, entries = places[layer, WIDTH], places[layer, INPUTS], places[layer, ENTRIES]
        n_in, steps = places[layer, N_IN], offsets[FUNCTION_VALUES]
        in_twos, whole = width // (2 * wide) * 2 * wide, width // wide * wide
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
            fill_steps(work, steps, w, on_b, inverse)
            if width == 1:
                work[to + i] = total_one(edges, at, width, scale, work, steps, bars)
                continue
            x_bar = zero
            for v in range(0, in_twos, 2 * wide):
                x_bar += total_two(edges, at + v, width, scale + v, work, steps, bars + v)
            for v in range(in_twos, whole, wide):
                x_bar += total_wide(edges, at + v, width, scale + v, work, steps, bars + v)
            for v in range(whole, width, narrow):
                x_bar += total_narrow(edges, at + v, width, scale + v, work, steps, bars + v)
            work[to + i] = x_bar

    return pull_back
