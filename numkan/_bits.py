"""Sets of 64 samples, a bit for each.

    reached(x, at, end)                     the samples s for which x[at + s] >= end
    append(own, x, at, first, values, numbers, to)
        values[to], values[to + 1], ... = x[at + s] and numbers[to], ... = first + s for the samples s of the set `own`,
        in order; returns the place behind the last, behind which both arrays have room for a vector

Comparing is done with whole vectors, whatever the samples; what a set costs is to write down its members. They are
taken one by one, or, where the host can, vector by vector: the lanes that belong to the set move together, and what is
written behind them is written over by those that follow.
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

from numkan._emit import Emitter
from numkan._jit import kernel
from numkan._simd import as_python, has_permutations, has_wide_vectors

__all__ = ["ALL", "SAMPLES", "BitOps", "bit_ops"]

SAMPLES = 64
ALL = np.uint64(2**SAMPLES - 1)

_NONE, _ONE = np.uint64(0), np.uint64(1)


class BitOps(NamedTuple):
    """The operations for one dtype; `append_many` is `append` for sets that are expected to hold more than a few."""

    reached: Callable[..., Any]
    append: Callable[..., Any]
    append_many: Callable[..., Any]


@cache
def bit_ops(dtype: np.dtype[Any]) -> BitOps:
    """Return the operations for a dtype."""
    if as_python():
        return BitOps(_reached_one_by_one, _append_in_python, _append_in_python)
    reached, one_by_one = _reached_intrinsic(dtype), _append_one_by_one
    if dtype == np.float32 and has_wide_vectors():
        return BitOps(reached, one_by_one, _append_intrinsic(dtype, _Compressor))
    if dtype == np.float32 and has_permutations():
        together = _append_intrinsic(dtype, _Permuter)  # pays for a few as well
        return BitOps(reached, together, together)
    # Of fewer bits than 512 a vector has too few float64 in a set, of fewer than 256 too few of any.
    return BitOps(reached, one_by_one, one_by_one)


# --- one sample at a time -----------------------------------------------------------------------------------------


@kernel
def _reached_one_by_one(x, at, end):  # type: ignore[no-untyped-def]
    bits = _NONE
    for s in range(SAMPLES):
        if x[at + s] >= end:
            bits |= _ONE << np.uint64(s)
    return bits


@kernel
def _append_in_python(own, x, at, first, values, numbers, to):  # type: ignore[no-untyped-def]
    for s in range(SAMPLES):
        if own >> np.uint64(s) & _ONE:
            values[to], numbers[to] = x[at + s], first + s
            to += 1
    return to


# --- compiled -----------------------------------------------------------------------------------------------------


@intrinsic
def _least(typing_context, own):  # type: ignore[no-untyped-def]
    """Return the first sample of a set that is not empty."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        kind = ir.FunctionType(args[0].type, [args[0].type, ir.IntType(1)])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.cttz.i{SAMPLES}")
        return builder.call(function, [args[0], ir.IntType(1)(1)])

    return types.intp(own), codegen


@kernel
def _append_one_by_one(own, x, at, first, values, numbers, to):  # type: ignore[no-untyped-def]
    while own != _NONE:
        s = _least(own)
        own &= own - _ONE
        place = np.uint64(to)
        values[place], numbers[place] = x[np.uint64(at + s)], first + s
        to += 1
    return to


class _BitEmitter(Emitter):
    """Writes vectors into words, and back."""

    def bits(self, condition: Any) -> Any:
        """Return a vector of truth values as the low bits of a word."""
        return self.builder.zext(self.builder.bitcast(condition, ir.IntType(self.lanes)), ir.IntType(SAMPLES))

    def part(self, word: Any, lane: int) -> Any:
        """Return the bits from `lane` on, one for each lane of a vector."""
        return self.builder.trunc(self.builder.lshr(word, word.type(lane)), ir.IntType(self.lanes))

    def count(self, part: Any) -> Any:
        """Return how many bits of a part are set."""
        kind = ir.FunctionType(part.type, [part.type])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.ctpop.i{self.lanes}")
        return self.builder.zext(self.builder.call(function, [part]), ir.IntType(SAMPLES))


class _Compressor(_BitEmitter):
    """Moves lanes together as AVX-512 does, by one instruction."""

    def together(self, points: Any, part: Any) -> tuple[Any, Any]:
        """Return the points of which bits are set, and which lanes they come from, at the front of vectors."""
        condition = self.builder.bitcast(part, ir.VectorType(ir.IntType(1), self.lanes))
        lanes = ir.Constant(self.integers, list(range(self.lanes)))
        return self._compressed(points, condition, "f32"), self._compressed(lanes, condition, "i32")

    def _compressed(self, vector: Any, condition: Any, suffix: str) -> Any:
        name = f"llvm.x86.avx512.mask.compress.v{self.lanes}{suffix}"
        kind = ir.FunctionType(vector.type, [vector.type, vector.type, condition.type])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [vector, ir.Constant(vector.type, ir.Undefined), condition])


class _Permuter(_BitEmitter):
    """Moves eight lanes together by a permutation, which a table of 2 KB has for each set of them."""

    def together(self, points: Any, part: Any) -> tuple[Any, Any]:
        """Return what `_Compressor.together` does."""
        sets = [[lane for lane in range(8) if bits >> lane & 1] for bits in range(256)]
        words = [sum(lane << 8 * place for place, lane in enumerate(own)) for own in sets]
        table = cgutils.global_constant(
            self.builder, "permutations", ir.Constant(ir.ArrayType(ir.IntType(64), 256), words)
        )
        word = self.builder.load(self.builder.gep(table, [ir.IntType(32)(0), self.builder.zext(part, ir.IntType(32))]))
        lanes = self.builder.zext(self.builder.bitcast(word, ir.VectorType(ir.IntType(8), 8)), self.integers)
        return self.call("llvm.x86.avx2.permps", points, lanes), lanes


def _reached_intrinsic(dtype: np.dtype[Any]) -> Any:
    @intrinsic
    def reached(typing_context, x, at, end):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = _BitEmitter(builder, dtype)
            x, at, end = args
            end, word = emit.splat(end), ir.IntType(SAMPLES)(0)
            for lane in range(0, SAMPLES, emit.lanes):
                points = emit.load(context, signature.args[0], x, at, lane)
                bits = emit.bits(builder.fcmp_ordered(">=", points, end))
                word = builder.or_(word, builder.shl(bits, word.type(lane)))
            return word

        return types.uint64(x, types.intp, end), codegen

    return reached


def _append_intrinsic(dtype: np.dtype[Any], emitter: type[_Compressor] | type[_Permuter]) -> Any:
    @intrinsic
    def append(typing_context, own, x, at, first, values, numbers, to):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit = emitter(builder, dtype)
            own, x, at, first, values, numbers, to = args
            x_type, values_type, numbers_type = (signature.args[place] for place in (1, 4, 5))
            short = ir.IntType(16)
            for lane in range(0, SAMPLES, emit.lanes):
                part = emit.part(own, lane)
                points, lanes = emit.together(emit.load(context, x_type, x, at, lane), part)
                lanes = builder.trunc(lanes, ir.VectorType(short, emit.lanes))
                before = emit.splat(builder.trunc(builder.add(first, first.type(lane)), short))
                emit.store(context, values_type, values, to, points)
                emit.store(context, numbers_type, numbers, to, builder.add(before, lanes))
                to = builder.add(to, emit.count(part))
            return to

        return types.intp(own, x, types.intp, types.intp, values, numbers, types.intp), codegen

    return append
