"""Laws of the values of the basis functions."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from numkan.conformance import exact, twin
from numkan.conformance.adapter import Array, claims
from numkan.conformance.cases import Case
from numkan.conformance.law import assert_identical, assert_within, complaint, law, require
from numkan.conformance.laws.dtypes import hold_splines
from numkan.conformance.points import (
    apart,
    clamped,
    everywhere,
    greville,
    integral_knots,
    interior,
    middles,
    orders,
    probes,
    resolution,
    span,
    values,
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
        truth = [float(b) for b in exact.basis(last, case.knots, k, at_span=exact.open_span(last, case.knots))]
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


def outside(case: Case) -> Array:
    """Return points beyond both ends of the domain, far ones too."""
    low, high = case.domain
    length = case.knots[-1] - case.knots[0]
    share = np.array([0.01, 0.03, 0.2, 1.0, 3.0], case.dtype)
    x = np.concatenate([case.anywhere, low - share * length, high + share * length, [case.knots[0], case.knots[-1]]])
    return np.unique(x[(x < low) | (x > high)]).astype(case.dtype)


@law(
    "P-EXT",
    "exact zeros; in the padding 8(k+1) eps absolute; else 16(k+1) eps M/h of the terms' magnitudes",
    "pykan#142",
    "splines",
    policies=("extrapolation",),
)
def outside_the_domain(impl: Any, case: Case) -> None:
    """Outside the domain one policy, the declared one, holds for the functions and for all their derivatives."""
    x, k = outside(case), case.k
    if impl.extrapolation == "raise":
        for point in x:
            error = complaint(partial(impl.basis, np.array([point]), case.knots, k))
            require(isinstance(error, ValueError), f"at {point!s}, outside: {error!r} where a ValueError is due")
        return
    for nu in orders(impl, k + 2):
        found = values(impl, x, case.knots, k, nu)
        if impl.extrapolation == "nan":
            require(np.isnan(found).all(), f"nu = {nu}: numbers outside the domain, where NaN is due")
        elif impl.extrapolation == "fade":
            _fades(case, x, found, nu)
        else:
            _goes_on(impl.extrapolation, case, x, found, nu)


def _fades(case: Case, x: Array, found: Array, nu: int) -> None:
    """The padded functions, exact zeros beyond the knots."""
    beyond = (x < case.knots[0]) | (x > case.knots[-1])
    assert_identical(found[beyond], np.zeros_like(found[beyond]), f"nu = {nu}: beyond the knots, values")
    padding = ~beyond & (x != case.knots[-1])
    for point, row in zip(x[padding], found[padding], strict=True):
        truth = [float(b) for b in exact.basis(point, case.knots, case.k, nu)]
        size = [float(b) for b in exact.magnitudes(point, case.knots, case.k, nu)] if nu else 1.0
        tolerance = 8 * (case.k + 1) * (case.eps * np.array(size) + float(np.finfo(case.dtype).tiny))
        assert_within(row, truth, tolerance, f"nu = {nu}: in the padding, at {point!s}, function")


def _goes_on(policy: str, case: Case, x: Array, found: Array, nu: int) -> None:
    """What the ends' values and derivatives make of the functions, by Taylor's formula."""
    given = x.astype(float)[:, None], case.knots.astype(float)[None], case.k, policy, nu
    truth, size = twin.basis(*given)[:, 0], twin.basis(*given, sizes=True)[:, 0].sum(axis=1)
    size = size * resolution(case, np.clip(x, *case.domain))
    tolerance = 16 * (case.k + 1) * case.eps * size[:, None]
    assert_within(found, truth, tolerance, f"nu = {nu}: outside, function", at=x)


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
    worst, where = max(_relative_errors(impl, case))
    require(worst <= 1, f"{where} is off by {float(worst):.3g} times the bound", float(worst))


def worst_relative_error(impl: Any, case: Case) -> Fraction:
    """Return the largest error in units of P-REL's bound."""
    return max(_relative_errors(impl, case))[0]


