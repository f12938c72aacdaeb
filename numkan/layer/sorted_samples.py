"""Samples of a block, sorted by piece, and the arrays that the loops over runs read: w, its powers, and base values.

For one input the samples of a piece, a *run*, share their polynomials. A counting sort brings them together. Each run
is padded to a multiple of four by the sample after the last of the group. Its outputs are not used and its cotangents
are 0.

w = (x - centre) * inverse is the local variable of a piece (``spline/pieces.py``).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.base import CUSTOM, fill_base
from numkan.compile import kernel
from numkan.layer.columns import columns_kernel
from numkan.layer.scratch import FOUR, highest_power
from numkan.simd.vectors import lanes_of, vector_ops
from numkan.spline.local import bounded
from numkan.spline.lookup import find_piece

__all__ = ["fill_kernel", "sort_kernel"]

#: Up to this many pieces, comparing a point with all breaks is faster than a look-up of its piece.
_MAX_COMPARED = 25


@cache
def sort_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that sorts a group of inputs by piece."""
    fill_columns, find_few = columns_kernel(dtype), _find_few_kernel(dtype)

    @kernel
    def sort(x, group, pieces, scratch):  # type: ignore[no-untyped-def]
        """Fill order, ordered and offsets of slots 0, 1, ... of the group from x (n, n_in)."""
        begin, count, low, high = group
        piece, ends, n_pieces = scratch.piece, scratch.ends, pieces.ends.shape[1]
        fill_columns(x, begin, count, low, high, scratch.points, 0, scratch.stride)
        for slot in range(high - low):
            start, i = slot * scratch.stride, low + slot
            points, order, ordered = scratch.points[start:], scratch.order[start:], scratch.ordered[start:]
            offsets = scratch.offsets[slot * (n_pieces + 1) :]
            if n_pieces <= _MAX_COMPARED:
                find_few(points, count, i, pieces, piece, ends)
            else:
                _find_many(points, count, i, pieces, piece, ends)
            end = 0
            for j in range(n_pieces):
                last = end + ends[j]
                offsets[j] = ends[j] = end
                end = last + -last % FOUR
                for q in range(np.uint64(last), np.uint64(end)):
                    order[q], ordered[q] = count, pieces.centre[i, j]
            offsets[n_pieces] = end
            for s in range(count):
                own = np.uint32(piece[s])
                q = ends[own]
                ends[own] = q + 1
                order[np.uint64(q)], ordered[np.uint64(q)] = s, points[s]

    return sort


@cache
def _find_few_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that finds the pieces of the points of one input by comparing all points with all breaks."""
    step, load, store, splat, *_, total, reached = vector_ops(lanes_of(dtype))
    zero, nan = dtype.type(0), dtype.type(np.nan)

    @kernel
    def find(points, count, i, pieces, piece, counts):  # type: ignore[no-untyped-def]
        """Fill piece and counts, the number of points in each piece; a NaN counts to the first piece."""
        n_breaks, before = pieces.ends.shape[1] - 1, count
        for s in range(count, count + step):
            points[s] = nan  # the rest of the last vector: NaN lies above no break
        for j in range(n_breaks):
            number = splat(zero)
            for s in range(0, count, step):
                number = reached(number, load(points, s), splat(pieces.ends[i, j]))
            beyond = np.int64(total(number))
            counts[j], before = before - beyond, beyond
        counts[n_breaks] = before
        for s in range(0, count, step):
            own, number = load(points, s), splat(zero)
            for j in range(n_breaks):
                number = reached(number, own, splat(pieces.ends[i, j]))
            store(piece, s, number)

    return find


@kernel
def _find_many(points, count, i, pieces, piece, counts):  # type: ignore[no-untyped-def]
    """Find the pieces of the points of one input by look-up; fill piece and counts."""
    for j in range(pieces.ends.shape[1]):
        counts[j] = 0
    for s in range(count):
        own = np.uint32(find_piece(points[s], i, pieces))
        piece[s] = own
        counts[own] += 1


@cache
def fill_kernel(k: int, dtype: np.dtype[Any], backward: bool) -> Any:
    """Return the kernel that fills w and b, and `backward` the powers of w, and b'."""
    step, load, store, splat, fma, mul, *_ = vector_ops(lanes_of(dtype))
    zero, one, minus = dtype.type(0), dtype.type(1), dtype.type(-1)
    limit, fill_base, highest = (
        dtype.type(np.finfo(dtype).max),
        _base_kernel(dtype),
        highest_power(k) if backward else 1,
    )

    @kernel
    def fill(group, pieces, base, with_slopes, scratch):  # type: ignore[no-untyped-def]
        """Fill powers, base and, `with_slopes`, slope of the sorted samples of a group.

        A run may end within a vector. The rest of that vector is overwritten by the next run.
        """
        n_pieces, size = pieces.ends.shape[1], scratch.inputs * scratch.stride
        ordered, powers = scratch.ordered, scratch.powers
        for slot in range(group.high - group.low):
            start, i, at = slot * scratch.stride, group.low + slot, slot * (n_pieces + 1)
            fill_base(group, slot, scratch.offsets[at + n_pieces], base, with_slopes, scratch)
            for j in range(n_pieces):
                begin, end = start + scratch.offsets[at + j], start + scratch.offsets[at + j + 1]
                # The outermost pieces are straight lines. Their higher powers have factor 0, and must not overflow.
                outer = j == 0 or j == n_pieces - 1
                if outer:
                    for q in range(np.uint64(begin), np.uint64(end)):
                        ordered[q] = bounded(ordered[q], limit)
                centre, inverse = splat(pieces.centre[i, j]), splat(pieces.inverse[i, j])
                bent = splat(zero if outer else one)
                for q in range(begin, end, step):
                    w = mul(fma(splat(minus), centre, load(ordered, q)), inverse)
                    store(powers, q, w)
                    power, factor = w, mul(bent, w)
                    for m in range(1, highest):
                        power = mul(power, factor)
                        store(powers, q + m * size, power)

    return fill


@cache
def _base_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the base values of one sorted input."""
    fill_named, zero = fill_base(dtype), dtype.type(0)

    @kernel
    def fill(group, slot, count, base, with_slopes, scratch):  # type: ignore[no-untyped-def]
        """Fill base and slope at the first `count` places of a slot."""
        start, order, value, slope = slot * scratch.stride, scratch.order, scratch.base, scratch.slope
        if base.kind != CUSTOM:
            end = start + count
            fill_named(
                base.kind, scratch.ordered[start:end], value[start:end], slope[start : end if with_slopes else start]
            )
            return
        for q in range(start, start + count):
            sample = np.int64(order[q])
            value[q] = slope[q] = zero  # the padding
            if sample < group.size:
                value[q] = base.values[group.begin + sample, group.low + slot]
                slope[q] = base.slopes[group.begin + sample, group.low + slot]

    return fill
