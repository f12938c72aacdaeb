"""Output transforms T, for which T(y) may be simpler than y, with their inverses as expressions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Call, Node, Pow, add, mul, number
from numkan.symbolic.functions import LIBRARY

__all__ = ["TRANSFORMS", "Transform", "transforms_for"]

_HALF_TURN = np.pi / 2


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """T, its derivative, and y as an expression of T(y)."""

    name: str
    value: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]
    back: Callable[[Node, float], Node]  # of T(y) and the sign of y
    one_sign: bool = False  # only where y does not change its sign
    inside: float = np.inf  # only where |y| is at most this
    needs: str = ""  # the function of the library that the way back uses


def _call(name: str) -> Callable[[Node, float], Node]:
    return lambda node, sign: Call(LIBRARY[name], node)


def _signed(node: Node, sign: float) -> Node:
    return node if sign > 0 else mul(number(-1), node)


#: From common to rare.
TRANSFORMS: tuple[Transform, ...] = (
    Transform("y", lambda y: y, np.ones_like, lambda node, sign: node),
    Transform(
        "log|y|",
        lambda y: np.log(np.abs(y)),
        lambda y: 1.0 / y,
        lambda node, sign: _signed(Call(LIBRARY["exp"], node), sign),
        needs="exp",
    ),
    Transform("1/y", lambda y: 1.0 / y, lambda y: -1.0 / y**2, lambda node, sign: Pow(node, number(-1)), True),
    Transform(
        "y^2",
        np.square,
        lambda y: 2.0 * y,
        lambda node, sign: _signed(Pow(node, number(0.5)), sign),
        True,
        needs="pow0.5",
    ),
    Transform(
        "y^-2",
        lambda y: y**-2.0,
        lambda y: -2.0 * y**-3.0,
        lambda node, sign: _signed(Pow(node, number(-0.5)), sign),
        True,
        needs="pow-0.5",
    ),
    Transform("exp(y)", np.exp, np.exp, _call("log"), inside=30.0, needs="log"),
    Transform("sqrt|y|", lambda y: np.sqrt(np.abs(y)), lambda y: 0.5 / np.sqrt(np.abs(y)),
              lambda node, sign: _signed(Pow(node, number(2)), sign), True, needs="pow2"),
    Transform("sin(y)", np.sin, np.cos, _call("arcsin"), inside=_HALF_TURN, needs="arcsin"),
    Transform("tan(y)", np.tan, lambda y: 1.0 + np.tan(y) ** 2, _call("arctan"), inside=_HALF_TURN, needs="arctan"),
    Transform(
        "cos(y)", np.cos, lambda y: -np.sin(y), lambda node, sign: Call(LIBRARY["arccos"], node), True, np.pi, "arccos"
    ),
    Transform("tanh^-1(y)", np.arctanh, lambda y: 1.0 / (1.0 - y * y), _call("tanh"), inside=1.0, needs="tanh"),
)  # fmt: skip


def transforms_for(y: FloatArray, allowed: set[str]) -> list[Transform]:
    """Return the transforms that values y allow, and whose way back uses only functions that are allowed."""
    low, high = float(y.min()), float(y.max())
    one_sign, size = low > 0.0 or high < 0.0, max(abs(low), abs(high))
    found = []
    for t in TRANSFORMS:
        wide = size <= t.inside * (1.0 + 1e-6) and not (t.name == "cos(y)" and low < 0.0)
        if wide and (one_sign or not t.one_sign) and (not t.needs or t.needs in allowed):
            found.append(t)
    return found


def scaled(node: Node, factor: Node, shift: Node) -> Node:
    """Return factor * node + shift."""
    return add(mul(factor, node), shift)
