r"""A network that learns from rows which come in batches: sums over the rows are kept, and not the rows.

The loss of earlier batches is kept as a function of the coefficients c, to second order,

.. math:: f(c) \approx f(c_0) + 2 g^T (c - c_0) + (c - c_0)^T H (c - c_0),

with half the gradient g and :math:`H = \sum J^T W J`, each batch expanded about the point that the network reached
with it. For squares and one layer this is the loss itself: the network is the one that all rows together give, in any
order of the batches. For other losses and hidden layers it is Laplace's approximation, batch after batch. The weights
of the penalties follow their evidence (:mod:`numkan.train.evidence`), which needs only these sums.

References
----------
D. Spiegelhalter and S. Lauritzen, "Sequential updating of conditional probabilities on directed graphical structures",
Networks 20 (1990). H. Ritter, A. Botev and D. Barber, "Online structured Laplace approximations for overcoming
catastrophic forgetting", NeurIPS 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray
from numkan.model.least_squares import LeastSquares, SplineLayer
from numkan.model.losses import LOSSES
from numkan.model.network import Network
from numkan.model.posterior import keep_posterior
from numkan.optimize import LevenbergMarquardt
from numkan.train.commit import scratch_copy
from numkan.train.data import Data, Units
from numkan.train.evidence import Evidence, Prior, Smoothness
from numkan.train.known import check_known, rule_of
from numkan.train.point import Point
from numkan.train.posterior import MOST, ridge
from numkan.train.prior import first_weights, prior_of
from numkan.train.samples import check_samples
from numkan.train.splines import Splines

__all__ = ["Memory", "Remembered", "Stream"]

#: Largest number of updates of the weights for a batch, each with a step before it; and of steps after the last one.
#: They have settled if the evidence changes by less than the last number.
_UPDATES, _LAST_STEPS, _SETTLED = 40, 10, 0.1

#: The first damping of the steps, and the share by which the last of them lowers the objective.
_DAMPING, _LEAST_GAIN = 1e-8, 1e-10

#: Least value for the residuals of a network that has learned the first batch, because of rounding.
_LEAST_NOISE = 1e-15


class Memory(NamedTuple):
    """The loss of rows near a point, to second order."""

    c: FloatArray
    value: float
    gradient: FloatArray  # half of it
    normal: FloatArray
    n_targets: float  # copies are counted

    @classmethod
    def empty(cls, size: int) -> Memory:
        """Return the memory of no rows."""
        return cls(np.zeros(size), 0.0, np.zeros(size), np.zeros((size, size)), 0.0)

    def at(self, c: FloatArray) -> Memory:
        """Return the same loss, expanded about another point."""
        move = c - self.c
        pull = self.normal @ move
        value = max(self.value + float(move @ (2.0 * self.gradient + pull)), 0.0)  # rounding may make it negative
        return self._replace(c=c, value=value, gradient=self.gradient + pull)


class Remembered(LeastSquares):
    """Least squares, or another loss, of the rows of a batch and of what is kept of earlier ones."""

    def __init__(
        self, layers: Sequence[SplineLayer], data: Data, memory: Memory, penalty: Smoothness | None = None
    ) -> None:
        super().__init__(layers, data.x, data.y, data.root_weight, penalty, curved=data.curved)
        self._memory = memory

    @property
    def n_targets(self) -> Any:
        """The number of residuals of all rows, of which copies count."""
        return self._memory.n_targets + float(np.square(self.root_weight).sum()) * self.y.shape[1]

    def loss(self, c: FloatArray) -> float:
        """Return f(c)."""
        return super().loss(c) + self._memory.at(c).value

    def _equations(self, c: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        before = self._memory.at(c)
        value, gradient, normal = super()._equations(c)
        return value + before.value, gradient + before.gradient, normal + before.normal

    def remember(self, c: FloatArray) -> Memory:
        """Return the loss of all rows near a point."""
        return Memory(np.array(c), *self.data_equations(c), self.n_targets)


class Stream:
    """A network, and what it has learned from; `model` is replaced by each batch.

    Parameters
    ----------
    model : Network
        Its grids are those of the first layers' inputs for all batches.
    loss : str
        Of targets of deviation 1, or a likelihood.
    monotonic : sequence of int, optional
        As that of :meth:`numkan.KAN.fit`.
    """

    def __init__(self, model: Network, loss: str, monotonic: Any = None) -> None:
        self.model, self._loss = model, loss
        known = check_known(model, monotonic, None, LOSSES[loss], redraw=False)
        splines = Splines.of(scratch_copy(model))
        self._splines = splines if known is None else known.applied(splines)
        self._memory = Memory.empty(self._splines.vector.size)
        self._weights: list[FloatArray] = []
        self._prior = Prior()
        self.steps = 0

    def learn(self, x: Any, y: Any, weight: FloatArray) -> None:
        """Learn from a batch, whose rows count as often as their weights say.

        Raises
        ------
        ValueError
            If the loss is not finite; nothing has changed then.
        """
        samples = check_samples(self.model, x, y, self._loss, None)
        data = Data.of(samples, Units(np.zeros(self.model.n_out), 1.0))
        data = replace(data, root_weight=np.sqrt(weight))
        with one_blas_thread(), np.errstate(all="ignore"):
            if not self._weights:
                self._begin_weights(data)
            penalty = Smoothness(self._splines.layers, self._weights, prior=self._prior)
            problem = Remembered(self._splines.layers, data, self._memory, penalty)
            course = _Course(problem, penalty, self._splines)
            course.run()
            splines = self._splines.at(course.c).of_shape()
            model = Point(self.model, splines, Units(np.zeros(self.model.n_out), 1.0), base=True).model
            memory = problem.remember(course.c)
            self._leave_posterior(model, splines, problem, course)
        self.model, self._splines, self._memory = model, splines, memory
        self._weights, self.steps = penalty.weights, self.steps + course.steps

    def _begin_weights(self, data: Data) -> None:
        """Set the weights that the first batch begins with, none of which flattens the curves of the network."""
        splines, is_likelihood = self._splines, data.is_likelihood
        if is_likelihood or len(splines.layers) == 1:
            labels = LOSSES[self._loss].takes_labels
            self._prior = prior_of(splines, data, labels=labels, sized=True)
        penalty = Smoothness(splines.layers, first_weights(splines, data))
        c, n = splines.vector, float(np.square(data.root_weight).sum()) * self.model.n_out
        scatter = Remembered(splines.layers, data, self._memory).scatter(c)
        penalty.relax(c, 1.0 if is_likelihood else max(math.sqrt(scatter / n), _LEAST_NOISE))
        self._weights = penalty.weights

    def _leave_posterior(self, model: Network, splines: Splines, problem: Remembered, course: _Course) -> None:
        """Give a network its posterior, if it is not too large."""
        c = splines.vector
        if c.size > MOST:
            return
        root = course.penalty.root_of_inverse(problem, c, ridge(splines, problem))
        noise = course.found.noise
        root *= noise * np.concatenate([np.broadcast_to(a.live[:, None], a.shape).reshape(-1) for a in splines.layers])
        if np.isfinite(root).all():
            keep_posterior(model, root, math.nan if LOSSES[self._loss].is_likelihood else noise, self._loss)


class _Course:
    """Steps and updates of the weights in turn, until both have settled."""

    def __init__(self, problem: Remembered, penalty: Smoothness, splines: Splines) -> None:
        self._problem, self.penalty, self._splines = problem, penalty, splines
        self.c, self.steps = splines.vector, 0
        self.found = Evidence(math.nan, math.nan, math.nan)

    def run(self) -> None:
        """Go to the point of most evidence."""
        for _ in range(_UPDATES):
            self._step(1)
            last, self.found = self.found, self.penalty.update_weights(self._problem, self.c)
            if abs(self.found.log - last.log) < _SETTLED and self.found.to_fall < _SETTLED:
                break
        self._step(_LAST_STEPS)

    def _step(self, number: int) -> None:
        rule = rule_of(self._splines, _DAMPING, scaled=True)
        run = LevenbergMarquardt(self._problem, self.c, rule=rule, gtol=0.0, ftol=_LEAST_GAIN)
        while run.state.step < number and run.step():
            pass
        self.c, self.steps = run.state.x, self.steps + run.state.step
