"""The objective of L-BFGS and Adam: a function of z, where params = unit * z, of a model in the units of training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numkan._check import FloatArray
from numkan.model.evaluate import all_activations
from numkan.model.layer_outputs import network_activations
from numkan.model.network import Network
from numkan.model.regularization import Objective, Penalties, penalized
from numkan.train.curves import CurvePenalty
from numkan.train.samples import Samples

__all__ = ["TrainingObjective", "local_loss", "sample_loss", "where_not_finite"]


class TrainingObjective:
    """The objective of one model on all samples, or on a new mini-batch at every call.

    `outputs` is the unit of the model's outputs; the penalties are computed in the caller's units.

    Every call writes its point into the training's copy of the model. The parts of the objective are kept until the
    next :meth:`forget`, because a line search may accept another point than the last one it has tried.
    """

    def __init__(
        self,
        model: Network,
        samples: Samples,
        penalties: Penalties,
        unit: FloatArray,
        outputs: float = 1.0,
        batches: Iterator[Samples] | None = None,
        curves: CurvePenalty | None = None,
    ) -> None:
        self.model = model
        self.unit = unit
        self._outputs = outputs
        self._samples = samples
        self._penalties = penalties
        self._batches = batches
        self._curves = curves
        self._parts: dict[float, Objective] = {}

    def __call__(self, z: FloatArray) -> tuple[float, FloatArray]:
        """Return the objective at z and its gradient by z."""
        samples = self._samples if self._batches is None else next(self._batches)
        with np.errstate(over="ignore", invalid="ignore"):
            self.model._theta[:] = self.unit * z
            parts = self._at(samples)
            self._parts[parts.value] = parts
            return parts.value, parts.grad * self.unit

    def _at(self, samples: Samples) -> Objective:
        parts = penalized(self.model, samples.x, samples.goal, self._penalties, self._outputs)
        if self._curves is None:
            return parts
        return parts._replace(value=parts.value + self._curves.add(self.model, parts.grad))

    @property
    def is_of_batches(self) -> bool:
        """Whether a call sees a mini-batch, and not all samples."""
        return self._batches is not None

    def parts(self, value: float) -> Objective:
        """Return loss and regularization at the point where the objective was `value`."""
        return self._parts[value]

    def forget(self, value: float) -> None:
        """Forget all points but the accepted one."""
        self._parts = {value: self._parts[value]}

    def params(self, z: FloatArray) -> FloatArray:
        """Return the parameters of z."""
        params: FloatArray = self.unit * z
        return params

    def start(self) -> FloatArray:
        """Return z of the model as it is."""
        return self.model._theta / self.unit

    def everywhere(self) -> tuple[float, float]:
        """Return loss and objective on all samples at the model's point."""
        samples = self._samples
        with np.errstate(over="ignore", invalid="ignore"):
            if self._penalties.active or self._curves is not None:
                parts = self._at(samples)
                return parts.loss, parts.value
            loss = sample_loss(self.model, samples)
            return loss, loss


def sample_loss(model: Network, samples: Samples) -> float:
    """Return the loss of a model on samples that have been checked."""
    with np.errstate(over="ignore", invalid="ignore"):
        return model._loss(samples.x, samples.goal)


def local_loss(model: Network, samples: Samples) -> float:
    """Return what :func:`sample_loss` returns, to rounding, by local evaluation.

    A fit by least squares has compiled local evaluation already. The kernels of predictions would take two seconds to
    compile, in vain if the caller never predicts.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return samples.goal.loss_of(network_activations(model.act_fun, samples.x)[-1])


def where_not_finite(model: Network, samples: Samples) -> str:
    """Return a description of the first NaN or infinity in the model's outputs."""
    if not np.isfinite(model._theta).all():
        return "the parameters"
    with np.errstate(over="ignore", invalid="ignore"):
        acts = all_activations(model._pack(), samples.x)
    for depth, act in enumerate(acts[1:]):
        bad = ~np.isfinite(act)
        if bad.any():
            row, output = (int(index) for index in np.argwhere(bad)[0])
            return f"the outputs of layer {depth}, first in sample {row}, output {output}"
    largest = float(np.abs(acts[-1]).max())
    return f"the loss or its gradient, with outputs of magnitude up to {largest:.3g}"
