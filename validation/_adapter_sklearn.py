"""scikit-learn's SplineTransformer behind the adapter protocol, in each of its five modes.

Policies: the mode says what happens outside the base knots. The transformer is given the knots of the domain, and makes
the padding itself, evenly: cases have even knots alone. It answers in float64, has no derivatives, and refuses NaN.

Mode "periodic" has one column for each interval: the first `degree` of them are the sums of two functions a period
apart, at both ends of the domain. No point is in the support of both as long as there are more intervals than the
degree, so that the adapter can tell by the point which of them it is. All numbers are the transformer's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn
from sklearn.preprocessing import SplineTransformer

Array = np.ndarray[Any, Any]


class Transformer:
    """A transformer whose mode is in a subclass."""

    version = sklearn.__version__
    dtype = ("float64",)
    right_end = "closed"
    degenerate_knots = "error"
    bits = "rounding"
    uniform_only = True
    mode = ""

    def columns(self, x: Array, knots: Array, k: int, sparse: bool = False) -> Array:
        """Return what the transformer answers."""
        base = knots[k : len(knots) - k, None]
        made = SplineTransformer(degree=k, knots=base, extrapolation=self.mode, sparse_output=sparse).fit(base)
        found = made.transform(x[:, None])
        return found.toarray() if sparse else found

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.columns(x, knots, k)

    def design_rows(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return self.columns(x, knots, k, sparse=True)


class Error(Transformer):
    name, mode, extrapolation = "scikit-learn, error", "error", "raise"


class Constant(Transformer):
    name, mode, extrapolation = "scikit-learn, constant", "constant", "clamp"


class Linear(Transformer):
    name, mode, extrapolation = "scikit-learn, linear", "linear", "linear"


class Continue(Transformer):
    name, mode, extrapolation = "scikit-learn, continue", "continue", "polynomial"


class Periodic(Transformer):
    name, mode, extrapolation, right_end = "scikit-learn, periodic", "periodic", "periodic", "open"
    min_intervals = 6  # more than any degree that is tried
    design_rows = None  # the sparse answer has the same columns, and loses all of them at degree 0

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        first, last = knots[k], knots[len(knots) - 1 - k]
        inside = np.where((first <= x) & (x < last), x, first + (x - first) % (last - first))
        columns = self.columns(x, knots, k)
        left = inside[:, None] < knots[k + 1 : 2 * k + 1]  # in the supports of the first k functions
        return np.hstack([columns[:, :k] * left, columns[:, k:], columns[:, :k] * ~left])


error, constant, linear, continued, periodic = Error(), Constant(), Linear(), Continue(), Periodic()
