"""T(y) as a sum or a product of functions of one input each, by splines on the samples: no network is needed.

A sum is linear least squares. A product, and a number beside it, is found by alternating least squares, which settles
in a few turns if y is one, whatever the signs of its factors. The functions are then identified one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan.symbolic.coordinates import Splines
from numkan.symbolic.expression import Const, Node, Var, add, mul, place
from numkan.symbolic.functions import Function
from numkan.symbolic.leaves import leaves
from numkan.symbolic.transforms import transforms_for

__all__ = ["separable"]

_ROWS, _TURNS, _FIRST = 1600, 25, 4
_CLOSE, _HOPEFUL = 1e-3, 0.1  # held-out error, as a share of the deviation, at the end and after the first turns
_MOST = 6  # expressions of one transform

#: The coefficients of each input's spline, the held-out error, and how the values depend on each function.
_Fit = tuple[list[FloatArray], float, list[float]]


def separable(x: FloatArray, y: FloatArray, functions: Mapping[str, Function]) -> Iterator[Node]:
    """Yield expressions T^-1(g_1(x_1) + g_2(x_2) + ...) and T^-1(g_1(x_1) g_2(x_2) ... + d) that come close."""
    x, y = x[:_ROWS], y[:_ROWS]
    if x.shape[1] < 2 or not (np.ptp(x, axis=0) > 0.0).all():
        return
    splines = [Splines(column) for column in x.T]
    train = np.arange(len(x)) % 4 != 0
    if train.sum() < 1.5 * sum(s.design.shape[1] for s in splines):
        return
    sign = 1.0 if np.median(y) > 0 else -1.0
    for t in transforms_for(y, set(functions)):
        with np.errstate(all="ignore"):
            goal = np.asarray(t.value(y), np.float64)
        if not np.isfinite(goal).all() or (t.name == "log|y|" and np.ptp(np.sign(y)) > 0):
            continue
        ways: tuple[tuple[Callable[..., _Fit], Callable[..., Node]], ...] = (
            (_sum, add),
            (_product, mul),
            (_product_and_number, mul),
        )
        for fit, combine in ways:
            coefs, error, gains = fit(splines, goal, train)
            if error < _CLOSE * float(np.std(goal)):
                for node in _named(splines, coefs, [error / gain for gain in gains], combine, functions):
                    yield t.back(node, sign)


def _named(
    splines: list[Splines], coefs: list[FloatArray], errors: list[float], combine: Callable[..., Node],
    functions: Mapping[str, Function],
) -> Iterator[Node]:  # fmt: skip
    """Yield combinations of expressions for the splines, if there is one for each."""
    parts = []
    for k, (s, coef, error) in enumerate(zip(splines, coefs, errors, strict=True)):
        curve = s.curve(coef)
        sigma = np.full(len(curve), max(error, 1e-13 * float(np.abs(curve).max()), 1e-300))
        found = leaves(s.at, curve, sigma, functions, most=2, deep=False)
        parts.append([place(leaf.expression, [Var(k)]) for leaf in found])
    for chosen in islice(product(*parts), _MOST):
        yield add(combine(*chosen), Const(0.0))


def _error(rest: FloatArray, train: NDArray[np.bool_]) -> float:
    return float(np.sqrt(np.mean(np.square(rest[~train]))))


def _sum(splines: list[Splines], goal: FloatArray, train: NDArray[np.bool_]) -> _Fit:
    design = np.concatenate([s.design for s in splines], axis=1)
    coef = np.linalg.lstsq(design[train], goal[train], rcond=1e-10)[0]
    ends = np.cumsum([s.design.shape[1] for s in splines])[:-1]
    return np.split(coef, ends), _error(goal - design @ coef, train), [1.0] * len(splines)


def _product(splines: list[Splines], goal: FloatArray, train: NDArray[np.bool_]) -> _Fit:
    return _in_turns(splines, goal, train, np.ones((len(splines), len(goal))), np.zeros((len(goal), 0)))


def _product_and_number(splines: list[Splines], goal: FloatArray, train: NDArray[np.bool_]) -> _Fit:
    # Beside a number no factor may start flat: where another one has the mean 0, nothing would move.
    values = np.stack([s.design @ np.linspace(0.5, 1.5, s.design.shape[1]) for s in splines])
    return _in_turns(splines, goal, train, values, np.full((len(goal), 1), float(np.std(goal))))


def _in_turns(
    splines: list[Splines], goal: FloatArray, train: NDArray[np.bool_], values: FloatArray, one: FloatArray
) -> _Fit:
    """Fit one factor after the other, from their values (n_in, n) on, each with the columns beside the product."""
    coefs: list[FloatArray] = [np.zeros(0)] * len(splines)
    error, spread = np.inf, float(np.std(goal)) or 1.0
    for turn in range(_TURNS):
        before = error
        for k, s in enumerate(splines):
            others = np.prod(np.delete(values, k, axis=0), axis=0)
            design = np.concatenate([s.design * others[:, None], one], axis=1)
            found = np.linalg.lstsq(design[train], goal[train], rcond=1e-10)[0]
            coefs[k], beside = np.split(found, [s.design.shape[1]])
            size = float(np.abs(coefs[k]).max()) or 1.0
            coefs[k] = coefs[k] / (size if k + 1 < len(splines) else 1.0)
            values[k] = s.design @ coefs[k]
        error = _error(goal - np.prod(values, axis=0) - one @ beside, train)
        if not np.isfinite(error) or (turn + 1 >= _FIRST and error > _HOPEFUL * spread) or error > 0.999 * before:
            break
    gains = [float(np.sqrt(np.mean(np.square(np.prod(np.delete(values, k, axis=0), axis=0))))) or 1.0
             for k in range(len(splines))]  # fmt: skip
    return coefs, error, gains
