"""Predictions at arrays that kernels cannot read as they are: blocks of rows are copied one after the other.

So a file that is mapped into memory may be larger than the memory. It may have any dtype, byte order and order of axes,
and may be read-only, as such files mostly are. The bits of a row do not depend on its block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples

__all__ = ["Predictor", "is_long_and_copied", "predict_by_block"]

#: A function of canonical samples (n, n_in) that gives outputs (n, n_out).
Predictor = Callable[[FloatArray], FloatArray]

#: Entries that are copied at once: enough work for all threads, and little memory.
_BLOCK_SIZE = 1 << 20


def is_long_and_copied(x: Any, n_in: int, dtype: np.dtype[Any]) -> bool:
    """Return whether x is an array (n, n_in) larger than a block that has to be copied to become canonical."""
    return (
        isinstance(x, np.ndarray)
        and x.size > _BLOCK_SIZE
        and x.shape[1:] == (n_in,)
        and not (x.dtype == dtype and x.flags.carray)
    )


def predict_by_block(predict: Predictor, x: Any, n_in: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return what `predict` returns at an array x (n, n_in) of any kind of real numbers."""
    rows = max(1, _BLOCK_SIZE // n_in)
    y: FloatArray | None = None
    for begin in range(0, len(x), rows):
        block = predict(as_samples("x", x[begin : begin + rows], n_in, dtype))
        if y is None:
            y = np.empty((len(x), block.shape[1]), dtype)
        y[begin : begin + rows] = block
    assert y is not None
    return y
