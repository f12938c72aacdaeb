"""Likelihoods by second order: classes, counts, and losses of a user's own, with weights of penalties by evidence.

The steps are those of generalized Gauss-Newton (:mod:`numkan.model.curved`), one for every update of the weights. Both
converge together; further steps between updates would be for weights that are not yet right.

Networks of one layer begin as constants, because a convex loss has one minimum for given weights. Evidence rises from
step to step, and the point of largest evidence on all grids is kept; no samples need to be held out.

Deeper networks are drawn several times and trained on some of the samples, and the one of largest evidence is trained
further. Evidence cannot decide when to stop: with many coefficients it keeps rising when classes of the samples are
separated by chance. So samples are held out, the best point is chosen by them, and all samples are then fitted with its
weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray
from numkan.optimize import LevenbergMarquardt
from numkan.train.climbs import Climbs
from numkan.train.data import Data
from numkan.train.evidence import Evidence, Prior, Smoothness
from numkan.train.history import FitResult, FitStatus
from numkan.train.known import rule_of
from numkan.train.least_squares import LeastSquaresOptions, LeastSquaresStages
from numkan.train.prior import first_weights, prior_of
from numkan.train.reached import weights_of
from numkan.train.run import climb, conclude
from numkan.train.samples import Samples
from numkan.train.search_start import SearchForStart
from numkan.train.session import Session
from numkan.train.splines import Splines
from numkan.train.starts import Start, draw
from numkan.train.tree import Tree, array, real, reals

__all__ = ["STARTS", "LikelihoodStages", "fit_by_likelihood"]

#: Draws of a network with hidden layers, the intervals of their grid, and the largest number of their samples.
STARTS, _START_GRID, _START_SAMPLES = 4, 5, 1000

#: The first damping of the steps, small because weights limit them.
_DAMPING = 1e-8

#: Largest number of updates of the weights in a stage. They have settled if the evidence changes by less than
#: `_SETTLED`; a point is near a minimum if a full step would lower f by less than `_NEAR`.
_UPDATES, _SETTLED, _NEAR = 60, 0.1, 0.5

#: Starts take `_ROUNDS` rounds of `_ROUND_UPDATES` updates; what they are compared by is less near a minimum.
_ROUNDS, _ROUND_UPDATES, _NEAR_ENOUGH = 4, 12, 3.0

#: The last steps of a stage, with the best weights, end where f falls by less than this share.
_LAST_STEPS, _LEAST_GAIN = 20, 1e-10

#: A finer grid must raise the evidence by this, or the ladder ends.
_WORTH = 1.0


def fit_by_likelihood(
    session: Session, samples: Samples, options: LeastSquaresOptions, rng: np.random.Generator
) -> FitResult:
    """Carry out the plan of a session; return the result."""
    with one_blas_thread():
        climbs = _LikelihoodClimbs(session, samples, options, rng)
        status, message = conclude(session, climbs.run)
        result = climbs.result(status, message)
    evidence = climbs.evidence
    if samples.goal.loss.is_likelihood:
        result = replace(result, noise=math.nan, gcv=math.nan)
    return replace(result, evidence=evidence.log)


class LikelihoodStages(LeastSquaresStages):
    """The stages of one fit."""

    damping = _DAMPING
    _held_weights: list[FloatArray] | None = None  # at the best point by held-out samples

    def begin_stage(self, grid: int) -> None:
        """Lay the best splines over a grid; they stay the best until their evidence is surpassed there."""
        self._keeps = self.is_last or math.isnan(self.reached.evidence.log)
        self._best: tuple[FloatArray, list[FloatArray]] | None = None  # of this stage, by evidence: z and weights
        self._last, self.least_gain = _NOTHING, 0.0
        super().begin_stage(grid)

    def _smoothness(self, origin: Splines) -> Smoothness:
        """Return the penalty with the first weights of a stage."""
        fixed, splines, weights = self._options.penalty, self._splines, self.reached.weights
        if fixed is not None:
            weights = self._first_weights(splines, origin)
        elif weights is None:
            weights = first_weights(splines, self.data)
        labels = self._session.samples.goal.loss.takes_labels
        prior = prior_of(splines, self.data, labels=labels, sized=self.data.is_likelihood)
        penalty = Smoothness(splines.layers, weights, prior=prior)
        if self.reached.weights is None and fixed is None:
            penalty.relax(splines.vector, 1.0)  # a start has settled with weights of its own; larger ones flatten it
        return penalty

    def last_penalty(self, splines: Splines) -> Smoothness:
        """Return the penalty that the fit has ended with, on splines like those of the last stage."""
        weights = self.reached.weights
        if weights is None:
            weights = first_weights(splines, self.data)
        prior = Prior(is_shared=self._session.samples.goal.loss.takes_labels)
        return Smoothness(splines.layers, weights, prior=prior)

    def train(self, grid: int) -> str:
        """Alternate steps and updates of the weights until these have settled; return why the stage ended."""
        place, steps = self._place, self._session.plan.steps
        updates = _UPDATES if self._options.penalty is None and not self.is_last else 0
        while place.update < updates:
            self._take_steps(grid, min(1, steps - place.taken))
            has_settled = self._update_weights()
            place.update = updates if has_settled or place.taken >= steps else place.update + 1
        if place.update == updates:
            if updates and self._best is None and not self._keeps:
                return "evidence no better"
            self._begin_last_steps()
            place.update += 1
        most = steps if self._options.penalty is not None else _LAST_STEPS
        self._take_steps(grid, min(most, steps - place.taken))
        if self.is_last:
            self.reached.evidence = self._penalty.update_weights(self._objective.problem, self._stepper.state.x)
        return "all steps taken" if place.taken >= steps else "converged"

    def _update_weights(self) -> bool:
        """Update the weights of the penalties; return whether all has settled."""
        state, weights, before = self._stepper.state, self._penalty.weights, self._last
        self._last = self._penalty.update_weights(self._objective.problem, state.x)
        if self._last.to_fall < _NEAR and not self._last.log <= self.reached.evidence.log:
            self._best = state.x, weights
            self.reached.evidence, self.reached.weights = self._last, weights
        if has_settled := _is_settled(self._last, before):
            return has_settled
        self._begin_at(state.x, state.damping)
        return False

    def _begin_last_steps(self) -> None:
        """Begin to go to the minimum with the best weights, or the present ones."""
        z = self._stepper.state.x
        if self._best is not None:
            z, self._penalty.weights = self._best
        self.reached.weights, self._keeps, self.least_gain = self._penalty.weights, True, _LEAST_GAIN
        self._begin_steps(z)
        self._consider(self._objective.params(z))

    def _keep_weights(self) -> None:
        """Let the best point by held-out samples have its weights; evidence has its own."""
        if self._judge is not None:
            self._held_weights = self._penalty.weights

    def fit_everything(self, samples: Samples) -> None:
        """Take all samples from now on, with the weights of the best point by held-out ones, which stay."""
        self.use(samples)
        self._held, self.is_last, self.reached.weights = None, True, self._held_weights

    # --- checkpoints ----------------------------------------------------------------------------------------------

    def state(self, *, under_way: bool) -> Tree:
        """Return the state after the stages, and the state of this one."""
        tree = super().state(under_way=under_way)
        tree["held_weights"] = self._held_weights
        if under_way:
            best = self._best
            tree["best"] = None if best is None else {"x": best[0], "weights": list(best[1])}
            tree["last"], tree["keeps"], tree["gain"] = list(self._last), self._keeps, self.least_gain
        return tree

    def restore(self, state: Tree) -> None:
        """Take over the state after the stages, and the state of an unfinished one."""
        if state["held_weights"] is not None:
            self._held_weights = weights_of({"weights": state["held_weights"]}, self._splines)
        if "place" in state:
            best, self._keeps = state["best"], bool(state["keeps"])
            self._last, self.least_gain = Evidence(*reals(state["last"], len(Evidence._fields))), real(state, "gain")
            if best is not None:
                self._best = array(best["x"], self._splines.vector.shape), weights_of(best, self._splines)
        super().restore(state)

    def _check_scores(self) -> None:
        """Accept negative scores, which counts can have."""

    def got_no_better(self) -> bool:
        """Whether the stage has raised the evidence, or lowered the held-out loss, by too little."""
        session, reached = self._session, self.reached
        if session.validation is not None:
            return not session.stage_best[0] < session.before_stage
        before, reached.score_before = reached.score_before, -reached.evidence.log
        return reached.score_before >= before - _WORTH


class _Search(SearchForStart):
    """The search for a start."""

    def find(self) -> Start:
        """Return constants where there is one layer, or else the draw that settles with the most evidence."""
        origin, data, session = self._origin, self._stages.data, self._session
        if len(origin.layers) == 1:
            return Start(origin.at(np.zeros(origin.vector.size)), 1.0, ())
        first, labels = data.first(_START_SAMPLES), session.samples.goal.loss.takes_labels
        best, most = origin, -math.inf
        for _ in range(self._restarts):
            try:
                drawn = draw(origin, first.x, self._rng, _START_GRID)
                start, evidence = settled(drawn, first, labels, session.check_time)
            except (FloatingPointError, ValueError):
                continue  # the activations of this draw overflow
            if evidence.log > most:
                best, most = start, evidence.log
        return Start(best, 1.0, ())


class _LikelihoodClimbs(Climbs):
    """A start, and the ladder."""

    stages = LikelihoodStages
    search = _Search
    _stages: LikelihoodStages

    def run(self) -> tuple[FitStatus, str]:
        """Find a start, climb the ladder, and cover the box of the data; return how it ended."""
        session = self._session
        self._check_range()
        if self._options.redraw:
            session.journal.do("start", self._search)
        status, message = climb(session, self._stages, session.grids)
        if status is FitStatus.EARLY and session.validation is None:
            status, message = FitStatus.FINISHED, "Finished: a finer grid adds nothing to the evidence."
        if self._holds_out:
            self._fit_everything()
        self._cover_the_box()
        return status, message

    @property
    def evidence(self) -> Evidence:
        """Of the best point."""
        return self._stages.reached.evidence


def settled(splines: Splines, data: Data, labels: bool, check: Callable[[], object]) -> tuple[Splines, Evidence]:
    """Train splines, with grids laid anew between rounds, until all has settled; return what has the most evidence."""
    best, most, weights = splines, _NOTHING, first_weights(splines, data)
    for _ in range(_ROUNDS):
        penalty = Smoothness(
            splines.layers, weights, prior=prior_of(splines, data, labels=labels, sized=data.is_likelihood)
        )
        problem, z, damping, found = data.problem(splines.layers, penalty), splines.vector, _DAMPING, _NOTHING
        for _ in range(_ROUND_UPDATES):
            check()
            run = LevenbergMarquardt(problem, z, rule=rule_of(splines, damping, scaled=True), gtol=0.0)
            run.step()
            z, damping, last = run.state.x, run.state.damping, found
            found = penalty.update_weights(problem, z)
            if _is_settled(found, last):
                break
        splines, weights = splines.at(z), penalty.weights
        if found.to_fall < _NEAR_ENOUGH and not found.log <= most.log:
            best, most = splines, found
        splines = splines.on_grids(data.x, [layer.shape[1] - layer.k for layer in splines.layers])
    return best, most


#: The evidence before the first stage.
_NOTHING = Evidence(math.nan, math.nan, math.nan)


def _is_settled(now: Evidence, before: Evidence) -> bool:
    return abs(now.log - before.log) < _SETTLED and now.to_fall < _NEAR
