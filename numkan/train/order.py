r"""Convergence of a fit on finer grids: it follows the function, or meets noise, or is stuck.

A network that can follow a smooth function has an error of order k + 1 in the step of its splines of degree k:
:math:`e \sim G^{-(k+1)}`. Two grids give an estimate of the order

.. math:: p = \frac{\log e_1 / e_2}{\log G_2 / G_1} .

If it is far below k + 1, finer grids do not help: the targets are noisy, or the fit is in a poor minimum (or the
network is too narrow, or the function not smooth). In a poor minimum the residuals are a function of the inputs, so the
residual of a sample is near that of its nearest neighbour. Residuals of noise are not correlated with their neighbours'
beyond chance, :math:`1 / \sqrt{n}`. With many inputs neighbours are far away, and all residuals look like noise.

References
----------
J. von Neumann, "Distribution of the ratio of the mean square successive difference to the variance", Annals of
Mathematical Statistics 12 (1941), for one input.
"""

from __future__ import annotations

import math

import numpy as np

from numkan._check import FloatArray

__all__ = ["ROUNDING", "falls_in_order", "falls_too_little", "neighbours_agree"]

#: Errors below this share of the targets are rounding.
ROUNDING = 1e-12

#: An error falls as fast as the splines allow from this share of their order on, too little below the second.
_IN_ORDER, _TOO_LITTLE = 0.75, 0.25

#: Residuals are no noise if neighbours correlate by this much, and by this many standard deviations of chance.
_CORRELATED, _SURE = 0.25, 5.0

#: At most this many samples are compared with their neighbours, which are searched among at most this many.
_ASKED, _AMONG = 500, 10_000


def falls_in_order(gain: float, ratio: float, k: int) -> bool:
    """Return whether an error that fell by `gain` from grids `ratio` times coarser falls as the splines allow."""
    return gain > float(ratio ** (_IN_ORDER * (k + 1))) > 1.0


def falls_too_little(gain: float, ratio: float, k: int) -> bool:
    """Return whether such an error falls so little that the grid is not its cause."""
    return ratio > 1.0 and gain < float(ratio ** (_TOO_LITTLE * (k + 1)))


def neighbours_agree(x: FloatArray, residuals: FloatArray) -> bool:
    """Return whether residuals (n, n_out) at samples x (n, n_in) are a function of x rather than noise.

    A sample's neighbour is the nearest one that is not equal to it, with all inputs brought to equal ranges.
    """
    span = np.ptp(x, axis=0)
    x = (x - x.min(axis=0)) / np.where(span > 0.0, span, 1.0)
    x, residuals = (values[:: -(-len(values) // _AMONG)] for values in (x, residuals))
    asked = np.arange(0, len(x), -(-len(x) // _ASKED))
    squares = np.square(x).sum(axis=1)
    distance = squares[asked, None] + squares - 2.0 * (x[asked] @ x.T)
    distance[distance < 1e-12] = np.inf  # itself, and copies of it
    near = distance.argmin(axis=1)
    mine, theirs = residuals[asked], residuals[near]
    size = math.sqrt(float(np.square(mine).sum() * np.square(theirs).sum()))
    least = max(_CORRELATED, _SURE / math.sqrt(len(asked)))
    return float((mine * theirs).sum()) > least * size
