"""Laws of values outside the domain, and at NaN and infinity."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from numkan.conformance import exact, twin
from numkan.conformance.adapter import Array
from numkan.conformance.cases import Case
from numkan.conformance.law import assert_identical, assert_within, complaint, law, require
from numkan.conformance.points import gap, orders, resolution, values


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
        beside = [np.array([np.nan, point], case.dtype) for point in (x[0], x[-1])]  # min and max are NaN there
        for points in (*(x[n : n + 1] for n in range(len(x))), *beside):
            error = complaint(partial(impl.basis, points, case.knots, k))
            require(isinstance(error, ValueError), f"at {points[-1]!s}, outside: {error!r} where a ValueError is due")
        return
    for nu in orders(impl, k + 2):
        found = values(impl, x, case.knots, k, nu)
        if impl.extrapolation == "nan":
            require(np.isnan(found).all(), f"nu = {nu}: numbers outside the domain, where NaN is due")
        elif impl.extrapolation == "fade":
            _fades(case, x, found, nu)
        elif impl.extrapolation == "periodic":
            _repeats(case, x, found, nu)
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


def _repeats(case: Case, x: Array, found: Array, nu: int) -> None:
    """The values and derivatives a number of lengths of the domain away, but for points that rounding may put off.

    A point is known there to a few roundings of itself and of the knots; beside a knot that decides on the piece.
    """
    low, high = (Fraction(float(end)) for end in case.domain)
    for point, row in zip(x, found, strict=True):
        there = low + (Fraction(float(point)) - low) % (high - low)
        off = 4 * case.eps * float(abs(point) + np.abs(case.knots).max())
        gaps = np.abs(case.knots.astype(float) - float(there))
        if gaps.min() > off:
            nearest = gap(case, case.dtype.type(float(there)))
            size = [float(b) for b in exact.magnitudes(there, case.knots, case.k, nu)]
            room = 8 * (case.k + 1) * (case.eps + off / nearest) * (1.0 + max(size) if nu else 1.0)
            truth = [float(b) for b in exact.basis(there, case.knots, case.k, nu)]
            assert_within(row, truth, room, f"nu = {nu}: a period away from {float(there)!s}, at {point!s}, function")


def _goes_on(policy: str, case: Case, x: Array, found: Array, nu: int) -> None:
    """Check the functions outside against Taylor's formula with the values and derivatives at the ends."""
    given = x.astype(float)[:, None], case.knots.astype(float)[None], case.k, policy, nu
    truth, size = twin.basis(*given)[:, 0], twin.basis(*given, sizes=True)[:, 0].sum(axis=1)
    size = size * resolution(case, np.clip(x, *case.domain))
    tolerance = 16 * (case.k + 1) * case.eps * size[:, None]
    assert_within(found, truth, tolerance, f"nu = {nu}: outside, function", at=x)


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
