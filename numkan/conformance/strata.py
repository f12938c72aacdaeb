"""Cases that every law of splines is tried on whatever the seed: each degree in each dtype, on even and graded knots.

Cases that are only drawn may leave out a degree, and with it a fault of that degree.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from numkan.conformance.adapter import Array
from numkan.conformance.cases import Case
from numkan.conformance.scope import Scope

__all__ = ["strata"]


def strata(about: str, scope: Scope, seed: int) -> Iterator[Case]:
    """Return the cases that laws about splines begin with; none for laws about grids and networks.

    >>> sorted({(case.k, case.dtype.name) for case in strata("splines", Scope(degrees=(1, 3), dtypes=("float32",)), 0)})
    [(1, 'float32'), (3, 'float32')]
    """
    if about != "splines":
        return
    kinds = ("even", "graded") if scope.uneven else ("even",)
    for number, (k, dtype, kind) in enumerate(product(scope.degrees, scope.dtypes, kinds)):
        yield _case(np.random.default_rng([seed, number]), k, np.dtype(dtype), kind == "graded", scope)


def _case(rng: np.random.Generator, k: int, dtype: np.dtype[Any], graded: bool, scope: Scope) -> Case:
    """Return a spline on two to five intervals, with points of the domain, of the padding and of the outside."""
    G = int(rng.integers(2, 6))
    if graded:
        gaps = 2.0 ** rng.permutation(np.arange(G + 2 * k) % 7 - 3.0)
        knots = np.concatenate([[0.0], np.cumsum(gaps)])
        knots -= knots[k + G // 2]
    else:
        knots = rng.integers(-8, 9) / 4 + 2.0 ** rng.integers(-2, 2) * np.arange(-k, G + k + 1)
    knots = knots.astype(dtype)
    first, last = knots[k], knots[k + G]
    inside = _drawn(rng, first, last, 6)
    anywhere = _drawn(rng, knots[0] - 1, knots[-1] + 1, 6) if scope.outside else _drawn(rng, first, last, 6)
    return Case(knots, k, inside, anywhere, rng.uniform(-2, 2, G + k).astype(dtype), scope.closed)


def _drawn(rng: np.random.Generator, low: Any, high: Any, count: int) -> Array:
    """Return points of [low, high), in the dtype of the ends."""
    share = (rng.integers(0, 4096, count) / 4096).astype(low.dtype)
    return np.asarray(low + (high - low) * share)
