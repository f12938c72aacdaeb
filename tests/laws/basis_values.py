"""Laws of the values of the basis functions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from tests import exact, naive
from tests.laws import Case, Law, assert_identical, assert_within, law
from tests.laws.cases import (
    clamped,
    integral_knots,
    interior,
    middles,
    probes,
    resolution,
    span,
)

LAWS: list[Law] = []


@law("P-PoU", "4(k+1) eps", "de Boor, ch. IX (36)", LAWS)
def partition_of_unity(impl: Any, case: Case) -> None:
    """The functions sum to 1 on the closed domain. (Weak alone: it holds while the basis is wrong.)"""
    sums = impl.basis(probes(case), case.knots, case.k).astype(float).sum(axis=1)
    assert_within(sums, 1.0, 4 * (case.k + 1) * case.eps)


@law("P-POS", "exact", "de Boor, ch. IX (29)", LAWS)
def positivity(impl: Any, case: Case) -> None:
    """No function is ever negative."""
    values = impl.basis(np.concatenate([probes(case), case.anywhere]), case.knots, case.k)
    assert (values >= 0).all(), f"{values.min()}"


@law("P-SUP", "exact zeros", "de Boor, ch. IX (21)", LAWS)
def local_support(impl: Any, case: Case) -> None:
    """At a point of span j only B_{j-k} ... B_j may differ from zero; nothing does outside the knots."""
    x = np.concatenate([probes(case), case.anywhere])
    for point, row in zip(x, impl.basis(x, case.knots, case.k), strict=True):
        j = span(point, case.knots, case.k)
        allowed = range(max(0, j - case.k), j + 1) if j >= 0 else range(0)
        assert set(np.flatnonzero(row)) <= set(allowed), f"at {point!r}: {row}"


@law("P-RC", "k^2 eps M/h + 8(k+1) eps; k = 0: exact", "BasicBSpline.jl", LAWS)
def one_sided_continuity(impl: Any, case: Case) -> None:
    """B(t_j) is the limit from the right at every knot of the domain, and from the left at its right end."""
    knots, k = interior(case), case.k
    last = knots[-1]
    neighbour = np.where(knots < last, np.nextafter(knots, np.inf, dtype=knots.dtype), np.nextafter(last, -last - 1))
    neighbour = neighbour.astype(knots.dtype)
    same_piece = np.array(
        [span(a, case.knots, k) == span(b, case.knots, k) for a, b in zip(knots, neighbour, strict=True)]
    )
    at, near = (impl.basis(x, case.knots, k) for x in (knots, neighbour))
    tolerance = k * k * case.eps * resolution(case, knots) + (8 * (k + 1) * case.eps if k else 0.0)
    assert_within(at[same_piece], near[same_piece], tolerance[same_piece, None])


@law("P-END", "exact", "scipy gives exact 1.0", LAWS)
def clamped_ends(impl: Any, case: Case) -> None:
    """With ends of multiplicity k + 1 the first function is 1 at the first knot, the last at the last, others 0."""
    case = clamped(case)
    values = impl.basis(np.array(case.domain), case.knots, case.k)
    expected = np.zeros_like(values)
    expected[0, 0] = expected[1, -1] = 1
    assert_identical(values, expected)


@law("P-EXT", "exact zeros; 8(k+1) eps abs in the padding", "pykan#142", LAWS)
def plain_basis_outside(impl: Any, case: Case) -> None:
    """Outside the domain one policy: the padded basis and its derivatives go on, and are zero outside the knots."""
    low, high, k = case.knots[0], case.knots[-1], case.k
    outside = case.anywhere[(case.anywhere < low) | ((case.anywhere >= high) & (case.anywhere > case.domain[1]))]
    outside = np.concatenate([outside, np.array([-np.inf, np.inf, low - 1, high + 1], case.knots.dtype)])
    outside = outside[(outside < low) | (outside > high)]
    for nu in range(k + 2):
        values = impl.dbasis(outside, case.knots, k, nu)
        assert_identical(values, np.zeros((len(outside), case.n_basis), case.knots.dtype))
    padding = middles(np.concatenate([case.knots[: k + 1], case.knots[case.n_basis :]]))
    padding = padding[(padding < case.domain[0]) | (padding > case.domain[1])]
    truth = [[float(b) for b in exact.basis(x, case.knots, k)] for x in padding]
    if truth:
        assert_within(impl.basis(padding, case.knots, k), truth, 8 * (k + 1) * case.eps)


@law("P-ORC", "8(k+1) eps max(1, M/h), absolute", "fractions de Boor", LAWS)
def rational_oracle(impl: Any, case: Case) -> None:
    """The values are those of exact rational de Boor, knots taken as rounded to the dtype."""
    x = np.concatenate([probes(case), case.anywhere])
    truth = np.array([[float(b) for b in exact.basis(point, case.knots, case.k)] for point in x])
    tolerance = 8 * (case.k + 1) * case.eps * resolution(case, x)
    assert_within(impl.basis(x, case.knots, case.k), truth, tolerance[:, None])


@law("P-REL", "4(k+1) eps |B| + 8(k+1) smallest normals", "numkan's own bound, far stricter than P-ORC", LAWS)
def relative_accuracy(impl: Any, case: Case) -> None:
    """Each value on the closed domain has a small relative error, however small it is and whatever the knots."""
    worst = worst_relative_error(impl, case)
    assert worst <= 1, f"{float(worst):.3g} times the bound"


def worst_relative_error(impl: Any, case: Case) -> Fraction:
    """Return the largest error in units of P-REL's bound."""
    x, k = probes(case), case.k
    values = impl.basis(x, case.knots, k)
    unit, tiny = Fraction(case.eps) / 2, Fraction(float(np.finfo(case.knots.dtype).tiny))
    worst = Fraction(0)
    for point, row in zip(x, values, strict=True):
        for got, truth in zip(exact.rational(row), exact.basis(point, case.knots, k), strict=True):
            worst = max(worst, abs(got - truth) / (8 * (k + 1) * (unit * truth + tiny)))
    return worst


