"""Equally spaced knots: the centre of a span is found by arithmetic, not read from a table.

Knots are rounded, so spans that are meant to be equal are not. But polynomials are made about the very centres that
arithmetic gives, and for one width of all spans, so nothing is lost by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray

__all__ = ["are_even", "even_centres", "even_spans"]

#: A centre may be off the middle of its span by this share of the span's half, and the half by this share of itself.
_NEAR = 2.0**-8


def even_spans(left: FloatArray, right: FloatArray, first: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return (n_in, 3): centre of number 0, step to the next, and inverse of half a span.

    They are those of spans with these ends (n_in, n) and the numbers from `first` on, if they are equal.
    """
    with np.errstate(all="ignore"):
        step = (right[:, -1] - left[:, 0]) / left.shape[1]
        return np.column_stack([left[:, 0] - (first - 0.5) * step, step, 2 / step]).astype(dtype)


def even_centres(even: FloatArray, number: NDArray[np.int64]) -> FloatArray:
    """Return the centres (n_in, n) of spans: the product and the sum are rounded, each, to the dtype of `even`."""
    with np.errstate(all="ignore"):  # spans beyond a large domain may be asked for
        centres: FloatArray = number.astype(even.dtype) * even[:, 1:2] + even[:, :1]
    return centres


def are_even(even: FloatArray, left: FloatArray, right: FloatArray, number: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which of these spans have the width that `even` says, and lie where their numbers do."""
    half = 0.5 * (right - left)
    with np.errstate(all="ignore"):
        off = abs(even_centres(even, number).astype(np.float64) - (left + half))
        return (off <= _NEAR * half) & (abs(half * even[:, 2:].astype(np.float64) - 1) <= _NEAR)
