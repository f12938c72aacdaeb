"""numkan.layer.refine and refined grids: the same curves on more knots, or on fewer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan.conformance.adapter import Array
from numkan.layer.grid import refined_grid
from numkan.layer.refine import grid_from_parent
from numkan.spline import SplineBasis, coef2curve, extend_grid
from tests import exact, naive
from tests.grid_cases import refine_coef, uniform_layer


@st.composite
def refinements(draw: st.DrawFn) -> tuple[Array, Array, int, int]:
    k, G, times = draw(st.integers(0, 5)), draw(st.integers(1, 7)), draw(st.integers(2, 5))
    gaps = 10.0 ** np.array(draw(st.lists(st.floats(-2, 2, width=32), min_size=G, max_size=G)))
    start = draw(st.sampled_from([0.0, -1.0, 100.0]))
    grid = extend_grid((start + np.concatenate([[0.0], np.cumsum(gaps)]))[None], k)
    numbers = st.floats(-2, 2, width=32, allow_subnormal=False)
    coef = np.array(draw(st.lists(numbers, min_size=G + k, max_size=G + k)))
    return grid, coef[None, None], k, G * times


@given(case=refinements())
def test_P_REF_refinement_to_a_multiple_is_exact_on_the_closed_domain(case: Any) -> None:
    grid, coef, k, G = case
    new = refined_grid(SplineBasis(grid, k), G)
    old_G = grid.shape[1] - 2 * k - 1
    np.testing.assert_array_equal(new[:, k : k + G + 1 : G // old_G], grid[:, k : k + old_G + 1])
    finer = refine_coef(grid, coef, new, k)
    bound = 8 * (k + 1) * 2.0**-53 * max(abs(coef).max(), abs(finer).max())
    inside = new[0, k : k + G + 1]
    for x in np.concatenate([inside, inside[:-1] + 0.3 * np.diff(inside)]):
        error = exact.curve(x, new[0], finer[0, 0], k) - exact.curve(x, grid[0], coef[0, 0], k)
        assert abs(float(error)) <= bound


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("G", "times"), [(49, 3), (3, 49), (7, 11), (1, 10)])
def test_old_knots_reappear_bit_for_bit(G: int, times: int, dtype: type) -> None:
    interior = np.sort(np.random.default_rng(G).normal(size=(2, G + 1)), axis=1).astype(dtype)
    new = refined_grid(SplineBasis(extend_grid(interior, 3), 3), G * times)
    assert new.dtype == dtype
    np.testing.assert_array_equal(new[:, 3:-3][:, ::times], interior)
    want = [np.interp(np.linspace(0, G, G * times + 1), np.arange(G + 1), row) for row in interior]
    np.testing.assert_allclose(new[:, 3:-3], want, rtol=0, atol=(G + 8) * np.finfo(dtype).eps)


@pytest.mark.parametrize("G", [2, 4, 7, 13])
def test_other_grids_give_the_best_approximation(G: int) -> None:
    grid, coef = uniform_layer(3)
    new = refined_grid(SplineBasis(grid, 3), G)
    got = refine_coef(grid, coef, new, 3)
    x = np.linspace(-1, 1, 4001)[:, None] * np.ones(3)
    y, weight = coef2curve(x, grid, coef, 3), np.full(4001, 2.0)
    weight[[0, -1]] = 1.0  # the trapezoidal rule
    best = naive.curve2coef(x, y, new, 3, weight)
    np.testing.assert_allclose(coef2curve(x, new, got, 3), coef2curve(x, new, best, 3), atol=1e-4)


def test_refining_to_the_same_number_keeps_the_function() -> None:
    grid, coef = uniform_layer(3)
    np.testing.assert_allclose(refine_coef(grid, coef, refined_grid(SplineBasis(grid, 3), 5), 3), coef, atol=1e-15)


def test_knots_too_near_to_be_refined_coincide_and_the_function_stays() -> None:
    unit = np.float32(2.0**-23)
    grid = extend_grid((1 + unit * np.array([[0, 4, 8, 2**20]])).astype(np.float32), 1)
    coef = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
    new = refined_grid(SplineBasis(grid, 1), 30)
    assert (np.diff(new) >= 0).all()
    assert (np.diff(new) == 0).any()
    got = refine_coef(grid, coef, new, 1)
    x = (1 + unit * np.array([0, 2, 4, 6, 8, 2**19, 2**20])).astype(np.float32)[:, None]
    np.testing.assert_allclose(coef2curve(x, new, got, 1), coef2curve(x, grid, coef, 1), atol=2e-6)


def test_a_child_starts_from_its_parents_curves() -> None:
    grid, coef = uniform_layer(3)
    x = np.random.default_rng(4).uniform(-1, 1, (300, 3))
    child, got = grid_from_parent(x, SplineBasis(grid, 3), coef, G=10, k=3)
    np.testing.assert_array_equal(child, refined_grid(SplineBasis(grid, 3), 10))
    np.testing.assert_allclose(coef2curve(x, child, got, 3), coef2curve(x, grid, coef, 3), atol=1e-12)
    lower, coarse = grid_from_parent(x, SplineBasis(grid, 3), coef, G=40, k=1)
    assert lower.shape == (3, 43)
    assert coarse.shape == (3, 2, 41)
    left = coef2curve(x, lower, coarse, 1) - coef2curve(x, grid, coef, 3)
    assert np.sqrt((left**2).mean()) < 0.02 * abs(coef).max()
