"""Short vectors for kernels: seven operations, one kernel source, three ways to run it.

A vector of `lanes` numbers is loaded from a 1-D array, combined, and stored again::

    load(array, i)      array[i : i + lanes]                splat(x, lanes)   (x, x, ..., x)
    store(array, i, v)  array[i : i + lanes] = v            fma(a, b, c)      a * b + c, rounded once
    mul(a, b)           a * b                               total(v)          sum of the lanes, by halves
    reached(c, x, end)  c + 1 where x >= end, else c

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

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from numkan.compile import kernel

__all__ = [
    "VectorOps",
    "VectorType",
    "address",
    "as_python",
    "has_wide_vectors",
    "lanes_of",
    "prefetch_op",
    "rounded_ops",
    "sample_lanes",
    "sum_of_lanes",
    "vector_ops",
    "vector_width",
]

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
    reached: Callable[..., Any]


@cache
def vector_width() -> int:
    """Return the width of a vector register in bits: forced by ``NUMKAN_VECTOR_WIDTH``, or what the host has."""
    forced = os.environ.get("NUMKAN_VECTOR_WIDTH", "")
    if forced:
        if forced not in ("128", "256", "512"):
            raise ValueError(f"Environment variable NUMKAN_VECTOR_WIDTH must be 128, 256 or 512, not {forced!r}.")
        return int(forced)
    if _has("avx512f", "avx512dq"):
        return 512
    return 256 if _has("avx2", "fma") else 128


def _has(*features: str) -> bool:
    """Return whether Numba compiles for a processor that has all of these: the host's, unless it is told otherwise."""
    known = config.CPU_FEATURES if config.CPU_FEATURES is not None else get_host_cpu_features()
    return set(features) <= {name[1:] for name in known.split(",") if name.startswith("+")}


def has_wide_vectors() -> bool:
    """Return whether kernels are compiled for AVX-512, with its instructions that ordinary vectors do not have."""
    return vector_width() == 512 and _has("avx512f", "avx512dq")


def as_python() -> bool:
    """Return whether kernels run as they are written, with the JIT off or bounds checked."""
    return bool(config.DISABLE_JIT or config.BOUNDSCHECK)


def lanes_of(dtype: np.dtype[Any]) -> int:
    """Return how many numbers of a dtype one vector holds in the way that kernels run here."""
    if as_python():
        return _CHECKED_LANES
    return vector_width() // (8 * dtype.itemsize)


def sample_lanes(dtype: np.dtype[Any]) -> int:
    """Return how many samples a vector holds where samples are the lanes: one in kernels that run as Python."""
    return 1 if as_python() else lanes_of(dtype)


def vector_ops(lanes: int) -> VectorOps:
    """Return the operations on vectors of `lanes` numbers (4, 8, ... ; 1 is a number), in the way that kernels run."""
    if lanes == 1:
        return VectorOps(1, _load1, _store1, _same1, _fma1, _mul1, _same1, _reached1)
    if config.DISABLE_JIT:
        return _numpy_ops(lanes)
    return _checked_ops(lanes) if config.BOUNDSCHECK else _llvm_ops(lanes)


def rounded_ops(lanes: int) -> VectorOps:
    """Return the operations that round as a vector's do for one number too: fused where those are."""
    return vector_ops(lanes) if as_python() else _llvm_ops(lanes)


# --- one number ---------------------------------------------------------------------------------------------------


@kernel
def _load1(array, i):  # type: ignore[no-untyped-def]
    return array[i]


@kernel
def _store1(array, i, v):  # type: ignore[no-untyped-def]
    array[i] = v


@kernel
def _same1(x):  # type: ignore[no-untyped-def]
    return x


@kernel
def _fma1(a, b, c):  # type: ignore[no-untyped-def]
    return a * b + c


@kernel
def _mul1(a, b):  # type: ignore[no-untyped-def]
    return a * b


@kernel
def _reached1(c, x, end):  # type: ignore[no-untyped-def]
    return c + (x >= end)


# --- with the JIT off ---------------------------------------------------------------------------------------------


_silent = np.errstate(over="ignore", invalid="ignore")  # as compiled code is


