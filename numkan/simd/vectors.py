"""Short vectors for kernels: seven operations, one kernel source, three ways to run it.

A vector of `lanes` numbers is loaded from a 1-D array, combined, and stored again::

    load(array, i)      array[i : i + lanes]                splat(x)          (x, x, ..., x)
    store(array, i, v)  array[i : i + lanes] = v            fma(a, b, c)      a * b + c, rounded once
    mul(a, b)           a * b                               total(v)          sum of the lanes, by halves
    reached(c, x, end)  c + 1 where x >= end, else c

Compilers do not vectorize the loops of a KAN well on their own: with a dozen arrays in play they check at run time that
none of them overlap, and give up. Values in registers need no such check. Their multiply-add is always fused, so that
the bits of a row do not depend on its place in a batch. There are three ways to run:

* compiled: a Numba type whose machine representation is an LLVM vector, 512, 256 or 128 bits wide as the host has them
  (``NUMKAN_VECTOR_WIDTH`` forces one);
* compiled with bounds checking (``NUMBA_BOUNDSCHECK=1``): tuples of four, loaded entry by entry, every index checked;
* with the JIT off (``NUMBA_DISABLE_JIT=1``): NumPy slices.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
from numba import config
from numba.core.codegen import get_host_cpu_features

from numkan.simd.llvm_vectors import llvm_ops, prefetch
from numkan.simd.python_vectors import CHECKED_LANES, NUMBER_OPS, VectorOps, checked_ops, numpy_ops, prefetch_nothing

__all__ = ["as_python", "lanes_of", "prefetch_op", "rounded_ops", "sample_lanes", "vector_ops", "vector_width"]


@cache
def vector_width() -> int:
    """Return the width of a vector register in bits: forced by ``NUMKAN_VECTOR_WIDTH``, or that of the host."""
    forced = os.environ.get("NUMKAN_VECTOR_WIDTH", "")
    if forced:
        if forced not in ("128", "256", "512"):
            raise ValueError(f"Environment variable NUMKAN_VECTOR_WIDTH must be 128, 256 or 512, not {forced!r}.")
        return int(forced)
    if _has("avx512f", "avx512dq"):
        return 512
    return 256 if _has("avx2", "fma") else 128


def _has(*features: str) -> bool:
    """Return whether Numba compiles for a processor with all of these features; by default for the host."""
    known = config.CPU_FEATURES if config.CPU_FEATURES is not None else get_host_cpu_features()
    return set(features) <= {name[1:] for name in known.split(",") if name.startswith("+")}


def as_python() -> bool:
    """Return whether kernels run as they are written, with the JIT off or bounds checked."""
    return bool(config.DISABLE_JIT or config.BOUNDSCHECK)


def lanes_of(dtype: np.dtype[Any]) -> int:
    """Return how many numbers of a dtype one vector holds in the way that kernels run here."""
    if as_python():
        return CHECKED_LANES
    return vector_width() // (8 * dtype.itemsize)


def sample_lanes(dtype: np.dtype[Any]) -> int:
    """Return how many samples a vector holds where samples are the lanes: one in kernels that run as Python."""
    return 1 if as_python() else lanes_of(dtype)


def vector_ops(lanes: int) -> VectorOps:
    """Return the operations on vectors of `lanes` numbers (4, 8, ... ; 1 is a number), in the way that kernels run."""
    if lanes == 1:
        return NUMBER_OPS
    if config.DISABLE_JIT:
        return numpy_ops(lanes)
    return checked_ops(lanes) if config.BOUNDSCHECK else llvm_ops(lanes)


def rounded_ops(lanes: int) -> VectorOps:
    """Return operations that round in the same way for one number (`lanes` 1) as for a vector."""
    return vector_ops(lanes) if as_python() else llvm_ops(lanes)


@cache
def prefetch_op() -> Any:
    """Return prefetch(array, at): ask for the cache line of an entry, which may lie beyond the array."""
    return prefetch_nothing if as_python() else prefetch
