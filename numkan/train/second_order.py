"""A fit by Levenberg-Marquardt: starts on coarse grids, a ladder of grids, weights of penalties by evidence.

All of it works on :class:`numkan.train.splines.Splines`, with targets of mean 0 and deviation 1; every accepted step is
put back into the caller's model, in its units, scales and dtype.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.base import given_base
from numkan.model.least_squares import LeastSquares
from numkan.optimize import LevenbergMarquardt, Nielsen, Status
from numkan.train.box import NEAR, box_points
from numkan.train.commit import commit_grids, scratch_copy
from numkan.train.evidence import Evidence, Smoothness, measures
from numkan.train.history import FitResult, FitStatus
from numkan.train.objective import sample_loss, where_not_finite
from numkan.train.point import Point, SplineObjective, Units
from numkan.train.run import Best, Training
from numkan.train.samples import Samples
from numkan.train.splines import Splines
from numkan.train.start import NotFiniteError

__all__ = ["LeastSquaresTraining", "SecondOrder"]

#: A run of steps ends with one that lowers the objective by less than this share.
_LEAST_GAIN = 0.005

#: The damping that a run begins with.
_DAMPING = 1e-6

#: In a stage weights are updated at most so often (in a last one, which goes on with those of the ladder, less often),
#: after runs of so many steps, until noise and degrees of freedom change by less than this share.
_UPDATES, _LAST_UPDATES, _STEPS_BETWEEN, _SETTLED = 8, 2, 6, 0.05

#: The first weights, times the number of targets: from weak to strong. Where there are more coefficients than this
#: share of the targets the second holds, or they would run through the samples and take noise for none.
_FIRST_WEIGHT, _FIRST_WEIGHT_OF_MANY, _MANY = 1e-8, 1e-3, 0.5

#: Residuals are falling where a stage has brought them below this share of what they were.
_FALLING = 0.5

#: Grids reach over the box of the data in training up to this degree, where the finest of the ladder has coefficients
#: for no more than this share of the targets.
_REACHING, _REACHING_SHARE = 3, 2.0 / 3.0

#: Residuals of a model that goes on are taken for this much at least: rounding.
_LEAST_NOISE = 1e-15


@dataclass(frozen=True, slots=True)
class SecondOrder:
    """What the caller decides of a fit by Levenberg-Marquardt."""

    redraw: bool
    restarts: int
    climbs: int  # from other starts, at most, where the first is stuck
    penalty: float | None  # None: weights by evidence


class LeastSquaresTraining(Training):
    """A fit in progress. `samples` are those of the ladder, `everything` those of the last fit."""

    def __init__(self, *args: Any, everything: Samples, options: SecondOrder) -> None:
        super().__init__(*args)
        given_base(self._model.act_fun[0]._base, everything.x)  # a function that fails does so before anything changes
        self._everything, self._options = everything, options
        self._box = box_points(everything.x).astype(np.float64)
        self._units = Units.of(everything)
        self._template = self._work
        width, centre = self._units.width, self._units.centre
        splines = Splines.of(self._work, base=not options.redraw).holding(self._held_edges)
        splines = splines.scaled(1.0 / width, -centre / width)
        self._splines = self._best_splines = splines
        self._judge: LeastSquares | None = None
        self._weights: list[FloatArray] | None = None
        self._evidence = Evidence(math.nan, math.nan, math.inf)
        self._score_before = math.inf
        self._noises = [math.inf]
        self._least_noise = 0.0
        self._ladder_is_over = False
        self._held = math.nan
        self._tried: tuple[float, ...] = ()
        self._start_seconds = 0.0
        self._use(self._samples)
        self._trained_box = self._box if self._reaches_in_training() else None

    def _reaches_in_training(self) -> bool:
        """Whether grids reach over the box of the data in all stages; see :mod:`numkan.train.box`."""
        G = self._plan.grids[-1:] or (max(self._model.grid),)
        size = sum(layer.live.size * (G[0] + layer.k) for layer in self._splines.layers)
        return len(self._box) > 0 and max(self._model.k) <= _REACHING and size <= _REACHING_SHARE * self._y.size

    def _use(self, samples: Samples) -> None:
        """Train on these samples from now on."""
        self._samples = samples
        self._x, self._y, self._root_weight = self._inside(samples)

    def _inside(self, samples: Samples) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return inputs, targets in the units of training, and roots of the weights."""
        y = (samples.goal.y.astype(np.float64) - self._units.centre) / self._units.width
        weight = samples.goal.weight.astype(np.float64)
        return samples.x.astype(np.float64), y, np.sqrt(weight / weight.mean()) if weight.size else weight

    def _loss(self, splines: Splines) -> float:
        """Return the loss of splines on the samples, in the units of the targets."""
        loss = LeastSquares(splines.layers, self._x, self._y, self._root_weight).loss(splines.vector)
        return loss * self._units.width**2 / self._y.size

    # --- a stage --------------------------------------------------------------------------------------------------

    def _begin_stage(self, grid: int) -> None:
        G = [grid] * self._model.depth if self._plan.grids else self._model.grid
        origin = self._best_splines
        try:
            self._splines = origin.on_grids(
                self._x, G, over_samples=self._settings.update_grid, box=self._trained_box, farthest=NEAR
            )
        except FloatingPointError as error:
            raise NotFiniteError(str(error)) from None
        self._before_stage = self._best.score if self._best else math.inf
        self._stage_best = (math.inf, self._steps)
        point = Point(self._template, self._splines, self._units, base=not self._options.redraw)
        self._work = point.model
        layers = self._splines.layers
        self._penalty = Smoothness(layers, self._first_weights(self._splines, origin), smooth=self._falling)
        if self._weights is None and not self._options.redraw and self._options.penalty is None:
            self._penalty.ease(self._splines.vector, max(self._noises[0], _LEAST_NOISE))
        problem = LeastSquares(layers, self._x, self._y, self._root_weight, self._penalty)
        self._objective: Any = SplineObjective(point, problem, self._units)
        self._judge = None if self._validation is None else LeastSquares(layers, *self._inside(self._validation))
        self._new_stepper(self._splines.vector)
        commit_grids(self._model, self._work)
        theta = self._objective.params(self._stepper.state.x)
        now = self._objective.parts(self._stepper.state.fun)
        self._last_validation = self._measure_validation()
        self._consider(now.loss, now.value, theta)
        self._recorder.add(self._state(grid, now.loss, now.value))

    def _measure_validation(self) -> float:
        if self._judge is None:
            return math.nan
        return self._judge.loss(self._objective.z) * self._units.width**2 / self._judge.y.size

    def _new_stepper(self, z: FloatArray) -> None:
        try:
            self._stepper = LevenbergMarquardt(
                self._objective.problem, z, rule=Nielsen(_DAMPING, scaled=True), ftol=_LEAST_GAIN, gtol=0.0
            )
        except ValueError:
            raise NotFiniteError(where_not_finite(self._work, self._samples)) from None
        self._evaluations += 1

    def _first_weights(self, splines: Splines, origin: Splines) -> list[FloatArray]:
        """Return the weights that a stage begins with.

        At first they are weak, for strong ones would flatten what the start has found. Where the last stage has brought
        the residuals down a good deal, a finer grid will do so again, by the order of the splines; weights are made
        weaker by as much, because those of the last stage would hold it back.
        """
        n, fixed = self._y.size, self._options.penalty
        if self._weights is None or fixed is not None:
            nodes = [np.ptp(a, axis=0) for a in splines.activations(self._x)[1:-1]] + [np.ones(self._y.shape[1])]
            many = sum(coef.size for coef in splines.coefs) > _MANY * n
            first = _FIRST_WEIGHT_OF_MANY if many else _FIRST_WEIGHT
            weights = []
            for layer, spread in zip(splines.layers, nodes, strict=True):
                each = [first] * 3 if fixed is None else [0.0, 0.0, fixed]
                unit = n / np.maximum(spread, 1e-6) ** 2 * np.ones(layer.live.shape)
                weights.append(np.array(each)[-measures(layer.k) :, None, None] * unit)
            return weights
        falling = self._falling
        return [
            weight * ((old.shape[1] - old.k) / (new.shape[1] - new.k)) ** (2 * (new.k + 1) * falling)
            for weight, old, new in zip(self._weights, origin.layers, splines.layers, strict=True)
        ]

    @property
    def _falling(self) -> bool:
        """Whether the residuals were still falling a good deal when the last stage began to be the last."""
        return len(self._noises) > 1 and self._noises[-1] < _FALLING * self._noises[-2]

    def _train(self, grid: int) -> str:
        """Run, update the weights, and run on until they have settled; return why the stage ended."""
        problem, last, taken = self._objective.problem, self._evidence, 0
        updates = 0 if self._options.penalty is not None else _LAST_UPDATES if self._ladder_is_over else _UPDATES
        for update in range(updates):
            taken += self._steps_of(grid, min(_STEPS_BETWEEN, self._plan.steps - taken))
            self._evidence = self._penalty.weigh(problem, self._stepper.state.x, self._least_noise)
            self._weights = self._penalty.weights
            self._new_stepper(self._stepper.state.x)
            if ((update or self._ladder_is_over) and _settled(self._evidence, last)) or taken >= self._plan.steps:
                break
            last = self._evidence
        taken += self._steps_of(grid, self._plan.steps - taken)
        self._noises.append(self._evidence.noise)
        return "all steps taken" if taken >= self._plan.steps else "converged"

    def _steps_of(self, grid: int, number: int) -> int:
        """Take up to so many steps; return how many."""
        for step in range(number):
            self._check_time()
            evaluations = self._stepper.nfev
            taken = self._stepper.step()
            self._evaluations += self._stepper.nfev - evaluations
            if not taken:
                if self._stepper.status is Status.NONFINITE:
                    raise NotFiniteError(where_not_finite(self._work, self._samples))
                return step
            self._accept(grid, step)
        return number

    def _consider(self, loss: float, objective: float, theta: FloatArray) -> None:
        """Keep the point if it is the best by the validation samples; without them the last one is."""
        best = self._best
        super()._consider(loss, objective, theta)
        if self._validation is None and self._best is best:
            self._best = Best(objective, self._steps, self._work, theta, loss, self._last_validation)
        if self._best is not best:
            self._best_splines = self._splines.at(self._objective.z)

    def _result(self, status: FitStatus, message: str) -> FitResult:
        model = scratch_copy(self._model)  # whose policies refuse no sample
        lost = sample_loss(model, self._samples)
        if status is not FitStatus.NONFINITE and not math.isfinite(lost):
            status, where = FitStatus.NONFINITE, where_not_finite(model, self._samples)
            message = f"The model is not finite on its training samples, beginning in {where}."
        result = super()._result(status, message)
        width = self._units.width
        held = self._held if math.isnan(result.validation_loss) else result.validation_loss
        as_it_is = self._best is None or self._model.dtype != np.float64  # not what training has measured
        return replace(
            result,
            loss=lost if as_it_is else result.loss,
            validation_loss=held,
            noise=self._evidence.noise * width,
            freedom=self._evidence.freedom,
            gcv=self._evidence.score * width,
            starts=tuple(width * residual for residual in self._tried),
            start_seconds=self._start_seconds,
            weights=tuple(self._weights or ()),
        )


def _settled(now: Evidence, before: Evidence) -> bool:
    """Whether an update has changed little."""
    return all(abs(new - old) < _SETTLED * old for new, old in zip(now[:2], before[:2], strict=True))
