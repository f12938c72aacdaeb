"""Conversion to arrays of real numbers, from lists, data frames, arrays of objects and tensors, or a clear error."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._shown import shortened, shown

__all__ = ["as_plain_array", "real_array"]

#: Integers up to 2^53 are exact in float64; beyond, a cast would silently change the value.
_LARGEST_EXACT_INTEGER = 2**53


def real_array(name: str, value: Any) -> NDArray[Any]:
    """Return `value` as an array of floats, integers or booleans.

    Objects may be real numbers of any type. The columns of a frame may have any numeric dtype, also a nullable one
    without gaps. Conversions that would silently lose something are refused: masked entries, complex parts, texts,
    dates, gaps among objects, and integers beyond 2^53.
    """
    array = as_plain_array(name, value)
    if array.dtype.kind not in "iub" and hasattr(value, "columns"):
        return _of_columns(name, value, array)
    if array.dtype.kind == "f" and isinstance(value, list | tuple):
        _check_exact(name, _widest_integer(value))
    return _numbers(name, array)


def as_plain_array(name: str, value: Any) -> NDArray[Any]:
    """Return `value` as an array of any dtype; raise an error if it cannot be one."""
    nested = _oddity(value, ())
    if nested == "masked":
        raise TypeError(f"Argument `{name}` must not be a masked array: fill or drop the masked entries first.")
    if nested == "endless":
        raise ValueError(f"Argument `{name}` must be an array, not a list that holds itself.")
    if hasattr(value, "nnz") and hasattr(value, "toarray"):  # NumPy would make one object of it
        raise TypeError(f"Argument `{name}` must be a dense array, not {shown(value)}. Use {name}.toarray().")
    try:
        return np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:  # any error of a list of odd entries, a tensor, or a user's __array__
        if isinstance(error, ValueError) and isinstance(value, list | tuple):
            rule = "have rows of equal length, not a ragged sequence"
            raise ValueError(f"Argument `{name}` must {rule}.") from None
        kind, said = type(value).__name__, shortened(str(error)).rstrip(".")
        tensor = hasattr(value, "detach") and not getattr(value, "is_meta", False)
        hint = f" Use {name}.detach().cpu().double().numpy()." if tensor else ""
        rule = f"be convertible to a NumPy array, not this {kind} ({said})"
        raise TypeError(f"Argument `{name}` must {rule}.{hint}") from error


def _oddity(value: Any, above: tuple[int, ...]) -> str:
    """Return whether a list holds a masked array, whose mask NumPy would drop, or itself, which would hang NumPy."""
    if isinstance(value, np.ma.MaskedArray):
        return "masked"
    if not isinstance(value, list | tuple):
        return ""
    if id(value) in above:
        return "endless"
    above = (*above, id(value))
    nested = (entry for entry in value if isinstance(entry, np.ma.MaskedArray | list | tuple))
    return next(filter(None, (_oddity(entry, above) for entry in nested)), "")


def _of_columns(name: str, frame: Any, array: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers of a frame; `array` holds them if all columns have the same kind of dtype."""
    columns = [
        _numbers(name, as_plain_array(name, column), f" of column {shown(label)}") for label, column in _columns(frame)
    ]
    if array.dtype.kind == "f" or not columns:
        return array if columns else np.empty(array.shape)
    return np.column_stack(columns)


def _columns(frame: Any) -> Iterator[tuple[Any, Any]]:
    """Return labels and columns; in pandas by position, because labels may occur twice."""
    return iter(frame.items()) if hasattr(frame, "items") else ((label, frame[label]) for label in frame.columns)


def _numbers(name: str, array: NDArray[Any], of: str = "") -> NDArray[Any]:
    """Return an array, or one of objects as floats, if these are real numbers; `of` names the column for errors."""
    kind = array.dtype.kind
    if kind == "O":
        return _of_objects(name, array, of)
    if kind not in "fiub":
        found = f"dtype {shortened(str(array.dtype))}"
        raise TypeError(f"Argument `{name}` must hold real numbers, not {found}{of}.{_remedy(name, kind in 'US')}")
    if kind in "iu" and array.dtype.itemsize == 8 and array.size:
        _check_exact(name, max(int(array.max()), -int(array.min())))
    return array


def _of_objects(name: str, array: NDArray[Any], of: str) -> NDArray[Any]:
    """Return objects as floats, if each of them is a real number; NumPy alone would accept the text "1" too."""
    for place, entry in enumerate(array.reshape(-1).tolist()):
        if not isinstance(entry, numbers.Real | np.bool_ | Decimal):
            where = _where(np.unravel_index(place, array.shape), of)
            missing = entry is None or type(entry).__name__ in ("NAType", "NaTType")
            remedy = f" Use {name} with the gaps filled or dropped." if missing and where else ""
            remedy = remedy or _remedy(name, isinstance(entry, str))
            said = f"dtype object with {shown(entry)}{where}"
            raise TypeError(f"Argument `{name}` must hold real numbers, not {said}.{remedy}")
        if isinstance(entry, numbers.Integral):
            _check_exact(name, abs(int(entry)))
    try:
        return array.astype(np.float64)
    except (OverflowError, ValueError):  # a fraction beyond the range; a signalling NaN
        raise ValueError(f"Argument `{name}` must hold numbers that float64 holds{of}.") from None


def _where(place: tuple[Any, ...], of: str) -> str:
    if not place:
        return ""
    indices = tuple(int(index) for index in place)
    return f" at {'row ' if of else ''}{indices[0] if len(indices) == 1 else indices}{of}"


def _remedy(name: str, text: bool) -> str:
    if not text:
        return ""
    return f" Use {name}.astype(float) for numbers written as text, pandas.get_dummies({name}) for categories."


def _widest_integer(value: Any) -> int:
    """Return the largest magnitude of an integer in a nested list, with other numbers."""
    widest = 0
    for entry in value:
        if isinstance(entry, list | tuple):
            widest = max(widest, _widest_integer(entry))
        elif isinstance(entry, np.ndarray):
            if entry.dtype.kind in "iu" and entry.size:
                widest = max(widest, int(entry.max()), -int(entry.min()))
        elif isinstance(entry, int | np.integer):
            widest = max(widest, abs(int(entry)))
    return widest


def _check_exact(name: str, widest: int) -> None:
    if widest > _LARGEST_EXACT_INTEGER:
        raise ValueError(f"Argument `{name}` must hold integers of at most 2^53 in magnitude, not {shown(widest)}.")
