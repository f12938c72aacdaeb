"""Vectors whose lanes are samples, with small tables: look-ups, polynomials, silu, sums of products.

Where a grid has few pieces, everything that depends on the piece of a sample can be *looked up* in a table that fits
into registers: no load and no branch depends on a sample, and a vector of samples costs the same wherever they lie.
Kernels are written with the operations of this module, which exist twice:

* compiled for a host with 512-bit vectors, as instructions (``_lanes_llvm.py``);
* with the JIT off or bounds checked, here: a vector is one sample, a table is a place in an array.

Compiled for other hosts there are none but silu (:func:`has_lookups`), and layers take other forms.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._jit import kernel
from numkan._lanes_llvm import lane_intrinsics, silu_intrinsic, tile_intrinsics
from numkan._simd import as_python, has_wide_vectors, lanes_of, vector_ops
from numkan.base import silu_pair

__all__ = [
    "LaneOps",
    "TileOps",
    "fitting_entries",
    "has_lookups",
    "index_dtype",
    "lane_ops",
    "sample_lanes",
    "silu_op",
    "tile_ops",
]

#: The sizes of tables. Two registers are read as fast as one, more take several times as long.
_FEWEST_ENTRIES = 16
_MOST_BYTES = 2 * 64


def has_lookups() -> bool:
    """Return whether kernels can use this module as they run here."""
    return as_python() or has_wide_vectors()


def sample_lanes(dtype: np.dtype[Any]) -> int:
    """Return how many samples a vector holds."""
    return 1 if as_python() else lanes_of(dtype)


def fitting_entries(n: int, dtype: np.dtype[Any]) -> int:
    """Return the size of the least table for `n` numbers; 0 if none is large enough."""
    entries = _FEWEST_ENTRIES
    while entries < n:
        entries *= 2
    return entries if entries * dtype.itemsize <= _MOST_BYTES else 0


def index_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the integers that are as wide as a dtype's numbers."""
    return np.dtype(f"i{dtype.itemsize}")


class LaneOps(NamedTuple):
    """Operations for one degree, one dtype, tables of `entries` numbers, and groups of `tile` edges.

    `at` counts numbers of `array`. An edge is k + 1 tables, the coefficients of a polynomial, the highest power first.
    """

    load_index: Callable[..., Any]  # load_index(array, at)
    store_index: Callable[..., Any]  # store_index(array, at, index)
    find: Callable[..., Any]  # find(array, at, x): how many of the increasing breaks in the table are <= x
    lookup: Callable[..., Any]  # lookup(array, at, index): the table's numbers at the indices
    local: Callable[..., Any]  # local(x, centre, inverse): (x, infinity made finite, less centre) * inverse
    load_edges: Callable[..., Any]  # load_edges(array, at): the tables of `tile` edges, one after the other
    load_scales: Callable[..., Any]  # load_scales(array, at): `tile` numbers
    #: add_edges(edges, scales, b, index, w, array, at, stride): to array[at + e * stride] scale * b + the polynomial at
    #: w of edge e
    add_edges: Callable[..., Any]
    fill_edges: Callable[..., Any]  # fill_edges(edges, index, w, array, at, stride): the polynomials alone
    no_slopes: Callable[..., Any]  # no_slopes(w): k sums to begin with
    #: add_slopes(sums, array, at, index, factor): sums + factor * all coefficients of one edge but the constant
    add_slopes: Callable[..., Any]
    slope: Callable[..., Any]  # slope(sums, w): the derivative at w of the polynomial with these coefficients
    #: merge(firsts, first, tables, poly, array, at, edges, to): for a vector of pieces the polynomials of an edge, one
    #: power after the other `entries` apart, from `to` on; of the k + 1 functions of a piece, which are `firsts` in the
    #: edge's coefficients, the polynomials are in `tables`. Both begin with the vector's first piece.
    merge: Callable[..., Any]


class TileOps(NamedTuple):
    """Sums of products over samples, of `rows` functions and `columns` cotangents: a vector of sums."""

    rows: int
    columns: int
    zeros: Callable[..., Any]  # zeros(array): the tile to start with, of the array's dtype
    add: Callable[..., Any]  # add(tile, f, f_at, f_stride, g, g_at, g_stride): plus the products at one vector
    totals: Callable[..., Any]  # totals(tile): the sums over samples, (rows, columns)


@cache
def lane_ops(k: int, dtype: np.dtype[Any], entries: int, tile: int) -> LaneOps:
    """Return the operations for degree `k`, a dtype, tables of `entries` numbers and `tile` edges at a time.

    As Python, only for one edge at a time.
    """
    return _python_lane_ops(k, dtype, entries) if as_python() else LaneOps(**lane_intrinsics(k, dtype, entries, tile))


