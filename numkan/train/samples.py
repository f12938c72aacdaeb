"""Samples of a fit: checked, split into training and validation, and drawn in mini-batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray, as_samples, check_finite, check_number
from numkan.model.losses import LOSSES, Loss
from numkan.model.network import Network
from numkan.model.targets import Targets, targets
from numkan.train.copies import row_labels
from numkan.train.held_out import HeldOut

__all__ = [
    "Batches", "Samples", "check_samples", "generator_state", "merged", "set_generator_state", "split",
    "split_by_hash", "validation_samples",
]  # fmt: skip


class Groups(NamedTuple):
    """Which samples have equal inputs."""

    label: NDArray[np.int64]  # (n,): 0, 1, 2, ... in the order they appear, -1 where the weight is 0
    number: int


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs (n, n_in) and targets."""

    x: FloatArray
    goal: Targets

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def groups(self) -> Groups:
        """Samples of equal inputs, with any targets."""
        weight = self.goal.weight
        if not weight.size or weight.min() > 0:
            label = row_labels(self.x)
            return Groups(label, int(label.max()) + 1)
        rows = np.flatnonzero(weight)
        label = np.full(len(self), -1)
        label[rows] = row_labels(self.x[rows])
        return Groups(label, int(label.max()) + 1)

    @property
    def distinct(self) -> int:
        """The number of distinct inputs of samples that have a weight."""
        return self.groups.number

    @property
    def has_fixed_units(self) -> bool:
        """Whether targets cannot be measured in other units: classes and counts, and those of a user's loss."""
        loss = self.goal.loss
        return loss is not LOSSES["mse"] and loss.rescaled(1.0) is None

    def with_loss(self, loss: Loss) -> Samples:
        """Return the samples with another loss of the same targets."""
        return Samples(self.x, self.goal._replace(loss=loss))

    def take(self, rows: NDArray[np.int64], *, share: bool = False) -> Samples:
        """Return these rows; with `share`, weighted so that the mean over equal batches is the loss of all rows."""
        goal = self.goal
        weight = goal.weight[rows] if goal.weight.size else goal.weight
        if share or not goal.weight.size:
            total = goal.total * len(rows) / len(self)
        else:
            per_weight = goal.total / float(goal.weight.sum(dtype=np.float64))
            total = per_weight * float(weight.sum(dtype=np.float64))
        return Samples(self.x[rows], goal.take(rows, weight, total))


def check_samples(model: Network, x: Any, y: Any, loss: Any, sample_weight: Any, name: str = "x") -> Samples:
    """Return canonical samples; they must be finite, and at least one."""
    samples = as_samples(name, x, model.n_in, model.dtype)
    if len(samples) == 0:
        raise ValueError(f"Argument `{name}` must have at least one row to fit, not shape {samples.shape}.")
    check_finite(name, samples, x)
    return Samples(samples, targets(y, len(samples), model.n_out, model.dtype, loss, sample_weight))


def validation_samples(model: Network, validation: Any, loss: Any) -> Samples:
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
    """Return training and validation samples, drawn at random; order is kept in both.

    Samples of equal inputs stay together, or training would see validation samples. The share is that of the distinct
    inputs, at least one of them. It is less if training needs some rows without which an input would be constant.
    Samples without weight are in the first part.
    """
    held, (label, n) = _number_held(samples, fraction), samples.groups
    draws = np.zeros(n + 1, bool)  # the last is for samples without weight
    draws[rng.permutation(n)[:held]] = True
    return _parted(samples, draws[label])


def split_by_hash(samples: Samples, fraction: Any, rng: np.random.Generator) -> tuple[Samples, Samples, HeldOut]:
    """Return such parts of samples without weights, and the rule of the draw, which other rows can be judged by."""
    held = HeldOut.of(samples.x, _number_held(samples, fraction), int(rng.integers(2**63)))
    return *_parted(samples, held(samples.x)), held


def _number_held(samples: Samples, fraction: Any) -> int:
    """Return how many of the distinct inputs a share is."""
    fraction, n = check_number("validation", fraction, 0.0, 1.0, exclusive=True), samples.distinct
    held: int = min(max(round(fraction * n), 1), n - 1)
    if held < 1 or fraction == 1.0:
        kind = "samples" if n == len(samples) else "distinct samples that have a weight"
        raise ValueError(f"Argument `validation` must leave at least one of {n} {kind} to train on, not {fraction:g}.")
    return held


