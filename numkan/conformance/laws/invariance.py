"""Laws of invariance: the same values for scaled, shifted and mirrored knots, and for points in any order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from numkan.conformance import twin
from numkan.conformance.adapter import Array, claims
from numkan.conformance.cases import Case
from numkan.conformance.law import assert_identical, assert_within, law
from numkan.conformance.points import (
    everywhere,
    integral_knots,
    interior,
    middles,
    orders,
    resolution,
    span,
    values,
    within,
)


@law("P-ORD", "identical, or 4(k+1) eps, as declared; else 4(k+1) eps", "scipy", "splines", policies=("bits",))
def every_way_of_asking(impl: Any, case: Case) -> None:
    """One point alone, any order and number of points, and the design matrix agree; so does the recursion."""
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
    square = np.resize(np.arange(len(x)), case.n_basis)  # a matrix that may be transposed unseen
    same(impl.basis(x[square], case.knots, k), found[square], "as many points as functions")
    if claims(impl, "dbasis"):
        same(impl.dbasis(x, case.knots, k, 0), found, "derivatives of order 0")
    if claims(impl, "design_rows"):
        same(impl.design_rows(x, case.knots, k, 0), found, "rows of the design matrix")
    plain = twin.B_batch(x[:, None].astype(float), case.knots[None].astype(float), k)[:, 0]
    assert_within(found, plain, 4 * (k + 1) * case.eps, "against the recursion, function", at=x)


@law("P-POW2", "exact", "IEEE scaling", "splines")
def powers_of_two(impl: Any, case: Case) -> None:
    """Scaling knots and points by 2^p changes no bit of B; derivatives of order nu scale by 2^(-p nu).

    Holds until a scaled point or a result becomes subnormal or underflows to 0, so those are left out.
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
            safe = (np.minimum(np.abs(scaled), np.abs(plain)) > smallest) | ((plain == 0) & (np.abs(back) > smallest))
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
