"""How good predictions are, in one number: accuracy for classes, the coefficient of determination for numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan._real import as_plain_array
from numkan.model.network import Network
from numkan.model.targets import Targets, targets

__all__ = ["predict", "score"]


def predict(self: Network, x: Any) -> FloatArray:
    """Return the outputs (n, n_out) at x (n, n_in), as a call of the model does.

    Examples
    --------
    >>> from numkan import KAN
    >>> model = KAN([2, 3, 1], seed=0)
    >>> model.predict([[0.1, -0.5], [0.7, 0.2]]).shape
    (2, 1)
    """
    return self(x)


def score(self: Network, x: Any, y: Any, sample_weight: Any = None) -> float:
    r"""Return the accuracy where `y` holds labels, and otherwise the coefficient of determination :math:`R^2`.

    With several outputs, a y of shape (n,) holds labels, and the predicted class is the largest output. For numbers,

    .. math:: R^2_o = 1 - \frac{\sum_n w_n (y_{no} - \hat y_{no})^2}{\sum_n w_n (y_{no} - \bar y_o)^2}

    with the weighted mean :math:`\bar y_o`, and the mean over the outputs is returned. Where all targets of an output
    are equal, its :math:`R^2` is 1 if they are met exactly and 0 if not. All as in scikit-learn.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
    y : array_like, shape (n, n_out), or (n,) where there is one output
        Integer labels (n,) where there are several.
    sample_weight : array_like, shape (n,), optional

    Returns
    -------
    float
        At most 1, which is best; of a single sample without labels NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.linspace(-1, 1, 5)[:, None]
    >>> model = KAN([1, 1], seed=0)
    >>> model.score(x, model(x)), KAN([1, 3]).score(x, KAN([1, 3])(x).argmax(axis=1))
    (1.0, 1.0)
    """
    samples = self._samples(x)
    labels = self.n_out > 1 and as_plain_array("y", y).ndim == 1
    goal = targets(y, len(samples), self.n_out, self.dtype, "cross_entropy" if labels else "mse", sample_weight)
    outputs = self._predict(samples)
    weight = goal.weight.astype(np.float64) if goal.weight.size else np.ones(len(samples))
    weight /= weight.max()
    return _accuracy(outputs, goal, weight) if labels else _determination(outputs, goal, weight)


def _accuracy(outputs: FloatArray, goal: Targets, weight: FloatArray) -> float:
    return float(np.average(outputs.argmax(axis=1) == goal.label, weights=weight))


def _determination(outputs: FloatArray, goal: Targets, weight: FloatArray) -> float:
    if len(outputs) < 2:
        return float("nan")
    seen = weight > 0
    y, predicted, weight = goal.y[seen].astype(np.float64), outputs[seen].astype(np.float64), weight[seen]
    unit = np.abs(y).max(axis=0)  # so that no square over- or underflows
    unit[unit == 0] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):  # wild outputs give -inf or NaN
        y, predicted = y / unit, predicted / unit
        left = weight @ np.square(y - predicted)
        whole = weight @ np.square(y - np.average(y, axis=0, weights=weight))
        flat = y.min(axis=0) == y.max(axis=0)
        each = np.where(flat, np.where(left == 0, 1.0, 0.0), 1.0 - left / np.where(flat, 1.0, whole))
    return float(each.mean())
