"""Extended grids, Greville points, and what check_grid rejects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan.spline import extend_grid, greville, interior_knots
from numkan.spline.knots import check_grid, check_grid_row, common_dtype
from tests.strategies import degrees, dtypes, knot_vectors


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-1, 1, [-2.2, -1.8, -1.4, -1.0, -0.6, -0.2, 0.2, 0.6, 1.0, 1.4, 1.8, 2.2]),
        (-10, 10, [-22, -18, -14, -10, -6, -2, 2, 6, 10, 14, 18, 22]),
        (-0.5, 0.5, [-1.1, -0.9, -0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1]),
    ],
)
def test_the_tutorials_grids(low: float, high: float, expected: list[float]) -> None:
    grid = extend_grid(np.linspace(low, high, 6)[None, :], k_extend=3)
    np.testing.assert_allclose(grid, [expected], rtol=1e-15, atol=1e-15)


def test_adaptive_padding_has_the_mean_step() -> None:
    """The tutorial's printed vector for grid_eps = 0: the padding's step is (last - first) / G there too."""
    interior = np.array([[-3.9455, -0.8148, -0.2487, 0.2936, 0.8768, 3.3837]])
    printed = [-8.3431, -6.8772, -5.4114, -3.9455, -0.8148, -0.2487, 0.2936, 0.8768, 3.3837, 4.8496, 6.3154, 7.7813]
    np.testing.assert_allclose(extend_grid(interior, 3)[0], printed, atol=1e-4)


@given(data=st.data(), k=degrees(), dtype=dtypes())
def test_extension_keeps_the_interior_and_pads_evenly(data: st.DataObject, k: int, dtype: type) -> None:
    interior = data.draw(knot_vectors(0, dtype))[None]
    G = interior.shape[1] - 1
    grid = extend_grid(interior, k)
    assert grid.shape == (1, G + 2 * k + 1)
    assert grid.dtype == dtype
    np.testing.assert_array_equal(interior_knots(grid, k), interior)
    assert (np.diff(grid[0]) >= 0).all()
    step = (float(interior[0, -1]) - float(interior[0, 0])) / G
    spacing = float(np.spacing(np.abs(grid).max()))
    np.testing.assert_allclose(np.diff(grid[0, : k + 1]), step, rtol=4e-7, atol=4 * spacing)
    np.testing.assert_allclose(np.diff(grid[0, G + k :]), step, rtol=4e-7, atol=4 * spacing)


def test_extension_by_nothing_is_a_copy() -> None:
    grid = np.array([[0.0, 1.0, 3.0]])
    same = extend_grid(grid)
    np.testing.assert_array_equal(same, grid)
    same[0, 0] = -1
    assert grid[0, 0] == 0


def test_extension_of_integers_and_lists_is_float64() -> None:
    assert extend_grid([[0, 1, 2]], 1).tolist() == [[-1.0, 0.0, 1.0, 2.0, 3.0]]


def test_greville_points_are_means_of_inner_knots() -> None:
    grid = np.array([[0.0, 0, 0, 1, 4, 4, 4], [0.0, 1, 2, 3, 5, 8, 13]])
    np.testing.assert_allclose(greville(grid, 2), [[0, 0.5, 2.5, 4], [1.5, 2.5, 4, 6.5]])
    np.testing.assert_allclose(greville(grid, 0)[1], [0.5, 1.5, 2.5, 4, 6.5, 10.5])


@given(data=st.data(), k=degrees(1), dtype=dtypes())
def test_greville_points_lie_between_their_knots(data: st.DataObject, k: int, dtype: type) -> None:
    knots = data.draw(knot_vectors(k, dtype))
    xi = greville(knots[None], k)[0]
    n_basis = len(knots) - k - 1
    assert xi.dtype == dtype
    assert len(xi) == n_basis
    spacing = np.spacing(np.abs(knots).max())
    means = [float(np.mean(knots[i + 1 : i + k + 1].astype(float))) for i in range(n_basis)]
    np.testing.assert_allclose(xi, means, rtol=0, atol=2 * spacing)
    repeated = [i for i in range(n_basis) if knots[i + 1] == knots[i + k]]
    np.testing.assert_array_equal(xi[repeated], knots[1:][repeated])


@pytest.mark.parametrize(
    ("grid", "k", "sentence"),
    [
        (np.arange(6.0), 1, r"must have shape \(n_in, n_knots\), not \(6,\)\. Use g\[None, :\]"),
        (np.zeros((2, 2, 6)), 1, r"must have shape \(n_in, n_knots\), not \(2, 2, 6\)\."),
        (np.zeros((0, 6)), 1, r"must have a row for each input, not shape \(0, 6\)\."),
        ([[0.0, 1.0, 2.0]], 1, r"must have at least 2k \+ 2 = 4 knots a row for degree k = 1, not 3\."),
        ([[0.0]], 0, r"must have at least 2k \+ 2 = 2 knots a row for degree k = 0, not 1\."),
        (
            [[0.0, np.nan, 2.0, np.inf]],
            1,
            r"must be finite, not with 2 NaN or infinite entries, the first \(nan\) at \(0, 1\)",
        ),
        (
            [[0.0, 1, 2, 3], [0.0, 1, 3, 2]],
            1,
            r"must be non-decreasing in each row, not fall from 3\.0 to 2\.0 at knot 3 of row 1\.",
        ),
        ([[0.0, 1, 1, 3]], 1, r"must have a domain of positive length, not knots 1 and 2 both at 1\.0 in row 0\."),
        ([[-1.7e308, 0, 1, 1.7e308]], 1, r"must span a range that float64 holds"),
    ],
)
def test_bad_grids_are_described(grid: Any, k: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^Argument `g` " + sentence):
        check_grid("g", grid, k, np.float64)


def test_knots_are_judged_as_rounded() -> None:
    grid = 1e8 + np.array([[0.0, 1.0, 2.0, 3.0]])
    check_grid("grid", grid, 1, np.float64)
    with pytest.raises(ValueError, match="domain of positive length"):
        check_grid("grid", grid, 1, np.float32)
    with pytest.raises(ValueError, match=r"must hold numbers that float32 holds, not 1e\+300 at \(0, 3\)"):
        check_grid("grid", [[0.0, 1.0, 2.0, 1e300]], 1, np.float32)


def test_a_checked_grid_is_a_read_only_copy() -> None:
    grid = np.arange(12.0).reshape(6, 2).T
    checked = check_grid("grid", grid, 1, np.float64)
    assert checked.flags.c_contiguous
    assert not checked.flags.writeable
    assert not np.shares_memory(checked, grid)


def test_a_row_is_one_dimensional() -> None:
    assert check_grid_row("row", [0, 1, 2, 3], 1, np.float64).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"Argument `row` must have shape \(n_knots,\), not \(1, 4\)\."):
        check_grid_row("row", [[0, 1, 2, 3]], 1, np.float64)


@pytest.mark.parametrize("bad", [[[0.0, 0.0]], [[1.0, 0.0]], [[0.0]], [0.0, 1.0]])
def test_extend_grid_rejects_what_is_no_grid(bad: Any) -> None:
    with pytest.raises(ValueError, match="Argument `grid` must"):
        extend_grid(bad, 2)


def test_extend_grid_rejects_padding_beyond_the_dtype() -> None:
    with pytest.raises(ValueError, match="leave room for 3 more knots"):
        extend_grid([[0.0, 1.7e308]], 3)


def test_extend_grid_rejects_negative_counts() -> None:
    with pytest.raises(ValueError, match=r"Argument `k_extend` must be at least 0, not -1\."):
        extend_grid([[0.0, 1.0]], -1)


def test_common_dtype_of_ragged_rows_is_left_to_the_check() -> None:
    assert common_dtype([[1.0], [1.0, 2.0]]) == np.float64
