"""The posterior that a fit by Levenberg-Marquardt leaves on the model; see :mod:`numkan.model.posterior`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.model.least_squares import LeastSquares
from numkan.model.posterior import keep_posterior
from numkan.spline.local import local_functions
from numkan.train.commit import scratch_copy
from numkan.train.constant import constant_edges
from numkan.train.evidence import free_targets
from numkan.train.least_squares import LeastSquaresStages
from numkan.train.session import Session
from numkan.train.splines import Splines

__all__ = ["MOST", "Left", "leave_posterior", "ridge"]

#: The posterior is of at most this many coefficients: its root takes 18 MB then.
MOST = 1500


class Left(NamedTuple):
    """The result of :func:`leave_posterior`."""

    message: str  # a sentence if the posterior is not that of all layers
    noise: float = math.nan  # deviation of a target at the end of the fit; NaN where there is no posterior or no noise


def leave_posterior(session: Session, stages: LeastSquaresStages) -> Left:
    """Give the caller's model the posterior of a fit that has ended.

    It is that of the model as it is, in its dtype and on its last grids, with the weights of the last stage.
    """
    model, units = session.model, stages.units
    model._posterior = None
    splines = Splines.of(scratch_copy(model)).holding(session.held_edges)
    splines = splines if stages.known is None else stages.known.applied(splines)
    splines = splines.scaled(1.0 / units.width, -units.centre / units.width)
    c, last = splines.vector, splines.coefs[-1].size
    size = c.size if c.size <= MOST else last
    if size > MOST:
        return Left(f" There is no posterior: the last layer has {last} coefficients, more than {MOST}.")
    problem = stages.data.problem(splines.layers)
    root = stages.last_penalty(splines).root_of_inverse(problem, c, ridge(splines, problem)[-size:])
    noise, loss = _noise(stages, problem, c, root), session.samples.goal.loss
    if not (np.isfinite(root).all() and math.isfinite(noise)):
        return Left(" There is no posterior: its numbers are not finite.")
    live = [np.broadcast_to(a.live[:, None], a.shape).reshape(-1) for a in splines.layers]
    root *= noise * np.concatenate(live)[-size:]
    root[:, -last:] *= units.width
    if size == c.size:
        _flat_ones(session, splines, root)
    has_noise = not loss.is_likelihood and loss.rescaled(1.0) is not None
    noise = noise * units.width if has_noise else math.nan
    keep_posterior(model, root, noise, loss.name)
    if size == c.size:
        return Left("", noise)
    return Left(
        f" The posterior is that of the last layer alone, because there are more than {MOST} coefficients.", noise
    )


def _flat_ones(session: Session, splines: Splines, root: FloatArray) -> None:
    """Change the root, in place, so that edges of inputs that were constant in the data are constants.

    The fit has made them constants. Such a constant has the deviation of the curve at the value of the input. In
    networks with hidden layers these edges are fixed, and have no deviation.
    """
    flat = constant_edges(session.model, session.samples) & ~session.held_edges
    if not (session.settings.anew and flat.any()):
        return
    first, weight = splines.layers[0], session.samples.goal.weight
    x = session.samples.x[weight.argmax() if weight.size else 0].astype(np.float64)
    at, values, _ = local_functions(x[None], first.basis.pieces)
    columns = root[:, : math.prod(first.shape)].reshape(len(root), *first.shape)
    for i, o in np.argwhere(flat).tolist():
        begin = int(at[0, i])
        columns[:, i, :, o] = (columns[:, i, begin : begin + values.shape[2], o] @ values[0, i])[:, None]


def ridge(splines: Splines, problem: LeastSquares) -> FloatArray:
    """Return a weight for each coefficient that limits its deviation to about the range of the node after its edge.

    Where a later curve is flat, neither data nor penalties determine the edges before it. But the linearised network
    describes small changes only, and a change beyond the range of the next grid has no meaning. A network of one layer
    is linear, and needs no such weights.
    """
    if len(splines.layers) == 1:
        return np.zeros(splines.vector.size)
    outputs = splines.activations(problem.x)[-1]
    ranges = [np.subtract(*layer.basis.domain[::-1]) for layer in splines.layers[1:]] + [np.ptp(outputs, axis=0)]
    scatter = problem.scatter(splines.vector)
    square = 1.0 if math.isnan(scatter) else scatter / problem.n_targets  # about the variance of the noise
    weights = [square / np.square(np.where(range_ > 0.0, range_, 1.0)) for range_ in ranges]
    pairs = zip(weights, splines.layers, strict=True)
    return np.concatenate([np.broadcast_to(weight, layer.shape).reshape(-1) for weight, layer in pairs])


def _noise(stages: LeastSquaresStages, problem: LeastSquares, c: FloatArray, root: FloatArray) -> float:
    """Return the noise at the end of the fit, in the units of training; 1 where the loss is a likelihood.

    It is computed anew, because the last update of the evidence was a few steps before the end, when residuals were
    larger. If only the last layer has a posterior, that last update is used.
    """
    reached, n, scatter = stages.reached, problem.n_targets, problem.scatter(c)
    if math.isnan(scatter):
        return 1.0
    if len(root) < c.size and math.isfinite(reached.evidence.noise):
        return reached.evidence.noise
    freedom = float(np.vdot(root @ problem.data_equations(c)[2][-len(root) :, -len(root) :], root))
    left = free_targets(len(problem.layers), n, scatter, freedom)
    return max(math.sqrt(scatter / left), reached.least_noise)
