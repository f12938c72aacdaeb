"""Points and knots that laws of splines derive from a case: probes, spans, resolutions, other knots."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array, claims
from numkan.conformance.cases import Case

#: Knots of a domain beyond which not every one is probed.
MANY = 16


def interior(case: Case) -> Array:
    """Return the G + 1 knots of the domain."""
    return case.knots[case.k : case.n_basis + 1]


def middles(knots: Array) -> Array:
    """Return a point inside each non-empty span (its left end where no float lies between)."""
    gaps = np.diff(knots)
    return np.asarray((knots[:-1] + gaps / 2)[gaps > 0])


def probes(case: Case) -> Array:
    """Return the case's points of the domain, and every interior knot and span (of many a few); no open end."""
    knots, between = interior(case), middles(interior(case))
    if len(knots) > MANY:
        knots, between = (x[np.linspace(0, len(x) - 1, MANY).astype(int)] for x in (knots, between))
    x = np.concatenate([case.inside, knots, between])
    return x if case.closed else x[x < case.domain[1]]


def everywhere(case: Case) -> Array:
    """Return the probes and the points anywhere; no open end."""
    x = np.concatenate([probes(case), case.anywhere])
    return x if case.closed else x[x != case.domain[1]]


def span(x: Any, knots: Array, k: int) -> int:
    """Return the index of the span that holds x (domain closed at its right end), -1 outside or for NaN."""
    end = len(knots) - 1 - k
    if x == knots[end]:
        return int(np.flatnonzero(knots[k:end] < knots[k + 1 : end + 1])[-1]) + k
    held = np.flatnonzero((knots[:-1] <= x) & (x < knots[1:]))
    return int(held[0]) if held.size else -1


def gap(case: Case, x: Any) -> float:
    """Return h: the smallest positive gap between the knots that bear on x or on its left neighbour (inf outside)."""
    j = span(x, case.knots, case.k)
    gaps = np.diff(case.knots[max(0, j - case.k - 1) : j + case.k + 2].astype(float))
    return float(gaps[gaps > 0].min(initial=np.inf))


def resolution(case: Case, x: Array) -> Array:
    """Return M/h at each point, at least 1."""
    largest = float(np.abs(case.knots).max())
    return np.array([max(1.0, largest / gap(case, point)) for point in x])


def clamped(case: Case) -> Case:
    """Return as many knots of the case, simple ones inside and its ends k + 1 times; coefficients and points follow."""
    inner = np.unique(interior(case))
    while len(inner) < len(interior(case)):  # knots that coincided are put into the widest gaps
        place = int(np.argmax(np.diff(inner)))
        middle = inner[place] + (inner[place + 1] - inner[place]) / 2
        if middle in inner:
            break
        inner = np.insert(inner, place + 1, middle)
    knots = np.concatenate([np.repeat(inner[0], case.k), inner, np.repeat(inner[-1], case.k)])
    coef = np.resize(case.coef, len(knots) - 1 - case.k)
    return Case(knots, case.k, case.inside, case.inside, coef, case.closed)


def integral_knots(case: Case) -> Array:
    """Return knots of the case moved to integers 0 ... 64: their arithmetic is exact."""
    low, high = float(case.knots[0]), float(case.knots[-1])
    knots = np.round(64 * (case.knots.astype(float) - low) / (high - low))
    if knots[case.k] == knots[case.n_basis]:
        knots[case.n_basis :] += 1
    return knots.astype(case.knots.dtype)


def apart(knots: Array, dtype: Any) -> Array:
    """Return knots in another dtype, the gaps that it would lose widened to a few of its spacings."""
    gaps = np.diff(knots.astype(float))
    least = 4 * float(np.spacing(dtype(np.abs(knots).max())))
    wide = np.concatenate([[0.0], np.cumsum(np.maximum(gaps, least))])
    return np.asarray(float(knots[0]) + wide, dtype)


def within(case: Case, x: Array, knots: Array, impl: Any) -> Array:
    """Return the points that an implementation may be asked for on other knots: all, or those of the domain."""
    first, last = knots[case.k], knots[len(knots) - 1 - case.k]
    if getattr(impl, "extrapolation", None) != "fade":
        x = x[(x >= first) & (x <= last)]
    return x if case.closed else x[x != last]


def greville(case: Case) -> Array:
    """Return the points (t_{i+1} + ... + t_{i+k}) / k, rounded to the dtype; middles of spans for k = 0."""
    knots, k = case.knots.astype(float), case.k
    if k == 0:
        return np.asarray((knots[:-1] + knots[1:]) / 2, case.dtype)
    first = knots[1 : case.n_basis + 1]  # the mean is taken of offsets: exact where knots coincide
    offsets = sum((knots[r : case.n_basis + r] - first for r in range(2, k + 1)), np.zeros_like(first))
    return np.asarray(first + offsets / k, case.dtype)


def gauss(knots: Array, n_nodes: int) -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes (in the dtype of the knots) and weights (float64) on every non-empty span."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    left, width = knots[:-1], np.diff(knots)
    left, width = left[width > 0], width[width > 0]
    x = left[:, None] + width[:, None] * ((nodes + 1) / 2).astype(knots.dtype)
    return x.ravel(), (width[:, None].astype(float) * weights / 2).ravel()


def values(impl: Any, x: Array, knots: Array, k: int, nu: int) -> Any:
    """Return D^nu of the functions, by the method that has it."""
    return impl.dbasis(x, knots, k, nu) if nu or claims(impl, "dbasis") else impl.basis(x, knots, k)


def orders(impl: Any, stop: int) -> range:
    """Return the orders of derivatives that can be asked for, below `stop`."""
    highest = getattr(impl, "max_derivative", None)
    return range((stop if highest is None else min(stop, highest + 1)) if claims(impl, "dbasis") else 1)


def curve(impl: Any, x: Array, knots: Array, coef: Array, k: int) -> Any:
    """Return the spline sum_p c_p B_p(x)."""
    return impl.curve(x, knots, coef, k) if claims(impl, "curve") else impl.basis(x, knots, k) @ coef


def sign_changes(numbers: Array, dead_band: float = 0.0) -> int:
    """Return the strict sign changes of a sequence; values in the dead band count as zero."""
    signs = np.sign(numbers[np.abs(numbers) > dead_band])
    return int(np.count_nonzero(signs[1:] != signs[:-1]))


def with_more_knots(case: Case, count: int, simple: bool = False) -> list[float]:
    """Return up to `count` points of the case to insert: no knot more than k + 1 times, or (`simple`) once."""
    knots: list[float] = case.knots.tolist()
    chosen: list[float] = []
    largest = 0 if simple else case.k
    for x in probes(case).tolist():
        if len(chosen) < count and knots.count(x) <= largest:
            knots.append(x)
            chosen.append(x)
    return chosen


def too_many_repeats(knots: Array, k: int) -> bool:
    """Return whether a knot occurs more than k + 1 times: a function has empty support, and insertion is undefined."""
    return bool(np.unique(knots, return_counts=True)[1].max() > k + 1)
