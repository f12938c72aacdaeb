"""Laws of the values of the basis functions in the domain."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from numkan.conformance import exact
from numkan.conformance.adapter import claims
from numkan.conformance.cases import Case
from numkan.conformance.law import assert_identical, assert_within, complaint, law, require
from numkan.conformance.laws.dtypes import hold_splines
from numkan.conformance.points import (
    apart,
    clamped,
    everywhere,
    interior,
    probes,
    resolution,
    span,
    within,
)


@law("P-PoU", "4(k+1) eps", "de Boor, ch. IX (36)", "splines")
def partition_of_unity(impl: Any, case: Case) -> None:
    """The functions sum to 1 on the closed domain (weak alone: it holds while the basis is wrong)."""
    sums = impl.basis(probes(case), case.knots, case.k).astype(float).sum(axis=1)
    assert_within(sums, 1.0, 4 * (case.k + 1) * case.eps, "sum of the functions", at=probes(case))


@law("P-POS", "exact", "de Boor, ch. IX (29)", "splines")
def positivity(impl: Any, case: Case) -> None:
    """No function is ever negative."""
    x = everywhere(case) if impl.extrapolation in ("fade", "zero", "clamp") else probes(case)
    found = impl.basis(x, case.knots, case.k)
    require((found >= 0).all(), f"the smallest value is {found.min()!s}")


@law("P-SUP", "exact zeros", "de Boor, ch. IX (21)", "splines")
def local_support(impl: Any, case: Case) -> None:
    """At a point of span j only B_{j-k} ... B_j may differ from zero; nothing does outside the knots."""
    x = everywhere(case)
    for point, row in zip(x, impl.basis(x, case.knots, case.k), strict=True):
        j = span(point, case.knots, case.k)
        allowed = range(max(0, j - case.k), j + 1) if j >= 0 else range(0)
        require(set(np.flatnonzero(row)) <= set(allowed), f"at {point!s}, in span {j}: {row}")


@law("P-RC", "k^2 eps M/h + 8(k+1) eps; k = 0: exact", "BasicBSpline.jl", "splines", policies=("right_end",))
def one_sided_continuity(impl: Any, case: Case) -> None:
    """B(t_j) is the limit from the right at every knot of the domain; at its right end, from the left if closed."""
    knots, k = interior(case), case.k
    last = knots[-1]
    below = np.nextafter(last, knots.dtype.type(-np.inf))
    neighbour = np.where(knots < last, np.nextafter(knots, np.inf, dtype=knots.dtype), below).astype(knots.dtype)
    same_piece = np.array(
        [span(a, case.knots, k) == span(b, case.knots, k) for a, b in zip(knots, neighbour, strict=True)]
    )
    if not case.closed:
        same_piece &= knots < last
    at, near = (impl.basis(x, case.knots, k) for x in (knots, neighbour))
    tolerance = k * k * case.eps * resolution(case, knots) + (8 * (k + 1) * case.eps if k else 0.0)
    assert_within(
        at[same_piece],
        near[same_piece],
        tolerance[same_piece, None],
        "value at a knot and beside it",
        at=knots[same_piece],
    )
    if not case.closed:
        end = case.domain[0] if impl.extrapolation == "periodic" else last
        truth = [float(b) for b in exact.basis(end, case.knots, k, at_span=exact.open_span(end, case.knots))]
        assert_within(impl.basis(knots[-1:], case.knots, k)[0], truth, tolerance[-1], "value at the open right end")


@law("P-END", "4(k+1) eps; others exactly 0", "de Boor, ch. IX", "splines", knots="repeated")
def clamped_ends(impl: Any, case: Case) -> None:
    """With ends of multiplicity k + 1 the first function is 1 at the first knot, the last at the last, others 0."""
    case = clamped(case)
    ends = np.array(case.domain if case.closed else case.domain[:1])
    expected = np.zeros((len(ends), case.n_basis), case.dtype)
    expected[0, 0] = 1
    if case.closed:
        expected[1, -1] = 1
    found = impl.basis(ends, case.knots, case.k)
    assert_within(found, expected, 4 * (case.k + 1) * case.eps * expected, "value", at=ends)


@law("P-ORC", "8(k+1) eps max(1, M/h), absolute", "de Boor's recursion in rational numbers", "splines")
def rational_oracle(impl: Any, case: Case) -> None:
    """The values are those of exact rational de Boor, knots taken as rounded to the dtype."""
    x = everywhere(case)
    truth = np.array([[float(b) for b in exact.basis(point, case.knots, case.k)] for point in x])
    tolerance = 8 * (case.k + 1) * case.eps * resolution(case, x)
    assert_within(impl.basis(x, case.knots, case.k), truth, tolerance[:, None], "function", at=x)


@law("P-REL", "4(k+1) eps |B| + 8(k+1) smallest normals", "numkan's own bound, far stricter than P-ORC", "splines")
def relative_accuracy(impl: Any, case: Case) -> None:
    """Each value on the closed domain has a small relative error, however small it is and whatever the knots."""
    worst, where = max(_relative_errors(impl, case), default=(Fraction(0), ""))
    require(worst <= 1, f"{where} is off by {float(worst):.3g} times the bound", float(worst))


def worst_relative_error(impl: Any, case: Case) -> Fraction:
    """Return the largest error in units of P-REL's bound."""
    return max(_relative_errors(impl, case), default=(Fraction(0), ""))[0]


