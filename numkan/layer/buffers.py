"""Buffers: arrays that a thread keeps between calls, because fresh memory costs as much as a small layer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

__all__ = [
    "BLOCK",
    "MAX_BLOCK",
    "aligned_empty",
    "thread_array",
    "thread_arrays",
]

T = TypeVar("T")

#: Samples in the shortest block, a multiple of any vector, and in the longest.
BLOCK = 128
MAX_BLOCK = 16 * BLOCK

_CACHE_LINE = 64  # bytes, the width of the widest vector

#: A thread keeps a buffer of at most this many bytes. Larger ones are freed after the call.
_MAX_KEPT_BYTES = 1 << 26


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Any:
    """Return an uninitialized 1-D array that begins on a cache line; vectors that straddle two cost up to 25 %."""
    raw = np.empty(size + _CACHE_LINE // dtype.itemsize, dtype)
    offset = -raw.__array_interface__["data"][0] % _CACHE_LINE // dtype.itemsize
    return raw[offset : offset + size]


_local = threading.local()


@contextmanager
def thread_arrays(name: str, key: Any, make: Callable[[], tuple[T, int]]) -> Iterator[T]:
    """Give the arrays that `make` returned, together with their size in bytes, when this thread last asked for `key`.

    As :func:`thread_array`, for several arrays: cutting them out of one would take Python tens of microseconds.
    """
    kept = _local.__dict__.pop(name, None)
    if kept is None or kept[0] != key:
        kept = None  # frees its memory before more is asked for
        kept = key, *make()
    yield kept[1]
    if kept[2] <= _MAX_KEPT_BYTES:
        _local.__dict__[name] = kept


@contextmanager
def thread_array(name: str, size: int, dtype: np.dtype[Any]) -> Iterator[Any]:
    """Give a flat array that this thread keeps, uninitialized: the system takes long to hand out megabytes.

    A nested request for the same name, for example by a user's function that is called meanwhile, gets a fresh array.
    After an error the array is dropped, because another thread may still write into it.
    """
    key = f"{name} {dtype.char}"  # a dtype's full name takes microseconds
    space = _local.__dict__.pop(key, None)
    if space is None or space.size < size:
        space = aligned_empty(size, dtype)
    yield space[:size]
    if space.nbytes <= _MAX_KEPT_BYTES:
        _local.__dict__[key] = space
