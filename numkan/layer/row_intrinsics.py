"""The operations of ``rows.py`` on tuples of vectors, as instructions."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from numkan.layer.row_numbers import VALUES, powers_of
from numkan.simd.emit import Emitter, vector_types
from numkan.simd.groups import group_ops
from numkan.simd.totals import totals
from numkan.spline.pieces import function_lanes

__all__ = ["moving_intrinsics", "summing_intrinsics"]

#: So many rows further on are asked for when rows are needed: the next pieces will need them.
_AHEAD = 2


class _Rows(Emitter):
    """Reads rows of coefficients and the polynomials of a piece."""

    def __init__(self, context: Any, builder: Any, dtype: np.dtype[Any], k: int, vectors: int) -> None:
        super().__init__(builder, dtype)
        self.context, self.k, self.vectors, self.powers = context, k, vectors, k + 1

    def places(self, at: Any, stride: Any) -> list[Any]:
        """Return where rows 0, 1, ..., k begin."""
        found = [at]
        for _ in range(self.k):
            found.append(self.builder.add(found[-1], stride))
        return found

    def factor(self, poly_type: Any, poly: Any, piece: Any, m: int, r: int) -> Any:
        """Return P_mr, highest power first, in all lanes."""
        number = self.load(self.context, poly_type, poly, piece, m * function_lanes(self.k) + r, self.scalar)
        return self.splat(number)

    def polynomials(self, array_types: Any, args: Any) -> list[list[Any]]:
        """Return A, highest power first, and the base's row; args: of `load`."""
        coefs, at, stride, last, poly, piece = args
        found: list[list[Any]] = []
        for r, place in enumerate(self.places(at, stride)):
            row = self.load_tables(self.context, array_types[0], coefs, place, self.vectors)
            factors = [self.factor(array_types[4], poly, piece, m, r) for m in range(self.powers)]
            if r == 0:
                found = [[self.builder.fmul(factor, c) for c in row] for factor in factors]
            else:
                pairs = zip(factors, found, strict=True)
                found = [[self.fma(factor, c, a) for c, a in zip(row, own, strict=True)] for factor, own in pairs]
        self.ask_ahead(array_types[0], coefs, at, stride)
        return [*found, self.load_tables(self.context, array_types[0], coefs, last, self.vectors)]

    def ask_ahead(self, array_type: Any, array: Any, at: Any, stride: Any) -> None:
        ahead = self.builder.add(at, self.builder.mul(stride, ir.Constant(stride.type, self.k + 1 + _AHEAD)))
        self.prefetch(self.context, array_type, array, ahead, self.vectors)


def _packed(builder: Any, rows: list[list[Any]]) -> Any:
    return cgutils.pack_array(builder, [vector for row in rows for vector in row])


def moving_intrinsics(k: int, dtype: np.dtype[Any], vectors: int) -> tuple[Any, Any, Any, Any]:
    """Return load, load_slopes, clear and store; vector v of row m is number m * vectors + v of the tuple."""
    size, powers = types.intp, k + 1
    rows_type = types.UniTuple(vector_types(dtype)[0], (k + 2) * vectors)

    @intrinsic
    def load(typing_context, coefs, at, stride, last, poly, piece, room):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return _packed(builder, _Rows(context, builder, dtype, k, vectors).polynomials(signature.args, args[:-1]))

        return rows_type(coefs, size, size, size, poly, size, room), codegen

    @intrinsic
    def load_slopes(typing_context, coefs, at, stride, last, poly, piece, room, inverse):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Rows(context, builder, dtype, k, vectors)
            rows = emit.polynomials(signature.args, args[:-2])
            for m in range(k):
                factor = emit.splat(builder.fmul(ir.Constant(emit.scalar, float(k - m)), args[-1]))
                rows[m] = [builder.fmul(factor, a) for a in rows[m]]
            return _packed(builder, rows)

        return rows_type(coefs, size, size, size, poly, size, room, inverse), codegen

    @intrinsic
    def clear(typing_context, grad, at, stride, room):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Rows(context, builder, dtype, k, vectors)
            emit.ask_ahead(signature.args[0], *args[:-1])
            return cgutils.pack_array(builder, [emit.number(0)] * rows_type.count)

        return rows_type(grad, size, size, room), codegen

    @intrinsic
    def store(typing_context, rows, grad, at, stride, last, poly, piece):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Rows(context, builder, dtype, k, vectors)
            rows, grad, at, stride, last, poly, piece = args
            flat, kind = cgutils.unpack_tuple(builder, rows, rows_type.count), signature.args[1]
            moments = [flat[begin : begin + vectors] for begin in range(0, len(flat), vectors)]
            for r, place in enumerate(emit.places(at, stride)):
                row = emit.load_tables(context, kind, grad, place, vectors)
                for m in range(powers):
                    factor = emit.factor(signature.args[5], poly, piece, m, r)
                    row = [emit.fma(factor, moment, c) for moment, c in zip(moments[m], row, strict=True)]
                emit.store_tables(context, kind, grad, place, row)
            row = emit.load_tables(context, kind, grad, last, vectors)
            row = [builder.fadd(moment, c) for moment, c in zip(moments[powers], row, strict=True)]
            emit.store_tables(context, kind, grad, last, row)
            return context.get_dummy_value()

        return types.void(rows, grad, size, size, size, poly, size), codegen

    return load, load_slopes, clear, store


