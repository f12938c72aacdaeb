"""Functions of the sorted samples of a block, four samples together.

Many samples of a *run* share their rows of coefficients (``_rows.py``); each needs its own k + 2 numbers, one a row.
They lie in *groups* of four samples, k + 2 fours one behind the other, and each run begins with a group of its own.
Function r of sample s of a run whose groups begin at `first` is number ::

    first + s // 4 * (4 * rows) + 4 * r + s % 4                 rows = k + 2

All that a group needs is one stretch of memory, at distances that the compiler knows, so that the loop over its
samples has hardly more than its multiply-adds (an eighth of the time of a wide layer, against functions in rows of
their own; 256-bit vectors). And they are evaluated with samples as lanes, which need no transposition.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic

from numkan._emit import Emitter
from numkan._jit import kernel
from numkan._simd import as_python, lanes_of, vector_ops

__all__ = ["GROUP", "GroupOps", "group_ops", "group_room"]

GROUP = 4


class GroupOps(NamedTuple):
    """Where things are in groups of `rows` functions."""

    place: Callable[..., Any]  # place(first, s): of function 0 of sample s of the run whose groups begin at first
    behind: Callable[..., Any]  # behind(first, count): where the next run's groups begin
    store: Callable[..., Any]  # store(array, at, v): a vector of samples, the first of them at place `at`


def group_room(block: int, runs: int, rows: int) -> int:
    """Return the numbers that the groups of so many samples take in so many runs, and behind them of a vector."""
    return rows * (min(GROUP * block, block + (GROUP - 1) * runs) + 16)


@cache
def group_ops(rows: int, dtype: np.dtype[Any]) -> GroupOps:
    """Return the operations for `rows` functions and a dtype."""
    whole = GROUP * rows

    @kernel
    def place(first, s):  # type: ignore[no-untyped-def]
        return first + (s >> 2) * whole + (s & 3)

    @kernel
    def behind(first, count):  # type: ignore[no-untyped-def]
        return first + ((count + 3) >> 2) * whole

    if as_python() or lanes_of(dtype) <= GROUP:
        store = vector_ops(lanes_of(dtype)).store
    else:
        store = _store_intrinsic(whole, dtype)
    return GroupOps(place, behind, store)


def _store_intrinsic(whole: int, dtype: np.dtype[Any]) -> Any:
    """Return `store` for vectors of more than one group."""

    @intrinsic
    def store(typing_context, array, at, v):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            array, at, vector = args
            for number in range(emit.lanes // GROUP):
                four = emit.shuffle(vector, vector, range(number * GROUP, (number + 1) * GROUP))
                emit.store(context, signature.args[0], array, at, four, number * whole)
            return context.get_dummy_value()

        return types.void(array, types.intp, v), codegen

    return store
