"""silu, and its derivative, of many points."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from numkan.base import silu_pair
from numkan.compile import kernel
from numkan.simd.emit import Emitter, vector_types
from numkan.simd.vectors import as_python, sample_lanes, vector_ops

__all__ = ["silu_kernel", "silu_op"]


@cache
def silu_op(dtype: np.dtype[Any]) -> Any:
    """Return silu(x) for vectors of samples: (silu(x), silu'(x))."""
    return silu_pair(dtype) if as_python() else _silu_intrinsic(dtype)


def _silu_intrinsic(dtype: np.dtype[Any]) -> Any:
    vectors, _ = vector_types(dtype)

    @intrinsic
    def silu(typing_context, x):  # type: ignore[no-untyped-def]
        result = types.UniTuple(vectors, 2)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return context.make_tuple(builder, result, Emitter(builder, dtype).silu(args[0]))

        return result(x), codegen

    return silu


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
