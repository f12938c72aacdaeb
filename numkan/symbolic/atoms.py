"""Curves of one variable that functions of several functions are made of: functions of the library with constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Call, Const, Node, Pow, Tape, Var, add, mul, number
from numkan.symbolic.functions import Function
from numkan.symbolic.identify import starts_of

__all__ = ["Atom", "Dictionary", "joined", "solved", "unit_curves", "variants"]

_BESIDE = (
    "identity",
    "pow2",
    "pow-1",
    "pow0.5",
    "exp",
    "log",
    "sin",
    "tanh",
    "pow1.5",
    "pow-0.5",
)  # what pairs are made of
_MOST_STARTS = 16  # of one function
_SIZE = 1e8  # of a curve, relative to its deviation


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """A function of one variable with constants, and its values."""

    kind: str
    node: Node
    curve: FloatArray
    plain: bool = False  # whether it is one function with constants 1 and 0


def _applied(function: Function, a: float, b: float, u: Node) -> Node:
    """Return f(a u + b) with free a and b; where one of them is redundant, it is left out."""
    if function.name == "identity":
        return u
    scale: Node = Const(a) if "a" in function.varies else number(a)
    argument = add(mul(scale, u), Const(b) if "b" in function.varies else number(0))
    if function.name.startswith("pow"):
        return Pow(argument, number(float(function.derivative(1.0))))
    return Call(function, argument)


def variants(function: Function) -> list[tuple[str, float, float]]:
    """Return (name, a, b) of a function with constants as they stand in most formulas."""
    if function.name == "sin":
        return [("sin", 1.0, 0.0), ("cos", 1.0, 0.5 * np.pi)]
    return [("exp", 1.0, 0.0), ("exp-", -1.0, 0.0)] if function.name == "exp" else [(function.name, 1.0, 0.0)]


class Dictionary:
    """Curves of one variable, those alone that are finite on it."""

    def __init__(self, u: FloatArray, functions: Mapping[str, Function], own: set[str]) -> None:
        self.u = u
        used = [functions[name] for name in (*_BESIDE, *sorted(own)) if name in functions]
        self.plain = [
            atom for f in used for _, a, b in variants(f) for atom in self._atom(f.name, f, a, b, Var(0), True)
        ]
        self.nested = [
            atom
            for f in used if f.name not in ("identity", "pow2")
            for inner in self.plain if not isinstance(inner.node, Var)
            for _, a, b in variants(f)
            for atom in self._atom(f"{f.name}({inner.kind})", f, a, b, inner.node)
        ]  # fmt: skip
        self.others = [atom for f in used if f.varies for atom in self._started(f)]

    def _atom(self, kind: str, f: Function, a: float, b: float, inner: Node, plain: bool = False) -> Iterator[Atom]:
        node = _applied(f, a, b, inner)
        curve = Tape(node).value(self.u[:, None])
        spread = float(np.std(curve)) if np.isfinite(curve).all() else 0.0
        if spread > 0.0 and float(np.abs(curve).max()) < _SIZE * spread:
            yield Atom(kind, node, curve, plain)

    def _started(self, f: Function) -> Iterator[Atom]:
        middle, half = (self.u[0] + self.u[-1]) / 2, (self.u[-1] - self.u[0]) / 2
        starts = starts_of(f)
        for a, b in starts[:: max(1, len(starts) // _MOST_STARTS)]:
            slope = a / half
            shift = b - a * middle / half
            if "a" not in f.varies:  # powers and logarithms: the scale goes into the factor
                slope, shift = float(np.sign(a)), (b - a * middle / half) * half / abs(a)
            yield from self._atom(f.name, f, slope, shift, Var(0))


def unit_curves(curves: FloatArray, w: FloatArray) -> FloatArray:
    """Return curves without their means, of deviation 1."""
    centred = curves - (curves @ w)[:, None]
    size = np.sqrt(np.square(centred) @ w)
    return np.asarray(centred / np.where(size > 0.0, size, 1.0)[:, None])


def solved(columns: list[FloatArray], v: FloatArray, w: FloatArray) -> list[float]:
    """Return the weighted least squares of some columns."""
    root = np.sqrt(w)
    return [float(c) for c in np.linalg.lstsq(np.stack(columns, axis=1) * root[:, None], v * root)[0]]


def joined(book: Dictionary) -> list[Atom]:
    """Return the products and ratios of two different plain functions."""
    found: list[Atom] = []
    for one, two in combinations(book.plain, 2):
        found.append(Atom(f"{one.kind} {two.kind}", mul(one.node, two.node), one.curve * two.curve))
        for top, bottom in ((one, two), (two, one)):
            if np.abs(bottom.curve).min() > 1e-3 * np.abs(bottom.curve).max():
                node = mul(top.node, Pow(bottom.node, number(-1)))
                found.append(Atom(f"{top.kind} / {bottom.kind}", node, top.curve / bottom.curve))
    return found
