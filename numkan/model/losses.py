r"""Losses: a number to be made small, and its derivative by the network's outputs.

``"mse"``
    :math:`L = \sum_n w_n \sum_o (\hat y_{no} - y_{no})^2 \big/ \big(n_{out} \sum_n w_n\big)`
``"cross_entropy"``
    of logits :math:`\hat y` and integer labels y:
    :math:`L = \sum_n w_n \big(\log \sum_o e^{\hat y_{no}} - \hat y_{n, y_n}\big) \big/ \sum_n w_n`

without sample weights all w are 1. Sums over samples are kept in float64 whatever the dtype.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, as_float_array, check_finite, check_option
from numkan._real import as_plain_array
from numkan.compile import kernel

__all__ = ["LOSSES", "Targets", "loss_kernel", "targets"]

_RELABEL = "Use numpy.unique(y, return_inverse=True)[1], which numbers classes of any kind from 0."

_NO_LABELS = np.empty(0, np.int64)


@kernel
def _sum_of_squares(y, at, target, goal, n_out):  # type: ignore[no-untyped-def]
    """Return the sum of squared differences of one row: four sums, so that an addition need not wait for the last.

    Places are unsigned, or every one would be asked whether it counts from the end of the array.
    """
    a = b = c = d = 0.0
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    whole = np.uint64(n_out // 4 * 4)
    for o in range(np.uint64(0), whole, np.uint64(4)):
        i, j = at + o, goal + o
        e0, e1 = np.float64(y[i] - target[j]), np.float64(y[i + one] - target[j + one])
        e2, e3 = np.float64(y[i + two] - target[j + two]), np.float64(y[i + three] - target[j + three])
        a, b, c, d = a + e0 * e0, b + e1 * e1, c + e2 * e2, d + e3 * e3
    for o in range(whole, np.uint64(n_out)):
        e = np.float64(y[at + o] - target[goal + o])
        a += e * e
    return (a + b) + (c + d)


@kernel
def _squared(y, y_at, count, n_out, target, weight, begin, scale, y_bar, bar_at, bar_width):  # type: ignore[no-untyped-def]
    """Return sum w e^2 over `count` samples, and fill y_bar with scale * w * e; y_bar may be y.

    All arrays are flat: y has the samples' outputs from y_at on, y_bar from bar_at on in rows of bar_width; target
    (n * n_out,) and weight (n,), or (0,) for ones, have all samples, these from number `begin` on.
    """
    scale, weighted = y_bar.dtype.type(scale), weight.shape[0] > 0
    loss = 0.0
    for s in range(count):
        factor = scale * weight[begin + s] if weighted else scale
        at, to = np.uint64(y_at + s * n_out), np.uint64(bar_at + s * bar_width)
        goal = np.uint64((begin + s) * n_out)
        if n_out == 1:  # two loops of one turn each would take three times as long
            e = y[at] - target[goal]
            row, y_bar[to] = np.float64(e) * np.float64(e), factor * e
        else:
            row = _sum_of_squares(y, at, target, goal, n_out)
            for o in range(np.uint64(n_out)):
                y_bar[to + o] = factor * (y[at + o] - target[goal + o])
        loss += row * weight[begin + s] if weighted else row
    return loss


@kernel
def _cross_entropy(y, y_at, count, n_out, label, weight, begin, scale, y_bar, bar_at, bar_width):  # type: ignore[no-untyped-def]
    """Return sum w (log sum exp y - y_label), and fill y_bar with scale * w * (softmax - one at the label).

    Arrays as in `_squared`; label (n,).
    """
    scale, weighted = y_bar.dtype.type(scale), weight.shape[0] > 0
    loss = 0.0
    for s in range(count):
        factor = scale * weight[begin + s] if weighted else scale
        at, to, own = y_at + s * n_out, bar_at + s * bar_width, label[begin + s]
        top = y[at]
        for o in range(1, n_out):
            top = y[at + o] if y[at + o] > top or y[at + o] != y[at + o] else top
        over = np.float64(top - y[at + own])
        total = 0.0
        for o in range(n_out):
            y_bar[to + o] = np.exp(y[at + o] - top)
            total += y_bar[to + o]
        for o in range(n_out):
            y_bar[to + o] = factor * (y_bar[to + o] / y_bar.dtype.type(total))
        y_bar[to + own] -= factor
        row = np.log(total) + over
        loss += row * weight[begin + s] if weighted else row
    return loss


#: The kernel of each loss, and the factor of its derivative that is not in the kernel.
_KERNELS = {"mse": (_squared, 2.0), "cross_entropy": (_cross_entropy, 1.0)}

LOSSES = tuple(_KERNELS)


def loss_kernel(loss: str) -> Any:
    """Return the kernel of a loss; see `_squared` for its arguments."""
    return _KERNELS[loss][0]


class Targets(NamedTuple):
    """What a network's outputs are compared with, in canonical form, and how."""

    loss: str
    y: FloatArray  # (n, n_out), or (0, n_out) where there are labels
    label: Any  # (n,) int64, or (0,)
    weight: FloatArray  # (n,) of the dtype, the largest about 1, or (0,) for ones
    total: float  # what the sum over the samples is divided by

    def for_kernel(self) -> tuple[Any, FloatArray, float]:
        """Return flat targets or labels, weights, and the factor of a sample's derivative."""
        target = self.y.reshape(-1) if len(self.y) else self.label
        return target, self.weight, _KERNELS[self.loss][1] / self.total

    def take(self, rows: Any, weight: FloatArray, total: float) -> Targets:
        """Return those of some samples, with other weights."""
        y, label = (array[rows] if len(array) else array for array in (self.y, self.label))
        return Targets(self.loss, y, label, weight, total)

    def part(self, rows: slice, predicted: FloatArray, y_bar: FloatArray) -> float:
        """Return the share of some rows in the loss, and fill y_bar with its derivative by their outputs."""
        count, n_out = predicted.shape
        target, weight, scale = self.for_kernel()
        samples = predicted.reshape(-1), 0, count, n_out
        loss = loss_kernel(self.loss)(*samples, target, weight, rows.start, scale, y_bar.reshape(-1), 0, n_out)
        return float(loss) / self.total


