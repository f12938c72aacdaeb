"""Vector operations in LLVM's instructions, and Numba's type of a vector."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from numkan.simd.python_vectors import VectorOps

__all__ = ["VectorType", "address", "llvm_ops", "prefetch", "sum_of_lanes"]


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


def llvm_ops(lanes: int) -> VectorOps:
    """Return the operations on LLVM vectors of `lanes` numbers."""

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


@intrinsic
def prefetch(typing_context, array, at):  # type: ignore[no-untyped-def]
    """Ask for the cache line of an entry, which may lie beyond the array."""

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
