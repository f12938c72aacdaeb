"""Laws of the derivatives of the basis functions."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np

from numkan.conformance import exact, twin
from numkan.conformance.cases import Case
from numkan.conformance.law import assert_identical, assert_within, law, require
from numkan.conformance.points import gap, interior, middles, orders, probes, span
from numkan.conformance.scope import degrees


@law("P-D0", "4(k+1) eps max|B'|", "BSplineKit.jl", "splines", needs=("basis", "dbasis"))
def derivatives_sum_to_zero(impl: Any, case: Case) -> None:
    """The derivatives of the functions sum to zero on the closed domain."""
    x = probes(case)
    slopes = impl.dbasis(x, case.knots, case.k, 1).astype(float)
    assert_within(slopes.sum(axis=1), 0.0, 4 * (case.k + 1) * case.eps * np.abs(slopes).max(axis=1), "sum", at=x)


@law(
    "P-DREC",
    "8(k+1) eps max|B'|",
    "de Boor, ch. X (8)",
    "splines",
    needs=("basis", "dbasis", "neighbouring_degrees"),
    knots="of any ends",
)
def derivative_recursion(impl: Any, case: Case) -> None:
    """B'_{i,k} = k (B_{i,k-1}/(t_{i+k}-t_i) - B_{i+1,k-1}/(t_{i+k+1}-t_{i+1})), 0/0 := 0, left of the right end.

    At the right end itself the functions of degree k - 1 on the same vector have another domain.
    """
    k, knots = case.k, case.knots
    if k - 1 not in degrees(impl):
        return
    x = probes(case)
    x = x[x < case.domain[1]]
    lower = impl.basis(x, knots, k - 1).astype(float)
    widths = knots[k:].astype(float) - knots[:-k]
    quotient = np.divide(lower, widths, out=np.zeros_like(lower), where=widths > 0)
    slopes = impl.dbasis(x, knots, k, 1).astype(float)
    tolerance = 8 * (k + 1) * case.eps * np.abs(slopes).max(axis=1, initial=0.0)
    assert_within(slopes, k * (quotient[:, :-1] - quotient[:, 1:]), tolerance[:, None], "derivative", at=x)


@law("P-DCS", "16 eps k/h + 64 eps max|B'|", "complex step", "splines", needs=("basis", "dbasis"))
def complex_step(impl: Any, case: Case) -> None:
    """B' is Im B(x + 1e-30 i) / 1e-30 of the plain recursion, spans chosen by the real part.

    On graded knots 64 eps max|B'| would be too small: differentiating the recursion of the values goes through the
    derivatives of lower degrees, which are as large as 1/h where B' itself is not.
    """
    x = probes(case)
    step = 1e-30 * gap(case, x[0]) if case.k else 1e-30
    slopes = impl.dbasis(x, case.knots, case.k, 1)
    shifted = twin.B_batch((x.astype(float) + 1j * step)[:, None], case.knots[None].astype(float), case.k)[:, 0]
    expected = shifted.imag / step
    steepest = np.array([case.k / gap(case, point) for point in x])
    tolerance = case.eps * (16 * steepest + 64 * np.abs(expected).max(axis=1, initial=0.0))
    assert_within(slopes, expected, tolerance[:, None], "derivative", at=x)


@law(
    "P-DFD",
    "truncation s^2 max|B'''|/6 + rounding eps M/(h s)",
    "a smoke test; P-DCS is the strict one",
    "splines",
    needs=("basis", "dbasis"),
)
def central_difference(impl: Any, case: Case) -> None:
    """B' agrees with the central difference inside one span, as far as that can tell."""
    k = case.k
    for middle in middles(interior(case)):
        j = span(middle, case.knots, k)
        width = float(case.knots[j + 1]) - float(case.knots[j])
        step = case.knots.dtype.type(width / 64)
        pair = np.array([middle + step, middle - step])
        if not case.knots[j] < pair[1] < middle < pair[0] < case.knots[j + 1]:
            continue
        high, low = impl.basis(pair, case.knots, k).astype(float)
        s = float(pair[0]) - float(pair[1])
        third = max(float(m) for m in exact.magnitudes(middle, case.knots, k, 3)) * 8  # its growth within the span
        off_centre = abs(float(pair[0]) + float(pair[1]) - 2 * float(middle)) / 2
        second = max(float(m) for m in exact.magnitudes(middle, case.knots, k, 2)) * 8
        tolerance = s * s * third + off_centre * second + 16 * (k + 1) * case.eps / s
        assert_within(
            impl.dbasis(np.array([middle]), case.knots, k, 1)[0],
            (high - low) / s,
            tolerance,
            f"derivative at {middle!s}, function",
        )


