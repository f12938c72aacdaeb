"""numkan's two calls as `accuracy.py` makes them: timed, with nothing said but what a task states."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from _accuracy_problems import Array

import numkan


@dataclass(frozen=True)
class Fitted:
    """A trained model, the seconds from its constructor to the end of its fit, and the result of the fit or search."""

    model: Any
    seconds: float
    result: Any

    def __str__(self) -> str:
        return network(self.model)


def network(model: Any) -> str:
    """Name a model by width, grids and degree."""
    grid, k = (values[0] if len(set(values)) == 1 else values for values in (model.grid, model.k))
    return f"{model.width}, G = {grid}, k = {k}"


def fit(width: Sequence[int], x: Array, y: Array, k: int = 3, seed: int = 0, **options: Any) -> Fitted:
    """Make a model and fit it; without options the defaults decide everything."""
    start = time.process_time()
    model = numkan.KAN(width=list(width), k=k, seed=seed)
    result = model.fit(x, y, **options)
    return Fitted(model, time.process_time() - start, result)


def search(x: Array, y: Array, seed: int = 0, **options: Any) -> Fitted:
    """Let numkan find the network."""
    start = time.process_time()
    model, table = numkan.search(x, y, random_state=seed, **options)
    return Fitted(model, time.process_time() - start, table)


def predict(model: Any, x: Array) -> Array:
    """Return the single output."""
    return np.asarray(model(x))[:, 0]


def rmse(y: Array, truth: Array) -> float:
    """Root of the mean square error."""
    return float(np.sqrt(np.mean((y - truth) ** 2)))


WIDE = 3.0


@dataclass(frozen=True)
class Scale:
    """The scale on which targets are fitted: a function and its inverse."""

    name: str
    into: Callable[[Array], Array]
    back: Callable[[Array], Array]


PLAIN = Scale("", lambda y: y, lambda y: y)
LOG = Scale("log", np.log, np.exp)


def scale_of(y: Array) -> Scale:
    """Choose the scale by the training targets alone.

    It is the logarithm where all are positive and their mean is more than three times their median: most are then
    small beside the largest, and a least squares fit would hardly see them.
    """
    return LOG if y.min() > 0 and y.mean() > WIDE * np.median(y) else PLAIN
