"""The rows of a table as inputs and targets of a network."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan.cli.encoding import Encoding
from numkan.cli.errors import CommandError
from numkan.cli.tables import Table, as_numbers, as_texts

__all__ = ["Rows", "load_rows"]


class Rows(NamedTuple):
    """A table, encoded."""

    encoding: Encoding
    x: NDArray[np.float64]  # (n, n_in)
    y: NDArray[Any]  # (n, n_out), or labels (n,)
    skipped: int  # rows without a target


def load_rows(table: Table, encoding: Encoding, n_rows: int) -> Rows:
    """Return the rows that have all targets."""
    x = np.empty((n_rows, len(encoding.inputs)))
    y = np.empty((n_rows, len(encoding.targets)))
    names = [*(column.name for column in encoding.columns), *encoding.targets]
    kept = seen = 0
    for block in table.blocks(names):
        inputs, _ = encoding.encode(block)
        goals = np.column_stack([_targets(block.columns[name], encoding) for name in encoding.targets])
        rows = ~np.isnan(goals).any(axis=1)
        seen, number = seen + block.size, int(np.count_nonzero(rows))
        if seen > n_rows:
            break
        x[kept : kept + number], y[kept : kept + number] = inputs[rows], goals[rows]
        kept += number
    if seen != n_rows:
        raise CommandError(f"{table.path} must stay as it is while it is read.")
    goals = y[:kept] if encoding.classes is None else y[:kept, 0].astype(np.int64)
    return Rows(encoding, x[:kept], goals, n_rows - kept)


def _targets(cells: Any, encoding: Encoding) -> NDArray[np.float64]:
    """Return a target as numbers, or as the numbers of its classes; gaps as NaN."""
    if encoding.classes is None:
        return as_numbers(cells)
    number: dict[str | None, float] = {name: float(place) for place, name in enumerate(encoding.classes)}
    return np.array([number.get(text, math.nan) for text in as_texts(cells)])
