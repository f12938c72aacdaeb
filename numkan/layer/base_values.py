"""Base values of the sorted samples of one input, and its points as polynomials take them."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from numkan.base import CUSTOM, fill_base
from numkan.compile import kernel
from numkan.spline.local import bounded

__all__ = ["base_kernel"]


@cache
def base_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the base values of one sorted input."""
    fill_named, limit = fill_base(dtype), dtype.type(np.finfo(dtype).max)

    @partial(kernel, inline=True)  # called for every input
    def fill(begin, count, i, slot, n_pieces, kind, given, given_slope, with_slopes, work):  # type: ignore[no-untyped-def]
        """Fill work.base and base_slope with b and b' at the points of input i, which lie sorted in `slot`.

        Return whether some may be infinite: those in the outermost pieces, which often are empty. Polynomials then
        take them from the front of work.points, where infinities are bounded, in place of work.ordered.
        """
        ordered, start, value, slope = work.ordered, slot * work.stride, work.base, work.base_slope
        if kind == CUSTOM:
            for q in range(count):
                row = begin + np.int64(work.order[start + q])
                value[q], slope[q] = given[row, i], given_slope[row, i]
        else:
            fill_named(kind, ordered, start, count, value, 0, slope, 0, with_slopes)
        first = slot * work.runs
        last = first + work.n_runs[slot] - 1
        outer = work.run_piece[first] == i * n_pieces or work.run_piece[last] == (i + 1) * n_pieces - 1
        if outer:
            for q in range(count):
                work.points[q] = bounded(ordered[start + q], limit)
        return outer

    return fill
