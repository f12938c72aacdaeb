"""Rules for knots over samples: that of each flavour, and numkan's in full."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array

__all__ = ["dyadic_grid", "grid_from_samples", "interior_knots", "padding_steps"]

#: The distance by which uniform knots extend beyond the samples, in the units of the samples.
MARGIN = {"numkan": 0.0, "pykan": 0.0, "efficient-kan": 0.01, "jaxkan": 0.01}


def interior_knots(x: Any, G: int, grid_eps: float, flavour: str) -> Array:
    """Return the knots of the domain that a flavour blends from even knots and order statistics, (n_in, G + 1).

    For samples x_0 <= ... <= x_{n-1} of one input and margin m these are

        grid_eps * (x_0 - m + i (x_{n-1} - x_0 + 2 m) / G)  +  (1 - grid_eps) * x_{r(i)},    i = 0 ... G,

    with m = 0 and r(i) = floor(n i / G), r(G) = n - 1 ("numkan", "pykan"), the same r and m = 0.01 ("jaxkan"), or
    m = 0.01 and r(i) = floor((n - 1) i / G) ("efficient-kan"). numkan moves apart what coincides afterwards; the others
    leave it.

    >>> interior_knots([[0.0], [1.0], [3.0], [4.0]], 2, 0.0, "numkan")
    array([[0., 3., 4.]])
    """
    ordered = np.sort(np.asarray(x, float), axis=0).T
    n, margin = ordered.shape[1], MARGIN[flavour]
    if flavour == "efficient-kan":
        ranks = np.linspace(0, n - 1, G + 1).astype(int)
    else:
        ranks = np.array([*(int(n / G * i) for i in range(G)), n - 1])
    even = np.linspace(ordered[:, 0] - margin, ordered[:, -1] + margin, G + 1, axis=1)
    return np.asarray(grid_eps * even + (1 - grid_eps) * ordered[:, ranks])


def padding_steps(x: Any, interior: Array, flavour: str) -> Array:
    """Return the step of the padding of each input: the domain's length / G; with "efficient-kan" the even knots' step.

    >>> padding_steps([[0.0], [4.0]], np.array([[0.0, 1.0, 4.0]]), "numkan")
    array([2.])
    """
    G = interior.shape[1] - 1
    if flavour == "efficient-kan":
        length = np.ptp(np.asarray(x, float), axis=0) + 2 * MARGIN[flavour]
    else:
        length = interior[:, -1] - interior[:, 0]
    return np.asarray(length / G)


def grid_from_samples(x: Any, G: int, k: int, grid_eps: float) -> Array:
    """Return numkan's knots over float64 samples, (n_in, G + 2k + 1), one input and one knot at a time.

    Where there is no room for G steps of 4 spacings, both ends are moved out; knots that would coincide, apart.

    >>> grid_from_samples([[0.0], [1.0]], 2, 1, 1.0)
    array([[-0.5,  0. ,  0.5,  1. ,  1.5]])
    """
    rows = []
    for column in np.asarray(x, float).T:
        ordered = sorted(column.tolist())
        first, last = _with_room(ordered[0], ordered[-1], G)
        knots = [first]
        for i in range(1, G):
            uniform = first + (last - first) * i / G
            knots.append(grid_eps * uniform + (1 - grid_eps) * ordered[int(len(ordered) / G * i)])
        knots.append(last)
        gap = max(1e-6 * (last - first) / G, 4 * _spacing(max(abs(first), abs(last))))
        for i in range(1, G):
            knots[i] = max(knots[i], knots[i - 1] + gap)
        for i in range(G - 1, 0, -1):
            knots[i] = min(knots[i], knots[i + 1] - gap)
        step = (last - first) / G
        left, right = [first - j * step for j in range(k, 0, -1)], [last + j * step for j in range(1, k + 1)]
        rows.append([*left, *knots, *right])
    return np.array(rows)


def _spacing(magnitude: float) -> float:
    """Return the spacing of float64 there, or its smallest normal number: shorter spans have no reciprocal."""
    return float(max(np.spacing(magnitude), np.finfo(float).tiny))


def _with_room(first: float, last: float, G: int) -> tuple[float, float]:
    """Return the ends of a domain, moved out where G steps of 4 spacings have no room between them."""
    if last - first >= 4 * G * _spacing(max(abs(first), abs(last))):
        return first, last
    width = 0.01
    for _ in range(2):  # widening may double the spacing once
        width = max(width, (2 * G + 1) * _spacing(max(abs(first), abs(last)) + width))
    return first - width, last + width


def dyadic_grid(x: Array, G: int, k: int) -> Array:
    """Return knots over samples whose starts and steps are dyadic, (n_in, G + 2k + 1): even in the samples' dtype.

    For implementations that take nothing but even knots: those of :func:`grid_from_samples` are even up to rounding.

    >>> dyadic_grid(np.array([[0.0], [1.0]]), 2, 1)
    array([[-0.5,  0. ,  0.5,  1. ,  1.5]])
    """
    rows = []
    for low, high in zip(x.min(axis=0), x.max(axis=0), strict=True):
        least = 32 * np.spacing(max(abs(low), abs(high), x.dtype.type(1e-3)))  # an eighth of it is resolved
        step = 2.0 ** np.ceil(np.log2(max((float(high) - float(low)) / G, float(least))))
        start = np.floor(low / step * 8) * step / 8
        while start + G * step < high:
            step *= 2
            start = np.floor(low / step * 8) * step / 8
        rows.append(start + step * np.arange(-k, G + k + 1))
    return np.array(rows).astype(x.dtype)
