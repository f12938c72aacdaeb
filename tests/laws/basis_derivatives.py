"""Laws of the derivatives of the basis functions."""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np

from tests import exact, naive
from tests.laws import Case, Law, assert_identical, assert_within, law
from tests.laws.cases import gap, interior, middles, probes, span

LAWS: list[Law] = []


@law("P-D0", "4(k+1) eps max|B'|", "BSplineKit.jl", LAWS)
def derivatives_sum_to_zero(impl: Any, case: Case) -> None:
    """The derivatives of the functions sum to zero on the closed domain."""
    slopes = impl.dbasis(probes(case), case.knots, case.k, 1).astype(float)
    assert_within(slopes.sum(axis=1), 0.0, 4 * (case.k + 1) * case.eps * np.abs(slopes).max(axis=1))


@law("P-DREC", "8(k+1) eps max|B'|", "de Boor, ch. X (8)", LAWS)
def derivative_recursion(impl: Any, case: Case) -> None:
    """B'_{i,k} = k (B_{i,k-1}/(t_{i+k}-t_i) - B_{i+1,k-1}/(t_{i+k+1}-t_{i+1})), 0/0 := 0, left of the right end.

    At the right end itself the functions of degree k - 1 on the same vector have another domain.
    """
    k, knots = case.k, case.knots
    if k == 0:
        return
    x = probes(case)
    x = x[x < case.domain[1]]
    lower = impl.basis(x, knots, k - 1).astype(float)
    widths = knots[k:].astype(float) - knots[:-k]
    quotient = np.divide(lower, widths, out=np.zeros_like(lower), where=widths > 0)
    slopes = impl.dbasis(x, knots, k, 1).astype(float)
    tolerance = 8 * (k + 1) * case.eps * np.abs(slopes).max(axis=1, initial=0.0)
    assert_within(slopes, k * (quotient[:, :-1] - quotient[:, 1:]), tolerance[:, None])


@law("P-DCS", "16 eps k/h + 64 eps max|B'|", "complex step", LAWS)
def complex_step(impl: Any, case: Case) -> None:
    """B' is Im B(x + 1e-30 i) / 1e-30 of the plain recursion, spans chosen by the real part.

    The table's 64 eps max|B'| is too small for graded knots: differentiating the recursion of the values goes through
    the derivatives of lower degrees, which are as large as 1/h where B' itself is not.
    """
    x = probes(case)
    step = 1e-30 * gap(case, x[0]) if case.k else 1e-30
    slopes = impl.dbasis(x, case.knots, case.k, 1)
    shifted = naive.B_batch((x.astype(float) + 1j * step)[:, None], case.knots[None].astype(float), case.k)[:, 0]
    expected = shifted.imag / step
    steepest = np.array([case.k / gap(case, point) for point in x])
    tolerance = case.eps * (16 * steepest + 64 * np.abs(expected).max(axis=1, initial=0.0))
    assert_within(slopes, expected, tolerance[:, None])


@law("P-DFD", "truncation s^2 max|B'''|/6 + rounding eps M/(h s)", "a smoke test; P-DCS is the strict one", LAWS)
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
        assert_within(impl.dbasis(np.array([middle]), case.knots, k, 1)[0], (high - low) / s, tolerance)


@law("P-DHI", "exact", "scipy test_derivative_rndm", LAWS)
def highest_derivatives(impl: Any, case: Case) -> None:
    """The k-th derivative is constant on each span, bit for bit; all beyond are zero."""
    x = probes(case)
    assert not impl.dbasis(x, case.knots, case.k, case.k + 1).any()
    assert not impl.dbasis(x, case.knots, case.k, case.k + 7).any()
    top = impl.dbasis(x, case.knots, case.k, case.k)
    seen: dict[int, int] = {}
    for n, point in enumerate(x):
        first = seen.setdefault(span(point, case.knots, case.k), n)
        assert_identical(top[n], top[first])


@law("P-RELD", "4(k+1) eps times the sum of the terms' magnitudes, up to underflow", "numkan's own bound", LAWS)
def derivative_accuracy(impl: Any, case: Case) -> None:
    """Each derivative on the closed domain is within rounding of the exact one, relative to its terms' magnitudes.

    "Up to underflow": the values of degree k - nu may have lost 8(k+1) smallest normal numbers.
    """
    for nu in range(1, case.k + 1):
        worst = worst_derivative_error(impl, case, nu)
        assert worst <= 1, f"nu = {nu}: {float(worst):.3g} times the bound"


def worst_derivative_error(impl: Any, case: Case, nu: int) -> Fraction:
    """Return the largest error in units of P-RELD's bound."""
    x, k = probes(case), case.k
    values = impl.dbasis(x, case.knots, k, nu)
    unit, tiny = Fraction(case.eps) / 2, Fraction(float(np.finfo(case.knots.dtype).tiny))
    worst = Fraction(0)
    for point, row in zip(x, values, strict=True):
        truths = exact.basis(point, case.knots, k, nu)
        bounds = exact.magnitudes(point, case.knots, k, nu, floor=tiny / unit)
        for got, truth, bound in zip(row, truths, bounds, strict=True):
            if not np.isfinite(got):
                assert abs(truth) > Fraction(float(np.finfo(case.knots.dtype).max)) / 2**8, f"{got} for {float(truth)}"
                continue
            error = abs(exact.rational([got])[0] - truth)
            worst = max(worst, error / (8 * (k + 1) * (unit * bound + tiny)))
    return worst


@law("P-SMO", "16 eps scale M/h; the jump at least half of the exact one", "scipy test_derivative_jumps", LAWS)
def smoothness_at_knots(impl: Any, case: Case) -> None:
    """At an interior knot of multiplicity m derivatives up to k - m are continuous, and number k - m + 1 jumps."""
    k, knots = case.k, case.knots
    largest = float(np.abs(knots).max())
    inner, counts = np.unique(interior(case), return_counts=True)
    for knot, m in zip(inner[1:-1], counts[1:-1], strict=True):
        below = np.nextafter(knot, knots.dtype.type(-np.inf))
        h = min(gap(case, knot), gap(case, below))
        for q in range(k - m + 1):
            at, left = impl.dbasis(np.array([knot, below]), knots, k, q).astype(float)
            scale = factorial(k) // factorial(k - q) * (2 / h) ** q
            assert_within(left, at, 16 * case.eps * scale * max(1.0, largest / h), f"nu = {q} at {knot!r}")
        if m <= k and case.eps * largest / h < 1e-6:
            q = k - m + 1
            at, left = impl.dbasis(np.array([knot, below]), knots, k, q).astype(float)
            sides = [exact.basis(knot, knots, k, q, at_span=j) for j in _sides(knot, knots)]
            jump = max(abs(float(a - b)) for a, b in zip(*sides, strict=True))
            assert np.abs(at - left).max() >= jump / 2 > 0, f"nu = {q} at {knot!r}"


def _sides(knot: Any, knots: Any) -> tuple[int, int]:
    """Indices of the non-empty spans that end and begin at an interior knot."""
    t = exact.rational(knots)
    (x,) = exact.rational([knot])
    return exact.left_span(x, t), max(j for j in range(len(t) - 1) if t[j] <= x < t[j + 1])