@law("P-ORD", "identical within one code path; 4(k+1) eps against the recursion", "scipy", LAWS)
def every_way_of_asking(impl: Any, case: Case) -> None:
    """One point alone, any order of points, and the design matrix give the same bits; the recursion agrees."""
    x, k = np.concatenate([probes(case), case.anywhere]), case.k
    values = impl.basis(x, case.knots, k)
    assert_identical(impl.basis(x[::-1], case.knots, k)[::-1], values)
    alone = [impl.basis(x[n : n + 1], case.knots, k)[0] for n in range(min(len(x), 6))]
    assert_identical(np.array(alone), values[:6])
    assert_identical(impl.design_rows(x, case.knots, k, 0), values)
    plain = naive.B_batch(x[:, None].astype(float), case.knots[None].astype(float), k)[:, 0]
    assert_within(values, plain, 4 * (k + 1) * case.eps)


@law("P-POW2", "exact", "IEEE scaling", LAWS)
def powers_of_two(impl: Any, case: Case) -> None:
    """Scaling knots and points by 2^p changes no bit of B; derivatives of order nu scale by 2^(-p nu).

    Holds until a scaled point or a result becomes subnormal, so those are left out.
    """
    x = np.concatenate([probes(case), case.anywhere])
    normal = np.abs(x) > 16 * np.finfo(x.dtype).tiny
    x = x[normal | (x == 0)]
    smallest = np.finfo(x.dtype).tiny * 2.0**40
    for p in (-3, 5, 11):
        for nu in range(case.k + 1):
            plain = impl.dbasis(x, case.knots, case.k, nu)
            scaled = impl.dbasis(np.ldexp(x, p), np.ldexp(case.knots, p), case.k, nu)
            back = np.ldexp(scaled, p * nu)
            safe = (np.minimum(np.abs(scaled), np.abs(plain)) > smallest) | (plain == 0)
            assert_identical(np.where(safe, back, plain), plain, f"2^{p}, nu = {nu}")


