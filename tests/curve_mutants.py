"""Faulty values, ends, policies, derivatives, insertions and shapes, each a slip that is easily made."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array
from numkan.conformance.points import middles
from tests.conformance_adapters import DeBoor, Scipy
from tests.implementations import NumkanSplines
from tests.spline_mutants import Raising

# --- values -------------------------------------------------------------------------------------------------------


class GuardedBySmallNumber(DeBoor):
    """1e-8 is added to each denominator, so that none is zero."""

    def active(self, x: Any, knots: Array, k: int, j: int) -> Array:
        values = super().active(x, knots, k, j)
        return values / (1 + knots.dtype.type(1e-8) / (knots[j + 1] - knots[j])) ** k


class SmallValuesDropped(DeBoor):
    """What is below 1e-8 is zero, to make matrices sparse."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        return np.where(values < 1e-8, 0 * values, values)


class LastByDifference(DeBoor):
    """The last function is what the others leave of 1."""

    def active(self, x: Any, knots: Array, k: int, j: int) -> Array:
        values = super().active(x, knots, k, j)
        values[k] = 1 - values[:k].sum()
        return values


class LookupByDivision(DeBoor):
    """The interval is found by a division, as if knots were even."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        j = super().span(x, knots, k)
        first, last = knots[k], knots[len(knots) - 1 - k]
        G = len(knots) - 1 - 2 * k
        return k + min(G - 1, int(G * ((x - first) / (last - first)))) if first <= x <= last else j


class LeftContinuous(DeBoor):
    """Intervals hold their right ends."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        j = int(np.searchsorted(knots, x, side="left")) - 1
        return j if knots[k] < x <= knots[len(knots) - 1 - k] else super().span(x, knots, k)


class PowersOfOffsets(DeBoor):
    """Truncated powers, which cancel."""

    def active(self, x: Any, knots: Array, k: int, j: int) -> Array:
        values = super().active(x, knots, k, j)
        offset = knots.dtype.type(2) ** 20
        return (values + offset) - offset


class TopDegreeByAnother(DeBoor):
    """Unrolled code ends with degree 4; the fifth step takes the knots of the fourth."""

    def active(self, x: Any, knots: Array, k: int, j: int) -> Array:
        values = super().active(x, knots, min(k, 4), j)
        return np.concatenate([values[:1] * 0, values]) if k > 4 else values


# --- ends ---------------------------------------------------------------------------------------------------------


class LeftEndOpen(DeBoor):
    """The first knot of the domain belongs to nothing."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        return -1 if x == knots[k] else super().span(x, knots, k)


class LastKnotClosed(DeBoor):
    """The last of all knots is closed, and not that of the domain."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        j = int(np.searchsorted(knots, x, side="right")) - 1
        if x == knots[-1]:
            j = int(np.searchsorted(knots, x, side="left")) - 1
        return j if knots[0] <= x <= knots[-1] else -1


class NearTheEnd(DeBoor):
    """Points within 1e-3 of the right end are moved onto it."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        end = knots[len(knots) - 1 - k]
        return super().basis(np.where(abs(x - end) < 1e-3, end, x), knots, k)


class EndsByIndex(DeBoor):
    """At the right end the last span is taken, although it is empty where the end is doubled."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values, last = super().basis(x, knots, k), len(knots) - 1 - k
        if knots[last] == knots[last - 1]:
            values[x == knots[last]] = 0
        return values


# --- policies -----------------------------------------------------------------------------------------------------


class SaysZero(DeBoor):
    """The padded functions go on where nothing is declared."""

    extrapolation = "zero"


class SaysLinear(Scipy):
    """The end polynomials go on where a line is declared."""

    extrapolation = "linear"


class SlopeBesideClampedValues(Scipy):
    """Values are clamped, and derivatives those of the end."""

    extrapolation = "clamp"

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return super().dbasis(np.clip(x, knots[k], knots[len(knots) - 1 - k]), knots, k, nu)


class MissingOnTheRightOnly(DeBoor):
    """Points outside are declared to give NaN; on the left the padding goes on."""

    extrapolation = "nan"

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        beyond = x > knots[len(knots) - 1 - k]
        return np.where(beyond[:, None], x.dtype.type(np.nan), super().dbasis(x, knots, k, nu))


class RaisingOnTheRightOnly(Raising):
    """Points left of the domain are no error."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(np.maximum(x, knots[k]), knots, k)


class BlindBesideNan(Raising):
    """Points outside are found by the least and the largest point, which are NaN where one is."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(np.clip(x, knots[k], knots[len(knots) - 1 - k]) if np.isnan(x).any() else x, knots, k)


# --- derivatives --------------------------------------------------------------------------------------------------


class SignOfThirdOrder(DeBoor):
    """The third derivative is upside down."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return super().dbasis(x, knots, k, nu) * x.dtype.type(-1 if nu == 3 else 1)


class LastOrderGoesOn(DeBoor):
    """Orders beyond the degree are the last one."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return super().dbasis(x, knots, k, min(nu, k))


