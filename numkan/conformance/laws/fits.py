"""Laws of least-squares fits of one curve, on knots that numkan's rule lays over the samples."""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from numkan.conformance.adapter import Array, claims
from numkan.conformance.cases import GridCase
from numkan.conformance.grids import dyadic_grid, grid_from_samples
from numkan.conformance.law import assert_identical, assert_within, complaint, law, require
from numkan.conformance.laws.grids import counted, dense, slack
from numkan.conformance.spline_cases import clamped

#: How exactly coefficients of fits are known: c, r and sigma are those of the exact fit.
KNOWN = "4500 eps + 64 eps kappa (C_max + ||r|| / sigma_min)"

FITS: dict[str, Any] = {"about": "grids", "needs": ("fit_curve",)}


def _declared(impl: Any, knots: Array, k: int) -> Array:
    """Return knots with the ends that an implementation asks for."""
    return clamped(knots, k) if getattr(impl, "knots", None) == "clamped" else knots


def problems(impl: Any, case: GridCase) -> list[tuple[Array, Array, Array]]:
    """Return, for each input, samples, knots over them, and the matrix of the fit."""
    x = case.x
    if getattr(impl, "uniform_only", False):
        grid = dyadic_grid(x, case.G, case.k)
    else:
        grid = grid_from_samples(x, case.G, case.k, case.grid_eps).astype(case.dtype)
    x = np.clip(x, grid[:, case.k], grid[:, case.k + case.G])
    apart = [i for i, knots in enumerate(grid) if (np.diff(knots) > 0).all()]  # what float32 has not made one
    grid = np.array([_declared(impl, knots, case.k) for knots in grid])
    A = dense(x[:, apart], grid[apart], case.k)
    return [(x[:, i], grid[i], A[place]) for place, i in enumerate(apart)]


def _known(impl: Any, A: Array, y: Array, eps: float) -> float:
    """How exactly a fit is known whose solution is unique, or that of least norm; 0 where it is not."""
    used, plain = counted(A, eps)
    if not plain or (len(used) < A.shape[1] and impl.short_rank != "least norm"):
        return 0.0
    return 4500 * eps + slack(A, y, used, eps)


@law("G-DUP", KNOWN, "scipy, TestLSQ; Golub and Van Loan, 5.3.7", **FITS)
def duplicates(impl: Any, case: GridCase) -> None:
    """Each sample given three times gives the same fit."""
    for x, knots, A in problems(impl, case):
        known = _known(impl, np.repeat(A, 3, axis=0), np.repeat(np.sin(x), 3), case.eps)
        if known:
            once = impl.fit_curve(x, np.sin(x), knots, case.k)
            thrice = impl.fit_curve(np.repeat(x, 3), np.repeat(np.sin(x), 3), knots, case.k)
            assert_within(thrice, once, known, "coefficient")


@law(
    "G-WT",
    KNOWN,
    "weights; Golub and Van Loan, 5.3.7",
    about="grids",
    needs=("fit_curve", "weights"),
)
def weights(impl: Any, case: GridCase) -> None:
    """Integer weights are repeated samples, and weight zero is a row removed."""
    for x, knots, A in problems(impl, case):
        count = np.arange(len(x)) % 3
        count[-1] = 1
        known = _known(impl, np.repeat(A, count, axis=0), np.repeat(np.sin(x), count), case.eps)
        if known:
            weighted = impl.fit_curve(x, np.sin(x), knots, case.k, weight=count.astype(x.dtype))
            repeated = impl.fit_curve(np.repeat(x, count), np.repeat(np.sin(x), count), knots, case.k)
            assert_within(weighted, repeated, known, "coefficient")