def _parted(samples: Samples, is_held: NDArray[np.bool_]) -> tuple[Samples, Samples]:
    is_held[_telling(samples.x, is_held, samples.groups.label >= 0)] = False
    return samples.take(np.flatnonzero(~is_held)), samples.take(np.flatnonzero(is_held))


def _telling(x: FloatArray, is_held: NDArray[np.bool_], counts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the held-out rows without which an input would be constant in training, and could not be learned from.

    If they are more than half of the held-out rows, training has few samples, and the result is empty.
    """
    left = x[counts & ~is_held]
    constant = (left == left[0]).all(axis=0)
    rows = np.flatnonzero(is_held)
    telling = (x[rows][:, constant] != left[0, constant]).any(axis=1)
    found: NDArray[np.int64] = rows[telling] if 2 * np.count_nonzero(telling) <= len(rows) else rows[:0]
    return found


def merged(samples: Samples) -> Samples:
    """Return the samples with copies (equal inputs and targets) merged into one sample that has their total weight.

    The loss stays the same. But an estimate of the noise from the number of samples must not take copies for
    independent ones. Where targets differ at one input the samples were measured independently, and all of them stay.
    """
    label, n = samples.groups
    goal = samples.goal
    if n == len(samples):
        return samples
    rows = np.flatnonzero(label >= 0)
    first = np.full(n, len(samples))
    np.minimum.at(first, label[rows], rows)
    target = goal.label[:, None] if len(goal.label) else goal.y
    differs = (target[rows] != target[first[label[rows]]]).any(axis=1)
    mixed = np.bincount(label[rows], differs, minlength=n) > 0
    weight = goal.weight.astype(np.float64) if goal.weight.size else np.ones(len(samples))
    together = weight.copy()
    together[first] = np.where(mixed, weight[first], np.bincount(label[rows], weight[rows], minlength=n))
    kept = np.flatnonzero((label < 0) | mixed[label] | (first[label] == np.arange(len(samples))))
    together = together[kept]
    if not goal.weight.size and (together == together[0]).all():
        return Samples(samples.x[kept], goal.take(kept, goal.weight, goal.total / len(samples) * len(kept)))
    rounded = together.astype(samples.x.dtype)
    return Samples(samples.x[kept], goal.take(kept, rounded, goal.total)) if np.isfinite(rounded).all() else samples


class Batches(Iterator[Samples]):
    """Mini-batches without end: every epoch all samples once in a new order, but for an incomplete last one."""

    def __init__(self, samples: Samples, size: int, rng: np.random.Generator) -> None:
        self._samples, self._size, self._rng = samples, size, rng
        self._begin = len(samples)  # of the next batch in this epoch

    def __next__(self) -> Samples:
        if self._begin + self._size > len(self._samples):
            self._shuffle()
        rows = self._order[self._begin : self._begin + self._size]
        self._begin += self._size
        return self._samples.take(rows, share=True)

    def _shuffle(self) -> None:
        self._epoch = self._rng.bit_generator.state
        self._order, self._begin = self._rng.permutation(len(self._samples)), 0

    def place(self) -> tuple[str, int]:
        """Return the state of the random numbers at the beginning of this epoch, and where the next batch begins."""
        return _as_text(self._epoch), self._begin

    def go_to(self, epoch: str, begin: int) -> None:
        """Go on from a place, with random numbers as they were there."""
        set_generator_state(self._rng, epoch)
        self._shuffle()
        self._begin = begin


def generator_state(rng: np.random.Generator) -> str:
    """Return the state of a generator as JSON."""
    return _as_text(rng.bit_generator.state)


def _as_text(state: Any) -> str:
    """Return such a state as JSON, its arrays as lists."""
    return json.dumps(state, default=lambda numbers: numbers.tolist(), sort_keys=True)


def set_generator_state(rng: np.random.Generator, state: str) -> None:
    """Bring a generator of the same kind into a state."""
    rng.bit_generator.state = json.loads(state)
