r"""The box of the data: hidden nodes reach further in it than at the samples.

The grid of a hidden layer that lies over the activations of the samples alone is left by fresh points, in the corners
of the box above all: there a node is at its ends, and few samples are. A little beyond a grid its curves go on as
straight lines, and one such point can be wrong by more than all others together. So grids are made to reach over the
activations at points of the box too: those of splines up to degree 3 in training, where penalties of order k + 3 then
say how a curve goes on beyond the samples; those of others once a fit is done, as well as what training has moved out
of its grid (:meth:`numkan.train.splines.Splines.stretched`). For degree 5, and where there are many coefficients for
the samples, end polynomials go on better than what penalties say.

The points are those of an additive recurrence,

.. math:: u_{mi} = \left( \tfrac12 + m \varphi^{-i} \right) \bmod 1, \qquad \varphi^{d + 1} = \varphi + 1,

half of them as they are, half as :math:`\sin^2 (\pi u / 2)`: these crowd at the faces, so that in d = 4 dimensions
4,000 of them come as near to the corners as 200,000 of the others.

Where inputs depend on each other, most of the box is empty, and nodes can reach very far in it. What lies too far off
is left out.

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

__all__ = ["FAR", "LEAVES", "MARGIN", "NEAR", "Excess", "box_ends", "box_points", "excess"]

#: Points of the box, if kernels are compiled, and how many of them go through a network at a time.
_POINTS, _AT_ONCE = 128 if jit_is_off() else 8192, 1024

#: The box of more inputs than this is nearly empty for any number of samples, and is ignored.
_MAX_INPUTS = 64

#: A grid is not stretched beyond this many times the range of the samples: in training, where a coarser grid costs
#: accuracy (it doubles the error of cubic splines), and in the end, where it costs none.
NEAR, FAR = 1.19, 2.0

#: Points that leave a grid by no more than this share of its length are no matter: so far end polynomials go on. Grids
#: are laid for half of it, and with margins of their own: a little longer would be a little coarser.
LEAVES, MARGIN = 0.008, 0.01
_SLACK = MARGIN + 0.5 * LEAVES


class Excess(NamedTuple):
    """How far points leave the grid of a hidden layer, as a share of its length; infinite where they are no numbers."""

    layer: int
    share: float


def box_points(x: FloatArray) -> FloatArray:
    """Return points of the box of samples x (n, n_in), the same ones always; none where there are too many inputs."""
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


def box_ends(a: FloatArray, box: FloatArray, farthest: float = FAR) -> FloatArray:
    """Return the least and the largest activations (2, n_nodes) that a grid is to be laid over, margins not counted.

    a (n, n_nodes) is of samples, box (m, n_nodes) of points of the box: these do not count for a node that they take
    further than `farthest` times its own range, or that they are no numbers for.
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
    """Return by how much points leave the hidden grid that they leave most; a share of 0 where they leave none."""
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