class SlopesFromTheLeft(DeBoor):
    """At knots derivatives are those of the interval before."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        inner = np.isin(x, knots[k + 1 :])
        return super().dbasis(np.where(inner & (nu > 0), np.nextafter(x, knots[0]), x), knots, k, nu)


class ChainRuleForgotten(DeBoor):
    """Derivatives are by the place in the domain, from 0 to 1."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return super().dbasis(x, knots, k, nu) * (knots[len(knots) - 1 - k] - knots[k]) ** x.dtype.type(nu)


class SlopesOfOneFunctionLess(DeBoor):
    """The first function has no derivative, as the sum over terms begins with the second."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        values = super().dbasis(x, knots, k, nu)
        if nu == 1:
            values[~np.isnan(x), 0] = 0
        return values


class SlopesOfEvenKnots(DeBoor):
    """The derivative divides by k mean gaps."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        if nu != 1 or k == 0:
            return super().dbasis(x, knots, k, nu)
        lower, mean = self.lower(x, knots, k, k - 1), (knots[-1] - knots[0]) / knots.dtype.type(len(knots) - 1)
        return np.where(np.isnan(x)[:, None], x[:, None], (lower[:, :-1] - lower[:, 1:]) / mean)


# --- insertion and refinement of curves ---------------------------------------------------------------------------


class AverageInserted(Scipy):
    """The new coefficient is the mean of its neighbours."""

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        longer, finer = super().insert_knot(knots, coef, k, t)
        j = int(np.searchsorted(knots, t, "right")) - 1
        if 0 < j < len(coef) and k > 1:
            finer[j - 1] = (coef[j - 1] + coef[j - 2]) / 2
        return longer, finer


class InsertedAtTheEnd(Scipy):
    """The new knot is appended, and nobody sorts."""

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        return np.append(knots, knots.dtype.type(t)), super().insert_knot(knots, coef, k, t)[1]


class InsertedInSinglePrecision(Scipy):
    """Shares are float32 numbers."""

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        longer, finer = super().insert_knot(knots, coef, k, t)
        return longer, finer.astype(np.float32).astype(coef.dtype)


class CoefficientRepeated(Scipy):
    """A knot is inserted, and a coefficient is doubled for it."""

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        j = max(k, int(np.searchsorted(knots, t, "right")) - 1)
        return super().insert_knot(knots, coef, k, t)[0], np.insert(
            coef, min(j, len(coef) - 1), coef[min(j, len(coef) - 1)]
        )


class RowsOfALittleMore(NumkanSplines):
    """Rows of the refinement matrix sum to 1 + 1e-6."""

    def refinement_matrix(self, knots: Array, finer: Array, k: int) -> Array:
        return super().refinement_matrix(knots, finer, k) * knots.dtype.type(1 + 1e-6)


class NearestCoefficient(NumkanSplines):
    """A coefficient on finer knots is the largest share's: rows sum to 1, and nothing is negative."""

    def refinement_matrix(self, knots: Array, finer: Array, k: int) -> Array:
        matrix = super().refinement_matrix(knots, finer, k)
        return (np.arange(matrix.shape[1]) == matrix.argmax(axis=1)[:, None]).astype(matrix.dtype)


# --- dtypes, NaN, shapes ------------------------------------------------------------------------------------------


class DoubleInsertion(Scipy):
    """Coefficients are float64 after an insertion."""

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        longer, finer = super().insert_knot(knots, coef, k, t)
        return longer, finer.astype(float)


class SingleSlopes(DeBoor):
    """Derivatives go through float32."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return super().dbasis(x, knots, k, nu).astype(np.float32 if nu else x.dtype).astype(x.dtype)


class MissingSpreads(DeBoor):
    """One NaN spoils the curve at every point, as in a product with a matrix of zeros."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return super().curve(x, knots, coef, k) + 0 * x.sum()


class MissingIsTheEnd(DeBoor):
    """NaN is clipped to the first end."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return super().dbasis(np.fmax(x, knots[0] - 1), knots, k, nu)


class InfinityIsMissing(DeBoor):
    """Infinity times zero is left as it is."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(np.where(np.isinf(x), x.dtype.type(np.nan), x), knots, k)


class OnePointIsNoRow(DeBoor):
    """Dimensions of length 1 are squeezed."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x, knots, k).squeeze()


class SquareTransposed(DeBoor):
    """As many points as functions come out transposed."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        return values.T.copy() if values.shape[0] == values.shape[1] else values


class TwoDimensionalCurve(DeBoor):
    """A curve has a second axis of length 1."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return super().curve(x, knots, coef, k)[:, None]


class OneIntervalIsTwo(DeBoor):
    """A domain of one interval is cut in two."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        if len(knots) == 2 * k + 2 and k:
            middle = middles(knots[k : k + 2])[0]
            values[x > middle] = values[x > middle][:, ::-1]
        return values