def _relative_errors(impl: Any, case: Case) -> Iterator[tuple[Fraction, str]]:
    """Every error in units of P-REL's bound, and where it is."""
    x, k = probes(case), case.k
    found = impl.basis(x, case.knots, k)
    require(np.isfinite(found).all(), "a value is not finite")
    unit, tiny = Fraction(case.eps) / 2, Fraction(float(np.finfo(case.knots.dtype).tiny))
    for point, row in zip(x, found, strict=True):
        truths = exact.basis(point, case.knots, k)
        for i, (got, truth) in enumerate(zip(exact.rational(row), truths, strict=True)):
            yield abs(got - truth) / (8 * (k + 1) * (unit * truth + tiny)), f"function {i} at {point!s}"


@law("P-ORD", "identical, or 4(k+1) eps, as declared; else 4(k+1) eps", "scipy", "splines", policies=("bits",))
def every_way_of_asking(impl: Any, case: Case) -> None:
    """One point alone, any order of points, and the design matrix give the same values; the recursion agrees."""
    x, k = everywhere(case), case.k
    found = impl.basis(x, case.knots, k)

    def same(got: Array, expected: Array, what: str) -> None:
        if impl.bits == "exact":
            assert_identical(got, expected, what)
        else:
            assert_within(got, expected, 4 * (k + 1) * case.eps, what)

    same(impl.basis(x[::-1].copy(), case.knots, k)[::-1], found, "points in reverse order")
    alone = [impl.basis(x[n : n + 1], case.knots, k)[0] for n in range(min(len(x), 6))]
    same(np.array(alone), found[:6], "a point alone")
    if claims(impl, "dbasis"):
        same(impl.dbasis(x, case.knots, k, 0), found, "derivatives of order 0")
    if claims(impl, "design_rows"):
        same(impl.design_rows(x, case.knots, k, 0), found, "rows of the design matrix")
    plain = twin.B_batch(x[:, None].astype(float), case.knots[None].astype(float), k)[:, 0]
    assert_within(found, plain, 4 * (k + 1) * case.eps, "against the recursion, function", at=x)


@law("P-POW2", "exact", "IEEE scaling", "splines")
def powers_of_two(impl: Any, case: Case) -> None:
    """Scaling knots and points by 2^p changes no bit of B; derivatives of order nu scale by 2^(-p nu).

    Holds until a scaled point or a result becomes subnormal, so those are left out.
    """
    x = everywhere(case)
    normal = np.abs(x) > 16 * np.finfo(x.dtype).tiny
    x = x[normal | (x == 0)]
    smallest = np.finfo(x.dtype).tiny * 2.0**40
    for p in (-3, 5, 11):
        for nu in orders(impl, case.k + 1):
            plain = values(impl, x, case.knots, case.k, nu)
            scaled = values(impl, np.ldexp(x, p), np.ldexp(case.knots, p), case.k, nu)
            back = np.ldexp(scaled, p * nu)
            safe = (np.minimum(np.abs(scaled), np.abs(plain)) > smallest) | (plain == 0)
            assert_identical(np.where(safe, back, plain), plain, f"2^{p}, nu = {nu}")


@law("P-AFF", "16(k+1) eps max|t'|/h'", "equivariance", "splines")
def affine_maps(impl: Any, case: Case) -> None:
    """t, x -> a t + b (a > 0) leaves B as it is, as far as the mapped knots are resolved.

    Each of k steps sees knots that were moved by rounding: hence the factor k + 1.
    """
    dtype = case.knots.dtype.type
    scale = dtype(3)
    share = 0.75 if getattr(impl, "uniform_only", False) else 0.7  # even knots must stay even
    offset = dtype(share) * (case.knots[-1] - case.knots[0])
    x = middles(interior(case))
    mapped = scale * case.knots + offset
    if ((np.diff(mapped) > 0) != (np.diff(case.knots) > 0)).any():
        return  # rounding has merged or split knots: another basis
    image = replace(case, knots=mapped)
    moved = np.clip(scale * x + offset, *image.domain)
    same_span = [span(a, case.knots, case.k) == span(b, mapped, case.k) for a, b in zip(x, moved, strict=True)]
    x, moved = x[same_span], moved[same_span]
    if not x.size:
        return
    tolerance = 16 * (case.k + 1) * case.eps * resolution(image, moved)
    found = impl.basis(moved, mapped, case.k)
    assert_within(found, impl.basis(x, case.knots, case.k), tolerance[:, None], "function on a t + b", at=x)


