"""numkan.layer.grid: knots over samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from numkan.conformance.cases import GridCase
from numkan.layer.grid import coverage, grid_from_samples
from numkan.spline import SplineBasis, extend_grid
from tests import naive
from tests.grid_cases import grid_cases

#: What pykan's tutorial on grids prints for 1000 normal samples, with grid_eps = 1 and 0.
TUTORIAL_UNIFORM = [
    *(-8.3431, -6.8772, -5.4114, -3.9455, -2.4797, -1.0138, 0.4520, 1.9179, 3.3837, 4.8496, 6.3154, 7.7813)
]
TUTORIAL_ADAPTIVE = [
    *(-8.3431, -6.8772, -5.4114, -3.9455, -0.8148, -0.2487, 0.2936, 0.8768, 3.3837, 4.8496, 6.3154, 7.7813)
]


@pytest.mark.parametrize(("end", "outer"), [(1, 2.2), (10, 22.0), (0.5, 1.1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_tutorials_uniform_grids_come_out(end: float, outer: float, dtype: type) -> None:
    grid = grid_from_samples(np.linspace(-end, end, 1001)[:, None], G=5, k=3, dtype=dtype)
    assert grid.dtype == dtype
    np.testing.assert_allclose(grid[0], np.linspace(-outer, outer, 12), rtol=0, atol=8 * np.finfo(dtype).eps * outer)


@pytest.mark.parametrize(("grid_eps", "printed"), [(1.0, TUTORIAL_UNIFORM), (0.0, TUTORIAL_ADAPTIVE)])
def test_the_tutorials_normal_samples_give_the_vectors_it_prints(grid_eps: float, printed: list[float]) -> None:
    # the samples themselves came from another generator: five that have the printed order statistics stand for them
    samples = np.array(TUTORIAL_ADAPTIVE)[[3, 4, 5, 6, 7, 8]]
    x = np.repeat(samples[:-1], 10)
    x[-1] = samples[-1]
    grid = grid_from_samples(np.random.default_rng(0).permutation(x)[:, None], G=5, k=3, grid_eps=grid_eps)
    np.testing.assert_allclose(grid[0], printed, rtol=0, atol=1.01e-4)


@given(case=grid_cases())
def test_knots_are_those_of_the_slow_twin(case: GridCase) -> None:
    x = case.x.astype(float)
    length, largest = np.ptp(x, axis=0), abs(x).max(axis=0)
    ordinary = (length == 0) | (length > 1e-9 * largest)
    grid = grid_from_samples(x, case.G, case.k, case.grid_eps)
    want = naive.grid_from_samples(x, case.G, case.k, case.grid_eps)
    scale = (1 + case.k) * (largest + 0.01)[:, None] * np.ones_like(want)
    error = abs(grid - want) / scale
    assert (error[ordinary & (largest < 1e6)] < 1e-14).all()


def test_the_margin_moves_both_ends_by_its_share_of_the_range() -> None:
    x = np.linspace(0, 10, 101)[:, None]
    np.testing.assert_allclose(grid_from_samples(x, 2, 0, 0.0, margin=0.01)[0], [-0.1, 5.0, 10.1], rtol=1e-15)
    np.testing.assert_allclose(grid_from_samples(x, 2, 0, 1.0, margin=0.1)[0], [-1, 5, 11], rtol=1e-15)
    np.testing.assert_allclose(grid_from_samples(0 * x, 2, 0, margin=0.1)[0], [-0.01, 0, 0.01], rtol=1e-15)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e4, 1e-300])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_gets_a_hundredth_on_both_sides(value: float, dtype: type) -> None:
    grid = grid_from_samples(np.full((3, 1), value), 4, 2, dtype=dtype)[0, 2:-2]
    ulp = np.spacing(np.float32(abs(value) + 0.01)) if dtype == np.float32 else np.spacing(abs(value) + 0.01)
    np.testing.assert_allclose(grid.astype(float), value + 0.005 * np.arange(-2, 3), rtol=0, atol=2 * float(ulp))


@pytest.mark.parametrize("G", [1, 5, 50])
def test_a_constant_gets_more_where_the_dtype_cannot_hold_the_steps(G: int) -> None:
    for value, dtype in ((1e8, np.float32), (1e20, np.float64), (-3e5, np.float32)):
        grid = grid_from_samples(np.full((1, 1), value), G, 3, dtype=dtype)[0]
        assert (np.diff(grid[3:-3].astype(float)) >= 4 * np.spacing(abs(grid[3:-3]).max()).astype(float)).all()
        assert grid[3] <= dtype(value) - 0.01 <= dtype(value) + 0.01 <= grid[-4]
        assert (np.diff(grid) > 0).all()


@pytest.mark.parametrize("spacings", [*range(1, 30), 200])
def test_a_narrow_range_keeps_its_ends_where_the_steps_fit_and_is_widened_where_not(spacings: int) -> None:
    for start in (1.0, 1.0 - 8 * 2.0**-53, -1.0, 2.0**-30, 0.7):
        low = np.float64(start)
        unit = np.spacing(abs(low))
        x = (low + unit * np.array([0, spacings]))[:, None]
        for G in (1, 3, 7):
            for grid_eps in (0.0, 1.0):
                grid = grid_from_samples(x, G, 2, grid_eps)[0, 2:-2]
                spacing = np.spacing(abs(x).max())
                assert (np.diff(grid) >= 4 * np.spacing(abs(grid).max())).all()
                if x[1, 0] - x[0, 0] >= 4 * G * spacing:
                    assert grid[0] == x[0, 0]
                    assert grid[-1] == x[1, 0]
                else:
                    assert grid[0] <= x[0, 0] - 0.0099
                    assert grid[-1] >= x[1, 0] + 0.0099


def test_ties_are_moved_apart_by_the_least_gap_the_ends_unmoved() -> None:
    x = np.repeat([0.0, 1.0], 50)[:, None]
    grid = grid_from_samples(x, 4, 0, grid_eps=0.0)[0]
    gap = 1e-6 / 4
    np.testing.assert_allclose(grid, [0, gap, 1 - 2 * gap, 1 - gap, 1], rtol=0, atol=1e-15)
    assert grid[0] == 0.0
    assert grid[-1] == 1.0


def test_fewer_samples_than_intervals_still_give_a_grid() -> None:
    for grid_eps in (0.0, 0.5, 1.0):
        grid = grid_from_samples([[1.0], [-1.0]], 20, 3, grid_eps)
        assert (np.diff(grid) > 0).all()
        assert grid[0, 3] == -1.0
        assert grid[0, -4] == 1.0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x": [[0.0, np.nan], [np.inf, 1.0]]}, r"`x` must be finite, not with 2 NaN or infinite entries.*\(0, 1\)"),
        ({"x": np.zeros((0, 2))}, "`x` must hold at least one sample, not 0"),
        ({"x": [0.0, 1.0]}, r"`x` must have shape \(n, n_columns\), not \(2,\)"),
        ({"x": [[-1.7e308], [1.7e308]]}, "`x` must span a range that float64 holds"),
        ({"x": [[-1e308], [1e308]], "k": 5}, "`x` must span a range that float64 holds"),
        ({"x": [[-3e38], [3e38]], "dtype": np.float32}, "`x` must span a range that float32 holds"),
        ({"grid_eps": 1.5}, r"`grid_eps` must lie in \[0, 1\], not 1.5"),
        ({"margin": -0.1}, "`margin` must be at least 0, not -0.1"),
        ({"G": 0}, "`G` must be at least 1, not 0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_G_ERR_bad_arguments_of_grids_are_named(change: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        grid_from_samples(**{"x": [[0.0], [1.0]], "G": 3, "k": 2, **change})


def test_coverage_counts_samples_outside_and_empty_spans() -> None:
    basis = SplineBasis(extend_grid([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 3.0]], 2), 2)
    x = [[0.0, 3.0], [1.0, 1.0], [3.1, -0.1], [np.nan, 3.0]]
    got = coverage(x, basis)
    np.testing.assert_array_equal(got.outside, [0.5, 0.25])
    np.testing.assert_array_equal(got.empty_spans, [1, 1])
    none = coverage(np.zeros((0, 2)), basis)
    assert np.isnan(none.outside).all()
    np.testing.assert_array_equal(none.empty_spans, [3, 2])