@cache
def silu_op(dtype: np.dtype[Any]) -> Any:
    """Return silu(x) for vectors of samples: (silu(x), silu'(x))."""
    return silu_pair(dtype) if as_python() else silu_intrinsic(dtype)


@cache
def tile_ops(dtype: np.dtype[Any], columns: int) -> TileOps:
    """Return the operations for tiles of `columns` columns, and of as many rows as make one sum a lane."""
    if as_python():
        return TileOps(1, columns, *_python_tile_ops(dtype))
    return TileOps(lanes_of(dtype) // columns, columns, *tile_intrinsics(dtype, columns))


# --- one sample at a time -----------------------------------------------------------------------------------------


def _python_lane_ops(k: int, dtype: np.dtype[Any], entries: int) -> LaneOps:
    _, load, store, *_ = vector_ops(1)
    limit, zero = dtype.type(np.finfo(dtype).max), dtype.type(0)

    @kernel
    def find(array, at, x):  # type: ignore[no-untyped-def]
        index, jump = 0, entries // 2
        while jump > 0:
            if x >= array[at + index + jump - 1]:
                index += jump
            jump //= 2
        return index

    @kernel
    def lookup(array, at, index):  # type: ignore[no-untyped-def]
        return array[at + index]

    @kernel
    def local(x, centre, inverse):  # type: ignore[no-untyped-def]
        x = limit if x > limit else (-limit if x < -limit else x)
        return (x - centre) * inverse

    @kernel
    def load_edges(array, at):  # type: ignore[no-untyped-def]
        return (array, at)

    @kernel
    def load_scales(array, at):  # type: ignore[no-untyped-def]
        return (array[at],)

    @kernel
    def add_edges(edges, scales, b, index, w, array, at, stride):  # type: ignore[no-untyped-def]
        tables, place = edges
        value = tables[place + index] if k > 0 else zero
        for m in range(1, k):
            value = value * w + tables[place + m * entries + index]
        array[at] = scales[0] * b + (value * w + (tables[place + k * entries + index] + array[at]))

    @kernel
    def fill_edges(edges, index, w, array, at, stride):  # type: ignore[no-untyped-def]
        tables, place = edges
        value = tables[place + index] if k > 0 else zero
        for m in range(1, k):
            value = value * w + tables[place + m * entries + index]
        array[at] = value * w + tables[place + k * entries + index]

    no_slopes, add_slopes = _python_sums(k, entries, zero)
    factors = tuple(dtype.type(k - m) for m in range(k)) or (zero,)

    @kernel
    def slope(sums, w):  # type: ignore[no-untyped-def]
        value = zero * w
        for m in range(len(sums)):
            value = value * w + factors[m] * sums[m]
        return value

    @kernel
    def flat(sums, w):  # type: ignore[no-untyped-def]
        return zero * w

    return LaneOps(
        load,
        store,
        find,
        lookup,
        local,
        load_edges,
        load_scales,
        add_edges,
        fill_edges,
        no_slopes,
        add_slopes,
        slope if k else flat,
        _python_merge(k, entries, zero),
    )


def _python_merge(k: int, entries: int, zero: Any) -> Any:
    powers = k + 1

    @kernel
    def merge(firsts, first, tables, poly, array, at, edges, to):  # type: ignore[no-untyped-def]
        for power in range(powers):
            total = zero
            for r in range(powers):
                part = tables[poly + (power * powers + r) * entries]
                total = part * array[at + firsts[first + r * entries]] + total
            edges[to + power * entries] = total

    return merge


def _python_sums(k: int, entries: int, zero: Any) -> tuple[Any, Any]:
    """Return no_slopes and add_slopes for tuples of k numbers, from those for k - 1."""
    if k == 0:

        @kernel
        def nothing(w):  # type: ignore[no-untyped-def]
            return ()

        @kernel
        def nothing_more(sums, array, at, index, factor):  # type: ignore[no-untyped-def]
            return ()

        return nothing, nothing_more
    fewer, add_fewer = _python_sums(k - 1, entries, zero)
    last = k - 1

    @kernel
    def no_slopes(w):  # type: ignore[no-untyped-def]
        return fewer(w) + (zero,)  # noqa: RUF005 - compiled code has no other way to join tuples

    @kernel
    def add_slopes(sums, array, at, index, factor):  # type: ignore[no-untyped-def]
        more = sums[last] + factor * array[at + last * entries + index]
        return add_fewer(sums, array, at, index, factor) + (more,)  # noqa: RUF005

    return no_slopes, add_slopes


def _python_tile_ops(dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    zero = dtype.type(0)

    @kernel
    def zeros(array):  # type: ignore[no-untyped-def]
        return zero

    @kernel
    def add(tile, f, f_at, f_stride, g, g_at, g_stride):  # type: ignore[no-untyped-def]
        return tile + f[f_at] * g[g_at]

    @kernel
    def totals(tile):  # type: ignore[no-untyped-def]
        return tile

    return zeros, add, totals
