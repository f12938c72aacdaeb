"""The two collections of least-squares problems: are they what was published?"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.optimize import least_squares

from tests import more_garbow_hillstrom, nist_strd
from tests.nist_strd import digits

MGH = more_garbow_hillstrom.PROBLEMS
NIST = nist_strd.PROBLEMS
BY_NAME = {problem.name: problem for problem in [*MGH, *NIST]}

# From the published starts, the solver below finds the global minimum or, for Freudenstein and Roth, the trigonometric
# function and Chebyquad 10, a local one (and for Biggs EXP6, it takes rounding to get away from the saddle). These are
# starts for the minima that it does not find from there, or not for certain.
NEAR = {
    "Freudenstein and Roth": [(5.5, 4.5)],
    "Biggs EXP6": [(1.2, 9, 1, 5, 4, 3)],
    "trigonometric 10": [
        (0.028, 0.0284, 0.0288, 0.0293, 0.0298, 0.0303, 0.0309, 0.2172, 0.0323, 0.033),
        (0.0515, 0.053, 0.0547, 0.0566, 0.0589, 0.0616, 0.2184, 0.0695, 0.1437, 0.0925),
        (0.0552, 0.0568, 0.0588, 0.061, 0.0636, 0.0668, 0.2082, 0.1644, 0.085, 0.0914),
        (0.0539, 0.0555, 0.0573, 0.0593, 0.0617, 0.2579, 0.0681, 0.0726, 0.0785, 0.0838),
        (0.0625, 0.0645, 0.0667, 0.0692, 0.2754, 0.0754, 0.079, 0.0823, 0.0836, 0.0821),
    ],
    "Chebyquad 10": [
        (0.075, 0.172, 0.286, 0.36, 0.471, 0.617, 0.617, 0.8, 0.845, 0.967),
        (0.06, 0.167, 0.239, 0.399, 0.399, 0.601, 0.601, 0.761, 0.833, 0.94),
    ],
}
# Limits that lie at infinity, flat places and a saddle: here the sum of squares has the value that is listed
AT = {
    "Bard": [(0.8406667, -1e9, -1e9)],
    "Kowalik and Osborne": [(1e9, -14.075884, -45.257196e9, -28.231498e9)],
    "Biggs EXP6": [(1.7114160, 17.6831980, 1.1631437, 5.1865615, 1.7114160, 1.1631437)],
    "Brown almost linear 10": [(0,) * 9 + (11,)],
    "Brown almost linear 40": [(0,) * 39 + (41,)],
}


def squares(problem, x):
    return (problem.residuals(np.array(x)) ** 2).sum()


def minimum_from(problem, start):
    """What SciPy finds; not by "lm", which does not always do the same twice (Biggs EXP6, SciPy 1.17)."""
    tight = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "max_nfev": 1000}
    found = least_squares(problem.residuals, start, problem.jacobian, method="trf", x_scale="jac", **tight)
    return squares(problem, found.x)


def is_minimum(value, listed):
    return value <= 1e-10 if listed == 0 else abs(value - listed) <= 1e-5 * listed


def central_differences(residuals, x):
    """The Jacobian, and what rounding may amount to in each column."""
    steps = 6e-6 * np.where(x == 0, 1, np.abs(x))
    columns = [(residuals(x + h) - residuals(x - h)) / (2 * h.sum()) for h in np.diag(steps)]
    return np.stack(columns, axis=1), 1e-15 * np.abs(residuals(x)).max() / steps


STARTS = [pytest.param(problem, problem.start, id=repr(problem)) for problem in MGH] + [
    pytest.param(problem, start, id=f"{problem} {i}") for problem in NIST for i, start in enumerate(problem.starts, 1)
]
# and on the branches that the starts are not on
STARTS += [
    pytest.param(BY_NAME["Gulf"], (40, 60, 1.4), id="11 Gulf, beyond x_2"),
    pytest.param(BY_NAME["Helical valley"], (0.5, 0.7, 0.1), id="7 Helical valley, first quadrant"),
    pytest.param(BY_NAME["Helical valley"], (-0.5, -0.7, 0.1), id="7 Helical valley, third quadrant"),
    pytest.param(BY_NAME["Helical valley"], (0.5, -0.7, 0.1), id="7 Helical valley, fourth quadrant"),
]


@pytest.mark.parametrize(("problem", "start"), STARTS)
def test_jacobian_agrees_with_central_differences(problem, start):
    x = np.array(start, dtype=float)
    r, J = problem.residuals_and_jacobian(x)
    expected, rounding = central_differences(problem.residuals, x)
    assert J.shape == (r.size, x.size)
    assert J.dtype == r.dtype == np.float64
    assert np.isfinite(J).all()
    assert (np.abs(J - expected) <= 1e-6 * np.abs(expected).max(axis=0) + 100 * rounding).all()


@pytest.mark.parametrize("problem", [*MGH, *NIST], ids=repr)
def test_residuals_are_the_same_at_real_and_complex_points(problem):
    x = np.array(getattr(problem, "start", None) or problem.starts[1], dtype=float)
    real, complex_ = problem.residuals(x), problem.residuals(x + 0j)
    assert np.iscomplexobj(complex_)
    assert (complex_.imag == 0).all()
    np.testing.assert_allclose(complex_.real, real, rtol=1e-12, atol=1e-14 * np.abs(real).max())


def test_all_35_are_there():
    assert sorted({problem.number for problem in MGH}) == list(range(1, 36))
    assert len({problem.name for problem in [*MGH, *NIST]}) == len(MGH) + len(NIST)
    assert all(problem.m >= problem.n for problem in MGH)
    assert {*NEAR, *AT} <= {problem.name for problem in MGH}


@pytest.mark.parametrize("problem", MGH, ids=repr)
def test_minima(problem):
    """What is found is listed, and what is listed is found."""
    found = [minimum_from(problem, start) for start in (problem.start, *NEAR.get(problem.name, ()))]
    found += [squares(problem, x) for x in AT.get(problem.name, ())]
    assert problem.minima[0] == min(problem.minima)
    assert all(any(is_minimum(value, listed) for listed in problem.minima) for value in found)
    assert all(any(is_minimum(value, listed) for value in found) for listed in problem.minima)


@pytest.mark.parametrize("name", AT)
def test_listed_points_are_stationary(name):
    """Or nearly so, where they stand for a limit at infinity."""
    for x in AT[name]:
        r, J = BY_NAME[name].residuals_and_jacobian(np.array(x))
        downhill = np.abs(r @ J)
        assert (downhill * np.maximum(np.abs(x), 1) <= 1e-4 * (r @ r)).all()


def test_the_saddle_of_biggs():
    """Both ways along x_1 - x_5 lead down."""
    problem = BY_NAME["Biggs EXP6"]
    (saddle,) = AT["Biggs EXP6"]
    for sign in (1, -1):
        there = saddle + sign * 0.05 * np.array([1, 0, 0, 0, -1, 0])
        assert squares(problem, there) < squares(problem, saddle) * (1 - 1e-3)


def test_all_27_are_there():
    assert Counter(problem.level for problem in NIST) == {"Lower": 8, "Average": 11, "Higher": 8}
    assert sorted(path.stem for path in nist_strd.FOLDER.glob("*.dat")) == sorted(problem.name for problem in NIST)


def half_units(certified):
    """Half a unit in the last of eleven figures."""
    return 0.5 * 10 ** (np.floor(np.log10(np.abs(certified))) - 10)


def effect_of_rounding(problem, J):
    """How far the residuals may move, in norm, as the certified parameters are rounded."""
    return np.linalg.norm(np.abs(J) @ half_units(problem.certified))


@pytest.mark.parametrize("problem", NIST, ids=repr)
def test_certified_parameters_give_the_certified_sum_of_squares(problem):
    """At a minimum the rounding of parameters counts by its square: that is much for Lanczos1 only."""
    r, J = problem.residuals_and_jacobian(problem.certified)
    error = abs(r @ r - problem.sum_of_squares)
    assert error <= 2e-10 * problem.sum_of_squares + effect_of_rounding(problem, J) ** 2


@pytest.mark.parametrize("problem", NIST, ids=repr)
def test_certified_parameters_are_a_minimum(problem):
    """The residuals are orthogonal to every column of J; for Lanczos1 the bound says nothing."""
    r, J = problem.residuals_and_jacobian(problem.certified)
    cosines = np.abs(r @ J) / (np.linalg.norm(J, axis=0) * np.linalg.norm(r))
    assert cosines.max() <= 1e-8 + effect_of_rounding(problem, J) / np.linalg.norm(r)


def test_lanczos1_by_one_step_of_gauss_newton():
    """Its residuals are rounding in the data's 14th figure; computing them in doubles leaves two figures or three."""
    problem = BY_NAME["Lanczos1"]
    r, J = problem.residuals_and_jacobian(problem.certified)
    better = problem.certified - np.linalg.lstsq(J, r, rcond=None)[0]
    assert squares(problem, better) == pytest.approx(problem.sum_of_squares, rel=0.02)
    assert digits(better, problem.certified) > 10


@pytest.mark.parametrize("problem", NIST, ids=repr)
def test_certified_standard_deviations(problem):
    """From J, which they check to many figures: s^2 is the sum of squares over the degrees of freedom."""
    J = problem.jacobian(problem.certified)
    scale = np.linalg.norm(J, axis=0)
    _, R = np.linalg.qr(J / scale)
    spread = np.linalg.norm(np.linalg.inv(R), axis=1) / scale
    s = np.sqrt(problem.sum_of_squares / (problem.y.size - problem.certified.size))
    np.testing.assert_allclose(s * spread, problem.deviations, rtol=1e-6)


def test_digits():
    certified = np.array([1.0, -200.0])
    assert digits(certified, certified) == 11
    assert digits([1.0, -200.2], certified) == pytest.approx(3)
    assert digits([1 + 1e-5, -200.2], certified) == pytest.approx(3)
    assert digits([11.0, -200.0], certified) == pytest.approx(-1)
    assert digits([np.nan, -200.0], certified) == -np.inf
