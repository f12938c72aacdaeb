r"""How much the columns matter: which share of the answers' variance is gone when a column is not known.

With other rows' values in column j, :math:`x^{(j)}`, the total index of Sobol, by Jansen's estimate, is
:math:`T_j = \sum_n w_n |f(x_n) - f(x_n^{(j)})|^2 / 2`. The importances are these over their sum.

References
----------
M. J. W. Jansen, "Analysis of variance designs for model output", Computer Physics Communications 117 (1999).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["importances"]

Floats = NDArray[np.float64]

#: Rows that are looked at.
_ROWS = 500


def importances(say: Callable[[Floats], Floats], z: Floats, weight: Floats, columns: Sequence[slice]) -> Floats:
    """Return the importance of each column, 0 for one that does nothing; they sum to 1, unless all are 0."""
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(len(z), _ROWS, replace=False)) if len(z) > _ROWS else np.arange(len(z))
    z, weight = z[rows], weight[rows]
    known, total = say(z), np.zeros(len(columns))
    others = rng.permutation(len(z))
    for place, column in enumerate(columns):
        changed = z.copy()
        changed[:, column] = z[others, column]
        total[place] = weight @ np.square(say(changed) - known).sum(axis=1)
    whole = total.sum()
    shares: Floats = total / whole if whole > 0.0 else total
    return shares
