"""Knot insertion and refinement against exact rationals and scipy; shapes and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from numkan.conformance.cases import Case
from numkan.conformance.points import probes, with_more_knots
from numkan.spline import B_batch, extend_grid, insert_knots, refinement_matrix
from tests import exact
from tests.strategies import cases


@given(case=cases())
def test_coefficients_are_the_exact_ones(case: Case) -> None:
    new = with_more_knots(case, 4)
    knots, coef = exact.rational(case.knots), exact.rational(case.coef)
    for z in new:
        if z == knots[len(knots) - 1 - case.k] == knots[-1]:
            return  # no span to the right of it for the oracle's formula
        knots, coef = exact.insert(knots, coef, case.k, z)
    finer, got = insert_knots(case.knots, case.coef, case.k, np.array(new, case.knots.dtype))
    np.testing.assert_array_equal(finer.astype(float), [float(t) for t in knots])
    tolerance = 8 * (case.k + 1) * case.eps / 2 * float(np.abs(case.coef).max())
    np.testing.assert_allclose(got, [float(c) for c in coef], rtol=0, atol=tolerance)


@given(case=cases(kinds=("random", "uniform", "clamped")))
def test_the_function_is_the_same_beyond_the_domain_too(case: Case) -> None:
    inside = [z for z in with_more_knots(case, 3) if case.domain[0] < z < case.domain[1]]
    finer, coef = insert_knots(case.knots, case.coef, case.k, np.array(inside, case.knots.dtype))
    x = np.concatenate([probes(case), case.anywhere])[:, None]
    before = B_batch(x, case.knots[None], case.k)[:, 0] @ case.coef
    after = B_batch(x, finer[None], case.k)[:, 0] @ coef
    np.testing.assert_allclose(after, before, rtol=0, atol=16 * (case.k + 1) * case.eps * np.abs(case.coef).max())


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_scipy_inserts_the_same(k: int) -> None:
    rng = np.random.default_rng(k)
    knots = np.cumsum(rng.uniform(0.1, 1, 8 + 2 * k))
    coef = rng.normal(size=len(knots) - k - 1)
    z = (knots[k + 2] + knots[k + 3]) / 2
    expected = BSpline(knots, coef, k).insert_knot(z)
    finer, got = insert_knots(knots, coef, k, [z])
    np.testing.assert_array_equal(finer, expected.t)
    np.testing.assert_allclose(got, expected.c[: len(got)], rtol=1e-14, atol=1e-14)


def test_batches_are_inserted_row_by_row() -> None:
    rng = np.random.default_rng(0)
    grid = np.sort(rng.normal(size=(3, 10)), axis=1)
    coef = rng.normal(size=(3, 4, 7))
    low, high = grid[:, 2], grid[:, 7]
    new = low[:, None] + (high - low)[:, None] * np.array([0.3, 0.9])
    finer, got = insert_knots(grid, coef, 2, new)
    assert finer.shape == (3, 12)
    assert got.shape == (3, 4, 9)
    for i in range(3):
        knots, one = insert_knots(grid[i], coef[i], 2, new[i])
        np.testing.assert_array_equal(knots, finer[i])
        np.testing.assert_array_equal(one, got[i])
        for o in range(4):
            np.testing.assert_array_equal(insert_knots(grid[i], coef[i, o], 2, new[i])[1], got[i, o])


def test_one_list_of_knots_serves_all_inputs_and_none_is_allowed() -> None:
    grid = extend_grid(np.linspace(-1, 1, 4)[None, :].repeat(2, axis=0), 2)
    coef = np.arange(10.0).reshape(2, 5)
    finer, got = insert_knots(grid, coef, 2, [0.1])
    assert finer.shape == (2, 9)
    assert got.shape == (2, 6)
    same, kept = insert_knots(grid, coef, 2, np.zeros(0))
    np.testing.assert_array_equal(same, grid)
    np.testing.assert_array_equal(kept, coef)


@pytest.mark.parametrize("k", range(6))
def test_full_multiplicity_at_the_ends_clamps_the_spline(k: int) -> None:
    grid = extend_grid([[0.0, 1.0, 3.0]], k)[0]
    coef = np.sin(np.arange(2.0 + k))
    finer, clamped = insert_knots(grid, coef, k, [0.0] * k + [3.0] * k)
    ends = B_batch([[0.0], [3.0]], grid[None], k)[:, 0] @ coef
    inner = np.flatnonzero((finer[:-1] < finer[1:]) & (finer[:-1] >= 0) & (finer[1:] <= 3))
    active = clamped[inner[0] - k : inner[-1] + 1]
    assert active[[0, -1]] == pytest.approx(ends, abs=1e-14)


def test_degree_zero_splits_a_step() -> None:
    finer, coef = insert_knots([0.0, 1.0, 2.0], [5.0, 7.0], 0, [0.5, 1.5])
    assert finer.tolist() == [0, 0.5, 1, 1.5, 2]
    assert coef.tolist() == [5, 5, 7, 7]


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize("k", range(6))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_refining_an_extended_grid_is_exact_on_the_domain(k: int, factor: int, dtype: type) -> None:
    """Interior knots interpolated in index space, the padding of the new step: what a layer's refinement does."""
    rng = np.random.default_rng(k)
    for interior in (np.linspace(-1, 1, 4), np.array([-1.0, -0.999, 0.5, 1.0]), np.array([0.0, 2.0])):
        G = len(interior) - 1
        fine = np.interp(np.arange(G * factor + 1) / factor, np.arange(G + 1), interior).astype(dtype)
        fine[::factor] = interior.astype(dtype)
        coarse, finer = (extend_grid(t[None].astype(dtype), k)[0] for t in (interior, fine))
        matrix = refinement_matrix(coarse, finer, k)
        assert matrix.dtype == dtype
        assert matrix.min() >= -1e-6
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=0, atol=8 * (k + 1) * np.finfo(dtype).eps)
        coef = rng.uniform(-1, 1, G + k)
        x = np.concatenate([rng.uniform(interior[0], interior[-1], 50), interior]).astype(dtype)[:, None]
        x = np.clip(x, fine[0], fine[-1]).astype(float)
        before = B_batch(x, coarse[None].astype(float), k)[:, 0] @ coef
        after = B_batch(x, finer[None].astype(float), k)[:, 0] @ (matrix @ coef)
        assert np.abs(after - before).max() <= 8 * (k + 1) * np.finfo(dtype).eps


