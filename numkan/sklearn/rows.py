"""Rows in canonical form. A weight is a frequency: a row of weight 2 is two rows, one of weight 0 is none.

Rows that are equal, in inputs and targets, become one that has their weights together, and rows are sorted. So whatever
is counted, drawn or estimated from them depends on what was observed alone, and neither on the order of the rows nor on
whether they came with weights or repeated.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import as_float_array, check_finite
from numkan.train.copies import row_labels

__all__ = ["Rows", "canonical", "checked_weight"]

Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """Observations."""

    x: Floats  # (n, n_columns): numbers, NaN at gaps; places of categories, negative at gaps
    y: Floats  # (n, n_out), or places of classes (n, 1)
    weight: Floats  # (n,), greater than 0

    def take(self, places: NDArray[Any]) -> Rows:
        """Return some rows."""
        return Rows(*(array[places] for array in self))


def checked_weight(value: Any, n: int) -> Floats:
    """Return the weights of n rows, ones where there are none."""
    if value is None:
        return np.ones(n)
    weight = np.asarray(as_float_array("sample_weight", value, np.float64), np.float64)
    weight = np.full(n, float(weight)) if weight.ndim == 0 else weight
    if weight.shape != (n,):
        raise ValueError(f"Argument `sample_weight` must have shape ({n},), not {weight.shape}.")
    check_finite("sample_weight", weight)
    if weight.min() < 0 or weight.max() == 0:
        rule = f"not be negative, not {weight.min():g}" if weight.min() < 0 else "have a positive sum, not all zeros"
        raise ValueError(f"Argument `sample_weight` must {rule}.")
    return weight


def canonical(rows: Rows) -> Rows:
    """Return the rows of positive weight, each once with the weight of all its copies, sorted."""
    rows = rows.take(np.flatnonzero(rows.weight))
    table = np.column_stack([rows.x, np.isnan(rows.x), rows.y])
    table[np.isnan(table)] = 0.0
    label = row_labels(np.ascontiguousarray(table))
    first = np.full(int(label.max()) + 1, len(label))
    np.minimum.at(first, label, np.arange(len(label)))
    order = np.lexsort(table[first].T[::-1])
    together: Floats = np.bincount(label, rows.weight).astype(np.float64)
    return Rows(rows.x[first[order]], rows.y[first[order]], together[order])
