"""numkan.SplineBasis: inside the functions of B_batch, outside those of the policy; it stays as it is."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from numkan import SplineBasis
from numkan.spline import B_batch, coef2curve, extend_grid
from numkan.spline.policies import EXTRAPOLATIONS

KNOTS = extend_grid([[0.0, 1.0, 1.5, 3.0], [-1.0, 0.0, 1.0, 2.0]], 2)
INSIDE = np.array([[0.0, -1.0], [0.7, 0.3], [3.0, 2.0]])


def test_values_and_derivatives_inside_are_those_of_the_recursion() -> None:
    basis = SplineBasis(KNOTS, 2)
    np.testing.assert_allclose(basis.values(INSIDE), B_batch(INSIDE, KNOTS, 2), atol=1e-14)
    for order in range(4):
        np.testing.assert_allclose(basis.derivative(INSIDE, order), B_batch(INSIDE, KNOTS, 2, order), atol=1e-12)


@pytest.mark.parametrize("policy", [policy for policy in EXTRAPOLATIONS if policy != "raise"])
def test_values_outside_are_what_curves_are_made_of(policy: str) -> None:
    x, coef = np.array([[-0.5, 4.0], [3.2, -7.0]]), np.random.default_rng(0).normal(size=(2, 3, 5))
    want = coef2curve(x, KNOTS, coef, 2, extrapolate=policy)
    got = np.einsum("nip,iop->nio", SplineBasis(KNOTS, 2, policy).values(x), coef)
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_under_raise_points_outside_are_an_error() -> None:
    basis = SplineBasis(KNOTS, 2, "raise")
    assert np.isfinite(basis.values(INSIDE)).all()
    for ask in (basis.values, basis.derivative, basis.local):
        with pytest.raises(ValueError, match=r"`x` must lie inside the grid .* at 1 entries"):
            ask([[3.1, 0.0]])


def test_an_input_and_a_copy_have_the_same_pieces() -> None:
    basis = SplineBasis(KNOTS.astype(np.float32), 2, "linear")
    for i, one in enumerate((basis.input(0), basis.input(1))):
        for got, want in zip(one.pieces, basis.pieces, strict=True):
            np.testing.assert_array_equal(got, want[i : i + 1])
    for other in (pickle.loads(pickle.dumps(basis)), copy.deepcopy(basis)):
        assert (other.degree, other.policy, other.dtype) == (2, "linear", np.float32)
        np.testing.assert_array_equal(other.pieces.poly, basis.pieces.poly)


def test_it_does_not_change() -> None:
    basis = SplineBasis(KNOTS, 2)
    with pytest.raises(FrozenInstanceError):
        basis.degree = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        basis.knots[0, 0] = 1.0
    assert basis.pieces is basis.pieces


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((KNOTS, -1), "`degree` must be"),
        ((KNOTS[0], 2), "`knots` must have shape"),
        ((KNOTS[:, ::-1], 2), "`knots` must be non-decreasing"),
        ((KNOTS, 2, "linaer"), "`policy` must be .*Did you mean 'linear'"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        SplineBasis(*arguments)
