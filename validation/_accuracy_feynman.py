"""Task e: the 27 dimensionless Feynman formulas of the KAN paper, with their ranges, written before any fit.

The paper does not say its ranges. Those of pykan 0.2.8 (kan/feynman.py) are for the formulas with their units; here
each variable has the range of pykan's variable of that name or place, in units in which the quantity that it is
divided by is 1. Where that would reach a singularity, the range ends before it, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

from _accuracy_problems import Array, Problem
from numpy import arcsin, cos, exp, log, sin, sinc, sqrt

UNIT, SHARE, TURN, RATIO = (-1.0, 1.0), (0.0, 1.0), (0.0, 2 * pi), (0.5, 2.0)


@dataclass(frozen=True)
class Published:
    """RMSE of Liu et al., arXiv 2404.19756, table 2."""

    human: float
    pruned: float
    unpruned: float
    mlp: float

    @property
    def best(self) -> float:
        """The best of the four columns."""
        return min(self.human, self.pruned, self.unpruned, self.mlp)


FEYNMAN: dict[str, Problem] = {}
PUBLISHED: dict[str, Published] = {}
NOTES = {
    "I.15.3x": "b = u/c to 0.9, as in pykan's I.15.10: singular at 1",
    "I.29.16": "a to 0.9: the root has a kink at a = 1, t1 = t2",
    "I.30.5": "a to 0.99, as in pykan's I.26.2: the slope is infinite at a = n = 1",
    "I.9.18": "lengths in units of x1; b on the other side of 0, as in pykan",
    "II.6.15a": "pykan's, with the kink of the root at a = b = 0 in a corner",
}


def _add(name: str, formula: str, f: Callable[..., Array], box: tuple[tuple[float, float], ...], *rmse: float) -> None:
    FEYNMAN[name] = Problem(name, formula, f, box)
    PUBLISHED[name] = Published(*rmse)


def _bell(t: Array, s: Array) -> Array:
    return exp(-((t / s) ** 2) / 2) / sqrt(2 * pi * s**2)


_add("I.6.2", "exp(-t^2/2s^2)/sqrt(2 pi s^2)", _bell, (UNIT, RATIO), 7.66e-5, 2.86e-5, 4.60e-5, 1.45e-4)
_add(
    "I.6.2b",
    "exp(-(t-t1)^2/2s^2)/sqrt(2 pi s^2)",
    lambda t, t1, s: _bell(t - t1, s),
    ((-1.5, 1.5), (-1.5, 1.5), RATIO),
    *(1.22e-3, 4.45e-4, 1.25e-3, 7.40e-4),
)
_add(
    "I.9.18",
    "a/((b-1)^2+(c-d)^2+(e-f)^2)",
    lambda a, b, c, d, e, f: a / ((b - 1) ** 2 + (c - d) ** 2 + (e - f) ** 2),
    (UNIT, (-1.0, -0.5), (-1.0, -0.5), (0.5, 1.0), (-1.0, -0.5), (0.5, 1.0)),
    *(1.48e-3, 8.62e-3, 6.56e-3, 1.59e-3),
)
_add("I.12.11", "1+a sin t", lambda a, t: 1 + a * sin(t), (UNIT, TURN), 2.07e-3, 1.39e-3, 9.13e-4, 6.71e-4)
_add("I.13.12", "a(1/b-1)", lambda a, b: a * (1 / b - 1), (SHARE, RATIO), 7.22e-3, 4.81e-3, 2.72e-3, 1.42e-3)
_add(
    "I.15.3x",
    "(1-a)/sqrt(1-b^2)",
    lambda a, b: (1 - a) / sqrt(1 - b**2),
    (UNIT, (-0.9, 0.9)),
    *(7.35e-3, 1.58e-3, 1.14e-3, 8.54e-4),
)
_add(
    "I.16.6",
    "(a+b)/(1+ab)",
    lambda a, b: (a + b) / (1 + a * b),
    ((-0.8, 0.8), (-0.8, 0.8)),
    *(1.06e-3, 1.19e-3, 1.53e-3, 6.20e-4),
)
_add(
    "I.18.4",
    "(1+ab)/(1+a)",
    lambda a, b: (1 + a * b) / (1 + a),
    ((0.5, 1.0), UNIT),
    *(3.92e-4, 1.50e-4, 1.32e-3, 3.68e-4),
)
_add(
    "I.26.2",
    "arcsin(n sin t)",
    lambda n, t: arcsin(n * sin(t)),
    ((0.0, 0.99), TURN),
    *(1.22e-1, 7.90e-4, 8.63e-4, 1.24e-3),
)
_add("I.27.6", "1/(1+ab)", lambda a, b: 1 / (1 + a * b), (RATIO, RATIO), 2.22e-4, 1.94e-4, 2.14e-4, 2.46e-4)
_add(
    "I.29.16",
    "sqrt(1+a^2-2a cos(t1-t2))",
    lambda a, t1, t2: sqrt(1 + a**2 - 2 * a * cos(t1 - t2)),
    ((-0.9, 0.9), TURN, TURN),
    *(2.36e-1, 3.99e-3, 3.20e-3, 4.64e-3),
)
_add(
    "I.30.3",
    "sin^2(nt/2)/sin^2(t/2)",
    lambda n, t: (sin(n * t / 2) / sin(t / 2)) ** 2,
    ((0.0, 4.0), (0.4 * pi, 1.6 * pi)),
    *(3.85e-1, 1.03e-3, 1.11e-2, 1.50e-2),
)
_add(
    "I.30.5",
    "arcsin(a/n)",
    lambda a, n: arcsin(a / n),
    ((-0.99, 0.99), (1.0, 1.5)),
    *(2.23e-4, 3.49e-5, 6.92e-5, 9.45e-5),
)
_add(
    "I.37.4",
    "1+a+2 sqrt(a) cos d",
    lambda a, d: 1 + a + 2 * sqrt(a) * cos(d),
    ((0.1, 1.0), TURN),
    *(7.57e-5, 4.91e-6, 3.41e-4, 5.67e-4),
)
_add("I.40.1", "n0 exp(-a)", lambda n0, a: n0 * exp(-a), (SHARE, UNIT), 3.45e-3, 5.01e-4, 3.12e-4, 3.99e-4)
_add("I.44.4", "n ln a", lambda n, a: n * log(a), (SHARE, RATIO), 2.30e-5, 2.43e-5, 1.10e-4, 3.99e-4)
_add(
    "I.50.26",
    "cos a + b cos^2 a",
    lambda a, b: cos(a) + b * cos(a) ** 2,
    (TURN, SHARE),
    *(1.52e-4, 5.82e-4, 4.90e-4, 1.53e-3),
)
_add("II.2.42", "(a-1)b", lambda a, b: (a - 1) * b, (SHARE, SHARE), 8.54e-4, 7.22e-4, 1.22e-3, 1.81e-4)
_add(
    "II.6.15a",
    "c sqrt(a^2+b^2)/(4 pi)",
    lambda a, b, c: c * sqrt(a**2 + b**2) / (4 * pi),
    (SHARE, SHARE, SHARE),
    *(2.61e-3, 3.28e-3, 1.35e-3, 5.92e-4),
)
_add(
    "II.11.7",
    "n0(1+a cos t)",
    lambda n0, a, t: n0 * (1 + a * cos(t)),
    (SHARE, UNIT, TURN),
    *(7.10e-3, 8.52e-3, 5.03e-3, 5.92e-4),
)
_add(
    "II.11.27",
    "na/(1-na/3)",
    lambda n, a: n * a / (1 - n * a / 3),
    (SHARE, (0.0, 2.0)),
    *(2.67e-5, 4.40e-5, 1.43e-5, 7.18e-5),
)
_add(
    "II.35.18",
    "n0/(e^a+e^-a)",
    lambda n0, a: n0 / (exp(a) + exp(-a)),
    (SHARE, SHARE),
    *(4.13e-4, 1.58e-4, 7.71e-5, 7.92e-5),
)
_add(
    "II.36.38",
    "a+bc",
    lambda a, b, c: a + b * c,
    (SHARE, SHARE, SHARE),
    *(2.85e-3, 1.15e-3, 3.03e-3, 2.15e-3),
)
_add("II.38.3", "a/b", lambda a, b: a / b, (SHARE, RATIO), 1.47e-4, 8.78e-5, 6.43e-4, 5.26e-4)
_add(
    "III.9.52",
    "a sin^2((b-c)/2)/((b-c)/2)^2",
    lambda a, b, c: a * sinc((b - c) / (2 * pi)) ** 2,  # numpy's sinc has the pi inside
    (SHARE, (0.0, pi), (0.0, pi)),
    *(4.43e-2, 3.90e-3, 2.11e-2, 9.07e-4),
)
_add(
    "III.10.19",
    "sqrt(1+a^2+b^2)",
    lambda a, b: sqrt(1 + a**2 + b**2),
    (SHARE, SHARE),
    *(2.54e-3, 1.18e-3, 8.16e-4, 1.67e-4),
)
_add(
    "III.17.37",
    "b(1+a cos t)",
    lambda b, a, t: b * (1 + a * cos(t)),
    (SHARE, SHARE, TURN),
    *(1.10e-3, 5.03e-4, 4.12e-4, 6.80e-4),
)
