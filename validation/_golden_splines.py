"""The questions of the golden vectors about splines, and their exact answers: basis, derivatives, insertion, grids.

Everything is a fraction. The formulas of grid updates are written down once more here, for each flavour, from their
definition; nothing of numkan is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import isqrt
from typing import Any

from _exact_layers import Sized, exact

from numkan.conformance.golden import nearest

BOTH, DOUBLE = ("float64", "float32"), ("float64",)
ZERO = Fraction(0)


@dataclass
class Question:
    """A vector before it is written: nested lists of fractions as inputs, of sized numbers with units as outputs."""

    id: str
    dtypes: tuple[str, ...]
    settings: dict[str, Any]
    inputs: dict[str, Any]
    outputs: dict[str, tuple[Any, int]] = field(default_factory=dict)


def floats(numbers: list[Any], dtype: str = "float32") -> list[Fraction]:
    """Round numbers to a dtype, as a user's array would have them."""
    return [Fraction(nearest(Fraction(n), dtype)) for n in numbers]


def padded(interior: list[Fraction], k: int) -> list[Fraction]:
    """Add k knots of the mean step at each end."""
    step = (interior[-1] - interior[0]) / (len(interior) - 1)
    left, right = ([interior[end] + sign * j * step for j in range(1, k + 1)] for end, sign in ((0, -1), (-1, 1)))
    return [*left[::-1], *interior, *right]


# --- basis and derivatives ----------------------------------------------------------------------------------------


def probes(knots: list[Fraction], k: int, dtype: str) -> list[Fraction]:
    """Every knot, its neighbours among the floats, a point inside each span, and points beyond the padding."""
    bits = {"float32": 23, "float64": 52}[dtype]
    ends = [knots[k], knots[len(knots) - 1 - k]]
    near = [Fraction(end) + sign * abs(end) / 2**bits for end in ends for sign in (-1, 1) if end]
    spans = [a + share * (b - a) for a, b in pairwise(knots) if a < b for share in _SHARES]
    length = knots[-1] - knots[0]
    return sorted({*floats([*near, *spans, knots[0] - length / 4, knots[-1] + length], dtype), *knots})


_SHARES = (Fraction(1, 2), Fraction(1, 7))


def knot_vectors() -> Iterator[tuple[str, tuple[str, ...], int, list[Fraction]]]:
    """Names, dtypes, degrees and knots that try every kind of grid."""
    for k in range(6):
        yield f"integers k={k}", BOTH, k, [Fraction(i) for i in range(-k, k + 5 - (k > 2))]
    tutorial = [Fraction(-1) + Fraction(2 * i, 5) for i in range(-3, 9)]
    yield "tutorial's grid in float32, k=3", BOTH, 3, floats(tutorial)
    yield "tutorial's grid in float64, k=3", DOUBLE, 3, floats(tutorial, "float64")
    for k in (1, 2, 3, 5):
        ends = [Fraction(0)] * k, [Fraction(4)] * k
        yield f"clamped k={k}", BOTH, k, [*ends[0], *map(Fraction, (0, 1, 2.5, 4)), *ends[1]]
    yield "double knot k=3", BOTH, 3, list(map(Fraction, (-3, -2, -1, 0, 1, 2, 2, 3, 4, 5, 6, 7)))
    yield "triple knot k=2", BOTH, 2, list(map(Fraction, (-2, -1, 0, 1, 1, 1, 3, 4, 5)))
    yield (
        "quadruple knot k=3, and empty spans at the ends",
        BOTH,
        3,
        list(map(Fraction, (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2))),
    )
    yield "one interval, uneven ends, k=3", BOTH, 3, list(map(Fraction, (1, 1, 1, 2, 3, 4, 4, 4)))
    tiny = Fraction(1, 2**18)
    yield "gaps of ratio 2^18 k=3", BOTH, 3, [Fraction(-3), Fraction(-2), -tiny, ZERO, tiny, 2 * tiny, *map(Fraction, (
        1, 2, 3, 4,
    ))]  # fmt: skip
    yield "far from zero, float32, k=3", BOTH, 3, floats([4096 + Fraction(i, 10) for i in range(-3, 7)])
    yield "far from zero, float64, k=2", DOUBLE, 2, floats([10**8 + Fraction(i, 100) for i in range(-2, 6)], "float64")
    yield "small numbers k=3", BOTH, 3, [Fraction(i, 2**30) for i in (-4, -2, -1, 0, 1, 3, 4, 6, 8)]