@law("P-MIR", "8(k+1) eps", "symmetry of the definition", "splines")
def mirror_image(impl: Any, case: Case) -> None:
    """On the mirrored knots -t, mirrored points -x find the functions in reverse order, off the knots."""
    x = everywhere(case)
    x = x[~np.isin(x, case.knots)]
    mirrored = impl.basis(-x, -case.knots[::-1], case.k)[:, ::-1]
    assert_within(mirrored, impl.basis(x, case.knots, case.k), 8 * (case.k + 1) * case.eps, "mirrored function", at=x)


@law("P-SHIFT", "identical", "dyadic knots", "splines", knots="repeated")
def integer_shift(impl: Any, case: Case) -> None:
    """With knots and points of few bits, an integer shift changes no bit."""
    knots = integral_knots(case)
    x = within(case, np.arange(-8, 8 * 66, 7).astype(knots.dtype) / 8, knots, impl)
    for shift in (1000, -77):
        shift = knots.dtype.type(shift)
        found = impl.basis(x + shift, knots + shift, case.k)
        assert_identical(found, impl.basis(x, knots, case.k), f"shifted by {shift}")


@law("P-SUBN", "identical", "IEEE gradual underflow", "splines", needs=("basis", "subnormals"), knots="repeated")
def subnormal_knots(impl: Any, case: Case) -> None:
    """Knots and points scaled into the subnormal numbers give the same values: finite, no NaN."""
    knots = integral_knots(case)
    x = within(case, np.arange(-1, 66).astype(knots.dtype), knots, impl)
    p = -1070 if knots.dtype == np.float64 else -145
    found = impl.basis(np.ldexp(x, p), np.ldexp(knots, p), case.k)
    assert_identical(found, impl.basis(x, knots, case.k), f"scaled by 2^{p}")


@law("P-NAN", "exact", "scipy test_nan", "splines")
def nan_and_infinity(impl: Any, case: Case) -> None:
    """NaN gives NaN in all functions and derivatives, or a ValueError, never a number; other rows are as ever.

    Infinities are outside the domain, and zero there if the functions fade, or are zero, outside.
    """
    far = [np.inf, -np.inf] if impl.extrapolation in ("fade", "zero") else []
    x = np.concatenate([[np.nan], case.inside, far]).astype(case.dtype)
    if isinstance(complaint(lambda: impl.basis(x, case.knots, case.k)), ValueError):
        return
    for nu in orders(impl, case.k + 2):
        found = values(impl, x, case.knots, case.k, nu)
        require(np.isnan(found[0]).all(), f"nu = {nu}: {found[0]} at NaN")
        rest = found[1 + len(case.inside) :]
        require(not rest.any(), f"nu = {nu}: {rest} at infinity and minus infinity")
        alone = values(impl, case.inside, case.knots, case.k, nu)
        assert_identical(found[1 : 1 + len(case.inside)], alone, f"nu = {nu}: beside NaN, values")


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
        if len(np.unique(knots)) < len(knots):
            error = complaint(lambda: impl.basis(np.array([inner]), knots, case.k))
            require(isinstance(error, ValueError), f"{error!r} on repeated knots, where a ValueError is due")
        return
    case = replace(case, knots=knots)
    x = probes(case)
    truth = np.array([[float(b) for b in exact.basis(point, knots, case.k)] for point in x])
    tolerance = 8 * (case.k + 1) * case.eps * resolution(case, x)
    assert_within(impl.basis(x, knots, case.k), truth, tolerance[:, None], "function", at=x)


