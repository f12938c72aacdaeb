"""Sets of 64 samples, a bit for each.

    number(x, at, ends, i, n, numbers, to)
        numbers[to + s] = how many of ends[i, :n] x[at + s] has reached, for 64 samples s; n is 255 at most
    members(numbers, at, number)            the samples s for which numbers[at + s] == number
    append(own, x, at, first, values, numbers, to)
        numbers[to], numbers[to + 1], ... = first + s for the samples s of the set `own`, in order; returns the place
        behind the last, behind which arrays have `room` for what is written too far

Comparing is done with whole vectors, whatever the samples: of numbers at first, and then of bytes, which are many to a
vector. What a set costs is to write down its members. They are taken a few at a time, or those of eight samples from a
table, so that few branches depend on them: what is written too far is written over by those that follow. AVX-512 moves
the members of a vector together by one instruction; there float32 that are appended so come along, values[to], ... =
x[at + s]. Elsewhere it is cheaper to fetch each of them later, by its number.
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
from numkan.simd.vectors import as_python, has_wide_vectors, lanes_of, vector_pointer

__all__ = ["SAMPLES", "BitOps", "bit_ops"]

SAMPLES = 64
_NONE, _ONE = np.uint64(0), np.uint64(1)

#: So many members of a set are taken before the next look whether there are more; so many samples go into a table.
_FEW, _EIGHT = 6, 8

#: So many vectors of counts are in registers.
_REGISTERS = 8


class BitOps(NamedTuple):
    """The operations for one dtype; `append_many` is `append` for sets that are expected to hold more than a few."""

    number: Callable[..., Any]
    members: Callable[..., Any]
    append: Callable[..., Any]
    append_many: Callable[..., Any]
    carries: bool  # whether `append_many` fills `values`
    room: int  # numbers, at least a vector of the dtype


@cache
def bit_ops(dtype: np.dtype[Any]) -> BitOps:
    """Return the operations for a dtype."""
    if as_python():
        python = _number_in_python, _members_in_python, _append_in_python, _append_in_python
        return BitOps(*python, carries=False, room=lanes_of(dtype))
    carries, room = dtype == np.float32 and has_wide_vectors(), max(_FEW, _EIGHT, lanes_of(dtype))
    append_many = _append_compressed if carries else _append_eights
    return BitOps(_number_kernel(dtype), _members, _append_few_by_few, append_many, carries, room)


# --- one sample at a time -----------------------------------------------------------------------------------------


@kernel
def _number_in_python(x, at, ends, i, n, numbers, to):  # type: ignore[no-untyped-def]
    for s in range(SAMPLES):
        count = 0
        for j in range(n):
            count += x[at + s] >= ends[i, j]
        numbers[to + s] = count


@kernel
def _members_in_python(numbers, at, number):  # type: ignore[no-untyped-def]
    bits = _NONE
    for s in range(SAMPLES):
        if numbers[at + s] == number:
            bits |= _ONE << np.uint64(s)
    return bits


@kernel
def _append_in_python(own, x, at, first, values, numbers, to):  # type: ignore[no-untyped-def]
    for s in range(SAMPLES):
        if own >> np.uint64(s) & _ONE:
            numbers[to] = first + s
            to += 1
    return to


# --- compiled -----------------------------------------------------------------------------------------------------


def _number_kernel(dtype: np.dtype[Any]) -> Any:
    held = min(_REGISTERS * lanes_of(dtype), SAMPLES)
    none, count, store = _counting_intrinsics(dtype, held)

    @kernel
    def number(x, at, ends, i, n, numbers, to):  # type: ignore[no-untyped-def]
        for s in range(0, SAMPLES, held):
            counts = none(x)
            for j in range(n):
                counts = count(counts, x, at + s, ends[i, j])
            store(counts, numbers, to + s)

    return number


def _counting_intrinsics(dtype: np.dtype[Any], held: int) -> tuple[Any, Any, Any]:
    """Return none(x), count(counts, x, at, end) and store(counts, numbers, to) for `held` samples in vectors."""
    vectors = held // lanes_of(dtype)
    counts_type = types.UniTuple(vector_types(dtype)[1], vectors)

    @intrinsic
    def none(typing_context, x):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return cgutils.pack_array(builder, [Emitter(builder, dtype).whole(0)] * vectors)

        return counts_type(x), codegen

    @intrinsic
    def count(typing_context, counts, x, at, end):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit, end = Emitter(builder, dtype), Emitter(builder, dtype).splat(args[3])
            after = []
            for v, before in enumerate(cgutils.unpack_tuple(builder, args[0], vectors)):
                points = emit.load(context, signature.args[1], args[1], args[2], v * emit.lanes)
                reached = builder.sext(builder.fcmp_ordered(">=", points, end), emit.integers)  # -1 where it is
                after.append(builder.sub(before, reached))
            return cgutils.pack_array(builder, after)

        return counts_type(counts, x, types.intp, end), codegen

    @intrinsic
    def store(typing_context, counts, numbers, to):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            parts, index = cgutils.unpack_tuple(builder, args[0], vectors), ir.IntType(32)
            while len(parts) > 1:
                both = ir.Constant(ir.VectorType(index, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
                parts = [builder.shuffle_vector(a, b, both) for a, b in zip(parts[::2], parts[1::2], strict=True)]
            whole = builder.trunc(parts[0], ir.VectorType(ir.IntType(8), held))
            pointer = vector_pointer(context, builder, signature.args[1], args[1], args[2], whole.type)
            builder.store(whole, pointer, align=1)
            return context.get_dummy_value()

        return types.void(counts, numbers, types.intp), codegen

    return none, count, store


@intrinsic
def _members(typing_context, numbers, at, number):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        octets, index = ir.VectorType(ir.IntType(8), SAMPLES), ir.IntType(32)
        pointer = vector_pointer(context, builder, signature.args[0], args[0], args[1], octets)
        undefined = ir.Constant(octets, ir.Undefined)
        one = builder.insert_element(undefined, builder.trunc(args[2], ir.IntType(8)), index(0))
        every = builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(index, SAMPLES), [0] * SAMPLES))
        equal = builder.icmp_unsigned("==", builder.load(pointer, align=1), every)
        return builder.bitcast(equal, ir.IntType(SAMPLES))

    return types.uint64(numbers, types.intp, types.intp), codegen


@intrinsic
def _least(typing_context, own):  # type: ignore[no-untyped-def]
    """Return the first sample of a set, SAMPLES if it is empty."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _call(builder, "cttz", args[0], ir.IntType(1)(0))

    return types.intp(own), codegen


