"""numkan.layer.grid, .refit and .refine: knots over samples, and coefficients that follow them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan.layer.grid import coverage, grid_from_samples, refined_grid
from numkan.layer.refine import grid_from_parent, refine_coef
from numkan.layer.refit import project, refit
from numkan.spline import extend_grid
from numkan.spline.curve import coef2curve
from tests import exact, naive
from tests.grid_cases import NumkanGrids, grid_cases
from tests.laws import Array
from tests.laws.grid import GridCase, preserved
from tests.strategies import degrees

#: What pykan's tutorial on grids prints for 1000 normal samples, with grid_eps = 1 and 0.
TUTORIAL_UNIFORM = [
    *(-8.3431, -6.8772, -5.4114, -3.9455, -2.4797, -1.0138, 0.4520, 1.9179, 3.3837, 4.8496, 6.3154, 7.7813)
]
TUTORIAL_ADAPTIVE = [
    *(-8.3431, -6.8772, -5.4114, -3.9455, -0.8148, -0.2487, 0.2936, 0.8768, 3.3837, 4.8496, 6.3154, 7.7813)
]


def layer(k: int, seed: int = 0, G: int = 5, n_in: int = 3, n_out: int = 2) -> tuple[Array, Array]:
    grid = extend_grid(np.tile(np.linspace(-1, 1, G + 1), (n_in, 1)), k)
    return grid, np.random.default_rng(seed).normal(size=(n_in, n_out, G + k))


# ---- knots over samples


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


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("width", [5e-324, 1e-310, 1e-300, 1e-45, 1e-39, 1e-30, 1e30, 1e150, 1e300])
def test_samples_of_any_size_are_fitted_or_named(width: float, dtype: type) -> None:
    if width > float(np.finfo(dtype).max):
        return
    x = (width * np.linspace(-1, 1, 20)[:, None]).astype(dtype)
    grid, coef = layer(3, n_in=1)
    new = grid_from_samples(x, 5, 3, 0.0, dtype=dtype)
    assert (np.diff(new) > 0).all()
    got = refit(x, grid.astype(dtype), coef.astype(dtype), new, 3)
    y = coef2curve(x, grid.astype(dtype), coef.astype(dtype), 3, extrapolate="continue")
    left = coef2curve(x, new, got, 3, extrapolate="continue") - y
    assert abs(left).max() <= 0.3 * abs(y).max()


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
    grid = extend_grid([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 3.0]], 2)
    x = [[0.0, 3.0], [1.0, 1.0], [3.1, -0.1], [np.nan, 3.0]]
    got = coverage(x, grid, 2)
    np.testing.assert_array_equal(got.outside, [0.5, 0.25])
    np.testing.assert_array_equal(got.empty_spans, [1, 1])
    none = coverage(np.zeros((0, 2)), grid, 2)
    assert np.isnan(none.outside).all()
    np.testing.assert_array_equal(none.empty_spans, [3, 2])


# ---- refits


@given(k=degrees(), seed=st.integers(0, 200), grid_eps=st.sampled_from([0.3, 1.0]))
def test_refits_are_those_of_the_slow_twin(k: int, seed: int, grid_eps: float) -> None:
    rng = np.random.default_rng(seed)
    grid, coef = layer(k, seed, G=int(rng.integers(1, 5)))
    x = rng.uniform(-1, 1.2, (int(rng.integers(1, 40)), 3))
    new = grid_from_samples(x, int(rng.integers(1, 6)), k, grid_eps)
    got, want = refit(x, grid, coef, new, k, extrapolate="fade"), naive.refit(x, grid, coef, new, k)
    for i in range(3):
        singular = np.linalg.svd(naive.B_batch(x, new, k)[:, i], compute_uv=False)
        used = singular[singular > 1e-13 * singular[0]]
        if used[-1] > 1e-6 * singular[0] and k < 5:  # elsewhere rounding errors choose among solutions
            size = max(1.0, abs(want[i]).max())
            np.testing.assert_allclose(got[i], want[i], rtol=0, atol=1e-12 * size * singular[0] / used[-1])


def test_an_empty_span_keeps_the_old_function() -> None:
    grid, coef = layer(3, G=5, n_in=1)
    x = np.concatenate([np.linspace(-1, -0.35, 200), [1.0]])[:, None]
    new = grid_from_samples(x, 40, 3)
    got = refit(x, grid, coef, new, 3)
    near = project(grid, coef, new, 3)
    assert coverage(x, new, 3).empty_spans[0] > 20
    untouched = np.flatnonzero(~naive.B_batch(x, new, 3)[:, 0].any(axis=0))
    assert len(untouched) > 15
    np.testing.assert_array_equal(got[:, :, untouched], near[:, :, untouched])
    hole = np.linspace(0, 0.8, 50)[:, None]
    np.testing.assert_allclose(
        coef2curve(hole, new, got, 3), coef2curve(hole, grid, coef, 3), atol=2e-3 * abs(coef).max()
    )


def test_one_sample_changes_nothing_but_the_grid() -> None:
    grid, coef = layer(3, n_in=1)
    new = grid_from_samples([[0.3]], 5, 3)
    got = refit([[0.3]], grid, coef, new, 3)
    x = np.linspace(0.29, 0.31, 21)[:, None]
    np.testing.assert_allclose(coef2curve(x, new, got, 3), coef2curve(x, grid, coef, 3), atol=1e-13)


@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp", "nan", "raise"])
def test_a_refit_follows_the_policy_on_both_sides(policy: str) -> None:
    k = 3
    grid, coef = layer(k)
    x = np.random.default_rng(1).uniform(-1.5, 1.5, (400, 3))
    new = grid_from_samples(x, 30, k)
    got = refit(x, grid, coef, new, k, extrapolate=policy)
    old_policy = "continue" if policy in ("nan", "raise") else policy
    want = coef2curve(x, grid, coef, k, extrapolate=old_policy)
    left = coef2curve(x, new, got, k, extrapolate=policy) - want
    assert np.sqrt((left**2).mean()) < 0.02 * abs(want).max()


@pytest.mark.parametrize("k", range(6))
def test_a_curve_that_the_new_knots_can_represent_stays_itself(k: int) -> None:
    rng = np.random.default_rng(k)
    grid, coef = layer(k, k)
    new = extend_grid(np.sort(np.concatenate([grid[:, k : k + 6], rng.uniform(-1, 1, (3, 4))], axis=1), axis=1), k)
    x = rng.uniform(-1, 1, (100, 3))
    for got in (project(grid, coef, new, k), refit(x, grid, coef, new, k), refit(x[:2], grid, coef, new, k)):
        np.testing.assert_allclose(coef2curve(x, new, got, k), coef2curve(x, grid, coef, k), atol=1e-11)


def test_G_PRES_holds_on_two_clusters_where_projections_have_large_coefficients() -> None:
    impl = NumkanGrids()
    for seed in range(120):
        rng = np.random.default_rng(seed)
        n, k, G = (int(rng.integers(low, high)) for low, high in ((5, 30), (3, 6), (2, 7)))
        x = (rng.choice([-1.0, 5.0], n) + 1e-3 * rng.normal(size=n))[:, None]
        grid = extend_grid(np.linspace(-1, 1, 4)[None], k)
        case = GridCase(x, grid, rng.uniform(-1, 1, (1, 2, 3 + k)), k, G, float(rng.choice([0, 0.02, 0.5, 1])))
        preserved.check(impl, case)


def test_inputs_whose_knots_stay_keep_their_coefficients() -> None:
    grid, coef = layer(3)
    new = grid.copy()
    new[1] *= 1.5
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3))
    got = refit(x, grid, coef, new, 3)
    np.testing.assert_array_equal(got[[0, 2]], coef[[0, 2]])
    assert not np.array_equal(got[1], coef[1])


def test_a_refit_may_change_the_degree() -> None:
    grid, coef = layer(2, G=3)
    new = extend_grid(grid[:, 2:-2][:, [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]][:, 2:-2], 3)  # doubled: C1 again at the knots
    x = np.linspace(-1, 1, 100)[:, None] * np.ones(3)
    got = refit(x, grid, coef, new, 2, 3)
    np.testing.assert_allclose(coef2curve(x, new, got, 3), coef2curve(x, grid, coef, 2), atol=1e-12)


def test_a_refit_in_blocks_is_the_refit(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, coef = layer(3)
    x = np.random.default_rng(2).normal(size=(150, 3))
    new = grid_from_samples(x, 5, 3)
    whole = refit(x, grid, coef, new, 3)
    monkeypatch.setattr("numkan.spline.curve._BLOCK_NUMBERS", 60)
    np.testing.assert_allclose(refit(x, grid, coef, new, 3), whole, rtol=0, atol=1e-11)


def test_float32_layers_are_refitted_in_float64_and_rounded_once() -> None:
    grid, coef = (a.astype(np.float32) for a in layer(3))
    x = np.random.default_rng(3).normal(size=(200, 3)).astype(np.float32)
    new = grid_from_samples(x, 7, 3, dtype=np.float32)
    got = refit(x, grid, coef, new, 3)
    assert got.dtype == new.dtype == np.float32
    wide = refit(*(a.astype(float) for a in (x, grid, coef, new)), 3)
    np.testing.assert_array_equal(got, wide.astype(np.float32))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x": [[np.nan]]}, "`x` must be finite"),
        ({"x": np.zeros((0, 1))}, "`x` must hold at least one sample"),
        ({"x": [[0.0, 1.0]]}, r"`x` must have shape \(n, 1\), not \(1, 2\)"),
        ({"extrapolate": "linaer"}, "Did you mean 'linear'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_G_ERR_bad_arguments_of_refits_are_named(change: dict[str, Any], match: str) -> None:
    grid, coef = layer(2, n_in=1)
    arguments = {"x": [[0.0]], "old_grid": grid, "coef": coef, "new_grid": 2 * grid, "k_old": 2, **change}
    with pytest.raises(ValueError, match=match):
        refit(**arguments)


# ---- refinement


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
    new = refined_grid(grid, G, k)
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
    new = refined_grid(extend_grid(interior, 3), G * times, 3)
    assert new.dtype == dtype
    np.testing.assert_array_equal(new[:, 3:-3][:, ::times], interior)
    want = [np.interp(np.linspace(0, G, G * times + 1), np.arange(G + 1), row) for row in interior]
    np.testing.assert_allclose(new[:, 3:-3], want, rtol=0, atol=(G + 8) * np.finfo(dtype).eps)


@pytest.mark.parametrize("G", [2, 4, 7, 13])
def test_other_grids_give_the_best_approximation(G: int) -> None:
    grid, coef = layer(3)
    new = refined_grid(grid, G, 3)
    got = refine_coef(grid, coef, new, 3)
    x = np.linspace(-1, 1, 4001)[:, None] * np.ones(3)
    y, weight = coef2curve(x, grid, coef, 3), np.full(4001, 2.0)
    weight[[0, -1]] = 1.0  # the trapezoidal rule
    best = naive.curve2coef(x, y, new, 3, weight)
    np.testing.assert_allclose(coef2curve(x, new, got, 3), coef2curve(x, new, best, 3), atol=1e-4)


def test_refining_to_the_same_number_keeps_the_function() -> None:
    grid, coef = layer(3)
    np.testing.assert_allclose(refine_coef(grid, coef, refined_grid(grid, 5, 3), 3), coef, atol=1e-15)


def test_knots_too_near_to_be_refined_coincide_and_the_function_stays() -> None:
    unit = np.float32(2.0**-23)
    grid = extend_grid((1 + unit * np.array([[0, 4, 8, 2**20]])).astype(np.float32), 1)
    coef = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
    new = refined_grid(grid, 30, 1)
    assert (np.diff(new) >= 0).all()
    assert (np.diff(new) == 0).any()
    got = refine_coef(grid, coef, new, 1)
    x = (1 + unit * np.array([0, 2, 4, 6, 8, 2**19, 2**20])).astype(np.float32)[:, None]
    np.testing.assert_allclose(coef2curve(x, new, got, 1), coef2curve(x, grid, coef, 1), atol=2e-6)


def test_a_child_starts_from_its_parents_curves() -> None:
    grid, coef = layer(3)
    x = np.random.default_rng(4).uniform(-1, 1, (300, 3))
    child, got = grid_from_parent(x, grid, coef, 3, G=10, k=3)
    np.testing.assert_array_equal(child, refined_grid(grid, 10, 3))
    np.testing.assert_allclose(coef2curve(x, child, got, 3), coef2curve(x, grid, coef, 3), atol=1e-12)
    lower, coarse = grid_from_parent(x, grid, coef, 3, G=40, k=1)
    assert lower.shape == (3, 43)
    assert coarse.shape == (3, 2, 41)
    left = coef2curve(x, lower, coarse, 1) - coef2curve(x, grid, coef, 3)
    assert np.sqrt((left**2).mean()) < 0.02 * abs(coef).max()
