"""Functions that no formula equals: random splines, Gaussian processes, integrals without closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import BSpline, CubicSpline

SEED, COUNT = 31, 300


@dataclass(frozen=True)
class Claim:
    """A function of some variables in [-1, 1] that is no formula."""

    name: str
    text: str
    n_in: int
    f: Callable[[Any], Any]

    def __call__(self, x: Any) -> Any:
        """Return the values (n,)."""
        return self.f(x)

    def draw(self, n: int, rng: np.random.Generator) -> Any:
        """Return n points of the box."""
        return rng.uniform(-1, 1, (n, self.n_in))


def _spline(rng: np.random.Generator) -> Callable[[Any], Any]:
    """Return a sum of random splines of degree 5, one of each input: no formula, however smooth."""
    n_in = int(rng.integers(1, 3))
    knots = np.concatenate([[-1.0] * 5, np.linspace(-1, 1, 7), [1.0] * 5])
    curves = [BSpline(knots, rng.normal(size=len(knots) - 6), 5) for _ in range(n_in)]
    product = bool(rng.integers(2))
    if product:
        return lambda x: np.prod([c(x[:, k]) for k, c in enumerate(curves)], axis=0)
    return lambda x: np.sum([c(x[:, k]) for k, c in enumerate(curves)], axis=0)


def _process(rng: np.random.Generator, n_in: int) -> Callable[[Any], Any]:
    """Return a draw of a Gaussian process of 40 random waves."""
    w, p, c = rng.normal(size=(n_in, 40)) * rng.uniform(1, 3), rng.uniform(0, 2 * np.pi, 40), rng.normal(size=40)
    return lambda x: np.cos(x @ w + p) @ c


def _integral(rng: np.random.Generator) -> Callable[[Any], Any]:
    """Return an integral of exp(-|t|^3) or cos(t^4) and their like, from a fine table, of a x + b y."""
    a, b, p = rng.uniform(0.7, 1.6), rng.uniform(-1, 1), rng.uniform(2.5, 4.0)
    t = np.linspace(-3, 3, 4001)
    inner = np.exp(-(np.abs(t) ** p)) if rng.integers(2) else np.cos(np.abs(t) ** p) * np.exp(-t * t / 3)
    curve = CubicSpline(t, inner).antiderivative()
    return lambda x: curve(a * x[:, 0] + b * x[:, 1])


def false_claims(count: int = COUNT, seed: int = SEED) -> list[Claim]:
    """Return the functions, a third of each kind."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        kind = ("spline", "process", "integral")[k % 3]
        n_in = int(rng.integers(1, 4))
        if kind == "spline":
            f: Callable[[Any], Any] = _spline(rng)
            n_in = 2
        elif kind == "process":
            f = _process(rng, n_in)
        else:
            f, n_in = _integral(rng), 2
        found.append(Claim(f"{kind}{k}", kind, n_in, f))
    return found
