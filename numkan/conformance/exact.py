"""Exact B-splines in rational arithmetic, `fractions.Fraction` throughout.

Floats are rational numbers, so knots and points need no rounding, and the results are exact. The conventions are those
of the laws: the plain basis on the whole knot vector; 0/0 := 0 term by term; half-open spans, except that the domain
[t_k, t_{G+k}] is closed, its right end belonging to the last non-empty span inside.

The code follows the recursion in de Boor's book (chapters IX and X), and is written to be obviously right, not fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import isfinite, lcm, prod
from typing import Any

import numpy as np

ZERO = Fraction(0)


def rational(numbers: Iterable[Any]) -> list[Fraction]:
    """Return floats (NumPy's too) as fractions, without rounding."""
    return [n if isinstance(n, Fraction) else Fraction(float(n)) for n in numbers]


def span(x: Fraction | float, knots: Sequence[Fraction | float], k: int) -> int:
    """Return the index j of the span [t_j, t_{j+1}) that holds x, or -1 where there is none."""
    end = len(knots) - 1 - k
    if x == knots[end]:
        return max(j for j in range(k, end) if knots[j] < knots[j + 1])
    return next((j for j in range(len(knots) - 1) if knots[j] <= x < knots[j + 1]), -1)


def open_span(x: Any, knots: Iterable[Any]) -> int:
    """Return the index j of the span [t_j, t_{j+1}) that holds x, no end closed, or -1 where there is none."""
    (point,), t = rational([x]), rational(knots)
    return next((j for j in range(len(t) - 1) if t[j] <= point < t[j + 1]), -1)


def left_span(x: Fraction, knots: Sequence[Fraction]) -> int:
    """Return the index j of the span (t_j, t_{j+1}] that holds x, for limits from the left."""
    return next((j for j in range(len(knots) - 1) if knots[j] < x <= knots[j + 1]), -1)


def _over(numerator: Fraction, denominator: Fraction) -> Fraction:
    return ZERO if denominator == 0 else numerator / denominator


def basis(x: Any, knots: Iterable[Any], k: int, nu: int = 0, *, at_span: int | None = None) -> list[Fraction]:
    """Return D^nu B_{i,k}(x) for i = 0 ... G + k - 1 (of the polynomials on `at_span`, if that is given)."""
    return _ladder(x, knots, k, nu, signed=True, floor=ZERO, at_span=at_span)


def magnitudes(x: Any, knots: Iterable[Any], k: int, nu: int, floor: Fraction = ZERO) -> list[Fraction]:
    """Return, for each function, the sum of the magnitudes of the terms of the derivative formula.

    `floor` is added to each value of degree k - nu that the formula starts from: with the smallest normal number times
    a constant, it tells what underflow there may amount to.
    """
    return _ladder(x, knots, k, nu, signed=False, floor=floor, at_span=None)


def _ladder(
    x: Any, knots: Iterable[Any], k: int, nu: int, *, signed: bool, floor: Fraction, at_span: int | None
) -> list[Fraction]:
    numbers: tuple[Any, ...]
    if isinstance(knots, np.ndarray):
        numbers = tuple(knots.tolist())
    else:
        numbers = tuple(n if isinstance(n, Fraction) else float(n) for n in knots)
    point = x if isinstance(x, Fraction) else float(x)  # floats compare exactly, and much faster than fractions
    if not isfinite(point):
        raise ValueError(f"Argument `x` must be finite, not {point}.")
    j = span(point, numbers, k) if at_span is None else at_span
    n_basis = len(numbers) - 1 - k
    if nu > k or j < 0:
        return [ZERO] * n_basis
    first = max(0, j - k)
    row = _row(point, numbers[first : j + k + 2], j - first, int(k), int(nu), signed, floor)
    return [ZERO] * first + list(row) + [ZERO] * (n_basis - first - len(row))


@lru_cache(maxsize=1 << 13)
def _row(
    x: Fraction | float, numbers: tuple[Any, ...], j: int, k: int, nu: int, signed: bool, floor: Fraction
) -> tuple[Fraction, ...]:
    """Return the functions on the knots around span j. Many laws need the same ones of a case: so they are kept.

    In integers: `scale` makes them of x and the knots, and a row is one of numerators over the denominator `under`.
    """
    numbers = tuple(rational([x, *numbers]))
    scale = lcm(*(number.denominator for number in numbers))
    point, *t = (int(scale * number) for number in numbers)  # of each degree, every function on these knots
    row, under = [int(i == j) for i in range(len(t) - 1)], 1
    for d in range(1, k - nu + 1):
        over, factor = _quotients(row, [t[i + d] - t[i] for i in range(len(row))])
        row = [(point - t[i]) * over[i] + (t[i + d + 1] - point) * over[i + 1] for i in range(len(row) - 1)]
        under *= factor
    row = [value * floor.denominator + floor.numerator * under if value else 0 for value in row]
    under *= floor.denominator
    for d in range(k - nu, k):
        over, factor = _quotients(row, [t[i + d + 1] - t[i] for i in range(len(row))])
        sign = -1 if signed else 1
        row = [(d + 1) * (over[i] + sign * over[i + 1]) for i in range(len(row) - 1)]
        under *= factor
    return tuple(Fraction(value * scale**nu, under) if value else ZERO for value in row)


def _quotients(row: list[int], widths: list[int]) -> tuple[list[int], int]:
    """Return the numerators of row / widths over a common denominator, 0/0 := 0 term by term, and that denominator."""
    under = prod(width for value, width in zip(row, widths, strict=True) if value and width)
    return [value * (under // width) if value and width else 0 for value, width in zip(row, widths, strict=True)], under


def places(row: Any, truths: Sequence[Fraction]) -> list[int]:
    """Return where a row of values, or the truth, is not zero: of many functions few are."""
    return [i for i, (got, truth) in enumerate(zip(row.tolist(), truths, strict=True)) if got or truth]


def curve(x: Any, knots: Iterable[Any], coef: Iterable[Any], k: int, nu: int = 0) -> Fraction:
    """Return D^nu of sum_i c_i B_i at x."""
    terms = zip(coef, basis(x, knots, k, nu), strict=True)
    return sum((rational([c])[0] * b for c, b in terms if b), ZERO)


def insert(knots: Iterable[Any], coef: Iterable[Any], k: int, new: Any) -> tuple[list[Fraction], list[Fraction]]:
    """Return knots and coefficients after `new` has been inserted (Boehm 1980), for `new` in the domain."""
    t, c = rational(knots), rational(coef)
    (z,) = rational([new])
    j = max(i for i in range(len(t) - 1) if t[i] <= z < t[i + 1])
    finer = []
    for i in range(len(c) + 1):
        if i <= j - k:
            share = Fraction(1)
        elif i > j:
            share = ZERO
        else:
            share = _over(z - t[i], t[i + k] - t[i])
        finer.append((share * c[i] if share else ZERO) + ((1 - share) * c[i - 1] if share != 1 else ZERO))
    return [*t[: j + 1], z, *t[j + 1 :]], finer
