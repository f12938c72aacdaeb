r"""Mean and spread of every edge over the samples, for scores and penalties of edges.

The sums of a layer's edges are taken about a shift c, the mean over a few samples spread over all. Then

.. math:: \mu = c + \frac{1}{n} \sum_s (\phi_s - c), \qquad
    \sum_s (\phi_s - \mu)^2 = \sum_s (\phi_s - c)^2 - \frac{1}{n} \Big( \sum_s (\phi_s - c) \Big)^2 ,

which loses hardly a digit, because c is about as near to the mean as the samples are. In the worst case, where only
those few samples lie near c, the loss is the ratio of all samples to the few. A spread that is no more than rounding
counts as 0, because neither its direction nor its size has a meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan._threads import run_tasks
from numkan.layer.edges import edge_sums
from numkan.layer.packed import PackedLayer

__all__ = ["edge_moments", "without_rounding"]

#: Number of samples whose mean is the shift.
_FEW = 64

#: Deviations of at most this many units in the last place count as rounding.
_ROUNDINGS = 8


def edge_moments(layer: PackedLayer, x: FloatArray, parts: Sequence[slice]) -> tuple[FloatArray, FloatArray]:
    """Return the mean of every edge over samples x, and the sum of the squares about it, (n_in, width) in float64.

    parts: slices of the samples. Their sums are added in order, so the number of threads changes no bit.
    """
    n, coefs = len(x), layer.coefs
    few = np.ascontiguousarray(x[:: -(-n // _FEW)])
    shift = np.zeros((coefs.shape[0], coefs.shape[2]), coefs.dtype)
    shift = (edge_sums(layer, few, shift)[0] / len(few)).astype(coefs.dtype)
    found = np.empty((len(parts), 2, *shift.shape))

    def task(index: int) -> None:
        found[index] = edge_sums(layer, x[parts[index]], shift)

    run_tasks(task, len(parts))
    sums, squares = found.sum(axis=0)
    mean = shift + sums / n
    size = np.maximum(np.abs(mean), np.abs(coefs).max(axis=1))
    return mean, without_rounding(squares - sums**2 / n, size, n, coefs.dtype)


def without_rounding(squares: FloatArray, size: FloatArray, n: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return sums of n squared deviations, 0 where they are no more than the rounding of numbers of some size."""
    rounding = n * np.square(_ROUNDINGS * float(np.finfo(dtype).eps) * size.astype(np.float64))
    return np.where(squares > rounding, squares, 0)
