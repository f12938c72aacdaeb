r"""Losses, and their derivatives by the network's outputs.

``"mse"``
    :math:`L = \sum_n w_n \sum_o (\hat y_{no} - y_{no})^2 \big/ \big(n_{out} \sum_n w_n\big)`
``"cross_entropy"``
    of logits :math:`\hat y` and integer labels y:
    :math:`L = \sum_n w_n \big(\log \sum_o e^{\hat y_{no}} - \hat y_{n, y_n}\big) \big/ \sum_n w_n`
``"huber"``, or :class:`Huber` with another delta than 1
    :math:`L = \sum_n w_n \sum_o h(\hat y_{no} - y_{no}) \big/ \big(n_{out} \sum_n w_n\big)`, with
    :math:`h(e) = e^2 / 2` for :math:`|e| \le \delta` and :math:`\delta (|e| - \delta / 2)` beyond
``"logistic"``
    of the logit :math:`\hat y` of one output and targets 0 or 1:
    :math:`L = \sum_n w_n \big(\log (1 + e^{\hat y_n}) - y_n \hat y_n\big) \big/ \sum_n w_n`
``"poisson"``
    of the logarithm :math:`\hat y` of a rate, and counts (any numbers from 0 up):
    :math:`L = \sum_n w_n \sum_o (e^{\hat y_{no}} - y_{no} \hat y_{no}) \big/ \big(n_{out} \sum_n w_n\big)`
a user's own
    :math:`L = \sum_n w_n \sum_o \ell(\hat y_{no}, y_{no}) \big/ \big(n_{out} \sum_n w_n\big)`, given by a tuple
    (value, derivative) or (value, derivative, curvature) of functions of (prediction, target), or by an object with
    such methods. Both arguments have shape (n, n_out), and so has what is returned: one value an entry.

Without sample weights all w are 1. Sums over samples are computed in float64 for either dtype.

:data:`LOSSES` is the registry. A loss whose kernel is None is computed by its own functions, between two passes through
the network: to add one, write its class and a line in the registry. Only squares and cross-entropy are compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from scipy.special import expit, xlogy

from numkan._check import FloatArray, check_number, check_option
from numkan._shown import shown
from numkan.model.loss_kernels import cross_entropy, linear, squared

__all__ = ["LINEAR", "LOSSES", "Huber", "Loss", "LossFunctions", "loss_function", "loss_kernel"]

#: A function of (prediction, target), each (n, n_out), that returns one value an entry.
EntryFunction = Callable[[FloatArray, FloatArray], Any]

#: Bisections for the best constant output, and doublings of the interval before: enough for all of float64.
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
    means: ClassVar[str] = "means of the given loss"  #: the name of its losses in a printed result
    #: compiled, see :func:`numkan.model.loss_kernels.squared`; None where value and derivative are to be called
    kernel: ClassVar[Any] = None
    takes_labels: ClassVar[bool] = False
    #: whether the loss of a sample is minus the logarithm of its probability, so that its scale is known
    is_likelihood: ClassVar[bool] = False

    def value(self, prediction: FloatArray, target: FloatArray) -> Any:
        """Return the loss of every entry (n, n_out)."""
        raise NotImplementedError

    def derivative(self, prediction: FloatArray, target: FloatArray) -> Any:
        """Return its derivative by the prediction (n, n_out)."""
        raise NotImplementedError

    @property
    def is_curved(self) -> bool:
        """Whether Levenberg-Marquardt can take the loss: it has a curvature, or factors of its own."""
        return self.kernel is not None or type(self).curvature is not Loss.curvature

    def curvature(self, prediction: FloatArray, target: FloatArray) -> Any:
        """Return its second derivative by the prediction (n, n_out)."""
        raise NotImplementedError

    def step_curvature(self, prediction: FloatArray, target: FloatArray) -> Any:
        """Return the curvature that steps of second order go by."""
        return self.curvature(prediction, target)

    def least(self, target: FloatArray) -> Any:
        """Return the least loss of every entry (n, n_out) of targets, where it is not 0."""
        return np.zeros(target.shape)

    def check(self, y: FloatArray) -> None:
        """Refuse targets (n, n_out) that the loss cannot have."""

    def rescaled(self, unit: float) -> Loss | None:
        """Return the loss for predictions and targets in another unit, divided by its square, or None if none is."""
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


# --- the losses ---------------------------------------------------------------------------------------------------


class _SquaredError(Loss):
    name, means, kernel = "mse", "mean squares", staticmethod(squared)

    def value(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        return np.square((prediction - target).astype(np.float64, copy=False))  # squares of float32 overflow early

    def derivative(self, prediction: FloatArray, target: FloatArray) -> Any:
        return 2 * (prediction - target)

    def rescaled(self, unit: float) -> Loss:
        return self

    def best_constant(self, y: FloatArray, weight: FloatArray | None) -> FloatArray:
        mean: FloatArray = np.average(y, axis=0, weights=weight)
        return mean


class _CrossEntropy(Loss):
    name, means, kernel, takes_labels = "cross_entropy", "mean cross-entropies", staticmethod(cross_entropy), True
    is_likelihood = True


class _Logistic(Loss):
    name, means, is_likelihood = "logistic", "mean logistic losses", True

    def value(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        value: FloatArray = np.maximum(prediction, 0) + np.log1p(np.exp(-np.abs(prediction))) - target * prediction
        return value

    def derivative(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        return expit(prediction) - target

    def curvature(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        return expit(prediction) * expit(-prediction)

    def check(self, y: FloatArray) -> None:
        if y.shape[1] != 1:
            raise ValueError(
                f"Argument `loss` must not be 'logistic' for a network of {y.shape[1]} outputs: use 'cross_entropy' "
                "and integer labels."
            )
        wrong = y[(y != 0) & (y != 1)]
        if wrong.size:
            raise ValueError(f"Argument `y` must hold 0 or 1 for the loss 'logistic', not {wrong[0]:g}.")


class _Poisson(Loss):
    name, means, is_likelihood = "poisson", "mean Poisson losses", True

    def value(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        return np.exp(prediction) - target * prediction

    def derivative(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        return np.exp(prediction) - target

    def curvature(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        return np.exp(prediction)

    def least(self, target: FloatArray) -> FloatArray:
        least: FloatArray = target - xlogy(target, target)
        return least

    def check(self, y: FloatArray) -> None:
        if y.min() < 0:
            raise ValueError(f"Argument `y` must not be negative for the loss 'poisson', not {y.min():g}.")


class _Linear(Loss):
    """The sum of outputs times given cotangents: its gradient is the one by which these are pulled back."""

    name, kernel = "linear", staticmethod(linear)


@dataclass(frozen=True)
class Huber(Loss):
    r"""The Huber loss, :math:`e^2 / 2` up to :math:`|e| = \delta` and a straight line beyond: outliers pull less.

    Parameters
    ----------
    delta : float
        Positive, in the units of the targets: about the size of ordinary errors.

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

    def step_curvature(self, prediction: FloatArray, target: FloatArray) -> FloatArray:
        """Return that of the parabola that touches the loss from above, which has no valley of its own beyond delta."""
        curvature: FloatArray = self.delta / np.maximum(np.abs(prediction - target), self.delta)
        return curvature

    def rescaled(self, unit: float) -> Huber:
        """Return the loss of predictions and targets in another unit, over its square."""
        return Huber(self.delta / unit)


