"""numkan.spline.lstsq against dense LAPACK."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from numkan.conformance.adapter import Array
from numkan.spline.lstsq import COND, LocalLeastSquares, local_lstsq


def dense(first: Array, values: Array, n_basis: int) -> Array:
    A = np.zeros((len(first), n_basis))
    A[np.arange(len(first))[:, None], first[:, None] + np.arange(values.shape[1])] = values
    return A


@st.composite
def local_problems(draw: st.DrawFn) -> tuple[Array, Array, Array, int]:
    """First columns in any order (some columns never touched), values, two right-hand sides, number of columns."""
    k = draw(st.integers(0, 4))
    n_basis = k + draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    first = np.array(draw(st.lists(st.integers(0, n_basis - k - 1), max_size=25)), int)
    values = rng.uniform(-1, 1, (len(first), k + 1)) * rng.choice(
        [0.0, 1e-3, 1.0], (len(first), k + 1), p=[0.1, 0.2, 0.7]
    )
    return first, values, rng.normal(size=(len(first), 2)), n_basis


@given(problem=local_problems())
def test_solution_rank_and_residual_are_those_of_the_dense_matrix(problem: Any) -> None:
    first, values, y, n_basis = problem
    fit = local_lstsq(first, values, y, n_basis)
    A = dense(first, values, n_basis)
    singular = np.linalg.svd(A, compute_uv=False) if len(A) else np.zeros(0)
    largest = singular.max(initial=0)
    assert fit.rank == (singular > 1e-13 * largest).sum()
    expected = np.linalg.pinv(A, rcond=1e-13) @ y if len(A) else np.zeros((n_basis, 2))
    smallest = singular[singular > 1e-13 * largest].min(initial=np.inf)
    kappa = largest / smallest if fit.rank else 1.0
    size = 1 + abs(expected).max()
    np.testing.assert_allclose(fit.solution, expected, rtol=0, atol=1e-14 * size * kappa**2)
    np.testing.assert_allclose(
        fit.residual, np.square(y - A @ expected).sum(axis=0), rtol=0, atol=1e-13 * (1 + (y**2).sum())
    )


def test_many_samples_agree_with_scipy_lstsq_to_rounding() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 20, 3000)
    values, y = rng.random((3000, 4)), rng.normal(size=(3000, 3))
    fit = local_lstsq(first, values, y, 23)
    A = dense(first, values, 23)
    expected, _, rank, _ = scipy.linalg.lstsq(A, y, cond=COND, lapack_driver="gelsd")
    assert fit.rank == rank == 23
    np.testing.assert_allclose(fit.solution, expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(fit.residual, np.square(y - A @ expected).sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize("block", [1, 7, 64, 65, 1000])
def test_blocks_of_samples_give_the_solution_of_all_at_once(block: int) -> None:
    rng = np.random.default_rng(1)
    first = np.sort(rng.integers(0, 3, 300))
    values, y = rng.random((300, 3)), rng.normal(size=(300, 2))
    problem = LocalLeastSquares(5, 3, 2)
    for start in range(0, 300, block):
        rows = slice(start, start + block)
        problem.add(first[rows], values[rows], y[rows])
    problem.add(first[:0], values[:0], y[:0])  # nothing to add is nothing
    whole = local_lstsq(first, values, y, 5)
    np.testing.assert_allclose(problem.solve().solution, whole.solution, rtol=0, atol=1e-13)
    np.testing.assert_allclose(problem.solve().residual, whole.residual, rtol=1e-13)


def test_untouched_columns_stay_zero_and_shorten_the_rank() -> None:
    fit = local_lstsq(np.array([0, 0, 3]), np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]), np.ones((3, 1)), 6)
    assert fit.rank == 3
    np.testing.assert_allclose(fit.solution[:, 0], [1, 0, 0, 0, 0.5, 0], atol=1e-15)


def test_the_residual_counts_what_a_short_rank_leaves_in_the_factor() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):  # the second column is the first, but for rounding
        column, y = rng.random((7, 1)), rng.normal(size=(7, 1))
        values = np.concatenate([column, 0.7 * column], axis=1)
        fit = local_lstsq(np.zeros(7, int), values, y, 2)
        assert fit.rank == 1
        np.testing.assert_allclose(fit.residual, np.square(y - values @ fit.solution).sum(axis=0), rtol=1e-13)


def test_no_rows_give_zeros_of_rank_zero() -> None:
    fit = local_lstsq(np.zeros(0, int), np.zeros((0, 2)), np.zeros((0, 1)), 3)
    assert fit.rank == 0
    assert not fit.solution.any()
    assert not fit.residual.any()


def test_rows_of_weight_zero_are_not_there() -> None:
    rng = np.random.default_rng(2)
    first, values, y = rng.integers(0, 3, 40), rng.random((40, 3)), rng.normal(size=(40, 1))
    keep = rng.random(40) > 0.3
    weighted = local_lstsq(first, values, y, 5, sqrt_weight=keep.astype(float))
    removed = local_lstsq(first[keep], values[keep], y[keep], 5)
    np.testing.assert_array_equal(weighted.solution, removed.solution)


def test_tiny_and_huge_rows_neither_overflow_nor_vanish() -> None:
    values = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, -1.0]])
    for scale in (1e-170, 1e170):
        fit = local_lstsq(np.zeros(3, int), scale * values, scale * np.array([[1.0], [3.0], [-1.0]]), 2)
        np.testing.assert_allclose(fit.solution[:, 0], [1.0, 2.0], rtol=1e-14)


def test_unsorted_blocks_are_an_error() -> None:
    problem = LocalLeastSquares(4, 2, 1)
    problem.add(np.array([1]), np.ones((1, 2)), np.ones((1, 1)))
    with pytest.raises(ValueError, match="must be non-decreasing"):
        problem.add(np.array([0]), np.ones((1, 2)), np.ones((1, 1)))
    with pytest.raises(ValueError, match="must be non-decreasing"):
        problem.add(np.array([2, 1]), np.ones((2, 2)), np.ones((2, 1)))


def test_G_DRV_the_driver_and_its_cond_are_explicit(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    solve = scipy.linalg.lstsq

    def spy(*args: Any, **options: Any) -> Any:
        calls.append(options)
        return solve(*args, **options)

    monkeypatch.setattr(scipy.linalg, "lstsq", spy)
    local_lstsq(np.array([0, 1]), np.ones((2, 2)), np.ones((2, 1)), 3)
    assert [(call["lapack_driver"], call["cond"]) for call in calls] == [("gelsd", COND)]


def test_a_short_rank_is_seen_through_rounding() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):  # every column is touched by many rows, but two of them always with the same ratio
        first = np.sort(rng.integers(0, 8, 500))
        values = rng.random((500, 3))
        A = dense(first, values, 10)
        A[:, 5] = A[:, 4] * 0.7
        rows = np.stack([A[np.arange(500), first + r] for r in range(3)], axis=1)
        assert local_lstsq(first, rows, rng.normal(size=(500, 1)), 10).rank == np.linalg.matrix_rank(
            dense(first, rows, 10), rtol=1e-13
        )
