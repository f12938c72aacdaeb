"""The cases of laws about splines: knots of every kind, points of every kind, coefficients.

Knots are made from gaps: ratios, repeats, tiny gaps, offsets, padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array
from numkan.conformance.cases import Case
from numkan.conformance.choices import Choices
from numkan.conformance.scope import Scope

__all__ = ["ANYWHERE", "EVEN_KNOTS", "INSIDE", "KNOTS", "REPEATED", "coefficients", "knot_vector", "points", "spline"]

#: Kinds of knots, cheap ones first.
KNOTS = (
    "one interval",
    "uniform",
    "nearly uniform",
    "graded",
    "clamped",
    "repeated",
    "k times",
    "doubled end",
    "tiny gaps",
    "far from zero",
    "negative",
    "a hundred intervals",
)
REPEATED = ("clamped", "repeated", "k times", "doubled end")
#: For implementations of uniform knots only.
EVEN_KNOTS = ("one interval", "uniform", "far from zero", "negative", "a hundred intervals")

#: Kinds of points of the domain, and of those that may be anywhere.
INSIDE = ("between knots", "knot", "just above a knot", "just below a knot", "first end", "last end", "minus zero")
ANYWHERE = (
    *INSIDE,
    "in the padding",
    "just left of the domain",
    "just right of the domain",
    "left of all knots",
    "right of all knots",
    "far left",
    "far right",
)

#: Far from zero: the offset, and the smallest gap that the dtype still resolves there by a few hundred spacings.
_OFFSET = {"float64": 1e8, "float32": 1e3}
_TINY = {"float64": 1e-12, "float32": 1e-5}


def spline(choices: Choices, scope: Scope) -> tuple[Case, dict[str, str]]:
    """Return the case of a law of splines, and its kind."""
    k = choices.pick("degree", scope.degrees)
    dtype = np.dtype(choices.pick("dtype", scope.dtypes))
    kind = choices.pick("knots", kinds_of_knots(scope))
    knots = knot_vector(choices, k, dtype, kind, even=not scope.uneven, min_intervals=scope.min_intervals)
    if scope.clamped:
        knots = clamped(knots, k)
    inside = points(choices, knots, k, "inside")
    anywhere = points(choices, knots, k, "anywhere" if scope.outside else "inside too")
    if not scope.closed:
        inside, anywhere = (np.where(x == knots[len(knots) - 1 - k], knots[k], x) for x in (inside, anywhere))
    case = Case(knots, k, inside, anywhere, coefficients(choices, len(knots) - 1 - k, dtype), scope.closed)
    return case, {"degree": str(k), "dtype": dtype.name, "knots": kind}


def kinds_of_knots(scope: Scope) -> tuple[str, ...]:
    """Return the kinds of knots that may be asked for."""
    kinds = KNOTS if scope.uneven else EVEN_KNOTS
    some = (kind for kind in kinds if scope.repeats or kind not in REPEATED)
    without = {"one interval": scope.min_intervals > 1, "doubled end": scope.clamped}
    return tuple(kind for kind in some if not without.get(kind))


# --- knots --------------------------------------------------------------------------------------------------------


def knot_vector(
    choices: Choices,
    k: int,
    dtype: Any,
    kind: str,
    even: bool = False,
    min_intervals: int = 1,
    max_intervals: int = 6,
) -> Array:
    """Return one row of G + 2k + 1 knots with a domain of positive length, already rounded to `dtype`."""
    G = {"one interval": 1, "a hundred intervals": 100}.get(kind) or min_intervals - 1 + choices.integer(
        "intervals", 1, max_intervals
    )
    if even or kind == "uniform":
        knots = _even(choices, G, k, np.dtype(dtype).name, kind, even)
    else:
        G = max(G, {"k times": k + 1, "doubled end": 2}.get(kind, 1))
        knots = _from_gaps(choices, G, k, np.dtype(dtype).name, kind)
    knots = knots.astype(dtype)
    if knots[k] == knots[k + G]:
        knots[k + G :] += np.dtype(dtype).type(1)
    return np.asarray(knots)


def clamped(knots: Array, k: int) -> Array:
    """Return knots whose ends stand k + 1 times, and no more often: others are put into wide gaps."""
    inner = knots[k : len(knots) - k]
    first, last = inner[:1], inner[-1:]
    between = inner[(first < inner) & (inner < last)]
    while len(between) < len(inner) - 2:
        row = np.concatenate([first, between, last])
        place = int(np.argmax(np.diff(row)))
        middle = row[place] + (row[place + 1] - row[place]) / 2
        if middle in row:
            break
        between = np.insert(between, place, middle)
    return np.concatenate([np.repeat(first, k + 1), between, np.repeat(last, k + 1)])


def _even(choices: Choices, G: int, k: int, dtype: str, kind: str, dyadic: bool) -> Array:
    """Even knots; dyadic ones are even in every dtype."""
    starts, steps = ((-1.0, 0.0, 0.5), (0.25, 0.5, 1.0)) if dyadic else ((-1.0, 0.0, 0.1), (0.4, 0.25, 1.0, 1 / 3))
    start, step = choices.pick("start", starts), choices.pick("step", steps)
    if kind == "far from zero":
        start += 2.0 ** np.round(np.log2(_OFFSET[dtype]))
    if kind == "negative":
        start -= G * step + 1
    return np.asarray(start + step * np.arange(-k, G + k + 1))


def _from_gaps(choices: Choices, G: int, k: int, dtype: str, kind: str) -> Array:
    """Return knots with gaps of a kind."""
    gaps = _gaps(choices, G, k, dtype, kind)
    if not gaps[k : k + G].any():
        gaps[k + choices.integer("gap of some length", 0, G - 1)] = 1.0
    knots = np.concatenate([[0.0], np.cumsum(gaps)])
    if kind == "far from zero":
        return np.asarray(_OFFSET[dtype] + knots)
    if kind == "negative":
        return np.asarray(knots - knots[k + G] - choices.pick("end", (1.0, 0.75, 8.0, 100.0)))
    return np.asarray(knots - knots[k + choices.integer("knot at zero", 0, G)])  # tiny gaps are resolved near zero


def _gaps(choices: Choices, G: int, k: int, dtype: str, kind: str) -> Array:
    decades = {"graded": 3.0, "far from zero": 1.0, "nearly uniform": 0.0}.get(kind, 0.5)
    gaps = 10.0 ** np.array([choices.number("gaps", decades) for _ in range(G + 2 * k)])
    if kind == "nearly uniform":
        share = float(np.finfo(dtype).eps) ** choices.pick("unevenness", (0.5, 0.25, 0.75))
        gaps += share * np.array([choices.number("gaps", 1.0) for _ in gaps])
    if kind in ("repeated", "tiny gaps"):
        marked = np.array([choices.integer("marked", 0, 1) for _ in gaps], bool)
        gaps[marked] *= 0.0 if kind == "repeated" else _TINY[dtype]
    if kind == "clamped":
        gaps[:k] = gaps[G + k :] = 0.0
    if kind == "k times" and k:  # an inner knot k times
        first = k + choices.integer("first of them", 1, G - k)
        gaps[first : first + k - 1] = 0.0
    if kind == "doubled end":  # an end of the domain twice, from inside or from outside
        gaps[choices.pick("end", [k + G - 1, k, *((k - 1, k + G) if k else ())])] = 0.0
    return gaps


# --- points and coefficients --------------------------------------------------------------------------------------


def points(choices: Choices, knots: Array, k: int, stream: str, least: int = 1, most: int = 16) -> Array:
    """Return points that probe the knots, their neighbours among the floats, the ends, spans, and the outside.

    Those of the stream "anywhere" may lie anywhere; others are of the domain.
    """
    kinds = ANYWHERE if stream == "anywhere" else INSIDE
    places = []
    for _ in choices.count(stream, least, most):
        kind, number, share = choices.entry(stream, len(kinds) - 1, len(knots) - 1, 2**10 - 1)
        places.append(_place(knots, k, kinds[kind], number, knots.dtype.type(share / 2**10)))
    x = np.array(places, knots.dtype)
    return x if stream == "anywhere" else np.clip(x, knots[k], knots[len(knots) - 1 - k])


def _place(knots: Array, k: int, kind: str, number: int, share: Any) -> Any:
    """Return the point of a kind that a number and a share of 0 to 1 stand for."""
    last = len(knots) - 1
    first, end, length, knot = knots[k], knots[last - k], knots[-1] - knots[0], knots[number]
    inner = np.unique(knots[k : last - k + 1])
    others = number % (len(inner) - 1)
    below, above = (knots.dtype.type(side) for side in (-np.inf, np.inf))
    j = k + number % (last - 2 * k)
    padding = (number % (k or 1), last - 1 - number % (k or 1))[number % 2]
    places = {
        "between knots": knots[j] + (knots[j + 1] - knots[j]) * share,
        "knot": inner[number % len(inner)],
        "just above a knot": np.nextafter(inner[others], above),
        "just below a knot": np.nextafter(inner[others + 1], below),
        "first end": first,
        "last end": end,
        "minus zero": -knots.dtype.type(0) if first <= 0 <= end else knot,
        "in the padding": knots[padding] + (knots[padding + 1] - knots[padding]) * share,
        "just left of the domain": np.nextafter(first, below),
        "just right of the domain": np.nextafter(end, above),
        "left of all knots": knots[0] - length * share,
        "right of all knots": knots[-1] + length * share,
        "far left": knots[0] - length * 1000,
        "far right": knots[-1] + length * 1000,
    }
    return places[kind]


def coefficients(choices: Choices, n_basis: int, dtype: Any) -> Array:
    """Return coefficients between -2 and 2."""
    return np.array([choices.number("coefficients", 2.0) for _ in range(n_basis)], dtype)
