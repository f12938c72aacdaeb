"""Products after a change of one variable: y = g(u) h(x_j) with u = x_i x_j, x_i / x_j, x_i + x_j or x_i - x_j.

g and h are splines. Alternating least squares finds them in milliseconds; then they are identified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from numkan._check import FloatArray
from numkan.symbolic.expression import Const, Node, Var, mul, number, place
from numkan.symbolic.functions import Function
from numkan.symbolic.leaves import leaves
from numkan.symbolic.symmetry import KINDS

__all__ = ["Splines", "products_of_coordinates"]

_ROWS, _TURNS, _POINTS = 1600, 25, 56
_INTERVALS = 24
_CLOSE = 0.02  # products are tried if their held-out error is below this share of the deviation


class Splines:
    """Cubic splines of one variable on its samples."""

    def __init__(self, column: FloatArray) -> None:
        low, high = float(column.min()), float(column.max())
        self.knots = np.concatenate([[low] * 3, np.linspace(low, high, _INTERVALS + 1), [high] * 3])
        self.design = BSpline.design_matrix(column, self.knots, 3).toarray()
        first, last = (float(q) for q in np.quantile(column, [0.02, 0.98]))
        self.at = np.linspace(first, last, _POINTS)

    def curve(self, coef: FloatArray) -> FloatArray:
        """Return the values on the points `at`."""
        return np.asarray(BSpline(self.knots, coef, 3)(self.at))


def _in_turns(
    one: Splines, two: Splines, y: FloatArray, train: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, float]:
    """Return the coefficients of both factors, and their held-out error."""
    other: FloatArray = np.ones(len(y))
    first: FloatArray = np.zeros(0)
    second: FloatArray = np.zeros(0)
    for _ in range(_TURNS):
        first = np.linalg.lstsq((one.design * other[:, None])[train], y[train], rcond=1e-10)[0]
        g = one.design @ first
        second = np.linalg.lstsq((two.design * g[:, None])[train], y[train], rcond=1e-10)[0]
        other = two.design @ second
    rest = (y - (one.design @ first) * other)[~train]
    return first, second, float(np.sqrt(np.mean(np.square(rest))))


def products_of_coordinates(x: FloatArray, y: FloatArray, functions: Mapping[str, Function]) -> Iterator[Node]:
    """Yield expressions g(u) h(x_j) of two inputs that come close, the closest coordinates first."""
    if x.shape[1] != 2 or len(x) < 4 * _INTERVALS:
        return
    x, y = x[:_ROWS], y[:_ROWS]
    train = np.arange(len(x)) % 4 != 0
    spread = float(np.std(y)) or 1.0
    ranked: list[tuple[float, int, Node, int, tuple[Splines, FloatArray], tuple[Splines, FloatArray]]] = []
    for (i, j), kind, c in product(permutations(range(2), 2), KINDS[:2], (1.0, -1.0)):
        if c < 0 and kind.name == "x_i x_j^c" and not (x[:, j] > 0).all():
            continue
        u, v = Splines(kind.value(x[:, i], x[:, j], c)), Splines(x[:, j])
        first, second, error = _in_turns(u, v, y, train)
        if error < _CLOSE * spread:
            ranked.append((error, len(ranked), kind.node(Var(i), Var(j), number(c)), j, (u, first), (v, second)))
    for error, _, node, j, (u, first), (v, second) in sorted(ranked, key=lambda r: r[:2])[:2]:
        g, h = u.curve(first), v.curve(second)
        one = leaves(u.at, g, np.full(_POINTS, error / float(np.sqrt(np.mean(h * h)))), functions, most=2)
        two = leaves(v.at, h, np.full(_POINTS, error / float(np.sqrt(np.mean(g * g)))), functions, most=2)
        for a, b in product(one, two):
            yield mul(Const(1.0), place(a.expression, [node]), place(b.expression, [Var(j)]))