def _numpy_ops(lanes: int) -> VectorOps:
    def load(array, i):  # type: ignore[no-untyped-def]
        return array[i : i + lanes].copy()

    def store(array, i, v):  # type: ignore[no-untyped-def]
        array[i : i + lanes] = v

    def splat(x):  # type: ignore[no-untyped-def]
        return np.full(lanes, x)

    @_silent
    def fma(a, b, c):  # type: ignore[no-untyped-def]
        return a * b + c

    @_silent
    def mul(a, b):  # type: ignore[no-untyped-def]
        return a * b

    def total(v):  # type: ignore[no-untyped-def]
        while len(v) > 1:
            v = v[: len(v) // 2] + v[len(v) // 2 :]
        return v[0]

    def reached(c, x, end):  # type: ignore[no-untyped-def]
        return c + (x >= end)

    return VectorOps(lanes, load, store, splat, fma, mul, total, reached)


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
def _reached4(c, x, end):  # type: ignore[no-untyped-def]
    return (
        _reached1(c[0], x[0], end[0]),
        _reached1(c[1], x[1], end[1]),
        _reached1(c[2], x[2], end[2]),
        _reached1(c[3], x[3], end[3]),
    )


@kernel
def _splat4(x):  # type: ignore[no-untyped-def]
    return (x, x, x, x)


def _checked_ops(lanes: int) -> VectorOps:
    """Tuples of four; longer vectors are tuples of those."""
    if lanes == _CHECKED_LANES:
        return VectorOps(4, _load4, _store4, _splat4, _fma4, _mul4, _total4, _reached4)
    half = _checked_ops(lanes // 2)
    width = half.lanes
    half_load, half_store, half_splat, half_fma, half_mul, half_total, half_reached = half[1:]

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

    @kernel
    def reached(c, x, end):  # type: ignore[no-untyped-def]
        return (half_reached(c[0], x[0], end[0]), half_reached(c[1], x[1], end[1]))

    return VectorOps(lanes, load, store, splat, fma, mul, total, reached)


# --- compiled -----------------------------------------------------------------------------------------------------


class VectorType(types.Type):  # type: ignore[misc]
    """Numba's name for a vector of `lanes` numbers: floats, or integers of their size."""

    def __init__(self, scalar: types.Number, lanes: int) -> None:
        self.scalar = scalar
        self.lanes = lanes
        super().__init__(name=f"vector({scalar}, {lanes})")


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """In memory and in registers: an LLVM vector."""

    def __init__(self, dmm: Any, fe_type: VectorType) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(dmm.lookup(fe_type.scalar).get_value_type(), fe_type.lanes))


def address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Emit the address of an entry of an array. Pointers are opaque: loads and stores say the type they mean."""
    data = context.make_array(array_type)(context, builder, array).data
    entry = builder.gep(data, [index], source_etype=context.get_data_type(array_type.dtype))
    entry.type = ir.PointerType()
    return entry


def _llvm_ops(lanes: int) -> VectorOps:
    @intrinsic
    def load(typing_context, array, index):  # type: ignore[no-untyped-def]
        result = VectorType(array.dtype, lanes)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            vector = context.get_value_type(result)
            pointer = address(context, builder, signature.args[0], args[0], args[1])
            # rows may begin anywhere; aligned ones are as fast
            return builder.load(pointer, align=array.dtype.bitwidth // 8, typ=vector)

        return result(array, types.intp), codegen

    @intrinsic
    def splat(typing_context, x):  # type: ignore[no-untyped-def]
        result = VectorType(x, lanes)

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            vector = context.get_value_type(result)
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)

        return result(x), codegen

    return VectorOps(lanes, load, _store, splat, _fma, _mul, _total, _reached)


@intrinsic
def _store(typing_context, array, index, v):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pointer = address(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, v), codegen


@cache
def prefetch_op() -> Any:
    """Return prefetch(array, at): ask for the cache line of an entry, which may lie beyond the array."""
    return _prefetch_nothing if as_python() else _prefetch


@kernel
def _prefetch_nothing(array, at):  # type: ignore[no-untyped-def]
    pass


@intrinsic
def _prefetch(typing_context, array, at):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address(context, builder, signature.args[0], *args), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


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


def sum_of_lanes(builder: Any, value: Any) -> Any:
    """Write the sum of the lanes of an LLVM vector, by halves."""
    index, lanes = ir.IntType(32), value.type.count
    while lanes > 1:
        lanes //= 2
        low = ir.Constant(ir.VectorType(index, lanes), list(range(lanes)))
        high = ir.Constant(ir.VectorType(index, lanes), list(range(lanes, 2 * lanes)))
        value = builder.fadd(builder.shuffle_vector(value, value, low), builder.shuffle_vector(value, value, high))
    return builder.extract_element(value, ir.Constant(index, 0))


@intrinsic
def _total(typing_context, v):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return sum_of_lanes(builder, args[0])

    return v.scalar(v), codegen


@intrinsic
def _reached(typing_context, c, x, end):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        count, x, end = args
        one = ir.Constant(count.type, [ir.Constant(count.type.element, 1.0)] * c.lanes)
        return builder.select(builder.fcmp_ordered(">=", x, end), builder.fadd(count, one), count)

    return c(c, x, end), codegen