@law(
    "P-DHI",
    "exact, or 8(k+1) eps, as `bits` declares",
    "scipy test_derivative_rndm",
    "splines",
    needs=("basis", "dbasis"),
    policies=("bits",),
)
def highest_derivatives(impl: Any, case: Case) -> None:
    """The k-th derivative is constant on each span; the next two are zero."""
    x = probes(case)
    for nu in orders(impl, case.k + 3)[
        case.k + 1 :
    ]:  # nested automatic differentiation doubles its work with each order
        require(not impl.dbasis(x, case.knots, case.k, nu).any(), f"a derivative of order {nu} > k is not zero")
    if case.k not in orders(impl, case.k + 1):
        return
    top = impl.dbasis(x, case.knots, case.k, case.k)
    seen: dict[int, int] = {}
    for n, point in enumerate(x):
        j = span(point, case.knots, case.k)
        first = top[seen.setdefault(j, n)]
        if impl.bits == "exact":
            assert_identical(top[n], first, f"derivatives of order k in span {j}")
        else:
            assert_within(top[n], first, 8 * (case.k + 1) * case.eps * np.abs(first).max(), f"order k in span {j}")


@law(
    "P-RELD",
    "4(k+1) eps times the sum of the terms' magnitudes, up to underflow",
    "numkan's own bound",
    "splines",
    needs=("basis", "dbasis"),
)
def derivative_accuracy(impl: Any, case: Case) -> None:
    """Each derivative on the closed domain is within rounding of the exact one, relative to its terms' magnitudes.

    "Up to underflow": the values of degree k - nu may have lost 8(k+1) smallest normal numbers.
    """
    for nu in orders(impl, case.k + 1)[1:]:
        worst, where = max(_relative_errors(impl, case, nu), default=(Fraction(0), ""))
        require(worst <= 1, f"nu = {nu}: {where} is off by {float(worst):.3g} times the bound", float(worst))


def worst_derivative_error(impl: Any, case: Case, nu: int) -> Fraction:
    """Return the largest error in units of P-RELD's bound."""
    return max(_relative_errors(impl, case, nu), default=(Fraction(0), ""))[0]


def _relative_errors(impl: Any, case: Case, nu: int) -> Iterator[tuple[Fraction, str]]:
    """Every error in units of P-RELD's bound, and where it is; none for zeros that are due, and due overflow."""
    x, k = probes(case), case.k
    found = impl.dbasis(x, case.knots, k, nu)
    unit, tiny = Fraction(case.eps) / 2, Fraction(float(np.finfo(case.knots.dtype).tiny))
    largest = Fraction(float(np.finfo(case.knots.dtype).max))
    for point, row in zip(x, found, strict=True):
        truths = exact.basis(point, case.knots, k, nu)
        bounds = exact.magnitudes(point, case.knots, k, nu, floor=tiny / unit)
        for i in exact.places(row, truths):
            got, truth, bound = row[i], truths[i], bounds[i]
            if np.isfinite(got):
                error = abs(exact.rational([got])[0] - truth)
                yield error / (8 * (k + 1) * (unit * bound + tiny)), f"function {i} at {point!s}"
            else:
                require(abs(truth) > largest / 2**8, f"nu = {nu}: {got!s} where {float(truth)!s} is due, at {point!s}")


@law(
    "P-SMO",
    "16 eps scale M/h; the jump at least half of the exact one",
    "scipy test_derivative_jumps",
    "splines",
    needs=("basis", "dbasis"),
)
def smoothness_at_knots(impl: Any, case: Case) -> None:
    """At an interior knot of multiplicity m derivatives up to k - m are continuous, and number k - m + 1 jumps."""
    k, knots = case.k, case.knots
    largest = float(np.abs(knots).max())
    inner, counts = np.unique(interior(case), return_counts=True)
    for knot, m in zip(inner[1:-1], counts[1:-1], strict=True):
        below = np.nextafter(knot, knots.dtype.type(-np.inf))
        h = min(gap(case, knot), gap(case, below))
        for q in orders(impl, k - m + 1):
            at, left = impl.dbasis(np.array([knot, below]), knots, k, q).astype(float)
            scale = factorial(k) // factorial(k - q) * (2 / h) ** q
            assert_within(left, at, 16 * case.eps * scale * max(1.0, largest / h), f"nu = {q} at {knot!s}")
        if m <= k and k - m + 1 in orders(impl, k + 1) and case.eps * largest / h < 1e-6:
            q = k - m + 1
            at, left = impl.dbasis(np.array([knot, below]), knots, k, q).astype(float)
            sides = [exact.basis(knot, knots, k, q, at_span=j) for j in _sides(knot, knots)]
            jump = max(abs(float(a - b)) for a, b in zip(*sides, strict=True))
            found = float(np.abs(at - left).max())
            require(found >= jump / 2 > 0, f"nu = {q} at {knot!s}: a jump of {found:.3g} where {jump:.3g} is due")


def _sides(knot: Any, knots: Any) -> tuple[int, int]:
    """Indices of the non-empty spans that end and begin at an interior knot."""
    t = exact.rational(knots)
    (x,) = exact.rational([knot])
    return exact.left_span(x, t), max(j for j in range(len(t) - 1) if t[j] <= x < t[j + 1])
