"""Before the first step: grids over the data, and numbers of a size that suits the units of the inputs.

x is never rescaled, and targets are in the units of :mod:`numkan.train.scale`. The optimizer sees the variables z of
params = unit * z, where the units are powers of two (so that no bit is lost) by which a step of about 1 in each
variable changes the outputs about as much.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan.base import base_and_slope
from numkan.layer.grid import constant_inside, grid_from_samples
from numkan.layer.layer import KANLayer
from numkan.model.layer_outputs import layer_outputs, network_activations
from numkan.model.network import Network
from numkan.train.box import MARGIN, box_ends
from numkan.train.samples import Samples

__all__ = ["NotFiniteError", "best_constant", "first_grids", "lay_grids", "thinned", "units"]

#: Knots reach beyond the activations, k / G times their range: room for it in the dtype.
_ROOM = 256

#: Units stay inside the range of the dtype by this many powers of two.
_ROOM_BITS = 8

#: Coefficients keep the old function along singular vectors whose singular value is below this share of the largest.
#: With a much smaller share a curve would run exactly through a few samples in the tail of a grid and oscillate between
#: them: on heavy-tailed inputs (Student's t, 2 degrees of freedom; 12 seeds), the median test error of a whole fit was
#: 40 times larger, the worst 100 000 times. Where the samples are dense, the share makes no difference.
_COND = 1e-3

#: Hidden grids are laid over about this many samples at most, evenly spaced; sizes are measured on as many.
_GRID_SAMPLES = 5000

#: A unit within this factor of 1 counts as 1.
_COMMON = 16.0

#: The deviation of silu(x) for x over [-1, 1]: of ordinary size.
_ORDINARY = 0.3

#: The activations of a network that has learned nothing are brought down to this many standard deviations' worth; its
#: outputs are brought up to that of the targets where they are less than this share of it.
_WIDE = 10.0
_NARROW = 1e-3


class NotFiniteError(Exception):
    """NaN or infinity in training; the text says where it appeared first."""


def lay_grids(
    model: Network, x: FloatArray, *, inputs: bool, thin: bool = True, box: FloatArray | None = None
) -> Network:
    """Return a copy whose grids lie over the activations of x, layer by layer; the first only if `inputs`.

    Where there are many samples, hidden grids are laid over some of them, unless not `thin`. With points of a `box`
    they reach over those too (:mod:`numkan.train.box`).
    """
    new = model.copy()
    for depth, layer in enumerate(new.act_fun):
        if depth or inputs:
            over = x if box is None or not depth else np.concatenate([x, box_ends(x, box)])
            _lay_over(layer, over, depth, thin=thin)
        if depth + 1 < len(new.act_fun):
            x = layer_outputs(layer, x)
            box = None if box is None else layer_outputs(layer, box)
    return new


def _lay_over(layer: KANLayer, x: FloatArray, depth: int, *, keep: bool = True, thin: bool = True) -> None:
    """Lay the grid of one layer over its activations, in place: its curves are kept, or else its coefficients.

    Curves of an input that is constant there, inside its grid, are kept with the grid.
    """
    sample = x[:: -(-len(x) // _GRID_SAMPLES)] if depth and thin else x
    if depth and not np.abs(sample).max() < np.finfo(layer.dtype).max / _ROOM:
        raise NotFiniteError(f"the grid of layer {depth}, whose activations are NaN, infinite or too large for knots")
    margin = MARGIN if depth else 0.0
    if keep:
        kept = constant_inside(sample, layer.basis)
        before = layer.grid[kept], layer.coef[kept]
        layer.update_grid_from_samples(sample, margin, _COND)
        if kept.any():
            grid, coef = layer.grid.copy(), layer.coef.copy()
            grid[kept], coef[kept] = before
            layer._replace(layer.basis.on(grid), coef)
    else:
        layer.grid = grid_from_samples(sample, layer.G, layer.k, layer.grid_eps, margin, layer.dtype)


def first_grids(model: Network, samples: Samples, held: NDArray[np.bool_] | None = None, *, grids: bool) -> Network:
    """Return a copy to start from: its grids over the data (with `grids`), its numbers in their units.

    What a network has learned is kept, and so are its curves. One that is no better than a constant has learned
    nothing: its coefficients go along with the grids, see :func:`_settle`. Training will not move the edges `held`
    (n_in, n_out) of the first layer, which bear no share of what the targets are on average.
    """
    laid = lay_grids(model, samples.x, inputs=True) if grids else model
    few = thinned(samples)
    if not _worse_than_constant(laid, few):
        return laid
    new = model.copy()
    if grids:
        _lay_over(new.act_fun[0], samples.x, 0, keep=False)
    _settle(new, few, held, grids=grids)
    return new


def thinned(samples: Samples) -> Samples:
    """Return at most `_GRID_SAMPLES` of the samples, evenly taken from those that have a weight."""
    if len(samples) <= _GRID_SAMPLES:
        return samples
    weight = samples.goal.weight
    rows = np.flatnonzero(weight) if weight.size else np.arange(len(samples))
    return samples.take(rows[:: -(-len(rows) // _GRID_SAMPLES)])


def _settle(model: Network, samples: Samples, held: NDArray[np.bool_] | None, *, grids: bool) -> None:
    """Bring a network that has learned nothing into the units of the data, in place.

    From the first layer to the last: base scales as for inputs of ordinary size; offsets of the base function (inputs
    far from 0) are taken out by constants in the coefficients, which sum to a constant; outputs that are wide all the
    same are narrowed, and those of the last layer widened where there is next to nothing. In the end the outputs have
    the mean of the targets. With `grids`, the grid of every hidden layer goes over its activations first; its splines
    are stretched with it.
    """
    centre, width = best_constant(samples)
    x = samples.x
    for depth, layer in enumerate(model.act_fun):
        last = depth == model.depth - 1
        if grids and depth:
            _lay_over(layer, x, depth, keep=False)
        _settle_base(layer, x)
        y = layer_outputs(layer, x)
        wide = float(y.std(axis=0, dtype=np.float64).max()) / (width if last else 1.0)
        vary = y.std(axis=0, dtype=np.float64) > np.sqrt(np.finfo(y.dtype).eps) * np.abs(y).max(axis=0)
        if _WIDE < wide < np.inf or (last and 0 < wide < _NARROW and vary.all()):  # rounding is not to be widened
            for able, numbers in ((layer.sb_trainable, layer.scale_base), (True, layer.coef)):
                numbers /= _power_of_two(wide, layer.dtype) if able else 1.0
            y = layer_outputs(layer, x)
        if last and not samples.goal.loss.takes_labels:
            bear = np.ones(layer.mask.shape) if depth or held is None else 1.0 - held
            _shift(layer, bear * ((centre - y.mean(axis=0)) / np.maximum(bear.sum(axis=0), 1.0)))
        x = y


def _settle_base(layer: KANLayer, x: FloatArray) -> None:
    """Bring the base part of every edge to ordinary size, and its mean to 0 where that is large."""
    b = base_and_slope(layer._base, x)[0]
    mean, spread = b.mean(axis=0, dtype=np.float64), b.std(axis=0, dtype=np.float64)
    deviation = np.where(spread > 0, _base_size(spread, x.std(axis=0, dtype=np.float64)), 0)
    for i, (m, d) in enumerate(zip(mean, deviation, strict=True)):
        if not (d > 0 and np.isfinite(m) and np.isfinite(d)):
            continue
        if layer.sb_trainable and _unit(d, layer.dtype) != 1:
            layer.scale_base[i] *= _power_of_two(_ORDINARY / d, layer.dtype)
        if abs(m) > _COMMON * d:
            by = np.zeros(layer.mask.shape)
            by[i] = -m * layer.mask[i] * layer.scale_base[i]
            _shift(layer, by)


def _worse_than_constant(model: Network, samples: Samples) -> bool:
    y = model._predict(samples.x)
    constant = np.empty_like(y)
    constant[:] = best_constant(samples)[0]
    return not samples.goal.loss_of(y) < samples.goal.loss_of(constant)


def best_constant(samples: Samples) -> tuple[FloatArray, float]:
    """Return the best constant outputs (n_out,), and the deviation of the targets about them, or 1 if unlike them."""
    goal = samples.goal
    if goal.loss.takes_labels:
        return np.zeros(1), 1.0
    weight = goal.weight.astype(np.float64) if goal.weight.size else None
    with np.errstate(all="ignore"):
        centre = goal.loss.best_constant(goal.y.astype(np.float64), weight)
        if goal.loss.rescaled(1.0) is None:
            return centre, 1.0  # outputs need not be in the units of the targets
        spread = float(np.average(np.square(goal.y - centre).mean(axis=1), weights=weight))
    return centre, float(np.sqrt(spread)) if 0 < spread < np.inf else 1.0


def _shift(layer: KANLayer, by: FloatArray) -> None:
    """Add constants (n_in, n_out) to the edges of a layer, as far as they are on and have splines."""
    slope = (layer.mask * layer.scale_sp).astype(np.float64)
    able = (np.abs(slope) > 1e-6) & np.isfinite(by)
    layer.coef += np.where(able, by / np.where(able, slope, 1), 0)[:, :, None].astype(layer.dtype)


def units(model: Network, samples: Samples) -> FloatArray:
    """Return the unit of every parameter (n_params,); those near 1 are left at 1.

    A coefficient's is 1, the size of what a layer puts out. That of a base scale is 1 over the root mean square of
    b(x), that of a spline scale 1 over its coefficients; but a spline scale is never moved by more than 1, or a
    coefficient's next step would be as much larger.
    """
    samples = thinned(samples)
    unit = np.ones(model.n_params, model.dtype)
    acts = network_activations(model.act_fun, samples.x)
    at = 0
    for depth, layer in enumerate(model.act_fun):
        sections = layer._sections(unit[at : at + layer.n_params])
        if "scale_base" in sections:
            b, x = (values.astype(np.float64) for values in (base_and_slope(layer._base, acts[depth])[0], acts[depth]))
            by = _base_size(*(np.sqrt(np.square(values).mean(axis=0)) for values in (b, x)))
            sections["scale_base"][...] = _inverse_units(by, model.dtype)[:, None]
        if "scale_sp" in sections:
            sections["scale_sp"][...] = _inverse_units(np.maximum(np.abs(layer.coef).max(axis=2), 1.0), model.dtype)
        at += layer.n_params
    return unit


def _base_size(b: FloatArray, x: FloatArray) -> FloatArray:
    """Return the size of b(x) from those of b(x) and x, but no less than where it still stands for x or for 1.

    Where silu has died away (x below -20, say), it is no good to blow it up again: a number of 1e9 that multiplies 1e-9
    multiplies much more at the next sample.
    """
    return np.maximum(b, np.minimum(x, 1.0) / _COMMON)


def _inverse_units(by: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    """Return the units 1 / by, for every entry of an array."""
    flat = [_unit(1.0 / value, dtype) if 0 < value < np.inf else 1.0 for value in by.reshape(-1).astype(np.float64)]
    return np.array(flat).reshape(by.shape)


def _unit(size: float, dtype: np.dtype[Any]) -> float:
    return 1.0 if 1 / _COMMON <= size <= _COMMON else _power_of_two(size, dtype)


def _power_of_two(value: float, dtype: np.dtype[Any]) -> float:
    """Return the nearest power of two, within the range of the dtype."""
    most = np.finfo(dtype).maxexp - _ROOM_BITS
    return 2.0 ** float(np.clip(np.round(np.log2(value)), -most, most)) if value > 0 else 1.0
