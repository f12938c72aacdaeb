"""The first half of every layer kernel: from the points of a block of samples to numbers of them, sorted by piece.

A layer kernel works through blocks of samples, and within a block through groups of inputs, so that what it prepares
stays in the second-level cache, or is read in order where blocks are long. For one input it reads the points and sorts
the samples by piece (``sort.py``): a *run* of samples shares its polynomials. What is then computed with samples as
lanes, into groups (``groups.py``), are powers of the local variable (``powers.py``, ``rows.py``).

What forward has sorted, backward need not sort again: the slots of `work` that hold sorted samples may be as many as
there are inputs and blocks (`work.Sorted`), those that hold numbers are used again for every group.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.columns import columns_kernel
from numkan.layer.sort import sort_kernel

__all__ = ["place_kernel"]


@cache
def place_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that sorts a group of inputs at a block of samples by piece, for a dtype."""
    fill_columns, sort = columns_kernel(dtype), sort_kernel(dtype)

    @kernel
    def place(x, begin, count, low, high, width, n_rows, pieces, at, work):  # type: ignore[no-untyped-def]
        """Fill order, ordered and runs of slots at, at + 1, ... with inputs low ... high - 1 of x (n, n_in).

        The samples are begin ... begin + count - 1; width, n_rows: of the packed coefficients. One call does a whole
        group, because passing so many arrays costs as much as 50 samples.
        """
        fill_columns(x, begin, count, low, high, work.points, 0, work.stride)
        sort(count, low, high, width, n_rows, pieces, at, work)

    return place
