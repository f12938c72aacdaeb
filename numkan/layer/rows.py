"""The polynomials of a run of samples, held in registers while the samples go by.

Samples of one piece share their polynomials. So the inner loop of a wide layer first makes a tile of them, `vectors`
vectors of each coefficient, from k + 1 rows C_r of packed coefficients and the local polynomials P of the piece
(``pieces.py``), and then takes a run of samples of the piece, q, q + 1, ..., end - 1 in sorted order:

    rows = load(coefs, at, stride, last, poly, piece, room)         A_m = sum_r P_mr C_r
    add_outputs(rows, f, first, order, q, end, out, begin)          y += A_0 + w (A_1 + w (A_2 + ...)) + b C_base
    rows = clear(grad, at, stride, room)                            M = 0
    rows = add_moments(rows, f, first, order, q, end, out, begin)   M_m += w^m y, M_base += b y
    store(rows, grad, at, stride, last, poly, piece)                row r += sum_m P_mr M_m, the base's += M_base
    rows = load_slopes(coefs, at, stride, last, poly, piece, room, inverse)     D_m = m A_m * inverse
    add_totals(rows, f, first, order, q, end, out, begin, sums, to)
                                                        sums[to + s] += sum(y * (D_1 + w (D_2 + ...) + b' C_base))

Row r begins at `at + r * stride`, that of the base function at `last`, P at `piece`, highest power first; so are A, M
and D in `rows`, and the base's row is last. y are the outputs of sample order[s], a tile of theirs, at
``begin + order[s] * tile``. The numbers f of a sample lie in groups from `first` on (``_groups.py``): w and b for
`add_outputs`; w, w^2, ..., b and b' for the others.

With its k + 1 B-splines a sample would take k + 2 multiply-adds a vector, and as many numbers to read; so it takes one
multiply-add less, a sum, and two numbers. About the middle of a piece A is hardly larger than C, whatever the knots:
that is how B-splines are evaluated anyway.

Compiled, an operation takes and returns a tuple of vectors (``row_intrinsics.py``): it is a value, so that no store to
an output can be in doubt of changing it, and it stays in registers; four samples are taken at once. With the JIT off or
bounds checked `rows` are the array `room`, and every operation goes there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from numkan.compile import kernel
from numkan.layer.row_intrinsics import moving_intrinsics, summing_intrinsics
from numkan.layer.row_numbers import VALUES, powers_of
from numkan.simd.groups import FOUR, group_ops
from numkan.simd.vectors import as_python, has_wide_vectors, lanes_of, vector_ops
from numkan.spline.pieces import function_lanes

__all__ = ["RowOps", "row_ops", "tile_vectors"]

_WIDE_REGISTERS, _REGISTERS = 32, 16
_MOST_VECTORS = 4


class RowOps(NamedTuple):
    """The operations for one degree, one dtype and tiles of some vectors."""

    load: Callable[..., Any]
    load_slopes: Callable[..., Any]
    clear: Callable[..., Any]
    store: Callable[..., Any]
    add_outputs: Callable[..., Any]
    add_moments: Callable[..., Any]
    add_totals: Callable[..., Any]


def tile_vectors(k: int) -> int:
    """Return how many vectors of each of k + 2 rows the registers hold, beside the outputs and their polynomials.

    The two numbers that are broadcast are not counted: a register that is spilled costs less than a narrower tile.
    """
    registers = _WIDE_REGISTERS if has_wide_vectors() else _REGISTERS
    of_each = k + 2 + (2 if k > 1 else 1)
    return max(1, min(_MOST_VECTORS, registers // of_each))


@cache
def row_ops(k: int, dtype: np.dtype[Any], vectors: int) -> RowOps:
    """Return the operations for degree `k`, a dtype and tiles of `vectors` vectors."""
    return _ops_in_memory(k, dtype, vectors) if as_python() else _ops_in_registers(k, dtype, vectors)


def _ops_in_memory(k: int, dtype: np.dtype[Any], vectors: int) -> RowOps:
    step, *_ = vector_ops(lanes_of(dtype))
    return RowOps(*_moves_in_memory(k, dtype, vectors * step), *_sums_in_memory(k, dtype, vectors * step))


def _moves_in_memory(k: int, dtype: np.dtype[Any], width: int) -> tuple[Any, Any, Any, Any]:
    step, load, store, splat, fma, mul, *_ = vector_ops(lanes_of(dtype))
    powers, lanes, zero, one = k + 1, function_lanes(k), dtype.type(0), dtype.type(1)
    degrees = np.arange(k, -1, -1).astype(dtype)

    @kernel
    def load_rows(coefs, at, stride, last, poly, piece, rows):  # type: ignore[no-untyped-def]
        for v in range(0, width, step):
            for m in range(powers):
                value = mul(splat(poly[piece + m * lanes]), load(coefs, at + v))
                for r in range(1, powers):
                    value = fma(splat(poly[piece + m * lanes + r]), load(coefs, at + r * stride + v), value)
                store(rows, m * width + v, value)
            store(rows, powers * width + v, load(coefs, last + v))
        return rows

    @kernel
    def load_slopes(coefs, at, stride, last, poly, piece, rows, inverse):  # type: ignore[no-untyped-def]
        load_rows(coefs, at, stride, last, poly, piece, rows)
        for m in range(k):
            for v in range(m * width, (m + 1) * width, step):
                store(rows, v, mul(splat(degrees[m] * inverse), load(rows, v)))
        return rows

    @kernel
    def clear(grad, at, stride, rows):  # type: ignore[no-untyped-def]
        rows[: (powers + 1) * width] = zero
        return rows

    @kernel
    def store_rows(rows, grad, at, stride, last, poly, piece):  # type: ignore[no-untyped-def]
        for v in range(0, width, step):
            for r in range(powers):
                row = at + r * stride + v
                value = load(grad, row)
                for m in range(powers):
                    value = fma(splat(poly[piece + m * lanes + r]), load(rows, m * width + v), value)
                store(grad, row, value)
            store(grad, last + v, fma(splat(one), load(rows, powers * width + v), load(grad, last + v)))

    return load_rows, load_slopes, clear, store_rows


def _sums_in_memory(k: int, dtype: np.dtype[Any], width: int) -> tuple[Any, Any, Any]:
    step, load, store, splat, fma, _, total, _ = vector_ops(lanes_of(dtype))
    value_size, value_place, *_ = group_ops(VALUES, dtype)
    size, place, *_ = group_ops(powers_of(k), dtype)
    zero, one, base = dtype.type(0), dtype.type(1), (k + 1) * width
    first_b, first_slope = (powers_of(k) - 2) * size, (powers_of(k) - 1) * size

    @kernel
    def add_outputs(rows, f, first, order, q, end, out, begin):  # type: ignore[no-untyped-def]
        for s in range(q, end):
            own, to = value_place(first, s - q), begin + np.int64(order[s]) * width
            w, b = splat(f[own]), splat(f[own + value_size])
            for v in range(0, width, step):
                value = load(rows, v) if k > 0 else splat(zero)
                for m in range(1, k):
                    value = fma(value, w, load(rows, m * width + v))
                value = fma(value, w, fma(splat(one), load(rows, k * width + v), load(out, to + v)))
                store(out, to + v, fma(b, load(rows, base + v), value))

    @kernel
    def add_moments(rows, f, first, order, q, end, out, begin):  # type: ignore[no-untyped-def]
        for s in range(q, end):
            own, to = place(first, s - q), begin + np.int64(order[s]) * width
            for v in range(0, width, step):
                y = load(out, to + v)
                moment = fma(splat(one), y, load(rows, k * width + v))
                store(rows, k * width + v, moment if k > 0 else fma(splat(zero), splat(f[own]), moment))
                for m in range(k):
                    power = splat(f[own + (k - 1 - m) * size])
                    store(rows, m * width + v, fma(power, y, load(rows, m * width + v)))
                store(rows, base + v, fma(splat(f[own + first_b]), y, load(rows, base + v)))
        return rows

    @kernel
    def add_totals(rows, f, first, order, q, end, out, begin, sums, sums_at):  # type: ignore[no-untyped-def]
        for s in range(q, end):
            own, to, acc = place(first, s - q), begin + np.int64(order[s]) * width, splat(zero)
            w, slope = splat(f[own]), splat(f[own + first_slope])
            for v in range(0, width, step):
                value = load(rows, v) if k > 1 else splat(zero)
                for m in range(1, k - 1):
                    value = fma(value, w, load(rows, m * width + v))
                value = fma(value, w, load(rows, (k - 1) * width + v) if k > 0 else splat(zero))
                value = fma(slope, load(rows, base + v), value)
                acc = fma(value, load(out, to + v), acc)
            sums[sums_at + s] += total(acc)

    return add_outputs, add_moments, add_totals


def _ops_in_registers(k: int, dtype: np.dtype[Any], vectors: int) -> RowOps:
    output, moment, total = summing_intrinsics(k, dtype, 1)
    four_outputs, four_moments, four_totals = summing_intrinsics(k, dtype, FOUR)
    # from the fours of a group to those of the next
    size = group_ops(VALUES, dtype).size
    last_four, value_jump, jump = size // FOUR - 1, size * (VALUES - 1), size * (powers_of(k) - 1)

    @kernel
    def add_outputs(rows, f, first, order, q, end, out, begin):  # type: ignore[no-untyped-def]
        fours = (end - q) >> 2
        for four in range(fours):
            four_outputs(rows, f, first, order, q + FOUR * four, out, begin)
            first += FOUR + value_jump * (four & last_four == last_four)
        for s in range(q + FOUR * fours, end):
            output(rows, f, first, order, s, out, begin)
            first += 1

    @partial(kernel, inline=True)  # a call moves `rows` through memory, there and back
    def add_moments(rows, f, first, order, q, end, out, begin):  # type: ignore[no-untyped-def]
        fours = (end - q) >> 2
        for four in range(fours):
            rows = four_moments(rows, f, first, order, q + FOUR * four, out, begin)
            first += FOUR + jump * (four & last_four == last_four)
        for s in range(q + FOUR * fours, end):
            rows = moment(rows, f, first, order, s, out, begin)
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

    return RowOps(*moving_intrinsics(k, dtype, vectors), add_outputs, add_moments, add_totals)
