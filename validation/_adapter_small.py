"""ndsplines and bspline, small libraries of B-splines alone, behind the adapter protocol.

Policies: ndsplines goes on as the end polynomials, its default. bspline evaluates the padded functions, which fade, and
documents half-open spans: the right end of the last one is outside. Both compute in float64.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
from bspline import Bspline
from ndsplines import NDSpline, make_lsq_spline

Array = np.ndarray[Any, Any]


class Ndsplines:
    """ndsplines in one dimension."""

    name, version = "ndsplines", metadata.version("ndsplines")
    dtype = ("float64",)
    extrapolation = "polynomial"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "rounding"
    short_rank = "error"

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        if nu > k:  # it would write beyond its arrays, and law after law might crash
            return np.where(np.isnan(x)[:, None], np.nan, np.zeros((len(x), len(knots) - 1 - k)))
        return NDSpline([knots], np.eye(len(knots) - 1 - k), k)(x[:, None].copy(), nu)

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return NDSpline([knots], coef, k)(x[:, None].copy())

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int) -> Array:
        return make_lsq_spline(x[:, None], y[:, None], [knots], np.array([k])).coefficients.ravel()


class Bsplines:
    """The package bspline."""

    name, version = "bspline", metadata.version("bspline")
    dtype = ("float64",)
    extrapolation = "fade"
    right_end = "open"
    degenerate_knots = "limit"
    bits = "exact"
    max_derivative = 2  # its documentation: the work doubles with each order

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        made = Bspline(knots, k).collmat(x, nu)
        return np.asarray(made, float).reshape(len(x), len(knots) - 1 - k)


ndsplines_adapter, bspline_adapter = Ndsplines(), Bsplines()
