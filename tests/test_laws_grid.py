"""numkan obeys every law of grid updates and fits, and each law can fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from numkan.layer.grid import grid_from_samples
from numkan.layer.refit import refit
from numkan.spline import extend_grid
from tests.grid_cases import NumkanGrids, grid_cases
from tests.laws import Array, Law
from tests.laws.grid import LAWS, GridCase, dense


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"test_{law.id}")
@given(case=grid_cases())
def test_numkan_obeys(law: Law, case: GridCase) -> None:
    law.check(NumkanGrids(), case)


def test_ids_are_unique_and_every_law_states_something() -> None:
    assert len({law.id for law in LAWS}) == len(LAWS) == 18
    assert all(law.statement and law.tolerance and law.reference for law in LAWS)


class AbsoluteMargin(NumkanGrids):
    """efficient-kan: the ends move by an absolute number."""

    def update_grid(self, x: Any, grid: Array, coef: Array, k: int, G: int, grid_eps: float) -> tuple[Array, Array]:
        x = np.concatenate([x, x.min(axis=0, keepdims=True) - 0.01, x.max(axis=0, keepdims=True) + 0.01])
        return super().update_grid(x, grid, coef, k, G, grid_eps)


class Unsorted(NumkanGrids):
    """Order statistics of samples that nobody sorted."""

    def update_grid(self, x: Any, grid: Array, coef: Array, k: int, G: int, grid_eps: float) -> tuple[Array, Array]:
        place = [int(len(x) / G * i) for i in range(G)] + [-1]
        new = np.maximum.accumulate(x[place].T, axis=1)
        new[:, -1] += new[:, 0] == new[:, -1]
        new = extend_grid(new, k)
        return new, refit(x, grid, coef, new, k)


class NotRefit(NumkanGrids):
    """Knots move, coefficients stay."""

    def update_grid(self, x: Any, grid: Array, coef: Array, k: int, G: int, grid_eps: float) -> tuple[Array, Array]:
        new = grid_from_samples(x, G, k, grid_eps, dtype=grid.dtype)
        return new, np.resize(coef, (*coef.shape[:2], G + k))


class ScaledTwice(NumkanGrids):
    """efficient-kan: the scaled output is fitted, and scaled again when it is used."""

    def update_grid(self, x: Any, grid: Array, coef: Array, k: int, G: int, grid_eps: float) -> tuple[Array, Array]:
        new, fitted = super().update_grid(x, grid, coef, k, G, grid_eps)
        return new, 2 * fitted


class NormalEquations(NumkanGrids):
    """jaxKAN: A^T A."""

    def fit_curve(self, x: Any, y: Any, grid: Array, k: int, sample_weight: Any = None) -> tuple[Array, Array]:
        coef = [np.linalg.pinv(A.T @ A) @ (A.T @ y[:, i]) for i, A in enumerate(dense(x, grid, k))]
        return np.stack(coef).transpose(0, 2, 1), super().fit_curve(x, y, grid, k, sample_weight)[1]


class Tied(NumkanGrids):
    """pykan: order statistics as they are, coincident or not."""

    def update_grid(self, x: Any, grid: Array, coef: Array, k: int, G: int, grid_eps: float) -> tuple[Array, Array]:
        place = [int(len(x) / G * i) for i in range(G)] + [-1]
        new = np.sort(x, axis=0)[place].T.copy()
        new[:, -1] += 0.02 * (new[:, 0] == new[:, -1])
        new = extend_grid(new, k)
        return new, refit(x, grid, coef, new, k)


class LeastNorm(NumkanGrids):
    """The solution of least norm, where that of least change is wanted."""

    def update_grid(self, x: Any, grid: Array, coef: Array, k: int, G: int, grid_eps: float) -> tuple[Array, Array]:
        new = grid_from_samples(x, G, k, grid_eps, dtype=grid.dtype)
        return new, self.fit_curve(x, self.evaluate(x, grid, coef, k), new, k)[0].astype(coef.dtype)


class Gaps(NumkanGrids):
    """NaN passes for zero, and grid_eps for anything."""

    def update_grid(self, x: Any, grid: Array, coef: Array, k: int, G: int, grid_eps: float) -> tuple[Array, Array]:
        return super().update_grid(np.nan_to_num(x), grid, coef, k, max(G, 1), float(np.clip(grid_eps, 0, 1)))


class Weightless(NumkanGrids):
    """Sample weights that are not looked at, and a rank that is not computed."""

    def fit_curve(self, x: Any, y: Any, grid: Array, k: int, sample_weight: Any = None) -> tuple[Array, Array]:
        coef, rank = super().fit_curve(x, y, grid, k)
        return coef, np.full_like(rank, coef.shape[2])


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
    (ScaledTwice(), "distinct", {"G-PRES", "G-CONST", "G-IDEM"}),
    (NormalEquations(), "distinct", {"G-LSQ"}),
    (Tied(), "tied", {"G-MONO", "G-TIES"}),
    (LeastNorm(), "few", {"G-SAME"}),
    (Gaps(), "distinct", {"G-ERR", "G-MONOX"}),
    (Weightless(), "few", {"G-WT", "G-RANK"}),
]


@pytest.mark.parametrize(("mutant", "kind", "broken"), MUTANTS, ids=lambda value: type(value).__name__)
def test_laws_find_the_mutant(mutant: NumkanGrids, kind: str, broken: set[str]) -> None:
    case = _case(kind)
    for law in LAWS:
        if law.id in broken:
            law.check(NumkanGrids(), case)
            with pytest.raises(AssertionError):
                law.check(mutant, case)