def basis() -> Iterator[Question]:
    """All functions at the probes of every knot vector."""
    for name, dtypes, k, knots in knot_vectors():
        x = probes(knots, k, dtypes[-1])
        values = [[Sized(b, b) for b in exact.basis(point, knots, k)] for point in x]
        yield Question(name, dtypes, {"k": k}, {"x": x, "knots": knots}, {"basis": (values, 8 * (k + 1))})


def derivatives() -> Iterator[Question]:
    """Every derivative up to order k at a part of the probes, and one order beyond."""
    for name, dtypes, k, knots in knot_vectors():
        x = probes(knots, k, dtypes[-1])
        x = [point for n, point in enumerate(x) if n % 3 == 1 or point in (knots[k], knots[len(knots) - 1 - k])]
        for nu in range(1, k + 2 if k < 4 else 3):
            rows = [zip(exact.basis(p, knots, k, nu), exact.magnitudes(p, knots, k, nu), strict=True) for p in x]
            values = [[Sized(*pair) for pair in row] for row in rows]
            settings = {"k": k, "nu": nu}
            outputs = {"dbasis": (values, 8 * (k + 1))}
            yield Question(f"{name}, nu={nu}", dtypes, settings, {"x": x, "knots": knots}, outputs)


# --- knot insertion -----------------------------------------------------------------------------------------------


def insertion() -> Iterator[Question]:
    """One knot, several, a knot that is there, and a knot at the domain's first end."""
    uneven = list(map(Fraction, (-2, -1.5, -1, -0.25, 0, 0.75, 1, 2, 2.5, 3, 4)))
    for k in range(6):
        knots = [Fraction(i) for i in range(-k, k + 5)]
        yield inserted(f"one knot into integers k={k}", BOTH, knots, k, [Fraction(5, 4)])
    for k in (1, 2, 3):
        yield inserted(f"three knots k={k}", BOTH, uneven, k, list(map(Fraction, (0.5, 0.125, 0.875))))
    yield inserted("at an interior knot k=3", BOTH, uneven, 3, [Fraction(0)])
    yield inserted("a knot until it is triple k=2", BOTH, uneven, 2, [Fraction(1), Fraction(1)])
    yield inserted("at the domain's first end k=3", BOTH, uneven, 3, [uneven[3]])
    clamped = list(map(Fraction, (0, 0, 0, 0, 1, 3, 3, 3, 3)))
    yield inserted("into clamped knots k=3", BOTH, clamped, 3, list(map(Fraction, (0.5, 2, 2.25))))
    tutorial = floats([Fraction(-1) + Fraction(2 * i, 5) for i in range(-3, 9)], "float64")
    yield inserted("one tenth into the tutorial's grid k=3", DOUBLE, tutorial, 3, floats([Fraction(1, 10)], "float64"))


def inserted(name: str, dtypes: tuple[str, ...], knots: list[Fraction], k: int, new: list[Fraction]) -> Question:
    """Insert knots one after another; shares are not negative, so that sizes are inserted as coefficients are."""
    coef = [Fraction((-1) ** p * (3 * p % 7 + 1), 4) for p in range(len(knots) - 1 - k)]
    finer, values, sizes = knots, coef, [abs(c) for c in coef]
    for z in new:
        _, sizes = exact.insert(finer, sizes, k, z)
        finer, values = exact.insert(finer, values, k, z)
    both = [Sized(*pair) for pair in zip(values, sizes, strict=True)]
    outputs = {
        "knots": ([Sized(t, abs(t)) for t in finer], 0),
        "coef": (both, 8 * (k + 1) * len(new)),
    }
    return Question(name, dtypes, {"k": k}, {"knots": knots, "coef": coef, "new_knots": new}, outputs)


