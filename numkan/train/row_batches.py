"""Mini-batches of rows that memory does not hold: blocks are drawn at random, and rows at random from a few blocks.

Every epoch takes the blocks in a new order, a pool of them at a time, and the rows of a pool in a new order; what is
left of a pool, less than a batch, goes into the next one. Rows of one pool are drawn as those of an array are
(:class:`numkan.train.samples.Batches`), to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import numkan.data as data
from numkan._check import FloatArray
from numkan.data import Rows
from numkan.model.network import Network
from numkan.train.commit import scratch_copy
from numkan.train.held_out import HeldOut
from numkan.train.history import FitResult, FitStatus
from numkan.train.many_rows import Sampled
from numkan.train.objective import sample_loss
from numkan.train.passes import RowPasses
from numkan.train.row_grids import cover_rows, is_refusing
from numkan.train.samples import Samples, check_samples, generator_state, set_generator_state
from numkan.train.session import Session

__all__ = ["RowBatches", "Streamed"]

#: Blocks of a pool.
_POOL = 4


class RowBatches(Iterator[Samples]):
    """Mini-batches without end; ``take(x, y)`` returns the training samples among rows, of which there may be none."""

    def __init__(
        self, rows: Rows, take: Callable[[Any, Any], Samples | None], size: int, rng: np.random.Generator
    ) -> None:
        self._rows, self._take, self._size, self._rng = rows, take, size, rng
        self._blocks: list[int] = []  # that this epoch has not yet read
        self._number = 0  # of the next batch in this epoch
        self._pool: Samples | None = None
        self._left = np.empty(0, np.int64)  # rows of the pool, in their order

    def __next__(self) -> Samples:
        if len(self._left) < self._size and not self._blocks:
            self._shuffle()
        while len(self._left) < self._size:
            self._fill()
        assert self._pool is not None
        batch, self._left = self._left[: self._size], self._left[self._size :]
        self._number += 1
        return self._pool.take(batch, share=True)

    def _shuffle(self) -> None:
        """Begin an epoch."""
        self._epoch, self._number = generator_state(self._rng), 0
        number = -(-len(self._rows) // data.BLOCK)
        order = self._rng.permutation(number) if number > _POOL else np.arange(number)
        self._blocks, self._left = order.tolist(), self._left[:0]

    def _fill(self) -> None:
        """Read the next pool."""
        if not self._blocks:
            self._shuffle()  # all rows of the last pools were held out
        numbers, self._blocks = self._blocks[:_POOL], self._blocks[_POOL:]
        parts = [self._rows._block(number) for number in numbers]
        x, y = (np.concatenate(columns) if len(parts) > 1 else columns[0] for columns in zip(*parts, strict=True))
        found = self._take(x, y)
        if found is None:
            return
        rest = self._pool.take(self._left) if self._pool is not None and len(self._left) else None
        self._pool = found if rest is None else _joined(rest, found)
        self._left = self._rng.permutation(len(self._pool))

    def place(self) -> tuple[str, int]:
        """Return the state of the random numbers at the beginning of this epoch, and the batches taken since then."""
        return self._epoch, self._number

    def go_to(self, epoch: str, number: int) -> None:
        """Go on from a place, with random numbers as they were there."""
        set_generator_state(self._rng, epoch)
        self._shuffle()
        for _ in range(number):
            next(self)


def _joined(a: Samples, b: Samples) -> Samples:
    """Return the samples of both."""
    goal = b.goal._replace(y=np.concatenate([a.goal.y, b.goal.y]), total=a.goal.total + b.goal.total)
    return Samples(np.concatenate([a.x, b.x]), goal)


@dataclass(frozen=True, eq=False)
class Streamed:
    """All rows of a fit by Adam, whose sample stands for them in everything but the steps."""

    sampled: Sampled
    rows: Rows
    held: HeldOut | None
    n: int  # approximate number of training rows

    @classmethod
    def of(cls, sampled: Sampled, train: Samples, held: HeldOut | None) -> Streamed:
        """Return the rows of a sample, some of which is for training."""
        assert isinstance(sampled.rows, RowPasses)
        return cls(sampled, sampled.rows.rows, held, sampled.stand_for(len(train)))

    def batches(self, session: Session, size: int, rng: np.random.Generator) -> RowBatches:
        """Return mini-batches in the units of training."""
        return RowBatches(self.rows, _Training(session.start, self.held, session.scale.samples), size, rng)

    def concluded(self, session: Session, result: FitResult) -> FitResult:
        """Return the result with the loss of all training rows, and grids that a policy needs over them."""
        if len(self.rows) == len(self.sampled.x) or session.best is None or result.status is FitStatus.NONFINITE:
            return result
        if is_refusing(session):
            result = replace(result, message=result.message + cover_rows(session, self.sampled.rows))
        loss, number = self.sampled.rows.sum(_Loss(scratch_copy(session.model), self.held), _added)
        return replace(result, loss=loss / number)


@dataclass(frozen=True, eq=False)
class _Training:
    """Selects the training rows among the rows of a block."""

    model: Network
    held: HeldOut | None
    units: Callable[[Samples], Samples]

    def __call__(self, x: Any, y: Any) -> Samples | None:
        samples = _unheld(self.model, self.held, x, y)
        return None if samples is None else self.units(samples)


@dataclass(frozen=True, eq=False)
class _Loss:
    """The sum of the losses of the training rows of a block, and their number."""

    model: Network
    held: HeldOut | None

    def __call__(self, x: Any, y: Any) -> FloatArray:
        samples = _unheld(self.model, self.held, x, y)
        return np.zeros(2) if samples is None else np.array([sample_loss(self.model, samples), 1.0]) * len(samples)


def _added(a: FloatArray, b: FloatArray) -> FloatArray:
    total: FloatArray = a + b
    return total


def _unheld(model: Network, held: HeldOut | None, x: Any, y: Any) -> Samples | None:
    samples = check_samples(model, x, y, "mse", None)
    if held is None:
        return samples
    kept = np.flatnonzero(~held(samples.x))
    return samples.take(kept) if len(kept) else None
