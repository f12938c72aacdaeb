"""Laws of collocation: of the matrix of all functions at increasing points."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array
from numkan.conformance.cases import Case
from numkan.conformance.law import law, require
from numkan.conformance.points import (
    clamped,
    greville,
    probes,
    resolution,
)


@law("P-TP", "-16 eps", "Karlin; de Boor, ch. XIII", "splines")
def total_positivity(impl: Any, case: Case) -> None:
    """2x2 and 3x3 minors of the collocation matrix at increasing points are not negative."""
    x = np.unique(probes(case))[:6]
    matrix = impl.basis(x, case.knots, case.k).astype(float)
    for size in (2, 3):
        rows = np.array([r for r in np.ndindex(*[len(x)] * size) if all(np.diff(r) > 0)]).reshape(-1, size)
        columns = np.array([c for c in np.ndindex(*[min(case.n_basis, 7)] * size) if all(np.diff(c) > 0)])
        if len(rows) and len(columns):
            least = _determinants(matrix[rows[:, None, :, None], columns[None, :, None, :]]).min()
            require(least >= -16 * case.eps, f"a minor is {least!s}", max(0.0, -least / (16 * case.eps)))


def _determinants(m: Array) -> Any:
    """Determinants of 2x2 or 3x3 matrices, expanded: without the quotients of an elimination, which may overflow."""
    if m.shape[-1] == 2:
        return m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] * m[..., 1, 0]
    cofactors = np.cross(m[..., 1, :], m[..., 2, :])
    return (m[..., 0, :] * cofactors).sum(axis=-1)


def _collocation_points(case: Case) -> Array | None:
    """Greville points of a clamped case, or None where they coincide or are not resolved."""
    x = greville(case)
    if len(np.unique(x)) < len(x) or case.eps * resolution(case, x).max() > 1e-3:
        return None
    return x if case.closed else np.minimum(x, np.nextafter(case.domain[1], case.domain[0]))


@law("P-SW", "boolean", "Schoenberg-Whitney; de Boor, ch. XIII", "splines", knots="repeated")
def schoenberg_whitney(impl: Any, case: Case) -> None:
    """Collocation is nonsingular at points x_i inside the supports of B_i, and of short rank where they are not."""
    case = clamped(case)
    x = _collocation_points(case)
    if x is None:
        return
    rank = np.linalg.matrix_rank(impl.basis(x, case.knots, case.k).astype(float))
    require(rank == case.n_basis, f"rank {rank} at the Greville points of {case.n_basis} functions")
    first = case.knots[case.k] + (case.knots[case.k + 1] - case.knots[case.k]) * np.linspace(0, 0.9, case.n_basis)
    crowded = impl.basis(first.astype(case.knots.dtype), case.knots, case.k)
    rank = np.linalg.matrix_rank(crowded.astype(float))
    require(rank <= case.k + 1, f"rank {rank} at points of one span, which {case.k + 1} functions see")


#: Largest inf-norm of the inverse Greville collocation seen for degrees 0 ... 5, with room.
CONDITION_GUARD = (1.0, 1.0, 4.0, 8.0, 20.0, 40.0)


@law("P-COND", "guard 1, 1, 4, 8, 20, 40 for k = 0 ... 5", "a guard, not a theorem", "splines", knots="repeated")
def condition_of_greville_collocation(impl: Any, case: Case) -> None:
    """Coefficients are bounded by the values at the Greville points, by a factor that knows only the degree."""
    case = clamped(case)
    x = _collocation_points(case)
    if case.k >= len(CONDITION_GUARD) or x is None:
        return
    matrix = impl.basis(x, case.knots, case.k).astype(float)
    require(np.linalg.matrix_rank(matrix) == case.n_basis, "the collocation matrix is singular")
    norm, guard = np.abs(np.linalg.inv(matrix)).sum(axis=1).max(), CONDITION_GUARD[case.k]
    require(norm <= guard * (1 + 1e-3), f"the inverse has norm {norm:.3g} > {guard:g}", float(norm / guard))