@intrinsic
def _size(typing_context, own):  # type: ignore[no-untyped-def]
    """Return how many samples a set has."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _call(builder, "ctpop", args[0])

    return types.intp(own), codegen


def _call(builder: Any, name: str, bits: Any, *flags: Any) -> Any:
    kind = ir.FunctionType(bits.type, [bits.type, *(flag.type for flag in flags)])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.i{bits.type.width}")
    return builder.call(function, [bits, *flags])


@kernel
def _append_few_by_few(own, x, at, first, values, numbers, to):  # type: ignore[no-untyped-def]
    end = to + _size(own)
    while own != _NONE:
        for place in range(np.uint64(to), np.uint64(to + _FEW)):
            numbers[place] = first + _least(own)
            own &= own - _ONE
        to += _FEW
    return end


@intrinsic
def _append_eights(typing_context, own, x, at, first, values, numbers, to):  # type: ignore[no-untyped-def]
    """Append the members of eight samples after the other: a table of 2 KB has them for every set of eight."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        own, _, _, first, _, numbers, to = args
        octet, short = ir.IntType(8), ir.IntType(16)
        octets, shorts = ir.VectorType(octet, _EIGHT), ir.VectorType(short, _EIGHT)
        sets = [[s for s in range(_EIGHT) if bits >> s & 1] for bits in range(1 << _EIGHT)]
        words = [sum(s << 8 * place for place, s in enumerate(members)) for members in sets]
        kind = ir.ArrayType(ir.IntType(SAMPLES), len(words))
        table = cgutils.global_constant(builder, "members", ir.Constant(kind, words))
        undefined, index = ir.Constant(shorts, ir.Undefined), ir.IntType(32)
        one = builder.insert_element(undefined, builder.trunc(first, short), index(0))
        first = builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(index, _EIGHT), [0] * _EIGHT))
        for s in range(0, SAMPLES, _EIGHT):
            part = builder.trunc(builder.lshr(own, own.type(s)), octet)
            word = builder.load(builder.gep(table, [index(0), builder.zext(part, index)]))
            members = builder.zext(builder.bitcast(word, octets), shorts)
            members = builder.add(builder.add(members, ir.Constant(shorts, [s] * _EIGHT)), first)
            pointer = vector_pointer(context, builder, signature.args[5], numbers, to, shorts)
            builder.store(members, pointer, align=2)
            to = builder.add(to, builder.zext(_call(builder, "ctpop", part), to.type))
        return to

    return types.intp(own, x, types.intp, types.intp, values, numbers, types.intp), codegen


class _BitEmitter(Emitter):
    """Takes sets apart into vectors."""

    def part(self, word: Any, lane: int) -> Any:
        """Return the bits from `lane` on, one for each lane of a vector."""
        return self.builder.trunc(self.builder.lshr(word, word.type(lane)), ir.IntType(self.lanes))

    def count(self, part: Any) -> Any:
        """Return how many bits of a part are set."""
        return self.builder.zext(_call(self.builder, "ctpop", part), ir.IntType(SAMPLES))

    def compressed(self, vector: Any, part: Any, suffix: str) -> Any:
        """Return the lanes of which bits are set at the front of a vector."""
        name = f"llvm.x86.avx512.mask.compress.v{self.lanes}{suffix}"
        condition = ir.VectorType(ir.IntType(1), self.lanes)
        kind = ir.FunctionType(vector.type, [vector.type, vector.type, condition])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        undefined = ir.Constant(vector.type, ir.Undefined)
        return self.builder.call(function, [vector, undefined, self.builder.bitcast(part, condition)])


@intrinsic
def _append_compressed(typing_context, own, x, at, first, values, numbers, to):  # type: ignore[no-untyped-def]
    """Append float32 and their numbers as AVX-512 does."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        emit, short = _BitEmitter(builder, np.dtype(np.float32)), ir.IntType(16)
        own, x, at, first, values, numbers, to = args
        x_type, values_type, numbers_type = (signature.args[place] for place in (1, 4, 5))
        every = ir.Constant(emit.integers, list(range(emit.lanes)))
        for lane in range(0, SAMPLES, emit.lanes):
            part = emit.part(own, lane)
            points = emit.compressed(emit.load(context, x_type, x, at, lane), part, "f32")
            lanes = builder.trunc(emit.compressed(every, part, "i32"), ir.VectorType(short, emit.lanes))
            before = emit.splat(builder.trunc(builder.add(first, first.type(lane)), short))
            emit.store(context, values_type, values, to, points)
            emit.store(context, numbers_type, numbers, to, builder.add(before, lanes))
            to = builder.add(to, emit.count(part))
        return to

    return types.intp(own, x, types.intp, types.intp, values, numbers, types.intp), codegen
