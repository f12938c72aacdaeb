"""Faulty bases and curves, which relations find: between scales, places, orders, neighbours, sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array
from tests.conformance_adapters import DeBoor


class KnotsOfThreeDecimals(DeBoor):
    """Knots went through a file with three decimals."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x, np.round(knots, 3), k)


class QuotientsSubtracted(DeBoor):
    """Knots and points are divided by a width each, and then subtracted."""

    def active(self, x: Any, knots: Array, k: int, j: int) -> Array:
        values = np.zeros(k + 1, knots.dtype)
        values[0] = 1
        for d in range(1, k + 1):
            saved = knots.dtype.type(0)
            for r in range(d):
                right, left = knots[j + r + 1], knots[j + r + 1 - d]
                width = right - left
                values[r], saved = (
                    saved + (right / width - x / width) * values[r],
                    (x / width - left / width) * values[r],
                )
            values[d] = saved
        return values


class ByReciprocals(DeBoor):
    """A width is divided into 1 first, which overflows where it is subnormal."""

    subnormals = True

    def active(self, x: Any, knots: Array, k: int, j: int) -> Array:
        values = np.zeros(k + 1, knots.dtype)
        values[0] = 1
        for d in range(1, k + 1):
            saved = knots.dtype.type(0)
            for r in range(d):
                right, left = knots[j + r + 1], knots[j + r + 1 - d]
                share = values[r] * (1 / (right - left))
                values[r], saved = saved + (right - x) * share, (x - left) * share
            values[d] = saved
        return values


class FirstTwoExchanged(DeBoor):
    """The first column stands second."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        values[:, :2] = values[:, 1::-1]
        return values


class Blurred(DeBoor):
    """Columns are smoothed: half of each, and a quarter of both neighbours; they sum to 1 all the same."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        wide = np.concatenate([values[:, :1], values, values[:, -1:]], axis=1)
        return (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) / values.dtype.type(4)


class CoefficientsClipped(DeBoor):
    """Coefficients are kept between -1 and 1, as some weights are."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return super().curve(x, knots, np.clip(coef, -1, 1), k)


class Sharpened(DeBoor):
    """Coefficients are taken for values of the curve, which then swings beyond them."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        wide = np.concatenate([coef[:1], coef, coef[-1:]])
        return super().curve(x, knots, 2 * coef - (wide[:-2] + wide[2:]) / coef.dtype.type(2), k)
