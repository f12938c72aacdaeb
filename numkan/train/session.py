"""A fit in progress: the caller's model, the best point so far, the record, the clock. All algorithms share it.

All work is done on a copy of the model, in units of the targets (:mod:`numkan.train.scale`). A step is accepted by one
copy of memory into the caller's model, in the caller's units. After any interruption that model is at the last accepted
step, or on the grids that were laid anew after it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.model.network import Network
from numkan.model.regularization import Penalties
from numkan.train.box import hidden_box
from numkan.train.commit import commit_grids, commit_params, scratch_copy
from numkan.train.constant import held_edges, silence
from numkan.train.history import Ended, FitResult, FitState, FitStatus, Recorder, Stage
from numkan.train.journal import Journal
from numkan.train.objective import sample_loss
from numkan.train.plan import Plan
from numkan.train.progress import Progress
from numkan.train.samples import Samples
from numkan.train.scale import AS_THEY_ARE, Scale
from numkan.train.start import NotFiniteError

__all__ = ["Best", "Ended", "Session", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The caller's settings, which training does not change."""

    penalties: Penalties
    update_grid: bool
    grid_update_num: int
    callback: Callable[[FitState], object] | None
    progress: bool
    time_limit: float | None
    anew: bool = False  # whether the model has learned nothing yet
    curves: float = 0.0  # alpha / n of numkan.train.curves


class Best(NamedTuple):
    """The best point so far."""

    score: float
    step: int
    model: Network  # its grids
    theta: FloatArray
    loss: float
    validation: float


