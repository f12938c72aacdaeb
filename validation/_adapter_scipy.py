"""scipy's BSpline behind the adapter protocol: basis, derivatives, knot insertion, least squares.

Policies: outside its base interval a BSpline goes on as the end polynomial, its default; the interval is closed. It
computes in float64 whatever it is given. `make_lsq_spline` wants sorted points and positive weights, and multiplies
residuals by them, where the protocol's weights multiply their squares.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from scipy.interpolate import BSpline, make_lsq_spline

Array = np.ndarray[Any, Any]


class Scipy:
    """scipy.interpolate.BSpline."""

    name = "scipy"
    version = scipy.__version__
    dtype = ("float64",)
    extrapolation = "polynomial"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "rounding"
    short_rank = "error"
    weights = True

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return BSpline(knots, np.eye(len(knots) - 1 - k), k)(x, nu)

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return BSpline(knots, coef, k)(x)

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        finer = BSpline(knots, coef, k).insert_knot(t)
        return finer.t, finer.c

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Array | None = None) -> Array:
        order = np.argsort(x, kind="stable")
        if weight is None:
            return make_lsq_spline(x[order], y[order], knots, k).c
        order = order[weight[order] > 0]
        return make_lsq_spline(x[order], y[order], knots, k, w=np.sqrt(weight[order])).c

    def design_rows(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        if nu:
            return self.dbasis(x, knots, k, nu)
        return BSpline.design_matrix(x, knots, k, extrapolate=True).toarray()


adapter = Scipy()
