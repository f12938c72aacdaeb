r"""The box of the data: activations of hidden nodes have a wider range in it than at the samples.

If the grid of a hidden layer covers the activations of the samples only, fresh points leave it, above all in the
corners of the box, where a node has its extreme values and samples are few. A little beyond a grid its curves become
straight lines, and the error at one such point can exceed that of all others together. So grids also cover the
activations at points of the box. For splines up to degree 3 they do so in training, and penalties of order k + 3
determine a curve beyond the samples. For others, and for grids that training has made too short, they are extended at
the end of a fit (:meth:`numkan.train.splines.Splines.stretched`): for degree 5, and where there are many coefficients
for the samples, end polynomials extrapolate better than penalties. Nodes that rise or fall in all inputs have their
extremes in corners, and polynomials that continue can turn around. So the grids of networks whose shape is known
(:mod:`numkan.model.shapes`) cover the box during training already, as far as those of others do at its end.

The points are those of an additive recurrence,

.. math:: u_{mi} = \left( \tfrac12 + m \varphi^{-i} \right) \bmod 1, \qquad \varphi^{d + 1} = \varphi + 1,

half of them as they are, half as :math:`\sin^2 (\pi u / 2)`: these crowd at the faces, so that in d = 4 dimensions
4,000 of them come as near to the corners as 200,000 of the others.

Where inputs depend on each other, most of the box is empty, and activations in it can be very far from those of the
samples. Points that are too far off are left out.

References
----------
M. Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018), for the recurrence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.compile import jit_is_off
from numkan.model.layer_outputs import network_activations
from numkan.model.network import Network
from numkan.spline.spline_basis import SplineBasis
from numkan.train.commit import scratch_copy

__all__ = ["FAR", "LEAVES", "MARGIN", "NEAR", "Excess", "box_ends", "box_points", "excess", "hidden_box"]

#: Points of the box, if kernels are compiled, and how many of them go through a network at a time.
_POINTS, _AT_ONCE = 128 if jit_is_off() else 8192, 1024

#: The box of more inputs than this is nearly empty for any number of samples, and is ignored.
_MAX_INPUTS = 64

#: A grid is not stretched beyond this many times the range of the samples: in training, where a coarser grid costs
#: accuracy (it doubles the error of cubic splines), and in the end, where it costs none.
NEAR, FAR = 1.19, 2.0

#: Points may leave a grid by this share of its length, because end polynomials continue so far. Grids have margins of
#: half of it, because a longer grid is a coarser one.
LEAVES, MARGIN = 0.008, 0.01
_SLACK = MARGIN + 0.5 * LEAVES


class Excess(NamedTuple):
    """The distance of points from the grid of a hidden layer, as a share of its length; infinite for NaN."""

    layer: int
    share: float


def box_points(x: FloatArray) -> FloatArray:
    """Return points of the box of samples x (n, n_in), always the same ones; none if there are too many inputs."""
    n_in = x.shape[1]
    if n_in > _MAX_INPUTS:
        return np.empty((0, n_in), x.dtype)
    phi = 2.0
    for _ in range(64):
        phi = (1.0 + phi) ** (1.0 / (n_in + 1))
    u = (0.5 + np.outer(np.arange(_POINTS), phi ** -np.arange(1.0, n_in + 1))) % 1.0
    u[1::2] = np.sin(0.5 * np.pi * u[1::2]) ** 2
    low, high = (end.astype(np.float64) for end in (x.min(axis=0), x.max(axis=0)))
    points: FloatArray = np.clip(low * (1.0 - u) + high * u, low, high).astype(x.dtype)
    return points


def hidden_box(model: Network, x: FloatArray) -> FloatArray:
    """Return the points of the box over which hidden grids reach; none if there are no hidden grids."""
    return box_points(x) if len(model.act_fun) > 1 else np.empty((0, x.shape[1]), x.dtype)


def box_ends(a: FloatArray, box: FloatArray, farthest: float = FAR) -> FloatArray:
    """Return the least and the largest activations (2, n_nodes) that a grid is to be laid over, margins not counted.

    a (n, n_nodes): activations at samples; box (m, n_nodes): at points of the box. These do not count for a node if
    they extend its range by a factor of more than `farthest`, or are NaN.
    """
    ends = np.array([a.min(axis=0), a.max(axis=0)])
    if not len(box):
        return ends
    with np.errstate(over="ignore", invalid="ignore"):
        length = ends[1] - ends[0]
        low, high = box.min(axis=0) + _SLACK * length, box.max(axis=0) - _SLACK * length
        wide = np.array([np.minimum(low, ends[0]), np.maximum(high, ends[1])])
        near = wide[1] - wide[0] <= farthest * length  # False for NaN
    return np.where(near, wide, ends)


def excess(model: Network, points: FloatArray) -> Excess:
    """Return the hidden grid that points leave most, and by how much; a share of 0 if they leave none."""
    worst = Excess(0, 0.0)
    points, layers = points.astype(model.dtype), scratch_copy(model).act_fun
    for begin in range(0, len(points), _AT_ONCE):
        with np.errstate(all="ignore"):
            hidden = network_activations(layers[:-1], points[begin : begin + _AT_ONCE])[1:]
            for depth, a in enumerate(hidden, 1):
                share = _beyond(layers[depth].basis.astype(np.float64), a)
                worst = max(worst, Excess(depth, share), key=lambda one: one.share)
    return worst


def _beyond(basis: SplineBasis, a: FloatArray) -> float:
    low, high = basis.domain
    share = np.maximum(low - a.min(axis=0), a.max(axis=0) - high) / (high - low)
    return float(np.where(np.isfinite(share), share, np.inf).max())
