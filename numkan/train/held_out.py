"""Rows that are held out, by a keyed hash of their inputs: copies stay together, and blocks need not see others."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan.train.copies import row_hashes

__all__ = ["HeldOut"]


class HeldOut(NamedTuple):
    """Rows whose hash is at most a limit.

    Examples
    --------
    >>> x = np.random.default_rng(0).uniform(size=(1000, 2))
    >>> held = HeldOut.of(x, 150, key=1)
    >>> held(x).sum(), bool(np.array_equal(held(x[::-1]), held(x)[::-1]))
    (np.int64(150), True)
    """

    key: int
    limit: Any  # uint64

    @classmethod
    def of(cls, x: FloatArray, number: int, key: int) -> HeldOut:
        """Return the rule that holds out `number` of the distinct rows of a sample, and the same share of others."""
        hashes = np.unique(row_hashes(x, key))
        return cls(key, hashes[min(number, len(hashes)) - 1])

    def __call__(self, x: FloatArray) -> NDArray[np.bool_]:
        """Return which rows of x (n, n_in) are held out."""
        held: NDArray[np.bool_] = row_hashes(x, self.key) <= self.limit
        return held
