"""silu, and its derivative, of many points."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes, silu_op
from numkan._simd import vector_ops

__all__ = ["silu_kernel"]


@cache
def silu_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of silu for a dtype."""
    step, load, store, *_ = vector_ops(sample_lanes(dtype))
    silu = silu_op(dtype)

    @kernel
    def fill(x, at, full, values, to, slopes, slope_to, with_slopes):  # type: ignore[no-untyped-def]
        """Fill b, and b' if wanted, at `full` points from x[at] on: whole vectors.

        A silu is a chain of operations that wait for each other, so two go side by side; an odd last one goes twice.
        """
        for s in range(0, full, 2 * step):
            beside = min(s + step, full - step)
            b, slope = silu(load(x, at + s))
            other, other_slope = silu(load(x, at + beside))
            store(values, to + s, b)
            store(values, to + beside, other)
            if with_slopes:
                store(slopes, slope_to + s, slope)
                store(slopes, slope_to + beside, other_slope)

    return fill
