"""Conversion to and from scipy: the same values on the domain, NaN beyond, errors where it cannot hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from scipy.interpolate import BSpline, PPoly, make_interp_spline

from numkan.conformance.cases import Case
from numkan.conformance.points import interior, middles, probes
from numkan.spline import B_batch, from_scipy, to_ppoly, to_scipy
from tests.strategies import cases

GRID, COEF = np.arange(8.0), np.array([1.0, 3.0, 2.0, -1.0, 0.5])


def values(case: Case, x: Any, nu: int = 0) -> Any:
    return B_batch(np.asarray(x, float)[:, None], case.knots[None].astype(float), case.k, nu)[:, 0] @ case.coef


@given(case=cases())
def test_scipy_form_has_the_same_values_on_the_domain(case: Case) -> None:
    if case.knots[case.n_basis - 1] == case.knots[case.n_basis]:
        with pytest.raises(ValueError, match="must not repeat the last interior knot"):
            to_scipy(case.knots, case.coef, case.k)
        return
    curve = to_scipy(case.knots, case.coef, case.k)
    x = probes(case).astype(float)
    tolerance = 16 * (case.k + 1) * 2.0**-52 * max(float(np.abs(case.coef).max()), 1e-300)
    np.testing.assert_allclose(curve(x), values(case, x), rtol=0, atol=tolerance)


@given(case=cases())
def test_round_trip_through_scipy_keeps_every_bit(case: Case) -> None:
    if case.knots[case.n_basis - 1] == case.knots[case.n_basis]:
        return
    grid, coef, k = from_scipy(to_scipy(case.knots, case.coef, case.k))
    assert k == case.k
    assert type(k) is int
    np.testing.assert_array_equal(grid, case.knots)
    np.testing.assert_array_equal(coef, case.coef)


def test_scipy_form_is_nan_beyond_the_domain() -> None:
    curve = to_scipy(GRID, COEF, 2)
    assert isinstance(curve, BSpline)
    assert np.isnan(curve([1.9, 5.1])).all()
    assert np.isnan(to_ppoly(GRID, COEF, 2)([1.9, 5.1])).all()


def test_splines_fitted_by_scipy_come_over() -> None:
    x = np.linspace(0, 3, 12)
    fitted = make_interp_spline(x, np.sin(x), k=3)
    grid, coef, k = from_scipy(fitted)
    np.testing.assert_allclose(B_batch(x[:, None], grid[None], k)[:, 0] @ coef, np.sin(x), atol=1e-14)
    grid[0] = -1  # a copy: scipy's object keeps its knots
    assert fitted.t[0] == 0


def test_surplus_coefficients_of_scipy_are_dropped() -> None:
    assert from_scipy(BSpline(GRID, np.append(COEF, [9.0, 9.0, 9.0]), 2))[1].tolist() == COEF.tolist()


@given(case=cases(kinds=("random", "repeated", "uniform", "clamped")))
def test_piecewise_form_has_the_same_values_and_derivatives(case: Case) -> None:
    pieces = to_ppoly(case.knots, case.coef, case.k)
    assert isinstance(pieces, PPoly)
    assert pieces.c.shape == (case.k + 1, len(np.unique(interior(case))) - 1)
    x = np.concatenate([case.inside, middles(interior(case)), interior(case)[[0, -1]]]).astype(float)
    spans = np.diff(case.knots.astype(float))
    ratio = spans.max() / spans[spans > 0].min()  # Taylor terms at a span's left end cancel in the worst graded case
    tolerance = 64 * (case.k + 1) * 2.0**-52 * np.abs(case.coef).max() * min(ratio**case.k, 1e9)
    np.testing.assert_allclose(pieces(x), values(case, x), rtol=0, atol=tolerance + 1e-300)
    breaks = pieces.x[:-1]
    for nu in range(case.k + 1):
        expected = values(case, breaks, nu)
        np.testing.assert_allclose(pieces(breaks, nu), expected, rtol=1e-14, atol=1e-14 * np.abs(expected).max())


def test_piecewise_form_takes_a_repeated_end() -> None:
    grid, coef = [0.0, 1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 6.0][:8], COEF
    repeated = [0.0, 1.0, 2.0, 2.5, 3.0, 3.0, 4.0, 5.0]  # k = 2: knots 4 and 5 are the end of the domain
    assert float(to_ppoly(repeated, coef, 2)(3.0)) == pytest.approx(float(B_batch([[3.0]], [repeated], 2)[0, 0] @ coef))
    assert np.isfinite(to_ppoly(grid, coef, 2)(2.5))


@pytest.mark.parametrize(
    ("grid", "coef", "sentence"),
    [
        (GRID, COEF[:4], r"Argument `coef_row` must have shape \(5,\), not \(4,\)\."),
        (GRID, np.full(5, np.nan), r"Argument `coef_row` must be finite"),
        (GRID[None], COEF, r"Argument `grid_row` must have shape \(n_knots,\), not \(1, 8\)\."),
        (np.array([0.0, 1, 2, 3, 5, 5, 6, 7]), COEF, r"must not repeat the last interior knot inside the domain"),
    ],
)
def test_bad_splines_are_named(grid: Any, coef: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        to_scipy(grid, coef, 2)


def test_what_cannot_come_over_is_named() -> None:
    with pytest.raises(TypeError, match=r"Argument `bspline` must be a scipy.interpolate.BSpline, not PPoly\."):
        from_scipy(to_ppoly(GRID, COEF, 2))
    with pytest.raises(ValueError, match="Argument `bspline` must not be periodic"):
        from_scipy(BSpline(GRID, COEF, 2, extrapolate="periodic"))
    with pytest.raises(ValueError, match=r"Argument `bspline` must have coefficients of shape \(n,\), not \(5, 2\)\."):
        from_scipy(BSpline(GRID, np.ones((5, 2)), 2))
    with pytest.raises(TypeError, match="Argument `bspline` must hold real numbers"):
        from_scipy(BSpline(GRID, COEF * 1j, 2))
