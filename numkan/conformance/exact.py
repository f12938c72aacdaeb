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
from math import isfinite
from typing import Any

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
    numbers = tuple(n if isinstance(n, Fraction) else float(n) for n in knots)
    point = x if isinstance(x, Fraction) else float(x)  # floats compare exactly, and much faster than fractions
    if not isfinite(point):
        raise ValueError(f"Argument `x` must be finite, not {point}.")
    j = span(point, numbers, k) if at_span is None else at_span
    n_basis = len(numbers) - 1 - k
    if nu > k or j < 0:
        return [ZERO] * n_basis
    first = max(0, j - k)
    row = _row(point, numbers[first : j + k + 2], j - first, k, nu, signed, floor)
    return [ZERO] * first + list(row) + [ZERO] * (n_basis - first - len(row))


@lru_cache(maxsize=1 << 13)
def _row(
    x: Fraction | float, numbers: tuple[Any, ...], j: int, k: int, nu: int, signed: bool, floor: Fraction
) -> tuple[Fraction, ...]:
    """Return the functions on the knots around span j. Many laws need the same ones of a case: so they are kept."""
    point, *t = rational([x, *numbers])  # of each degree, every function on these knots
    row = [Fraction(int(i == j)) for i in range(len(t) - 1)]
    for d in range(1, k - nu + 1):
        row = [
            _over((point - t[i]) * row[i], t[i + d] - t[i])
            + _over((t[i + d + 1] - point) * row[i + 1], t[i + d + 1] - t[i + 1])
            if row[i] or row[i + 1]
            else ZERO
            for i in range(len(row) - 1)
        ]
    row = [value + floor if value else value for value in row]
    for d in range(k - nu, k):
        quotients = [_over(row[i], t[i + d + 1] - t[i]) for i in range(len(row))]
        sign = -1 if signed else 1
        row = [(d + 1) * (quotients[i] + sign * quotients[i + 1]) for i in range(len(row) - 1)]
    return tuple(row)


def curve(x: Any, knots: Iterable[Any], coef: Iterable[Any], k: int, nu: int = 0) -> Fraction:
    """Return D^nu of sum_i c_i B_i at x."""
    return sum((c * b for c, b in zip(rational(coef), basis(x, knots, k, nu), strict=True)), ZERO)


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
