"""Designs that hold all pairs: of any two factors, each pair of levels stands in some row."""

from __future__ import annotations

from functools import cache
from itertools import combinations, product

__all__ = ["all_pairs"]


@cache
def all_pairs(*levels: int) -> tuple[tuple[int, ...], ...]:
    """Return rows of levels, one for each factor, in which every pair of levels of two factors occurs.

    Each row begins with a pair that is still missing, and goes on with the levels that add most missing pairs.

    >>> all_pairs(2, 2, 2)
    ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))
    """
    factors = range(len(levels))
    if len(levels) < 2:
        return tuple(product(*map(range, levels)))
    missing = {
        ((f, a), (g, b)): None
        for f, g in combinations(factors, 2)
        for a, b in product(range(levels[f]), range(levels[g]))
    }
    used = {(f, a): 0 for f in factors for a in range(levels[f])}
    rows: list[tuple[int, ...]] = []
    while missing or not rows:
        row = dict(next(iter(missing))) if missing else {}
        for f in sorted(set(factors) - set(row), key=lambda f: -levels[f]):
            row[f] = max(range(levels[f]), key=lambda a: (_added(missing, row, f, a), -used[f, a], -a))
        rows.append(tuple(row[f] for f in factors))
        for pair in combinations(enumerate(rows[-1]), 2):
            missing.pop(pair, None)
        for level in enumerate(rows[-1]):
            used[level] += 1
    return tuple(rows)


def _added(missing: dict[tuple[tuple[int, int], tuple[int, int]], None], row: dict[int, int], f: int, a: int) -> int:
    """Return how many missing pairs a level would add to a row."""
    one = (f, a)
    return sum(((one, other) if one < other else (other, one)) in missing for other in row.items())