@law("P-AFF", "16(k+1) eps max|t'|/h'", "trust table, with its missing factor k + 1", LAWS)
def affine_maps(impl: Any, case: Case) -> None:
    """t, x -> a t + b (a > 0) leaves B as it is, as far as the mapped knots are resolved.

    The table's tolerance lacked a factor k + 1: each of k steps sees knots that were moved by rounding.
    """
    dtype = case.knots.dtype.type
    scale = dtype(3)
    offset = dtype(0.7) * (case.knots[-1] - case.knots[0])
    x = middles(interior(case))
    mapped = scale * case.knots + offset
    if ((np.diff(mapped) > 0) != (np.diff(case.knots) > 0)).any():
        return  # rounding has merged or split knots: another basis
    image = Case(mapped, case.k, case.inside, case.anywhere, case.coef)
    moved = np.clip(scale * x + offset, *image.domain)
    same_span = [span(a, case.knots, case.k) == span(b, mapped, case.k) for a, b in zip(x, moved, strict=True)]
    x, moved = x[same_span], moved[same_span]
    if not x.size:
        return
    tolerance = 16 * (case.k + 1) * case.eps * resolution(image, moved)
    assert_within(impl.basis(moved, mapped, case.k), impl.basis(x, case.knots, case.k), tolerance[:, None])


@law("P-MIR", "2 eps", "numkan: exact, its recurrence is symmetric", LAWS)
def mirror_image(impl: Any, case: Case) -> None:
    """x -> -x with t -> -reverse(t) reverses the functions, off the knots."""
    x = np.concatenate([probes(case), case.anywhere])
    x = x[~np.isin(x, case.knots)]
    mirrored = impl.basis(-x, -case.knots[::-1], case.k)[:, ::-1]
    assert_within(mirrored, impl.basis(x, case.knots, case.k), 2 * case.eps)


@law("P-SHIFT", "identical", "dyadic knots", LAWS)
def integer_shift(impl: Any, case: Case) -> None:
    """With knots and points of few bits, an integer shift changes no bit."""
    knots = integral_knots(case)
    x = np.arange(-8, 8 * 66, 7).astype(knots.dtype) / 8
    for shift in (1000, -77):
        shift = knots.dtype.type(shift)
        assert_identical(impl.basis(x + shift, knots + shift, case.k), impl.basis(x, knots, case.k))


@law("P-SUBN", "identical", "IEEE gradual underflow", LAWS)
def subnormal_knots(impl: Any, case: Case) -> None:
    """Knots and points scaled into the subnormal numbers give the same values: finite, no NaN."""
    knots = integral_knots(case)
    x = np.arange(-1, 66).astype(knots.dtype)
    p = -1070 if knots.dtype == np.float64 else -145
    assert_identical(impl.basis(np.ldexp(x, p), np.ldexp(knots, p), case.k), impl.basis(x, knots, case.k))


@law("P-NAN", "exact", "scipy test_nan", LAWS)
def nan_and_infinity(impl: Any, case: Case) -> None:
    """NaN in, NaN out in all G + k entries and for every derivative; infinities give zeros; other rows are as ever."""
    x = np.concatenate([[np.nan], case.inside, [np.inf, -np.inf]]).astype(case.knots.dtype)
    for nu in range(case.k + 2):
        values = impl.dbasis(x, case.knots, case.k, nu)
        assert np.isnan(values[0]).all(), f"nu = {nu}: {values[0]}"
        assert not values[-2:].any(), f"nu = {nu}: {values[-2:]}"
        assert_identical(values[1:-2], impl.dbasis(case.inside, case.knots, case.k, nu))


@law("P-DTYPE", "8 eps32 max(1, M/h)", "trust table", LAWS)
def float32_stays(impl: Any, case: Case) -> None:
    """float32 in gives float32 out, close to float64 on the same (rounded) knots and points."""
    knots = case.knots.astype(np.float32)
    if knots[case.k] == knots[case.n_basis]:
        return
    x = np.clip(probes(case).astype(np.float32), knots[case.k], knots[case.n_basis])
    single = impl.basis(x, knots, case.k)
    assert single.dtype == np.float32, single.dtype
    assert impl.basis(x.astype(float), knots.astype(float), case.k).dtype == np.float64
    rounded = Case(knots, case.k, x, x, case.coef)
    tolerance = 8 * np.finfo(np.float32).eps * resolution(rounded, x)
    assert_within(single, impl.basis(x.astype(float), knots.astype(float), case.k), tolerance[:, None])


