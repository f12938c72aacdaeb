"""numkan obeys every law of grid updates and fits, and each law can fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from numkan.conformance import LAWS, Law, Layer
from numkan.conformance.adapter import Array
from numkan.conformance.cases import GridCase
from numkan.conformance.law import assert_identical, assert_within
from numkan.conformance.laws.grids import dense
from numkan.spline import coef2curve, curve2coef, extend_grid
from tests.grid_cases import NumkanGrids, grid_cases

OURS = [law for law in LAWS.values() if law.about == "grids"]


@pytest.mark.parametrize("law", OURS, ids=lambda law: f"test_{law.id}")
@given(case=grid_cases())
def test_numkan_obeys(law: Law, case: GridCase) -> None:
    law.check(NumkanGrids(), case)


def test_these_are_all() -> None:
    assert len(OURS) == 22


@given(case=grid_cases())
def test_G_ERR_and_G_MONOX_numkan_names_argument_and_value(case: GridCase) -> None:
    hole = case.x.copy()
    hole[-1, 0] = np.nan
    for x in (hole, np.repeat(case.x, 2, axis=1), case.x[:, 0], case.x[:0]):
        with pytest.raises(ValueError, match="`x`"):
            NumkanGrids().update_grid(case.layer, x, case.grid_eps)
    for name, value in (("grid_eps", 1.5), ("grid_eps", -0.25), ("G", 0)):
        arguments = {"grid_eps": case.grid_eps, "G": case.G, name: value}
        with pytest.raises(ValueError, match=f"`{name}`.*{value}"):
            NumkanGrids().update_grid(case.layer, case.x, **arguments)


@given(case=grid_cases())
def test_G_DRV_equal_columns_of_targets_get_the_same_coefficients(case: GridCase) -> None:
    x = case.x.astype(float)
    grid = NumkanGrids().knots(x, case.layer.astype(float), case.G, case.grid_eps)
    y = np.repeat(np.sin(x)[:, :, None], 2, axis=2)
    one, other = (curve2coef(x, y, grid, case.k) for _ in range(2))
    assert_identical(one, other)
    assert_within(one[:, 0], one[:, 1], 1e-9 * max(1.0, abs(one).max()))


class AbsoluteMargin(NumkanGrids):
    """efficient-kan: the ends move by an absolute number."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        x = np.concatenate([x, x.min(axis=0, keepdims=True) - 0.01, x.max(axis=0, keepdims=True) + 0.01])
        return super().knots(x, layer, G, grid_eps)


class Unsorted(NumkanGrids):
    """Order statistics of samples that nobody sorted."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        place = [int(len(x) / G * i) for i in range(G)] + [-1]
        new = np.maximum.accumulate(x[place].T, axis=1)
        new[:, -1] += new[:, 0] == new[:, -1]
        return extend_grid(new, layer.k)


class NotRefit(NumkanGrids):
    """Knots move, coefficients stay."""

    def refit(self, x: Any, layer: Layer, knots: Array) -> Array:
        return np.resize(layer.coef, (layer.n_in, layer.n_out, knots.shape[1] - layer.k - 1))


class ScaledTwice(NumkanGrids):
    """efficient-kan: the scaled output is fitted, and scaled again when it is used."""

    def refit(self, x: Any, layer: Layer, knots: Array) -> Array:
        return layer.scale_sp[:, :, None] * super().refit(x, layer, knots)


class NormalEquations(NumkanGrids):
    """jaxKAN: A^T A."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        (A,) = dense(x[:, None], knots[None], k)
        return np.linalg.pinv(A.T @ A) @ (A.T @ y)


class Tied(NumkanGrids):
    """pykan: order statistics as they are, coincident or not."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        place = [int(len(x) / G * i) for i in range(G)] + [-1]
        new = np.sort(x, axis=0)[place].T.copy()
        new[:, -1] += 0.02 * (new[:, 0] == new[:, -1])
        return extend_grid(new, layer.k)


class LeastNorm(NumkanGrids):
    """The solution of least norm, where that of least change is wanted."""

    def refit(self, x: Any, layer: Layer, knots: Array) -> Array:
        y = coef2curve(x, layer.grid, layer.coef, layer.k, extrapolate=layer.extrapolate)
        return curve2coef(x, y, knots, layer.k).astype(layer.coef.dtype)


class Gaps(NumkanGrids):
    """NaN passes for zero, and grid_eps for anything."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        return super().update_grid(layer, np.nan_to_num(x), float(np.clip(grid_eps, 0, 1)), G)


class Weightless(NumkanGrids):
    """Sample weights that are not looked at, and a rank that is not computed."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        return super().fit_curve(x, y, knots, k)

    def fit_rank(self, x: Array, knots: Array, k: int) -> int:
        return len(knots) - 1 - k


class ShortPadding(NumkanGrids):
    """Padding with the first and the last gap."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        knots, k = super().knots(x, layer, G, grid_eps), layer.k
        for j in range(k):
            knots[:, k - 1 - j] = knots[:, k - j] - (knots[:, k + 1] - knots[:, k])
        return knots


def _case(kind: str) -> GridCase:
    """A case for each weakness: more samples than coefficients, fewer, or many equal ones."""
    rng = np.random.default_rng(5)
    n = 4 if kind == "few" else 40
    x = np.round(rng.normal(size=(n, 2))) if kind == "tied" else rng.normal(size=(n, 2))
    grid = extend_grid(np.tile(np.linspace(-1, 1, 4), (2, 1)), 3)
    return GridCase(x, grid, rng.uniform(-1, 1, (2, 2, 6)), 3, 5, 0.0)


MUTANTS = [
    (AbsoluteMargin(), "distinct", {"G-COV", "G-AFF"}),
    (Unsorted(), "distinct", {"G-PERM", "G-COV"}),
    (NotRefit(), "distinct", {"G-PRES", "G-CONST"}),
    (ScaledTwice(), "distinct", {"G-PRES", "G-CONST"}),
    (NormalEquations(), "distinct", {"G-LSQ"}),
    (ShortPadding(), "distinct", {"G-PAD"}),
    (Tied(), "tied", {"G-MONO", "G-TIES"}),
    (LeastNorm(), "few", {"G-SAME"}),
    (Gaps(), "distinct", {"G-ERR", "G-MONOX"}),
    (Weightless(), "few", {"G-WT", "G-RANK"}),
]


@pytest.mark.parametrize(("mutant", "kind", "broken"), MUTANTS, ids=lambda value: type(value).__name__)
def test_laws_find_the_mutant(mutant: NumkanGrids, kind: str, broken: set[str]) -> None:
    case = _case(kind)
    for id in broken:
        LAWS[id].check(NumkanGrids(), case)
        with pytest.raises(AssertionError):
            LAWS[id].check(mutant, case)
