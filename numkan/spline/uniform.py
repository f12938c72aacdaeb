"""Uniform knots: the centre of a span is computed from its number, not read from a table.

Knots are rounded, so spans that are meant to be equal differ a little. The polynomials are made about the centres that
this arithmetic gives, and for one width of all spans, so it loses no accuracy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray

__all__ = ["are_uniform", "uniform_centres", "uniform_spans"]

#: A centre may be off the middle of its span by this share of the span's half, and the half by this share of itself.
_TOLERANCE = 2.0**-8


def uniform_spans(left: FloatArray, right: FloatArray, first: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return (n_in, 3): the centre of span number 0, the step to the next centre, and the inverse of half a span.

    The spans with ends `left` and `right` (n_in, n) have the numbers first, first + 1, ..., and count as equal.
    """
    with np.errstate(all="ignore"):
        step = (right[:, -1] - left[:, 0]) / left.shape[1]
        return np.column_stack([left[:, 0] - (first - 0.5) * step, step, 2 / step]).astype(dtype)


def uniform_centres(uniform: FloatArray, number: NDArray[np.int64]) -> FloatArray:
    """Return the centres (n_in, n) of spans: the product and the sum are each rounded to the dtype of `uniform`."""
    with np.errstate(all="ignore"):  # spans beyond a large domain may be asked for
        centres: FloatArray = number.astype(uniform.dtype) * uniform[:, 1:2] + uniform[:, :1]
    return centres


def are_uniform(
    uniform: FloatArray, left: FloatArray, right: FloatArray, number: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which spans have the width that `uniform` gives, and lie where their numbers say."""
    half = 0.5 * (right - left)
    with np.errstate(all="ignore"):
        off = abs(uniform_centres(uniform, number).astype(np.float64) - (left + half))
        return (off <= _TOLERANCE * half) & (abs(half * uniform[:, 2:].astype(np.float64) - 1) <= _TOLERANCE)
