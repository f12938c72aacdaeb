"""Kernels: Numba's compiler as numkan uses it, and machine code that is kept on disk.

This package and :mod:`numkan.simd` alone import Numba and llvmlite; all others take the decorator from here.
"""

from numkan.compile.cache import NumkanCacheWarning
from numkan.compile.decorator import jit_is_off, kernel
from numkan.compile.entry import Entry

__all__ = ["Entry", "NumkanCacheWarning", "jit_is_off", "kernel"]
