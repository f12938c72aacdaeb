"""B_batch against exact rationals, scipy, the slow twin; conventions, broadcasting, bad input."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from numkan._check import FloatArray
from numkan.conformance.cases import Case
from numkan.conformance.laws.derivatives import worst_derivative_error
from numkan.conformance.laws.values import worst_relative_error
from numkan.spline import B_batch, basis, extend_grid
from numkan.spline.basis import basis_at_knots
from tests import exact, naive
from tests.implementations import NumkanSplines
from tests.strategies import cases, degrees, dtypes, knot_vectors, points

TUTORIAL = extend_grid(np.linspace(-1, 1, 6)[None, :], k_extend=3)


def test_golden_values_of_degree_3_on_twelve_integers() -> None:
    values = B_batch([[11 / 5]], np.arange(1.0, 13.0)[None], 3)[0, 0]
    slopes = B_batch([[11 / 5]], np.arange(1.0, 13.0)[None], 3, nu=1)[0, 0]
    assert values[:3] == pytest.approx([106 / 375, 1 / 750, 0], rel=4e-15, abs=0)
    assert slopes[0] == pytest.approx(16 / 25, rel=4e-15)


def test_golden_values_on_repeated_knots() -> None:
    knots = np.array([[1.0, 1, 1, 2, 3, 4, 4, 4]])
    assert B_batch([[2.0]], knots, 3)[0, 0] == pytest.approx([1 / 4, 7 / 12, 1 / 6, 0], rel=4e-15)
    assert B_batch([[2.0]], knots, 2)[0, 0].tolist() == [0, 0.5, 0.5, 0, 0]


def test_the_oracle_gives_the_golden_values() -> None:
    assert exact.basis(Fraction(11, 5), range(1, 13), 3)[:2] == [Fraction(106, 375), Fraction(1, 750)]
    assert exact.basis(Fraction(11, 5), range(1, 13), 3, 1)[0] == Fraction(16, 25)
    assert exact.basis(2, [1, 1, 1, 2, 3, 4, 4, 4], 3) == [Fraction(1, 4), Fraction(7, 12), Fraction(1, 6), 0]


def test_tutorial_call_has_the_tutorial_shape() -> None:
    x = np.linspace(-1, 1, 1001)[None, :]
    values = B_batch(x, TUTORIAL, k=3)
    assert values.shape == (1, 1001, 8)
    np.testing.assert_array_equal(values[0], B_batch(x.T, TUTORIAL, 3)[:, 0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("k", range(6))
@pytest.mark.parametrize("kind", ["graded", "repeated", "tiny", "far"])
def test_values_and_derivatives_stay_within_the_bound(kind: str, k: int, dtype: type) -> None:
    rng = np.random.default_rng(1000 * k + len(kind))
    for _ in range(2):
        case = _hard_case(rng, kind, k, dtype)
        assert worst_relative_error(NumkanSplines(), case) <= 1
        for nu in range(1, k + 1):
            assert worst_derivative_error(NumkanSplines(), case, nu) <= 1


def _hard_case(rng: np.random.Generator, kind: str, k: int, dtype: type) -> Case:
    """Knots that are hard in one way, with points near knots and across spans."""
    G = 5
    gaps = 10.0 ** rng.uniform(-3, 3, G + 2 * k) if kind == "graded" else rng.uniform(0.5, 2, G + 2 * k)
    small = rng.random(len(gaps)) < 0.5
    small[k] = False
    if kind in ("repeated", "tiny"):
        gaps[small] *= 0.0 if kind == "repeated" else {np.float64: 1e-12, np.float32: 1e-5}[dtype]
    start = {np.float64: 1e8, np.float32: 4096.0}[dtype] if kind == "far" else -gaps[:k].sum()
    knots = (start + np.concatenate([[0.0], np.cumsum(gaps)])).astype(dtype)
    low, high = knots[k], knots[k + G]
    x = np.concatenate([rng.uniform(low, high, 4), knots[k : k + 3] * (1 + 1e-6), [np.nextafter(high, low)]])
    return Case(knots, k, np.clip(x.astype(dtype), low, high), knots, np.ones(G + k, dtype))


@given(case=cases(maximum_degree=8), nu=st.integers(0, 9))
def test_slow_twin_agrees(case: Case, nu: int) -> None:
    x = np.concatenate([case.inside, case.anywhere]).astype(np.float64)
    knots = case.knots.astype(np.float64)
    fast, slow = B_batch(x[:, None], knots[None], case.k, nu), naive.B_batch(x[:, None], knots[None], case.k, nu)
    floor = Fraction(float(np.finfo(float).tiny)) * 2**60
    for n, point in enumerate(x):
        bound = [float(min(m, Fraction(10) ** 300)) for m in exact.magnitudes(point, knots, case.k, nu, floor)]
        error = np.abs(fast[n, 0] - slow[n, 0])
        assert (error <= 16 * (case.k + 1) * 2.0**-53 * np.array(bound) + 1e-290).all(), (point, error, bound)


@pytest.mark.parametrize("k", range(6))
def test_scipy_agrees_on_the_open_domain(k: int) -> None:
    rng = np.random.default_rng(k)
    knots = np.cumsum(rng.uniform(0.1, 1, 8 + 2 * k))
    n_basis = len(knots) - k - 1
    x = np.sort(rng.uniform(knots[k], knots[n_basis], 40))
    for nu in range(k + 1):
        expected = BSpline(knots, np.eye(n_basis), k)(x, nu=nu)
        got = B_batch(x[:, None], knots[None], k, nu)[:, 0]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 * max(1.0, np.abs(expected).max()))


@given(data=st.data(), k=degrees(), dtype=dtypes())
def test_broadcasting_is_columnwise_evaluation(data: st.DataObject, k: int, dtype: type) -> None:
    knots = data.draw(knot_vectors(k, dtype))
    x = data.draw(points(knots, k))
    shared_grid = B_batch(np.stack([x, x[::-1]], axis=1), knots[None], k)
    shared_x = B_batch(x[:, None], np.stack([knots, knots - 1]), k)
    np.testing.assert_array_equal(shared_grid[:, 1], B_batch(x[::-1, None], knots[None], k)[:, 0])
    np.testing.assert_array_equal(shared_x[:, 1], B_batch(x[:, None], (knots - 1)[None], k)[:, 0])
    assert shared_grid.dtype == shared_x.dtype == dtype


def test_closed_right_end_takes_the_last_non_empty_interval() -> None:
    knots = np.array([[0.0, 1, 2, 3, 3, 4, 5]])  # k = 2: domain [2, 3], then a repeat in the padding
    inside = np.array([[0.0, 1, 2, 3, 3, 3, 4, 5]])  # the repeat inside: spans of the domain [2, 3], [3, 3]
    for grid in (knots, inside):
        for nu in range(3):
            last = grid.shape[1] - 3
            end, near = grid[0, last], np.nextafter(grid[0, last], 0)
            got = B_batch([[end], [near]], grid, 2, nu)[:, 0]
            np.testing.assert_allclose(got[0], got[1], rtol=1e-14, atol=1e-14)
    assert B_batch([[1.0]], [[0.0, 0.5, 1.0]], 0)[0, 0].tolist() == [0, 1]


def test_slope_at_the_right_end_of_degree_1_is_the_inner_one() -> None:
    assert B_batch([[2.0]], [[0.0, 1.0, 2.0, 3.0]], 1, nu=1)[0, 0].tolist() == [-1, 1]


def test_padded_part_is_evaluated_and_zero_beyond() -> None:
    values = B_batch([[-2.2], [-2.0], [2.0], [2.2], [3.0]], TUTORIAL, 3)[:, 0]
    assert values[1, 0] == pytest.approx(0.5**3 / 6)
    np.testing.assert_allclose(values[2], values[1, ::-1], atol=1e-15)
    assert not values[[0, 3, 4]].any()
    assert not values[1, 1:].any()


def test_nan_gives_nan_and_infinities_give_zeros_for_every_order() -> None:
    for nu in (0, 1, 3, 4, 99):
        values = B_batch([[np.nan, np.inf, -np.inf, 0.0]], TUTORIAL, 3, nu)[0]
        assert np.isnan(values[0]).all()
        assert not values[1:3].any()
        assert np.isfinite(values[3]).all()
        if nu > 3:
            assert not values[1:].any()


@pytest.mark.parametrize(
    ("x", "grid", "expected"),
    [
        (np.float32, np.float32, np.float32),
        (np.float32, np.float64, np.float64),
        (np.int8, np.float32, np.float64),
        (np.float16, np.float32, np.float64),
        (np.dtype(">f4"), np.float32, np.float32),
        (np.int64, np.int64, np.float64),
    ],
)
def test_result_dtype(x: Any, grid: Any, expected: type) -> None:
    assert B_batch(np.zeros((2, 1), x), np.arange(8).astype(grid)[None], 2).dtype == expected


def test_any_container_gives_the_same_bits() -> None:
    x = np.linspace(-3, 3, 21).reshape(7, 3)
    grid = np.stack([TUTORIAL[0], 2 * TUTORIAL[0], TUTORIAL[0] - 1])
    expected = B_batch(x, grid, 3)
    frozen = x.copy()
    frozen.setflags(write=False)
    wide = np.zeros((14, 6))
    wide[::2, ::2] = x
    for other in (np.asfortranarray(x), x.tolist(), x[::-1][::-1], wide[::2, ::2], x.astype(">f8"), frozen):
        np.testing.assert_array_equal(B_batch(other, grid, 3), expected)
    for other in (np.asfortranarray(grid), grid.tolist(), grid.astype(">f8")):
        np.testing.assert_array_equal(B_batch(x, other, 3), expected)


@pytest.mark.jit
def test_long_batches_are_cut_without_a_trace() -> None:
    x = np.linspace(0, 3, 600_000)[:, None]
    whole = B_batch(x, [[0.0, 1.0, 2.0, 3.0]], 1)
    rows = slice(524_200, 524_400)
    np.testing.assert_array_equal(B_batch(x[rows], [[0.0, 1.0, 2.0, 3.0]], 1), whole[rows])


def test_empty_batch_and_no_inputs() -> None:
    assert B_batch(np.zeros((0, 1)), TUTORIAL, 3).shape == (0, 1, 8)
    assert B_batch(np.zeros((0, 5)), TUTORIAL, 3).shape == (0, 5, 8)
    assert B_batch(np.zeros((4, 0)), TUTORIAL, 3).shape == (4, 0, 8)


def test_float32_kernel_does_float32_arithmetic() -> None:
    """Plain Python on NumPy scalars rounds after each operation: the same bits mean that no float64 sneaked in."""
    rng = np.random.default_rng(0)
    plain = getattr(basis.local_basis, "py_func", basis.local_basis)
    for k in range(6):
        knots = np.cumsum(rng.uniform(0.1, 1, 8 + 2 * k)).astype(np.float32)
        counts = np.arange(k + 1, dtype=np.float32)
        for nu in range(k + 1):
            for x in rng.uniform(knots[0], knots[-1], 5).astype(np.float32):
                found: list[FloatArray] = [np.zeros(k + 1, np.float32) for _ in range(2)]
                with np.errstate(all="ignore"):
                    j = plain(x, knots, k, nu, counts, found[0])
                    assert basis.local_basis(x, knots, k, nu, counts, found[1]) == j
                np.testing.assert_array_equal(*found)


def test_knots_too_close_for_a_quotient_still_give_finite_values() -> None:
    tiny = 5e-324
    knots = np.array([[0.0, 0, 0, tiny, 1, 1, 1]])
    assert B_batch([[0.0], [tiny]], knots, 2)[:, 0].tolist() == [[1, 0, 0, 0], [0, 1, tiny, 0]]


@pytest.mark.parametrize(
    ("x", "grid", "k", "nu", "sentence"),
    [
        ([0.5], TUTORIAL, 3, 0, r"Argument `x` must have shape \(n, n_columns\), not \(1,\)\."),
        ([[0.5]], TUTORIAL[0], 3, 0, r"Argument `grid` must have shape \(n_in, n_knots\), not \(12,\)\."),
        ([[0.5, 1, 2]], np.tile(TUTORIAL, (2, 1)), 3, 0, r"Argument `x` must have as many columns as `grid` has rows"),
        ([[0.5]], TUTORIAL, -1, 0, r"Argument `k` must be at least 0, not -1\."),
        ([[0.5]], TUTORIAL, 3, -2, r"Argument `nu` must be at least 0, not -2\."),
        (
            [[0.5]],
            TUTORIAL,
            6,
            0,
            r"Argument `grid` must have at least 2k \+ 2 = 14 knots a row for degree k = 6, not 12\.",
        ),
        ([[0.5]], [[0.0, 2, 1, 3]], 1, 0, r"not fall from 2\.0 to 1\.0 at knot 2 of row 0\."),
    ],
)
def test_bad_values_are_named(x: Any, grid: Any, k: Any, nu: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        B_batch(x, grid, k, nu)


@pytest.mark.parametrize(
    ("x", "k", "sentence"),
    [
        ([[0.5]], 2.5, r"Argument `k` must be an integer, not 2\.5\."),
        ([[0.5]], True, r"Argument `k` must be an integer, not True\."),
        ([[1j]], 3, r"Argument `x` must hold real numbers, not dtype complex128\."),
        ([["a"]], 3, r"Argument `x` must hold real numbers"),
        (np.ma.masked_array([[0.5]], [[True]]), 3, r"Argument `x` must not be a masked array"),
    ],
)
def test_bad_types_are_named(x: Any, k: Any, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        B_batch(x, TUTORIAL, k)


def test_ragged_rows_are_named() -> None:
    with pytest.raises(ValueError, match=r"Argument `x` must have rows of equal length"):
        B_batch([[0.0, 1.0], [1.0]], TUTORIAL, 3)


@pytest.mark.parametrize("k", range(6))
@pytest.mark.parametrize("ends", [(-1.0, 1.0), (0.0, 3e-310), (1e6, 1e6 + 1)])
def test_functions_at_the_knots_have_the_bits_of_b_batch(ends: tuple[float, float], k: int) -> None:
    for n in (1, 2, 5, 40):
        knots = extend_grid(np.linspace(*ends, n + 1)[None], k)
        expected = B_batch(knots[:, k : n + k + 1].T, knots, k)[:, 0]
        np.testing.assert_array_equal(basis_at_knots(knots[0], k), expected)