class Session:
    """A fit in progress.

    Attributes
    ----------
    model, given
        The caller's network and training samples.
    samples, validation : Samples
        In the units of training. `validation` is None where no samples are held out.
    start : Network
        The copy that training begins from, in these units.
    best : Best or None
    stage_best : (float, int)
        Least score of this stage, and the step at which it was met; `before_stage` is the best score before it.
    time_share : float
        The share of the time limit that may be used up to now.
    measure : callable
        Returns the loss of a model on the training samples.
    journal : Journal
        What has been done, and what a resumed fit need not do again.
    """

    def __init__(
        self,
        model: Network,
        samples: Samples,
        validation: Samples | None,
        plan: Plan,
        settings: Settings,
        scale: Scale = AS_THEY_ARE,
        journal: Journal | None = None,
    ) -> None:
        self.journal = Journal() if journal is None else journal
        self._began = time.perf_counter() - self.journal.seconds_before
        self.model, self.given, self.plan, self.settings, self.scale = model, samples, plan, settings, scale
        self.samples, self.validation = scale.samples(samples), validation and scale.samples(validation)
        self.box = hidden_box(model, samples.x)
        self.start = scale.inside(scratch_copy(model))
        self.held_edges = held_edges(model, samples)
        if settings.anew:
            silence(self.start, self.held_edges)
        self.best: Best | None = None
        self.stage_best, self.before_stage = (math.inf, 0), math.inf
        self.stages: list[Stage] = []
        self.stage = self.steps = self.evaluations = 0
        self.last_validation = math.nan
        self.time_share = 1.0
        self.measure: Callable[[Network], float] = lambda model: sample_loss(model, self.samples)
        self.recorder = Recorder()
        self._progress: Progress | None = None

    @property
    def grids(self) -> tuple[int, ...]:
        """The grid intervals of the stages; where grids stay, those of the model, of which there is one stage."""
        return self.plan.grids or (max(self.model.grid),)

    # --- the caller's model ---------------------------------------------------------------------------------------

    def commit(self, work: Network) -> None:
        """Let the caller's model take over grids and parameters; not before a resumed fit is where it was stopped."""
        if self.journal.is_replaying:
            return
        outside = self.scale.outside(work, self.model)
        if not np.isfinite(outside._theta).all():
            raise self._too_large()
        commit_grids(self.model, outside)

    def commit_step(self, work: Network, theta: FloatArray) -> None:
        """Write the parameters of an accepted step into the caller's model."""
        outside = self.scale.params(work, theta)
        if outside is not theta and not np.isfinite(outside).all():
            raise self._too_large()
        commit_params(self.model, outside)
        self.steps += 1

    def commit_best(self, model: Network) -> None:
        """Leave the caller's model at this one, which is as good as any that was met."""
        commit_grids(self.model, self.scale.outside(model, self.model))

    def _too_large(self) -> NotFiniteError:
        return NotFiniteError(f"the parameters, which are too large for {self.model.dtype}")

    # --- judgement ------------------------------------------------------------------------------------------------

    def begin_stage(self) -> None:
        """Forget the best score of the stage before."""
        self.before_stage = self.best.score if self.best else math.inf
        self.stage_best = (math.inf, self.steps)

    def consider(
        self, work: Network, theta: FloatArray, loss: float, objective: float, *, always: bool = False
    ) -> bool:
        """Keep a point if it is the best, by the validation samples or else by the objective; return whether it is.

        A penalty on curves is added to the validation loss: if few samples are held out and all are classified right,
        the points with the largest logits would have the least loss. With `always`, the last point is the best.
        """
        score = objective
        if self.validation is not None:
            score = self.last_validation + (objective - loss if self.settings.curves else 0.0)
        score = math.inf if math.isnan(score) else score
        if score < self.stage_best[0]:
            self.stage_best = (score, self.steps)
        if not (always or self.best is None or score <= self.best.score):
            return False
        self.best = Best(score, self.steps, work, theta, loss, self.last_validation)
        return True

    @property
    def has_best_in_stage(self) -> bool:
        """Whether the best point is one of this stage."""
        return self.best is not None and not self.best.score < self.stage_best[0]

    @property
    def has_waited(self) -> bool:
        """Whether the validation loss has not fallen for as many steps as the plan has patience for."""
        return self.validation is not None and self.steps - self.stage_best[1] >= self.plan.patience

    def best_model(self) -> Network:
        """Return the scratch model of the best point, at that point."""
        assert self.best is not None
        self.best.model._theta[:] = self.best.theta
        return self.best.model

    def end_at(self, model: Network) -> Network:
        """Take another model for the best point."""
        assert self.best is not None
        loss, theta = self.measure(model), model._theta.copy()
        self.best = self.best._replace(model=model, theta=theta, loss=loss)
        return model

    # --- the clock ------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Seconds since the fit began; of a resumed one, with those before it was stopped."""
        return time.perf_counter() - self._began

    def check_time(self) -> None:
        """End the fit, or a part of it, where its share of the time limit is over."""
        limit = self.settings.time_limit
        if limit is not None and not self.journal.is_replaying and self.seconds >= self.time_share * limit:
            raise Ended(FitStatus.TIME, f"Stopped: the time limit of {limit:g} s is over.")

    # --- the record -----------------------------------------------------------------------------------------------

    def open_progress(self) -> Progress:
        """Show a bar, if it was asked for, until it is closed."""
        self._progress = Progress(self.settings.progress, self.plan.steps * len(self.grids))
        return self._progress

    def record(self, grid: int, loss: float, objective: float) -> None:
        """Add the point to the history."""
        self.recorder.add(self._state(grid, loss, objective))

    def report(self, grid: int, loss: float, objective: float, *, record: bool = True) -> None:
        """Show an accepted step to the bar and to the callback, and add it to the history if `record`."""
        state = self._state(grid, loss, objective)
        if record:
            self.recorder.add(state)
        if self._progress is not None:
            self._progress.step(grid, state.loss, state.validation)
        self.journal.event(state.seconds)
        if self.settings.callback is not None:
            try:
                self.settings.callback(state)
            except StopIteration:
                raise Ended(FitStatus.CALLBACK, "Stopped: the callback raised StopIteration.") from None

    def _state(self, grid: int, loss: float, objective: float) -> FitState:
        loss, objective, validation = map(self.scale.loss, (loss, objective, self.last_validation))
        return FitState(self.steps, self.stage, grid, loss, objective, validation, self.seconds)

    def result(self, status: FitStatus, message: str) -> FitResult:
        """Return the result of the fit."""
        best = self.best
        return FitResult(
            success=status not in (FitStatus.NONFINITE, FitStatus.RANGE),
            status=status,
            message=message,
            loss=self.scale.loss(best.loss if best else math.nan),
            validation_loss=self.scale.loss(best.validation if best else math.nan),
            best_step=best.step if best else 0,
            steps=self.steps,
            evaluations=self.evaluations,
            seconds=self.seconds,
            stages=tuple(self.stages),
            history=self.recorder.history(),
            chosen=dict(self.plan.chosen),
            loss_name=self.samples.goal.loss.name,
        )
