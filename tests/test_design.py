"""The CSR design matrix is B_batch, stored sparsely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from numkan.conformance.cases import Case
from numkan.spline import B_batch, design_matrix, extend_grid
from tests.strategies import cases


@given(case=cases(), nu=st.integers(0, 6))
def test_dense_form_is_b_batch_bit_for_bit(case: Case, nu: int) -> None:
    x = np.concatenate([case.inside, case.anywhere, np.array([np.inf, -np.inf], case.knots.dtype)])
    matrix = design_matrix(x, case.knots, case.k, nu)
    assert matrix.format == "csr"
    assert matrix.dtype == case.knots.dtype
    assert matrix.nnz == len(x) * (case.k + 1)
    assert matrix.has_canonical_format
    np.testing.assert_array_equal(matrix.toarray(), B_batch(x[:, None], case.knots[None], case.k, nu)[:, 0])


@pytest.mark.parametrize("k", range(5))
def test_scipy_has_the_same_matrix(k: int) -> None:
    grid = extend_grid([[-1.0, 0.0, 0.5, 2.0]], k)[0]
    x = np.linspace(-1, 2, 31)
    expected = BSpline.design_matrix(x, grid, k).toarray()
    np.testing.assert_allclose(design_matrix(x, grid, k).toarray(), expected, rtol=0, atol=1e-15)


def test_nan_rows_are_nan_where_they_store() -> None:
    matrix = design_matrix([np.nan, 0.5], [-1.0, 0.0, 1.0, 2.0, 3.0], 1)
    assert np.isnan(matrix @ np.ones(3)).tolist() == [True, False]


@pytest.mark.jit
def test_a_million_points_have_the_rows_of_a_few() -> None:
    grid = extend_grid([[-1.0, 0.0, 0.5, 2.0]], 3)[0]
    x = np.linspace(-2, 3, 1000)
    few, many = design_matrix(x, grid, 3), design_matrix(np.tile(x, 1000), grid, 3)
    np.testing.assert_array_equal(many.data, np.tile(few.data, 1000))
    np.testing.assert_array_equal(many.indices, np.tile(few.indices, 1000))


def test_no_points_give_no_rows() -> None:
    assert design_matrix(np.zeros(0), [-1.0, 0.0, 1.0, 2.0], 1).shape == (0, 2)


def test_points_must_be_one_dimensional() -> None:
    with pytest.raises(ValueError, match=r"Argument `x` must have shape \(n,\), not \(1, 1\)\."):
        design_matrix([[0.5]], [-1.0, 0.0, 1.0, 2.0], 1)


def test_knots_must_be_one_dimensional() -> None:
    with pytest.raises(ValueError, match=r"Argument `grid_row` must have shape \(n_knots,\), not \(1, 4\)\."):
        design_matrix([0.5], [[-1.0, 0.0, 1.0, 2.0]], 1)
