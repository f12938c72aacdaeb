"""Predictions at arrays that kernels cannot read as they are: they are made canonical block by block.

So a file that is mapped into memory may be larger than that, whatever its dtype, byte order and order of axes, and
though it is read-only, as such files mostly are. No row's bits depend on its block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples

__all__ = ["Predictor", "is_long_and_copied", "predict_by_block"]

#: A function of canonical samples (n, n_in) that gives outputs (n, n_out).
Predictor = Callable[[FloatArray], FloatArray]

#: So many numbers are copied at once: enough work for all threads, and little memory.
_BLOCK_NUMBERS = 1 << 20


def is_long_and_copied(x: Any, n_in: int, dtype: np.dtype[Any]) -> bool:
    """Tell whether x is an array (n, n_in) of more numbers than a block, which is canonical only once it is copied."""
    return (
        isinstance(x, np.ndarray)
        and x.size > _BLOCK_NUMBERS
        and x.shape[1:] == (n_in,)
        and not (x.dtype == dtype and x.flags.carray)
    )


def predict_by_block(predict: Predictor, x: Any, n_in: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return what `predict` returns at an array x (n, n_in) of any kind of real numbers."""
    rows = max(1, _BLOCK_NUMBERS // n_in)
    y: FloatArray | None = None
    for begin in range(0, len(x), rows):
        block = predict(as_samples("x", x[begin : begin + rows], n_in, dtype))
        if y is None:
            y = np.empty((len(x), block.shape[1]), dtype)
        y[begin : begin + rows] = block
    assert y is not None
    return y