def _relative(weight: FloatArray) -> FloatArray:
    """Return weights over a power of two: the largest is about 1, so that sums and products with them stay finite."""
    with np.errstate(under="ignore"):
        relative: FloatArray = np.ldexp(weight, -np.frexp(np.abs(weight).max())[1])
    return relative


@cache
def _no_weight(dtype: np.dtype[Any]) -> FloatArray:
    return np.empty(0, dtype)


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
    weight = _no_weight(dtype)
    total = float(n)
    if sample_weight is not None:
        weight = as_float_array("sample_weight", sample_weight, dtype)
        if weight.shape != (n,):
            raise ValueError(f"Argument `sample_weight` must have shape ({n},), not {weight.shape}.")
        check_finite("sample_weight", weight, sample_weight)
        least, weight = weight.min(), _relative(weight)
        total = float(weight.sum(dtype=np.float64))
        if least < 0 or total <= 0:
            rule, value = ("not be negative", least) if least < 0 else ("have a positive sum", total)
            raise ValueError(f"Argument `sample_weight` must {rule}, not {value:g}.")
    if loss == "mse":
        return Targets(loss, _numbers(y, n, n_out, dtype), _NO_LABELS, weight, total * n_out)
    return Targets(loss, np.empty((0, n_out), dtype), _labels(y, n, n_out), weight, total)


def _numbers(y: Any, n: int, n_out: int, dtype: np.dtype[Any]) -> FloatArray:
    array = as_float_array("y", y, dtype)
    if array.ndim == 1 and n_out == 1 and len(array) == n:
        array = array[:, None]
    if array.shape != (n, n_out):
        short = f" or ({n},)" if n_out == 1 else ""
        labels = array.shape == (n,) and bool((np.rint(array) == array).all())
        hint = " Use loss='cross_entropy' for integer labels." if labels else ""
        raise ValueError(f"Argument `y` must have shape ({n}, {n_out}){short}, not {array.shape}.{hint}")
    check_finite("y", array, y)
    return array


def _labels(y: Any, n: int, n_out: int) -> Any:
    given = as_plain_array("y", y)
    if given.dtype.kind == "U" or (given.dtype.kind == "O" and any(isinstance(entry, str) for entry in given.flat)):
        raise TypeError(f"Argument `y` must hold integer labels, not texts of dtype {given.dtype}. {_RELABEL}")
    values = as_float_array("y", y, np.float64)
    if values.shape != (n,):
        hint = " Use y.argmax(axis=1) for rows that are 1 at the class." if values.shape == (n, n_out) else ""
        raise ValueError(f"Argument `y` must have shape ({n},) of integer labels, not {values.shape}.{hint}")
    check_finite("y", values)
    labels = values.astype(np.int64)
    if (labels != values).any():
        raise ValueError(f"Argument `y` must hold integer labels, not {values[labels != values][0]:g}.")
    outside = (labels < 0) | (labels >= n_out)
    if outside.any():
        hint = _label_hint(np.unique(labels), n_out)
        raise ValueError(f"Argument `y` must hold labels in [0, {n_out}), not {labels[outside][0]}. {hint}")
    return labels


def _label_hint(classes: Any, n_out: int) -> str:
    """Return what to do about sorted labels, each once, that are not all in [0, n_out)."""
    if classes[0] < 0 or classes[-1] - classes[0] >= len(classes):
        return _RELABEL
    first = "y - 1" if classes[0] == 1 else "y"
    if len(classes) > n_out:
        return f"Use {first} with a network of {len(classes)} outputs, one for each class."
    return "Use y - 1: labels begin at 0." if classes[0] == 1 else _RELABEL
