"""Neighbours of an expression: one of its functions is replaced by another with nearly the same values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Call, Node, Pow, Tape, replace, variables, walk
from numkan.symbolic.functions import Function
from numkan.symbolic.identify import Match, match_all
from numkan.symbolic.snap import folded

__all__ = ["inner_functions", "plainer", "swaps"]

_ROWS, _MOST = 200, 4
_SAME = 1e-3  # misfit, in thousandths of the deviation, up to which two functions may be the same on the samples
_FAR, _PLAIN = 100.0, 4.0  # misfit, in thousandths of the deviation; bits of functions that are tried up to there


def inner_functions(node: Node) -> list[tuple[Node, Node]]:
    """Return the functions and powers in an expression that hold inputs, each with its argument."""
    found: dict[int, tuple[Node, Node]] = {}
    for part in walk(node):
        if isinstance(part, Call) and variables(part):
            found[id(part)] = (part, part.argument)
        elif isinstance(part, Pow) and variables(part):
            found[id(part)] = (part, part.base)
    return list(found.values())


def name_of(part: Node) -> str:
    """Return the name of a function or power."""
    if isinstance(part, Call):
        return part.function.name
    assert isinstance(part, Pow)
    return f"pow{part.exponent.value:g}"


def swaps(
    node: Node, x: FloatArray, functions: Mapping[str, Function], most: int = _MOST
) -> Iterator[tuple[str, Node]]:
    """Yield the neighbours of an expression: (what was exchanged, the new expression)."""
    for part, argument in inner_functions(node):
        u, v = Tape(argument).value(x[:_ROWS]), Tape(part).value(x[:_ROWS])
        own = name_of(part)
        others = [m for m in _matches(u, v, functions, _FAR) if m.name != own]
        plain = [m for m in others[most:] if m.function.bits <= _PLAIN and m.misfit < _FAR]
        for match in [*others[:most], *plain]:
            # folded: c (a u + b) + d has two constants and not four, and the criterion counts them
            yield f"{match.name} for {own}", folded(replace(node, {id(part): match.expression(argument)}))


def plainer(node: Node, x: FloatArray, functions: Mapping[str, Function]) -> Iterator[Node]:
    """Yield the expression with a function exchanged for a plainer one that is the same on the samples.

    Far from 0, sinh is exp; the short form is meant.
    """
    for part, argument in inner_functions(node):
        if isinstance(part, Call):
            shorter = {name: f for name, f in functions.items() if f.bits < part.function.bits}
            if part.function.bits > _PLAIN and shorter:
                u, v = Tape(argument).value(x[:_ROWS]), Tape(part).value(x[:_ROWS])
                for match in _matches(u, v, shorter, _SAME)[:2]:
                    if match.misfit < _SAME:
                        yield folded(replace(node, {id(part): match.expression(argument)}))


def _matches(u: FloatArray, v: FloatArray, functions: Mapping[str, Function], hopeless: float) -> list[Match]:
    """Return the functions by their descriptions; misfits are in thousandths of the deviation."""
    ok = np.isfinite(u) & np.isfinite(v)
    if ok.sum() < 20 or np.ptp(u[ok]) == 0.0:
        return []
    sigma = np.full(int(ok.sum()), 1e-3 * float(np.std(v[ok])) + 1e-300)
    return match_all(u[ok], v[ok], sigma, functions, hopeless=hopeless)
