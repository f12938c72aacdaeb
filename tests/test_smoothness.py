"""Differences of coefficients are the coefficients of derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from numkan.spline import curve2coef, extend_grid
from numkan.spline.smoothness import difference_matrices


def knots(k: int, uniform: bool, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    interior = np.linspace(-1, 3, 8) if uniform else np.sort(rng.uniform(-1, 3, 8))
    return extend_grid(interior[None, :], k_extend=k)[0]


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_they_are_those_of_scipy(k, uniform):
    t = knots(k, uniform)
    c = np.random.default_rng(1).standard_normal(len(t) - k - 1)
    length = t[len(t) - 1 - k] - t[k]
    for d in range(1, k + 1):
        derivative = BSpline(t, c, k).derivative(d)
        theirs = derivative.c[d : len(c)] * length**d  # scipy pads with what lies outside
        (matrix,) = difference_matrices(t, k, [d])
        ours = matrix @ c
        weight = (t[k + 1 : k + 1 + len(ours)] - t[d : d + len(ours)]) / (k - d + 1) / length
        mine = ours / np.sqrt(weight)
        place = np.linspace(t[k], t[-k - 1], 40)
        again = BSpline(t[d : len(t) - d], mine, k - d)(place)
        np.testing.assert_allclose(again, derivative(place) * length**d, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_last_order_is_jumps_of_the_highest_derivative(k):
    t = knots(k, uniform=False, seed=3)
    c = np.random.default_rng(1).standard_normal(len(t) - k - 1)
    length = t[-k - 1] - t[k]
    (matrix,) = difference_matrices(t, k, [k + 1])
    inner = t[k + 1 : -k - 1]
    step = 1e-9
    highest = BSpline(t, c, k).derivative(k)
    jumps = (highest(inner + step) - highest(inner - step)) * length**k
    mean = 0.5 * (t[k + 2 : -k] - t[k : -k - 2]) / length
    np.testing.assert_allclose(matrix @ c, jumps / np.sqrt(mean), rtol=1e-6)


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_polynomials_of_lower_degree_are_smooth(d, uniform):
    t = knots(3, uniform)
    x = np.linspace(t[3], t[-4], 60)[:, None]
    for power in range(d):
        c = curve2coef(x, (x**power)[:, :, None], t[None, :], 3)[0, 0]
        (matrix,) = difference_matrices(t, 3, [d])
        assert np.abs(matrix @ c).max() < 1e-7 * max(1.0, np.abs(matrix).max() * np.abs(c).max() * 1e-7)


def test_their_squares_tend_to_the_integral():
    grid = extend_grid(np.linspace(0, 2, 201)[None, :], k_extend=3)
    x = np.linspace(0, 2, 2000)[:, None]
    c = curve2coef(x, np.sin(x)[:, :, None], grid, 3)[0, 0]
    second, fourth = (float(np.square(D @ c).sum()) for D in difference_matrices(grid[0], 3, [2, 4]))
    integral = 1 - np.sin(4) / 4  # of sin^2 over [0, 2]; on the unit interval d derivatives bring 2^(2 d) / 2
    assert second == pytest.approx(integral * 2**4 / 2, rel=2e-2)
    assert fourth == pytest.approx(integral * 2**8 / 2, rel=2e-2)
