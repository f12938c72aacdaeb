"""numkan._emit's instructions, built and run by llvmlite alone, whatever Numba does in this process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from numkan._emit import Emitter
from numkan._simd import has_wide_vectors

pytestmark = pytest.mark.skipif(not has_wide_vectors(), reason="the host has no 512-bit vectors")

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]


def run(dtype: np.dtype[Any], write: Callable[..., Any], *inputs: Any) -> Any:
    """Compile a function that stores what `write` makes of vectors of the inputs, call it, and return the results."""
    module = ir.Module()
    bytes_of = ir.IntType(8).as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [bytes_of] * (len(inputs) + 1)), "run")
    builder = ir.IRBuilder(function.append_basic_block())
    emit = Emitter(builder, dtype)
    lanes = 64 // dtype.itemsize
    emit.lanes = lanes  # as where kernels are compiled, also with the JIT off
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
def test_exp_is_right_to_two_units_in_the_last_place(dtype: np.dtype[Any]) -> None:
    end = 87 if dtype == np.float32 else 708
    for x in np.random.default_rng(0).uniform(-end, end, (20, 64 // dtype.itemsize)).astype(dtype):
        got = run(dtype, lambda emit, x: emit.exp(x), x)
        np.testing.assert_allclose(got, np.exp(x.astype(np.longdouble)).astype(float), rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_silu_and_its_slope_have_their_values_and_limits(dtype: np.dtype[Any]) -> None:
    x = np.resize(np.array([0, 1, -1, 30, -30, np.inf, -np.inf, np.nan], dtype), 64 // dtype.itemsize)
    value = run(dtype, lambda emit, x: emit.silu(x)[0], x)[:8]
    slope = run(dtype, lambda emit, x: emit.silu(x)[1], x)[:8]
    sigmoid = 1 / (1 + np.exp(-x[:5].astype(float)))
    np.testing.assert_allclose(value[:5], x[:5] * sigmoid, rtol=4 * np.finfo(dtype).eps)
    want = sigmoid * (1 + x[:5] * (1 - sigmoid))
    np.testing.assert_allclose(slope[:5], want, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(value[5:], [np.inf, 0, np.nan])
    np.testing.assert_array_equal(slope[6:], [0, np.nan])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("registers", [1, 2])
def test_lookups_read_one_register_or_two(registers: int, dtype: np.dtype[Any]) -> None:
    lanes = 64 // dtype.itemsize
    rng = np.random.default_rng(registers)
    tables = rng.normal(size=(registers, lanes)).astype(dtype)
    index = rng.integers(0, registers * lanes, lanes).astype(f"i{dtype.itemsize}")
    got = run(dtype, lambda emit, index, *tables: emit.lookup(tables, index), index, *tables)
    np.testing.assert_array_equal(got, tables.reshape(-1)[index])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_horner_starts_where_it_is_told_and_keeps_nan(dtype: np.dtype[Any]) -> None:
    lanes = 64 // dtype.itemsize
    w = np.resize(np.array([0.5, -2, np.nan, 0], dtype), lanes)
    a, b, start = (np.full(lanes, value, dtype) for value in (3, -1, 10))
    line = run(dtype, lambda emit, w, a, b, start: emit.horner([a, b], w, start), w, a, b, start)
    np.testing.assert_array_equal(line[:4], [10.5, 3, np.nan, 9])
    constant = run(dtype, lambda emit, w, a, start: emit.horner([a], w, start), w, a, start)
    np.testing.assert_array_equal(constant[:4], [13, 13, np.nan, 13])
