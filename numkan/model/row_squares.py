"""A sum of squares over rows that are read in blocks, and its normal equations.

Threads take a block each. The partial sums of the blocks are added in a fixed tree,

    ((0 + 1) + (2 + 3)) + ((4 + 5) + 6), ...,

of which no more sums are held than its depth. So the bits depend on the rows and their order alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray
from numkan._kept import keeps_memory
from numkan._threads import get_threads, run_tasks
from numkan.model.least_squares import LeastSquares, Quadratic, SplineLayer

__all__ = ["Known", "RowSource", "RowSquares", "add_equations", "add_numbers", "add_slopes", "tree_sum"]

#: Coefficients that went through the caller's model and back differ by less than this share of the largest.
_ROUNDING = 1e-13

Item = TypeVar("Item")
Sum = TypeVar("Sum")
Part = Callable[[FloatArray, FloatArray], Sum]


class RowSource(Protocol):
    """Rows in blocks, as float64, in the units of training."""

    n_targets: int
    last: Known | None  # the normal equations that were computed last

    def sum(self, part: Part[Sum], add: Callable[[Sum, Sum], Sum]) -> Sum:
        """Return the sum of a part of inputs (n, n_in) and targets (n, n_out) over all blocks, by the fixed tree."""


class Known(NamedTuple):
    """Normal equations of layers at some coefficients."""

    layers: tuple[SplineLayer, ...]
    c: FloatArray
    equations: tuple[float, FloatArray, FloatArray]

    def are_of(self, layers: tuple[SplineLayer, ...], c: FloatArray) -> bool:
        """Whether they are those of other layers too, at coefficients that differ by rounding."""
        same = all(_are_equal(a, b) for a, b in zip(layers, self.layers, strict=True))
        return same and bool(np.abs(c - self.c).max() <= _ROUNDING * np.abs(c).max())


def _are_equal(a: SplineLayer, b: SplineLayer) -> bool:
    """Whether two layers of the same network are the same function of their coefficients."""
    pairs = ((a.grid, b.grid), (a.base_scale, b.base_scale), (a.live, b.live))
    return all(np.array_equal(*pair) for pair in pairs)


class RowSquares(LeastSquares):
    """Least squares over all rows of a source; `x` and `y` are a sample of them, by which other things are judged.

    With `curvature`, the problem of a sample, J^T J is that of the sample, times as many rows as there are for each of
    its own. Steps then go to the same minimum, where the slope of all rows vanishes, and a pass costs much less.
    """

    def __init__(
        self,
        layers: Sequence[SplineLayer],
        x: FloatArray,
        y: FloatArray,
        source: RowSource,
        penalty: Quadratic | None = None,
        curvature: LeastSquares | None = None,
    ) -> None:
        super().__init__(layers, x, y, penalty=penalty)
        self._source, self._curvature = source, curvature
        self._last: tuple[FloatArray, float, FloatArray] | None = None  # coefficients and what was found there

    @property
    def n_targets(self) -> int:
        """The number of residuals of all rows."""
        return self._source.n_targets

    def loss(self, c: FloatArray) -> float:
        """Return f(c)."""
        if self._curvature:  # the slope, which most points need, costs little more
            value = self._slope(c)[0]
        else:
            value = self._source.sum(BlockLoss(self.layers, self.dense, c), add_numbers)
        return value + (self.penalty.value(c) if self.penalty else 0.0)

    def _slope(self, c: FloatArray) -> tuple[float, FloatArray]:
        if self._last is None or not np.array_equal(c, self._last[0]):
            self._last = np.array(c), *self._source.sum(BlockSlope(self.layers, self.dense, c), add_slopes)
        return self._last[1:]

    def _equations(self, c: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        if self._curvature:
            normal = self._curvature.data_equations(c)[2]
            return *self._slope(c), normal * (self.n_targets / self._curvature.n_targets)
        last = self._source.last
        if last is None or not last.are_of(self.layers, c):
            equations = self._source.sum(BlockEquations(self.layers, self.dense, c), add_equations)
            last = self._source.last = Known(self.layers, c, equations)
        return last.equations


@dataclass(frozen=True, eq=False)
class _OfBlock:
    """What a block adds to a sum, anywhere: it pickles."""

    layers: tuple[SplineLayer, ...]
    dense: bool
    c: FloatArray

    def _problem(self, x: FloatArray, y: FloatArray) -> LeastSquares:
        return LeastSquares(self.layers, x, y, dense=self.dense)


class BlockLoss(_OfBlock):
    """The sum of squares."""

    def __call__(self, x: FloatArray, y: FloatArray) -> float:
        with keeps_memory():
            return self._problem(x, y).loss(self.c)


class BlockSlope(_OfBlock):
    """The sum of squares and J^T r."""

    def __call__(self, x: FloatArray, y: FloatArray) -> tuple[float, FloatArray]:
        with keeps_memory():
            return self._problem(x, y).slope(self.c)


class BlockEquations(_OfBlock):
    """The sum of squares, J^T r and J^T J."""

    def __call__(self, x: FloatArray, y: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        with keeps_memory():
            return self._problem(x, y)._equations(self.c)


def add_numbers(a: float, b: float) -> float:
    """Return a + b."""
    return a + b


def add_slopes(a: tuple[float, FloatArray], b: tuple[float, FloatArray]) -> tuple[float, FloatArray]:
    """Return the sum of two sums of squares and J^T r."""
    return a[0] + b[0], a[1] + b[1]


def add_equations(
    a: tuple[float, FloatArray, FloatArray], b: tuple[float, FloatArray, FloatArray]
) -> tuple[float, FloatArray, FloatArray]:
    """Return the sum of two sums of squares, J^T r and J^T J."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def tree_sum(items: Iterator[Item], part: Callable[[Item], Sum], add: Callable[[Sum, Sum], Sum]) -> Sum:
    """Return the sum of ``part(item)`` over items, by a tree that depends on their number alone.

    Threads call `part`; no more items wait than there are threads.
    """
    sums: _Sums[Sum] = _Sums(add)
    lock, waiting = threading.Lock(), enumerate(items)

    def work(_: int) -> None:
        with one_blas_thread(), np.errstate(all="ignore"):  # values that are not finite are checked for
            while True:
                with lock:
                    found = next(waiting, None)
                if found is None:
                    return
                done = part(found[1])
                with lock:
                    sums.take(found[0], done)

    run_tasks(work, get_threads())
    return sums.total()


class _Sums(Generic[Sum]):
    """Partial sums by their nodes in the tree; two that meet are added, the left one first."""

    def __init__(self, add: Callable[[Sum, Sum], Sum]) -> None:
        self._add = add
        self._nodes: dict[tuple[int, int], Sum] = {}  # by height and place

    def take(self, place: int, value: Sum) -> None:
        """Take the sum of one item, and climb the tree as far as its other half is there."""
        height = 0
        while (other := self._nodes.pop((height, place ^ 1), None)) is not None:
            value = self._add(value, other) if place % 2 == 0 else self._add(other, value)
            height, place = height + 1, place // 2
        self._nodes[height, place] = value

    def total(self) -> Sum:
        """Return the sum of all: what is left are whole trees, the lower the later."""
        last, *others = (self._nodes[node] for node in sorted(self._nodes))
        for other in others:
            last = self._add(other, last)
        return last