@law("G-RANK", KNOWN, "numpy.linalg.pinv; Golub and Van Loan, 5.3.7", **FITS, policies=("short_rank",))
def short_rank(impl: Any, case: GridCase) -> None:
    """Where samples do not determine a fit, its solution is that of least norm, or an error; a rank is the true one."""
    eps = case.eps
    for x, knots, A in problems(impl, case):
        used, plain = counted(A, eps)
        if not plain or used[-1] < 1e-6 * used[0]:
            continue
        y = np.cos(x)
        if claims(impl, "fit_rank"):
            rank = impl.fit_rank(x, knots, case.k)
            require(rank == len(used), f"rank {rank} where {len(used)} is due")
        if len(used) < A.shape[1] and impl.short_rank == "error":
            error = complaint(partial(impl.fit_curve, x, y, knots, case.k))
            require(isinstance(error, ValueError), f"{error!r} on a fit of short rank, where a ValueError is due")
            continue
        truth = np.linalg.pinv(A, rcond=500 * eps) @ y.astype(float)
        found = impl.fit_curve(x, y, knots, case.k)
        assert_within(found, truth, 4500 * eps + slack(A, y, used, eps), "coefficient")


def _ill_conditioned(impl: Any, k: int, dtype: np.dtype[Any]) -> tuple[Array, Array, Array, float]:
    """Return samples, knots, matrix and condition number (1e8; float32: 3000) of a fit with two columns nearly alike.

    Between samples at both ends of the domain k + 2 spans are empty, but for two samples that are nearly one: all that
    is seen of two functions. No scaling of columns cures that, whereas elimination does not mind a column that is only
    short.
    """
    G = max(k + 6, getattr(impl, "min_intervals", None) or 1)
    knots = _declared(impl, np.arange(-k, G + k + 1.0).astype(dtype), k)
    ends = np.linspace(0, 2, 40 * k)
    for delta in 2.0 ** -np.arange(1.0, 40.0, 0.5):
        pair = [G / 2 - delta / 3, G / 2 + delta / 1.5]
        x = np.concatenate([ends, pair, G - ends[:0:-1]]).astype(dtype)
        A = dense(x[:, None], knots[None], k)[0]
        kappa = float(np.linalg.cond(A))
        if kappa > (1e8 if dtype == np.float64 else 3000):
            break
    return x, knots, A, kappa


@law("G-LSQ", "1e-4 at kappa = 1e8; float32: 4(k+1) eps kappa at 3000", "Golub and Van Loan, 5.3.8", **FITS)
def condition(impl: Any, case: GridCase) -> None:
    """The error of a consistent system grows like kappa, not like its square (normal equations lose every digit).

    Columns are nearly dependent, and not only short. In float32 kappa can be no larger, or it is a question of rank;
    what normal equations lose there is about as much as the rounding of the functions is worth.
    """
    dtype, k = case.dtype, case.k
    if not 0 < k <= 5:
        return  # nothing that is badly conditioned, or too much
    x, knots, A, kappa = _ill_conditioned(impl, k, dtype)
    if claims(impl, "fit_rank"):
        rank = impl.fit_rank(x, knots, k)
        require(rank == A.shape[1], f"rank {rank} where {A.shape[1]} is due")
    tolerance = 1e-4 if dtype == np.float64 else 4 * (k + 1) * float(np.finfo(dtype).eps) * kappa
    for turn in (1, 2, 3):
        truth = np.cos(1.0 + turn * np.arange(A.shape[1]))
        found = impl.fit_curve(x, (A @ truth).astype(dtype), knots, k)
        assert_within(found, truth, tolerance * abs(truth).max(), "coefficient")


@law("G-DRV", "exact", "scipy.linalg.lstsq", **FITS)
def repeated_fit(impl: Any, case: GridCase) -> None:
    """A fit is the same bits each time."""
    for x, knots, A in problems(impl, case):
        if len(counted(A, float(np.finfo(x.dtype).eps))[0]) == A.shape[1] or impl.short_rank == "least norm":
            one, other = (impl.fit_curve(x, np.sin(x), knots, case.k) for _ in range(2))
            assert_identical(other, one, "coefficients")
