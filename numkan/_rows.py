"""The k + 2 rows of coefficients that one sample needs, held in registers while many samples go by.

Samples of one piece share their rows. So the inner loop of a wide layer loads a tile of rows once, `vectors` vectors of
each, and then takes the samples of the piece one after the other:

    rows = load(coefs, at, stride, last)            row r < k + 1 at `at + r * stride`, the row of b(x) at `last`
    add_outputs(rows, f, q, step, out, to)          out[to ...] += sum_r f[q + r * step] * row r
    rows = add_products(rows, f, q, step, out, to)  row r += f[q + r * step] * out[to ...]
    store(rows, grad, at, stride, last)
    total(rows, f, q, step, out, to)                sum over lanes of out[to ...] * (sum_r f[q + r * step] * row r)

Each sum is one chain of fused multiply-adds, r = 0, 1, ..., k + 1. Compiled, an operation takes and returns a tuple of
vectors: it is a value, so that no store to an output can be in doubt of changing it, and it stays in registers. With
the JIT off or bounds checked `rows` are the place in the array where they are, and every operation goes there.
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

from numkan._emit import Emitter, vector_types
from numkan._jit import kernel
from numkan._simd import as_python, has_wide_vectors, lanes_of, sum_of_lanes, vector_ops

__all__ = ["RowOps", "row_ops", "tile_vectors"]

#: Registers for the rows; the rest are for outputs and for numbers that are broadcast.
_WIDE_REGISTERS, _REGISTERS = 24, 11
_MOST_VECTORS = 4

#: So many rows further on are asked for when rows are loaded: the next pieces will need them.
_AHEAD = 2


class RowOps(NamedTuple):
    """The operations for one degree, one dtype and tiles of some vectors."""

    load: Callable[..., Any]
    add_outputs: Callable[..., Any]
    add_products: Callable[..., Any]
    store: Callable[..., Any]
    total: Callable[..., Any]


def tile_vectors(k: int) -> int:
    """Return how many vectors of each of k + 2 rows the registers hold."""
    registers = _WIDE_REGISTERS if has_wide_vectors() else _REGISTERS
    return max(1, min(_MOST_VECTORS, registers // (k + 2)))


@cache
def row_ops(k: int, dtype: np.dtype[Any], vectors: int) -> RowOps:
    """Return the operations for degree `k`, a dtype and tiles of `vectors` vectors."""
    if as_python():
        return _ops_in_memory(k, dtype, vectors)
    return RowOps(*_row_intrinsics(k, dtype, vectors))


def _ops_in_memory(k: int, dtype: np.dtype[Any], vectors: int) -> RowOps:
    step, load, store, splat, fma, mul, total, _ = vector_ops(lanes_of(dtype))
    powers, width, zero = k + 1, vectors * step, dtype.type(0)

    @kernel
    def load_rows(array, at, stride, last):  # type: ignore[no-untyped-def]
        return (array, at, stride, last)

    @kernel
    def add_outputs(rows, f, q, f_step, out, to):  # type: ignore[no-untyped-def]
        array, at, stride, last = rows
        for v in range(0, width, step):
            y = load(out, to + v)
            for r in range(powers):
                y = fma(splat(f[q + r * f_step]), load(array, at + r * stride + v), y)
            store(out, to + v, fma(splat(f[q + powers * f_step]), load(array, last + v), y))

    @kernel
    def add_products(rows, f, q, f_step, out, to):  # type: ignore[no-untyped-def]
        array, at, stride, last = rows
        for v in range(0, width, step):
            y = load(out, to + v)
            for r in range(powers):
                row = at + r * stride + v
                store(array, row, fma(splat(f[q + r * f_step]), y, load(array, row)))
            store(array, last + v, fma(splat(f[q + powers * f_step]), y, load(array, last + v)))
        return rows

    @kernel
    def store_rows(rows, array, at, stride, last):  # type: ignore[no-untyped-def]
        pass  # they have never left it

    @kernel
    def total_of(rows, f, q, f_step, out, to):  # type: ignore[no-untyped-def]
        array, at, stride, last = rows
        acc = splat(zero)
        for v in range(0, width, step):
            value = mul(splat(f[q]), load(array, at + v))
            for r in range(1, powers):
                value = fma(splat(f[q + r * f_step]), load(array, at + r * stride + v), value)
            value = fma(splat(f[q + powers * f_step]), load(array, last + v), value)
            acc = fma(value, load(out, to + v), acc)
        return total(acc)

    return RowOps(load_rows, add_outputs, add_products, store_rows, total_of)


def _row_intrinsics(k: int, dtype: np.dtype[Any], vectors: int) -> tuple[Any, ...]:
    """Return the operations in the order of `RowOps`."""
    load, store = _moving_intrinsics(k, dtype, vectors)
    add_outputs, add_products, total = _summing_intrinsics(k, dtype, vectors)
    return load, add_outputs, add_products, store, total


def _moving_intrinsics(k: int, dtype: np.dtype[Any], vectors: int) -> tuple[Any, Any]:
    """Return load and store; vector v of row r is number r * vectors + v of the tuple."""
    n_rows, size = k + 2, types.intp
    rows_type = types.UniTuple(vector_types(dtype)[0], n_rows * vectors)

    def places(builder: Any, at: Any, stride: Any, last: Any) -> list[Any]:
        """Return where the rows begin."""
        found = [at]
        for _ in range(n_rows - 2):
            found.append(builder.add(found[-1], stride))
        return [*found, last]

    @intrinsic
    def load(typing_context, array, at, stride, last):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            array, *where = args
            rows = [
                vector
                for place in places(builder, *where)
                for vector in emit.load_tables(context, signature.args[0], array, place, vectors)
            ]
            ahead = builder.add(where[0], builder.mul(where[1], ir.Constant(where[1].type, k + 1 + _AHEAD)))
            emit.prefetch(context, signature.args[0], array, ahead, vectors)
            return cgutils.pack_array(builder, rows)

        return rows_type(array, size, size, size), codegen

    @intrinsic
    def store(typing_context, rows, array, at, stride, last):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            rows, array, *where = args
            rows = cgutils.unpack_tuple(builder, rows, n_rows * vectors)
            for r, place in enumerate(places(builder, *where)):
                own = rows[r * vectors : (r + 1) * vectors]
                emit.store_tables(context, signature.args[1], array, place, own)
            return context.get_dummy_value()

        return types.void(rows, array, size, size, size), codegen

    return load, store


def _summing_intrinsics(k: int, dtype: np.dtype[Any], vectors: int) -> tuple[Any, Any, Any]:
    """Return add_outputs, add_products and total, which all take (rows, f, q, step, out, to)."""
    n_rows, size = k + 2, types.intp

    def operands(emit: Emitter, context: Any, signature: Any, args: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the rows, a sample's number for each of them in all lanes, and the vectors of its outputs."""
        rows, f, q, step, out, to = args
        vectors_of_rows = cgutils.unpack_tuple(emit.builder, rows, n_rows * vectors)
        grouped = [vectors_of_rows[at : at + vectors] for at in range(0, n_rows * vectors, vectors)]
        numbers = emit.load_columns(context, signature.args[1], f, q, step, n_rows, kind=emit.scalar)
        outputs = emit.load_tables(context, signature.args[4], out, to, vectors)
        return grouped, [emit.splat(number) for number in numbers], outputs

    @intrinsic
    def add_outputs(typing_context, rows, f, q, step, out, to):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            rows, by, sums = operands(emit, context, signature, args)
            for factor, row in zip(by, rows, strict=True):
                sums = [emit.fma(factor, c, y) for c, y in zip(row, sums, strict=True)]
            emit.store_tables(context, signature.args[4], args[4], args[5], sums)
            emit.keep_apart()
            return context.get_dummy_value()

        return types.void(rows, f, size, size, out, size), codegen

    @intrinsic
    def add_products(typing_context, rows, f, q, step, out, to):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            rows, by, ys = operands(emit, context, signature, args)
            pairs = [(factor, c, y) for factor, row in zip(by, rows, strict=True) for c, y in zip(row, ys, strict=True)]
            sums = [emit.fma(factor, y, c) for factor, c, y in pairs]
            emit.keep_apart()
            return cgutils.pack_array(builder, sums)

        return rows(rows, f, size, size, out, size), codegen

    @intrinsic
    def total(typing_context, rows, f, q, step, out, to):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            rows, by, ys = operands(emit, context, signature, args)
            acc = emit.number(0)
            for v, y in enumerate(ys):
                value = builder.fmul(by[0], rows[0][v])
                for factor, row in zip(by[1:], rows[1:], strict=True):
                    value = emit.fma(factor, row[v], value)
                acc = emit.fma(value, y, acc)
            emit.keep_apart()
            return sum_of_lanes(builder, acc)

        return f.dtype(rows, f, size, size, out, size), codegen

    return add_outputs, add_products, total
