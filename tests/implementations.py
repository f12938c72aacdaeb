"""Implementations that the laws of splines are tried on: numkan, and the slow twin."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array
from numkan.conformance.own import Numkan
from tests import naive


class NumkanSplines(Numkan):
    """numkan.spline, one knot vector at a time."""


class NaiveSplines(NumkanSplines):
    """The slow twin's basis, with the rest of numkan."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        with np.errstate(all="ignore"):
            return naive.B_batch(x[:, None], knots[None], k, nu)[:, 0]

    def design_rows(self, x: Array, knots: Array, k: int, nu: int) -> Any:
        return self.dbasis(x, knots, k, nu)
