"""An emitter of LLVM instructions for vectors of one dtype, with which numkan's intrinsics are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from numkan.simd.llvm_vectors import VectorType, address
from numkan.simd.vectors import lanes_of

__all__ = ["Emitter", "vector_types"]


class Emitter:
    """Writes LLVM instructions for vectors of one dtype."""

    def __init__(self, builder: Any, dtype: np.dtype[Any]) -> None:
        self.builder = builder
        self.lanes = lanes_of(dtype)
        self.single = dtype == np.float32
        self.scalar = ir.FloatType() if self.single else ir.DoubleType()
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.integer = ir.IntType(32 if self.single else 64)
        self.integers = ir.VectorType(self.integer, self.lanes)

    def number(self, value: float) -> Any:
        """Return a vector that holds a constant."""
        rounded = float(np.float32(value)) if self.single else value
        return ir.Constant(self.vector, [ir.Constant(self.scalar, rounded)] * self.lanes)

    def whole(self, value: int) -> Any:
        """Return a vector that holds a whole number."""
        return ir.Constant(self.integers, [value] * self.lanes)

    def call(self, name: str, *args: Any) -> Any:
        """Emit a call of a function of vectors."""
        kind = ir.FunctionType(self.vector, [arg.type for arg in args])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), args)

    def named(self, name: str, *args: Any) -> Any:
        """Call the LLVM function of that name for these vectors."""
        return self.call(f"llvm.{name}.v{self.lanes}{'f32' if self.single else 'f64'}", *args)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Emit a b + c, rounded once."""
        return self.named("fma", a, b, c)

    def load(self, context: Any, array_type: Any, array: Any, at: Any, offset: int = 0, kind: Any = None) -> Any:
        """Emit the load of one vector."""
        if offset:
            at = self.builder.add(at, ir.Constant(at.type, offset))
        pointer = address(context, self.builder, array_type, array, at)
        return self.builder.load(pointer, align=array_type.dtype.bitwidth // 8, typ=kind or self.vector)

    def load_tables(self, context: Any, array_type: Any, array: Any, at: Any, count: int) -> list[Any]:
        """Emit the loads of consecutive vectors."""
        return [self.load(context, array_type, array, at, number * self.lanes) for number in range(count)]

    def load_columns(
        self, context: Any, array_type: Any, array: Any, at: Any, stride: Any, count: int, kind: Any = None
    ) -> list[Any]:
        """Emit the loads of vectors that lie a stride apart."""
        found = []
        for _ in range(count):
            found.append(self.load(context, array_type, array, at, kind=kind))
            at = self.builder.add(at, stride)
        return found

    def store(self, context: Any, array_type: Any, array: Any, at: Any, value: Any, offset: int = 0) -> None:
        """Emit the store of one vector."""
        if offset:
            at = self.builder.add(at, ir.Constant(at.type, offset))
        pointer = address(context, self.builder, array_type, array, at)
        self.builder.store(value, pointer, align=array_type.dtype.bitwidth // 8)

    def splat(self, value: Any) -> Any:
        """Return a number, or an integer, in all lanes."""
        kind = ir.VectorType(value.type, self.lanes)
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def shuffle(self, a: Any, b: Any, places: Sequence[int]) -> Any:
        """Return the lanes at these positions of a followed by b."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
        return self.builder.shuffle_vector(a, b, mask)

    def bounded(self, x: Any, limit: Any) -> Any:
        """Return x clamped to +-limit; NaN fails both comparisons and is kept."""
        low = self.builder.fneg(limit)
        x = self.builder.select(self.builder.fcmp_ordered(">", x, limit), limit, x)
        return self.builder.select(self.builder.fcmp_ordered("<", x, low), low, x)

    def horner(self, coefficients: Sequence[Any], w: Any, start: Any = None) -> Any:
        """Return the polynomial at w, highest power first, plus start; NaN in w is not lost at degree 0 either."""
        *rest, last = coefficients
        if start is not None:
            last = self.builder.fadd(last, start)
        value = rest[0] if rest else self.number(0)
        for coefficient in rest[1:]:
            value = self.fma(value, w, coefficient)
        return self.fma(value, w, last)


def vector_types(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return Numba's types of a vector of numbers and of one of indices."""
    scalar, integer = (types.float32, types.int32) if dtype == np.float32 else (types.float64, types.int64)
    return VectorType(scalar, lanes_of(dtype)), VectorType(integer, lanes_of(dtype))
