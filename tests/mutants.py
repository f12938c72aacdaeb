"""Faulty implementations of the basis, each with a fault that was seen in the wild."""

from __future__ import annotations

import numpy as np

from numkan.conformance.adapter import Array
from tests import naive
from tests.implementations import NumkanSplines


class NanToNum(NumkanSplines):
    """0/0 is repaired after the sum: the healthy term beside it is lost (pykan, efficient-kan)."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        points, value = x[:, None], naive.spans(x[:, None], knots[None], k)[:, 0].astype(knots.dtype)
        for d in range(1, k + 1):
            with np.errstate(all="ignore"):
                rising = (points - knots[: -d - 1]) / (knots[d:-1] - knots[: -d - 1]) * value[:, :-1]
                falling = (knots[d + 1 :] - points) / (knots[d + 1 :] - knots[1:-d]) * value[:, 1:]
            value = np.nan_to_num(rising + falling, nan=0.0, posinf=0.0, neginf=0.0)
        return value


class NanBecomesZero(NumkanSplines):
    """NaN points fall into no span and give zeros."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return np.nan_to_num(super().dbasis(x, knots, k, nu))


class HalfOpenEnd(NumkanSplines):
    """The domain lacks its right end."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return np.where((x == knots[-1])[:, None], knots.dtype.type(0), super().basis(x, knots, k))


class RightContinuousEnd(NumkanSplines):
    """At the last interior knot derivatives are those of the padding (pykan at nu = k)."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        x = np.where(x == knots[len(knots) - 1 - k], np.nextafter(x, x + 1), x)
        return super().dbasis(x, knots, k, nu)


class WrongKnot(NumkanSplines):
    """The falling term takes t_{i+d} where it needs t_{i+d+1}."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        points, value = x[:, None], naive.spans(x[:, None], knots[None], k)[:, 0].astype(knots.dtype)
        for d in range(1, k + 1):
            width = np.where(knots[d:] > knots[:-d], knots[d:] - knots[:-d], 1)
            share = (points - knots[: -d - 1]) / width[:-1]
            value = share * value[:, :-1] + (knots[d:-1] - points) / width[1:] * value[:, 1:]
        return value


class UniformAssumption(NumkanSplines):
    """Knots are taken as evenly spaced whatever they are: a partition of unity all the same."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        end = len(knots) - 1 - k
        low, high = knots[k], knots[end]
        even = low + (high - low) * (np.arange(len(knots), dtype=knots.dtype) - k) / knots.dtype.type(end - k)
        even[end] = high
        return super().basis(x, even, k)


class SlopeWithoutItsDegree(NumkanSplines):
    """The factor k of the derivative formula is missing."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        return super().dbasis(x, knots, k, nu) / knots.dtype.type(max(k, 1) if nu else 1)


class FiniteDifferences(NumkanSplines):
    """Derivatives by central differences."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        if nu != 1:
            return super().dbasis(x, knots, k, nu)
        step = knots.dtype.type(1e-6)
        return (self.basis(x + step, knots, k) - self.basis(x - step, knots, k)) / (2 * step)


class LastSpanDropped(NumkanSplines):
    """One function too few: the last is never filled."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        values[:, -1] = 0
        return values


class HiddenDouble(NumkanSplines):
    """float32 in, float64 out."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x.astype(float), knots.astype(float), k)


class LeakingSupport(NumkanSplines):
    """Rounding errors are left where exact zeros belong."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x, knots, k) + knots.dtype.type(1e-20)


class ClampedOutside(NumkanSplines):
    """Points beyond the knots are moved to the domain's ends."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        inside = np.clip(x, knots[k], knots[len(knots) - 1 - k])
        return super().dbasis(inside, knots, k, nu)


class DependsOnItsNeighbours(NumkanSplines):
    """Every second row of a batch is rounded otherwise."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        values[1::2] *= 1 - np.finfo(knots.dtype).eps
        return values


class Float16Knots(NumkanSplines):
    """Far from zero, knots are rounded to a multiple of 2^-10: wrong, and still a partition of unity."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        coarse = np.round(knots * 1024) / knots.dtype.type(1024)
        return super().basis(np.clip(x, coarse[k], coarse[-1 - k]), coarse, k)


class InsertionOffByOne(NumkanSplines):
    """Boehm's weights with t_{i+k+1} for t_{i+k}."""

    def insert_knot(self, knots: Array, coef: Array, k: int, new: float) -> tuple[Array, Array]:
        longer, _ = super().insert_knot(knots, coef, k, new)
        j = int(np.searchsorted(knots, new, "right")) - 1
        share = np.clip((new - knots[: len(coef) + 1]) / np.where(knots[k : len(coef) + k + 1] > new, 1.5, 1), 0, 1)
        share[: max(0, j - k + 1)], share[j + 1 :] = 1, 0
        padded = np.concatenate([coef[:1], coef, coef[-1:]])
        return longer, (share * padded[1:] + (1 - share) * padded[:-1]).astype(coef.dtype)


class ReversedRefinement(NumkanSplines):
    """The refinement matrix upside down: still stochastic."""

    def refinement_matrix(self, knots: Array, finer: Array, k: int) -> Array:
        return super().refinement_matrix(knots, finer, k)[::-1]


class TermsDropped(NumkanSplines):
    """Curves without their last term."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return super().curve(x, knots, np.append(coef[:-1], coef.dtype.type(0)), k)