@law("P-K0", "exact", "definition", LAWS)
def degree_zero(impl: Any, case: Case) -> None:
    """Degree 0: indicators of the half-open spans, the last one closed; every derivative is zero."""
    knots = interior(case)
    x = np.concatenate([probes(case), case.anywhere])
    expected = np.zeros((len(x), len(knots) - 1), knots.dtype)
    for n, point in enumerate(x):
        j = span(point, knots, 0)
        if j >= 0:
            expected[n, j] = 1
    assert_identical(impl.basis(x, knots, 0), expected)
    assert not impl.dbasis(x, knots, 0, 1).any()


@law("P-TP", "-16 eps", "Karlin; de Boor, ch. XIII", LAWS)
def total_positivity(impl: Any, case: Case) -> None:
    """2x2 and 3x3 minors of the collocation matrix at increasing points are not negative."""
    x = np.unique(probes(case))[:6]
    matrix = impl.basis(x, case.knots, case.k).astype(float)
    for size in (2, 3):
        rows = np.array([r for r in np.ndindex(*[len(x)] * size) if all(np.diff(r) > 0)]).reshape(-1, size)
        columns = np.array([c for c in np.ndindex(*[min(case.n_basis, 7)] * size) if all(np.diff(c) > 0)])
        if len(rows) and len(columns):
            minors = _determinants(matrix[rows[:, None, :, None], columns[None, :, None, :]])
            assert minors.min() >= -16 * case.eps, f"{minors.min()}"


def _determinants(m: Any) -> Any:
    """Determinants of 2x2 or 3x3 matrices, expanded: without the quotients of an elimination, which may overflow."""
    if m.shape[-1] == 2:
        return m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] * m[..., 1, 0]
    cofactors = np.cross(m[..., 1, :], m[..., 2, :])
    return (m[..., 0, :] * cofactors).sum(axis=-1)


@law("P-SW", "boolean", "Schoenberg-Whitney; de Boor, ch. XIII", LAWS)
def schoenberg_whitney(impl: Any, case: Case) -> None:
    """Collocation is nonsingular at points x_i inside the supports of B_i, and of short rank where they are not."""
    case = clamped(case)
    x = impl.greville(case.knots, case.k)
    if len(np.unique(x)) < len(x) or case.eps * resolution(case, x).max() > 1e-3:
        return
    matrix = impl.basis(x, case.knots, case.k).astype(float)
    assert np.linalg.matrix_rank(matrix) == case.n_basis
    first = case.knots[case.k] + (case.knots[case.k + 1] - case.knots[case.k]) * np.linspace(0, 0.9, case.n_basis)
    crowded = impl.basis(first.astype(case.knots.dtype), case.knots, case.k)
    assert np.linalg.matrix_rank(crowded.astype(float)) <= case.k + 1


#: Largest inf-norm of the inverse Greville collocation seen for degrees 0 ... 5, with room.
CONDITION_GUARD = (1.0, 1.0, 4.0, 8.0, 20.0, 40.0)


@law("P-COND", "guard 1, 1, 4, 8, 20, 40 for k = 0 ... 5", "a guard, not a theorem", LAWS)
def condition_of_greville_collocation(impl: Any, case: Case) -> None:
    """Coefficients are bounded by the values at the Greville points, by a factor that knows only the degree."""
    case = clamped(case)
    x = impl.greville(case.knots, case.k)
    if case.k >= len(CONDITION_GUARD) or len(np.unique(x)) < len(x) or case.eps * resolution(case, x).max() > 1e-3:
        return
    inverse = np.linalg.inv(impl.basis(x, case.knots, case.k).astype(float))
    assert np.abs(inverse).sum(axis=1).max() <= CONDITION_GUARD[case.k] * (1 + 1e-3)
