"""Which numbers of a sample the loops over sorted samples read; they lie in groups (``_groups.py``)."""

from __future__ import annotations

__all__ = ["VALUES", "highest_power", "powers_of"]

#: Forward: w and b.
VALUES = 2


def highest_power(k: int) -> int:
    """Return the highest power of w: at degree 0 there is w itself too, so that no NaN is lost."""
    return max(1, k)


def powers_of(k: int) -> int:
    """Return how many numbers backward are: w, w^2, ..., b and b'."""
    return highest_power(k) + 2
