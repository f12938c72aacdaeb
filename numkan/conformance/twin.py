"""Slow twins of splines: NumPy from the definitions, vectorised over everything.

They are complex-safe: branches look at the real part only, so that f(x + 1e-30 i) gives a derivative without
cancellation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numkan.conformance.adapter import Array

__all__ = ["B_batch", "basis", "over", "spans"]


def over(numerator: Array, denominator: Array) -> Array:
    """Return numerator / denominator, with 0/0 := 0 for each term."""
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
    """Return D^nu of all basis functions (n, n_in, G + k): the Cox-de Boor recursion on whole arrays."""
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
        rising = over(safe - t[:, :, : -d - 1], width[:, :, :-1]) * value[:, :, :-1]
        falling = over(t[:, :, d + 1 :] - safe, width[:, :, 1:]) * value[:, :, 1:]
        value = rising + falling
    for d in range(k - nu, k):
        quotient = over(value, t[:, :, d + 1 :] - t[:, :, : -d - 1])
        value = (d + 1) * (quotient[:, :, :-1] - quotient[:, :, 1:])
    return np.where(missing, x, value)


def _steepness(x: Array, grid: Array, k: int) -> Array:
    """Return the magnitudes of both terms of D B_p, added: (n, n_in, G + k)."""
    if k == 0:
        return np.zeros((*x.shape, grid.shape[1] - 1))
    lower = B_batch(x, grid, k - 1)
    quotient = over(lower, grid[None, :, k:] - grid[None, :, :-k])
    return k * (quotient[:, :, :-1] + quotient[:, :, 1:])


def basis(x: Any, grid: Any, k: int, extrapolate: str, nu: int = 0, sizes: bool = False) -> Array:
    """Return D^nu of all basis functions under a policy (n, n_in, G + k): outside, Taylor's formula at the end."""
    x, grid = np.asarray(x), np.asarray(grid)
    count: Callable[[Any], Array] = np.abs if sizes else np.asarray
    out = np.array(count(_steepness(x, grid, k) if sizes and nu == 1 else B_batch(x, grid, k, nu)))
    if extrapolate == "fade":
        return out
    ends = grid[:, [k, grid.shape[1] - 1 - k]].T
    for end, sign in zip(ends, (-1, 1), strict=True):
        beyond = np.nonzero(sign * np.real(x - end) > 0)
        if len(beyond[0]):
            reach = sign * _reach(extrapolate) * (ends[1] - ends[0])
            at_end = [B_batch(end[None], grid, k, m)[0][beyond[1]] for m in range(k + 1)]
            out[beyond] = _beyond((x - end)[beyond], reach[beyond[1]], sign, at_end, extrapolate, nu, count)
    return out


def _reach(extrapolate: str) -> float:
    """Return how far the end polynomial is used, in lengths of the domain."""
    return {"continue": 0.03, "polynomial": 1e300}.get(extrapolate, 0.0)


def _beyond(
    offset: Array,
    reach: Array,
    sign: int,
    at_end: list[Array],
    extrapolate: str,
    nu: int,
    count: Callable[[Any], Array],
) -> Array:
    """Return the functions (points, G + k) at some offset from an end, from their derivatives there."""
    if extrapolate in ("zero", "nan", "raise"):
        return np.full_like(at_end[0], 0.0 if extrapolate == "zero" else np.nan)

    def taylor(offset: Array, m: int) -> Array:
        powers = [count(offset)[:, None] ** (q - m) / math.factorial(q - m) for q in range(m, len(at_end))]
        terms = [count(at_end[m + place] * power) for place, power in enumerate(powers)]
        return sum(terms, np.zeros(at_end[0].shape))

    near = (sign * np.real(offset - reach) <= 0)[:, None]
    reach = np.where(near[:, 0], 0.0, reach)  # not used there, and perhaps too large for a power
    slope = taylor(reach, 1) * (extrapolate != "clamp")
    far = taylor(reach, 0) + slope * count(offset - reach)[:, None] if nu == 0 else slope * (nu == 1)
    return np.where(near, taylor(offset, nu), far)
