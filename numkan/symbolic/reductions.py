"""Changes of data: new variables or new targets for which a network, and then a formula, is easier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.interpolate import BSpline

from numkan._check import FloatArray
from numkan.symbolic.expression import Node, Var, number, place
from numkan.symbolic.functions import Function
from numkan.symbolic.symmetry import KINDS, Kind, Symmetry
from numkan.symbolic.transforms import TRANSFORMS, Transform, transforms_for

__all__ = ["Reduction", "additive_coordinates", "by_symmetries", "by_transforms"]

_INTERVALS = 16
_ROWS = 1500
_CLOSE, _GAIN = 0.02, 0.2  # additive models are tried if their errors are below these shares of the targets, of before


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """New data made from the old ones, and the inverse map of formulas."""

    name: str
    x: Callable[[FloatArray], FloatArray]
    y: Callable[[FloatArray], FloatArray]
    back: Callable[[Node], Node]


def _same(y: FloatArray) -> FloatArray:
    return y


def _columns(kind: Kind, i: int, j: int, c: float, rest: Sequence[int]) -> Callable[[FloatArray], FloatArray]:
    def x_of(x: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            return np.column_stack([kind.value(x[:, i], x[:, j], c), x[:, list(rest)]])

    return x_of


def by_symmetries(found: Sequence[Symmetry], x: FloatArray) -> list[Reduction]:
    """Return the reductions by symmetries, including those that nearly passed their test."""
    made = []
    for s in sorted(found, key=lambda s: s.test.statistic):
        if np.isfinite(s.test.statistic) and s.test.statistic < 60.0:
            rest = [k for k in range(x.shape[1]) if k not in (s.i, s.j)]
            inputs = [s.node(), *(Var(k) for k in rest)]
            made.append(Reduction(s.test.name, _columns(s.kind, s.i, s.j, s.c, rest), _same, _placer(inputs)))
    return made


def _placer(inputs: Sequence[Node]) -> Callable[[Node], Node]:
    return lambda node: place(node, inputs)


def by_transforms(y: FloatArray, functions: Mapping[str, Function]) -> list[Reduction]:
    """Return the reductions by output transforms."""
    made = []
    for t in transforms_for(y, set(functions))[1:]:
        if t.name == "log|y|" and np.ptp(np.sign(y)) > 0:
            continue
        made.append(Reduction(f"target {t.name}", lambda x: x, _quiet(t), _backer(t, float(np.median(y)))))
    return made


def _quiet(t: Transform) -> Callable[[FloatArray], FloatArray]:
    def y_of(y: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            return np.asarray(t.value(y), np.float64)

    return y_of


def _backer(t: Transform, sign: float) -> Callable[[Node], Node]:
    return lambda node: t.back(node, 1.0 if sign >= 0 else -1.0)


def additive_coordinates(x: FloatArray, y: FloatArray, functions: Mapping[str, Function]) -> list[Reduction]:
    """Return changes (x_i, x_j) -> (u, x_j) after which T(y) is a sum of functions of one variable each, or nearly so.

    Every change is tried by linear least squares on splines, which takes milliseconds.
    """
    ranked: list[tuple[float, Reduction]] = []
    log = TRANSFORMS[1]
    for t in [TRANSFORMS[0], *([log] if "exp" in functions and (y != 0).all() else [])]:
        goal = _quiet(t)(y)
        plain = _additive_error(x, goal)
        for i, j in permutations(range(x.shape[1]), 2):
            for kind in KINDS[:2]:
                for c in (1.0, -1.0):
                    if c < 0 and kind.name == "x_i x_j^c" and not (x[:, j] > 0).all():
                        continue
                    rest = [k for k in range(x.shape[1]) if k != i]
                    new = _columns(kind, i, j, c, rest)
                    error = _additive_error(new(x), goal)
                    if error < _CLOSE and error < _GAIN * plain:
                        ranked.append((error, _coordinates(t, _variable(kind, i, j, c), new, rest, y)))
    return [reduction for _, reduction in sorted(ranked, key=lambda r: r[0])[:2]]


def _variable(kind: Kind, i: int, j: int, c: float) -> Node:
    """Return u as an expression."""
    return kind.node(Var(i), Var(j), number(c))


def _coordinates(
    t: Transform, u: Node, new: Callable[[FloatArray], FloatArray], rest: Sequence[int], y: FloatArray
) -> Reduction:
    inputs = [u, *(Var(k) for k in rest)]
    sign = float(np.median(y))
    return Reduction(
        f"{t.name} as a sum with a new variable", new, _quiet(t), lambda node: t.back(place(node, inputs), sign)
    )


def _additive_error(x: FloatArray, y: FloatArray) -> float:
    """Return the held-out error of a sum of cubic splines, one of every input, relative to the deviation."""
    x, y = x[:_ROWS], y[:_ROWS]
    if not np.isfinite(x).all() or not np.isfinite(y).all():
        return np.inf
    columns = [np.ones((len(x), 1))]
    for column in x.T:
        low, high = float(column.min()), float(column.max())
        if high > low:
            knots = np.concatenate([[low] * 3, np.quantile(column, np.linspace(0, 1, _INTERVALS + 1)), [high] * 3])
            if (np.diff(knots[3:-3]) > 0).all():
                columns.append(BSpline.design_matrix(column, knots, 3).toarray()[:, 1:])
    design = np.concatenate(columns, axis=1)
    train = np.arange(len(x)) % 4 != 0
    if train.sum() < 2 * design.shape[1]:
        return np.inf
    coef = np.linalg.lstsq(design[train], y[train])[0]
    rest = y[~train] - design[~train] @ coef
    return float(np.sqrt(np.mean(np.square(rest)))) / (float(np.std(y)) or 1.0)
