"""Sums of the lanes of four vectors at once.

    put_totals(array, at, add, a, b, c, d)   array[at : at + 4] = the sums of their lanes, plus the old entries if `add`

Summing one vector after the other would leave half of the lanes idle or more. Here the halves of two vectors are added
together, then the quarters of four. Each sum has the bits of `vectors.total`, plus 0 or the old entry.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from numkan.compile import kernel
from numkan.simd.emit import Emitter
from numkan.simd.vectors import as_python, rounded_ops

__all__ = ["TOTALS", "put_totals_op", "totals"]

TOTALS = 4


@cache
def put_totals_op(dtype: np.dtype[Any], lanes: int) -> Any:
    """Return `put_totals` for vectors of this many lanes."""
    return _put_one_by_one(dtype, lanes) if as_python() else _put_intrinsic(dtype)


def _put_one_by_one(dtype: np.dtype[Any], lanes: int) -> Any:
    total, zero = rounded_ops(lanes).total, dtype.type(0)

    @kernel
    def put(array, at, add, a, b, c, d):  # type: ignore[no-untyped-def]
        for number, vector in enumerate((a, b, c, d)):
            array[at + number] = (array[at + number] if add else zero) + total(vector)

    return put


def _halves(size: int, vectors: int, count: int) -> list[list[int]]:
    """Return the lanes of the first halves, and of the second, of all groups of `size` in vectors side by side."""
    begins = range(0, vectors * count, size)
    return [[begin + lane for begin in begins for lane in range(half, half + size // 2)] for half in (0, size // 2)]


def totals(emit: Emitter, vectors: list[Any]) -> Any:
    """Return the sums of the lanes of four vectors, or of one, by halves, as a vector."""
    count = size = vectors[0].type.count
    while size > 1:
        together = min(2, len(vectors))
        low, high = _halves(size, together, count)
        vectors = [
            emit.builder.fadd(emit.shuffle(a, b, low), emit.shuffle(a, b, high))
            for a, b in zip(vectors[::together], vectors[together - 1 :: together], strict=True)
        ]
        count, size = vectors[0].type.count, size // 2
    if len(vectors) > 1:
        vectors = [emit.shuffle(vectors[0], vectors[1], range(TOTALS))]
    return vectors[0]


def _put_intrinsic(dtype: np.dtype[Any]) -> Any:
    @intrinsic
    def put(typing_context, array, at, add, a, b, c, d):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            array, at, add, *vectors = args
            sums = totals(emit, vectors)
            before = emit.load(context, signature.args[0], array, at, kind=sums.type)
            before = builder.select(add, before, ir.Constant(sums.type, None))
            emit.store(context, signature.args[0], array, at, builder.fadd(before, sums))
            return context.get_dummy_value()

        return types.void(array, types.intp, types.boolean, a, b, c, d), codegen

    return put
