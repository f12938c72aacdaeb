"""Memory that a thread keeps from one call to the next, because fresh memory costs as much as a small layer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

__all__ = [
    "BLOCK",
    "LONGEST_BLOCK",
    "aligned_empty",
    "borrowed",
    "lent",
]

T = TypeVar("T")

BLOCK = 128  # samples at least; a multiple of any vector

#: Samples in the longest block.
LONGEST_BLOCK = 16 * BLOCK

_CACHE_LINE = 64  # bytes, as many as the widest vector has

#: A thread keeps memory of so many bytes at most for what a call needs once.
_KEPT_BYTES = 1 << 26


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Any:
    """Return an uninitialized 1-D array that begins on a cache line; vectors that straddle two cost up to 25 %."""
    raw = np.empty(size + _CACHE_LINE // dtype.itemsize, dtype)
    offset = -raw.__array_interface__["data"][0] % _CACHE_LINE // dtype.itemsize
    return raw[offset : offset + size]


_local = threading.local()


@contextmanager
def lent(name: str, key: Any, make: Callable[[], tuple[T, int]]) -> Iterator[T]:
    """Lend what `make` returns with the bytes that it takes, which this thread keeps for whoever comes with this `key`.

    Like :func:`borrowed`, for what is more than one array: to put it together takes Python tens of microseconds.
    """
    kept = _local.__dict__.pop(name, None)
    if kept is None or kept[0] != key:
        kept = None  # its memory is free for the other
        kept = key, *make()
    yield kept[1]
    if kept[2] <= _KEPT_BYTES:
        _local.__dict__[name] = kept


@contextmanager
def borrowed(name: str, size: int, dtype: np.dtype[Any]) -> Iterator[Any]:
    """Lend a flat array of this thread's memory, uninitialized: the system takes long to hand out megabytes.

    A nested request for the same name, as of a user's function that is called meanwhile, gets a fresh array. After an
    error the array is dropped: a helper may still write into it.
    """
    key = f"{name} {dtype.char}"  # a dtype's full name takes microseconds
    space = _local.__dict__.pop(key, None)
    if space is None or space.size < size:
        space = aligned_empty(size, dtype)
    yield space[:size]
    if space.nbytes <= _KEPT_BYTES:
        _local.__dict__[key] = space
