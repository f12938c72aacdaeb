"""What the loops over sorted samples read of a sample (``_groups.py``), and which function they begin with."""

from __future__ import annotations

__all__ = ["VALUES", "highest_power", "middle_function", "powers_of"]

#: Forward: w and b.
VALUES = 2


def middle_function(k: int) -> int:
    """Return which of the k + 1 functions of a piece others are compared with where they sum to 1: a large one."""
    return k // 2


def highest_power(k: int) -> int:
    """Return the highest power of w: at degree 0 there is w itself too, so that no NaN is lost."""
    return max(1, k)


def powers_of(k: int) -> int:
    """Return how many numbers backward are: w, w^2, ..., b and b'."""
    return highest_power(k) + 2
