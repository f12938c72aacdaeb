"""The cases of the standard run: by construction all pairs of levels of any two factors, and further ones at random.

The cases of a law depend on the adapter's scope and on the seed, on nothing else; laws about the same thing share them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from numkan.conformance import network_cases, sample_cases, spline_cases
from numkan.conformance.choices import Choices, Given, Seeded, Streams
from numkan.conformance.pairs import all_pairs
from numkan.conformance.scope import Scope

__all__ = ["Made", "cases_of", "made_of", "summary"]

_MAKERS: dict[str, Callable[[Choices, Scope], tuple[Any, dict[str, str]]]] = {
    "splines": spline_cases.spline,
    "grids": sample_cases.grid,
    "networks": network_cases.network,
}


@dataclass(frozen=True)
class Made:
    """A case, the choices that it is made of, and its kind."""

    case: Any
    choices: Streams
    facts: dict[str, str]


def made_of(about: str, scope: Scope, given: Given, seed: Sequence[int] | None = None) -> Made:
    """Return the case of some choices; further choices are drawn, or without a seed the simplest."""
    choices = Seeded(seed, given)
    case, facts = _MAKERS[about](choices, scope)
    return Made(case, choices.made, facts)


@lru_cache(maxsize=12)
def cases_of(about: str, scope: Scope, seed: int, examples: int) -> tuple[Made, ...]:
    """Return the cases of laws about splines, grids or networks: the design, and `examples` drawn cases."""
    rows = _design(about, scope)
    drawn = [_free(about, rows, number) for number in range(examples)]
    return tuple(made_of(about, scope, given, (seed, number)) for number, given in enumerate((*rows, *drawn)))


def summary(made: Sequence[Made]) -> str:
    """Return how many different cases there are of each kind.

    >>> summary(cases_of("splines", Scope(degrees=(1,), dtypes=("float64",)), 0, 0)).partition(";")[0]
    '12 (degree 1 12'
    """
    different = {repr(one.choices): one.facts for one in made}.values()
    counts: dict[str, Counter[str]] = {}
    for facts in different:
        for name, value in facts.items():
            counts.setdefault(name, Counter())[value] += 1
    listed = (", ".join(f"{name} {value} {n}" for value, n in sorted(counts[name].items())) for name in counts)
    return f"{len(different)} ({'; '.join(listed)})"


# --- the design ---------------------------------------------------------------------------------------------------


@cache
def _design(about: str, scope: Scope) -> tuple[Given, ...]:
    """Return the given choices of each case, cheap cases first."""
    if about == "splines":
        kinds = spline_cases.kinds_of_knots(scope)
        factors = {"knots": len(kinds), "degree": len(scope.degrees), "dtype": len(scope.dtypes)}
        return tuple({**given, **_all_points(scope)} for given in _rows(factors))
    degrees = scope.degrees_of_grids if about == "grids" else scope.degrees_of_networks
    factors = {"degree": len(degrees), "dtype": len(scope.dtypes), "policy": len(scope.layer_extrapolate)}
    if about == "grids":
        more = {"samples": len(sample_cases.SAMPLES), "shape": len(sample_cases.SHAPES)}
        return _rows({**factors, **more, "grid_eps": len(sample_cases.BLENDS) if scope.uneven else 1})
    return tuple(_in_every_shape(_rows({**factors, "base function": len(scope.base_fun)})))


def _rows(factors: dict[str, int]) -> tuple[Given, ...]:
    """Return all pairs of the levels of factors, in the order of the first."""
    rows = sorted(all_pairs(*factors.values()))
    return tuple({name: [(level,)] for name, level in zip(factors, row, strict=True)} for row in rows)


def _all_points(scope: Scope) -> Given:
    """Return the choices for a point of every kind, inside and anywhere, and two more."""
    streams = {"inside": spline_cases.INSIDE, "anywhere": spline_cases.ANYWHERE}
    if not scope.outside:
        streams = {"inside": spline_cases.INSIDE, "inside too": spline_cases.INSIDE}
    counts = {f"number of {name}": [(len(kinds) + 1,)] for name, kinds in streams.items()}
    return {**counts, **{name: [(kind, None, None) for kind in range(len(kinds))] for name, kinds in streams.items()}}


def _in_every_shape(rows: tuple[Given, ...]) -> Iterator[Given]:
    """Every row as a small network, and in each other shape as many rows as hold each level of each factor.

    The first of a shape has the largest sizes. Rows are the same ones again: an implementation may compile for each
    dtype, degree, policy and base function.
    """
    for shape in range(len(network_cases.SHAPES)):
        missing = {(name, *given[name]) for given in rows for name in given}
        largest: Given = network_cases.LARGEST.get(network_cases.SHAPES[shape], {})
        for given in rows[shape % len(rows) :] + rows[: shape % len(rows)] if shape else rows:
            held = {(name, *given[name]) for name in given}
            if shape == 0 or held & missing:
                missing -= held
                yield {**given, **largest, "shape": [(shape,)]}
                largest = {}


def _free(about: str, rows: Sequence[Given], number: int) -> Given:
    """Return the given choices of a case at random: for networks the combination of some row, and a small shape."""
    return {**rows[number % len(rows)], "shape": [(0,)]} if about == "networks" else {}
