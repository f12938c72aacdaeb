"""Least squares over samples that threads share.

Each thread takes a part of the rows. The parts depend on the number of samples alone, and their sums are added in the
tree of :mod:`numkan.model.row_squares`, so the bits do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from numkan._check import FloatArray
from numkan.model.curved import SQUARES, CurvedLoss
from numkan.model.least_squares import LeastSquares, Quadratic, SplineLayer
from numkan.model.row_squares import add_equations, add_numbers, add_slopes, tree_sum

__all__ = ["SharedSquares", "least_squares"]

#: Samples up to which they are one part, and the most samples of a part of more.
_ALONE, _PART = 16384, 8192

#: Parts are a multiple of this many, so that two or four threads end together.
_AT_ONCE = 4

#: Each thread holds a matrix J^T J. With more coefficients than this, of 32 MB a matrix, there is one part.
_MOST_COEFFICIENTS = 2000

Sum = TypeVar("Sum")


def least_squares(
    layers: Sequence[SplineLayer],
    x: FloatArray,
    y: FloatArray,
    root_weight: FloatArray | None = None,
    penalty: Quadratic | None = None,
    curved: CurvedLoss = SQUARES,
) -> LeastSquares:
    """Return the problem of samples in memory; threads share them if they are many."""
    size = sum(n_in * n_basis * n_out for n_in, n_basis, n_out in (layer.shape for layer in layers))
    kind = SharedSquares if len(x) > _ALONE and size <= _MOST_COEFFICIENTS else LeastSquares
    return kind(layers, x, y, root_weight, penalty, curved=curved)


class SharedSquares(LeastSquares):
    """The problem of samples whose parts are problems too; parameters are those of :class:`LeastSquares`."""

    def __init__(
        self,
        layers: Sequence[SplineLayer],
        x: FloatArray,
        y: FloatArray,
        root_weight: FloatArray | None = None,
        penalty: Quadratic | None = None,
        dense: bool | None = None,
        curved: CurvedLoss = SQUARES,
    ) -> None:
        super().__init__(layers, x, y, root_weight, penalty, dense, curved)
        number = _AT_ONCE * -(-len(x) // (_AT_ONCE * _PART))
        ends = [len(x) * place // number for place in range(number + 1)]
        parts = (slice(begin, end) for begin, end in pairwise(ends))
        self._shares = [
            LeastSquares(layers, x[rows], y[rows], self._weight(rows), dense=self.dense, curved=curved)
            for rows in parts
        ]
        for share in self._shares:
            share.most_kept = self.most_kept // number

    def _sum(self, part: Callable[[LeastSquares], Sum], add: Callable[[Sum, Sum], Sum]) -> Sum:
        return tree_sum(iter(self._shares), part, add)

    def loss(self, c: FloatArray) -> float:
        """Return f(c)."""
        return self._sum(lambda share: share.loss(c), add_numbers) + (self.penalty.value(c) if self.penalty else 0.0)

    def slope(self, c: FloatArray) -> tuple[float, FloatArray]:
        """Return f and J^T r without the penalty."""
        return self._sum(lambda share: share.slope(c), add_slopes)

    def scatter(self, c: FloatArray) -> float:
        """Return what estimates the dispersion of the loss."""
        if self.curved is SQUARES:
            return self.data_equations(c)[0]
        return self._sum(lambda share: share.scatter(c), add_numbers)

    def _equations(self, c: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        return self._sum(lambda share: share._equations(c), add_equations)
