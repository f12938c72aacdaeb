"""How columns of a table become inputs of a network: learned from the data of a fit, the same for every table after it.

A number becomes ``(value - mean) / scale``. A category becomes one input for each of its texts, 1 where the cell is
that text and 0 elsewhere; a text that the fit has not seen is a gap. Where the data of the fit had gaps in a column,
one more input is 1 at gaps and 0 elsewhere, and the other inputs of the column are 0 there: the network has learned
what a gap means. Where they had none, a gap has the mean of each input: 0 for a number, the shares of the texts for a
category. So an input is never missing, and never far from those of the fit.

The cells of a number are floats, NaN at gaps; those of a category are texts, None at gaps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Category", "Column", "Moments", "Number", "level_codes"]


@dataclass(frozen=True)
class Number:
    """A column of numbers, standardised."""

    name: str
    mean: float
    scale: float
    gaps: bool  # whether the data of the fit had some

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs that it becomes."""
        return [self.name] + [f"{self.name} is missing"] * self.gaps

    def encode(self, cells: NDArray[np.float64], out: NDArray[np.float64]) -> int:
        """Write the inputs (n, number of inputs) of cells, and return 0: no number is unknown."""
        missing = np.isnan(cells)
        with np.errstate(over="ignore"):  # infinity is what so large a number is to any network
            out[:, 0] = np.where(missing, 0.0, (cells - self.mean) / self.scale)
        if self.gaps:
            out[:, 1] = missing
        return 0


@dataclass(frozen=True)
class Category:
    """A column of texts, one input for each."""

    name: str
    levels: tuple[str, ...]
    shares: tuple[float, ...]  # of the levels among the cells that are no gaps
    gaps: bool

    @classmethod
    def counted(cls, name: str, levels: Sequence[str], counts: Sequence[float], gaps: bool) -> Category:
        """Return a category by how often the data of the fit had each of its levels."""
        total = math.fsum(counts) or 1.0
        return cls(name, tuple(levels), tuple(float(count) / total for count in counts), gaps)

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs that it becomes."""
        return [f"{self.name} = {level}" for level in self.levels] + [f"{self.name} is missing"] * self.gaps

    def encode(self, cells: Sequence[str | None], out: NDArray[np.float64]) -> int:
        """Write the inputs (n, number of inputs) of cells, and return how many of them the fit has not seen."""
        codes = level_codes(self.levels, cells)
        self.encode_codes(codes, out)
        return int(np.count_nonzero(codes == -2))

    def encode_codes(self, codes: NDArray[np.int64], out: NDArray[np.float64]) -> None:
        """Write the inputs of cells that are given by `codes`."""
        out[:, : len(self.levels)] = codes[:, None] == np.arange(len(self.levels))
        if self.gaps:
            out[:, -1] = codes < 0
        else:
            out[codes < 0] = self.shares


Column = Number | Category


def level_codes(levels: Sequence[str], cells: Sequence[str | None]) -> NDArray[np.int64]:
    """Return the places of cells among levels; -1 at gaps, -2 where a text is none of them."""
    number = {level: place for place, level in enumerate(levels)}
    return np.array([-1 if text is None else number.get(text, -2) for text in cells], dtype=np.int64)


@dataclass
class Moments:
    """Number, mean and sum of squared deviations of what has come so far; and how many gaps."""

    number: float = 0
    mean: float = 0.0
    squares: float = 0.0
    gaps: int = 0

    def add(self, values: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> None:
        """Add numbers, NaN for gaps (T. Chan et al., 1983, for two sets at a time), each `weight` times."""
        is_there = ~np.isnan(values)
        there = values[is_there]
        self.gaps += len(values) - len(there)
        if not len(there):
            return
        often = None if weight is None else weight[is_there]
        with np.errstate(over="ignore", invalid="ignore"):  # of what is not finite then, `column` makes no use
            mean = float(np.average(there, weights=often))
            squares = float(((there - mean) ** 2).sum() if often is None else often @ (there - mean) ** 2)
        count = len(there) if often is None else float(often.sum())
        total, step = self.number + count, mean - self.mean
        self.squares += squares + step * step * self.number * count / total
        self.mean += step * count / total
        self.number = total

    def column(self, name: str) -> Number:
        """Return the column: a constant one, or one whose spread is lost in rounding, has scale 1."""
        scale = math.sqrt(self.squares / (self.number or 1))
        is_spread = math.isfinite(scale) and scale > 1e-14 * abs(self.mean)
        mean = self.mean if math.isfinite(self.mean) else 0.0
        return Number(name, mean, scale if is_spread else 1.0, self.gaps > 0)
