"""Laws that an implementation of B-splines or KANs must obey, as functions of that implementation.

A law knows nothing of numkan and nothing of Hypothesis: it takes an implementation and a case, and raises
AssertionError where the case breaks it. In tolerances, eps is the spacing of 1 of the dtype (2.2e-16, 1.2e-7), M the
largest magnitude of a knot and h the smallest positive gap between the knots that bear on a point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Splines(Protocol):
    """What the laws of the basis ask of an implementation: one knot vector, 1-D points, arrays out."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        """B_i(x_n), (n, n_basis)."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        """D^nu B_i(x_n), (n, n_basis)."""

    def greville(self, knots: Array, k: int) -> Array:
        """(t_{i+1} + ... + t_{i+k}) / k, (n_basis,)."""

    def insert_knot(self, knots: Array, coef: Array, k: int, new: float) -> tuple[Array, Array]:
        """Knots and coefficients (n_basis,) after the insertion."""

    def refinement_matrix(self, knots: Array, finer: Array, k: int) -> Array:
        """A with c' = A c, (n_finer, n_basis)."""

    def design_rows(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        """The design matrix, made dense."""


@dataclass(frozen=True)
class Case:
    """One knot vector with what is asked of it."""

    knots: Array  # (G + 2k + 1,), non-decreasing, of the dtype that is tested
    k: int
    inside: Array  # points of the closed domain
    anywhere: Array  # points anywhere
    coef: Array  # (G + k,)

    @property
    def n_basis(self) -> int:
        return len(self.knots) - 1 - self.k

    @property
    def domain(self) -> tuple[Any, Any]:
        return self.knots[self.k], self.knots[self.n_basis]

    @property
    def eps(self) -> float:
        return float(np.finfo(self.knots.dtype).eps)


@dataclass(frozen=True)
class Law:
    """A statement, the tolerance it holds within, where it comes from, and the function that checks it."""

    id: str
    statement: str
    tolerance: str
    reference: str
    check: Callable[[Any, Any], None]


def law(id: str, tolerance: str, reference: str, into: list[Law]) -> Callable[[Callable[[Any, Any], None]], Law]:
    """Turn a check into a Law; its docstring is the statement."""

    def register(check: Callable[[Any, Any], None]) -> Law:
        made = Law(id, " ".join((check.__doc__ or "").split()), tolerance, reference, check)
        into.append(made)
        return made

    return register


def assert_within(got: Any, expected: Any, tolerance: Any, what: str = "difference") -> None:
    """Assert |got - expected| <= tolerance everywhere (NaN fails), in float64, and show the worst place."""
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    error, bound = np.broadcast_arrays(np.abs(got - expected), np.asarray(tolerance, float))
    bad = ~(error <= bound)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise AssertionError(
            f"{what} at {place}: {error[place]:.3g} > {bound[place]:.3g} "
            f"({np.broadcast_to(got, error.shape)[place]} against {np.broadcast_to(expected, error.shape)[place]})"
        )


def assert_identical(got: Any, expected: Any, what: str = "values") -> None:
    """Assert the same shape, dtype and numbers (NaN equals NaN, 0.0 equals -0.0)."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: shape {got.shape} against {expected.shape}"
    assert got.dtype == expected.dtype, f"{what}: dtype {got.dtype} against {expected.dtype}"
    same = (got == expected) | ((got != got) & (expected != expected))
    assert same.all(), f"{what} differ at {np.argwhere(~same)[0]}: {got[~same][0]!r} against {expected[~same][0]!r}"
