"""The units in which L-BFGS and Adam work: targets over a power of two near their deviation.

A network's outputs are linear in the last layer's coefficients and base scales, so that a network in other units
differs in these numbers only, by a power of two: no bit is lost on the way in or out, unless a number leaves the range
of its dtype. The unit of losses is the square of that of outputs. It is larger if the regularization is much larger
than the squares of the targets, because its gradient would overflow otherwise.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.model.network import Network
from numkan.model.regularization import Penalties
from numkan.train.samples import Samples

__all__ = ["AS_THEY_ARE", "Scale"]

#: The largest exponent of a unit, so that factors are exact and finite.
_MAX_EXPONENT = {np.dtype(np.float32): 120, np.dtype(np.float64): 1000}

#: A deviation below this many spacings of the mean is rounding: then the targets are constant, and this share of their
#: size stands for their deviation.
_ROUNDINGS = 8
_OF_CONSTANT = 1 / 16

#: `lamb` is at most two to this power in the units of training.
_HEAVY = 20


class Scale(NamedTuple):
    """Units of training: 2^outputs for outputs, 2^losses for losses."""

    outputs: int = 0
    losses: int = 0
    drawn: bool = False  #: whether training begins from the model's parameters as they are, in new units of its outputs

    @classmethod
    def of(cls, samples: Samples, penalties: Penalties, *, drawn: bool) -> Scale:
        """Return the units that suit targets and regularization."""
        outputs = _exponent(samples) if samples.goal.loss.rescaled(1.0) else 0
        heavy = math.frexp(penalties.lamb)[1] - _HEAVY if penalties.active else 2 * outputs
        return cls(outputs, max(2 * outputs, heavy), drawn)

    @property
    def unit(self) -> float:
        """The unit of outputs."""
        return math.ldexp(1.0, self.outputs)

    def samples(self, samples: Samples) -> Samples:
        """Return the samples with targets in these units, and a loss that comes out in them."""
        if not (self.outputs or self.losses):
            return samples
        goal = samples.goal
        with np.errstate(over="ignore", under="ignore"):
            y: FloatArray = np.ldexp(goal.y, -self.outputs)
        total = _times_power(goal.total, self.losses - 2 * self.outputs)
        loss = goal.loss.rescaled(self.unit) or goal.loss
        return Samples(samples.x, goal._replace(loss=loss, y=y, total=total))

    def penalties(self, penalties: Penalties) -> Penalties:
        """Return the penalties with `lamb` for losses in these units."""
        return replace(penalties, lamb=math.ldexp(penalties.lamb, -self.losses)) if penalties.active else penalties

    def loss(self, value: float) -> float:
        """Return a loss in the caller's units; infinity where it is too large for a float."""
        return _times_power(value, self.losses)

    def inside(self, model: Network) -> Network:
        """Return a caller's model in these units; base scales that are not trainable are converted too."""
        if not self.outputs:
            return model
        new = model.copy()
        if not self.drawn:
            new._theta[:] = _scaled(model, new._theta, -self.outputs)
        last = new.act_fun[-1]
        if not last.sb_trainable:
            with np.errstate(over="ignore", under="ignore"):
                last.scale_base *= last.dtype.type(math.ldexp(1.0, -self.outputs))
        return new

    def outside(self, work: Network, model: Network) -> Network:
        """Return a model of training in the caller's units; what is not trainable is as in the caller's `model`."""
        if not self.outputs:
            return work
        new = work.copy()
        new._theta[:] = self.params(work, work._theta)
        last = new.act_fun[-1]
        if not last.sb_trainable:
            last.scale_base[...] = model.act_fun[-1].scale_base
        return new

    def params(self, work: Network, theta: FloatArray) -> FloatArray:
        """Return the parameters of a model of training in the caller's units."""
        return _scaled(work, theta, self.outputs) if self.outputs else theta


#: Training in the caller's units.
AS_THEY_ARE = Scale()


def _times_power(value: float, exponent: int) -> float:
    """Return value * 2^exponent, infinity where that is too large for a float."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)


def _exponent(samples: Samples) -> int:
    """Return the exponent of the power of two nearest to the targets' deviation."""
    goal = samples.goal
    counts = goal.weight > 0 if goal.weight.size else slice(None)
    y = goal.y[counts].astype(np.float64)
    weight = goal.weight[counts].astype(np.float64) if goal.weight.size else None
    size = math.frexp(float(np.abs(y).max()))[1]
    y = np.ldexp(y, -size)  # below 1, so that squares neither overflow nor underflow much
    centre = np.average(y, axis=0, weights=weight)
    deviation = math.sqrt(float(np.average(np.square(y - centre).mean(axis=1), weights=weight)))
    largest = float(np.abs(centre).max())
    if deviation <= _ROUNDINGS * float(np.finfo(np.float64).eps) * largest:
        deviation = _OF_CONSTANT * largest
    if deviation == 0.0:
        return 0
    most = _MAX_EXPONENT[goal.y.dtype]
    return min(max(size + round(math.log2(deviation)), -most), most)


def _scaled(model: Network, theta: FloatArray, exponent: int) -> FloatArray:
    """Return parameters with those that the outputs are linear in times 2^exponent."""
    out, last = theta.copy(), model.act_fun[-1]
    sections = last._sections(out[model.n_params - last.n_params :])
    factor = out.dtype.type(math.ldexp(1.0, exponent))
    with np.errstate(over="ignore", under="ignore"):
        for name in ("coef", "scale_base"):
            if name in sections:
                sections[name] *= factor
    return out
