"""The k + 2 rows of coefficients that one sample needs, held in registers while many samples go by.

Samples of one piece share their rows. So the inner loop of a wide layer loads a tile of rows once, `vectors` vectors of
each, and then takes a run of samples of the piece, q, q + 1, ..., end - 1 in sorted order:

    rows = load(coefs, at, stride, last)                        row r < k + 1 at `at + r * stride`, of b(x) at `last`
    add_outputs(rows, f, first, order, q, end, out, begin)              y += sum_r f_r * row r
    rows = add_products(rows, f, first, order, q, end, out, begin)      row r += f_r * y
    add_totals(rows, f, first, order, q, end, out, begin, sums, to)     sums[to + s] += sum(y * (sum_r f_r * row r))
    store(rows, grad, at, stride, last)

y are the outputs of sample order[s], a tile of theirs, at ``begin + order[s] * tile``; f_r its functions, which lie in
groups from `first` on (``_groups.py``). Each sum over r is one chain of fused multiply-adds, r = 0, 1, ..., k + 1; a
sum over outputs is one chain over vectors, then one over lanes, by halves.

Compiled, an operation takes and returns a tuple of vectors: it is a value, so that no store to an output can be in
doubt of changing it, and it stays in registers; four samples are taken at once. With the JIT off or bounds checked
`rows` are the place in the array where they are, and every operation goes there.
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
from numkan._groups import FOUR, group_ops
from numkan._jit import kernel
from numkan._simd import as_python, has_wide_vectors, lanes_of, vector_ops
from numkan._totals import totals

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
    add_totals: Callable[..., Any]
    store: Callable[..., Any]


def tile_vectors(k: int) -> int:
    """Return how many vectors of each of k + 2 rows the registers hold."""
    registers = _WIDE_REGISTERS if has_wide_vectors() else _REGISTERS
    return max(1, min(_MOST_VECTORS, registers // (k + 2)))


@cache
def row_ops(k: int, dtype: np.dtype[Any], vectors: int) -> RowOps:
    """Return the operations for degree `k`, a dtype and tiles of `vectors` vectors."""
    return _ops_in_memory(k, dtype, vectors) if as_python() else _ops_in_registers(k, dtype, vectors)


def _ops_in_memory(k: int, dtype: np.dtype[Any], vectors: int) -> RowOps:
    step, load, store, splat, fma, mul, total, _ = vector_ops(lanes_of(dtype))
    powers, width, zero = k + 1, vectors * step, dtype.type(0)
    size, place, *_ = group_ops(k + 2, dtype)
    base = size * powers

    @kernel
    def load_rows(array, at, stride, last):  # type: ignore[no-untyped-def]
        return (array, at, stride, last)

    @kernel
    def add_outputs(rows, f, first, order, q, end, out, begin):  # type: ignore[no-untyped-def]
        array, at, stride, last = rows
        for s in range(q, end):
            own, to = place(first, s - q), begin + np.int64(order[s]) * width
            for v in range(0, width, step):
                y = load(out, to + v)
                for r in range(powers):
                    y = fma(splat(f[own + r * size]), load(array, at + r * stride + v), y)
                store(out, to + v, fma(splat(f[own + base]), load(array, last + v), y))

    @kernel
    def add_products(rows, f, first, order, q, end, out, begin):  # type: ignore[no-untyped-def]
        array, at, stride, last = rows
        for s in range(q, end):
            own, to = place(first, s - q), begin + np.int64(order[s]) * width
            for v in range(0, width, step):
                y = load(out, to + v)
                for r in range(powers):
                    row = at + r * stride + v
                    store(array, row, fma(splat(f[own + r * size]), y, load(array, row)))
                store(array, last + v, fma(splat(f[own + base]), y, load(array, last + v)))
        return rows

    @kernel
    def add_totals(rows, f, first, order, q, end, out, begin, sums, sums_at):  # type: ignore[no-untyped-def]
        array, at, stride, last = rows
        for s in range(q, end):
            own, to, acc = place(first, s - q), begin + np.int64(order[s]) * width, splat(zero)
            for v in range(0, width, step):
                value = mul(splat(f[own]), load(array, at + v))
                for r in range(1, powers):
                    value = fma(splat(f[own + r * size]), load(array, at + r * stride + v), value)
                value = fma(splat(f[own + base]), load(array, last + v), value)
                acc = fma(value, load(out, to + v), acc)
            sums[sums_at + s] += total(acc)

    @kernel
    def store_rows(rows, array, at, stride, last):  # type: ignore[no-untyped-def]
        pass  # they have never left it

    return RowOps(load_rows, add_outputs, add_products, add_totals, store_rows)


def _ops_in_registers(k: int, dtype: np.dtype[Any], vectors: int) -> RowOps:
    load, store = _moving_intrinsics(k, dtype, vectors)
    output, product, total = _summing_intrinsics(k, dtype, 1)
    four_outputs, four_products, four_totals = _summing_intrinsics(k, dtype, FOUR)
    size = group_ops(k + 2, dtype).size
    last_four, jump = size // FOUR - 1, size * (k + 1)  # from the fours of a group to those of the next

    @kernel
    def add_outputs(rows, f, first, order, q, end, out, begin):  # type: ignore[no-untyped-def]
        fours = (end - q) >> 2
        for four in range(fours):
            four_outputs(rows, f, first, order, q + FOUR * four, out, begin)
            first += FOUR + jump * (four & last_four == last_four)
        for s in range(q + FOUR * fours, end):
            output(rows, f, first, order, s, out, begin)
            first += 1

    @kernel
    def add_products(rows, f, first, order, q, end, out, begin):  # type: ignore[no-untyped-def]
        fours = (end - q) >> 2
        for four in range(fours):
            rows = four_products(rows, f, first, order, q + FOUR * four, out, begin)
            first += FOUR + jump * (four & last_four == last_four)
        for s in range(q + FOUR * fours, end):
            rows = product(rows, f, first, order, s, out, begin)
            first += 1
        return rows

    @kernel
    def add_totals(rows, f, first, order, q, end, out, begin, sums, sums_at):  # type: ignore[no-untyped-def]
        fours = (end - q) >> 2
        for four in range(fours):
            four_totals(rows, f, first, order, q + FOUR * four, out, begin, sums, sums_at + q + FOUR * four)
            first += FOUR + jump * (four & last_four == last_four)
        for s in range(q + FOUR * fours, end):
            total(rows, f, first, order, s, out, begin, sums, sums_at + s)
            first += 1

    return RowOps(load, add_outputs, add_products, add_totals, store)


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


class _Samples(Emitter):
    """Reads what samples need, for intrinsics whose first arguments are (rows, f, first, order, s, out, begin)."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any, dtype: np.dtype[Any], k: int) -> None:
        super().__init__(builder, dtype)
        self.context, self.types, self.args = context, signature.args, args
        self.size = group_ops(k + 2, dtype).size
        vectors = cgutils.unpack_tuple(builder, args[0], signature.args[0].count)
        self.vectors = len(vectors) // (k + 2)
        self.rows = [vectors[at : at + self.vectors] for at in range(0, len(vectors), self.vectors)]

    def number_of(self, r: int, z: int) -> Any:
        """Return function r of sample z, in all lanes."""
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


