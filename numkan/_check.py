"""Argument checks: one sentence that names the argument, the rule and the value.

Every public entry point of numkan passes its arguments through this module before anything is changed, so that a call
that fails leaves the model as it was. The grammar of every message is ``Argument `name` must ..., not value.``
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numkan._real import real_array
from numkan._shown import shortened, shown

__all__ = [
    "FloatArray",
    "as_float_array",
    "as_samples",
    "check_dtype",
    "check_effort",
    "check_finite",
    "check_flag",
    "check_integer",
    "check_length",
    "check_names",
    "check_number",
    "check_option",
    "check_seed",
    "check_size",
    "is_iterable",
    "is_list",
]

FloatArray = NDArray[np.floating[Any]]

#: Longer arrays are a mistake; a larger effort is the same as this one.
_LARGEST_SIZE, _MOST_EFFORT = 2**31 - 1, 1e9


def check_integer(name: str, value: object, minimum: int) -> int:
    """Return `value` as an int; raise an error if it is not an integer >= `minimum`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise TypeError(f"Argument `{name}` must be an integer, not {shown(value)}.")
    if value < minimum:
        raise ValueError(f"Argument `{name}` must be at least {minimum}, not {shown(int(value))}.")
    return int(value)


def check_number(
    name: str,
    value: object,
    minimum: float = -np.inf,
    maximum: float = np.inf,
    *,
    exclusive: bool = False,
) -> float:
    """Return `value` as a finite float in [minimum, maximum] (with `exclusive`, without the lower end)."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"Argument `{name}` must be a real number, not {shown(value)}.")
    try:
        number = float(value)
    except OverflowError:  # an integer or a fraction beyond float64
        number = np.inf
    inside = minimum < number <= maximum if exclusive else minimum <= number <= maximum
    if not np.isfinite(number) or not inside:
        if maximum < np.inf:
            rule = f"lie in {'(' if exclusive else '['}{minimum:g}, {maximum:g}]"
        elif minimum > -np.inf:
            rule = f"be {'greater than' if exclusive else 'at least'} {minimum:g}"
        else:
            rule = "be finite"
        raise ValueError(f"Argument `{name}` must {rule}, not {shown(value)}.")
    return number


def check_size(name: str, value: object, minimum: int) -> int:
    """Return `value` as an int that is the length of an array: NumPy says nothing clear of those beyond 64 bits."""
    size = check_integer(name, value, minimum)
    if size > _LARGEST_SIZE:
        raise ValueError(f"Argument `{name}` must be at most {_LARGEST_SIZE}, not {shown(size)}.")
    return size


def check_effort(value: object) -> float:
    """Return a factor on the work that a search may do, which is no longer a limit where it is very large."""
    return min(check_number("effort", value, 0.0, exclusive=True), _MOST_EFFORT)


def check_option(name: str, value: object, options: Collection[str]) -> str:
    """Return `value` if it is one of `options`; otherwise raise an error that lists them and names the nearest."""
    if isinstance(value, str) and value in options:
        return value
    listed = ", ".join(repr(option) for option in options)
    near = difflib.get_close_matches(value.lower(), options, n=1, cutoff=0.5) if isinstance(value, str) else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"Argument `{name}` must be one of {listed}, not {shown(value)}.{hint}")


def check_seed(name: str, value: object) -> np.random.Generator:
    """Return the generator of a seed: a Generator as it is, an integer >= 0, or None for fresh entropy."""
    if isinstance(value, np.random.Generator):
        return value
    if value is None:
        return np.random.default_rng()
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise TypeError(f"Argument `{name}` must be an integer, a numpy.random.Generator or None, not {shown(value)}.")
    return np.random.default_rng(check_integer(name, value, 0))


def check_dtype(value: DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64 as a native dtype."""
    try:
        dtype = np.dtype(value)
    except Exception:  # NumPy raises various errors, for `3`, `{}`, "f4,," and objects without a repr
        raise TypeError(f"Argument `dtype` must be float32 or float64, not {shown(value)}.") from None
    if dtype.newbyteorder("=") not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"Argument `dtype` must be float32 or float64, not {shortened(str(dtype))}.")
    return dtype.newbyteorder("=")


