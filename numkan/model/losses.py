r"""Losses: a number to be made small, and its derivative by the network's outputs.

``"mse"``
    :math:`L = \sum_n w_n \sum_o (\hat y_{no} - y_{no})^2 \big/ \big(n_{out} \sum_n w_n\big)`
``"cross_entropy"``
    of logits :math:`\hat y` and integer labels y:
    :math:`L = \sum_n w_n \big(\log \sum_o e^{\hat y_{no}} - \hat y_{n, y_n}\big) \big/ \sum_n w_n`

without sample weights all w are 1. Sums over samples are kept in float64 whatever the dtype.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_float_array, check_finite, check_option
from numkan._jit import kernel

__all__ = ["LOSSES", "Targets", "targets"]

LOSSES = ("mse", "cross_entropy")


@kernel
def _squared(y, target, weight, scale, y_bar):  # type: ignore[no-untyped-def]
    """Return sum w e^2 and fill y_bar (n, n_out) with scale * w * e; weight (n,) or (0,) for ones."""
    n, n_out = y.shape
    weighted = weight.shape[0] > 0
    loss = 0.0
    for s in range(n):
        row = 0.0
        factor = scale * weight[s] if weighted else scale
        for o in range(n_out):
            e = y[s, o] - target[s, o]
            row += np.float64(e) * np.float64(e)
            y_bar[s, o] = factor * e
        loss += row * weight[s] if weighted else row
    return loss


@kernel
def _cross_entropy(y, label, weight, scale, y_bar):  # type: ignore[no-untyped-def]
    """Return sum w (log sum exp y - y_label) and fill y_bar with scale * w * (softmax - one at the label)."""
    n, n_out = y.shape
    weighted = weight.shape[0] > 0
    loss = 0.0
    for s in range(n):
        factor = scale * weight[s] if weighted else scale
        top = y[s, 0]
        for o in range(1, n_out):
            top = y[s, o] if y[s, o] > top or y[s, o] != y[s, o] else top
        total = 0.0
        for o in range(n_out):
            y_bar[s, o] = np.exp(y[s, o] - top)
            total += y_bar[s, o]
        for o in range(n_out):
            y_bar[s, o] = factor * (y_bar[s, o] / y_bar.dtype.type(total))
        y_bar[s, label[s]] -= factor
        row = np.log(total) + np.float64(top - y[s, label[s]])
        loss += row * weight[s] if weighted else row
    return loss


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What a network's outputs are compared with, in canonical form, and how."""

    loss: str
    y: Any  # (n, n_out) of the dtype, or int64 labels (n,)
    weight: FloatArray  # (n,) of the dtype, or (0,) for ones
    total: float  # what the sum over the samples is divided by

    def part(self, rows: slice, predicted: FloatArray, y_bar: FloatArray) -> float:
        """Return the share of some rows in the loss, and fill y_bar with its derivative by their outputs."""
        weight = self.weight[rows] if self.weight.size else self.weight
        factor = 2.0 if self.loss == "mse" else 1.0
        function = _squared if self.loss == "mse" else _cross_entropy
        scale = predicted.dtype.type(factor / self.total)
        return float(function(predicted, self.y[rows], weight, scale, y_bar)) / self.total


def targets(y: Any, n: int, n_out: int, dtype: np.dtype[Any], loss: str, sample_weight: Any = None) -> Targets:
    """Check targets and weights for `n` samples and `n_out` outputs.

    Parameters
    ----------
    y : array_like
        Shape (n, n_out), or (n,) where there is one output; integer labels (n,) in [0, n_out) for cross-entropy.
    sample_weight : array_like, shape (n,), optional
        Not negative, with a positive sum.

    Raises
    ------
    ValueError, TypeError
        On a wrong shape, NaN or infinity, a label out of range, an unknown loss, no samples.
    """
    check_option("loss", loss, LOSSES)
    if n == 0:
        raise ValueError("Argument `x` must have at least one row for a loss, not 0.")
    weight = np.empty(0, dtype)
    total = float(n)
    if sample_weight is not None:
        weight = as_float_array("sample_weight", sample_weight, dtype)
        if weight.shape != (n,):
            raise ValueError(f"Argument `sample_weight` must have shape ({n},), not {weight.shape}.")
        check_finite("sample_weight", weight)
        total = float(weight.sum(dtype=np.float64))
        if weight.min() < 0 or total <= 0:
            rule = "not be negative" if weight.min() < 0 else "have a positive sum"
            value = weight.min() if weight.min() < 0 else total
            raise ValueError(f"Argument `sample_weight` must {rule}, not {value:g}.")
    if loss == "mse":
        return Targets(loss, _numbers(y, n, n_out, dtype), weight, total * n_out)
    return Targets(loss, _labels(y, n, n_out), weight, total)


def _numbers(y: Any, n: int, n_out: int, dtype: np.dtype[Any]) -> FloatArray:
    array = as_float_array("y", y, dtype)
    if array.ndim == 1 and n_out == 1:
        array = array[:, None]
    if array.shape != (n, n_out):
        short = f" or ({n},)" if n_out == 1 else ""
        raise ValueError(f"Argument `y` must have shape ({n}, {n_out}){short}, not {np.shape(y)}.")
    check_finite("y", array)
    return array


def _labels(y: Any, n: int, n_out: int) -> Any:
    values = as_float_array("y", y, np.float64)
    if values.shape != (n,):
        raise ValueError(f"Argument `y` must have shape ({n},) of integer labels, not {values.shape}.")
    check_finite("y", values)
    labels = values.astype(np.int64)
    if (labels != values).any():
        raise ValueError(f"Argument `y` must hold integer labels, not {values[labels != values][0]:g}.")
    outside = (labels < 0) | (labels >= n_out)
    if outside.any():
        raise ValueError(f"Argument `y` must hold labels in [0, {n_out}), not {labels[outside][0]}.")
    return labels