def _summing_intrinsics(k: int, dtype: np.dtype[Any], samples: int) -> tuple[Any, Any, Any]:
    """Return add_outputs, add_products and add_totals for so many samples from s on, their functions from `first` on.

    What is loaded for a row is used at once: all numbers of a sample loaded first cost 5 % (256-bit vectors).
    """
    size = types.intp

    @intrinsic
    def add_outputs(typing_context, rows, f, first, order, s, out, begin):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Samples(context, builder, signature, args, dtype, k)
            for z in range(samples):
                place = emit.place(z)
                sums = emit.outputs(place)
                for r, row in enumerate(emit.rows):
                    factor = emit.number_of(r, z)
                    sums = [emit.fma(factor, c, y) for c, y in zip(row, sums, strict=True)]
                    emit.keep_apart()
                emit.store_outputs(place, sums)
            return context.get_dummy_value()

        return types.void(rows, f, size, order, size, out, size), codegen

    @intrinsic
    def add_products(typing_context, rows, f, first, order, s, out, begin):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Samples(context, builder, signature, args, dtype, k)
            rows = emit.rows
            for z in range(samples):
                ys, summed = emit.outputs(emit.place(z)), []
                for r, row in enumerate(rows):
                    factor = emit.number_of(r, z)
                    summed.append([emit.fma(factor, y, c) for c, y in zip(row, ys, strict=True)])
                    emit.keep_apart()
                rows = summed
            return cgutils.pack_array(builder, [vector for row in rows for vector in row])

        return rows(rows, f, size, order, size, out, size), codegen

    @intrinsic
    def add_totals(typing_context, rows, f, first, order, s, out, begin, sums, to):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit, parts = _Samples(context, builder, signature, args, dtype, k), []
            for z in range(samples):
                values = [builder.fmul(emit.number_of(0, z), c) for c in emit.rows[0]]
                for r, row in enumerate(emit.rows[1:], 1):
                    factor = emit.number_of(r, z)
                    values = [emit.fma(factor, c, value) for c, value in zip(row, values, strict=True)]
                    emit.keep_apart()
                acc = emit.number(0)
                for value, y in zip(values, emit.outputs(emit.place(z)), strict=True):
                    acc = emit.fma(value, y, acc)
                parts.append(acc)
            total = totals(emit, parts)
            before = emit.load(context, signature.args[7], args[7], args[8], kind=total.type)
            emit.store(context, signature.args[7], args[7], args[8], builder.fadd(before, total))
            return context.get_dummy_value()

        return types.void(rows, f, size, order, size, out, size, sums, size), codegen

    return add_outputs, add_products, add_totals
