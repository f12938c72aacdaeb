r"""Losses: a number to be made small, and its derivative by the network's outputs.

``"mse"``
    :math:`L = \sum_n w_n \sum_o (\hat y_{no} - y_{no})^2 \big/ \big(n_{out} \sum_n w_n\big)`
``"cross_entropy"``
    of logits :math:`\hat y` and integer labels y:
    :math:`L = \sum_n w_n \big(\log \sum_o e^{\hat y_{no}} - \hat y_{n, y_n}\big) \big/ \sum_n w_n`
``"huber"``, or :class:`Huber` with another delta than 1
    :math:`L = \sum_n w_n \sum_o h(\hat y_{no} - y_{no}) \big/ \big(n_{out} \sum_n w_n\big)`, with
    :math:`h(e) = e^2 / 2` for :math:`|e| \le \delta` and :math:`\delta (|e| - \delta / 2)` beyond
a user's own
    :math:`L = \sum_n w_n \sum_o \ell(\hat y_{no}, y_{no}) \big/ \big(n_{out} \sum_n w_n\big)`, given by a tuple
    (value, derivative) or (value, derivative, curvature) of functions of (prediction, target), or by an object with
    such methods. Both arguments have shape (n, n_out), and so has what is returned: one value an entry.

Without sample weights all w are 1. Sums over samples are kept in float64 whatever the dtype.

:data:`LOSSES` is the registry. A loss whose kernel is None is computed by its own functions, between two passes through
the network: to add one, write its class and a line in the registry. Only squares and cross-entropy are compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from numkan._check import FloatArray, check_number, check_option
from numkan._shown import shown
from numkan.compile import kernel

__all__ = ["LINEAR", "LOSSES", "Huber", "Loss", "LossFunctions", "loss_function", "loss_kernel"]

#: A function of (prediction, target), each (n, n_out), that returns one value an entry.
EntryFunction = Callable[[FloatArray, FloatArray], Any]

#: Bisections for the best constant output, and doublings of the interval before: the end of a float64.
_BISECTIONS, _DOUBLINGS = 64, 12


@runtime_checkable
class LossFunctions(Protocol):
    """A loss of a user's own, as an object; it may have the method `curvature` too."""

    def value(self, prediction: FloatArray, target: FloatArray) -> Any:
        """Return the loss of every entry (n, n_out)."""

    def derivative(self, prediction: FloatArray, target: FloatArray) -> Any:
        """Return its derivative by the prediction (n, n_out)."""


class Loss:
    """A loss as the library sees it, with what most losses have in common."""

    name: ClassVar[str] = "custom"
    means: ClassVar[str] = "means of the given loss"  #: what a printed result says of its losses
    kernel: ClassVar[Any] = None  #: compiled, see :func:`_squared`; None where value and derivative are to be called
    takes_labels: ClassVar[bool] = False

    def value(self, prediction: FloatArray, target: FloatArray) -> Any:
        """Return the loss of every entry (n, n_out)."""
        raise NotImplementedError

    def derivative(self, prediction: FloatArray, target: FloatArray) -> Any:
        """Return its derivative by the prediction (n, n_out)."""
        raise NotImplementedError

    def rescaled(self, unit: float) -> Loss | None:
        """Return the loss of predictions and targets in another unit, over its square; None where it has no such."""
        return None

    def best_constant(self, y: FloatArray, weight: FloatArray | None) -> FloatArray:
        """Return the constant outputs (n_out,) of least loss for targets (n, n_out), both float64.

        That is where the mean derivative changes its sign; 0 for an output where it does not.
        """
        share = np.ones(len(y)) if weight is None else weight

        def is_below(constant: FloatArray) -> Any:
            return share @ np.asarray(self.derivative(np.broadcast_to(constant, y.shape).copy(), y)) < 0.0

        with np.errstate(all="ignore"):
            low = np.full(y.shape[1], -max(float(np.abs(y).max()), 1.0))
            for _ in range(_DOUBLINGS):
                if is_below(low).all() and not is_below(-low).any():
                    break
                low *= 2.0
            found, high = is_below(low) & ~is_below(-low), -low
            for _ in range(_BISECTIONS):
                middle = 0.5 * (low + high)
                below = is_below(middle)
                low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.where(found, 0.5 * (low + high), 0.0)


# --- kernels ------------------------------------------------------------------------------------------------------


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
    """Return sum w e^2 over `count` samples, and fill y_bar with 2 * scale * w * e; y_bar may be y.

    All arrays are flat: y has the samples' outputs from y_at on, y_bar from bar_at on in rows of bar_width; target
    (n * n_out,) and weight (n,), or (0,) for ones, have all samples, these from number `begin` on.
    """
    scale, weighted = y_bar.dtype.type(2.0 * scale), weight.shape[0] > 0
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