class _Samples(Emitter):
    """Reads what samples need, for intrinsics whose first arguments are (rows, f, first, order, s, out, begin)."""

    def __init__(
        self, context: Any, builder: Any, signature: Any, args: Any, dtype: np.dtype[Any], k: int, numbers: int
    ) -> None:
        super().__init__(builder, dtype)
        self.context, self.types, self.args = context, signature.args, args
        self.size = group_ops(numbers, dtype).size
        vectors = cgutils.unpack_tuple(builder, args[0], signature.args[0].count)
        self.vectors = len(vectors) // (k + 2)
        self.rows = [vectors[at : at + self.vectors] for at in range(0, len(vectors), self.vectors)]

    def number_of(self, r: int, z: int) -> Any:
        """Return number r of sample z, in all lanes."""
        f, first = self.args[1:3]
        return self.splat(self.load(self.context, self.types[1], f, first, z + self.size * r, self.scalar))

    def place(self, z: int) -> Any:
        """Return where in `out` the tile of sample z begins."""
        order, s, _, begin = self.args[3:7]
        sample = self.load(self.context, self.types[3], order, s, z, ir.IntType(16))
        tile = ir.Constant(begin.type, self.vectors * self.lanes)
        return self.builder.add(begin, self.builder.mul(self.builder.zext(sample, begin.type), tile))

    def outputs(self, place: Any) -> list[Any]:
        return self.load_tables(self.context, self.types[5], self.args[5], place, self.vectors)

    def store_outputs(self, place: Any, values: list[Any]) -> None:
        self.store_tables(self.context, self.types[5], self.args[5], place, values)

    def columns(self, rows: list[list[Any]]) -> list[list[Any]]:
        """Return, for each vector of the tile, its rows."""
        return [[row[v] for row in rows] for v in range(self.vectors)]


def summing_intrinsics(k: int, dtype: np.dtype[Any], samples: int) -> tuple[Any, Any, Any]:
    """Return add_outputs, add_moments and add_totals for so many samples from s on, their numbers from `first` on."""
    size, backward = types.intp, powers_of(k)

    @intrinsic
    def add_outputs(typing_context, rows, f, first, order, s, out, begin):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Samples(context, builder, signature, args, dtype, k, VALUES)
            *polynomials, base = emit.rows
            for z in range(samples):
                place, w, b = emit.place(z), emit.number_of(0, z), emit.number_of(1, z)
                pairs = zip(emit.columns(polynomials), emit.outputs(place), strict=True)
                sums = [emit.horner(column, w, y) for column, y in pairs]
                emit.store_outputs(place, [emit.fma(b, c, y) for c, y in zip(base, sums, strict=True)])
            return context.get_dummy_value()

        return types.void(rows, f, size, order, size, out, size), codegen

    @intrinsic
    def add_moments(typing_context, rows, f, first, order, s, out, begin):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Samples(context, builder, signature, args, dtype, k, backward)
            *higher, lowest, base = emit.rows
            for z in range(samples):
                ys = emit.outputs(emit.place(z))
                if k > 0:
                    lowest = [builder.fadd(y, moment) for y, moment in zip(ys, lowest, strict=True)]
                else:
                    lowest = [emit.horner([y], emit.number_of(0, z), m) for y, m in zip(ys, lowest, strict=True)]
                for m, power in enumerate(range(k - 1, -1, -1)):
                    factor = emit.number_of(power, z)
                    higher[m] = [emit.fma(factor, y, moment) for y, moment in zip(ys, higher[m], strict=True)]
                b = emit.number_of(backward - 2, z)
                base = [emit.fma(b, y, moment) for y, moment in zip(ys, base, strict=True)]
            return _packed(builder, [*higher, lowest, base])

        return rows(rows, f, size, order, size, out, size), codegen

    @intrinsic
    def add_totals(typing_context, rows, f, first, order, s, out, begin, sums, to):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit, parts = _Samples(context, builder, signature, args, dtype, k, backward), []
            slopes = emit.rows[:k] or [[emit.number(0)] * emit.vectors]
            for z in range(samples):
                w, slope, acc = emit.number_of(0, z), emit.number_of(backward - 1, z), emit.number(0)
                outputs = emit.outputs(emit.place(z))
                for column, base, y in zip(emit.columns(slopes), emit.rows[-1], outputs, strict=True):
                    acc = emit.fma(emit.fma(slope, base, emit.horner(column, w)), y, acc)
                parts.append(acc)
            total = totals(emit, parts)
            before = emit.load(context, signature.args[7], args[7], args[8], kind=total.type)
            emit.store(context, signature.args[7], args[7], args[8], builder.fadd(before, total))
            return context.get_dummy_value()

        return types.void(rows, f, size, order, size, out, size, sums, size), codegen

    return add_outputs, add_moments, add_totals
