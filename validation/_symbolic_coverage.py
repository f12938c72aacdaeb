"""How often the true constants of a formula lie within three of its standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan.symbolic import Formula, refine
from numkan.symbolic.expression import Const, constants, replace, walk

__all__ = ["covered"]

TIMES, EXACT = 3.0, 1e-10


def covered(formula: Formula, x: Any, y: Any) -> tuple[int, int] | None:
    """Return how many constants of a formula are within 3 standard errors of the true ones, and how many there are.

    The truth has the form of the formula where a refit to the noise-free targets y leaves only rounding. If the numbers
    that were snapped prevent that, they are set free again and count as well. Without the right form there are no true
    constants, and the answer is None.
    """
    node = formula._node
    if node is None:
        return None
    leaves = list({id(leaf): leaf for leaf in walk(node) if isinstance(leaf, Const)}.values())
    known = {id(leaf): constant for leaf, constant in zip(leaves, formula.constants, strict=True)}
    free = {id(leaf): Const(leaf.value) for leaf in leaves if leaf.exact and known[id(leaf)].error > 0.0}
    for new in ({}, free):
        start = replace(node, new)
        true = refine(start, x, y).expression
        rms = float(refine(true, x, y, steps=0).rms)
        if rms <= EXACT * float(np.std(y)):
            errors = {id(new.get(key, leaf)): known[key].error for leaf in leaves for key in [id(leaf)]}
            pairs = list(zip(constants(start), constants(true), strict=True))
            inside = sum(abs(a.value - b.value) <= TIMES * errors[id(a)] for a, b in pairs)
            return inside, len(pairs)
    return None
