"""Whether a fit may be called a success: its model is finite, and no number left the range of the dtype."""

from __future__ import annotations

import math

import numpy as np

from numkan._check import FloatArray
from numkan.model.layer_outputs import network_activations
from numkan.model.network import Network
from numkan.model.regularization import Penalties
from numkan.train.commit import scratch_copy
from numkan.train.history import FitStatus
from numkan.train.objective import where_not_finite
from numkan.train.samples import Samples
from numkan.train.scale import Scale
from numkan.train.start import best_constant, thinned

__all__ = ["fault"]

#: Numbers are of extreme size where their exponents are beyond this share of those of the dtype.
_EXTREME = 0.4

#: A model that leaves at least this share of the targets' variance explains nothing.
_NOTHING = 0.999


def fault(model: Network, samples: Samples) -> tuple[FitStatus, str] | None:
    """Return the fault of a model that was fitted to samples in the caller's units; None if it has none.

    A model that explains nothing is a fault only if inputs or targets are so small or large that values underflow or
    overflow. Otherwise there may be nothing to explain, or no step was taken.
    """
    work = scratch_copy(model)
    with np.errstate(all="ignore"):
        extreme = _extreme(thinned(samples))
        samples = samples if extreme else thinned(samples)
        # for ordinary numbers local evaluation is enough, and the fit has compiled it
        outputs = work._predict(samples.x) if extreme else network_activations(work.act_fun, samples.x)[-1]
        if not (np.isfinite(outputs).all() and np.isfinite(model._theta).all()):
            where = where_not_finite(work, samples)
            return FitStatus.NONFINITE, f"The model's outputs are NaN or infinite, beginning in {where}."
        if not extreme or not samples.goal.loss.rescaled(1.0):
            return None
        scale = _scale(samples)
        inside = scale.samples(samples)
        loss = _loss(np.ldexp(outputs, -scale.outputs), inside)
        unexplained = _loss(np.broadcast_to(best_constant(inside)[0].astype(outputs.dtype), outputs.shape), inside)
        if loss < _NOTHING * unexplained:
            too_large = math.isinf(scale.loss(loss))
            message = f"The loss, a mean square, is too large for {np.dtype(np.float64)}: targets need larger units."
            return (FitStatus.RANGE, message) if too_large else None
    message = f"The model explains nothing: {extreme} under- or overflow in {model.dtype}, and need other units."
    return (FitStatus.RANGE, message) if unexplained > 0 else None


def _scale(samples: Samples) -> Scale:
    return Scale.of(samples, Penalties(), drawn=False)


def _loss(outputs: FloatArray, samples: Samples) -> float:
    return samples.goal.loss_of(np.ascontiguousarray(outputs))


def _extreme(samples: Samples) -> str:
    """Return a description of the inputs or targets of extreme size."""
    most = _EXTREME * np.finfo(samples.x.dtype).maxexp
    if abs(_scale(samples).outputs) > most:
        return f"targets up to {np.abs(samples.goal.y).max():.0e}"
    ranges = np.ptp(samples.x.astype(np.float64), axis=0)
    sizes = [math.frexp(size)[1] for size in ranges.tolist() if 0 < size < math.inf]
    if max(map(abs, sizes), default=0) > most or np.isinf(ranges).any():
        return "inputs whose ranges are about " + ", ".join(f"{size:.0e}" for size in ranges[:3].tolist())
    return ""
