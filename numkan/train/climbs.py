"""The plan of a fit by Levenberg-Marquardt: starts, climbs of the ladder of grids, and a last fit of all samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from numkan._blas import one_blas_thread
from numkan.model.losses import LOSSES
from numkan.train.box import LEAVES, excess
from numkan.train.commit import scratch_copy
from numkan.train.history import FitResult, FitStatus
from numkan.train.least_squares import LeastSquaresOptions, LeastSquaresStages
from numkan.train.objective import local_loss, sample_loss, where_not_finite
from numkan.train.order import ROUNDING, falls_too_little, neighbours_agree
from numkan.train.point import underflow
from numkan.train.posterior import Left, leave_posterior
from numkan.train.reached import Reached
from numkan.train.robust import heavy_tails, tuned
from numkan.train.run import climb, conclude, run_stage
from numkan.train.samples import Samples
from numkan.train.search_start import SearchForStart
from numkan.train.session import Best, Ended, Session
from numkan.train.start import NotFiniteError
from numkan.train.uneven import uneven_noise

__all__ = ["Climbs", "fit_by_least_squares"]

#: If samples are held out and time is limited, the ladder may use this share of the time; the last fit has the rest.
_LADDER_SHARE = 0.5

#: A last stage is discarded if it multiplies the loss by more than this.
_WORSE = 2.0

#: Laying grids anew in the end has kept the function if it multiplies the loss by no more than this.
#: End polynomials run away if they change an output by more than this share of the targets' deviation.
_AS_SMALL, _NEAR = 1.05, 0.05

#: The reported error is estimated by cross-validation, unless the mean square of the held-out samples exceeds that
#: estimate by more than this many standard errors.
_CHANCE = 1.0

#: Held-out samples contradict the evidence if their error is `_CONTRADICTED` times the one that cross-validation
#: estimates, and more than `_POOR` of the targets' deviation. Then the ladder is climbed again. The second climb is
#: kept if its held-out loss is below `_AS_GOOD` times the first one: chance draws the held-out samples, and a function
#: that runs through all others does worse far from them.
_CONTRADICTED, _POOR, _AS_GOOD = 3.0, 0.03, 1.3


class _Snapshot(NamedTuple):
    """The result of a climb."""

    best: Best | None
    reached: Reached

    @property
    def error(self) -> float:
        """The value by which climbs are compared: the held-out loss, or else its estimate by cross-validation."""
        if self.best is None:
            return math.inf
        held = self.best.validation
        return self.reached.evidence.score if math.isnan(held) else held


def fit_by_least_squares(
    session: Session,
    everything: Samples,
    options: LeastSquaresOptions,
    rng: np.random.Generator,
    course: Callable[..., Climbs] | None = None,
) -> FitResult:
    """Carry out the plan of a session; return the result.

    The ladder is climbed with the samples of the session, the last fit is made with `everything`.
    """
    with one_blas_thread():
        climbs = (course or Climbs)(session, everything, options, rng)
        status, message = conclude(session, climbs.run)
        return climbs.result(status, message)


class Climbs:
    """The order of the stages of a fit."""

    stages: type[LeastSquaresStages] = LeastSquaresStages
    search: type[SearchForStart] = SearchForStart

    def __init__(
        self, session: Session, everything: Samples, options: LeastSquaresOptions, rng: np.random.Generator
    ) -> None:
        self._session, self._everything, self._options = session, everything, options
        self._stages = self.stages(session, everything, options)
        self._origin = self._stages.reached.splines  # in the shape of the model, as it came
        self._held, self._n_held = math.nan, 0
        self._search = self.search(session, self._stages, options.restarts, rng)

    def run(self) -> tuple[FitStatus, str]:
        """Find a start, climb the ladder, fit all samples, and cover the box of the data; return how it ended."""
        session = self._session
        self._check_range()
        self._begin()
        try:
            status, message = self._climb()
            if self._options.redraw and self._is_stuck():
                status, message = self._climb_from_other_starts(status, message)
            if self._is_stuck():
                status, message = FitStatus.STUCK, self._why_stuck()
        except Ended as end:
            if end.status is not FitStatus.TIME or session.best is None:
                raise
            limit = session.settings.time_limit
            status, message = end.status, f"Stopped: the ladder has had its share of the time limit of {limit:g} s."
        if self._holds_out or (self._options.tunes and session.validation is None):
            self._fit_everything()
        self._cover_the_box()
        return status, message

    def _check_range(self) -> None:
        """End the fit if inputs or targets differ by less than the dtype resolves."""
        lost = underflow(self._everything, self._session.model.dtype)
        if lost:
            raise Ended(FitStatus.NONFINITE, f"Stopped: {lost}. The model is as it was. Larger units will help.")

    # --- climbs ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Find a start, or take the model as it is. From then on time is kept for the last fit, if there is one."""
        session, stages = self._session, self._stages
        if self._options.redraw:
            session.journal.do("start", self._search)
        else:
            value = stages.data.problem(self._origin.layers).loss(self._origin.vector)
            stages.reached.noises = [math.sqrt(value / stages.data.n_targets)]
        if self._holds_out:
            session.time_share = _LADDER_SHARE

    def _climb(self) -> tuple[FitStatus, str]:
        """Go up the ladder, once more where the held-out samples contradict; return how it ended."""
        origin = self._snapshot()
        ended = climb(self._session, self._stages, self._session.grids)
        if self._is_contradicted():
            self._climb_again(origin)
        return ended

    @property
    def _holds_out(self) -> bool:
        """Whether there are samples that only the last fit will see."""
        return len(self._everything) > len(self._session.samples)

    def _snapshot(self) -> _Snapshot:
        return _Snapshot(self._session.best, self._stages.reached.copy())

    def _go_back(self, to: _Snapshot) -> None:
        self._session.best, self._stages.reached = to

    def _is_contradicted(self) -> bool:
        """Whether the held-out samples show that noise was taken for the function."""
        session = self._session
        if session.validation is None or self._options.penalty is not None:
            return False
        assert session.best is not None
        held = self._stages.data.root_mean(session.best.validation)
        return held > max(_CONTRADICTED * self._stages.reached.evidence.score, _POOR)

    def _climb_again(self, origin: _Snapshot) -> None:
        """Climb the ladder from its origin, with no less noise than the held-out samples show.

        The result of the first climb is kept, whatever happens on the way.
        """
        session, first = self._session, self._snapshot()
        assert first.best is not None
        self._go_back(origin)
        self._stages.reached.least_noise = self._stages.data.root_mean(first.best.validation)
        try:
            climb(session, self._stages, session.grids)
        except NotFiniteError:
            session.best = None
        finally:
            if session.best is None or not session.best.score < _AS_GOOD * first.best.score:
                self._go_back(first)

    def _climb_from_other_starts(self, status: FitStatus, message: str) -> tuple[FitStatus, str]:
        """Climb from other starts while the best climb is stuck; return how that one ended.

        The best climb is kept, whatever happens on the way.
        """
        session = self._session
        for number in range(1, self._options.climbs + 1):
            kept = self._snapshot()
            session.best, self._stages.reached = None, Reached(self._origin)
            ended = status, message
            try:
                self._begin()
                ended = self._climb()
            except NotFiniteError:
                session.best = None
            finally:
                if not self._snapshot().error < kept.error:
                    self._go_back(kept)
                    ended = status, message
            status, message = ended
            session.plan.chosen["start"] = f"redraw: the first start was stuck, and {number} more were tried"
            if not self._is_stuck():
                break
        return status, message

    def _is_stuck(self) -> bool:
        """Whether the last refinement has lowered the residuals by too little, though they are no noise."""
        session, stages, reached = self._session, self._stages, self._stages.reached
        if len(reached.noises) < 3 or session.model.depth == 1 or session.best is None:
            return False
        gain, ratio = self._last_gain()
        if reached.noises[-1] <= ROUNDING or not falls_too_little(gain, ratio, max(session.model.k)):
            return False
        x, weight = stages.data.x, stages.data.root_weight
        residuals = reached.splines.activations(x)[-1] - stages.data.y
        weighed = weight > 0.0 if weight.size else slice(None)
        return neighbours_agree(x[weighed], residuals[weighed])

    def _last_gain(self) -> tuple[float, float]:
        """Return the factors by which the last refinement lowered the residuals and refined the grid."""
        noises, grids = self._stages.reached.noises, self._session.grids
        last = len(noises) - 2
        return noises[-2] / noises[-1], grids[last] / grids[last - 1]

    def _why_stuck(self) -> str:
        gain, ratio = self._last_gain()
        return (
            f"Stuck: a grid {ratio:.3g} times as fine has lowered the residuals by a factor of {gain:.3g} only, and "
            "they are no noise. A wider network or other starts (`random_state`, a larger `effort`) may help."
        )

    # --- the end --------------------------------------------------------------------------------------------------

    def _fit_everything(self) -> None:
        """Fit all samples on the grid that the held-out ones chose, from the best point."""
        session, stages = self._session, self._stages
        assert session.best is not None
        if self._options.tunes:
            self._tune()
        self._held, self._n_held = session.best.validation, len(session.validation or ())
        session.validation, session.last_validation, session.time_share = None, math.nan, 1.0
        self._take_everything()
        session.best = session.best._replace(loss=stages.loss(stages.reached.splines))
        self._stage_more(max(session.best.model.grid))

    def _take_everything(self) -> None:
        """Let the stages train on all samples."""
        self._stages.fit_everything(self._everything)

    def _tune(self) -> None:
        """Take the scale of Huber's loss from the residuals of all samples."""
        session, samples = self._session, self._everything
        assert session.best is not None
        outputs = session.best_model()._predict(samples.x)
        self._everything = tuned(samples, outputs.astype(np.float64) - samples.goal.y)
        loss, self._stages.reached.least_noise = self._everything.goal.loss, 0.0
        session.plan.chosen["loss"] = f"{loss}: 1.345 times the deviation of the residuals, from their median"
        if session.validation is not None:
            held = session.validation.with_loss(loss)
            session.best = session.best._replace(validation=sample_loss(session.best_model(), held))

    def _stage_more(self, grid: int) -> None:
        """Run one more stage of few updates, and undo it if it has raised the loss much."""
        session, before = self._session, self._snapshot()
        assert before.best is not None
        try:
            run_stage(session, self._stages, grid)
        finally:
            shift = self._stages.data.shift
            if session.best is None or not session.best.loss - shift < _WORSE * (before.best.loss - shift):
                self._go_back(before)

    def _cover_the_box(self) -> None:
        """Make hidden grids cover the box of the data if its points leave them.

        Uniform grids replace the old ones if that keeps the function, as it does for curves that were found in noise:
        they are smooth on the scale of their grids. Otherwise only the end knots move, and the end polynomials
        continue, as long as these stay near the straight lines that would replace them.
        """
        session, stages = self._session, self._stages
        if session.validation is not None or not session.settings.update_grid or session.model.depth == 1:
            return
        best, splines = session.best, stages.reached.splines
        if best is None or not excess(session.best_model(), session.box).share > LEAVES:
            return
        most = _AS_SMALL * stages.misfit(splines)
        laid = splines.on_grids(stages.data.x, best.model.grid, box=session.box)
        if not stages.misfit(laid) < most:
            laid = splines.stretched(stages.data.x, session.box)
            moved = np.abs(laid.activations(session.box)[-1] - splines.activations(session.box)[-1]).max()
            if not (moved < _NEAR and stages.misfit(laid) < most):
                return
        model = stages.point(laid).model
        session.best = best._replace(model=model, theta=model._theta.copy(), loss=stages.loss(laid))
        stages.reached.splines = laid

    def result(self, status: FitStatus, message: str) -> FitResult:
        """Return what happened."""
        session, reached = self._session, self._stages.reached
        model = scratch_copy(session.model)  # whose policies refuse no sample
        as_it_is = session.best is None or session.model.dtype != np.float64  # not what training has measured
        lost = (sample_loss if as_it_is else local_loss)(model, session.samples)
        if status is not FitStatus.NONFINITE and not math.isfinite(lost):
            status, where = FitStatus.NONFINITE, where_not_finite(model, session.samples)
            message = f"The model is not finite on its training samples, beginning in {where}."
        elif session.samples.goal.loss is LOSSES["mse"] and session.best is not None:
            data = self._stages.data
            outputs = reached.splines.activations(data.x)[-1]
            message += heavy_tails(outputs - data.y, data.root_weight)
            message += uneven_noise(data.x, outputs, outputs - data.y, data.root_weight)
        left = Left("")
        if session.best is not None and status not in (FitStatus.NONFINITE, FitStatus.RANGE):
            left = leave_posterior(session, self._stages)
        result, width = session.result(status, message + left.message), self._stages.units.width
        return replace(
            result,
            loss=lost if as_it_is else result.loss,
            validation_loss=self._held if math.isnan(result.validation_loss) else result.validation_loss,
            noise=reached.evidence.noise * width if math.isnan(left.noise + reached.evidence.noise) else left.noise,
            freedom=reached.evidence.freedom,
            gcv=self._claimed(reached.evidence.score * width),
            starts=tuple(width * residual for residual in self._search.tried),
            start_seconds=self._search.seconds,
            weights=tuple(reached.weights or ()),
        )

    def _claimed(self, score: float) -> float:
        """Return the error estimated by cross-validation, or that of held-out samples if it is larger beyond chance."""
        if not (self._held > score**2 * (1.0 + _CHANCE * math.sqrt(2.0 / max(self._n_held, 1)))):
            return score
        return math.sqrt(self._held)
