r"""Weights of an average of several networks, by what each says of samples that it has not seen.

The candidates' answers :math:`a_{kn}` to every sample come from cross-validation. Weights are not negative and sum to
1. For numbers they minimise :math:`\sum_n w_n |y_n - \sum_k v_k a_{kn}|^2`, by non-negative least squares; for classes
:math:`-\sum_n w_n \log \sum_k v_k a_{kn}`, by expectation and maximisation.

References
----------
L. Breiman, "Stacked regressions", Machine Learning 24 (1996).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from numkan.sklearn.tasks import Classes, Task

__all__ = ["beats", "blend"]

Floats = NDArray[np.float64]

#: How strongly the condition that weights sum to 1 is held, beside squares of targets of deviation 1.
_SUM = 1e4

_ROUNDS = 200

#: Candidates of less weight are left out.
_LEAST = 0.05


def beats(loss: Floats, simple: Floats, weight: Floats) -> bool:
    """Whether a mean loss is lower than the simple candidate's by more than one standard error of the difference.

    Weights are frequencies, and their sum is the number of samples. Shares, which sum to 1, are no frequencies: then
    the number is Kish's, (sum w)^2 / sum w^2, which is never larger than the sum of frequencies.
    """
    gain = simple - loss
    mean = np.average(gain, weights=weight)
    spread = np.average((gain - mean) ** 2, weights=weight)
    number = max(weight.sum(), weight.sum() ** 2 / np.square(weight).sum())
    return bool(mean > np.sqrt(spread / number))


def blend(task: Task, said: Sequence[Floats]) -> Floats:
    """Return the weight of each candidate, given what it says (n, n_out) of every sample."""
    weights = _of_classes(task, said) if isinstance(task, Classes) else _of_numbers(task, said)
    weights[weights < _LEAST * weights.max()] = 0.0
    whole: Floats = weights / weights.sum()
    return whole


def _of_numbers(task: Task, said: Sequence[Floats]) -> Floats:
    root = np.sqrt(task.weight / task.weight.sum())[:, None]
    columns = np.column_stack([(root * answer).ravel() for answer in said])
    rows = np.vstack([columns, np.full(len(said), _SUM)])
    weights: Floats = nnls(rows, np.append((root * task.goal).ravel(), _SUM))[0]
    return weights


def _of_classes(task: Task, said: Sequence[Floats]) -> Floats:
    chance = np.exp(-np.column_stack([task.losses(answer) for answer in said]))
    weights = np.full(len(said), 1.0 / len(said))
    for _ in range(_ROUNDS):
        share = chance * weights
        weights = np.average(share / share.sum(axis=1, keepdims=True), axis=0, weights=task.weight)
    return weights
