"""Transpose samples: rows of inputs become columns of a block."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.simd.transpose import FOUR, transpose_four_op
from numkan.simd.vectors import sample_lanes

__all__ = ["columns_kernel"]


@cache
def columns_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that fills columns with samples."""
    lanes, transpose_four = sample_lanes(dtype), transpose_four_op(dtype)

    @kernel
    def fill_columns(x, begin, count, low, high, work, to, apart):  # type: ignore[no-untyped-def]
        """Fill columns of work with inputs low ... high - 1 of samples begin ... begin + count - 1 of x (n, n_in).

        The first column begins at `to`, each further one `apart` entries after the one before.
        """
        n_in, rows = x.shape[1], x.reshape(-1)
        whole, fours = count // lanes * lanes, (high - low) // FOUR * FOUR
        for s in range(0, whole, lanes):
            for i in range(0, fours, FOUR):
                transpose_four(rows, (begin + s) * n_in + low + i, n_in, work, to + i * apart + s, apart)
        for i in range(high - low):
            source, column = np.uint64(begin * n_in + low + i), np.uint64(to + i * apart)
            for s in range(np.uint64(whole if i < fours else 0), np.uint64(count)):
                work[column + s] = rows[source + s * np.uint64(n_in)]

    return fill_columns
