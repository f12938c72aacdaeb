"""Memory of large temporary arrays, which a thread keeps while it sums block after block.

Fresh memory comes from the system page by page, and some settings of malloc give it back at once: those of dask's
workers do, where half of the time of a pass went into pages. An array is taken from memory that no other array uses.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["empty", "keeps_memory", "zeros"]

#: Arrays of fewer bytes are left to malloc, which keeps their memory; a thread keeps at most the second number.
_LEAST, _MOST = 1 << 15, 1 << 26


def _references(kept: list[NDArray[np.uint8]]) -> list[int]:
    """Return how often each is referred to: arrays in it count."""
    return [sys.getrefcount(memory) for memory in kept]


#: References to memory that no array uses, in this version of Python.
_UNUSED = _references([np.empty(1, np.uint8)])[0]


class _Kept(threading.local):
    """What a thread keeps."""

    is_on = False

    def __init__(self) -> None:
        self.memory: list[NDArray[np.uint8]] = []


_kept = _Kept()


@contextmanager
def keeps_memory() -> Iterator[None]:
    """Let :func:`empty` and :func:`zeros` take memory that this thread keeps. It may be nested."""
    before, _kept.is_on = _kept.is_on, True
    try:
        yield
    finally:
        _kept.is_on = before
        if sum(memory.size for memory in _kept.memory) > _MOST:
            _kept.memory.clear()


def empty(shape: int | tuple[int, ...], dtype: Any = np.float64) -> NDArray[Any]:
    """Return an array like NumPy's."""
    if not _kept.is_on:
        return np.empty(shape, dtype)
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize if isinstance(shape, tuple) else shape * dtype.itemsize
    if size < _LEAST:
        return np.empty(shape, dtype)
    array: NDArray[Any] = _taken(size).view(dtype).reshape(shape)
    return array


def zeros(shape: int | tuple[int, ...]) -> NDArray[Any]:
    """Return an array of zeros like NumPy's."""
    if not _kept.is_on:
        return np.zeros(shape)
    array = empty(shape)
    array.fill(0.0)
    return array


def _taken(size: int) -> NDArray[np.uint8]:
    kept = _kept.memory
    for place, count in enumerate(_references(kept)):
        if count == _UNUSED and size <= kept[place].size <= 2 * size:
            return kept[place][:size]
    kept.append(np.empty(size, np.uint8))
    return kept[-1][:size]
