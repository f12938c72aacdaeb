"""The operations of ``_lanes.py`` as LLVM instructions for 512-bit vectors.

One instruction of AVX-512 reads a table of 16 float32 (8 float64) in a register at as many places at once, and one
reads two such tables as one. Numba's own code cannot say that; each operation here is an intrinsic, a Python function
that writes its instructions when a kernel is compiled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from numkan._emit import Emitter, vector_types
from numkan._simd import lanes_of

__all__ = ["lane_intrinsics", "silu_intrinsic", "tile_intrinsics"]


class _Shape(NamedTuple):
    """What operations are made for."""

    k: int
    dtype: np.dtype[Any]
    entries: int
    tile: int

    @property
    def powers(self) -> int:
        return self.k + 1

    @property
    def registers(self) -> int:
        """How many vectors a table fills."""
        return self.entries // lanes_of(self.dtype)


def lane_intrinsics(k: int, dtype: np.dtype[Any], entries: int, tile: int) -> dict[str, Any]:
    """Return what `_lanes.LaneOps` has, by name."""
    shape = _Shape(k, dtype, entries, tile)
    return {
        operation.__name__: operation
        for group in (_index_intrinsics, _piece_intrinsics, _edge_intrinsics, _slope_intrinsics, _merge_intrinsics)
        for operation in group(shape)
    }


def _index_intrinsics(shape: _Shape) -> list[Any]:
    """Return load_index and store_index."""
    dtype, (_, indices) = shape.dtype, vector_types(shape.dtype)

    @intrinsic
    def load_index(typing_context, array, at):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            return emit.load(context, signature.args[0], args[0], args[1], kind=emit.integers)

        return indices(array, types.intp), codegen

    @intrinsic
    def store_index(typing_context, array, at, index):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            Emitter(builder, dtype).store(context, signature.args[0], *args)
            return context.get_dummy_value()

        return types.void(array, types.intp, index), codegen

    return [load_index, store_index]


def _piece_intrinsics(shape: _Shape) -> list[Any]:
    """Return find, lookup and local."""
    dtype, entries, registers = shape.dtype, shape.entries, shape.registers
    vectors, indices = vector_types(dtype)
    limit = float(np.finfo(dtype).max)

    @intrinsic
    def find(typing_context, array, at, x):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            tables = emit.load_tables(context, signature.args[0], args[0], args[1], registers)
            index, jump = emit.whole(0), entries // 2
            while jump:
                end = emit.lookup(tables, builder.add(index, emit.whole(jump - 1)))
                reached = builder.fcmp_ordered(">=", args[2], end)
                index = builder.select(reached, builder.add(index, emit.whole(jump)), index)
                jump //= 2
            return index

        return indices(array, types.intp, x), codegen

    @intrinsic
    def lookup(typing_context, array, at, index):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            return emit.lookup(emit.load_tables(context, signature.args[0], args[0], args[1], registers), args[2])

        return vectors(array, types.intp, index), codegen

    @intrinsic
    def local(typing_context, x, centre, inverse):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            return builder.fmul(builder.fsub(emit.bounded(args[0], emit.number(limit)), args[1]), args[2])

        return x(x, centre, inverse), codegen

    return [find, lookup, local]


def silu_intrinsic(dtype: np.dtype[Any]) -> Any:
    """Return silu(x), for vectors of any width: (silu(x), silu'(x))."""
    vectors, _ = vector_types(dtype)

    @intrinsic
    def silu(typing_context, x):  # type: ignore[no-untyped-def]
        result = types.UniTuple(vectors, 2)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return context.make_tuple(builder, result, Emitter(builder, dtype).silu(args[0]))

        return result(x), codegen

    return silu


def _edge_intrinsics(shape: _Shape) -> list[Any]:
    """Return load_edges, load_scales, add_edges and fill_edges."""
    dtype, tile, powers, registers = shape.dtype, shape.tile, shape.powers, shape.registers
    vectors, _ = vector_types(dtype)

    @intrinsic
    def load_edges(typing_context, array, at):  # type: ignore[no-untyped-def]
        count = tile * powers * registers
        result = types.UniTuple(vectors, count)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            return cgutils.pack_array(builder, emit.load_tables(context, signature.args[0], args[0], args[1], count))

        return result(array, types.intp), codegen

    @intrinsic
    def load_scales(typing_context, array, at):  # type: ignore[no-untyped-def]
        result = types.UniTuple(vectors, tile)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            numbers = [
                emit.load(context, signature.args[0], args[0], args[1], offset=number, kind=emit.scalar)
                for number in range(tile)
            ]
            return cgutils.pack_array(builder, [emit.splat(number) for number in numbers])

        return result(array, types.intp), codegen

    @intrinsic
    def add_edges(typing_context, tables, scales, b, index, w, array, at, stride):  # type: ignore[no-untyped-def]
        """Add edge number e, its polynomial at w and its scale times b, to array[at + e * stride]."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            loaded = cgutils.unpack_tuple(builder, args[0], tile * powers * registers)
            factors = cgutils.unpack_tuple(builder, args[1], tile)
            b, index, w, array, at, stride = args[2:]
            for edge in range(tile):
                own = loaded[edge * powers * registers :]
                terms = [emit.lookup(own[m * registers : (m + 1) * registers], index) for m in range(powers)]
                y = emit.load(context, signature.args[5], array, at)
                y = emit.fma(factors[edge], b, emit.horner(terms, w, y))
                emit.store(context, signature.args[5], array, at, y)
                at = builder.add(at, stride)
            return context.get_dummy_value()

        return types.void(tables, scales, b, index, w, array, types.intp, types.intp), codegen

    @intrinsic
    def fill_edges(typing_context, tables, index, w, array, at, stride):  # type: ignore[no-untyped-def]
        """Fill array[at + e * stride] with the polynomial at w of edge number e."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            loaded = cgutils.unpack_tuple(builder, args[0], tile * powers * registers)
            index, w, array, at, stride = args[1:]
            for edge in range(tile):
                own = loaded[edge * powers * registers :]
                terms = [emit.lookup(own[m * registers : (m + 1) * registers], index) for m in range(powers)]
                emit.store(context, signature.args[3], array, at, emit.horner(terms, w))
                at = builder.add(at, stride)
            return context.get_dummy_value()

        return types.void(tables, index, w, array, types.intp, types.intp), codegen

    return [load_edges, load_scales, add_edges, fill_edges]


def _slope_intrinsics(shape: _Shape) -> list[Any]:
    """Return no_slopes, add_slopes and slope."""
    k, dtype, registers = shape.k, shape.dtype, shape.registers
    sums_type = types.UniTuple(vector_types(dtype)[0], k)

    @intrinsic
    def no_slopes(typing_context, x):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return context.make_tuple(builder, sums_type, [Emitter(builder, dtype).number(0)] * k)

        return sums_type(x), codegen

    @intrinsic
    def add_slopes(typing_context, sums, array, at, index, factor):  # type: ignore[no-untyped-def]
        """Return the sums, one a power (all but the constant), plus factor times the coefficients of one edge."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            before = cgutils.unpack_tuple(builder, args[0], k)
            tables = emit.load_tables(context, signature.args[1], args[1], args[2], k * registers)
            after = [
                emit.fma(args[4], emit.lookup(tables[m * registers : (m + 1) * registers], args[3]), before[m])
                for m in range(k)
            ]
            return context.make_tuple(builder, sums_type, after)

        return sums_type(sums, array, types.intp, index, factor), codegen

    @intrinsic
    def slope(typing_context, sums, w):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            value = builder.fmul(emit.number(0), args[1])  # zeros, and NaN where w is NaN
            for m, total in enumerate(cgutils.unpack_tuple(builder, args[0], k)):
                value = emit.fma(value, args[1], builder.fmul(emit.number(k - m), total))
            return value

        return w(sums, w), codegen

    return [no_slopes, add_slopes, slope]


def _merge_intrinsics(shape: _Shape) -> list[Any]:
    """Return merge."""
    dtype, entries, powers, registers = shape.dtype, shape.entries, shape.powers, shape.registers

    @intrinsic
    def merge(typing_context, firsts, first, tables, poly, array, at, edges, to):  # type: ignore[no-untyped-def]
        """Store the polynomials of an edge on a vector of pieces."""

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            kinds, (firsts, first, tables, poly, array, at, edges, to) = signature.args, args
            own = emit.load_tables(context, kinds[4], array, at, registers)
            coefs = [
                emit.lookup(own, emit.load(context, kinds[0], firsts, first, r * entries, emit.integers))
                for r in range(powers)
            ]
            for power in range(powers):
                total = emit.number(0)
                for r, coef in enumerate(coefs):
                    part = emit.load(context, kinds[2], tables, poly, (power * powers + r) * entries)
                    total = emit.fma(part, coef, total)
                emit.store(context, kinds[6], edges, to, total, power * entries)
            return context.get_dummy_value()

        size = types.intp
        return types.void(firsts, size, tables, size, array, size, edges, size), codegen

    return [merge]


def tile_intrinsics(dtype: np.dtype[Any], columns: int) -> tuple[Any, Any, Any]:
    """Return the three operations of `_lanes.TileOps`."""
    lanes = lanes_of(dtype)
    rows = lanes // columns
    vectors, _ = vector_types(dtype)
    tile_type = types.UniTuple(vectors, lanes)

    @intrinsic
    def zeros(typing_context, array):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return cgutils.pack_array(builder, [Emitter(builder, dtype).number(0)] * lanes)

        return tile_type(array), codegen

    @intrinsic
    def add(typing_context, tile, f, f_at, f_stride, g, g_at, g_stride):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = Emitter(builder, dtype)
            tile, f, f_at, f_stride, g, g_at, g_stride = args

            fs = emit.load_columns(context, signature.args[1], f, f_at, f_stride, rows)
            gs = emit.load_columns(context, signature.args[4], g, g_at, g_stride, columns)
            before = cgutils.unpack_tuple(builder, tile, lanes)
            after = [emit.fma(a, b, before[r * columns + c]) for r, a in enumerate(fs) for c, b in enumerate(gs)]
            return cgutils.pack_array(builder, after)

        size = types.intp
        return tile_type(tile, f, size, size, g, size, size), codegen

    @intrinsic
    def totals(typing_context, tile):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            # Two vectors become one: its halves hold sums of neighbours of the one and of the other.
            parts = cgutils.unpack_tuple(builder, args[0], lanes)
            index = ir.VectorType(ir.IntType(32), lanes)
            even = ir.Constant(index, list(range(0, 2 * lanes, 2)))
            odd = ir.Constant(index, list(range(1, 2 * lanes, 2)))
            while len(parts) > 1:
                pairs = zip(parts[::2], parts[1::2], strict=True)
                parts = [
                    builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
                    for a, b in pairs
                ]
            return parts[0]

        return vectors(tile), codegen

    return zeros, add, totals
