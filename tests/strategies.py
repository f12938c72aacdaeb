"""Hypothesis strategies, named by noun. Knots are made from gaps: ratios, repeats, tiny gaps, offsets, padding."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.laws import Case

Knots = NDArray[np.floating[Any]]

KINDS = ("random", "repeated", "tiny", "far", "uniform", "clamped")
FLOATS = (np.float64, np.float32)

#: Far from zero: the offset, and the smallest gap that the dtype still resolves there by a few hundred spacings.
_OFFSET = {np.float64: 1e8, np.float32: 4096.0}
_TINY = {np.float64: 1e-12, np.float32: 1e-5}


def dtypes() -> st.SearchStrategy[type]:
    return st.sampled_from(FLOATS)


def degrees(minimum: int = 0, maximum: int = 5) -> st.SearchStrategy[int]:
    return st.integers(minimum, maximum)


@st.composite
def knot_vectors(
    draw: st.DrawFn,
    k: int,
    dtype: type = np.float64,
    kinds: tuple[str, ...] = KINDS,
    max_intervals: int = 6,
) -> Knots:
    """One row of G + 2k + 1 knots with a domain of positive length, already rounded to `dtype`."""
    kind = draw(st.sampled_from(kinds))
    G = draw(st.integers(1, max_intervals))
    n_gaps = G + 2 * k
    if kind == "uniform":
        start, step = draw(st.sampled_from([-1.0, 0.0, 0.1])), draw(st.sampled_from([0.4, 0.25, 1.0, 1 / 3]))
        return (start + step * np.arange(-k, G + k + 1)).astype(dtype)
    decades = {"random": 3.0, "far": 1.0}.get(kind, 0.5)
    exponents = draw(st.lists(st.floats(-decades, decades, width=32), min_size=n_gaps, max_size=n_gaps))
    gaps = 10.0 ** np.array(exponents)
    if kind in ("repeated", "tiny"):
        marked = np.array(draw(st.lists(st.booleans(), min_size=n_gaps, max_size=n_gaps)))
        gaps[marked] *= 0.0 if kind == "repeated" else _TINY[dtype]
    if kind == "clamped":
        gaps[:k] = gaps[G + k :] = 0.0
    if not gaps[k : k + G].any():
        gaps[k + draw(st.integers(0, G - 1))] = 1.0
    before = gaps[: k + draw(st.integers(0, G))].sum()  # a knot near zero, so that tiny gaps are resolved somewhere
    offset = _OFFSET[dtype] if kind == "far" else 0.0
    knots = (offset + np.concatenate([[0.0], np.cumsum(gaps)]) - (0.0 if kind == "far" else before)).astype(dtype)
    if knots[k] == knots[k + G]:
        knots[k + G :] += dtype(1)
    return knots


@st.composite
def points(draw: st.DrawFn, knots: Knots, k: int, inside: bool = False, max_size: int = 8) -> Knots:
    """Points that probe the knots, their neighbours among the floats, the ends, spans, and the outside."""
    last = len(knots) - 1
    first, end = knots[k], knots[last - k]
    length = knots[-1] - knots[0]
    infinity = knots.dtype.type(np.inf)

    def place(where: tuple[str, int, float]) -> Any:
        kind, number, share = where
        knot = knots[number % (last + 1)]
        if kind == "knot":
            return knot
        if kind == "above":
            return np.nextafter(knot, infinity)
        if kind == "below":
            return np.nextafter(knot, -infinity)
        if kind == "end":
            return (first, end)[number % 2]
        if kind == "outside":
            return knots[-1] + length * share if number % 2 else knots[0] - length * share
        j = number % last
        return knots[j] + (knots[j + 1] - knots[j]) * knots.dtype.type(share)

    kinds = (
        ("span", "knot", "above", "below", "end") if inside else ("span", "knot", "above", "below", "end", "outside")
    )
    wheres = st.tuples(st.sampled_from(kinds), st.integers(0, last), st.floats(0.0, 1.0, width=32))
    x = np.array([place(where) for where in draw(st.lists(wheres, min_size=1, max_size=max_size))], knots.dtype)
    return np.clip(x, first, end) if inside else x


@st.composite
def coefficients(draw: st.DrawFn, n_basis: int, dtype: type = np.float64) -> Knots:
    numbers = st.floats(-2.0, 2.0, width=32, allow_subnormal=False)
    return np.array(draw(st.lists(numbers, min_size=n_basis, max_size=n_basis)), dtype)


@st.composite
def cases(draw: st.DrawFn, minimum_degree: int = 0, maximum_degree: int = 5, kinds: tuple[str, ...] = KINDS) -> Case:
    """All that a law of the basis needs: one knot vector, points inside and outside, coefficients."""
    k = draw(degrees(minimum_degree, maximum_degree))
    dtype = draw(dtypes())
    knots = draw(knot_vectors(k, dtype, kinds))
    inside = draw(points(knots, k, inside=True))
    anywhere = draw(points(knots, k))
    return Case(knots, k, inside, anywhere, draw(coefficients(len(knots) - 1 - k, dtype)))
