"""Faulty splines: adapters that misbehave, defects of live libraries, and faults that were planted and once lived."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.conformance.adapter import Array
from tests.conformance_adapters import DeBoor, Periodic
from tests.implementations import NumkanSplines


class WritesIntoPoints(NumkanSplines):
    """Points are moved into the domain where they lie."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        np.clip(x, knots[k] + 0.1, None, out=x)
        return values


class ReturnsItsInput(NumkanSplines):
    """An insertion that changes nothing but the copy it should have made."""

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        longer, finer = super().insert_knot(knots, coef, k, t)
        coef[:] = finer[:-1]
        return longer, finer


class OneBuffer(NumkanSplines):
    """The same array comes out every time."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        if getattr(self, "buffer", np.empty(0)).shape != values.shape or self.buffer.dtype != values.dtype:
            self.buffer = values
        self.buffer[...] = values
        return self.buffer


class Raises(NumkanSplines):
    """A repeated knot is an error of arithmetic."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        if (np.diff(knots) == 0).any():
            raise ZeroDivisionError("float division by zero")
        return super().basis(x, knots, k)


class MissingColumn(NumkanSplines):
    """At clamped ends one function is forgotten."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        return values[:, 1:] if k and knots[0] == knots[1] else values


class Undeclared(NumkanSplines):
    """Nothing is said of the right end."""

    right_end = None


class BothSidesClosed(DeBoor):
    """Spans that hold both their ends: a knot is counted twice."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        inner = np.isin(x, knots[k + 1 : len(knots) - 1 - k])
        return values * np.where(inner, 2, 1)[:, None].astype(x.dtype)


class GuardedOnTheLeftOnly(DeBoor):
    """torch-conv-kan: 0/0 is caught in the rising term, not in the falling one."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = ((knots[:-1] <= x[:, None]) & (x[:, None] < knots[1:])).astype(x.dtype)
        for d in range(1, k + 1):
            with np.errstate(all="ignore"):
                left = knots[d:-1] - knots[: -d - 1]
                rising = (x[:, None] - knots[: -d - 1]) / np.where(left == 0, 1, left) * values[:, :-1]
                falling = (knots[d + 1 :] - x[:, None]) / (knots[d + 1 :] - knots[1:-d]) * values[:, 1:]
            values = rising + falling
        return values


class TermsAdded(DeBoor):
    """FlashKAN's backward: the two terms of the derivative are added."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        if nu != 1 or k == 0:
            return super().dbasis(x, knots, k, nu)
        lower = self.lower(x, knots, k, k - 1)
        width = knots[k:] - knots[:-k]
        quotient = np.divide(lower, width, out=np.zeros_like(lower), where=width > 0)
        return (quotient[:, :-1] + quotient[:, 1:]) * knots.dtype.type(k)


class OtherClipInDerivatives(DeBoor):
    """kanboost: values are clamped at the domain's ends, derivatives one knot further out."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        last = len(knots) - 1 - k
        ends = (knots[k], knots[last]) if nu == 0 or k == 0 else (knots[k - 1], knots[last + 1])
        return super().dbasis(np.clip(x, *ends), knots, k, nu)


class SinglePrecisionConstant(DeBoor):
    """A float32 number among float64 ones."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x, knots, k) * x.dtype.type(1 + float(np.finfo(np.float32).eps) / 2)


class AbsoluteTolerance(DeBoor):
    """Knots nearer than 1e-3 are taken for one."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        merged = knots.copy()
        for i in range(1, len(merged)):
            if merged[i] - merged[i - 1] < 1e-3:
                merged[i] = merged[i - 1]
        same = merged[k] < merged[len(merged) - 1 - k]
        return super().basis(x, merged if same else knots, k)


class SortedPoints(DeBoor):
    """Points are sorted for the lookup, and not put back."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(np.sort(x), knots, k)


class FadesToNothing(DeBoor):
    """The padding is cut off: nothing outside the domain, where the padded functions are declared."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        values[(x < knots[k]) | (x > knots[len(knots) - 1 - k])] = 0
        return values


class OpenAndSaysClosed(DeBoor):
    """The right end of the domain belongs to the padding, which only shows where it is clamped or k = 0."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        j = int(np.searchsorted(knots, x, side="right")) - 1
        return j if knots[0] <= x < knots[-1] else -1