def _relative_errors(impl: Any, case: Case) -> Iterator[tuple[Fraction, str]]:
    """Every error in units of P-REL's bound, and where it is; none for zeros that are due."""
    x, k = probes(case), case.k
    found = impl.basis(x, case.knots, k)
    require(np.isfinite(found).all(), "a value is not finite")
    unit, tiny = Fraction(case.eps) / 2, Fraction(float(np.finfo(case.knots.dtype).tiny))
    for point, row in zip(x, found, strict=True):
        truths = exact.basis(point, case.knots, k)
        for i in exact.places(row, truths):
            error = abs(exact.rational([row[i]])[0] - truths[i])
            yield error / (8 * (k + 1) * (unit * truths[i] + tiny)), f"function {i} at {point!s}"


@law("P-DTYPE", "8(k+1) eps32 max(1, M/h)", "numkan", "splines", policies=("dtype",))
def dtypes_stay(impl: Any, case: Case) -> None:
    """What comes out has the dtype of what goes in, and functions in float32 are close to those in float64."""
    found = impl.basis(probes(case), case.knots, case.k)
    require(found.dtype == case.dtype, f"{found.dtype} comes out where {case.dtype} goes in")
    hold_splines(impl, case)
    if not {"float32", "float64"} <= {*((impl.dtype,) if isinstance(impl.dtype, str) else impl.dtype)}:
        return
    knots = case.knots.astype(np.float32)
    if impl.degenerate_knots == "error":
        knots = apart(case.knots, np.float32)  # what differs in float64 may be one in float32
        if getattr(impl, "knots", None) == "clamped":
            knots = clamped(replace(case, knots=knots)).knots
    if knots[case.k] == knots[case.n_basis]:
        return
    inside = np.clip(case.inside.astype(np.float32), knots[case.k], knots[case.n_basis])
    rounded = Case(knots, case.k, inside, inside, case.coef, case.closed)
    x = probes(rounded)
    single, double = impl.basis(x, knots, case.k), impl.basis(x.astype(float), knots.astype(float), case.k)
    for got, due in ((single, np.float32), (double, np.float64)):
        require(got.dtype == due, f"{got.dtype} comes out where {np.dtype(due)} goes in")
    tolerance = 8 * (case.k + 1) * np.finfo(np.float32).eps * resolution(rounded, x)
    assert_within(single, double, tolerance[:, None], "float32 against float64, function", at=x)


@law("P-K0", "exact", "definition", "splines", needs=("basis", "degree_zero"))
def degree_zero(impl: Any, case: Case) -> None:
    """Degree 0: indicators of the half-open spans, the last one closed; every derivative is zero."""
    knots = interior(case)
    x = within(replace(case, knots=knots, k=0), everywhere(case), knots, impl)
    expected = np.zeros((len(x), len(knots) - 1), knots.dtype)
    for n, point in enumerate(x):
        j = span(point, knots, 0)
        if j >= 0:
            expected[n, j] = 1
    assert_identical(impl.basis(x, knots, 0), expected, "indicators")
    if claims(impl, "dbasis"):
        require(not impl.dbasis(x, knots, 0, 1).any(), "a derivative of degree 0 is not zero")


@law(
    "P-REP",
    "8(k+1) eps max(1, M/h), or a ValueError",
    "de Boor, ch. IX: 0/0 := 0 in each term by itself",
    "splines",
    policies=("degenerate_knots",),
    knots="uneven",
)
def repeated_knots(impl: Any, case: Case) -> None:
    """On repeated knots the functions are their limits, 0/0 := 0 in each term by itself, or an error, as declared."""
    case = clamped(case)
    inner = case.knots[case.k]
    knots = case.knots.copy()
    if case.n_basis - case.k > 2 and case.k > 0:
        knots[case.k + 1] = knots[case.k + 2]  # one knot inside twice
    if impl.degenerate_knots == "error":
        held = interior(replace(case, knots=knots)) if getattr(impl, "knots", None) == "clamped" else knots
        if len(np.unique(held)) < len(held):
            error = complaint(lambda: impl.basis(np.array([inner]), knots, case.k))
            require(isinstance(error, ValueError), f"{error!r} on repeated knots, where a ValueError is due")
        return
    case = replace(case, knots=knots)
    x = probes(case)
    truth = np.array([[float(b) for b in exact.basis(point, knots, case.k)] for point in x])
    tolerance = 8 * (case.k + 1) * case.eps * resolution(case, x)
    assert_within(impl.basis(x, knots, case.k), truth, tolerance[:, None], "function", at=x)
