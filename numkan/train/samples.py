"""Samples of a fit: checked, split into training and validation, and drawn in mini-batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray, as_samples, check_finite, check_number
from numkan.model.losses import Targets, targets
from numkan.model.network import Network

__all__ = ["Samples", "batches", "check_samples", "split", "validation_samples"]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Inputs (n, n_in) and what the outputs are compared with."""

    x: FloatArray
    goal: Targets

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[np.int64], *, share: bool = False) -> Samples:
        """Return some rows; with `share`, weighted so that the mean over equal batches is the loss of all rows."""
        goal = self.goal
        weight = goal.weight[rows] if goal.weight.size else goal.weight
        if share or not goal.weight.size:
            total = goal.total * len(rows) / len(self)
        else:
            per_weight = goal.total / float(goal.weight.sum(dtype=np.float64))
            total = per_weight * float(weight.sum(dtype=np.float64))
        return Samples(self.x[rows], goal.take(rows, weight, total))


def check_samples(model: Network, x: Any, y: Any, loss: str, sample_weight: Any, name: str = "x") -> Samples:
    """Return canonical samples; they must be finite, and at least one."""
    samples = as_samples(name, x, model.n_in, model.dtype)
    if len(samples) == 0:
        raise ValueError(f"Argument `{name}` must have at least one row to fit, not shape {samples.shape}.")
    check_finite(name, samples, x)
    return Samples(samples, targets(y, len(samples), model.n_out, model.dtype, loss, sample_weight))


def validation_samples(model: Network, validation: Any, loss: str) -> Samples:
    """Return the samples of ``validation=(x, y)`` or ``(x, y, sample_weight)``."""
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise TypeError(
            "Argument `validation` must be None, 'auto', a fraction, (x, y) or (x, y, sample_weight), "
            f"not {type(validation).__name__}."
        )
    x, y, *weight = validation
    try:
        return check_samples(model, x, y, loss, weight[0] if weight else None, "validation[0]")
    except (ValueError, TypeError) as error:
        text = str(error).replace("`y`", "`validation[1]`").replace("`sample_weight`", "`validation[2]`")
        raise type(error)(text.replace("`x`", "`validation[0]`")) from None


def split(samples: Samples, fraction: Any, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """Return training and validation samples, at least one of each, drawn at random; order is kept in both."""
    fraction = check_number("validation", fraction, 0.0, 1.0, exclusive=True)
    n = len(samples)
    held = min(max(round(fraction * n), 1), n - 1)
    if held < 1 or fraction == 1.0:
        raise ValueError(f"Argument `validation` must leave at least one of {n} samples to train on, not {fraction:g}.")
    order = rng.permutation(n)
    parts = samples.take(np.sort(order[held:])), samples.take(np.sort(order[:held]))
    for role, part in zip(("training", "validation"), parts, strict=True):
        if not part.goal.total > 0:
            raise ValueError(f"Argument `sample_weight` must have a positive sum over the {role} samples, not 0.")
    return parts


def batches(samples: Samples, size: int, rng: np.random.Generator) -> Iterator[Samples]:
    """Yield mini-batches without end: every epoch all samples once in a new order, but for an incomplete last one."""
    n = len(samples)
    while True:
        order = rng.permutation(n)
        for begin in range(0, n - size + 1, size):
            yield samples.take(order[begin : begin + size], share=True)
