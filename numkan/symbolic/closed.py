"""Forms that linear algebra finds on the data alone: power laws, and ratios of polynomials of an output transform.

T(y) = P(x) / Q(x) means that the columns of all monomials of P, and of -T(y) times those of Q, have a null vector. It
is found where a singular value falls to rounding, far below the others: no noise, no network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Const, Node, Pow, Var, add, mul, number, power
from numkan.symbolic.functions import Function
from numkan.symbolic.transforms import transforms_for

__all__ = ["power_law", "ratios"]

_ROWS = 600
_MOST_COLUMNS = 110
_ZERO = 3e-13  # a singular value below this share of the largest is 0 up to rounding
_DEGREES = ((1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (3, 0), (2, 2), (4, 0), (3, 1), (1, 3), (3, 2), (3, 3), (4, 2))


def power_law(x: FloatArray, y: FloatArray) -> Node | None:
    """Return c times powers of the inputs where log |y| says so to rounding, or None."""
    used = np.flatnonzero((x > 0).all(axis=0) | (x < 0).all(axis=0))
    if len(used) < x.shape[1] or not ((y > 0).all() or (y < 0).all()):
        return None
    log, goal = np.log(np.abs(x)), np.log(np.abs(y))
    design = np.concatenate([log, np.ones((len(x), 1))], axis=1)
    coef = np.linalg.lstsq(design, goal)[0]
    if np.abs(design @ coef - goal).max() > 1e-10 * max(1.0, float(np.abs(goal).max())):
        return None
    factors: list[Node] = [Const(float(np.sign(y[0]) * np.exp(coef[-1])))]
    for k, p in enumerate(coef[:-1]):
        if abs(p) > 1e-9:
            base = Var(k) if x[0, k] > 0 else mul(number(-1), Var(k))
            near = round(12 * p) / 12
            factors.append(power(base, near) if abs(p - near) < 1e-9 else Pow(base, Const(float(p))))
    return mul(*factors)


def ratios(x: FloatArray, y: FloatArray, functions: Mapping[str, Function]) -> Iterator[Node]:
    """Yield ratios of polynomials of low degree that agree with T(y) to rounding, low degrees first."""
    x, y = x[:_ROWS], y[:_ROWS]
    if "pow2" not in functions or "pow-1" not in functions:
        return
    done: set[str] = set()
    size = float(np.abs(y).max())
    for top, bottom in _DEGREES:
        for t in transforms_for(y, set(functions)):
            if t.name in ("sqrt|y|", "tanh^-1(y)") or t.name in done:
                continue
            if t.name == "log|y|" and np.ptp(np.sign(y)) > 0:
                continue
            with np.errstate(all="ignore"):
                goal = t.value(y)
            if not np.isfinite(goal).all() or float(np.abs(goal).max()) > 1e6 * max(size, 1.0):
                continue
            found = _ratio(x, goal, top, bottom)
            if found is not None:
                done.add(t.name)
                yield t.back(found, 1.0 if y[0] > 0 else -1.0)


def _monomials(n_in: int, degree: int) -> list[tuple[int, ...]]:
    return [m for d in range(degree + 1) for m in combinations_with_replacement(range(n_in), d)]


def _columns(x: FloatArray, monomials: list[tuple[int, ...]]) -> FloatArray:
    return np.stack([np.prod(x[:, list(m)], axis=1) for m in monomials], axis=1)


def _ratio(x: FloatArray, goal: FloatArray, top: int, bottom: int) -> Node | None:
    """Return P / Q of these degrees, or None if they do not agree with the targets, or are not unique."""
    above, below = _monomials(x.shape[1], top), _monomials(x.shape[1], bottom)
    count = len(above) + len(below)
    if count > _MOST_COLUMNS or count > len(x) // 3:
        return None
    design = np.concatenate([_columns(x, above), -goal[:, None] * _columns(x, below)], axis=1)
    size = np.linalg.norm(design, axis=0)
    if not np.isfinite(size).all() or not (size > 0).all():
        return None
    _, singular, rows = np.linalg.svd(np.linalg.qr(design / size, mode="r"))
    if singular[-1] > _ZERO * singular[0] or singular[-2] < 100 * _ZERO * singular[0]:
        return None
    scaled = rows[-1]
    scaled = np.where(np.abs(scaled) > 1e-8 * np.abs(scaled).max(), scaled, 0.0)
    coef = scaled / size
    part = coef[len(above) :]
    if not part.any() or not coef[: len(above)].any():
        return None
    coef = coef / part[np.argmax(np.abs(scaled[len(above) :]))]
    over = _polynomial(coef[: len(above)], above)
    under = _polynomial(coef[len(above) :], below)
    return mul(over, power(under, -1.0))


def _polynomial(coef: FloatArray, monomials: list[tuple[int, ...]]) -> Node:
    terms = []
    for c, m in zip(coef, monomials, strict=True):
        if c != 0.0:
            factors = [power(Var(k), float(m.count(k))) for k in sorted(set(m))]
            terms.append(mul(number(1) if c == 1.0 else Const(float(c)), *factors))
    return add(*terms)
