"""Base values of the sorted samples of one input."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes
from numkan.base import GIVEN, IDENTITY, SILU
from numkan.layer.silu import silu_kernel

__all__ = ["base_kernel"]


@cache
def base_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the base values of one sorted input."""
    lanes, silu = sample_lanes(dtype), silu_kernel(dtype)
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def fill_base(begin, count, i, kind, given, given_slope, with_slopes, ordered, start, order, value, slope):  # type: ignore[no-untyped-def]
        """Fill value and slope with b and b' at the points of input i, which lie sorted from place `start` on."""
        if kind == SILU:
            silu(ordered, start, (count + lanes - 1) // lanes * lanes, value, 0, slope, 0, with_slopes)
        elif kind == GIVEN:
            for q in range(count):
                row = begin + np.int64(order[start + q])
                value[q], slope[q] = given[row, i], given_slope[row, i]
        else:
            for q in range(count):
                value[q] = ordered[start + q] if kind == IDENTITY else zero
                slope[q] = one if kind == IDENTITY else zero

    return fill_base
