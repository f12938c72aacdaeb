"""Rows of a table as inputs of a network, by the encoding of :mod:`numkan._encoding`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._encoding import Category, Column, Moments, level_codes
from numkan.sklearn.frames import category_places, columns_of, numbers_of, texts_of

__all__ = ["Inputs", "Reader"]

Floats = NDArray[np.float64]

#: A category has inputs for at most 64 of its levels, the most frequent ones; the others count as missing.
_MOST_LEVELS = 64


@dataclass(frozen=True)
class Reader:
    """What the columns of X are: names, and levels where they hold categories."""

    names: tuple[str, ...]
    levels: tuple[tuple[str, ...] | None, ...]

    @classmethod
    def of(cls, x: Any, names: Sequence[str], asked: Any, weight: Floats) -> Reader:
        """Read from the first table which columns hold categories, and their levels in rows of positive weight."""
        places = set(category_places(x, asked))
        levels = (
            _levels(texts_of(column), weight) if place in places else None for place, column in enumerate(columns_of(x))
        )
        return cls(tuple(map(str, names)), tuple(levels))

    def __call__(self, x: Any) -> Floats:
        """Return the table as floats: numbers, NaN at gaps; places of levels, negative at gaps and unseen ones."""
        out = np.empty((x.shape[0], len(self.names)))
        for place, (name, levels, column) in enumerate(zip(self.names, self.levels, columns_of(x), strict=True)):
            if levels is None:
                out[:, place] = numbers_of(column, name)
            else:
                out[:, place] = np.maximum(level_codes(levels, texts_of(column)), -1)
        return out


def _levels(texts: list[str | None], weight: Floats) -> tuple[str, ...]:
    count: defaultdict[str, float] = defaultdict(float)
    for text, often in zip(texts, weight.tolist(), strict=True):
        if text is not None and often > 0.0:
            count[text] += often
    frequent = sorted(count, key=lambda level: (-count[level], level))[:_MOST_LEVELS]
    return tuple(sorted(frequent))


@dataclass(frozen=True)
class Inputs:
    """The encoding that was learned from the rows of a fit."""

    columns: tuple[Column, ...]

    @classmethod
    def of(cls, reader: Reader, x: Floats, weight: Floats) -> Inputs:
        """Learn it from rows, as `reader` returns them, in canonical form."""
        columns: list[Column] = []
        for name, levels, cells in zip(reader.names, reader.levels, x.T, strict=True):
            if levels is not None:
                there = cells >= 0
                counts = np.bincount(cells[there].astype(np.int64), weight[there], len(levels))
                columns.append(Category.counted(name, levels, counts.tolist(), not there.all()))
            else:
                moments = Moments()
                moments.add(cells, weight)
                columns.append(moments.column(name))
        return cls(tuple(columns))

    @property
    def names(self) -> list[str]:
        """Names of the network's inputs."""
        return [name for column in self.columns for name in column.inputs]

    @property
    def of_columns(self) -> list[slice]:
        """Places of the inputs that each column becomes."""
        places, at = [], 0
        for column in self.columns:
            places.append(slice(at, at + len(column.inputs)))
            at = places[-1].stop
        return places

    def __call__(self, x: Floats) -> Floats:
        """Return the inputs (n, n_in) of rows, as the reader returns them."""
        places = self.of_columns
        out = np.empty((len(x), places[-1].stop))
        for column, cells, place in zip(self.columns, x.T, places, strict=True):
            if isinstance(column, Category):
                column.encode_codes(cells.astype(np.int64), out[:, place])
            else:
                column.encode(cells, out[:, place])
        return out
