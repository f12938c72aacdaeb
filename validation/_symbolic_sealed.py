"""Sealed expressions: random trees of 5 to 15 nodes in 1 to 5 variables, drawn by a published seed.

They are drawn when the code is frozen; nobody has looked at them before. A draw is thrown away where it is not finite
on its box, constant, or where it holds fewer nodes after simplification.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from _symbolic_sets import Case

SEED = 20261204  # 20261201 to 20261203 were looked at while the code was still changed
COUNT, SMALLEST, LARGEST = 50, 5, 15
LOW, HIGH = 0.5, 2.5
CALLS = ("sin", "cos", "exp", "log", "sqrt", "tanh", "square", "reciprocal")


def _tree(size: int, names: list[str], rng: np.random.Generator) -> Any:
    """Return a random expression of about so many nodes."""
    if size <= 1:
        if rng.uniform() < 0.25:
            return sympy.Rational(int(rng.integers(1, 10)), int(rng.choice([1, 1, 2, 3])))
        return sympy.Symbol(names[rng.integers(len(names))], positive=True)
    if size == 2 or rng.uniform() < 0.35:
        name, inner = CALLS[rng.integers(len(CALLS))], _tree(size - 1, names, rng)
        if name == "square":
            return inner**2
        return 1 / inner if name == "reciprocal" else getattr(sympy, name)(inner)
    left = int(rng.integers(1, size - 1))
    one, two = _tree(left, names, rng), _tree(size - 1 - left, names, rng)
    return (one + two, one - two, one * two, one / two)[rng.integers(4)]


def _nodes(expression: Any) -> int:
    return sum(1 for _ in sympy.preorder_traversal(expression))


def _usable(case: Case) -> bool:
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        y = case(case.draw(4000, rng))
    return bool(np.isfinite(y).all() and 1e-6 < y.std() < 1e6 and np.abs(y - np.median(y)).max() < 50 * y.std())


def sealed(count: int = COUNT, seed: int = SEED) -> list[Case]:
    """Return the expressions of a seed."""
    rng = np.random.default_rng(seed)
    found: list[Case] = []
    while len(found) < count:
        names = [f"x{k}" for k in range(int(rng.integers(1, 6)))]
        expression = _tree(int(rng.integers(SMALLEST, LARGEST + 1)), names, rng)
        if expression.has(sympy.zoo, sympy.nan, sympy.oo, sympy.I):
            continue
        expression = sympy.factor_terms(sympy.together(expression))  # `simplify` takes minutes for some
        used = sorted(str(s) for s in expression.free_symbols)
        if not used or not SMALLEST <= _nodes(expression) <= LARGEST or expression.has(sympy.I, sympy.zoo):
            continue
        text = sympy.sstr(expression).replace("E", "exp(1)") if expression.has(sympy.E) else sympy.sstr(expression)
        case = Case(f"sealed{len(found)}", text, tuple(used), ((LOW, HIGH),) * len(used))
        try:
            usable = _usable(case)
        except (NameError, TypeError, ZeroDivisionError):
            continue
        if usable:
            found.append(case)
    return found