# --- grid updates -------------------------------------------------------------------------------------------------

MARGIN = Fraction(1, 100)
Interior = tuple[list[Fraction], Fraction]  # G + 1 knots, and the step of the padding


def order_statistics(x: list[Fraction], G: int) -> list[Fraction]:
    """x_(floor(n i / G)) for i < G, and the last: what numkan, pykan and jaxkan take as quantiles."""
    return [*(x[len(x) * i // G] for i in range(G)), x[-1]]


def blend(uniform: list[Fraction], adaptive: list[Fraction], eps: Fraction) -> list[Fraction]:
    return [eps * u + (1 - eps) * a for u, a in zip(uniform, adaptive, strict=True)]


def steps(first: Fraction, step: Fraction, G: int) -> list[Fraction]:
    return [first + i * step for i in range(G + 1)]


def pykan(x: list[Fraction], G: int, eps: Fraction) -> Interior:
    """No margin; padded with the mean step."""
    knots = blend(steps(x[0], (x[-1] - x[0]) / G, G), order_statistics(x, G), eps)
    return knots, (knots[-1] - knots[0]) / G


def numkan(x: list[Fraction], G: int, eps: Fraction) -> Interior:
    """As pykan, but a constant input has 0.01 on both sides, and knots keep the least gap 1e-6 (last - first) / G."""
    if x[0] == x[-1]:
        x = [x[0] - MARGIN, *x[1:-1], x[-1] + MARGIN]
    knots, step = pykan(x, G, eps)
    gap = (knots[-1] - knots[0]) / G / 10**6
    for i in range(1, G):
        knots[i] = max(knots[i], knots[i - 1] + gap)
    for i in range(G - 1, 0, -1):
        knots[i] = min(knots[i], knots[i + 1] - gap)
    return knots, step


def efficient_kan(x: list[Fraction], G: int, eps: Fraction) -> Interior:
    """Quantiles x_(floor((n - 1) i / G)); 0.01 at both ends of the uniform part, whose step pads the grid too."""
    step = (x[-1] - x[0] + 2 * MARGIN) / G
    adaptive = [x[(len(x) - 1) * i // G] for i in range(G + 1)]
    return blend(steps(x[0] - MARGIN, step, G), adaptive, eps), step


def jaxkan(x: list[Fraction], G: int, eps: Fraction) -> Interior:
    """0.01 at both ends of the uniform part; padded with the mean step of the blend."""
    uniform = steps(x[0] - MARGIN, (x[-1] - x[0] + 2 * MARGIN) / G, G)
    knots = blend(uniform, order_statistics(x, G), eps)
    return knots, (knots[-1] - knots[0]) / G


FLAVOURS: dict[str, Callable[[list[Fraction], int, Fraction], Interior]] = {
    "numkan": numkan,
    "pykan": pykan,
    "efficient-kan": efficient_kan,
    "jaxkan": jaxkan,
}


def grid_update() -> Iterator[Question]:
    """Uniform, adaptive and mixed grids over two unlike columns, in every flavour; then ties and a constant."""
    n = 24
    lopsided = [Fraction((7 * i % n) ** 2, 256) - 1 for i in range(n)]
    even = [Fraction(2 * (11 * i % n) - n, 16) for i in range(n)]
    x = [list(row) for row in zip(lopsided, even, strict=True)]
    for flavour in FLAVOURS:
        for k, G, eps in (
            (3, 4, 1),
            (3, 4, 0),
            (2, 3, Fraction(1, 2)),
            (1, 8, Fraction(1, 64)),
            (3, 1, Fraction(1, 4)),
        ):
            name = f"{flavour}, k={k} G={G} grid_eps={eps}"
            yield updated(name, BOTH, flavour, x, k, G, Fraction(eps))
        constant = [[Fraction(3, 4)]] * 6
        yield updated(f"{flavour}, a constant input", DOUBLE, flavour, constant, 2, 4, Fraction(1, 2))
    ties = [[Fraction(n // 5)] for n in range(15)]
    yield updated("numkan, ties", DOUBLE, "numkan", ties, 2, 6, ZERO)


def updated(
    name: str, dtypes: tuple[str, ...], flavour: str, x: list[list[Fraction]], k: int, G: int, eps: Fraction
) -> Question:
    """Lay knots over samples, and fit the old curves on them where the samples determine the coefficients."""
    columns = [list(column) for column in zip(*x, strict=True)]
    old_grid = [padded(steps(Fraction(-3), Fraction(6, G) if G != 5 else Fraction(5, 4), G), k) for _ in columns]
    coef = [
        [[Fraction((5 * p + 3 * o + i) % 9 - 4, 2) for p in range(G + k)] for o in range(2)] for i in range(len(x[0]))
    ]
    grid, fitted, determined = [], [], True
    for column, old, curves in zip(columns, old_grid, coef, strict=True):
        interior, step = FLAVOURS[flavour](sorted(column), G, eps)
        left, right = ([step * j for j in range(k, 0, -1)], [step * j for j in range(1, k + 1)])
        knots = [*(interior[0] - d for d in left), *interior, *(interior[-1] + d for d in right)]
        largest = max(abs(t) for t in knots)
        grid.append([Sized(t, largest) for t in knots])
        solved = least_squares(column, old, curves, knots, k) if interior[0] < interior[-1] else None
        determined = determined and solved is not None
        fitted.append(solved)
    outputs: dict[str, tuple[Any, int]] = {"grid": (grid, 16)}
    if determined:
        outputs["coef"] = (fitted, 64)
    settings = {"flavour": flavour, "k": k, "G": G}
    return Question(name, dtypes, settings, {"x": x, "grid": old_grid, "coef": coef, "grid_eps": eps}, outputs)


def least_squares(
    x: list[Fraction], old: list[Fraction], curves: list[list[Fraction]], knots: list[Fraction], k: int
) -> list[list[Sized]] | None:
    """Return the coefficients that fit the old curves best on new knots; None where samples do not determine them.

    In rational arithmetic the normal equations are as good as anything. The size is that of Wedin's bound for an error
    u in the matrix, kappa (|c| + kappa |r| / |A|), with the Frobenius condition number, times what the rounding of a
    knot may do to a function, k M / h.
    """
    A = [exact.basis(point, knots, k) for point in x]
    inverse = inverted([[_dot(a, b) for b in zip(*A, strict=True)] for a in zip(*A, strict=True)])
    if inverse is None:
        return None
    norm = _root(sum(_dot(row, row) for row in A))
    kappa = norm * _root(sum(inverse[p][p] for p in range(len(inverse))))
    gap = min(b - a for a, b in pairwise(knots) if a < b)
    steep = max(Fraction(1), k * max(abs(t) for t in knots) / gap)
    out = []
    for curve in curves:
        y = [exact.curve(point, old, curve, k) for point in x]
        right = [_dot(column, y) for column in zip(*A, strict=True)]
        c = [_dot(row, right) for row in inverse]
        rest = [target - _dot(row, c) for row, target in zip(A, y, strict=True)]
        size = steep * kappa * (_root(_dot(c, c)) + kappa * _root(_dot(rest, rest)) / norm)
        out.append([Sized(value, size) for value in c])
    return out


def _dot(a: Any, b: Any) -> Fraction:
    return sum((p * q for p, q in zip(a, b, strict=True)), ZERO)


def _root(square: Fraction) -> Fraction:
    """Return a square root from above, to sixty bits."""
    return Fraction(isqrt(int(square * 4**60)) + 1, 2**60)


def inverted(matrix: list[list[Fraction]]) -> list[list[Fraction]] | None:
    """Return the inverse by elimination, exactly; None where there is none."""
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    for column in range(n):
        pivot = next((i for i in range(column, n) if rows[i][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = rows[column][column]
        rows[column] = [entry / scale for entry in rows[column]]
        for i in range(n):
            factor = rows[i][column]
            if i != column and factor:
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[n:] for row in rows]
