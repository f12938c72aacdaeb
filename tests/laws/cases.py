"""What the laws of the basis derive from a case: probes, spans, resolutions, cleaner or mirrored knots."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.laws import Array, Case


def interior(case: Case) -> Array:
    """The G + 1 knots of the domain."""
    return case.knots[case.k : case.n_basis + 1]


def middles(knots: Array) -> Array:
    """A point inside each non-empty span (its left end where no float lies between)."""
    gaps = np.diff(knots)
    return (knots[:-1] + gaps / 2)[gaps > 0]


def probes(case: Case) -> Array:
    """The case's points of the domain, and every interior knot and span."""
    return np.concatenate([case.inside, interior(case), middles(interior(case))])


def span(x: Any, knots: Array, k: int) -> int:
    """Index of the span that holds x (domain closed at its right end), -1 outside or for NaN."""
    end = len(knots) - 1 - k
    if x == knots[end]:
        return int(np.flatnonzero(knots[k:end] < knots[k + 1 : end + 1])[-1]) + k
    held = np.flatnonzero((knots[:-1] <= x) & (x < knots[1:]))
    return int(held[0]) if held.size else -1


def gap(case: Case, x: Any) -> float:
    """h: the smallest positive gap between the knots that bear on x or on its left neighbour (inf outside)."""
    j = span(x, case.knots, case.k)
    gaps = np.diff(case.knots[max(0, j - case.k - 1) : j + case.k + 2].astype(float))
    return float(gaps[gaps > 0].min(initial=np.inf))


def resolution(case: Case, x: Array) -> Array:
    """M/h at each point, at least 1."""
    largest = float(np.abs(case.knots).max())
    return np.array([max(1.0, largest / gap(case, point)) for point in x])


def clamped(case: Case) -> Case:
    """Simple interior knots of the case, its ends k + 1 times; coefficients and points follow."""
    inner = np.unique(interior(case))
    knots = np.concatenate([np.repeat(inner[0], case.k), inner, np.repeat(inner[-1], case.k)])
    return Case(knots, case.k, case.inside, case.inside, np.resize(case.coef, len(knots) - 1 - case.k))


def integral_knots(case: Case) -> Array:
    """Knots of the case moved to integers 0 ... 64: their arithmetic is exact."""
    low, high = float(case.knots[0]), float(case.knots[-1])
    knots = np.round(64 * (case.knots.astype(float) - low) / (high - low))
    if knots[case.k] == knots[case.n_basis]:
        knots[case.n_basis :] += 1
    return knots.astype(case.knots.dtype)


def gauss(knots: Array, n_nodes: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes (in the dtype of the knots) and weights (float64) on every non-empty span."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    left, width = knots[:-1], np.diff(knots)
    left, width = left[width > 0], width[width > 0]
    x = left[:, None] + width[:, None] * ((nodes + 1) / 2).astype(knots.dtype)
    return x.ravel(), (width[:, None].astype(float) * weights / 2).ravel()


def curve(impl: Any, x: Array, knots: Array, coef: Array, k: int) -> Array:
    """The plain spline sum_p c_p B_p(x)."""
    return impl.basis(x, knots, k) @ coef


def sign_changes(values: Array, dead_band: float = 0.0) -> int:
    """Strict sign changes of a sequence; what lies in the dead band counts as zero."""
    signs = np.sign(values[np.abs(values) > dead_band])
    return int(np.count_nonzero(signs[1:] != signs[:-1]))


def with_more_knots(case: Case, count: int, skip: int = 0) -> list[float]:
    """Up to `count` points of the case that can be inserted without exceeding multiplicity k + 1."""
    knots, chosen = list(case.knots.tolist()), []
    for x in probes(case)[skip:].tolist():
        if len(chosen) < count and knots.count(x) <= case.k:
            knots.append(x)
            chosen.append(x)
    return chosen


def too_many_repeats(knots: Array, k: int) -> bool:
    """Whether a knot occurs more than k + 1 times: a function with empty support, insertion undefined."""
    return bool(np.unique(knots, return_counts=True)[1].max() > k + 1)
