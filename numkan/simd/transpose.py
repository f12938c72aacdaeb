"""Operations that lead from rows, one for each sample, to columns with samples as lanes, and back.

    transpose(source, at, stride, target, to, to_stride)   target[to + c * to_stride + r] = source[at + r * stride + c]
    transpose_four(...)              the same, of four columns only
    gather(array, base, index, at)   entries 0, 1, ... of row index[at + lane] of a table, each as a vector
    store_pairs(array, at, a, b)     array[at ...] = lane 0 of a, lane 0 of b, lane 1 of a, lane 1 of b, ...
    load_pairs(array, at)            the vectors a, b that were stored so
    splat_pair(array, at)            (array[at], array[at + 1]), each in all lanes

`transpose` moves a square of as many rows and columns as a vector has lanes. The rows that `gather` reads begin at
`base` and are `row_stride(count)` long, a multiple of four; four entries are loaded together. Compiled, these are
shuffles of vectors; with the JIT off or bounds checked a vector is one sample.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from numkan.compile import kernel
from numkan.simd.emit import Emitter, vector_types
from numkan.simd.llvm_vectors import VectorType
from numkan.simd.vectors import as_python

__all__ = ["FOUR", "PairOps", "gather_op", "pair_ops", "row_stride", "transpose_four_op", "transpose_op"]

FOUR = 4


def row_stride(count: int) -> int:
    """Return the distance between rows of `count` entries: a multiple of four."""
    return -(-count // FOUR) * FOUR


@cache
def transpose_op(dtype: np.dtype[Any]) -> Any:
    """Return `transpose` for a dtype."""
    return _transpose_one if as_python() else _transpose_intrinsic(dtype, 0)


class PairOps(NamedTuple):
    """The operations on pairs of entries for one dtype; `splat_pair` gives vectors of one length."""

    store_pairs: Callable[..., Any]
    load_pairs: Callable[..., Any]
    splat_pair: Callable[..., Any]


@cache
def transpose_four_op(dtype: np.dtype[Any]) -> Any:
    """Return `transpose_four` for a dtype."""
    return _transpose_four_one if as_python() else _transpose_intrinsic(dtype, FOUR)


@cache
def pair_ops(dtype: np.dtype[Any], lanes: int) -> PairOps:
    """Return the operations on pairs, with `splat_pair` for vectors of this many lanes."""
    if as_python():
        return PairOps(_store_pair, _load_pair, _load_pair)
    return PairOps(_store_pairs_intrinsic(dtype), _load_pairs_intrinsic(dtype), _splat_pair_intrinsic(dtype, lanes))


@cache
def gather_op(dtype: np.dtype[Any], count: int) -> Any:
    """Return `gather` for a dtype and `count` entries of a row."""
    return _pick_one(count, row_stride(count)) if as_python() else _pick_intrinsic(dtype, count)


# --- one sample at a time -----------------------------------------------------------------------------------------


@kernel
def _transpose_one(source, at, stride, target, to, to_stride):  # type: ignore[no-untyped-def]
    target[to] = source[at]


@kernel
def _transpose_four_one(source, at, stride, target, to, to_stride):  # type: ignore[no-untyped-def]
    for c in range(FOUR):
        target[to + c * to_stride] = source[at + c]


@kernel
def _store_pair(array, at, a, b):  # type: ignore[no-untyped-def]
    array[at], array[at + 1] = a, b


@kernel
def _load_pair(array, at):  # type: ignore[no-untyped-def]
    return array[at], array[at + 1]


@cache
def _pick_one(count: int, stride: int) -> Any:
    last = count - 1
    if count == 1:

        @kernel
        def pick_last(array, base, index, at):  # type: ignore[no-untyped-def]
            return (array[base + index[at] * stride],)

        return pick_last
    fewer = _pick_one(count - 1, stride)

    @kernel
    def gather(array, base, index, at):  # type: ignore[no-untyped-def]
        return fewer(array, base, index, at) + (array[base + index[at] * stride + last],)  # noqa: RUF005

    return gather


# --- compiled -----------------------------------------------------------------------------------------------------


def _index(lane: int) -> Any:
    return ir.Constant(ir.IntType(32), lane)


class _Shuffler(Emitter):
    """Writes shuffles of many vectors."""

    def transposed(self, rows: list[Any]) -> list[Any]:
        """Return the columns of a square of vectors, by an exchange of halves, then quarters, and so on."""
        lanes, step = len(rows), 1
        lane_numbers = range(lanes)
        while step < lanes:
            low = [lane if lane & step == 0 else lanes + lane - step for lane in lane_numbers]
            high = [lane + step if lane & step == 0 else lanes + lane for lane in lane_numbers]
            transposed_rows = list(rows)
            for r in lane_numbers:
                if r & step == 0:
                    transposed_rows[r] = self.shuffle(rows[r], rows[r + step], low)
                    transposed_rows[r + step] = self.shuffle(rows[r], rows[r + step], high)
            rows, step = transposed_rows, 2 * step
        return rows

    def joined(self, parts: list[Any]) -> Any:
        """Return the concatenation of short vectors."""
        while len(parts) > 1:
            size = 2 * parts[0].type.count
            parts = [self.shuffle(a, b, range(size)) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    def joined_numbers(self, numbers: list[Any]) -> Any:
        """Return a vector of numbers."""
        vector = ir.Constant(self.vector, ir.Undefined)
        for lane, number in enumerate(numbers):
            vector = self.builder.insert_element(vector, number, _index(lane))
        return vector

    def fours(self, rows: list[Any], count: int) -> list[Any]:
        """Return the first `count` columns of as many rows of four as a vector has lanes."""
        if self.lanes < FOUR:
            return [
                self.joined_numbers([self.builder.extract_element(row, _index(c)) for row in rows])
                for c in range(count)
            ]
        groups = [self.joined(rows[first::FOUR]) for first in range(FOUR)]  # rows first, first + 4, ...

        def mix(a: Any, b: Any, places: tuple[int, int, int, int]) -> Any:
            """Combine every four lanes of two vectors in the same way; positions 4 ... 7 are lanes of b."""
            beyond = self.lanes - FOUR
            every = range(0, self.lanes, FOUR)
            return self.shuffle(a, b, [at + p + (beyond if p >= FOUR else 0) for at in every for p in places])

        columns = {}
        # For two rows, one instruction interleaves neighbours in float32, and every other entry in float64.
        for c, d in ((0, 1), (2, 3)) if self.single else ((0, 2), (1, 3)):
            both = (c, c + FOUR, d, d + FOUR)
            left, right = mix(groups[0], groups[1], both), mix(groups[2], groups[3], both)
            columns[c], columns[d] = mix(left, right, (0, 1, 4, 5)), mix(left, right, (2, 3, 6, 7))
        return [columns[c] for c in range(count)]


def _transpose_intrinsic(dtype: np.dtype[Any], columns: int) -> Any:
    """Return the intrinsic that transposes four columns, or a square of them if `columns` is 0."""

    @intrinsic
    def transpose(typing_context, source, at, stride, target, to, to_stride):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Shuffler(builder, dtype)
            source, at, stride, target, to, to_stride = args
            kind = ir.VectorType(emit.scalar, columns) if columns else emit.vector
            rows = emit.load_columns(context, signature.args[0], source, at, stride, emit.lanes, kind=kind)
            for column in emit.fours(rows, columns) if columns else emit.transposed(rows):
                emit.store(context, signature.args[3], target, to, column)
                to = builder.add(to, to_stride)
            return context.get_dummy_value()

        size = types.intp
        return types.void(source, size, size, target, size, size), codegen

    return transpose


def _store_pairs_intrinsic(dtype: np.dtype[Any]) -> Any:
    @intrinsic
    def store_pairs(typing_context, array, at, a, b):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Shuffler(builder, dtype)
            array, at, a, b = args
            for half in range(2):
                first = half * emit.lanes // 2
                places = [lane + beyond for lane in range(first, first + emit.lanes // 2) for beyond in (0, emit.lanes)]
                emit.store(context, signature.args[0], array, at, emit.shuffle(a, b, places), half * emit.lanes)
            return context.get_dummy_value()

        return types.void(array, types.intp, a, b), codegen

    return store_pairs


def _load_pairs_intrinsic(dtype: np.dtype[Any]) -> Any:
    vectors, _ = vector_types(dtype)
    both = types.UniTuple(vectors, 2)

    @intrinsic
    def load_pairs(typing_context, array, at):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Shuffler(builder, dtype)
            array, at = args
            low, high = emit.load_tables(context, signature.args[0], array, at, 2)
            found = [emit.shuffle(low, high, range(own, 2 * emit.lanes, 2)) for own in range(2)]
            return context.make_tuple(builder, both, found)

        return both(array, types.intp), codegen

    return load_pairs


def _splat_pair_intrinsic(dtype: np.dtype[Any], lanes: int) -> Any:
    @intrinsic
    def splat_pair(typing_context, array, at):  # type: ignore[no-untyped-def]
        result = types.UniTuple(VectorType(array.dtype, lanes), 2)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            # One short load and two shuffles, because the loads of outputs are the bottleneck.
            emit = _Shuffler(builder, dtype)
            array, at = args
            pair = emit.load(context, signature.args[0], array, at, kind=ir.VectorType(emit.scalar, 2))
            return context.make_tuple(builder, result, [emit.shuffle(pair, pair, [own] * lanes) for own in range(2)])

        return result(array, types.intp), codegen

    return splat_pair


def _pick_intrinsic(dtype: np.dtype[Any], count: int) -> Any:
    vectors, _ = vector_types(dtype)
    result, stride = types.UniTuple(vectors, count), row_stride(count)

    @intrinsic
    def gather(typing_context, array, base, index, at):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _Shuffler(builder, dtype)
            array, base, index, at = args
            whole, four = base.type, ir.VectorType(emit.scalar, FOUR)
            places = []
            for lane in range(emit.lanes):
                row = emit.load(context, signature.args[2], index, at, lane, kind=ir.IntType(32))
                begin = builder.mul(builder.zext(row, whole), ir.Constant(whole, stride))
                places.append(builder.add(base, begin))
            columns = []
            for first in range(0, count, FOUR):
                fours = [emit.load(context, signature.args[0], array, place, first, kind=four) for place in places]
                columns += emit.fours(fours, min(FOUR, count - first))
            return context.make_tuple(builder, result, columns)

        return result(array, types.intp, index, types.intp), codegen

    return gather
