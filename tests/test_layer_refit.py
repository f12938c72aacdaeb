"""numkan.layer.refit: coefficients that follow the knots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan.conformance.cases import GridCase
from numkan.conformance.laws.grids import preserved
from numkan.layer.grid import coverage, grid_from_samples
from numkan.spline import SplineBasis, coef2curve, extend_grid
from tests import naive
from tests.grid_cases import NumkanGrids, project, refit, uniform_layer
from tests.strategies import degrees


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("width", [5e-324, 1e-310, 1e-300, 1e-45, 1e-39, 1e-30, 1e30, 1e150, 1e300])
def test_samples_of_any_size_are_fitted_or_named(width: float, dtype: type) -> None:
    if width > float(np.finfo(dtype).max):
        return
    x = (width * np.linspace(-1, 1, 20)[:, None]).astype(dtype)
    grid, coef = uniform_layer(3, n_in=1)
    new = grid_from_samples(x, 5, 3, 0.0, dtype=dtype)
    assert (np.diff(new) > 0).all()
    got = refit(x, grid.astype(dtype), coef.astype(dtype), new, 3)
    y = coef2curve(x, grid.astype(dtype), coef.astype(dtype), 3, extrapolate="continue")
    left = coef2curve(x, new, got, 3, extrapolate="continue") - y
    assert abs(left).max() <= 0.3 * abs(y).max()


@given(k=degrees(), seed=st.integers(0, 200), grid_eps=st.sampled_from([0.3, 1.0]))
def test_refits_are_those_of_the_slow_twin(k: int, seed: int, grid_eps: float) -> None:
    rng = np.random.default_rng(seed)
    grid, coef = uniform_layer(k, seed, G=int(rng.integers(1, 5)))
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
    grid, coef = uniform_layer(3, G=5, n_in=1)
    x = np.concatenate([np.linspace(-1, -0.35, 200), [1.0]])[:, None]
    new = grid_from_samples(x, 40, 3)
    got = refit(x, grid, coef, new, 3)
    near = project(grid, coef, new, 3)
    assert coverage(x, SplineBasis(new, 3)).empty_spans[0] > 20
    untouched = np.flatnonzero(~naive.B_batch(x, new, 3)[:, 0].any(axis=0))
    assert len(untouched) > 15
    np.testing.assert_array_equal(got[:, :, untouched], near[:, :, untouched])
    hole = np.linspace(0, 0.8, 50)[:, None]
    np.testing.assert_allclose(
        coef2curve(hole, new, got, 3), coef2curve(hole, grid, coef, 3), atol=2e-3 * abs(coef).max()
    )


def test_one_sample_changes_nothing_but_the_grid() -> None:
    grid, coef = uniform_layer(3, n_in=1)
    new = grid_from_samples([[0.3]], 5, 3)
    got = refit([[0.3]], grid, coef, new, 3)
    x = np.linspace(0.29, 0.31, 21)[:, None]
    np.testing.assert_allclose(coef2curve(x, new, got, 3), coef2curve(x, grid, coef, 3), atol=1e-13)


@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp", "nan", "raise"])
def test_a_refit_follows_the_policy_on_both_sides(policy: str) -> None:
    k = 3
    grid, coef = uniform_layer(k)
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
    grid, coef = uniform_layer(k, k)
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
    grid, coef = uniform_layer(3)
    new = grid.copy()
    new[1] *= 1.5
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3))
    got = refit(x, grid, coef, new, 3)
    np.testing.assert_array_equal(got[[0, 2]], coef[[0, 2]])
    assert not np.array_equal(got[1], coef[1])


def test_a_refit_may_change_the_degree() -> None:
    grid, coef = uniform_layer(2, G=3)
    new = extend_grid(grid[:, 2:-2][:, [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]][:, 2:-2], 3)  # doubled: C1 again at the knots
    x = np.linspace(-1, 1, 100)[:, None] * np.ones(3)
    got = refit(x, grid, coef, new, 2, 3)
    np.testing.assert_allclose(coef2curve(x, new, got, 3), coef2curve(x, grid, coef, 2), atol=1e-12)


@pytest.mark.jit
def test_a_refit_of_many_outputs_goes_in_blocks_of_samples_and_is_that_of_few() -> None:
    grid, coef = uniform_layer(3, n_in=1, n_out=700)
    x = np.random.default_rng(2).normal(size=(2000, 1))
    new = grid_from_samples(x, 5, 3)
    few = refit(x, grid, coef[:, :3], new, 3)
    np.testing.assert_allclose(refit(x, grid, coef, new, 3)[:, :3], few, rtol=0, atol=1e-11)


def test_float32_layers_are_refitted_in_float64_and_rounded_once() -> None:
    grid, coef = (a.astype(np.float32) for a in uniform_layer(3))
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
    grid, coef = uniform_layer(2, n_in=1)
    arguments = {"x": [[0.0]], "grid": grid, "coef": coef, "new": 2 * grid, "k": 2, **change}
    with pytest.raises(ValueError, match=match):
        refit(**arguments)