class DegreeZeroSmoothed(DeBoor):
    """At degree 0 a knot belongs to both neighbours by halves."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        if k == 0:
            for n in np.flatnonzero(np.isin(x, knots[1:-1])):
                j = int(np.searchsorted(knots, x[n]))
                values[n, j - 1 : j + 1] = 0.5
        return values


class OneLessEachTime(DeBoor):
    """Derivatives of higher order with the degree of the first in every factor."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        factor = np.prod([k / (k - i) for i in range(min(nu, k))])
        return super().dbasis(x, knots, k, nu) * x.dtype.type(factor)


class CubicTooLarge(DeBoor):
    """Every cubic value is 50 % too large."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x, knots, k) * x.dtype.type(1.5 if k == 3 else 1)


class OneWrongKindOfKnots(DeBoor):
    """A fast path for knots that are evenly spaced to a part in 1e4 takes them as even."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        gaps = np.diff(knots)
        if len(gaps) > 1 and 0 < np.ptp(gaps) < 1e-4 * gaps.mean():
            knots = np.linspace(knots[0], knots[-1], len(knots)).astype(knots.dtype)
        return super().basis(np.clip(x, knots[k], knots[-1 - k]), knots, k)


class ManyIntervals(DeBoor):
    """The lookup looks at the first 64 intervals."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        return min(super().span(x, knots, k), 63 + k)


class Raising(DeBoor):
    """Points outside the domain are an error, as it is declared; the end of the domain is one where it is negative."""

    extrapolation = "raise"

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        first, last = knots[k], knots[len(knots) - 1 - k]
        if not ((first <= x) & (x <= last) | np.isnan(x)).all():
            raise ValueError("Argument `x` must lie in the domain.")
        return super().basis(x, knots, k)


class OtherPeriod(Periodic):
    """The spline is repeated after the length of all knots."""

    def inside(self, x: Array, knots: Array, k: int) -> Array:
        return super().inside(x, knots, 0)


class TurnedBackwards(Periodic):
    """Each second period is the mirror image."""

    def inside(self, x: Array, knots: Array, k: int) -> Array:
        there, first, last = super().inside(x, knots, k), knots[k], knots[len(knots) - 1 - k]
        return np.where((x < first) | (x >= last), first + last - there, there)


class HalfOpenNegative(Raising):
    """At a negative right end all functions are zero."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values, last = super().basis(x, knots, k), knots[len(knots) - 1 - k]
        return np.where(((x == last) & (last < -0.5))[:, None], x.dtype.type(0), values)


class MinusZero(DeBoor):
    """-0.0 lies to the left of zero."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        return super().span(np.nextafter(x, x - 1) if x == 0 and np.signbit(x) else x, knots, k)


class CurveForgetsMissing(DeBoor):
    """A curve at NaN is zero."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return np.nan_to_num(super().curve(x, knots, coef, k))


class DoubleCurve(DeBoor):
    """Curves are float64 whatever goes in."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return super().curve(x, knots, coef, k).astype(float)


class DoubleDesign(DeBoor):
    """A sparse design matrix has float64 entries."""

    def design_rows(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return self.dbasis(x, knots, k, nu).astype(float)


class DoubleMatrix(NumkanSplines):
    """A refinement matrix is float64, and so is whatever is multiplied by it."""

    def refinement_matrix(self, knots: Array, finer: Array, k: int) -> Array:
        return super().refinement_matrix(knots, finer, k).astype(float)


# --- bits and hostile calls ---------------------------------------------------------------------------------------


class OnePointAlone(DeBoor):
    """A batch of one takes another path, which rounds otherwise."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x, knots, k) * x.dtype.type(1 + (len(x) == 1) * 2 * np.finfo(x.dtype).eps)


class WritesIntoKnots(DeBoor):
    """Padding is made even where the caller's knots lie."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        knots[0] -= k > 1
        return values


class CurveOfItsCoefficients(DeBoor):
    """At degree 0 a curve at as many points as there are coefficients is a view of these."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        values = super().curve(x, knots, coef, k)
        coef[: len(values)] = values[: len(coef)]
        return values
