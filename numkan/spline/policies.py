"""Extrapolation policies: the continuation of a spline outside its domain. Only this file knows policies by name.

A policy adds pieces to the line, on each side of the domain. Kernels see pieces and not policies, so that value,
derivative, Jacobian and refit follow one policy by construction. To add a policy, write the function that returns its
pieces beyond one end, and put it among `POLICIES`: `linear` is the shortest example. The outermost piece must be a
straight line or a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.spline.spans import Spans, value_and_slope

__all__ = ["EXTRAPOLATIONS", "POLICIES", "End", "Piece", "Policy"]

#: Under `"continue"` the end polynomial is used for this share of the domain's length.
CONTINUED_SHARE = 0.03


class Piece(NamedTuple):
    """One piece, of every input."""

    begin: FloatArray  # (n_in,): its end towards the domain; on the right it includes this point
    centre: FloatArray  # (n_in,): w = (x - centre) * inverse
    inverse: FloatArray  # (n_in,): 0 for a constant
    first: Any  # (n_in,) int64: index of the first of the k + 1 functions
    poly: FloatArray  # (n_in, power m, function r)


class End(NamedTuple):
    """One end of the domain, of every input, from which a policy makes its pieces."""

    sign: int  # -1 on the left, 1 on the right
    knot: FloatArray  # (n_in,): where the domain ends; it is closed
    begin: FloatArray  # (n_in,): where the first piece outside begins: on the right, just after the knot
    length: FloatArray  # (n_in,): of the domain
    inside: Piece  # the last non-empty span of the domain
    spans: Spans  # all spans, the padding included
    k: int
    dtype: Any  # of the breaks

    def line(self, begin: FloatArray, x: FloatArray) -> Piece:
        """Return the straight line that has the value and the slope of the end polynomial at x (n_in,)."""
        if not self.k:
            return self.constant(begin, x)
        value, slope = self._at(x)
        return self._straight(begin, x, value, slope, 1 / self.length)

    def constant(self, begin: FloatArray, x: FloatArray) -> Piece:
        """Return the constant that is the value of the end polynomial at x (n_in,)."""
        value, slope = self._at(x)
        return self._straight(begin, x, value, 0 * slope, np.zeros(len(x)))

    def nothing(self, value: float) -> Piece:
        """Return the piece on which all functions are 0, or NaN."""
        values = np.full(self.inside.poly[:, 0].shape, value)
        return self._straight(self.begin, self.knot, values, values, np.zeros(len(values)))._replace(
            poly=np.full_like(self.inside.poly, value)
        )

    def rounded(self, x: FloatArray) -> FloatArray:
        """Return x rounded to the dtype of the breaks."""
        return x.astype(self.dtype).astype(np.float64)

    def _at(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        _, centre, inverse, _, poly = self.inside
        return value_and_slope(poly, (x - centre) * inverse, inverse)

    def _straight(
        self, begin: FloatArray, x: FloatArray, value: FloatArray, slope: FloatArray, inverse: FloatArray
    ) -> Piece:
        poly = np.zeros_like(self.inside.poly)
        poly[:, 0] = value
        if self.k:
            poly[:, 1] = slope * self.length[:, None] * (inverse != 0)[:, None]
        return Piece(begin, x, inverse, self.inside.first, poly)


class Policy(NamedTuple):
    """An extrapolation policy, and its properties."""

    outside: Callable[[End], list[Piece]]  # the pieces beyond one end, from the domain outwards
    count: Callable[[int], int]  # the number of these pieces for degree k
    has_values: bool = True  # whether there are values outside; if not, fits and refits use "continue"
    raises: bool = False  # whether points outside are an error
    keeps_constants: bool = True  # whether equal coefficients give a constant outside too


def _continue(end: End) -> list[Piece]:
    """Return the end polynomial for a little, then a straight line."""
    far = end.rounded(end.knot + end.sign * CONTINUED_SHARE * end.length)
    begin = far if end.sign < 0 else np.maximum(far, end.begin)
    return [end.inside._replace(begin=end.begin), end.line(begin, far)]


def _fade(end: End) -> list[Piece]:
    """Return the spans of the padding, pykan's way, then zeros."""
    starts, centre, inverse, poly = end.spans
    k, n_spans = end.k, centre.shape[1]
    pieces, spans = [], range(k - 1, -1, -1) if end.sign < 0 else range(n_spans - k, n_spans)
    for s in spans:
        first = min(max(s - k, 0), n_spans - 2 * k - 1)
        shifted = np.zeros_like(poly[:, s])  # function r is B_{s-k+r}; its index counts from `first`
        for r in range(k + 1):
            place = s - k + r - first
            if 0 <= place <= k:
                shifted[..., place] = poly[:, s, :, r]
        begin = starts[:, s + 1] if end.sign < 0 else starts[:, s]
        pieces.append(Piece(begin, centre[:, s], inverse[:, s], np.full(len(centre), first), shifted))
    outermost = starts[:, 0] if end.sign < 0 else starts[:, -1]
    return [*pieces, end.nothing(0.0)._replace(begin=outermost, centre=outermost)]


def _linear(end: End) -> list[Piece]:
    return [end.line(end.begin, end.knot)]


def _clamp(end: End) -> list[Piece]:
    return [end.constant(end.begin, end.knot)]


def _nan(end: End) -> list[Piece]:
    return [end.nothing(np.nan)]


#: The policies; `"continue"` is the default of models, `"fade"` is pykan's.
POLICIES = {
    "continue": Policy(_continue, lambda k: 2),
    "fade": Policy(_fade, lambda k: k + 1, keeps_constants=False),
    "linear": Policy(_linear, lambda k: 1),
    "clamp": Policy(_clamp, lambda k: 1),
    "nan": Policy(_nan, lambda k: 1, has_values=False),
    "raise": Policy(_nan, lambda k: 1, has_values=False, raises=True),
}

EXTRAPOLATIONS = tuple(POLICIES)
