"""The cells of equal width that points lie in, with samples as lanes.

    cell(x, left, rate, top)      (x - left) * rate cut to a whole number, within 0 ... top; 0 where x is NaN
    store_cell(array, at, cell)   array[at ...] = cell, as integers of 32 bits
    bounded(x)                    x with infinities replaced by the largest numbers of the dtype
    local(x, cell, spans)         (bounded(x) - centre) * inverse, and the inverse, where the cells are spans

Spans are described by eleven numbers: begin, end, origin, step, inverse, first, last, and two centres, each with its
inverse. The centre of a cell is origin + step * cell, with the cell number clamped to first ... last. Points below
`begin` have the first of the two centres, and points from `end` on the second.

Each difference and product is rounded once in every form in which kernels run, so NumPy can compute in advance which
cell a point will get. Compiled, they are vector instructions; with the JIT off or bounds checked a vector is one
sample.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from numkan.compile import kernel
from numkan.simd.emit import Emitter, vector_types
from numkan.simd.vectors import as_python

__all__ = ["CellOps", "cell_ops"]


class CellOps(NamedTuple):
    """The operations for one dtype."""

    cell: Callable[..., Any]
    store_cell: Callable[..., Any]
    bounded: Callable[..., Any]
    local: Callable[..., Any]


@cache
def cell_ops(dtype: np.dtype[Any]) -> CellOps:
    """Return the operations for a dtype."""
    if as_python():
        return _scalar_ops(dtype)
    return CellOps(
        _cell_intrinsic(dtype), _store_cell_intrinsic(dtype), _bounded_intrinsic(dtype), _local_intrinsic(dtype)
    )


def _scalar_ops(dtype: np.dtype[Any]) -> CellOps:
    zero, limit, floor = dtype.type(0), dtype.type(np.finfo(dtype).max), np.floor

    @kernel
    def cell(x, left, rate, top):  # type: ignore[no-untyped-def]
        place = (x - left) * rate
        place = place if place > zero else zero  # also where place is NaN
        return floor(place if place < top else top)

    @kernel
    def store_cell(array, at, number):  # type: ignore[no-untyped-def]
        array[at] = np.int32(number)

    @kernel
    def bounded(x):  # type: ignore[no-untyped-def]
        x = limit if x > limit else x
        return -limit if x < -limit else x

    @kernel
    def local(x, cell, spans):  # type: ignore[no-untyped-def]
        begin, end, origin, step, inverse, first, last, low, low_inverse, high, high_inverse = spans
        cell = cell if cell > first else first
        centre = (cell if cell < last else last) * step + origin
        if not x >= begin:
            centre, inverse = low, low_inverse
        if x >= end:
            centre, inverse = high, high_inverse
        return (bounded(x) - centre) * inverse, inverse

    return CellOps(cell, store_cell, bounded, local)


def _cell_intrinsic(dtype: np.dtype[Any]) -> Any:
    vectors, _ = vector_types(dtype)

    @intrinsic
    def cell(typing_context, x, left, rate, top):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            x, left, rate, top = args
            place, zero = builder.fmul(builder.fsub(x, left), rate), emit.number(0)
            place = builder.select(builder.fcmp_ordered(">", place, zero), place, zero)
            return emit.named("floor", builder.select(builder.fcmp_ordered("<", place, top), place, top))

        return vectors(x, left, rate, top), codegen

    return cell


def _store_cell_intrinsic(dtype: np.dtype[Any]) -> Any:
    @intrinsic
    def store_cell(typing_context, array, at, number):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            array, at, number = args
            whole = builder.fptosi(number, ir.VectorType(ir.IntType(32), emit.lanes))
            emit.store(context, signature.args[0], array, at, whole)
            return context.get_dummy_value()

        return types.void(array, types.intp, number), codegen

    return store_cell


def _bounded_intrinsic(dtype: np.dtype[Any]) -> Any:
    limit = float(np.finfo(dtype).max)

    @intrinsic
    def bounded(typing_context, x):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            return emit.bounded(args[0], emit.number(limit))

        return x(x), codegen

    return bounded


def _local_intrinsic(dtype: np.dtype[Any]) -> Any:
    limit = float(np.finfo(dtype).max)

    @intrinsic
    def local(typing_context, x, cell, spans):  # type: ignore[no-untyped-def]
        both = types.UniTuple(x, 2)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            x, cell, spans = args
            begin, end, origin, step, inverse, first, last, *outer = cgutils.unpack_tuple(builder, spans)
            low, low_inverse, high, high_inverse = outer
            cell = builder.select(builder.fcmp_ordered(">", cell, first), cell, first)
            cell = builder.select(builder.fcmp_ordered("<", cell, last), cell, last)
            centre = builder.fadd(builder.fmul(cell, step), origin)
            inside, beyond = builder.fcmp_ordered(">=", x, begin), builder.fcmp_ordered(">=", x, end)
            centre = builder.select(beyond, high, builder.select(inside, centre, low))
            inverse = builder.select(beyond, high_inverse, builder.select(inside, inverse, low_inverse))
            x = emit.bounded(x, emit.number(limit))
            return context.make_tuple(builder, both, [builder.fmul(builder.fsub(x, centre), inverse), inverse])

        return both(x, cell, spans), codegen

    return local
