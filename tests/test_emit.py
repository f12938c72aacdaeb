"""numkan.simd.emit's instructions, built and run by llvmlite alone, whatever Numba does in this process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from numkan.simd.emit import Emitter

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]


def run(dtype: np.dtype[Any], write: Callable[..., Any], *inputs: Any) -> Any:
    """Compile a function that stores what `write` makes of vectors of the inputs, call it, and return the results."""
    module = ir.Module()
    bytes_of = ir.IntType(8).as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [bytes_of] * (len(inputs) + 1)), "run")
    builder = ir.IRBuilder(function.append_basic_block())
    emit = Emitter(builder, dtype)
    emit.lanes = lanes = len(inputs[0])  # as where kernels are compiled, also with the JIT off
    emit.vector, emit.integers = ir.VectorType(emit.scalar, lanes), ir.VectorType(emit.integer, lanes)
    kinds = [emit.vector if array.dtype == dtype else emit.integers for array in inputs]

    def vector(argument: Any, kind: Any) -> Any:
        value = builder.load(builder.bitcast(argument, kind.as_pointer()))
        value.align = 1
        return value

    value = write(emit, *map(vector, function.args[1:], kinds))
    builder.store(value, builder.bitcast(function.args[0], value.type.as_pointer()), align=1)
    builder.ret_void()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, jit=True
    )
    out = np.zeros(lanes, dtype)
    with llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), machine) as engine:
        engine.finalize_object()
        call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(inputs) + 1))(engine.get_function_address("run"))
        call(out.ctypes.data, *(array.ctypes.data for array in inputs))
    return out


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_horner_starts_where_it_is_told_and_keeps_nan(dtype: np.dtype[Any]) -> None:
    lanes = 64 // dtype.itemsize
    w = np.resize(np.array([0.5, -2, np.nan, 0], dtype), lanes)
    a, b, start = (np.full(lanes, value, dtype) for value in (3, -1, 10))
    line = run(dtype, lambda emit, w, a, b, start: emit.horner([a, b], w, start), w, a, b, start)
    np.testing.assert_array_equal(line[:4], [10.5, 3, np.nan, 9])
    constant = run(dtype, lambda emit, w, a, start: emit.horner([a], w, start), w, a, start)
    np.testing.assert_array_equal(constant[:4], [13, 13, np.nan, 13])