def check_flag(name: str, value: object) -> bool:
    """Return `value` as a bool; raise an error if it is not one, because any text would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"Argument `{name}` must be True or False, not {shown(value)}.")
    return bool(value)


def is_list(value: object) -> bool:
    """Return whether `value` is a sequence, and not text or an array without dimensions."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)


def is_iterable(value: object) -> bool:
    """Return whether `value` is iterable, and not text or an array without dimensions."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | memoryview)


def check_length(name: str, value: Any, length: int, of: str) -> None:
    """Raise an error unless `value` has `length` entries; `of` names the thing that each of them belongs to."""
    if len(value) != length:
        raise ValueError(f"Argument `{name}` must have {length} entries, one for each {of}, not {len(value)}.")


def check_names(name: str, given: Any, count: int) -> list[str]:
    """Return an argument that names `count` nodes as a list of texts."""
    if not is_iterable(given):
        raise TypeError(f"Argument `{name}` must be a list of names, not {shown(given)}.")
    names = list(given)
    check_length(name, names, count, "node")
    return [str(each) for each in names]


def as_float_array(name: str, value: Any, dtype: DTypeLike) -> FloatArray:
    """Return `value` as a canonical array of `dtype`: the same bits from any container.

    A canonical array is returned itself, so do not write into the result. (Kernels are compiled once, for writable
    arrays; a read-only one is copied.)

    Lists, tuples, integers, booleans, data frames, objects that are real numbers, and arrays of any order, stride or
    byte order are accepted, see :mod:`numkan._real`. A conversion that would silently lose something is an error.
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.carray:
        return value
    array = real_array(name, value)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.require(array, dtype=np.dtype(dtype), requirements=["C", "A", "W"])


def as_samples(name: str, value: Any, n_columns: int | None, dtype: DTypeLike) -> FloatArray:
    """Return `value` as a canonical array of shape (n, n_columns); a 1-D array is an error, never a guess."""
    array = as_float_array(name, value, dtype)
    if array.ndim != 2:
        want = "n_columns" if n_columns is None else str(n_columns)
        hint = ""
        if array.ndim == 1 and n_columns in (None, 1):
            hint = f" Use {name}[:, None] for n samples of one number."
        elif array.shape == (n_columns,):
            hint = f" Use {name}[None, :] for one sample."
        raise ValueError(f"Argument `{name}` must have shape (n, {want}), not {array.shape}.{hint}")
    if n_columns is not None and array.shape[1] != n_columns:
        raise ValueError(f"Argument `{name}` must have shape (n, {n_columns}), not {array.shape}.")
    return array


def check_finite(name: str, array: FloatArray, given: Any = None) -> None:
    """Raise an error that says how many entries of `array` are NaN or infinite, and where the first one is.

    `given`, of which the array was made, lets the error show the original value of an entry that the dtype cannot hold.
    """
    if array.size == 1 and math.isfinite(array.item()):  # ten times as fast, which matters for one sample
        return
    finite = np.isfinite(array)
    if np.count_nonzero(finite) == finite.size:  # for a few numbers faster than `all`
        return
    count = int(finite.size - np.count_nonzero(finite))
    first = tuple(int(index) for index in np.argwhere(~finite)[0])
    where = first[0] if len(first) == 1 else first
    if given is not None and array.dtype == np.float32:
        value = as_float_array(name, given, np.float64).reshape(-1)[np.ravel_multi_index(first, array.shape)]
        if np.isfinite(value):
            raise ValueError(f"Argument `{name}` must hold numbers that float32 holds, not {value:g} at {where}.")
    raise ValueError(
        f"Argument `{name}` must be finite, not with {count} NaN or infinite "
        f"{'entry' if count == 1 else 'entries'}, the first ({array[first]}) at {where}."
    )
