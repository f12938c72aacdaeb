"""numkan.spline.curve: curves from coefficients and back, under every policy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan.conformance.adapter import Array
from numkan.spline import extend_grid
from numkan.spline.curve import coef2curve, curve2coef
from tests import naive
from tests.strategies import cases, degrees

POLICIES = ("fade", "continue", "linear", "clamp", "nan", "raise")


def uniform(k: int, G: int = 5, n_in: int = 1, width: float = 1.0) -> Array:
    return extend_grid(np.tile(np.linspace(-width, width, G + 1), (n_in, 1)), k)


def layer(k: int, seed: int = 0, G: int = 5, n_in: int = 3, n_out: int = 2) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    knots = np.sort(rng.uniform(-1, 1, (n_in, G + 1)), axis=1)
    return extend_grid(knots, k), rng.normal(size=(n_in, n_out, G + k))


def expected(x: Array, grid: Array, coef: Array, k: int, nu: int, policy: str) -> Array:
    """The policies from their definitions: end polynomials by Taylor's formula, from the slow twin's derivatives."""
    inside = naive.coef2curve(x, grid, coef, k, nu)
    if policy == "fade":
        return inside
    ends = grid[:, k], grid[:, grid.shape[1] - 1 - k]
    length = ends[1] - ends[0]
    out = inside.copy()
    for side, sign in enumerate((-1, 1)):
        end = ends[side]
        reach = end + sign * 0.03 * length
        derivatives = [naive.coef2curve(end[None], grid, coef, k, m)[0] for m in range(k + 1)]

        def taylor(at: Array, m: int, end: Array = end, derivatives: Any = derivatives) -> Array:
            terms = [derivatives[q] * (at - end)[..., None] ** (q - m) / math.factorial(q - m) for q in range(m, k + 1)]
            return sum(terms, np.zeros((*np.shape(at), coef.shape[1])))

        beyond = sign * (x - end) > 0
        start = reach if policy == "continue" else end
        line = taylor(start, 0) + taylor(start, 1) * (x - start)[..., None]
        straight = {0: line, 1: np.broadcast_to(taylor(start, 1), line.shape)}.get(nu, np.zeros_like(line))
        if policy == "clamp":
            straight = np.broadcast_to(derivatives[0], line.shape) if nu == 0 else np.zeros_like(line)
        if policy in ("nan", "raise"):
            straight = np.full_like(line, np.nan)
        if policy == "continue":
            near = sign * (x - reach) <= 0
            straight = np.where(near[..., None], taylor(x, nu), straight)
        out = np.where(beyond[..., None], straight, out)
    return out


@pytest.mark.parametrize("k", range(6))
@pytest.mark.parametrize("policy", POLICIES[:5])
def test_every_policy_holds_for_the_value_and_every_derivative(policy: str, k: int) -> None:
    grid, coef = layer(k)
    low, high = grid[:, k], grid[:, grid.shape[1] - 1 - k]
    shares = np.array([-1.0, -0.3, -0.031, -0.029, -0.001, 0.0, 0.2, 0.55, 0.9, 1.0, 1.01, 1.029, 1.031, 1.5])
    x = low + shares[:, None] * (high - low)
    x[shares == 1.0] = high
    for nu in range(k + 2):
        got = coef2curve(x, grid, coef, k, nu, extrapolate=policy)
        want = expected(x, grid, coef, k, nu, policy)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * np.nanmax(abs(want), initial=1.0))


def test_raise_names_how_many_points_lie_outside_and_the_first() -> None:
    grid, coef = uniform(2, n_in=2), np.ones((2, 1, 7))
    x = np.array([[0.0, 0.5], [0.1, 1.5], [-3.0, 0.0]])
    with pytest.raises(
        ValueError, match=r"`x_eval` must lie inside the grid.* 2 entries, the first \(1.5\) at \(1, 1\)"
    ):
        coef2curve(x, grid, coef, 2, extrapolate="raise")
    assert coef2curve([[-1.0, 1.0], [np.nan, 0.0]], grid, coef, 2, extrapolate="raise").shape == (2, 2, 1)


@given(case=cases(), nu=st.integers(0, 3))
def test_plain_curves_are_those_of_the_slow_twin(case: Any, nu: int) -> None:
    grid, coef = case.knots[None], case.coef[None, None]
    x = np.concatenate([case.inside, case.anywhere])[:, None]
    got = coef2curve(x, grid, coef, case.k, nu)
    assert got.dtype == case.knots.dtype
    wide = grid.astype(float)
    with np.errstate(all="ignore"):
        want = naive.coef2curve(x.astype(float), wide, coef.astype(float), case.k, nu)
        # a local polynomial has an absolute error: the largest derivative that the span's own width allows
        step = np.diff(wide[0])[np.diff(wide[0]) > 0].min()
        largest = np.abs(naive.B_batch(x.astype(float), wide, case.k, nu)).max()
    size = max(largest, 1.0 if nu == 0 else (2 * case.k / step) ** nu)
    np.testing.assert_allclose(got, want, rtol=0, atol=64 * (case.k + 1) * case.eps * size * (1 + abs(coef).max()))


@pytest.mark.parametrize("policy", POLICIES)
def test_P_NAN_nan_in_gives_nan_out_at_that_input_only(policy: str) -> None:
    grid, coef = layer(3)
    x = np.zeros((4, 3)) + grid[:, 4]
    whole = coef2curve(x, grid, coef, 3, extrapolate=policy)
    x[2, 1] = np.nan
    got = coef2curve(x, grid, coef, 3, extrapolate=policy)
    assert np.isnan(got[2, 1]).all()
    got[2, 1] = whole[2, 1]
    np.testing.assert_array_equal(got, whole)


def test_dtype_is_float32_only_where_everything_is() -> None:
    grid, coef = layer(3)
    x = np.zeros((2, 3))
    single = [a.astype(np.float32) for a in (x, grid, coef)]
    assert coef2curve(*single, 3).dtype == np.float32
    assert coef2curve(x, single[1], single[2], 3).dtype == np.float64
    y = coef2curve(*single, 3)
    assert curve2coef(single[0], y, single[1], 3).dtype == np.float32
    assert curve2coef(single[0], y.astype(float), single[1], 3).dtype == np.float64


def test_one_row_of_points_or_knots_serves_all_inputs() -> None:
    grid, coef = uniform(2), np.random.default_rng(0).normal(size=(3, 2, 7))
    x = np.linspace(-1, 1, 5)[:, None]
    got = coef2curve(x, grid, coef, 2)
    np.testing.assert_array_equal(got, coef2curve(np.tile(x, 3), np.tile(grid, (3, 1)), coef, 2))
    x = np.linspace(-1, 1, 30)[:, None]
    back = curve2coef(x, coef2curve(x, grid, coef, 2), grid, 2)
    np.testing.assert_allclose(back, coef, atol=1e-12)


def test_no_points_give_no_curves() -> None:
    grid, coef = layer(3)
    assert coef2curve(np.zeros((0, 3)), grid, coef, 3).shape == (0, 3, 2)


@given(k=degrees(), seed=st.integers(0, 100))
def test_coefficients_come_back_from_their_curves(k: int, seed: int) -> None:
    grid, coef = layer(k, seed, G=3)
    low, high = grid[:, k], grid[:, grid.shape[1] - 1 - k]
    shares = np.concatenate([(np.diff(grid[i, k : k + 4]).cumsum() / (high - low)[i]) for i in range(3)])
    x = low + np.sort(np.concatenate([np.linspace(0, 1, 30), shares - 1e-3]))[:, None] * (high - low)
    y = coef2curve(x, grid, coef, k)
    back, info = curve2coef(x, y, grid, k, return_info=True)
    kappa = max(np.linalg.cond(naive.B_batch(x, grid, k)[:, i]) for i in range(3))
    if kappa < 1e10:
        assert (info.rank == 3 + k).all()
        np.testing.assert_allclose(back, coef, rtol=0, atol=1e-14 * kappa * 10)
        assert (info.residual < 1e-24).all()


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_fits_are_those_of_scipy_make_lsq_spline(k: int) -> None:
    from scipy.interpolate import make_lsq_spline

    rng = np.random.default_rng(k)
    x = np.sort(rng.uniform(-1, 1, 200))
    y, w = np.stack([np.sin(3 * x), rng.normal(size=200)], axis=1), rng.uniform(0.5, 2, 200)
    grid = uniform(k)
    clamped = np.concatenate([np.full(k, -1.0), grid[0, k:-k], np.full(k, 1.0)])[None]
    got = curve2coef(x[:, None], y[:, None], clamped, k, sample_weight=w**2)
    want = make_lsq_spline(x, y, clamped[0], k, w=w)  # scipy multiplies residuals, not their squares, by w
    np.testing.assert_allclose(got[0], want.c.T, rtol=0, atol=1e-12)


def test_a_short_rank_gives_the_least_norm_and_says_so() -> None:
    x, y = np.array([[-0.9], [-0.85], [0.9]]), np.array([[[1.0]], [[2.0]], [[3.0]]])
    coef, info = curve2coef(x, y, uniform(3), 3, return_info=True)
    np.testing.assert_allclose(coef, naive.curve2coef(x, y, uniform(3), 3), rtol=1e-10, atol=1e-12)
    assert info.rank.tolist() == [3]
    np.testing.assert_allclose(info.residual, 0, atol=1e-25)


def test_the_residual_is_the_weighted_sum_of_squares() -> None:
    rng = np.random.default_rng(4)
    x, y, w = rng.uniform(-1, 1, (50, 2)), rng.normal(size=(50, 2, 3)), rng.uniform(0, 2, 50)
    grid = uniform(3, n_in=2)
    coef, info = curve2coef(x, y, grid, 3, sample_weight=w, return_info=True)
    left = y - coef2curve(x, grid, coef, 3)
    np.testing.assert_allclose(info.residual, np.einsum("n,nio->io", w, left**2), rtol=1e-12)


def test_a_sample_of_weight_zero_is_not_there_to_the_bit() -> None:
    rng = np.random.default_rng(8)
    x, y, w = rng.uniform(-1, 1, (900, 1)), rng.normal(size=(900, 1, 2)), (rng.random(900) > 0.4).astype(float)
    keep = w > 0
    got = curve2coef(x, y, uniform(3), 3, sample_weight=w)
    np.testing.assert_array_equal(got, curve2coef(x[keep], y[keep], uniform(3), 3))


@pytest.mark.jit
def test_samples_of_many_outputs_go_through_in_blocks_and_nothing_changes() -> None:
    rng = np.random.default_rng(5)
    x, grid, coef = rng.uniform(-1, 1, (2000, 2)), uniform(3, n_in=2), rng.normal(size=(2, 700, 8))
    y = coef2curve(x, grid, coef, 3)
    np.testing.assert_array_equal(coef2curve(x[740:760], grid, coef[:, :5], 3), y[740:760, :, :5])
    y += rng.normal(size=y.shape)
    few = curve2coef(x, y[:, :, :3], grid, 3)
    np.testing.assert_allclose(curve2coef(x, y, grid, 3)[:, :3], few, rtol=0, atol=1e-12)


@pytest.mark.parametrize("policy", ["continue", "linear", "clamp"])
def test_a_fit_under_a_policy_uses_the_samples_outside(policy: str) -> None:
    grid, coef = uniform(3), np.random.default_rng(6).normal(size=(1, 2, 8))
    x = np.linspace(-1.4, 1.4, 60)[:, None]
    y = coef2curve(x, grid, coef, 3, extrapolate=policy)
    np.testing.assert_allclose(curve2coef(x, y, grid, 3, extrapolate=policy), coef, atol=1e-11)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x_eval": [[np.nan], [0.0]]}, "`x_eval` must be finite, not with 1 NaN"),
        ({"y_eval": [[[0.0]], [[np.inf]]]}, r"`y_eval` must be finite.*\(1, 0, 0\)"),
        ({"y_eval": [[0.0], [1.0]]}, r"`y_eval` must have shape \(n, n_in, n_out\), not \(2, 1\)"),
        ({"y_eval": np.zeros((0, 1, 1)), "x_eval": np.zeros((0, 1))}, "`y_eval` must hold at least one sample"),
        ({"x_eval": [[0.0]]}, "`x_eval` must have 2 rows"),
        ({"x_eval": [[0.0, 1.0], [0.0, 1.0]]}, "`x_eval` must have 1 columns"),
        ({"grid": np.tile(uniform(2), (3, 1))}, "`grid` must have 1 rows"),
        ({"sample_weight": [1.0]}, r"`sample_weight` must have shape \(2,\)"),
        ({"sample_weight": [1.0, -1.0]}, "`sample_weight` must not be negative, not -1.0 at 1"),
        ({"sample_weight": [0.0, 0.0]}, "`sample_weight` must have a positive entry"),
        ({"sample_weight": [1.0, np.nan]}, "`sample_weight` must be finite"),
        ({"extrapolate": "nan", "x_eval": [[0.0], [2.0]]}, "`x_eval` must lie inside the grid"),
        ({"extrapolate": "fad"}, "Did you mean 'fade'"),
        ({"k": -1}, "`k` must be at least 0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_G_ERR_bad_arguments_of_fits_are_named(change: dict[str, Any], match: str) -> None:
    arguments = {"x_eval": [[0.0], [0.5]], "y_eval": [[[0.0]], [[1.0]]], "grid": uniform(2), "k": 2, **change}
    positional = [arguments.pop(name) for name in ("x_eval", "y_eval", "grid", "k")]
    with pytest.raises(ValueError, match=match):
        curve2coef(*positional, **arguments)


def test_bad_arguments_of_curves_are_named() -> None:
    with pytest.raises(ValueError, match=r"`coef` must have shape \(n_in, n_out, 7\)"):
        coef2curve([[0.0]], uniform(2), np.zeros((1, 1, 6)), 2)
    with pytest.raises(ValueError, match="`nu` must be at least 0"):
        coef2curve([[0.0]], uniform(2), np.zeros((1, 1, 7)), 2, -1)
    with pytest.raises(ValueError, match="`x_eval` must have 1 columns"):
        coef2curve([[0.0, 1.0]], uniform(2), np.zeros((1, 1, 7)), 2)


def test_any_container_gives_the_same_bits() -> None:
    grid, coef = layer(3)
    x = np.random.default_rng(7).uniform(-1, 1, (6, 3))
    want = coef2curve(x, grid, coef, 3)
    twisted = np.asfortranarray(x), grid[:, ::-1][:, ::-1].tolist(), coef.astype(">f8")
    np.testing.assert_array_equal(coef2curve(*twisted, 3), want)
