"""numkan.spline.local and lookup: the piece of a point, and the functions there, beside the slow twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan.compile import kernel
from numkan.conformance.adapter import Array
from numkan.spline import extend_grid
from numkan.spline.local import curves, local_functions
from numkan.spline.lookup import find_piece
from numkan.spline.pieces import local_pieces
from numkan.spline.policies import EXTRAPOLATIONS
from tests import naive_network as naive

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("extrapolate", EXTRAPOLATIONS)
@pytest.mark.parametrize(
    ("low", "high", "bend"), [(-1, 1, 0), (0.1, 0.3, 0), (1e5, 1e5 + 1, 0), (-1, 1, 0.01), (0, 1, 9)]
)
def test_a_piece_is_found_at_every_break_and_beside_it(
    low: float, high: float, bend: float, extrapolate: str, dtype: np.dtype[Any]
) -> None:
    """Where breaks are so uniform that each has a cell of its own, where they hardly are, and where they are not."""
    share = np.linspace(0, 1, 51)
    knots = low + (high - low) * (share + bend * share**2) / (1 + bend)
    inputs = np.stack([knots, 2 * knots])
    pieces = local_pieces(extend_grid(inputs, k_extend=3).astype(dtype), 3, extrapolate)
    n_breaks = pieces.ends.shape[1] - 1
    if bend in (0, 9) and (low < 1000 or dtype == np.float64):
        assert (pieces.hint.shape[1] == n_breaks) == (bend == 0)

    @kernel
    def find(x, i, pieces, out):  # type: ignore[no-untyped-def]
        for s in range(x.shape[0]):
            out[s] = find_piece(x[s], i, pieces)

    for i in range(2):
        breaks = pieces.ends[i, :-1]
        beside = [np.nextafter(breaks, dtype.type(far)) for far in (-np.inf, np.inf)]
        middle, extremes = (breaks[1:] + breaks[:-1]) / 2, [np.nan, np.inf, -np.inf, 1e30, -1e30, 0]
        x = np.concatenate([breaks, *beside, middle, extremes]).astype(dtype)
        piece = np.full(len(x), -9)
        with np.errstate(all="ignore"):
            find(x, i, pieces, piece)
        np.testing.assert_array_equal(piece, (x[:, None] >= breaks).sum(axis=1))


def grid_of(k: int, dtype: Any = np.float64, n_in: int = 2) -> Array:
    knots = np.linspace(-1, 1, 7) + 0.1 * np.random.default_rng(k).uniform(-1, 1, (n_in, 7))
    return extend_grid(np.sort(knots, axis=1), k).astype(dtype)


def points_of(grid: Array, dtype: Any) -> Array:
    x = np.random.default_rng(0).uniform(-1.6, 1.6, (60, len(grid)))
    x[: grid.shape[1]] = grid.T
    return x.astype(dtype)


def dense(functions: Any, values: Array, n_basis: int) -> Array:
    out = np.zeros((*functions.first.shape, n_basis))
    for r in range(values.shape[2]):
        np.put_along_axis(out, functions.first[..., None] + r, values[..., [r]], axis=2)
    return out


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
@pytest.mark.parametrize("k", [0, 1, 2, 3, 5])
def test_values_and_slopes_are_those_of_the_twin(k: int, policy: str, dtype: Any) -> None:
    grid = grid_of(k, dtype)
    x = points_of(grid, dtype)
    functions = local_functions(x, local_pieces(grid, k, policy), slopes=True)
    exact, eps = grid.astype(np.float64), np.finfo(dtype).eps
    for nu, values in enumerate((functions.values, functions.slopes)):
        want = naive.basis(x.astype(np.float64), exact, k, policy, nu)
        got = dense(functions, values.astype(np.float64), want.shape[2])
        np.testing.assert_allclose(got, want, rtol=0, atol=200 * eps * max(1, abs(want).max()))


@pytest.mark.parametrize("k", [0, 1, 3, 4])
@pytest.mark.parametrize("policy", EXTRAPOLATIONS)
def test_slopes_are_the_values_of_the_derivatives_pieces(policy: str, k: int) -> None:
    grid = grid_of(k)
    x = points_of(grid, np.float64)
    slopes = local_functions(x, local_pieces(grid, k, policy), slopes=True).slopes
    want = local_functions(x, local_pieces(grid, k, policy, nu=1)).values
    np.testing.assert_allclose(slopes, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
@pytest.mark.parametrize("policy", ["fade", "clamp"])
def test_nan_gives_nan_and_infinity_the_constant_of_its_side(policy: str, k: int) -> None:
    pieces = local_pieces(grid_of(k), k, policy)
    functions = local_functions(np.array([[np.nan] * 2, [np.inf] * 2, [-np.inf] * 2, [9.0] * 2, [-9.0] * 2]), pieces)
    assert np.isnan(functions.values[0]).all()
    np.testing.assert_array_equal(functions.values[1:3], functions.values[3:5])


def test_no_bits_of_a_point_depend_on_the_others() -> None:
    grid = grid_of(2)
    x, pieces = points_of(grid, np.float64), local_pieces(grid, 2)
    whole = local_functions(x, pieces, slopes=True)
    rows = np.random.default_rng(1).permutation(len(x))[:7]
    some = local_functions(x[rows], pieces, slopes=True)
    for got, want in zip(some, whole, strict=True):
        np.testing.assert_array_equal(got, want[rows])
    assert local_functions(x, pieces).slopes.shape == (0, 2, 3)


def test_no_samples_give_no_functions() -> None:
    functions = local_functions(np.empty((0, 2)), local_pieces(grid_of(3), 3), slopes=True)
    assert functions.values.shape == functions.slopes.shape == (0, 2, 4)
    assert curves(functions, np.ones((2, 9, 4))).shape == (0, 2, 4)
