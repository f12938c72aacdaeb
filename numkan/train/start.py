"""Before the first step: grids over the data, and numbers of a size that suits the units of the data.

Neither x nor y is ever rescaled. The optimizer sees the variables z of params = unit * z, where the units are powers of
two (so that no bit is lost) by which a step of about 1 in each variable changes the outputs about as much.
"""

from __future__ import annotations

import numpy as np

from numkan._check import FloatArray
from numkan.base import GIVEN, SILU, ZERO, silu
from numkan.layer.layer import KANLayer
from numkan.layer.packed import given_base
from numkan.model.evaluate import activations
from numkan.model.network import Network
from numkan.train.samples import Samples

__all__ = ["NotFiniteError", "lay_grids", "loss_scale", "settle", "units"]

#: Share by which the grids of hidden layers reach beyond their activations, which move in training.
_MARGIN = 0.01

#: Hidden grids are laid over at most about so many samples, evenly taken.
_GRID_SAMPLES = 5000

#: A unit within this factor of 1 counts as 1.
_COMMON = 16.0

#: The activations of a network that has learned nothing are brought down to this many standard deviations' worth.
_WIDE = 10.0


class NotFiniteError(Exception):
    """NaN or infinity in training; the text says where it began."""


def lay_grids(model: Network, x: FloatArray, *, inputs: bool) -> Network:
    """Return a copy whose grids lie over the activations of x, layer by layer; the first only if `inputs`."""
    new = model.copy()
    for depth, layer in enumerate(new.act_fun):
        if depth or inputs:
            thin = x[:: -(-len(x) // _GRID_SAMPLES)] if depth else x
            if not np.isfinite(thin).all():
                raise NotFiniteError(f"the grid of layer {depth}, whose activations are NaN or infinite")
            layer.update_grid_from_samples(thin, _MARGIN if depth else 0.0)
        if depth + 1 < len(new.act_fun):
            x = activations([layer.pack()], x)[-1]
    return new


def settle(model: Network, samples: Samples) -> None:
    """Bring a network that is no better than a constant into the units of the data, in place.

    Nothing has been learned that could be lost. Where the outputs of a layer are wide (inputs in millions, through the
    base function), its trainable scales go down; the outputs are then moved to the mean of the targets, by a constant
    in the coefficients, which sum to a constant.
    """
    mse = samples.goal.loss == "mse"
    centre, width = _constant(samples)
    if not _worse_than_constant(model, samples):
        return
    x = samples.x
    for depth, layer in enumerate(model.act_fun):
        last = depth == model.depth - 1
        y = activations([layer.pack()], x)[-1]
        wide = float(y.std(axis=0).max()) / (_WIDE * (width if last else 1.0))
        if 1.0 < wide < np.inf:
            if layer.sb_trainable:
                layer.scale_base[...] /= _power_of_two(wide * _WIDE)
            if layer.sp_trainable:
                layer.coef[...] /= _power_of_two(wide * _WIDE)
            y = activations([layer.pack()], x)[-1]
        if last and mse:
            _shift(layer, centre - y.mean(axis=0))
        x = y


def _worse_than_constant(model: Network, samples: Samples) -> bool:
    y = activations(model._pack(), samples.x)[-1]
    loss = samples.goal.part(slice(0, len(samples)), y, np.empty_like(y))
    constant = np.empty_like(y)
    constant[:] = _constant(samples)[0]
    return not loss < samples.goal.part(slice(0, len(samples)), constant, np.empty_like(y))


def _constant(samples: Samples) -> tuple[FloatArray, float]:
    """Return the best constant outputs (n_out,), and the standard deviation of the targets about them."""
    goal = samples.goal
    if goal.loss != "mse":
        return np.zeros(1), 1.0
    weight = goal.weight.astype(np.float64) if goal.weight.size else None
    centre = np.average(goal.y.astype(np.float64), axis=0, weights=weight)
    spread = float(np.average(np.square(goal.y - centre).mean(axis=1), weights=weight))
    return centre, float(np.sqrt(spread)) if 0 < spread < np.inf else 1.0


def _shift(layer: KANLayer, by: FloatArray) -> None:
    """Add constants (n_out,) to the outputs of a layer, shared among the edges that are on."""
    slope = layer.mask * layer.scale_sp
    weight = np.abs(slope).sum(axis=0)
    able = (weight > 0) & np.isfinite(by)
    share = np.where(able, by, 0) / np.where(able, weight, 1)
    layer.coef[...] += (np.sign(slope) * share)[:, :, None].astype(layer.dtype)


def loss_scale(samples: Samples) -> float:
    """Return the power of two nearest to the loss of the best constant: what losses are measured in."""
    return _power_of_two(_constant(samples)[1] ** 2) if samples.goal.loss == "mse" else 1.0


def units(model: Network, samples: Samples) -> FloatArray:
    """Return the unit of every parameter (n_params,).

    A coefficient's is the size of what its layer puts out, 1 or for the last layer the deviation of the targets; that
    of a base scale is as large, divided by the deviation of b(x). Those near 1 are left at 1.
    """
    width = _constant(samples)[1]
    unit = np.ones(model.n_params, model.dtype)
    acts = activations(model._pack(), samples.x)
    at = 0
    for depth, layer in enumerate(model.act_fun):
        size = width if depth == model.depth - 1 else 1.0
        sections = layer._sections(unit[at : at + layer.n_params])
        sections["coef"][...] = _unit(size)
        if "scale_base" in sections:
            deviation = np.nan_to_num(_base_values(layer, acts[depth]).std(axis=0, dtype=np.float64), posinf=0.0)
            sections["scale_base"][...] = [[_unit(size / d if d > 0 else 1.0)] for d in deviation]
        at += layer.n_params
    return unit


def _base_values(layer: KANLayer, x: FloatArray) -> FloatArray:
    kind = layer._base.kind
    if kind == GIVEN:
        return given_base(layer._base, x)[0]
    if kind == SILU:
        return np.asarray(silu(x))
    return np.zeros_like(x) if kind == ZERO else x


def _unit(size: float) -> float:
    return 1.0 if 1 / _COMMON <= size <= _COMMON else _power_of_two(size)


def _power_of_two(value: float) -> float:
    """Return the nearest power of two, within float32's range of squares."""
    return 2.0 ** float(np.clip(np.round(np.log2(value)), -60, 60)) if value > 0 else 1.0
