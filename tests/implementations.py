"""Adapters: what the laws ask of an implementation, answered by numkan and by the slow twin."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan import spline
from tests import naive
from tests.laws import Array


class NumkanSplines:
    """numkan.spline, one knot vector at a time."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return spline.B_batch(x[:, None], knots[None], k)[:, 0]

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return spline.B_batch(x[:, None], knots[None], k, nu)[:, 0]

    def greville(self, knots: Array, k: int) -> Array:
        return spline.greville(knots[None], k)[0]

    def insert_knot(self, knots: Array, coef: Array, k: int, new: float) -> tuple[Array, Array]:
        return spline.insert_knots(knots, coef, k, np.array([new], knots.dtype))

    def refinement_matrix(self, knots: Array, finer: Array, k: int) -> Array:
        return spline.refinement_matrix(knots, finer, k)

    def design_rows(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return spline.design_matrix(x, knots, k, nu).toarray()


class NaiveSplines(NumkanSplines):
    """The slow twin's basis, with the rest of numkan."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        with np.errstate(all="ignore"):
            return naive.B_batch(x[:, None], knots[None], k, nu)[:, 0]

    def design_rows(self, x: Array, knots: Array, k: int, nu: int) -> Any:
        return self.dbasis(x, knots, k, nu)
