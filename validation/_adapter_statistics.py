"""patsy's `bs`, statsmodels' BSplines and pyGAM's basis behind the adapter protocol: bases of regressions.

Policies: patsy and statsmodels have ends of k + 1 knots, and an exception for points outside of them, which the adapter
turns into the ValueError of the protocol; statsmodels has derivatives of the first and second order. pyGAM has even
knots, and goes on linearly. All compute in float64 whatever they are given.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from typing import Any

import numpy as np
import patsy
from pygam.utils import b_spline_basis
from statsmodels.gam.api import BSplines

Array = np.ndarray[Any, Any]


class Regression:
    """The declarations that patsy and statsmodels share."""

    dtype = ("float64",)
    extrapolation = "raise"
    right_end = "closed"
    degenerate_knots = "limit"
    bits = "rounding"
    knots = "clamped"


class Patsy(Regression):
    """patsy's `bs` with the column of the intercept."""

    name, version = "patsy", patsy.__version__

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        inner, ends = knots[k + 1 : -1 - k], {"lower_bound": knots[0], "upper_bound": knots[-1]}
        try:
            return patsy.bs(x, knots=inner, degree=k, include_intercept=True, **ends)
        except NotImplementedError as error:
            raise ValueError(str(error)) from error


class Statsmodels(Regression):
    """statsmodels' BSplines with all knots given."""

    name, version = "statsmodels", metadata.version("statsmodels")
    degrees = (2, 3, 4, 5)  # it differentiates twice when it is made, which scipy refuses for others
    max_derivative = 2

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        try:
            return smoother(tuple(knots.tolist()), k).transform(x, deriv=nu)
        except NotImplementedError as error:
            raise ValueError(str(error)) from error


@lru_cache(maxsize=16)  # it takes long to make
def smoother(knots: tuple[float, ...], k: int) -> Any:
    """Return statsmodels' basis on these knots; it wants samples when it is made."""
    some, n_basis = np.linspace(knots[0], knots[-1], 4), len(knots) - 1 - k
    options = {"include_intercept": True, "knot_kwds": [{"all_knots": np.array(knots)}]}
    return BSplines(some, [n_basis], [k], **options).smoothers[0]


class PyGAM:
    """pyGAM's function of all columns of a term."""

    name, version = "pyGAM", metadata.version("pygam")
    dtype = ("float64",)
    extrapolation = "linear"
    right_end = "closed"
    degenerate_knots = "error"
    bits = "rounding"
    uniform_only = True

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        ends, n_basis = knots[[k, len(knots) - 1 - k]], len(knots) - 1 - k
        return np.asarray(b_spline_basis(x, ends, n_basis, k, sparse=False, periodic=False), float)  # integers at k = 0


patsy_adapter, statsmodels_adapter, pygam_adapter = Patsy(), Statsmodels(), PyGAM()
