"""Short vectors for kernels: six operations, one kernel source, three ways to run it.

A vector of `lanes` numbers is loaded from a 1-D array, combined, and stored again::

    load(array, i)      array[i : i + lanes]                splat(x, lanes)   (x, x, ..., x)
    store(array, i, v)  array[i : i + lanes] = v            fma(a, b, c)      a * b + c, rounded once
    mul(a, b)           a * b                               total(v)          sum of the lanes, by halves

Compilers do not vectorize the loops of a KAN well on their own: with a dozen arrays in play they check at run time that
none of them overlap, and give up. A vector that is a value has no such doubt, and its fused multiply-add is certain,
which is also what makes a row's bits independent of where it lies in a batch. The ways to run:

* compiled: a Numba type whose machine representation is an LLVM vector, 512, 256 or 128 bits wide as the host has them
  (``NUMKAN_VECTOR_WIDTH`` forces one);
* compiled with bounds checking (``NUMBA_BOUNDSCHECK=1``): tuples of four, loaded entry by entry, every index checked;
* with the JIT off (``NUMBA_DISABLE_JIT=1``): NumPy slices.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from numkan._jit import kernel

__all__ = ["LookupOps", "VectorOps", "lanes_of", "lookup_entries", "lookup_ops", "vector_ops", "vector_width"]

_CHECKED_LANES = 4


class VectorOps(NamedTuple):
    """The operations on vectors of one length; `load` and `splat` know it, the others see it in their operands."""

    lanes: int
    load: Callable[..., Any]
    store: Callable[..., Any]
    splat: Callable[..., Any]
    fma: Callable[..., Any]
    mul: Callable[..., Any]
    total: Callable[..., Any]


@cache
def vector_width() -> int:
    """Return the width of a vector register in bits: forced by ``NUMKAN_VECTOR_WIDTH``, or what the host has."""
    forced = os.environ.get("NUMKAN_VECTOR_WIDTH", "")
    if forced:
        if forced not in ("128", "256", "512"):
            raise ValueError(f"Environment variable NUMKAN_VECTOR_WIDTH must be 128, 256 or 512, not {forced!r}.")
        return int(forced)
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f") and features.get("avx512dq"):
        return 512
    return 256 if features.get("avx2") and features.get("fma") else 128


def lanes_of(dtype: np.dtype[Any]) -> int:
    """Return how many numbers of a dtype one vector holds in the way that kernels run here."""
    if config.DISABLE_JIT or config.BOUNDSCHECK:
        return _CHECKED_LANES
    return vector_width() // (8 * dtype.itemsize)


def vector_ops(lanes: int) -> VectorOps:
    """Return the operations on vectors of `lanes` numbers (4, 8 or 16), in the way that kernels run here."""
    if config.DISABLE_JIT:
        return _numpy_ops(lanes)
    return _checked_ops(lanes) if config.BOUNDSCHECK else _llvm_ops(lanes)


# --- with the JIT off ---------------------------------------------------------------------------------------------


def _numpy_ops(lanes: int) -> VectorOps:
    def load(array, i):  # type: ignore[no-untyped-def]
        return array[i : i + lanes].copy()

    def store(array, i, v):  # type: ignore[no-untyped-def]
        array[i : i + lanes] = v

    def splat(x):  # type: ignore[no-untyped-def]
        return np.full(lanes, x)

    def fma(a, b, c):  # type: ignore[no-untyped-def]
        return a * b + c

    def mul(a, b):  # type: ignore[no-untyped-def]
        return a * b

    def total(v):  # type: ignore[no-untyped-def]
        while len(v) > 1:
            v = v[: len(v) // 2] + v[len(v) // 2 :]
        return v[0]

    return VectorOps(lanes, load, store, splat, fma, mul, total)


# --- bounds checked -----------------------------------------------------------------------------------------------


@kernel
def _fma4(a, b, c):  # type: ignore[no-untyped-def]
    return (a[0] * b[0] + c[0], a[1] * b[1] + c[1], a[2] * b[2] + c[2], a[3] * b[3] + c[3])


@kernel
def _mul4(a, b):  # type: ignore[no-untyped-def]
    return (a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3])


@kernel
def _load4(array, i):  # type: ignore[no-untyped-def]
    return (array[i], array[i + 1], array[i + 2], array[i + 3])


@kernel
def _store4(array, i, v):  # type: ignore[no-untyped-def]
    array[i], array[i + 1], array[i + 2], array[i + 3] = v


@kernel
def _total4(v):  # type: ignore[no-untyped-def]
    return (v[0] + v[2]) + (v[1] + v[3])


@kernel
def _splat4(x):  # type: ignore[no-untyped-def]
    return (x, x, x, x)


def _checked_ops(lanes: int) -> VectorOps:
    """Tuples of four; longer vectors are tuples of those."""
    if lanes == _CHECKED_LANES:
        return VectorOps(4, _load4, _store4, _splat4, _fma4, _mul4, _total4)
    half = _checked_ops(lanes // 2)
    width = half.lanes
    half_load, half_store, half_splat, half_fma, half_mul, half_total = half[1:]

    @kernel
    def load(array, i):  # type: ignore[no-untyped-def]
        return (half_load(array, i), half_load(array, i + width))

    @kernel
    def store(array, i, v):  # type: ignore[no-untyped-def]
        half_store(array, i, v[0])
        half_store(array, i + width, v[1])

    @kernel
    def splat(x):  # type: ignore[no-untyped-def]
        return (half_splat(x), half_splat(x))

    @kernel
    def fma(a, b, c):  # type: ignore[no-untyped-def]
        return (half_fma(a[0], b[0], c[0]), half_fma(a[1], b[1], c[1]))

    @kernel
    def mul(a, b):  # type: ignore[no-untyped-def]
        return (half_mul(a[0], b[0]), half_mul(a[1], b[1]))

    @kernel
    def total(v):  # type: ignore[no-untyped-def]
        return half_total(v[0]) + half_total(v[1])

    return VectorOps(lanes, load, store, splat, fma, mul, total)


# --- compiled -----------------------------------------------------------------------------------------------------


class _VectorType(types.Type):  # type: ignore[misc]
    """Numba's name for a vector of `lanes` numbers: floats, or integers of their size."""

    def __init__(self, scalar: types.Number, lanes: int) -> None:
        self.scalar = scalar
        self.lanes = lanes
        super().__init__(name=f"vector({scalar}, {lanes})")


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """In memory and in registers: an LLVM vector."""

    def __init__(self, dmm: Any, fe_type: _VectorType) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(dmm.lookup(fe_type.scalar).get_value_type(), fe_type.lanes))


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, vector: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _llvm_ops(lanes: int) -> VectorOps:
    @intrinsic
    def load(typing_context, array, index):  # type: ignore[no-untyped-def]
        result = _VectorType(array.dtype, lanes)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            vector = context.get_value_type(result)
            pointer = _pointer(context, builder, signature.args[0], args[0], args[1], vector)
            value = builder.load(pointer)
            value.align = array.dtype.bitwidth // 8  # rows may begin anywhere; aligned ones are as fast
            return value

        return result(array, types.intp), codegen

    @intrinsic
    def splat(typing_context, x):  # type: ignore[no-untyped-def]
        result = _VectorType(x, lanes)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            vector = context.get_value_type(result)
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)

        return result(x), codegen

    return VectorOps(lanes, load, _store, splat, _fma, _mul, _total)