@dataclass(frozen=True)
class _Custom(Loss):
    """A user's functions, whose results are checked."""

    functions: tuple[EntryFunction, ...]  # value, derivative and, perhaps, curvature

    def value(self, prediction: FloatArray, target: FloatArray) -> Any:
        return _answer("value", self.functions[0], prediction, target)

    def derivative(self, prediction: FloatArray, target: FloatArray) -> Any:
        return _answer("derivative", self.functions[1], prediction, target)

    @property
    def is_curved(self) -> bool:
        return len(self.functions) == 3

    def curvature(self, prediction: FloatArray, target: FloatArray) -> Any:
        return _answer("curvature", self.functions[2], prediction, target)


def _answer(role: str, function: EntryFunction, prediction: FloatArray, target: FloatArray) -> Any:
    """Return the checked result of a user's function, which is given read-only arrays."""
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
LOSSES: dict[str, Loss] = {
    loss.name: loss for loss in (_SquaredError(), _CrossEntropy(), Huber(), _Logistic(), _Poisson())
}

#: The loss whose targets are cotangents of the outputs.
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
        curvature = getattr(loss, "curvature", None)
        loss = (loss.value, loss.derivative) if curvature is None else (loss.value, loss.derivative, curvature)
    if isinstance(loss, tuple) and len(loss) in (2, 3) and all(map(callable, loss)):
        return _Custom(loss)
    names = ", ".join(map(repr, LOSSES))
    raise TypeError(
        f"Argument `loss` must be {names}, a tuple (value, derivative) or (value, derivative, curvature) of functions, "
        f"or an object with such methods, not {shown(loss)}."
    )


def loss_kernel(loss: Loss) -> Any:
    """Return the kernel of a compiled loss; see :func:`numkan.model.loss_kernels.squared` for its arguments."""
    return loss.kernel