def test_refined_rows_are_not_negative_where_padding_nests() -> None:
    for k in range(6):
        coarse, finer = (extend_grid(np.linspace(-1, 1, G + 1)[None], k)[0] for G in (4, 8))
        assert refinement_matrix(coarse, finer, k).min() >= 0


@given(case=cases(maximum_degree=3, kinds=("random", "uniform")), widening=st.floats(0.1, 4))
def test_another_padding_keeps_the_polynomials_of_the_domain(case: Case, widening: float) -> None:
    k = case.k
    low, high = (float(end) for end in case.domain)
    knots = case.knots.astype(float)
    other = knots.copy()
    other[:k] = low + (knots[:k] - low) * widening
    other[case.n_basis + 1 :] = high + (knots[case.n_basis + 1 :] - high) * widening
    matrix = refinement_matrix(knots, other, k)
    x = probes(case).astype(float)[:, None]
    before = B_batch(x, knots[None], k)[:, 0]
    after = B_batch(x, other[None], k)[:, 0] @ matrix
    scale = np.abs(matrix).sum(axis=1).max()
    np.testing.assert_allclose(after, before, rtol=0, atol=32 * (k + 1) * 2.0**-52 * scale)


def test_a_refinement_by_nothing_is_the_identity() -> None:
    grid = extend_grid([[0.0, 1.0, 3.0]], 3)[0]
    np.testing.assert_array_equal(refinement_matrix(grid, grid, 3), np.eye(5))


@pytest.mark.parametrize(
    ("grid", "coef", "new", "sentence"),
    [
        (
            np.arange(8.0),
            np.ones(5),
            [1.5],
            r"Argument `new_knots` must lie in the domain \[2\.0, 5\.0\], not at 1\.5\.",
        ),
        (np.arange(8.0), np.ones(5), [3.0] * 3, r"leave no knot more than k \+ 1 = 3 times, not 3\.0 4 times\."),
        (np.arange(8.0), np.ones(5), [np.nan], r"Argument `new_knots` must be finite"),
        (np.arange(8.0), np.ones(5), [[3.0]], r"Argument `new_knots` must have shape \(r,\), not \(1, 1\)\."),
        (
            np.arange(8.0),
            np.ones(4),
            [3.0],
            r"Argument `coef` must have shape \(\.\.\., 5\) for these knots, not \(4,\)\.",
        ),
        (np.arange(8.0)[None], np.ones(5), [3.0], r"Argument `coef` must have shape \(1, \.\.\., 5\)"),
        (
            np.arange(8.0)[None],
            np.ones((1, 5)),
            np.ones((2, 1)),
            r"Argument `new_knots` must have shape \(r,\) or \(1, r\)",
        ),
        (np.arange(5.0), np.ones(5), [3.0], r"Argument `grid` must have at least"),
    ],
)
def test_bad_insertions_are_named(grid: Any, coef: Any, new: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        insert_knots(grid, coef, 2, new)


@pytest.mark.parametrize(
    ("finer", "sentence"),
    [
        (
            [0.0, 1, 2, 3, 4, 5.5, 6, 7],
            r"Argument `finer_row` must have the domain \[2\.0, 5\.0\] of `grid_row`, not \[2\.0, 5\.5\]",
        ),
        ([0.0, 1, 2, 3.5, 4, 5, 6, 7], r"must contain the interior knots of `grid_row`, not lack 3\.0\."),
        ([0.0, 1, 2, 3, 3, 3, 3, 4, 5, 6, 7], r"Argument `finer_row` must leave no knot more than k \+ 1 = 3 times"),
    ],
)
def test_bad_refinements_are_named(finer: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        refinement_matrix(np.arange(8.0), finer, 2)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_repeats_at_the_domains_start_survive_another_padding(k: int) -> None:
    """Functions that end where the domain begins have free coefficients; all others are exact."""
    rng = np.random.default_rng(k)
    inner = np.array([0.0, 0.0, 1.0, 3.0])
    coarse = np.concatenate([np.arange(-k + 1.0, 0), [0.0], inner, 3 + np.arange(1.0, k + 1)])
    finer = np.concatenate([np.arange(-k, 0) / 3, inner[:2], [0.5], inner[2:], 3 + np.arange(1, k + 1) / 3])
    matrix = refinement_matrix(coarse, finer, k)
    coef = rng.uniform(-1, 1, len(coarse) - k - 1)
    x = np.linspace(0, 3, 31)[:, None]
    before, after = B_batch(x, coarse[None], k)[:, 0] @ coef, B_batch(x, finer[None], k)[:, 0] @ (matrix @ coef)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-14 * np.abs(matrix).sum(axis=1).max())
