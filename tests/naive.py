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
