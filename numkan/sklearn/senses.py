"""Columns with which predictions are known to rise or fall: scikit-learn's `monotonic_cst`, as networks take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numkan._shown import shown
from numkan.sklearn.inputs import Inputs, Reader

__all__ = ["input_senses"]


def input_senses(given: Any, reader: Reader, inputs: Inputs) -> tuple[int, ...] | None:
    """Return the sense of every input of a network, None where nothing is known.

    `given` has -1, 0 or 1 for every column, or for the names of some.
    """
    if given is None:
        return None
    senses = _of_names(given, reader.names) if isinstance(given, Mapping) else _of_places(given, len(reader.names))
    out: list[int] = []
    for name, levels, sense, place in zip(reader.names, reader.levels, senses, inputs.of_columns, strict=True):
        if levels is not None and sense:
            raise ValueError(f"Argument `monotonic_cst` must be 0 for the categories of column {name!r}, not {sense}.")
        out += [sense] + [0] * (place.stop - place.start - 1)  # whether a cell is missing has no sense
    return tuple(out) if any(out) else None


def _of_names(given: Mapping[Any, Any], names: Sequence[str]) -> list[int]:
    for name in given:
        if name not in names:
            raise ValueError(f"Argument `monotonic_cst` must name columns, not {shown(name)}: there are {list(names)}.")
    return [_checked(given.get(name, 0)) for name in names]


def _of_places(given: Any, number: int) -> list[int]:
    values = np.asarray(given)
    if values.shape != (number,):
        raise ValueError(
            f"Argument `monotonic_cst` must have an entry for each of {number} columns, not shape {values.shape}."
        )
    return [_checked(value) for value in values.tolist()]


def _checked(value: Any) -> int:
    if isinstance(value, bool) or value not in (-1, 0, 1):
        raise ValueError(f"Argument `monotonic_cst` must hold -1, 0 and 1 only, not {shown(value)}.")
    return int(value)
