"""The cases of the kit as Hypothesis strategies, named by noun, for property tests of numkan itself.

The kit draws its cases without Hypothesis (:mod:`numkan.conformance.making`); nothing else here imports it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numkan.conformance import sample_cases, spline_cases
from numkan.conformance.adapter import Array
from numkan.conformance.cases import Case, GridCase, NetworkCase
from numkan.conformance.choices import Choices
from numkan.conformance.network_cases import random_case as random_case
from numkan.conformance.network_cases import random_layer as random_layer
from numkan.conformance.network_cases import random_points as random_points
from numkan.conformance.scope import Scope

__all__ = [
    "cases",
    "coefficients",
    "degrees",
    "dtypes",
    "grid_cases",
    "knot_vectors",
    "network_cases",
    "points",
    "random_case",
    "random_layer",
    "random_points",
]

EVERYTHING = Scope()
FLOATS = (np.float64, np.float32)

#: Kinds of knots by short names.
KINDS = {
    "random": "graded",
    "repeated": "repeated",
    "tiny": "tiny gaps",
    "far": "far from zero",
    "uniform": "uniform",
    "clamped": "clamped",
    "doubled": "doubled end",
}


class _Drawn(Choices):
    """Choices that Hypothesis draws."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def entry(self, stream: str, *most: int) -> tuple[int, ...]:
        """Return the next choice of a stream, integers from 0 to `most`."""
        return tuple(self._draw(st.integers(0, limit)) for limit in most)


# --- one spline ---------------------------------------------------------------------------------------------------


def dtypes() -> st.SearchStrategy[Any]:
    """Return the dtypes that laws hold in."""
    return st.sampled_from(FLOATS)


def degrees(minimum: int = 0, maximum: int = 5) -> st.SearchStrategy[int]:
    """Return degrees, small ones first."""
    return st.integers(minimum, maximum)


@st.composite
def knot_vectors(
    draw: st.DrawFn, k: int, dtype: Any = np.float64, kinds: Any = tuple(KINDS), max_intervals: int = 6
) -> Array:
    """Draw one row of G + 2k + 1 knots with a domain of positive length, already rounded to `dtype`."""
    kind = KINDS[draw(st.sampled_from(kinds))]
    return spline_cases.knot_vector(_Drawn(draw), k, dtype, kind, max_intervals=max_intervals)


@st.composite
def points(draw: st.DrawFn, knots: Array, k: int, inside: bool = False, max_size: int = 8) -> Array:
    """Draw points that probe the knots, their neighbours among the floats, the ends, spans, and the outside."""
    return spline_cases.points(_Drawn(draw), knots, k, "inside" if inside else "anywhere", most=max_size)


@st.composite
def coefficients(draw: st.DrawFn, n_basis: int, dtype: Any = np.float64) -> Array:
    """Draw coefficients between -2 and 2."""
    return spline_cases.coefficients(_Drawn(draw), n_basis, dtype)


@st.composite
def cases(draw: st.DrawFn, minimum_degree: int = 0, maximum_degree: int = 5, kinds: Any = tuple(KINDS)) -> Case:
    """Draw all that a law of splines needs: one knot vector, points inside and outside, coefficients."""
    k, dtype = draw(degrees(minimum_degree, maximum_degree)), np.dtype(draw(dtypes()))
    knots = draw(knot_vectors(k, dtype, kinds))
    inside, anywhere = draw(points(knots, k, inside=True)), draw(points(knots, k))
    return Case(knots, k, inside, anywhere, draw(coefficients(len(knots) - 1 - k, dtype)))


# --- grids and networks -------------------------------------------------------------------------------------------


@st.composite
def grid_cases(draw: st.DrawFn, scope: Scope = EVERYTHING) -> GridCase:
    """Draw samples, and a layer on an even grid of another number of intervals that they come to."""
    return sample_cases.grid(_Drawn(draw), scope, resized=True)[0]


@st.composite
def network_cases(
    draw: st.DrawFn, scope: Scope = EVERYTHING, bases: Any = None, degrees: dict[str, Any] | None = None
) -> NetworkCase:
    """Draw a network of one to three layers; `bases` and `degrees` (for each dtype) may narrow or widen the scope."""
    depth = draw(st.integers(1, 3))
    widths = draw(st.lists(st.integers(1, 4), min_size=depth + 1, max_size=depth + 1))
    grids = draw(st.lists(st.integers(1, 4), min_size=depth, max_size=depth))
    n, dtype = draw(st.integers(1, 6)), draw(st.sampled_from(scope.dtypes))
    known = st.sampled_from(list((degrees or {}).get(dtype, scope.degrees_of_networks)))
    ks = draw(st.lists(known, min_size=depth, max_size=depth))
    base_fun = draw(st.sampled_from(bases or scope.base_fun))
    policy = draw(st.sampled_from(scope.layer_extrapolate))
    seed = draw(st.integers(0, 10_000))
    return random_case(seed, widths, grids, ks, n, np.dtype(dtype), scope, base_fun=base_fun, extrapolate=policy)
