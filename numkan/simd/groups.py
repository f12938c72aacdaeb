"""Numbers of the sorted samples of a block, four samples together or more.

Many samples of a *run* share what lies in registers (``rows.py``); each needs a few numbers of its own, `rows` of them.
They lie in *groups* of `size` samples, four or as many as a vector of 512 bits holds: `size` times the first number,
then the second, and so on. Each run begins with a group of its own. Number r of sample s of a run whose groups begin at
`first` is at place ::

    first + s // size * (size * rows) + size * r + s % size

All that samples of a group need is one stretch of memory, at distances that the compiler knows, so that the loop over
them has hardly more than its multiply-adds (a tenth of the time of a wide layer, against numbers in rows of their own;
256-bit vectors). And they are evaluated with samples as lanes, which need no transposition.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic

from numkan.compile import kernel
from numkan.simd.emit import Emitter
from numkan.simd.vectors import as_python, has_wide_vectors, lanes_of, vector_ops

__all__ = ["FOUR", "GroupOps", "group_ops", "group_room"]

#: So many samples at least; kernels take as many at once.
FOUR = 4


class GroupOps(NamedTuple):
    """Where things are in groups of `rows` numbers a sample."""

    size: int  # samples
    place: Callable[..., Any]  # place(first, s): of number 0 of sample s of the run whose groups begin at first
    behind: Callable[..., Any]  # behind(first, count): where the groups of the run behind `count` samples begin
    store: Callable[..., Any]  # store(array, at, v): a vector of samples, the first of them at place `at`


def _size(dtype: np.dtype[Any]) -> int:
    """Return the samples of a group: a power of two.

    Fours are the least to go through; to cut a vector of 512 bits into four costs more than that saves.
    """
    return lanes_of(dtype) if has_wide_vectors() and not as_python() else FOUR


def group_room(block: int, runs: int, rows: int, dtype: np.dtype[Any]) -> int:
    """Return the numbers that groups of so many samples in so many runs take, and behind them the rest of a vector."""
    size, lanes = _size(dtype), lanes_of(dtype)
    return rows * (min(size * block, block + (size - 1) * runs) + max(0, lanes - size))


@cache
def group_ops(rows: int, dtype: np.dtype[Any]) -> GroupOps:
    """Return the operations for `rows` numbers a sample and a dtype."""
    size = _size(dtype)
    whole, shift, rest = size * rows, size.bit_length() - 1, size - 1

    @kernel
    def place(first, s):  # type: ignore[no-untyped-def]
        return first + (s >> shift) * whole + (s & rest)

    @kernel
    def behind(first, count):  # type: ignore[no-untyped-def]
        return first + ((count + rest) >> shift) * whole

    lanes = lanes_of(dtype)
    store = vector_ops(lanes).store if lanes <= size else _store_intrinsic(size, whole, dtype)
    return GroupOps(size, place, behind, store)


def _store_intrinsic(size: int, whole: int, dtype: np.dtype[Any]) -> Any:
    """Return `store` for vectors of more than one group."""

    @intrinsic
    def store(typing_context, array, at, v):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            array, at, vector = args
            for number in range(emit.lanes // size):
                part = emit.shuffle(vector, vector, range(number * size, (number + 1) * size))
                emit.store(context, signature.args[0], array, at, part, number * whole)
            return context.get_dummy_value()

        return types.void(array, types.intp, v), codegen

    return store