@intrinsic
def _store(typing_context, array, index, v):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], args[2].type)
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, v), codegen


@intrinsic
def _fma(typing_context, a, b, c):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = args[0].type
        suffix = "f32" if a.scalar == types.float32 else "f64"
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{a.lanes}{suffix}"
        )
        return builder.call(function, args)

    return a(a, b, c), codegen


@intrinsic
def _mul(typing_context, a, b):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.fmul(*args)

    return a(a, b), codegen


@intrinsic
def _total(typing_context, v):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        (value,) = args
        index, lanes = ir.IntType(32), v.lanes
        while lanes > 1:
            lanes //= 2
            low = ir.Constant(ir.VectorType(index, lanes), list(range(lanes)))
            high = ir.Constant(ir.VectorType(index, lanes), list(range(lanes, 2 * lanes)))
            value = builder.fadd(builder.shuffle_vector(value, value, low), builder.shuffle_vector(value, value, high))
        return builder.extract_element(value, ir.Constant(index, 0))

    return v.scalar(v), codegen


# --- look-ups: small tables in registers --------------------------------------------------------------------------
#
# With AVX-512 one instruction reads a table of 16 (8) numbers at 16 (8) places at once, and one reads two such tables
# as one. So where a grid has few pieces, samples can be the lanes: their pieces are counted, and each coefficient of
# the local polynomials is looked up, without one load that depends on a sample.