@kernel
def _linear(y, y_at, count, n_out, target, weight, begin, scale, y_bar, bar_at, bar_width):  # type: ignore[no-untyped-def]
    """Fill y_bar with target, which holds cotangents of the outputs; return 0. Arrays as in `_squared`."""
    for s in range(count):
        at, to = (begin + s) * n_out, bar_at + s * bar_width
        for o in range(n_out):
            y_bar[to + o] = target[at + o]
    return 0.0


# --- the losses that there are ------------------------------------------------------------------------------------


class _SquaredError(Loss):
    name, means, kernel = "mse", "mean squares", staticmethod(_squared)

    def rescaled(self, unit: float) -> Loss:
        return self

    def best_constant(self, y: FloatArray, weight: FloatArray | None) -> FloatArray:
        mean: FloatArray = np.average(y, axis=0, weights=weight)
        return mean


class _CrossEntropy(Loss):
    name, means, kernel, takes_labels = "cross_entropy", "mean cross-entropies", staticmethod(_cross_entropy), True


class _Linear(Loss):
    """The sum of outputs times their cotangents: how a gradient goes on from a derivative by the outputs."""

    name, kernel = "linear", staticmethod(_linear)


@dataclass(frozen=True)
class Huber(Loss):
    r"""The Huber loss, :math:`e^2 / 2` up to :math:`|e| = \delta` and a straight line beyond: outliers pull less.

    Parameters
    ----------
    delta : float
        In the units of the targets, positive: about the size of the errors that are no outliers.

    References
    ----------
    P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> y = np.where(np.arange(50) == 20, 100.0, x[:, 0])
    >>> model = KAN([1, 1], grid=3, seed=0)
    >>> result = model.fit(x, y, loss=Huber(delta=0.1), grids=None)
    >>> bool(np.abs(model(x) - x).max() < 0.1)
    True
    """

    delta: float = 1.0
    name: ClassVar[str] = "huber"
    means: ClassVar[str] = "mean Huber losses"

    def __post_init__(self) -> None:
        check_number("delta", self.delta, 0.0, exclusive=True)

    def value(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        """Return the loss of every entry."""
        e = prediction - target
        bounded = np.clip(e, -self.delta, self.delta)
        return bounded * (e - 0.5 * bounded)

    def derivative(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        """Return its derivative by the prediction."""
        return np.clip(prediction - target, -self.delta, self.delta)

    def curvature(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        """Return its second derivative by the prediction, 0 beyond delta."""
        return (np.abs(prediction - target) <= self.delta).astype(prediction.dtype)

    def rescaled(self, unit: float) -> Huber:
        """Return the loss of predictions and targets in another unit, over its square."""
        return Huber(self.delta / unit)


@dataclass(frozen=True)
class _Custom(Loss):
    """A user's functions, whose answers are checked."""

    functions: tuple[EntryFunction, ...]  # value, derivative and, perhaps, curvature

    def value(self, prediction: FloatArray, target: FloatArray) -> Any:
        return _answer("value", self.functions[0], prediction, target)

    def derivative(self, prediction: FloatArray, target: FloatArray) -> Any:
        return _answer("derivative", self.functions[1], prediction, target)


def _answer(role: str, function: EntryFunction, prediction: FloatArray, target: FloatArray) -> Any:
    """Return what a user's function answers; it sees read-only arrays."""
    arguments = []
    for array in (prediction, target):
        arguments.append(array.view())
        arguments[-1].flags.writeable = False
    try:
        out = np.asarray(function(*arguments))
    except ValueError as error:
        raise ValueError(f"Argument `loss` must have a {role} that maps arrays to arrays, not fail: {error}") from error
    if out.shape != prediction.shape or out.dtype.kind not in "fiub":
        raise ValueError(
            f"Argument `loss` must have a {role} that maps two arrays of shape {prediction.shape} to real numbers of "
            f"the same shape, not to shape {out.shape} of dtype {out.dtype}."
        )
    return out


#: The losses that have a name.
LOSSES: dict[str, Loss] = {loss.name: loss for loss in (_SquaredError(), _CrossEntropy(), Huber())}

#: Its targets are cotangents.
LINEAR = _Linear()


def loss_function(loss: Any) -> Loss:
    """Return the loss of a name, of a user's functions, or the loss itself.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is none of these.
    """
    if isinstance(loss, str):
        return LOSSES[check_option("loss", loss, LOSSES)]
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, LossFunctions) and not isinstance(loss, type):
        loss = (loss.value, loss.derivative)
    if isinstance(loss, tuple) and len(loss) in (2, 3) and all(map(callable, loss)):
        return _Custom(loss)
    names = ", ".join(map(repr, LOSSES))
    raise TypeError(
        f"Argument `loss` must be {names}, a tuple (value, derivative) or (value, derivative, curvature) of functions, "
        f"or an object with such methods, not {shown(loss)}."
    )


def loss_kernel(loss: Loss) -> Any:
    """Return the kernel of a compiled loss; see `_squared` for its arguments."""
    return loss.kernel
