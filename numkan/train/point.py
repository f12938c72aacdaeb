"""Conversion between splines in training and the caller's network: units of targets, and parameters at a point."""

from __future__ import annotations

from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.model.least_squares import LeastSquares
from numkan.model.network import Network
from numkan.model.regularization import Objective
from numkan.train.data import Data, Units
from numkan.train.samples import Samples
from numkan.train.splines import Splines
from numkan.train.start import NotFiniteError

__all__ = ["Point", "SplineObjective", "underflow"]

#: The domain of a coarse grid has at least this many of the dtype's smallest normal numbers: 5 intervals of 4.
_FEWEST_SPACINGS = 20


def underflow(samples: Samples, dtype: np.dtype[Any]) -> str:
    """Return a description of inputs or targets whose differences are too small; empty if there are none."""
    y, weight = samples.goal.y.astype(np.float64), samples.goal.weight
    rows = weight > 0 if weight.size else slice(None)
    size = float(np.ptp(y[rows], axis=0).max()) if len(y) else 1.0
    ranges = np.ptp(samples.x[rows].astype(np.float64), axis=0)
    if size > 0.0 and size * size == 0.0:
        return f"the squares of targets that differ by at most {size:.1e} are 0 in float64"
    if size > 0.0 and 0.0 < ranges.max() < _FEWEST_SPACINGS * float(np.finfo(dtype).tiny):
        return f"inputs that differ by at most {ranges.max():.1e} leave no room for knots in {dtype}"
    return ""


class Point:
    """Splines in a network's shape, and the map from their coefficients to its parameters."""

    def __init__(self, template: Network, splines: Splines, units: Units, *, base: bool) -> None:
        self._splines, self._units = splines, units
        layers = []
        for layer, described, coef in zip(template.act_fun, splines.layers, splines.coefs, strict=True):
            new = layer._with(described.basis.under(layer.extrapolate).astype(layer.dtype), coef.transpose(0, 2, 1))
            if new.sp_trainable:
                new.scale_sp[new.scale_sp == 0] = 1
            if new.sb_trainable and not base:
                new.scale_base[...] = 0
            layers.append(new)
        self.model = type(template)._of(layers)
        self._scales = [(layer.mask * layer.scale_sp).astype(np.float64)[:, None, :] for layer in layers]
        self.model._theta[:] = self.params(splines.vector)

    def params(self, z: FloatArray) -> FloatArray:
        """Return the parameters of the network at coefficients z; they must be finite in its dtype."""
        theta, at = self.model._theta.copy(), 0
        with np.errstate(all="ignore"):
            outside = self._splines.at(z).of_shape().scaled(self._units.width, self._units.centre)
            for layer, coef, scale in zip(self.model.act_fun, outside.coefs, self._scales, strict=True):
                section = layer._sections(theta[at : at + layer.n_params])["coef"]
                np.divide(coef, scale, out=section, where=np.broadcast_to(scale != 0, coef.shape), casting="same_kind")
                at += layer.n_params
        if not np.isfinite(theta).all():
            raise NotFiniteError(f"the parameters, which {self.model.dtype} does not hold")
        return theta


class SplineObjective:
    """The objective of a stage of Levenberg-Marquardt, in the caller's units."""

    def __init__(self, point: Point, problem: LeastSquares, data: Data) -> None:
        self.point, self.problem = point, problem
        self._data = data
        self.z: FloatArray = np.empty(0)

    def params(self, z: FloatArray) -> FloatArray:
        """Return the parameters of z."""
        self.z = np.array(z)
        return self.point.params(z)

    def parts(self, value: float) -> Objective:
        """Return loss and objective, in the caller's units, at the last z whose parameters were asked for."""
        penalty = self.problem.penalty.value(self.z) if self.problem.penalty else 0.0
        return Objective(self._data.loss(value), self.z, self._data.loss(value - penalty), 0.0)
