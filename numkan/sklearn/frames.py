"""Columns of an array or a data frame, as numbers or as texts; and which of them hold categories."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import is_list
from numkan._shown import shown

__all__ = ["category_places", "columns_of", "is_frame", "is_gap", "numbers_of", "texts_of"]

#: Parts of the names of dtypes that hold texts or categories, in pandas and polars.
_TEXTUAL = ("category", "categorical", "enum", "str", "utf8")


def is_frame(x: Any) -> bool:
    """Whether x is a data frame: it has columns with names and dtypes of their own."""
    return hasattr(x, "columns") and hasattr(x, "shape") and not isinstance(x, np.ndarray)


def columns_of(x: Any) -> Iterator[Any]:
    """Yield the columns of a data frame or an array, by place: names may be there twice."""
    if not is_frame(x):
        yield from np.asarray(x).T
    elif hasattr(x, "iloc"):
        yield from (x.iloc[:, place] for place in range(x.shape[1]))
    else:
        yield from (x[name] for name in x.columns)


def category_places(x: Any, asked: Any) -> list[int]:
    """Return the places of the columns that hold categories.

    Parameters
    ----------
    asked : "from_dtype", None or list
        By the columns' dtypes, none, or names, places or one truth value for each column.
    """
    if asked is None:
        return []
    if isinstance(asked, str):
        if asked != "from_dtype":
            raise ValueError(
                f"Argument `categorical_features` must be 'from_dtype', None or a list of columns, not {asked!r}."
            )
        return [place for place, column in enumerate(columns_of(x)) if is_frame(x) and _is_textual(column)]
    if not is_list(asked):
        raise TypeError(
            f"Argument `categorical_features` must be 'from_dtype', None or a list of columns, not {shown(asked)}."
        )
    names = list(x.columns) if is_frame(x) else []
    if len(asked) == x.shape[1] and all(isinstance(entry, bool | np.bool_) for entry in asked):
        return [place for place, is_one in enumerate(asked) if is_one]
    return sorted({_place(entry, names, x.shape[1]) for entry in asked})


def _place(entry: Any, names: list[Any], n_columns: int) -> int:
    if entry in names:
        return names.index(entry)
    is_place = isinstance(entry, int | np.integer) and not isinstance(entry, bool)
    if is_place and -n_columns <= entry < n_columns:
        return int(entry) % n_columns
    raise ValueError(f"Argument `categorical_features` must name columns of `X`, not {shown(entry)}.")


def _is_textual(column: Any) -> bool:
    kind = str(column.dtype).lower()
    if kind != "object":
        return any(kind.startswith(part) for part in _TEXTUAL)
    return any(isinstance(cell, str) for cell in column)


def numbers_of(column: Any, name: str) -> NDArray[np.float64]:
    """Return a column as finite floats, gaps as NaN."""
    cells = column if isinstance(column, np.ndarray) and column.dtype.kind in "fiub" else _listed(column)
    try:
        numbers = np.asarray(cells, np.float64)
    except (TypeError, ValueError) as error:
        odd = next(cell for cell in cells if not _is_number(cell))
        if isinstance(odd, str):
            rule = "must hold numbers, or be named in `categorical_features`"
            raise ValueError(f"Column {shown(name)} of `X` {rule}, not {shown(odd)}.") from error
        raise TypeError(f"Column {shown(name)} of `X` must hold numbers, not {shown(odd)}.") from error
    if np.isinf(numbers).any():
        raise ValueError(f"Column {shown(name)} of `X` must be finite or NaN for a gap, not infinity.")
    return numbers


def texts_of(column: Any) -> list[str | None]:
    """Return a column as texts, gaps as None. Whole numbers have no decimal point, whatever their dtype."""
    return [None if cell is None else _text(cell) for cell in _listed(column)]


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _listed(column: Any) -> Sequence[Any]:
    """Return the cells as objects of Python, gaps as None."""
    cells: list[Any] = column.to_list() if hasattr(column, "to_list") else np.asarray(column).tolist()
    return [None if is_gap(cell) else cell for cell in cells]


def is_gap(cell: Any) -> bool:
    """Whether a cell says that nothing is there."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, float) and math.isnan(cell)


def _is_number(cell: Any) -> bool:
    try:
        float(math.nan if cell is None else cell)
    except (TypeError, ValueError):
        return False
    return not isinstance(cell, str)
