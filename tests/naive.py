"""Slow twins, with the names of the fast functions: NumPy from the definition, vectorised over everything, no kernels.

They are complex-safe: branches look at the real part only, so that f(x + 1e-30 i) gives a derivative without
cancellation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _over(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator, with 0/0 := 0 for each term."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    out = np.zeros(numerator.shape, numerator.dtype)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)


def spans(x: Array, grid: Array, k: int) -> Array:
    """Return (n, n_in, n_knots - 1) booleans: the span that holds each point, the domain's right end closed."""
    x, grid = np.real(np.asarray(x)), np.asarray(grid)
    point = x[:, :, None]
    inside = (grid[None, :, :-1] <= point) & (point < grid[None, :, 1:])
    end = grid.shape[1] - 1 - k
    closed = np.zeros(grid[:, :-1].shape, bool)
    for row, knots in zip(closed, grid, strict=True):
        row[max(j for j in range(k, end) if knots[j] < knots[j + 1])] = True
    return np.where(point == grid[None, :, end : end + 1], closed, inside)


def B_batch(x: Any, grid: Any, k: int, nu: int = 0) -> Array:
    """D^nu of all basis functions (n, n_in, G + k): the Cox-de Boor recursion on whole arrays."""
    x, grid = np.asarray(x), np.asarray(grid)
    x = x[:, :, None]
    t = grid[None]
    held = spans(x[:, :, 0], grid, k)
    missing = np.isnan(x)
    if nu > k:
        value = np.zeros((*held.shape[:2], grid.shape[1] - 1 - k), np.result_type(x, grid))
        return np.where(missing, x, value)
    value = held.astype(np.result_type(x, grid))
    safe = np.where(np.isfinite(x), x, 0)
    for d in range(1, k - nu + 1):
        width = t[:, :, d:] - t[:, :, :-d]
        rising = _over(safe - t[:, :, : -d - 1], width[:, :, :-1]) * value[:, :, :-1]
        falling = _over(t[:, :, d + 1 :] - safe, width[:, :, 1:]) * value[:, :, 1:]
        value = rising + falling
    for d in range(k - nu, k):
        quotient = _over(value, t[:, :, d + 1 :] - t[:, :, : -d - 1])
        value = (d + 1) * (quotient[:, :, :-1] - quotient[:, :, 1:])
    return np.where(missing, x, value)


def coef2curve(x: Any, grid: Any, coef: Any, k: int, nu: int = 0) -> Array:
    """D^nu of the plain splines sum_p coef[i, o, p] B_p(x[n, i]): (n, n_in, n_out), zero outside the knots."""
    return np.einsum("nip,iop->nio", B_batch(x, grid, k, nu), np.asarray(coef))


def curve2coef(x: Any, y: Any, grid: Any, k: int, sample_weight: Any = None) -> Array:
    """Least squares on the plain basis, least norm where the rank is short: one pseudo-inverse for each input."""
    root = np.ones(len(x)) if sample_weight is None else np.sqrt(np.asarray(sample_weight, float))
    A = B_batch(x, grid, k) * root[:, None, None]
    b = np.asarray(y, float) * root[:, None, None]
    return np.stack([(np.linalg.pinv(A[:, i], rcond=1e-13) @ b[:, i]).T for i in range(A.shape[1])])


def grid_from_samples(x: Any, G: int, k: int, grid_eps: float) -> Array:
    """Knots over float64 samples, one at a time; constants are widened, nothing else that is too narrow."""
    rows = []
    for column in np.asarray(x, float).T:
        ordered = sorted(column.tolist())
        first, last = ordered[0], ordered[-1]
        if first == last:
            first, last = first - 0.01, last + 0.01
        knots = [first]
        for i in range(1, G):
            uniform = first + (last - first) * i / G
            knots.append(grid_eps * uniform + (1 - grid_eps) * ordered[int(len(ordered) / G * i)])
        knots.append(last)
        gap = max(1e-6 * (last - first) / G, 4 * float(np.spacing(max(abs(first), abs(last)))))
        for i in range(1, G):
            knots[i] = max(knots[i], knots[i - 1] + gap)
        for i in range(G - 1, 0, -1):
            knots[i] = min(knots[i], knots[i + 1] - gap)
        step = (last - first) / G
        left, right = [first - j * step for j in range(k, 0, -1)], [last + j * step for j in range(1, k + 1)]
        rows.append([*left, *knots, *right])
    return np.array(rows)


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
