"""The problems of `accuracy.py`: a function, the box it is sampled on, and how. Tasks a, b and c are here.

A seed decides the data: training points first, then fresh points, both uniform on the box, from one generator. The
peers are given the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """Training points, and fresh points with the truth."""

    x: Array
    y: Array
    fresh: Array
    truth: Array


@dataclass(frozen=True)
class Problem:
    """A function of the columns of x, on a box."""

    name: str
    formula: str
    f: Callable[..., Array]
    box: tuple[tuple[float, float], ...]
    n: int = 3000
    n_fresh: int = 5000

    def sample(self, seed: int, noise: float = 0.0) -> Data:
        """Draw the data of a seed; noise is added to the training targets only."""
        rng = np.random.default_rng(seed)
        low, high = np.transpose(self.box)
        x = rng.uniform(low, high, (self.n, len(low)))
        fresh = rng.uniform(low, high, (self.n_fresh, len(low)))
        y = self.f(*x.T) + noise * rng.normal(size=self.n)
        return Data(x, y, fresh, self.f(*fresh.T))

    def domain(self) -> str:
        """Say the box in words."""
        return " x ".join(f"[{a:.4g}, {b:.4g}]" for a, b in self.box)


def exp_sin(x: Array, y: Array) -> Array:
    """Return the toy of the KAN paper and of pykan's tutorials."""
    return np.exp(np.sin(np.pi * x) + y**2)


def deep(x1: Array, x2: Array, x3: Array, x4: Array) -> Array:
    """Return the paper's function of three layers."""
    first, second = np.sin(np.pi * (x1**2 + x2**2)), np.sin(np.pi * (x3**2 + x4**2))
    return np.exp((first + second) / 2)


UNIT = (-1.0, 1.0)
_EXP_SIN, _DEEP = "exp(sin(pi x) + y^2)", "exp((sin(pi(x1^2 + x2^2)) + sin(pi(x3^2 + x4^2)))/2)"

FEW = Problem("a", _EXP_SIN, exp_sin, (UNIT,) * 2, 1000, 1000)
MANY = Problem("b", _EXP_SIN, exp_sin, (UNIT,) * 2, 3000, 1000)
DEEP = Problem("c", _DEEP, deep, (UNIT,) * 4, 3000, 1000)
NOISY = Problem("g", _EXP_SIN, exp_sin, (UNIT,) * 2, 300, 1000)
