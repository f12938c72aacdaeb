"""Correct implementations of other making, which the kit must not find fault with."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg
from scipy.interpolate import BSpline

from numkan.conformance import exact
from numkan.conformance.adapter import Array


class Scipy:
    """scipy.interpolate.BSpline, which computes in float64; what goes in as float32 comes out so.

    With one thing mended that the kit has found (1.17): where the right end of the domain is a double knot with more
    knots after it, scipy's functions there are zero, and so is every curve.
    """

    name = "scipy.interpolate.BSpline"
    dtype = ("float64", "float32")
    extrapolation = "polynomial"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "exact"
    short_rank = "least norm"
    weights = True

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return self._mended(x, knots, np.eye(len(knots) - 1 - k), k, nu).astype(x.dtype)

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return self._mended(x, knots, coef, k, 0).astype(x.dtype)

    def _mended(self, x: Array, knots: Array, coef: Array, k: int, nu: int) -> Array:
        """scipy's values, without the empty intervals at the ends of the domain."""
        x, knots, coef = (np.asarray(array, float) for array in (x, knots, coef))
        if nu > k:
            return np.where(np.isnan(x)[:, None], x[:, None], np.zeros((len(x), len(coef))))
        filled = np.flatnonzero(np.diff(knots[k : len(coef) + 1])) + k
        first, last = filled[0], filled[-1]
        return BSpline(knots[first - k : last + k + 2], coef[first - k : last + 1], k)(x, nu)

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        finer = BSpline(knots.astype(float), coef.astype(float), k).insert_knot(t)
        return finer.t.astype(knots.dtype), finer.c[: len(coef) + 1].astype(coef.dtype)

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        root = np.ones(len(x)) if weight is None else np.sqrt(weight)
        A = self.basis(x, knots, k).astype(float)
        cond = 500 * np.finfo(x.dtype).eps  # the matrix is not known better
        return linalg.lstsq(root[:, None] * A, root * y, cond=cond, lapack_driver="gelsd")[0].astype(x.dtype)


class Oracle:
    """Rational arithmetic, rounded once."""

    name = "fractions"
    dtype = ("float64", "float32")
    extrapolation = "fade"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "exact"

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        rows = np.empty((len(x), len(knots) - 1 - k), x.dtype)
        for row, point in zip(rows, x, strict=True):
            if np.isfinite(point):
                row[:] = [float(b) for b in exact.basis(point, knots, k, nu)]
            else:
                row[:] = np.nan if np.isnan(point) else 0.0
        return rows

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return np.array([float(exact.curve(point, knots, coef, k)) for point in x]).astype(x.dtype)

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        finer = exact.insert(knots, coef, k, t)
        return tuple(np.array([float(number) for number in numbers]).astype(knots.dtype) for numbers in finer)


class DeBoor:
    """The textbook's table of the k + 1 functions that a point sees, in NumPy and in the dtype given."""

    name = "de Boor in NumPy"
    dtype = ("float64", "float32")
    extrapolation = "fade"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "exact"

    def span(self, x: Any, knots: Array, k: int) -> int:
        end = len(knots) - 1 - k
        j = int(np.searchsorted(knots, x, side="right")) - 1
        if x == knots[end]:
            j = int(np.searchsorted(knots, x, side="left")) - 1
        return j if knots[0] <= x < knots[-1] or x == knots[end] else -1

    def active(self, x: Any, knots: Array, k: int, j: int) -> Array:
        """B_{j-k} ... B_j at x, for knots that stand far enough from j."""
        values = np.zeros(k + 1, knots.dtype)
        values[0] = 1
        for d in range(1, k + 1):
            saved = knots.dtype.type(0)
            for r in range(d):
                right, left = knots[j + r + 1] - x, x - knots[j + r + 1 - d]
                share = values[r] / (right + left)
                values[r], saved = saved + right * share, left * share
            values[d] = saved
        return values

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        rows = np.zeros((len(x), len(knots) - 1 - k), x.dtype)
        far = np.concatenate([knots[:1] - np.arange(k, 0, -1), knots, knots[-1:] + np.arange(1, k + 1)])
        far = far.astype(knots.dtype)
        for row, point in zip(rows, x, strict=True):
            j = self.span(point, knots, k)
            if np.isnan(point):
                row[:] = point
            elif j >= 0:
                values = self.active(point, far, k, j + k)
                places = np.arange(j - k, j + 1)
                held = (places >= 0) & (places < len(row))
                row[places[held]] = values[held]
        return rows

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        if nu == 0:
            return self.basis(x, knots, k)
        if nu > k:
            return np.where(np.isnan(x)[:, None], x[:, None], np.zeros((len(x), len(knots) - 1 - k), x.dtype))
        lower = self.lower(x, knots, k, k - nu)
        for d in range(k - nu, k):
            width = knots[d + 1 :] - knots[: -d - 1]
            quotient = np.divide(lower, width, out=np.zeros_like(lower), where=width > 0)
            lower = (quotient[:, :-1] - quotient[:, 1:]) * knots.dtype.type(d + 1)
            lower = np.where(np.isnan(x)[:, None], x[:, None], lower)
        return lower

    def lower(self, x: Array, knots: Array, k: int, degree: int) -> Array:
        """The functions of a lower degree on the same knots, in the spans of degree k."""
        rows = np.zeros((len(x), len(knots) - 1 - degree), x.dtype)
        far = np.concatenate([np.full(degree, knots[0] - 1), knots, np.full(degree, knots[-1] + 1)])
        for row, point in zip(rows, x, strict=True):
            j = self.span(point, knots, k)
            if j >= 0:
                places = np.arange(j - degree, j + 1)
                held = (places >= 0) & (places < len(row))
                row[places[held]] = self.active(point, far.astype(knots.dtype), degree, j + degree)[held]
        return rows

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return (self.basis(x, knots, k) * coef).sum(axis=1)


class Periodic(DeBoor):
    """Repeated after the length of the domain, whose right end is its left one."""

    name = "periodic de Boor in NumPy"
    extrapolation = "periodic"
    right_end = "open"

    def inside(self, x: Array, knots: Array, k: int) -> Array:
        first, last = knots[k], knots[len(knots) - 1 - k]
        outside = (x < first) | (x >= last)  # others are not rounded
        return np.where(outside, np.clip(first + (x - first) % (last - first), first, last), x)

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(self.inside(x, knots, k), knots, k)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return super().dbasis(self.inside(x, knots, k), knots, k, nu)


class Wrong(DeBoor):
    """Off by a part in a thousand."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x, knots, k) * x.dtype.type(1.001)


CORRECT = (Scipy, Oracle, DeBoor, Periodic)
