"""geomdl, bspy and splinepy, libraries of curves and surfaces, behind the adapter protocol.

Policies: all three are asked for points of the domain alone; bspy and splinepy document an exception outside, and
geomdl nothing: its functions go on as the end polynomials. geomdl has no degree 0. bspy and splinepy compute in
float64 as they are used here. Knots are not inserted with geomdl and splinepy, which allow fewer repeats than the laws.
"""

from __future__ import annotations

import logging
from importlib import metadata
from typing import Any

import geomdl
import numpy as np
import splinepy
from bspy import Spline
from geomdl import helpers

Array = np.ndarray[Any, Any]


def scattered(values: Any, first: Any, n_basis: int) -> Array:
    """Return rows (n, n_basis) that hold values (n, k + 1) from the function `first` of each on."""
    values, rows = np.asarray(values, float), np.zeros((len(values), n_basis))
    places = np.asarray(first)[:, None] + np.arange(values.shape[1])
    np.put_along_axis(rows, places, values, axis=1)
    return rows


class Geomdl:
    """geomdl's functions of the NURBS Book, spans by linear search, which is its default."""

    name, version = "geomdl", geomdl.__version__
    dtype = ("float64",)
    extrapolation = "polynomial"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "rounding"
    degrees = (1, 2, 3, 4, 5)

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        points, t, n_basis = x.tolist(), knots.tolist(), len(knots) - 1 - k
        spans = helpers.find_spans(k, t, n_basis, points)
        return scattered(helpers.basis_functions(k, t, spans, points), np.array(spans) - k, n_basis)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        points, t, n_basis = x.tolist(), knots.tolist(), len(knots) - 1 - k
        if nu > k:
            return np.where(np.isnan(x)[:, None], np.nan, np.zeros((len(x), n_basis)))
        spans = helpers.find_spans(k, t, n_basis, points)
        rows = helpers.basis_functions_ders(k, t, spans, points, nu)
        return scattered([row[nu] for row in rows], np.array(spans) - k, n_basis)


class Bspy:
    """bspy's Spline with one output a function."""

    name, version = "bspy", metadata.version("bspy")
    dtype = ("float64",)
    extrapolation = "raise"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "rounding"

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        n_basis = len(knots) - 1 - k
        spline = Spline(1, n_basis, (k + 1,), (n_basis,), (knots,), np.eye(n_basis))
        return np.array([spline.derivative([nu], [point]) for point in x]).reshape(len(x), n_basis)

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        spline = Spline(1, 1, (k + 1,), (len(coef),), (knots,), coef[None])
        return np.array([spline.evaluate([point])[0] for point in x])

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        finer = Spline(1, 1, (k + 1,), (len(coef),), (knots,), coef[None]).insert_knots([[t]])
        return np.array(finer.knots[0]), np.array(finer.coefs[0])


class Splinepy:
    """splinepy's BSpline, in C++."""

    name, version = "splinepy", splinepy.__version__
    dtype = ("float64",)
    extrapolation = "raise"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "rounding"

    def made(self, knots: Array, k: int, coef: Array) -> Any:
        logging.getLogger("splinepy").setLevel(logging.ERROR)  # it warns of each vector that is not clamped
        return splinepy.BSpline(degrees=[k], knot_vectors=[knots.tolist()], control_points=coef)

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return np.array(self.made(knots, k, np.eye(len(knots) - 1 - k)).evaluate(x[:, None]))

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        made = self.made(knots, k, np.eye(len(knots) - 1 - k))
        return np.array(made.derivative(x[:, None], [nu]) if nu else made.evaluate(x[:, None]))

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return np.array(self.made(knots, k, coef[:, None]).evaluate(x[:, None]))[:, 0]


geomdl_adapter, bspy_adapter, splinepy_adapter = Geomdl(), Bspy(), Splinepy()