class LookupOps(NamedTuple):
    """Operations on vectors of samples and of their indices into tables of `entries` numbers."""

    entries: int
    count: Callable[..., Any]  # count(x, end, index): index + (x >= end)
    start: Callable[..., Any]  # start(x): an index of zeros beside x
    lookup: Callable[..., Any]  # lookup(array, i, index): array[i + index], i the place of the table
    local: Callable[..., Any]  # local(x, limit, centre, inverse): (x bounded by +-limit, less centre) * inverse
    store_index: Callable[..., Any]  # store_index(array, i, index)


def lookup_entries(n: int, dtype: np.dtype[Any]) -> int:
    """Return the size of the least table for `n` entries that look-ups can read; 0 where they cannot."""
    if config.DISABLE_JIT or config.BOUNDSCHECK or vector_width() != 512:
        return 0
    for tables in (1, 2, 4):
        if n <= tables * lanes_of(dtype):
            return tables * lanes_of(dtype)
    return 0


@cache
def lookup_ops(entries: int, dtype: np.dtype[Any]) -> LookupOps:
    """Return the operations for tables of 1, 2 or 4 vectors."""
    tables = entries // lanes_of(dtype)
    single = dtype == np.float32
    suffix = "ps" if single else "pd"

    @intrinsic
    def lookup(typing_context, array, place, index):  # type: ignore[no-untyped-def]
        result = _VectorType(array.dtype, index.lanes)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            vector, where = context.get_value_type(result), args[2]

            def table(number: int) -> Any:
                at = builder.add(args[1], ir.Constant(args[1].type, number * index.lanes))
                value = builder.load(_pointer(context, builder, signature.args[0], args[0], at, vector))
                value.align = array.dtype.bitwidth // 8
                return value

            if tables == 1:
                kind = ir.FunctionType(vector, [vector, where.type])
                name = f"llvm.x86.avx512.permvar.{'s' if single else 'd'}f.512"
                return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [table(0), where])
            kind = ir.FunctionType(vector, [vector, where.type, vector])
            name = f"llvm.x86.avx512.vpermi2var.{suffix}.512"
            permute = cgutils.get_or_insert_function(builder.module, kind, name)
            low = builder.call(permute, [table(0), where, table(1)])
            if tables == 2:
                return low
            high = builder.call(permute, [table(2), where, table(3)])
            half = ir.Constant(where.type, [2 * index.lanes] * index.lanes)
            return builder.select(builder.icmp_unsigned(">=", where, half), high, low)

        return result(array, types.intp, index), codegen

    return LookupOps(entries, _count, _start, lookup, _local, _store_index)


def _index_type(x: _VectorType) -> _VectorType:
    return _VectorType(types.int32 if x.scalar == types.float32 else types.int64, x.lanes)


@intrinsic
def _start(typing_context, x):  # type: ignore[no-untyped-def]
    result = _index_type(x)

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return ir.Constant(context.get_value_type(result), None)

    return result(x), codegen


@intrinsic
def _count(typing_context, x, end, index):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        reached = builder.fcmp_ordered(">=", args[0], args[1])
        return builder.add(args[2], builder.zext(reached, args[2].type))

    return index(x, end, index), codegen


@intrinsic
def _local(typing_context, x, limit, centre, inverse):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        value, bound, middle, scale = args
        value = builder.select(builder.fcmp_ordered(">", value, bound), bound, value)
        bound = builder.fneg(bound)
        value = builder.select(builder.fcmp_ordered("<", value, bound), bound, value)
        return builder.fmul(builder.fsub(value, middle), scale)

    return x(x, limit, centre, inverse), codegen


@intrinsic
def _store_index(typing_context, array, index, v):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        value = args[2]
        wide = ir.VectorType(ir.IntType(array.dtype.bitwidth), v.lanes)
        if v.scalar.bitwidth < array.dtype.bitwidth:
            value = builder.sext(value, wide)
        elif v.scalar.bitwidth > array.dtype.bitwidth:
            value = builder.trunc(value, wide)
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], wide)
        builder.store(value, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, v), codegen
