"""Targets or labels, weights, and the loss that compares them with a network's outputs; all checked."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, as_float_array, check_finite
from numkan._real import as_plain_array
from numkan.model.loss_kernels import Goal, Rows
from numkan.model.losses import LINEAR, Loss, loss_function, loss_kernel

__all__ = ["Targets", "targets"]

_RELABEL = "Use numpy.unique(y, return_inverse=True)[1], which numbers classes of any kind from 0."

_NO_LABELS = np.empty(0, np.int64)


class Targets(NamedTuple):
    """Targets or labels and sample weights in canonical form, and the loss."""

    loss: Loss
    y: FloatArray  # (n, n_out), or (0, n_out) where there are labels
    label: Any  # (n,) int64, or (0,)
    weight: FloatArray  # (n,) of the dtype, the largest about 1, or (0,) for ones
    total: float  # the divisor of the sum over the samples

    @property
    def is_compiled(self) -> bool:
        """Whether kernels compute the loss; if not, NumPy does, from the outputs at all samples: see :meth:`linear`."""
        return self.loss.kernel is not None

    def for_kernel(self) -> Goal:
        """Return flat targets or labels, weights, and the factor of a sample's loss."""
        return Goal(self.y.reshape(-1) if len(self.y) else self.label, self.weight, 1.0 / self.total)

    def take(self, rows: Any, weight: FloatArray, total: float) -> Targets:
        """Return the targets of some samples, with other weights."""
        y, label = (array[rows] if len(array) else array for array in (self.y, self.label))
        return Targets(self.loss, y, label, weight, total)

    def part(self, rows: slice, predicted: FloatArray, y_bar: FloatArray) -> float:
        """Return the share of some rows in a compiled loss, and fill y_bar with its derivative by their outputs."""
        count, n_out = predicted.shape
        outputs, bars = (Rows(array.reshape(-1), 0, n_out) for array in (predicted, y_bar))
        loss = loss_kernel(self.loss)(outputs, self.for_kernel(), rows.start, count, n_out, bars)
        return float(loss) / self.total

    def loss_of(self, predicted: FloatArray) -> float:
        """Return the loss of the outputs at all samples; but for labels, without a kernel."""
        if self.loss.takes_labels:
            return self.part(slice(0, len(predicted)), predicted, np.empty_like(predicted))
        with np.errstate(over="ignore", invalid="ignore"):
            return self._weighed(self.loss.value(predicted, self.y)) / self.total

    def linear(self, predicted: FloatArray) -> tuple[float, Targets]:
        """Return the loss of the outputs at all samples, and targets of a compiled loss with the same derivative."""
        slope = np.asarray(self.loss.derivative(predicted, self.y), predicted.dtype)
        share = predicted.dtype.type(1.0 / self.total)
        y_bar = slope * (share * self.weight[:, None] if self.weight.size else share)
        return self.loss_of(predicted), Targets(LINEAR, y_bar, self.label, self.weight[:0], 1.0)

    def _weighed(self, values: Any) -> float:
        """Return the weighted sum of values (n, n_out) over samples and outputs, in float64."""
        rows = np.asarray(values, np.float64).sum(axis=1)
        return float((rows * self.weight if self.weight.size else rows).sum())


def _relative(weight: FloatArray) -> FloatArray:
    """Return weights over a power of two: the largest is about 1, so that sums and products with them stay finite."""
    with np.errstate(under="ignore"):
        relative: FloatArray = np.ldexp(weight, -np.frexp(np.abs(weight).max())[1])
    return relative


@cache
def _no_weight(dtype: np.dtype[Any]) -> FloatArray:
    return np.empty(0, dtype)


def targets(y: Any, n: int, n_out: int, dtype: np.dtype[Any], loss: Any, sample_weight: Any = None) -> Targets:
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
    loss = loss_function(loss)
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
    if loss.takes_labels:
        return Targets(loss, np.empty((0, n_out), dtype), _labels(y, n, n_out), weight, total)
    numbers = _numbers(y, n, n_out, dtype)
    loss.check(numbers)
    return Targets(loss, numbers, _NO_LABELS, weight, total * n_out)


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
    """Return the remedy for sorted labels, each once, that are not all in [0, n_out)."""
    if classes[0] < 0 or classes[-1] - classes[0] >= len(classes):
        return _RELABEL
    first = "y - 1" if classes[0] == 1 else "y"
    if len(classes) > n_out:
        return f"Use {first} with a network of {len(classes)} outputs, one for each class."
    return "Use y - 1: labels begin at 0." if classes[0] == 1 else _RELABEL
