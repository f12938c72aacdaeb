"""Stages of Levenberg-Marquardt: on each grid, weights of penalties by evidence, and steps until they have settled.

All of it works on :class:`numkan.train.splines.Splines`, with targets of mean 0 and deviation 1; every accepted step is
put back into the caller's model, in its units, scales and dtype.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numkan._check import FloatArray, check_integer
from numkan.base import given_base
from numkan.model.network import Network
from numkan.optimize import LevenbergMarquardt, Status
from numkan.train.box import FAR, NEAR, hidden_box
from numkan.train.data import Data, Units
from numkan.train.evidence import UNTIED, Evidence, Smoothness
from numkan.train.known import Known, rule_of
from numkan.train.least_squares_options import LeastSquaresOptions
from numkan.train.objective import where_not_finite
from numkan.train.point import Point, SplineObjective
from numkan.train.prior import prior_of
from numkan.train.reached import Reached, reached_of, reached_tree, weights_of
from numkan.train.roughness import measures
from numkan.train.samples import Samples
from numkan.train.session import Session
from numkan.train.splines import Splines
from numkan.train.start import NotFiniteError
from numkan.train.stepper_state import status_of
from numkan.train.tree import Tree, array, items, real

__all__ = ["LeastSquaresOptions", "LeastSquaresStages", "Reached"]

#: A run of steps ends when one of them lowers the objective by less than this share.
_LEAST_GAIN = 0.005

#: The damping that a run begins with.
_DAMPING = 1e-6

#: A stage updates the weights at most `_UPDATES` times, with `_STEPS_BETWEEN` steps before each, until noise and
#: degrees of freedom change by less than the share `_SETTLED`.
_UPDATES, _STEPS_BETWEEN, _SETTLED = 8, 6, 0.05

#: The first weight, over the number of targets; it is the second one where there are more coefficients than the share
#: `_MANY` of the targets, because the splines would run through the samples and show no noise.
_FIRST_WEIGHT, _FIRST_WEIGHT_OF_MANY, _MANY = 1e-8, 1e-3, 0.5

#: With hidden layers, weights have a prior where there are no more samples than this, and more noise than this.
_FEW, _FEW_NOISE = 40, 0.2

#: Grids reach over the box of the data in training up to this degree, where the finest of the ladder has coefficients
#: for no more than this share of the targets.
_REACHING, _REACHING_SHARE = 3, 2.0 / 3.0

#: Least value for the residuals of a model whose training continues, because of rounding.
_LEAST_NOISE = 1e-15

#: The end of a stage that was not stopped.
_WHOLE = ("all steps taken", "converged")

#: A finer grid must lower the score by this share, or the ladder ends.
_LEAST_STAGE_GAIN = 0.1


@dataclass(slots=True)
class Place:
    """The progress of a stage."""

    update: int = 0  #: updates of the weights that have been made
    taken: int = 0  #: steps of the runs that have ended
    step: int = 0  #: steps of the run that is under way


class LeastSquaresStages:
    """The stages of one fit on `session.samples`; `everything` holds the samples of the last stage.

    Attributes
    ----------
    reached : Reached
    units : Units
        Of the targets in training.
    data : Data
        The samples in these units.
    is_last : bool
        Whether the stage is the last one, which goes on with the weights of the ladder.
    last_updates : int
        The largest number of updates of the weights in the last stage.
    damping, least_gain : float
        A run of steps begins with this damping, and ends when a step lowers the objective by less than this share.
    """

    damping, least_gain, last_updates = _DAMPING, _LEAST_GAIN, _UPDATES

    def __init__(self, session: Session, everything: Samples, options: LeastSquaresOptions) -> None:
        base = session.model.act_fun[0]._base
        given_base(base, everything.x)  # a user's function that fails raises here, before anything changes
        self._session, self._options = session, options
        session.box = hidden_box(session.model, everything.x).astype(np.float64)
        self.units = Units.of(everything)
        width, centre = self.units.width, self.units.centre
        splines = Splines.of(session.start, base=not options.redraw).holding(session.held_edges)
        splines = splines if options.known is None else options.known.applied(splines)
        self._splines = splines.scaled(1.0 / width, -centre / width)
        self._place = Place()
        self.reached = Reached(self._splines)
        self.is_last = self._has_begun = False
        self._keeps = True  # whether the last point counts as the best one if there are no validation samples
        self.use(session.samples)
        held = session.validation
        self._held = None if held is None else Data.of(held, self.units, options.weight_unit)
        self._trained_box = session.box if self._reaches_in_training() else None

    @property
    def known(self) -> Known | None:
        """The shapes that curves are to have."""
        return self._options.known

    def _reaches_in_training(self) -> bool:
        """Whether grids reach over the box of the data in all stages; see :mod:`numkan.train.box`."""
        session, largest = self._session, _REACHING_SHARE * self.data.n_targets
        size = sum(layer.live.size * (session.grids[-1] + layer.k) for layer in self._splines.layers)
        has_few = max(session.model.k) <= _REACHING and size <= largest
        return len(session.box) > 0 and (has_few or self.known is not None)

    def use(self, samples: Samples) -> None:
        """Train on these samples from now on."""
        self._session.samples = samples
        self.data = Data.of(samples, self.units, self._options.weight_unit)

    def fit_everything(self, samples: Samples) -> None:
        """Take all samples from now on, in one last stage."""
        self.use(samples)
        self._held, self.is_last = None, True

    def misfit(self, splines: Splines) -> float:
        """Return f of splines on the samples, without penalties."""
        return self.data.problem(splines.layers).loss(splines.vector)

    def loss(self, splines: Splines) -> float:
        """Return the loss of splines on the samples, in the caller's units."""
        return self.data.loss(self.misfit(splines))

    def point(self, splines: Splines) -> Point:
        """Return splines in the caller's shape."""
        return Point(self._session.start, splines, self.units, base=not self._options.redraw)

    # --- a stage --------------------------------------------------------------------------------------------------

    def begin_stage(self, grid: int) -> None:
        """Lay the best splines over a grid, set the weights of their penalties, and begin there."""
        session, origin = self._session, self.reached.splines
        G = [grid] * session.model.depth if session.plan.grids else session.model.grid
        try:
            self._splines = self._laid(origin, G)
        except FloatingPointError as error:
            raise NotFiniteError(str(error)) from None
        session.begin_stage()
        self._has_begun = True
        point = self.point(self._splines)
        self._work, layers = point.model, self._splines.layers
        self._penalty = self._smoothness(origin)
        self._objective = SplineObjective(point, self.data.problem(layers, self._penalty), self.data)
        self._judge = None if self._held is None else self._held.problem(layers)
        self._place = Place()
        self._begin_steps(self._splines.vector)
        session.commit(self._work)
        loss, objective = self._consider(self._objective.params(self._stepper.state.x))
        session.record(grid, loss, objective)

    def _laid(self, origin: Splines, G: Sequence[int]) -> Splines:
        """Return splines on grids of G intervals over the samples."""
        is_over, far = self._session.settings.update_grid, NEAR if self.known is None else FAR
        return origin.on_grids(self.data.x, G, over_samples=is_over, box=self._trained_box, farthest=far)

    def _smoothness(self, origin: Splines) -> Smoothness:
        """Return the penalty with the first weights of a stage."""
        reached, options = self.reached, self._options
        self._is_smooth = reached.is_smooth
        if not self.is_last and options.penalty is None:  # the last stage goes on with the weights that there are
            self._is_smooth |= reached.is_falling
        weights = self._first_weights(self._splines, origin)
        prior = UNTIED
        if len(self.data.x) <= _FEW and len(self._splines.layers) > 1:
            prior = prior_of(self._splines, self.data, labels=False, sized=True, least_noise=_FEW_NOISE)
        penalty = Smoothness(self._splines.layers, weights, smooth=self._is_smooth, prior=prior)
        if reached.weights is None and not options.redraw and options.penalty is None:
            penalty.relax(self._splines.vector, max(reached.noises[0], _LEAST_NOISE))
        return penalty

    def last_penalty(self, splines: Splines) -> Smoothness:
        """Return the penalty that the fit has ended with, on splines like those of the last stage."""
        reached = self.reached
        weights = self._first_weights(splines, splines) if reached.weights is None else reached.weights
        return Smoothness(splines.layers, weights, smooth=reached.is_smooth)

    def _begin_steps(self, z: FloatArray) -> None:
        self._begin_at(z, self.damping)
        self._session.evaluations += 1

    def _begin_at(self, z: FloatArray, damping: float) -> None:
        try:
            rule = rule_of(self._splines, damping, scaled=True)
            self._stepper = LevenbergMarquardt(self._objective.problem, z, rule=rule, ftol=self.least_gain, gtol=0.0)
        except ValueError:
            raise NotFiniteError(where_not_finite(self._work, self._session.samples)) from None

    def _first_weights(self, splines: Splines, origin: Splines) -> list[FloatArray]:
        """Return the first weights of a stage.

        The weights of the first stage are small, because large ones would flatten the function of the start. If a stage
        has lowered the residuals by much, a finer grid will do so again, by the order of the splines. The weights are
        then reduced by as much, because those of the stage before would be too large.
        """
        n, fixed = self.data.n_targets, self._options.penalty
        if self.reached.weights is None or fixed is not None:
            nodes = [np.ptp(a, axis=0) for a in splines.activations(self.data.x)[1:-1]]
            nodes.append(np.ones(self.data.y.shape[1]))
            many = sum(coef.size for coef in splines.coefs) > _MANY * n
            first = _FIRST_WEIGHT_OF_MANY if many else _FIRST_WEIGHT
            weights = []
            for layer, spread in zip(splines.layers, nodes, strict=True):
                each = [first] * 3 if fixed is None else [0.0, 0.0, fixed]
                unit = n / np.maximum(spread, 1e-6) ** 2 * np.ones(layer.live.shape)
                weights.append(np.array(each)[-measures(layer.k) :, None, None] * unit)
            return weights
        falling = self.reached.is_falling
        return [
            weight * ((old.shape[1] - old.k) / (new.shape[1] - new.k)) ** (2 * (new.k + 1) * falling)
            for weight, old, new in zip(self.reached.weights, origin.layers, splines.layers, strict=True)
        ]

    def train(self, grid: int) -> str:
        """Run, update the weights, and run on until they have settled; return why the stage ended."""
        place, steps = self._place, self._session.plan.steps
        updates = 0 if self._options.penalty is not None else self.last_updates if self.is_last else _UPDATES
        while place.update < updates:
            self._take_steps(grid, min(_STEPS_BETWEEN, steps - place.taken))
            is_settled = self._update_weights()
            place.update += 1
            if ((place.update > 1 or self.is_last) and is_settled) or place.taken >= steps:
                place.update = updates
        self._take_steps(grid, steps - place.taken)
        self.reached.noises.append(self.reached.evidence.noise)
        return _WHOLE[place.taken < steps]

    def _update_weights(self) -> bool:
        """Update the weights of the penalties; return whether that has changed little."""
        reached, last, z = self.reached, self.reached.evidence, self._stepper.state.x
        reached.evidence = self._penalty.update_weights(self._objective.problem, z, reached.least_noise)
        if self._session.has_best_in_stage:
            self._keep_weights()
        self._begin_steps(z)
        return _settled(reached.evidence, last)

    def _take_steps(self, grid: int, number: int) -> None:
        """Take a run of up to `number` steps, or the rest of one at which a resumed fit was stopped."""
        place = self._place
        while place.step < number and self._take_step(grid):
            pass
        place.taken, place.step = place.taken + place.step, 0

    def _take_step(self, grid: int) -> bool:
        """Take a step; return whether there was one to take."""
        session = self._session
        session.check_time()
        evaluations = self._stepper.nfev
        taken = self._stepper.step()
        session.evaluations += self._stepper.nfev - evaluations
        if not taken:
            if self._stepper.status is Status.NONFINITE:
                raise NotFiniteError(where_not_finite(self._work, session.samples))
            return False
        self._place.step += 1
        theta = self._objective.params(self._stepper.state.x)
        session.commit_step(self._work, theta)
        loss, objective = self._consider(theta)
        session.report(grid, loss, objective)
        return True

    def _consider(self, theta: FloatArray) -> tuple[float, float]:
        """Judge the point: the best by the validation samples, or else the last one; return loss and objective."""
        session, state, judged = self._session, self._stepper.state, self._judge is not None
        parts = self._objective.parts(state.fun)
        self._work._theta[:] = theta
        session.last_validation = self._measure_validation()
        considered = judged or self._keeps
        if considered and session.consider(self._work, theta, parts.loss, parts.value, always=not judged):
            self.reached.splines = self._splines.at(state.x)
            self._keep_weights()
        return parts.loss, parts.value

    def _keep_weights(self) -> None:
        """Let the best splines, which are of this stage, have its weights."""
        if self._options.penalty is None:
            self.reached.weights, self.reached.is_smooth = self._penalty.weights, self._is_smooth

    def _measure_validation(self) -> float:
        if self._judge is None:
            return math.nan
        assert self._held is not None
        return self._held.loss(self._judge.loss(self._stepper.state.x))

    def got_no_better(self) -> bool:
        """Whether the stage has lowered the held-out loss, or its estimate by cross-validation, by too little."""
        session, reached = self._session, self.reached
        if session.validation is not None:
            score, before = math.sqrt(session.stage_best[0]), math.sqrt(session.before_stage)
        elif self._options.penalty is None:
            score, before = reached.evidence.score, reached.score_before
            reached.score_before = score
        else:
            return False
        return not score < (1.0 - _LEAST_STAGE_GAIN) * before

    # --- checkpoints ----------------------------------------------------------------------------------------------

    @property
    def work(self) -> Network:
        """The scratch model, at the last accepted step of the stage."""
        return self._work

    def state(self, *, under_way: bool) -> Tree:
        """Return the state after the stages, and the state of this one."""
        tree: Tree = {"reached": reached_tree(self.reached)}
        if under_way:
            state, status, place = self._stepper.state, self._stepper.status, self._place
            tree["place"] = [place.update, place.taken, place.step]
            tree["x"], tree["damping"] = state.x, state.damping
            tree["weights"], tree["status"] = list(self._penalty.weights), None if status is None else int(status)
        return tree

    def restore(self, state: Tree) -> None:
        """Take over the state after the stages, and the state of an unfinished one."""
        self._check_scores()
        self.reached = reached_of(state["reached"], self._splines)
        if "place" not in state:
            return
        if not self._has_begun:
            raise ValueError("a stage has ended and is under way.")
        self._place = Place(*(check_integer("place", value, 0) for value in items(state, "place", 3)))
        self._penalty.weights = weights_of(state, self._splines)
        self._begin_at(array(state["x"], self._splines.vector.shape), real(state, "damping"))
        self._stepper.status = status_of(state)
        self._work._theta[:] = self._objective.params(self._stepper.state.x)

    def _check_scores(self) -> None:
        session, best = self._session, self._session.best
        if min(session.before_stage, session.stage_best[0], best.score if best else 0.0) < 0.0:
            raise ValueError("a mean square is negative.")


def _settled(now: Evidence, before: Evidence) -> bool:
    """Whether an update has changed little."""
    return all(abs(new - old) < _SETTLED * old for new, old in zip(now[:2], before[:2], strict=True))
