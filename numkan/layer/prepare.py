"""The first half of every layer kernel: from the points of a block of samples to basis functions and base values.

A layer kernel works through blocks of ``BLOCK`` samples, and within a block through groups of ``INPUTS`` inputs, so
that what it prepares stays in the second-level cache. For one input it reads the points, finds their pieces, evaluates
the k + 1 local polynomials (and their slopes) by Horner, and b(x).
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._jit import kernel
from numkan._simd import lanes_of, vector_ops
from numkan.base import GIVEN, IDENTITY, SILU, fill_silu
from numkan.spline.pieces import bounded, find_pieces

__all__ = [
    "BLOCK",
    "INPUTS",
    "MOST_SUMMED",
    "SIDE_BY_SIDE",
    "Work",
    "aligned_empty",
    "basis_lanes",
    "copy_rows",
    "prepare_kernel",
    "workspace",
]

BLOCK = 128  # samples; a multiple of any vector
INPUTS = 16
SIDE_BY_SIDE = 4  # samples that the forward contraction takes at once

#: Up to so many different first functions, a gradient is summed for each of them before it goes to the rows they share.
MOST_SUMMED = 32

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class Work(NamedTuple):
    """Scratch memory of one thread. Slot j holds input j of the group in hand."""

    points: Any  # (BLOCK,) the points of one input
    piece: Any  # (BLOCK,) int32: their pieces
    basis: Any  # (INPUTS * BLOCK * lanes,) the k + 1 values of each point, see `basis_lanes`
    slope: Any  # like basis: derivatives by x
    base: Any  # (INPUTS * BLOCK,) b(x)
    base_slope: Any  # (INPUTS * BLOCK,) b'(x)
    first: Any  # (INPUTS * BLOCK,) int64: index of the first of the k + 1 functions
    place: Any  # (INPUTS * BLOCK,) int64: where in the packed coefficients its row begins
    sums: Any  # (MOST_SUMMED * lanes * step,) sums of one input's samples by first function
    out: Any  # (BLOCK * width,) outputs of the block, or their cotangents


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Any:
    """Return an uninitialized 1-D array that begins on a cache line; vectors that straddle two cost up to 25 %."""
    raw = np.empty(size + _ALIGNMENT // dtype.itemsize, dtype)
    offset = -raw.__array_interface__["data"][0] % _ALIGNMENT // dtype.itemsize
    return raw[offset : offset + size]


_OPS = vector_ops(4)
_load4, _store4 = _OPS.load, _OPS.store


@kernel
def copy_rows(source, source_begin, source_width, target, target_begin, target_width, n_rows, n_columns):  # type: ignore[no-untyped-def]
    """Copy rows between flat arrays of different row widths, in vectors of four: compilers leave it a scalar loop."""
    whole = n_columns // 4 * 4
    for s in range(n_rows):
        read = source_begin + s * source_width
        write = target_begin + s * target_width
        for o in range(0, whole, 4):
            _store4(target, write + o, _load4(source, read + o))
        for o in range(whole, n_columns):
            target[write + o] = source[read + o]


_local = threading.local()


def workspace(dtype: np.dtype[Any], lanes: int, width: int) -> Work:
    """Return this thread's scratch memory for layers of `lanes` basis lanes and padded output width `width`."""
    spaces: dict[tuple[Any, int, int], Work] | None = getattr(_local, "spaces", None)
    if spaces is None:
        spaces = _local.spaces = {}
    key = (dtype, lanes, width)
    work = spaces.get(key)
    if work is None:
        many = INPUTS * BLOCK
        work = spaces[key] = Work(
            points=aligned_empty(BLOCK, dtype),
            piece=np.zeros(BLOCK, np.int32),
            basis=aligned_empty(many * lanes, dtype),
            slope=aligned_empty(many * lanes, dtype),
            base=aligned_empty(many, dtype),
            base_slope=aligned_empty(many, dtype),
            first=np.zeros(many, np.int64),
            place=np.zeros(many, np.int64),
            sums=aligned_empty(MOST_SUMMED * lanes * lanes_of(dtype), dtype),
            out=aligned_empty(BLOCK * width, dtype),
        )
    return work


