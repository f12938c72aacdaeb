"""Hypothesis strategies for the cases of laws, named by noun.

Knots are made from gaps: ratios, repeats, tiny gaps, offsets, padding. Samples are of every kind that data have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numkan.conformance.adapter import Array, Layer
from numkan.conformance.cases import Case, GridCase, NetworkCase
from numkan.conformance.scope import Scope

__all__ = [
    "cases",
    "coefficients",
    "degrees",
    "dtypes",
    "grid_cases",
    "knot_vectors",
    "network_cases",
    "of",
    "points",
    "random_case",
    "random_layer",
    "random_points",
    "samples",
]

EVERYTHING = Scope()
KINDS = ("random", "repeated", "tiny", "far", "uniform", "clamped", "doubled")
REPEATED = ("repeated", "clamped", "doubled")
SAMPLES = ("drawn", "uniform", "heavy tails", "two clusters", "rounded", "constant", "far", "narrow")
FLOATS = (np.float64, np.float32)

#: Far from zero: the offset, and the smallest gap that the dtype still resolves there by a few hundred spacings.
_OFFSET = {"float64": 1e8, "float32": 4096.0}
_TINY = {"float64": 1e-12, "float32": 1e-5}


#: Starts and steps of even knots. Dyadic ones are even in every dtype: for those who take nothing but even knots.
_EVEN = {"uniform": ((-1.0, 0.0, 0.1), (0.4, 0.25, 1.0, 1 / 3)), "dyadic": ((-1.0, 0.0, 0.5), (0.25, 0.5, 1.0))}


def of(about: str, scope: Scope = EVERYTHING) -> st.SearchStrategy[Any]:
    """Return the cases that laws about splines, grids or networks get."""
    kinds = KINDS if scope.repeats else tuple(kind for kind in KINDS if kind not in REPEATED)
    return {
        "splines": cases(kinds=kinds if scope.uneven else ("dyadic",), scope=scope),
        "grids": grid_cases(scope, resized=False),
        "networks": network_cases(scope),
    }[about]


# --- one spline ---------------------------------------------------------------------------------------------------


def dtypes() -> st.SearchStrategy[Any]:
    """Return the dtypes that laws hold in."""
    return st.sampled_from(FLOATS)


def degrees(minimum: int = 0, maximum: int = 5) -> st.SearchStrategy[int]:
    """Return degrees, small ones first."""
    return st.integers(minimum, maximum)


@st.composite
def knot_vectors(
    draw: st.DrawFn, k: int, dtype: Any = np.float64, kinds: tuple[str, ...] = KINDS, max_intervals: int = 6
) -> Array:
    """Draw one row of G + 2k + 1 knots with a domain of positive length, already rounded to `dtype`."""
    kind = draw(st.sampled_from(kinds))
    number, name = np.dtype(dtype).type, np.dtype(dtype).name
    G = draw(st.integers(1, max_intervals))
    n_gaps = G + 2 * k
    if kind in _EVEN:
        start, step = (draw(st.sampled_from(numbers)) for numbers in _EVEN[kind])
        return (start + step * np.arange(-k, G + k + 1)).astype(dtype)
    decades = {"random": 3.0, "far": 1.0}.get(kind, 0.5)
    exponents = draw(st.lists(st.floats(-decades, decades, width=32), min_size=n_gaps, max_size=n_gaps))
    gaps = 10.0 ** np.array(exponents)
    if kind in ("repeated", "tiny"):
        marked = np.array(draw(st.lists(st.booleans(), min_size=n_gaps, max_size=n_gaps)))
        gaps[marked] *= 0.0 if kind == "repeated" else _TINY[name]
    if kind == "clamped":
        gaps[:k] = gaps[G + k :] = 0.0
    if kind == "doubled":  # an end of the domain twice, from inside or from outside
        gaps[draw(st.sampled_from([k + G - 1, k, *((k - 1, k + G) if k else ())]))] = 0.0
    if not gaps[k : k + G].any():
        gaps[k + draw(st.integers(0, G - 1))] = 1.0
    before = gaps[: k + draw(st.integers(0, G))].sum()  # a knot near zero, so that tiny gaps are resolved somewhere
    offset = _OFFSET[name] if kind == "far" else 0.0
    knots = (offset + np.concatenate([[0.0], np.cumsum(gaps)]) - (0.0 if kind == "far" else before)).astype(dtype)
    if knots[k] == knots[k + G]:
        knots[k + G :] += number(1)
    return knots


@st.composite
def points(draw: st.DrawFn, knots: Array, k: int, inside: bool = False, max_size: int = 8) -> Array:
    """Draw points that probe the knots, their neighbours among the floats, the ends, spans, and the outside."""
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

    kinds = ("span", "knot", "above", "below", "end", *(() if inside else ("outside",)))
    wheres = st.tuples(st.sampled_from(kinds), st.integers(0, last), st.floats(0.0, 1.0, width=32))
    x = np.array([place(where) for where in draw(st.lists(wheres, min_size=1, max_size=max_size))], knots.dtype)
    return np.clip(x, first, end) if inside else x


@st.composite
def coefficients(draw: st.DrawFn, n_basis: int, dtype: Any = np.float64) -> Array:
    """Draw coefficients between -2 and 2."""
    numbers = st.floats(-2.0, 2.0, width=32, allow_subnormal=False)
    return np.array(draw(st.lists(numbers, min_size=n_basis, max_size=n_basis)), dtype)


@st.composite
def cases(
    draw: st.DrawFn,
    minimum_degree: int = 0,
    maximum_degree: int = 5,
    kinds: tuple[str, ...] = KINDS,
    scope: Scope | None = None,
) -> Case:
    """Draw all that a law of splines needs: one knot vector, points inside and outside, coefficients."""
    k = draw(st.sampled_from(scope.degrees) if scope else degrees(minimum_degree, maximum_degree))
    dtype = np.dtype(draw(st.sampled_from(scope.dtypes) if scope else dtypes()))
    scope = scope or EVERYTHING
    knots = draw(knot_vectors(k, dtype, kinds))
    inside = draw(points(knots, k, inside=True))
    anywhere = draw(points(knots, k, inside=not scope.outside))
    if not scope.closed:
        inside, anywhere = (np.where(x == knots[len(knots) - 1 - k], knots[k], x) for x in (inside, anywhere))
    return Case(knots, k, inside, anywhere, draw(coefficients(len(knots) - 1 - k, dtype)), scope.closed)


# --- samples for a layer's grid -----------------------------------------------------------------------------------


@st.composite
def samples(draw: st.DrawFn, dtype: Any, max_size: int = 30) -> Array:
    """Draw one column of samples, (n,), in no order."""
    n = draw(st.integers(1, max_size))
    kind = draw(st.sampled_from(SAMPLES))
    if kind == "drawn":
        numbers = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
        return np.array(draw(st.lists(numbers, min_size=n, max_size=n)), dtype)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    kinds: dict[str, Callable[[], Array]] = {
        "uniform": lambda: rng.uniform(-1, 1, n),
        "heavy tails": lambda: rng.standard_cauchy(n),
        "two clusters": lambda: rng.choice([-1.0, 5.0], n) + 1e-3 * rng.normal(size=n),
        "rounded": lambda: np.round(2 * rng.normal(size=n)),
        "constant": lambda: np.full(n, rng.normal()),
        "far": lambda: 1e4 + rng.uniform(0, 1, n),
        "narrow": lambda: 1 + np.finfo(dtype).eps * rng.integers(0, 40, n),
    }
    return kinds[kind]().astype(dtype)


@st.composite
def grid_cases(draw: st.DrawFn, scope: Scope = EVERYTHING, resized: bool = True) -> GridCase:
    """Draw samples, and a layer on an even grid that they come to (`resized`: with another number of intervals)."""
    dtype = np.dtype(draw(st.sampled_from(scope.dtypes)))
    k = draw(st.sampled_from([k for k in scope.degrees if k or scope.closed] or list(scope.degrees)))
    G = draw(st.integers(1, 7))
    G_old = draw(st.integers(1, 5)) if resized else G
    column = draw(samples(dtype))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x = np.stack([column, rng.uniform(-1, 1, len(column)).astype(dtype)], axis=1)
    width = draw(st.sampled_from([0.5, 1.0, 3.0]))
    fractions = G_old if scope.uneven else _power_of_two(G_old)
    knots = width * (2 * np.arange(-k, G_old + k + 1) / fractions - 1)
    coef = rng.uniform(-1, 1, (2, 2, G_old + k)).astype(dtype)
    grid_eps = draw(st.sampled_from([0.0, 0.02, 0.5, 1.0] if scope.uneven else [1.0]))
    policy = draw(st.sampled_from(scope.layer_extrapolate))
    return GridCase(x, np.tile(knots, (2, 1)).astype(dtype), coef, k, G, grid_eps, policy, scope.flavour)


def _power_of_two(number: int) -> int:
    """Return the least power of two that is not below a number."""
    return 1 << (number - 1).bit_length()


# --- networks -----------------------------------------------------------------------------------------------------


def _uneven_knots(rng: np.random.Generator, n_in: int, G: int, k: int, repeats: bool) -> Array:
    gaps = 10.0 ** rng.uniform(-1, 0.5, (n_in, G + 2 * k))
    gaps *= 2.5 / gaps[:, k : k + G].sum(axis=1, keepdims=True)
    if k >= 2 and G > 2 and repeats:
        gaps[:, k + 1] *= rng.integers(0, 2, n_in)
    knots = np.concatenate([np.zeros((n_in, 1)), np.cumsum(gaps, axis=1)], axis=1)
    return np.asarray(knots - (knots[:, k, None] + rng.uniform(1.0, 1.5, (n_in, 1))))


def _even_knots(rng: np.random.Generator, n_in: int, G: int, k: int) -> Array:
    """Even in every dtype: starts and steps are dyadic."""
    start = -rng.integers(8, 13, (n_in, 1)) / 8
    return np.asarray(start + 2 / _power_of_two(G) * np.arange(-k, G + k + 1))


def random_layer(
    rng: np.random.Generator,
    n_in: int,
    n_out: int,
    G: int,
    k: int,
    base_fun: Any = "silu",
    extrapolate: str = "fade",
    scope: Scope = EVERYTHING,
) -> Layer:
    """Return a layer whose knots are uneven, some repeated, and different for each input."""
    knots = _uneven_knots(rng, n_in, G, k, scope.repeats) if scope.uneven else _even_knots(rng, n_in, G, k)
    scale_base, scale_sp = (rng.normal(size=(n_in, n_out)) for _ in range(2))
    mask = (rng.random((n_in, n_out)) < 0.8).astype(float)
    coef = rng.normal(size=(n_in, n_out, G + k))
    return Layer(knots, coef, scale_base, scale_sp, mask, k, base_fun, extrapolate)


def random_points(rng: np.random.Generator, layer: Layer, n: int, closed: bool = True) -> Array:
    """Return points inside and outside, and on knots and ends of the first layer (but no open end)."""
    low, high = layer.grid[:, layer.k], layer.grid[:, -1 - layer.k]
    x = low + rng.uniform(-0.3, 1.3, (n, len(low))) * (high - low)
    stop = layer.grid.shape[1] - layer.k - (not closed)
    knots = np.take_along_axis(layer.grid, rng.integers(layer.k, stop, x.T.shape), axis=1).T
    return np.where(rng.random(x.shape) < 0.2, knots, x).astype(layer.grid.dtype)


def random_case(
    seed: int,
    widths: Any,
    grids: Any,
    degrees: Any,
    n: int = 5,
    dtype: Any = np.float64,
    scope: Scope = EVERYTHING,
    **options: Any,
) -> NetworkCase:
    """Return a network of given shapes, `options` going to :func:`random_layer`, and `n` samples for it."""
    rng = np.random.default_rng(seed)
    shapes = zip(widths[:-1], widths[1:], grids, degrees, strict=True)
    layers = tuple(random_layer(rng, *shape, scope=scope, **options).astype(dtype) for shape in shapes)
    x = random_points(rng, layers[0], n, scope.closed)
    y, weight = rng.normal(size=(n, widths[-1])).astype(dtype), rng.uniform(0.5, 2, n).astype(dtype)
    return NetworkCase(layers, x, y, rng.integers(0, widths[-1], n), weight)


@st.composite
def network_cases(
    draw: st.DrawFn, scope: Scope = EVERYTHING, bases: Any = None, degrees: dict[str, Any] | None = None
) -> NetworkCase:
    """Draw a network of one to three layers; `bases` and `degrees` (for each dtype) may narrow or widen the scope."""
    depth = draw(st.integers(1, 3))
    widths = draw(st.lists(st.integers(1, 4), min_size=depth + 1, max_size=depth + 1))
    grids = draw(st.lists(st.integers(1, 4), min_size=depth, max_size=depth))
    n, dtype = draw(st.integers(1, 6)), draw(st.sampled_from(scope.dtypes))
    allowed = [k for k in scope.layer_degrees if k or scope.closed] or list(scope.layer_degrees)
    known = st.sampled_from(list((degrees or {}).get(dtype, allowed)))
    ks = draw(st.lists(known, min_size=depth, max_size=depth))
    base_fun = draw(st.sampled_from(bases or scope.base_fun))
    policy = draw(st.sampled_from(scope.layer_extrapolate))
    seed = draw(st.integers(0, 10_000))
    return random_case(seed, widths, grids, ks, n, np.dtype(dtype), scope, base_fun=base_fun, extrapolate=policy)
