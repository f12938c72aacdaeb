"""The cases of laws about networks: layers on non-uniform knots, of every shape that code has to handle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numkan.conformance.adapter import Array, Layer
from numkan.conformance.cases import NetworkCase
from numkan.conformance.choices import Choices
from numkan.conformance.sample_cases import power_of_two
from numkan.conformance.scope import Scope
from numkan.conformance.steady import steady_rows

__all__ = ["SHAPES", "network", "random_case", "random_layer", "random_points"]

EVERYTHING = Scope()

#: Kinds of shapes, cheap ones first.
SHAPES = ("small", "large numbers", "deep", "fine", "wide", "many rows")

#: The given choices of the largest case of each shape.
LARGEST: dict[str, dict[str, list[tuple[int | None, ...]]]] = {
    "deep": {"depth": [(None,), (1,)]},
    "fine": {"fine": [(0,)]},
    "wide": {"width": [(0,)]},
    "many rows": {"rows": [(0,)]},
    "large numbers": {"size": [(1,)]},
}

#: Numbers of rows about the lengths of vectors and of chunks.
_ROWS = (2000, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 255, 257, 511, 513, 1023, 1025)


def network(choices: Choices, scope: Scope) -> tuple[NetworkCase, dict[str, str]]:
    """Return a network with samples, and what kind it is of."""
    dtype = np.dtype(choices.pick("dtype", scope.dtypes))
    k = choices.pick("degree", scope.degrees_of_networks)
    policy = choices.pick("policy", scope.layer_extrapolate)
    base_fun = choices.pick("base function", scope.base_fun)
    shape = choices.pick("shape", SHAPES)
    widths, grids, n = _sizes(choices, shape, scope.min_intervals - 1)
    seed = choices.integer("rest", 0, 10_000)
    ks = [k, *(choices.pick("other degrees", (k, *scope.degrees_of_networks)) for _ in grids[1:])]
    case = random_case(seed, widths, grids, ks, n, dtype, scope, base_fun=base_fun, extrapolate=policy)
    if shape == "large numbers":
        case = _large(case, choices.pick("size", (100.0, 1000.0)))
    case = _with_steady_rows(case)
    facts = {"degree": str(k), "dtype": dtype.name, "policy": policy, "base function": str(base_fun), "shape": shape}
    return case, facts


def _sizes(choices: Choices, shape: str, more: int) -> tuple[list[int], list[int], int]:
    """Return widths, numbers of intervals (that many more than without a declaration), and the number of samples."""
    depth = choices.integer("depth", 1, 3)
    if shape in ("many rows", "wide", "fine"):
        depth = min(depth, 2)
    if shape == "deep":
        depth = choices.integer("depth", 4, 5)
    widths = [choices.integer("widths", 1, 3 if shape == "deep" else 4) for _ in range(depth + 1)]
    grids = [more + choices.integer("intervals", 1, 4) for _ in range(depth)]
    n = choices.integer("samples", 1, 6)
    if shape == "wide":
        widths[choices.integer("wide", 0, 1)] = choices.pick("width", (40, 5, 8, 9, 16, 17, 33))
    if shape == "fine":
        grids[0] = more + choices.pick("fine", (200, 33, 65, 100))
    return widths, grids, choices.pick("rows", _ROWS) if shape == "many rows" else n


def _large(case: NetworkCase, size: float) -> NetworkCase:
    """Return a case whose outputs, the logits, are of that size, and whose base functions see points of that size."""
    *before, last = case.layers
    factor = case.dtype.type(size)
    scaled = last.replace(scale_sp=last.scale_sp * factor, scale_base=last.scale_base * factor)
    x = case.x.copy()
    x[::2] *= factor
    return replace(case, layers=(*before, scaled), x=x)


def _with_steady_rows(case: NetworkCase) -> NetworkCase:
    """Return a case with steady rows in place of those where rounding decides on which side of a knot a node is.

    Most laws do not apply to such a row, and skip a case that has one.
    """
    steady = steady_rows(case)
    if steady.all() or not steady.any():
        return case
    place = np.where(steady, np.arange(len(steady)), np.resize(np.flatnonzero(steady), len(steady)))
    return case.rows(place)


# --- layers, points and networks of a seed ------------------------------------------------------------------------


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
    return np.asarray(start + 2 / power_of_two(G) * np.arange(-k, G + k + 1))


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
    widths: Sequence[int],
    grids: Sequence[int],
    degrees: Sequence[int],
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