def basis_lanes(k: int) -> int:
    """Return how many numbers a point has in `Work.basis`: its k + 1 functions, padded."""
    return max(4, 1 << k.bit_length())


@cache
def _evaluate_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return Horner with the functions as lanes: a row of the table of polynomials is loaded for each sample."""
    lanes = basis_lanes(k)
    powers = k + 1
    _, load, store, splat, fma, mul, _ = vector_ops(lanes)
    limit = dtype.type(np.finfo(dtype).max)
    zero = dtype.type(0)

    @kernel
    def evaluate(points, full, i, slot, pieces, table, with_slopes, piece, basis, basis_slope):  # type: ignore[no-untyped-def]
        """Fill piece, and slot `slot` of basis and basis_slope, with input i at points[:full]."""
        find_pieces(
            points, full, i, pieces.ends, pieces.origin, pieces.cells_per_unit, pieces.hint, pieces.per_cell, piece
        )
        centre, inverse = pieces.centre, pieces.inverse
        begin = i * pieces.first.shape[1]
        start = slot * BLOCK
        for s in range(full):
            j = np.uint32(piece[s])
            row = (begin + piece[s]) * (powers * lanes)
            w = splat((bounded(points[s], limit) - centre[i, j]) * inverse[i, j])
            value = load(table, row)
            if with_slopes:
                slope = mul(splat(zero), w)  # zeros, and NaN where x is NaN
                for m in range(1, powers):
                    slope = fma(slope, w, value)
                    value = fma(value, w, load(table, row + m * lanes))
                store(basis_slope, (start + s) * lanes, mul(slope, splat(inverse[i, j])))
            else:
                for m in range(1, powers):
                    value = fma(value, w, load(table, row + m * lanes))
            if powers == 1:
                value = fma(splat(zero), w, value)
            store(basis, (start + s) * lanes, value)

    return evaluate


@cache
def prepare_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that prepares a group of inputs at a block of samples, for degree `k` and a dtype."""
    evaluate = _evaluate_kernel(k, dtype)
    silu = fill_silu(dtype)
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def prepare(x, begin, count, low, high, width, n_rows, pieces, kind, given, given_slope, with_slopes, work):  # type: ignore[no-untyped-def]
        """Fill slots 0, 1, ... of `work` with inputs low ... high - 1 at the samples begin ... begin + count - 1 of x.

        x (n, n_in); pieces: the local polynomials; kind: of base function;
        given, given_slope (n, n_in): b and b' where kind is GIVEN; width, n_rows: of the packed coefficients;
        with_slopes: whether derivatives are wanted as well.
        One call does a whole group, because passing so many arrays costs as much as 50 samples.
        """
        points, piece, first, place, firsts = work.points, work.piece, work.first, work.place, pieces.first
        base, base_slope, table = work.base, work.base_slope, pieces.poly.reshape(-1)
        # The contraction takes samples side by side: the rest of the last ones repeats a sample, and is not kept.
        full = (count + SIDE_BY_SIDE - 1) // SIDE_BY_SIDE * SIDE_BY_SIDE
        for i in range(low, high):
            slot = i - low
            start = slot * BLOCK
            for s in range(count):
                points[s] = x[begin + s, i]
            for s in range(count, full):
                points[s] = points[0]
            # 1. b(x) and b'(x)
            if kind == SILU:
                silu(points, full, start, base, base_slope, with_slopes)
            elif kind == GIVEN:
                for s in range(full):
                    row = begin + (s if s < count else 0)
                    base[start + s] = given[row, i]
                    base_slope[start + s] = given_slope[row, i]
            else:
                for s in range(full):
                    base[start + s] = points[s] if kind == IDENTITY else zero
                    base_slope[start + s] = one if kind == IDENTITY else zero
            # 2. the piece of each point, the k + 1 functions and their derivatives
            evaluate(points, full, i, slot, pieces, table, with_slopes, piece, work.basis, work.slope)
            # 3. where their coefficients are
            for s in range(full):
                f = firsts[i, np.uint32(piece[s])]
                first[start + s] = f
                place[start + s] = (i * n_rows + f) * width

    return prepare
