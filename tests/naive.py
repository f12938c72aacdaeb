"""Slow twins of splines, with the names of the fast functions: those of the conformance kit, and of least squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array as Array
from numkan.conformance.grids import grid_from_samples as grid_from_samples
from numkan.conformance.twin import B_batch as B_batch
from numkan.conformance.twin import spans as spans


def coef2curve(x: Any, grid: Any, coef: Any, k: int, nu: int = 0) -> Array:
    """D^nu of the plain splines sum_p coef[i, o, p] B_p(x[n, i]): (n, n_in, n_out), zero outside the knots."""
    return np.einsum("nip,iop->nio", B_batch(x, grid, k, nu), np.asarray(coef))


def curve2coef(x: Any, y: Any, grid: Any, k: int, sample_weight: Any = None) -> Array:
    """Least squares on the plain basis, least norm where the rank is short: one pseudo-inverse for each input."""
    root = np.ones(len(x)) if sample_weight is None else np.sqrt(np.asarray(sample_weight, float))
    A = B_batch(x, grid, k) * root[:, None, None]
    b = np.asarray(y, float) * root[:, None, None]
    return np.stack([(np.linalg.pinv(A[:, i], rcond=1e-13) @ b[:, i]).T for i in range(A.shape[1])])


def project(grid: Any, coef: Any, new_grid: Any, k: int) -> Array:
    """The best approximations of plain splines on new knots, in L2 over the new domain."""
    grid, new_grid = np.asarray(grid, float), np.asarray(new_grid, float)
    node, weight = np.polynomial.legendre.leggauss(k + 1)
    out = []
    for i, (old, new) in enumerate(zip(grid, new_grid, strict=True)):
        domain = new[k : len(new) - k]
        ends = np.unique(np.clip(np.concatenate([old, domain]), domain[0], domain[-1]))
        half = np.diff(ends)[:, None] / 2
        x = (ends[:-1, None] + half * (1 + node)).reshape(-1, 1)
        y = coef2curve(x, old[None], np.asarray(coef)[i : i + 1], k)
        out.append(curve2coef(x, y, new[None], k, (half * weight).ravel())[0])
    return np.stack(out)


def refit(x: Any, grid: Any, coef: Any, new_grid: Any, k: int) -> Array:
    """c_w + A^+ (y - A c_w) for plain splines: y the old curves on the samples, c_w their projections."""
    near = project(grid, coef, new_grid, k)
    left = coef2curve(x, grid, coef, k) - coef2curve(x, new_grid, near, k)
    return near + curve2coef(x, left, new_grid, k)
