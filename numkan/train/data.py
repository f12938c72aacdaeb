"""Samples for Levenberg-Marquardt: in float64, in units of the targets, with a loss of second order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.model.curved import SQUARES, CurvedLoss, Entries, Softmax
from numkan.model.least_squares import LeastSquares, Quadratic, SplineLayer
from numkan.model.losses import LOSSES
from numkan.model.shared_squares import least_squares
from numkan.model.targets import Targets
from numkan.train.samples import Samples

__all__ = ["Data", "Units"]

#: A normal distribution's deviation over its median absolute deviation.
_NORMAL = 1.4826


class Units(NamedTuple):
    """The units of outputs, which are centre + width times those of training."""

    centre: FloatArray  # (n_out,)
    width: float

    @classmethod
    def of(cls, samples: Samples) -> Units:
        """Return mean and deviation of the targets; for other losses the best constant and a suitable width."""
        goal = samples.goal
        with np.errstate(all="ignore"):
            if goal.loss.takes_labels:
                return cls(_log_shares(goal), 1.0)
            y, weight = goal.y.astype(np.float64), goal.weight.astype(np.float64) if goal.weight.size else None
            if goal.loss is LOSSES["mse"]:
                centre: FloatArray = np.average(y, axis=0, weights=weight)
                width = math.sqrt(float(np.average(np.square(y - centre).mean(axis=1), weights=weight)))
            elif goal.loss.rescaled(1.0) is None:
                centre, width = goal.loss.best_constant(y, weight), 1.0
            else:
                centre = np.median(y, axis=0)
                width = _NORMAL * float(np.median(np.abs(y - centre))) or float(np.std(y - centre))
        return cls(centre, width if 0.0 < width < math.inf else 1.0)


def _log_shares(goal: Targets) -> FloatArray:
    """Return logits of the shares of the classes, with half a sample more in each."""
    weight = goal.weight.astype(np.float64) / float(goal.weight.mean()) if goal.weight.size else None
    n_classes = goal.y.shape[1]
    counts = np.bincount(goal.label, weight, minlength=n_classes) + 0.5
    logits = np.log(counts / counts.sum())
    centred: FloatArray = logits - logits.mean()
    return centred


@dataclass(frozen=True, eq=False)
class Data:
    """Samples in the units of training. Of a value f of the problem, the caller's loss is ``f * factor + shift``."""

    x: FloatArray
    y: FloatArray
    root_weight: FloatArray = field(default_factory=lambda: np.empty(0))
    curved: CurvedLoss = SQUARES
    factor: float = 1.0
    shift: float = 0.0

    @classmethod
    def of(cls, samples: Samples, units: Units, weight_unit: float = 1.0) -> Data:
        """Return samples in some units.

        Weights have a mean of 1, unless the loss is a likelihood. Then they are numbers of samples, in units of
        `weight_unit`.
        """
        goal, loss = samples.goal, samples.goal.loss
        x, weight = samples.x.astype(np.float64), goal.weight.astype(np.float64)
        if weight.size:
            weight = weight * weight_unit if loss.is_likelihood else weight / weight.mean()
        total = float(weight.sum()) if weight.size else float(len(x))
        if loss.takes_labels:
            return cls(x, np.eye(goal.y.shape[1])[goal.label], np.sqrt(weight), Softmax(units.centre), 0.5 / total)
        y = goal.y.astype(np.float64)
        if loss is LOSSES["mse"]:
            return cls(x, (y - units.centre) / units.width, np.sqrt(weight), SQUARES, units.width**2 / y.size)
        factor = 0.5 * units.width**2 / (total * y.shape[1])
        if (rescaled := loss.rescaled(units.width)) is not None:
            curved = Entries(rescaled, np.zeros_like(units.centre))
            return cls(x, (y - units.centre) / units.width, np.sqrt(weight), curved, factor)
        least = np.asarray(loss.least(y)).sum(axis=1)
        shift = float((least * weight if weight.size else least).sum()) / (total * y.shape[1])
        return cls(x, y, np.sqrt(weight), Entries(loss, units.centre), factor, shift)

    @property
    def is_likelihood(self) -> bool:
        """Whether the dispersion is known."""
        return isinstance(self.curved, Softmax) or (isinstance(self.curved, Entries) and self.curved.loss.is_likelihood)

    @property
    def n_targets(self) -> int:
        """The number of residuals of all samples."""
        return self.y.size

    def first(self, number: int) -> Data:
        """Return the data of the first samples, at most `number`; :meth:`loss` of them is not the caller's."""
        return Data(self.x[:number], self.y[:number], self.root_weight[:number], self.curved)

    def problem(self, layers: tuple[SplineLayer, ...], penalty: Quadratic | None = None) -> LeastSquares:
        """Return the problem of splines on these samples."""
        return least_squares(layers, self.x, self.y, self.root_weight, penalty, self.curved)

    def loss(self, value: float) -> float:
        """Return the caller's loss, from f."""
        return value * self.factor + self.shift

    def root_mean(self, loss: float) -> float:
        """Return the root of the mean of f over the targets, from the caller's loss."""
        return math.sqrt(max((loss - self.shift) / (self.factor * self.n_targets), 0.0))
