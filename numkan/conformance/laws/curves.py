"""Laws of curves: their relation to coefficients, integrals, and knot insertion."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np

from numkan.conformance import exact
from numkan.conformance.adapter import Array
from numkan.conformance.cases import Case
from numkan.conformance.law import assert_identical, assert_within, law, require
from numkan.conformance.points import (
    clamped,
    curve,
    gauss,
    greville,
    interior,
    middles,
    probes,
    resolution,
    sign_changes,
    span,
    too_many_repeats,
    with_more_knots,
)


def _inner_knots(case: Case) -> Array:
    """t_{i+1} ... t_{i+k} of each function, (n_basis, k), in float64."""
    places = np.arange(case.n_basis)[:, None] + np.arange(1, case.k + 1)
    return np.asarray(case.knots.astype(float)[places])


def _underflow(case: Case, coef: Array) -> float:
    """Return the contribution of functions that have underflowed."""
    return 8 * (case.k + 1) * float(np.finfo(case.knots.dtype).tiny) * float(np.abs(coef).max())


@law("P-GRV", "8 eps max(1, M)", "de Boor, ch. IX; Greville", "splines")
def greville_identity(impl: Any, case: Case) -> None:
    """With the Greville points as coefficients the curve is the identity (k >= 1)."""
    if case.k:
        x = probes(case)
        found = impl.basis(x, case.knots, case.k).astype(float) @ greville(case).astype(float)
        assert_within(found, x, 8 * case.eps * max(1.0, float(np.abs(case.knots).max())), "curve", at=x)


@law("P-MAR", "8(k+1) eps max_i |prod|, up to underflow", "Marsden; de Boor, ch. IX", "splines")
def marsden_identity(impl: Any, case: Case) -> None:
    """sum_i B_i(x) prod_r (t_{i+r} - y) = (x - y)^k for every y.

    Each B_i may be off by 4(k+1) eps of itself, and products add k roundings.
    """
    x = probes(case)
    values = impl.basis(x, case.knots, case.k).astype(float)
    low, high = (float(end) for end in case.domain)
    for y in (low, high, (low + high) / 2, low - (high - low)):
        products = np.prod(_inner_knots(case) - y, axis=1)
        largest = np.where(values > 0, np.abs(products), 0.0).max(axis=1)
        tolerance = 8 * (case.k + 1) * case.eps * largest + _underflow(case, products)
        assert_within(values @ products, (x.astype(float) - y) ** case.k, tolerance, f"y = {y}", at=x)


@law("P-POLY", "16(k+1) eps max|coef|", "Ramshaw; BSplineKit.jl", "splines")
def polynomials_from_blossoms(impl: Any, case: Case) -> None:
    """Each polynomial of degree d <= k comes from its blossom: coefficients e_d(t_{i+1}..t_{i+k}) / C(k, d)."""
    x, k = probes(case), case.k
    centre = float(case.domain[0])
    values = impl.basis(x, case.knots, k).astype(float)
    symmetric = np.zeros((case.n_basis, k + 1))
    symmetric[:, 0] = 1
    for argument in (_inner_knots(case) - centre).T:  # elementary symmetric polynomials, one argument at a time
        symmetric[:, 1:] = symmetric[:, 1:] + symmetric[:, :-1] * argument[:, None]
    for d in range(k + 1):
        coef = symmetric[:, d] / comb(k, d)
        largest = np.where(values > 0, np.abs(coef), 0.0).max(axis=1)
        tolerance = 16 * (k + 1) * case.eps * largest + _underflow(case, coef)
        assert_within(values @ coef, (x.astype(float) - centre) ** d, tolerance, f"degree {d}", at=x)


@law("P-CRV", "8(k+1) eps max |c_p| of those in reach", "definition", "splines", needs=("basis", "curve"))
def curves_are_sums(impl: Any, case: Case) -> None:
    """A curve is the sum of its coefficients times the functions, as rational arithmetic has it."""
    x, k = probes(case), case.k
    truth = [float(exact.curve(point, case.knots, case.coef, k)) for point in x]
    places = [span(point, case.knots, k) for point in x]
    largest = np.array([np.abs(case.coef[max(0, j - k) : j + 1]).max() for j in places])
    tolerance = 8 * (k + 1) * case.eps * largest + _underflow(case, case.coef)
    assert_within(impl.curve(x, case.knots, case.coef, k), truth, tolerance, "curve", at=x)


@law("P-HULL", "4(k+1) eps C_max", "de Boor, ch. XI", "splines")
def convex_hull(impl: Any, case: Case) -> None:
    """The curve lies between the smallest and the largest of the active coefficients."""
    x = probes(case)
    values = impl.basis(x, case.knots, case.k)
    s = curve(impl, x, case.knots, case.coef, case.k)
    tolerance = 4 * (case.k + 1) * case.eps * np.abs(case.coef).max()
    low = np.where(values > 0, case.coef, np.inf).min(axis=1)
    high = np.where(values > 0, case.coef, -np.inf).max(axis=1)
    assert_within(s, np.clip(s, low, high), tolerance, "beyond the hull, curve", at=x)


@law("P-VD", "dead band 4(k+1) eps C_max", "de Boor, ch. XI; variation diminution", "splines")
def variation_diminution(impl: Any, case: Case) -> None:
    """The curve changes sign no more often than its coefficients do."""
    inner = interior(case)
    dense = inner[:-1, None] + np.diff(inner)[:, None] * np.linspace(0, 1, 8, dtype=inner.dtype)
    x = np.sort(np.concatenate([probes(case), np.clip(dense, *case.domain).ravel()]))
    x = x if case.closed else x[x < case.domain[1]]
    s = curve(impl, x, case.knots, case.coef, case.k)
    found, due = sign_changes(s, 4 * (case.k + 1) * case.eps * np.abs(case.coef).max()), sign_changes(case.coef)
    require(found <= due, f"the curve changes sign {found} times, its coefficients {due} times")


@law("P-LIN", "exact for 2^p, else 4(k+1) eps", "definition", "splines")
def linearity(impl: Any, case: Case) -> None:
    """The curve is linear in its coefficients, and scales with powers of two bit for bit, short of underflow."""
    x, c, k = probes(case), case.coef, case.k
    s = curve(impl, x, case.knots, c, k)
    scaled, due = curve(impl, x, case.knots, c * c.dtype.type(8), k), s * c.dtype.type(8)
    lost = np.maximum(np.abs(scaled), np.abs(due)) < float(np.finfo(c.dtype).tiny) * 2.0**40  # terms may be subnormal
    assert_identical(np.where(lost, due, scaled), due)
    other = np.cos(np.arange(len(c))).astype(c.dtype)
    combined = curve(impl, x, case.knots, c + other, k)
    largest = float(np.abs(c).max() + 1)
    apart = s.astype(float) + curve(impl, x, case.knots, other, k)
    assert_within(combined, apart, 4 * (k + 1) * case.eps * largest, "sum of two curves", at=x)


@law("P-INT", "16(k+1)(k+2) eps M / (t_{i+k+1} - t_i), relative", "de Boor, ch. X (33)", "splines")
def integrals(impl: Any, case: Case) -> None:
    """The integral of B_i over its support is (t_{i+k+1} - t_i) / (k + 1).

    Each of the k + 1 spans may put its quadrature nodes off by eps M, and B changes at a rate of up to k / h there,
    which gives the factor of the tolerance.
    """
    k, knots = case.k, case.knots.astype(float)
    whole = impl.extrapolation == "fade"  # otherwise only what lies in the domain is an integral over a support
    x, weights = gauss(case.knots if whole else interior(case), k + 1)
    found = weights @ impl.basis(x, case.knots, k).astype(float)
    first, last = knots[: -k - 1], knots[k + 1 :]
    expected = (last - first) / (k + 1)
    tolerance = 16 * (k + 2) * case.eps * np.abs(knots).max() + 4 * case.eps * expected
    held = np.ones(case.n_basis, bool) if whole else (first >= case.domain[0]) & (last <= case.domain[1])
    assert_within(found[held], expected[held], tolerance[held], "integral of function")


@law("P-INT2", "8 n eps M", "BSplineKit.jl", "splines", knots="repeated")
def gram_matrix(impl: Any, case: Case) -> None:
    """The Gram matrix (clamped knots) sums to the domain's length, is positive definite and has k diagonals a side.

    Far from zero, n eps |D| would be short: quadrature nodes are known to eps M only.
    """
    case = clamped(case)
    x, weights = gauss(case.knots, case.k + 1)
    values = impl.basis(x, case.knots, case.k).astype(float)
    gram = values.T @ (weights[:, None] * values)
    low, high = (float(end) for end in case.domain)
    assert_within(
        gram.sum(),
        high - low,
        8 * case.n_basis * case.eps * max(abs(low), abs(high), high - low),
        "sum of the Gram matrix",
    )
    i, j = np.indices(gram.shape)
    require(not gram[np.abs(i - j) > case.k].any(), "functions overlap that have no span in common")
    if case.eps * resolution(case, x).max() < 1e-4:
        scale = 1 / np.sqrt(np.diag(gram))
        least = np.linalg.eigvalsh(gram * scale * scale[:, None]).min()
        require(least > 0, f"an eigenvalue of the Gram matrix is {least:.3g}")


@law(
    "P-INS",
    "8(k+1) eps C_max; sign changes exact",
    "Boehm 1980; scipy TestInsert",
    "splines",
    needs=("basis", "insert_knot"),
    knots="uneven",
)
def insertion_keeps_the_curve(impl: Any, case: Case) -> None:
    """Inserting knots keeps the curve; new coefficients stay in the old range and change sign no more often."""
    k, knots, coef = case.k, case.knots, case.coef
    x = probes(case)
    before = curve(impl, x, knots, coef, k)
    tolerance = 8 * (k + 1) * case.eps * float(np.abs(coef).max())
    for new in with_more_knots(case, 5, simple=impl.degenerate_knots == "error"):
        apart = np.abs(knots - knots.dtype.type(new))
        if (apart[apart > 0] < 1024 * np.finfo(case.dtype).tiny).any():
            continue  # a gap that has no finite reciprocal
        longer, finer = impl.insert_knot(knots, coef, k, new)
        assert_identical(longer, np.sort(np.append(knots, np.asarray(new, knots.dtype))))
        assert_within(finer, np.clip(finer, coef.min(), coef.max()), tolerance, "beyond the old range, coefficient")
        require(sign_changes(finer) <= sign_changes(coef), f"more sign changes with {new!s}: {finer}")
        knots, coef = longer, finer
    assert_within(curve(impl, x, knots, coef, k), before, tolerance, "curve on more knots", at=x)


@law(
    "P-OSLO",
    "entries >= 0 exactly; 8(k+1) eps",
    "Cohen, Lyche, Riesenfeld 1980; BasicBSpline.jl",
    "splines",
    needs=("basis", "insert_knot", "refinement_matrix"),
    knots="uneven",
)
def insertion_matrices(impl: Any, case: Case) -> None:
    """Refinement matrices are stochastic, compose, and agree with insertion in any order."""
    if too_many_repeats(case.knots, case.k):
        return
    k, knots = case.k, case.knots
    new = with_more_knots(case, 4, simple=impl.degenerate_knots == "error")
    finer = np.sort(np.concatenate([knots, np.array(new[:2], knots.dtype)]))
    finest = np.sort(np.concatenate([knots, np.array(new, knots.dtype)]))
    tolerance = 8 * (k + 1) * case.eps
    first, second, both = (
        impl.refinement_matrix(a, b, k).astype(float) for a, b in ((knots, finer), (finer, finest), (knots, finest))
    )
    require(both.min() >= 0, f"an entry is {both.min()!s}")
    assert_within(both.sum(axis=1), 1.0, tolerance, "sum of row")
    assert_within(second @ first, both, tolerance, "product of two refinements")
    largest = float(np.abs(case.coef).max())
    for order in (new, new[::-1]):
        grid, coef = knots, case.coef
        for z in order:
            grid, coef = impl.insert_knot(grid, coef, k, z)
        assert_within(
            coef, both @ case.coef.astype(float), tolerance * largest, f"coefficients after {order} in this order"
        )


@law("P-REF", "8(k+1) eps C_max", "subdivision", "splines", needs=("basis", "refinement_matrix"), knots="uneven")
def nested_refinement(impl: Any, case: Case) -> None:
    """On nested knots, padding halved too, the fine spline is the coarse one on the closed domain."""
    k, knots = case.k, case.knots
    all_fine = np.unique(np.concatenate([knots, middles(knots)]))
    repeats = [
        knot for knot, count in zip(*np.unique(knots, return_counts=True), strict=True) for _ in range(count - 1)
    ]
    all_fine = np.sort(np.concatenate([all_fine, np.array(repeats, knots.dtype)]))
    first = int(np.searchsorted(all_fine, case.domain[0], "left")) + int(np.sum(knots[: k + 1] == case.domain[0])) - 1
    last = int(np.searchsorted(all_fine, case.domain[1], "right")) - int(
        np.sum(knots[case.n_basis :] == case.domain[1])
    )
    finer = all_fine[first - k : last + k + 1]
    if too_many_repeats(knots, k):
        return
    matrix = impl.refinement_matrix(knots, finer, k).astype(float)
    require(matrix.min() >= 0, f"an entry is {matrix.min()!s}")
    assert_within(matrix.sum(axis=1), 1.0, 8 * (k + 1) * case.eps, "sum of row")
    x = probes(case)
    coarse = curve(impl, x, knots, case.coef, k)
    fine = impl.basis(x, finer, k).astype(float) @ (matrix @ case.coef.astype(float))
    tolerance = 8 * (k + 1) * case.eps * float(np.abs(case.coef).max())
    assert_within(fine, coarse, tolerance, "curve on finer knots", at=x)
