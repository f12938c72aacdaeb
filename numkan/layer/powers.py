r"""What the loops over sorted samples read of a sample: w, its powers, and base values (``rows.py``).

w = (x - centre) * inverse is the local variable of the piece that x lies in (``pieces.py``). The samples lie sorted,
and what is filled lies in groups (``_groups.py``).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.base_values import base_kernel
from numkan.layer.row_numbers import VALUES, highest_power, powers_of
from numkan.simd.groups import group_ops
from numkan.simd.vectors import lanes_of, vector_ops

__all__ = ["powers_kernel", "values_kernel"]


@cache
def values_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that fills w and b, what is read forward, for a dtype."""
    return _fill_kernel(1, VALUES, dtype)


@cache
def powers_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that fills w, w^2, ..., b and b', what is read backward, for degree `k` and a dtype."""
    return _fill_kernel(highest_power(k), powers_of(k), dtype)


def _fill_kernel(highest: int, numbers: int, dtype: np.dtype[Any]) -> Any:
    step, load, _, splat, fma, mul, *_ = vector_ops(lanes_of(dtype))
    zero, one, minus = dtype.type(0), dtype.type(1), dtype.type(-1)
    fill_base, (size, place, behind, store) = base_kernel(dtype), group_ops(numbers, dtype)
    with_slope = numbers > highest + 1

    @kernel
    def fill(begin, count, low, high, pieces, kind, given, given_slope, with_slopes, at, work):  # type: ignore[no-untyped-def]
        """Fill the groups of work.numbers for inputs low ... high - 1, sorted in slots at, at + 1, ....

        kind: of base function; given, given_slope (n, n_in): b and b' where kind is CUSTOM; with_slopes: whether b' is
        wanted as well. A run ends within a vector: what is written behind it is of no sample, or is written again by
        the next run.
        """
        centres, inverses = pieces.centre.reshape(-1), pieces.inverse.reshape(-1)
        filled, base, base_slope, n_pieces, first = work.numbers, work.base, work.base_slope, pieces.centre.shape[1], 0
        for slot in range(high - low):
            run, q = np.uint64((at + slot) * work.runs), 0
            last_run = run + np.uint64(work.n_runs[np.uint64(at + slot)] - 1)
            first_piece = (low + slot) * n_pieces
            last_piece = first_piece + n_pieces - 1
            points, start = work.ordered, (at + slot) * work.stride
            if fill_base(begin, count, low + slot, at + slot, n_pieces, kind, given, given_slope, with_slopes, work):
                points, start = work.points, 0
            while run <= last_run:
                piece, end = np.uint64(work.run_piece[run]), work.run_end[run]
                centre, inverse = splat(centres[piece]), splat(inverses[piece])
                # the outermost pieces are straight: far outside no power may overflow that counts for nothing
                straight = work.run_piece[run] == first_piece or work.run_piece[run] == last_piece
                bent = splat(zero if straight else one)
                for s in range(q, end, step):
                    w, to = mul(fma(splat(minus), centre, load(points, start + s)), inverse), place(first, s - q)
                    store(filled, to, w)
                    power, factor = w, mul(bent, w)
                    for m in range(1, highest):
                        power = mul(power, factor)
                        store(filled, to + m * size, power)
                    store(filled, to + highest * size, load(base, s))
                    if with_slope and with_slopes:
                        store(filled, to + (highest + 1) * size, load(base_slope, s))
                first, run, q = behind(first, end - q), run + np.uint64(1), end

    return fill