@law("P-TP", "-16 eps", "Karlin; de Boor, ch. XIII", "splines")
def total_positivity(impl: Any, case: Case) -> None:
    """2x2 and 3x3 minors of the collocation matrix at increasing points are not negative."""
    x = np.unique(probes(case))[:6]
    matrix = impl.basis(x, case.knots, case.k).astype(float)
    for size in (2, 3):
        rows = np.array([r for r in np.ndindex(*[len(x)] * size) if all(np.diff(r) > 0)]).reshape(-1, size)
        columns = np.array([c for c in np.ndindex(*[min(case.n_basis, 7)] * size) if all(np.diff(c) > 0)])
        if len(rows) and len(columns):
            least = _determinants(matrix[rows[:, None, :, None], columns[None, :, None, :]]).min()
            require(least >= -16 * case.eps, f"a minor is {least!s}", max(0.0, -least / (16 * case.eps)))


def _determinants(m: Array) -> Any:
    """Determinants of 2x2 or 3x3 matrices, expanded: without the quotients of an elimination, which may overflow."""
    if m.shape[-1] == 2:
        return m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] * m[..., 1, 0]
    cofactors = np.cross(m[..., 1, :], m[..., 2, :])
    return (m[..., 0, :] * cofactors).sum(axis=-1)


def _collocation_points(case: Case) -> Array | None:
    """Greville points of a clamped case, or None where they coincide or are not resolved."""
    x = greville(case)
    if len(np.unique(x)) < len(x) or case.eps * resolution(case, x).max() > 1e-3:
        return None
    return x if case.closed else np.minimum(x, np.nextafter(case.domain[1], case.domain[0]))


@law("P-SW", "boolean", "Schoenberg-Whitney; de Boor, ch. XIII", "splines", knots="repeated")
def schoenberg_whitney(impl: Any, case: Case) -> None:
    """Collocation is nonsingular at points x_i inside the supports of B_i, and of short rank where they are not."""
    case = clamped(case)
    x = _collocation_points(case)
    if x is None:
        return
    rank = np.linalg.matrix_rank(impl.basis(x, case.knots, case.k).astype(float))
    require(rank == case.n_basis, f"rank {rank} at the Greville points of {case.n_basis} functions")
    first = case.knots[case.k] + (case.knots[case.k + 1] - case.knots[case.k]) * np.linspace(0, 0.9, case.n_basis)
    crowded = impl.basis(first.astype(case.knots.dtype), case.knots, case.k)
    rank = np.linalg.matrix_rank(crowded.astype(float))
    require(rank <= case.k + 1, f"rank {rank} at points of one span, which {case.k + 1} functions see")


#: Largest inf-norm of the inverse Greville collocation seen for degrees 0 ... 5, with room.
CONDITION_GUARD = (1.0, 1.0, 4.0, 8.0, 20.0, 40.0)


@law("P-COND", "guard 1, 1, 4, 8, 20, 40 for k = 0 ... 5", "a guard, not a theorem", "splines", knots="repeated")
def condition_of_greville_collocation(impl: Any, case: Case) -> None:
    """Coefficients are bounded by the values at the Greville points, by a factor that knows only the degree."""
    case = clamped(case)
    x = _collocation_points(case)
    if case.k >= len(CONDITION_GUARD) or x is None:
        return
    matrix = impl.basis(x, case.knots, case.k).astype(float)
    require(np.linalg.matrix_rank(matrix) == case.n_basis, "the collocation matrix is singular")
    norm, guard = np.abs(np.linalg.inv(matrix)).sum(axis=1).max(), CONDITION_GUARD[case.k]
    require(norm <= guard * (1 + 1e-3), f"the inverse has norm {norm:.3g} > {guard:g}", float(norm / guard))
