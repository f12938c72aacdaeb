"""Base values of the sorted samples of one input, and its points as polynomials take them."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from numkan.base import GIVEN, IDENTITY, SILU
from numkan.compile import kernel
from numkan.layer.silu import silu_kernel
from numkan.simd.vectors import sample_lanes
from numkan.spline.local import bounded

__all__ = ["base_kernel"]


@cache
def base_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the base values of one sorted input."""
    lanes, silu, limit = sample_lanes(dtype), silu_kernel(dtype), dtype.type(np.finfo(dtype).max)
    zero, one = dtype.type(0), dtype.type(1)

    @partial(kernel, inline=True)  # called for every input
    def fill_base(begin, count, i, slot, n_pieces, kind, given, given_slope, with_slopes, work):  # type: ignore[no-untyped-def]
        """Fill work.base and base_slope with b and b' at the points of input i, which lie sorted in `slot`.

        Return whether some may be infinite: those in the outermost pieces, which often are empty. Polynomials then
        take them from the front of work.points, where infinities are bounded, in place of work.ordered.
        """
        ordered, start, value, slope = work.ordered, slot * work.stride, work.base, work.base_slope
        if kind == SILU:
            silu(ordered, start, (count + lanes - 1) // lanes * lanes, value, 0, slope, 0, with_slopes)
        elif kind == GIVEN:
            for q in range(count):
                row = begin + np.int64(work.order[start + q])
                value[q], slope[q] = given[row, i], given_slope[row, i]
        else:
            for q in range(count):
                value[q] = ordered[start + q] if kind == IDENTITY else zero
                slope[q] = one if kind == IDENTITY else zero
        first = slot * work.runs
        last = first + work.n_runs[slot] - 1
        outer = work.run_piece[first] == i * n_pieces or work.run_piece[last] == (i + 1) * n_pieces - 1
        if outer:
            for q in range(count):
                work.points[q] = bounded(ordered[start + q], limit)
        return outer

    return fill_base
