"""One fit, from the first grid to the last step.

All work is done on a copy of the model, in units of the targets (:mod:`numkan.train.scale`). A step is accepted by one
copy of memory into the caller's model, in the caller's units; whatever interrupts training finds that model at the last
accepted step, or on the grids that were laid anew after it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray
from numkan.model.network import Network
from numkan.model.regularization import Penalties
from numkan.optimize import LBFGS, Adam, cosine
from numkan.train.box import LEAVES, box_points, excess
from numkan.train.commit import commit_grids, commit_params, refuses, scratch_copy
from numkan.train.constant import constant_edges, flattened, held_edges, moving, silence
from numkan.train.curves import CurvePenalty
from numkan.train.history import FitResult, FitState, FitStatus, Recorder, Stage
from numkan.train.objective import TrainingObjective, sample_loss, where_not_finite
from numkan.train.plan import Plan
from numkan.train.progress import Progress
from numkan.train.samples import Samples, batches
from numkan.train.scale import AS_THEY_ARE, Scale
from numkan.train.start import NotFiniteError, first_grids, lay_grids, units
from numkan.train.verdict import fault

__all__ = ["Best", "Ended", "Settings", "Training"]

#: Pairs of L-BFGS, as far as they take no more than so many numbers.
_MEMORY = 100
_MEMORY_NUMBERS = 20_000_000

#: A stage ends when so many steps together lower the objective by less than this share of it.
_WINDOW = 50
_LEAST_GAIN = 0.02

#: A finer grid must lower the validation loss by this share, or the ladder ends.
_LEAST_STAGE_GAIN = 0.02

#: Grid updates of a stage come after so many steps, twice as many, and so on (L-BFGS); Adam's last one after a quarter
#: of its steps.
_FIRST_UPDATE = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """What the caller decides and training only follows."""

    penalties: Penalties
    update_grid: bool
    grid_update_num: int
    callback: Callable[[FitState], object] | None
    progress: bool
    time_limit: float | None
    anew: bool = False  # whether the model has learned nothing yet
    curves: float = 0.0  # alpha / n of numkan.train.curves


class Best(NamedTuple):
    """The best point met."""

    score: float
    step: int
    model: Network  # its grids
    theta: FloatArray
    loss: float
    validation: float


class Ended(Exception):
    """The fit is over before its plan is."""

    def __init__(self, status: FitStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Training:
    """A fit in progress. :meth:`run` is called once."""

    def __init__(
        self,
        model: Network,
        samples: Samples,
        validation: Samples | None,
        plan: Plan,
        settings: Settings,
        rng: np.random.Generator,
        scale: Scale = AS_THEY_ARE,
    ) -> None:
        self._began = time.perf_counter()
        self._model, self._scale, self._given = model, scale, samples
        self._samples, self._validation = scale.samples(samples), validation and scale.samples(validation)
        self._plan, self._settings, self._rng = plan, settings, rng
        self._box = box_points(samples.x)
        self._recorder = Recorder()
        self._stages: list[Stage] = []
        self._best: Best | None = None
        self._stage_best = (math.inf, 0)
        self._steps = self._evaluations = self._stage = 0
        self._last_validation = math.nan
        self._work = scale.inside(scratch_copy(model))
        self._held_edges = held_edges(model, samples)
        if settings.anew:
            silence(self._work, self._held_edges)
        self._starting = False
        self._stepper: Any = None

    # --- the plan -------------------------------------------------------------------------------------------------

    @one_blas_thread()
    def run(self) -> FitResult:
        """Carry out the plan; return what happened."""
        grids = self._plan.grids or (max(self._model.grid),)
        self._progress = Progress(self._settings.progress, self._plan.steps * len(grids))
        try:
            status, message = self._run_stages(grids)
        except Ended as end:
            status, message = end.status, str(end)
        except NotFiniteError as error:
            status = FitStatus.NONFINITE
            kept = "has the best parameters met before" if self._best else "is as it was"
            message = (
                f"Stopped: NaN or infinity after step {self._steps}, beginning in {error}. The model {kept}. Smaller "
                "steps (Adam: `learning_rate`) or better scaled data may help."
            )
        finally:
            self._progress.close()
        if self._best is not None:
            commit_grids(self._model, self._scale.outside(self._final_model(), self._model))
            if status is not FitStatus.NONFINITE:
                status, message = fault(self._model, self._given) or (status, message)
            if self._validation is not None and self._best.score == math.inf:
                status = FitStatus.NONFINITE
                message = (
                    "The validation loss was NaN or infinite throughout, beginning in "
                    f"{where_not_finite(self._best.model, self._validation)}. The model is at the last step."
                )
        if status not in (FitStatus.NONFINITE, FitStatus.RANGE):
            message += self._what_leaves_grids()
        return self._result(status, message)

    def _what_leaves_grids(self) -> str:
        """Return a sentence where points in the box of the data leave hidden grids, or nothing."""
        layer, share = excess(self._model, self._box)
        if not share > LEAVES:
            return ""
        return (
            f" In the box of the data, activations leave the grid of layer {layer} by up to {share:.0%} of its length, "
            "and predictions are extrapolated there."
        )

    def _run_stages(self, grids: tuple[int, ...]) -> tuple[FitStatus, str]:
        """Go up the ladder; return how it ended."""
        for grid in grids:
            self._stage = len(self._stages)
            self._run_stage(grid)
            if self._got_no_better():
                return FitStatus.EARLY, "Finished: the validation loss gets no better."
        return FitStatus.FINISHED, "Finished: all stages are done."

    def _run_stage(self, grid: int) -> None:
        """Refine to a grid, lay it over the data, and train on it."""
        began, before = time.perf_counter(), self._steps
        if self._stages:
            self._check_time()

        def end_stage(why: str) -> None:
            best, seconds = self._best, time.perf_counter() - began
            loss, validation = map(self._scale.loss, (best.loss, best.validation) if best else (math.nan, math.nan))
            self._stages.append(Stage(grid, self._steps - before, loss, validation, seconds, why))

        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found where it counts
                self._begin_stage(grid)
            why = self._train(grid)
        except Ended as end:
            end_stage(end.status.value)
            raise
        except NotFiniteError:
            end_stage(FitStatus.NONFINITE.value)
            raise
        end_stage(why)

    def _begin_stage(self, grid: int) -> None:
        if self._best is not None:
            self._work = self._best_model()
        work = self._work
        if not np.isfinite(work._theta).all():
            raise NotFiniteError("the parameters")
        if self._plan.grids and set(work.grid) != {grid}:
            work = work.refine(grid)
        if not self._stage:
            work = first_grids(work, self._samples, self._held_edges, grids=self._settings.update_grid)
        elif self._settings.update_grid:
            work = lay_grids(work, self._samples.x, inputs=True)
        self._before_stage = self._best.score if self._best else math.inf
        self._stage_best = (math.inf, self._steps)
        self._adopt(work, units(work, self._samples), self._new_stepper)
        loss, objective = self._objective.everywhere()
        self._last_validation = self._measure_validation()
        penalties = self._settings.penalties
        if self._validation is None and penalties.active and (penalties.lamb_coef or penalties.lamb_coefdiff):
            self._best = None  # objectives of different grids do not compare: there are more coefficients
        self._consider(loss, objective, self._work._theta.copy())
        self._recorder.add(self._state(grid, loss, objective))

    def _new_stepper(self, z: FloatArray) -> None:
        plan = self._plan
        if plan.method == "lbfgs":
            memory = max(3, min(_MEMORY, _MEMORY_NUMBERS // (2 * max(z.size, 1))))
            self._stepper = LBFGS(self._evaluate, z, memory=memory, gtol=0.0)
        else:
            self._stepper = Adam(self._evaluate, z, learning_rate=plan.learning_rate, schedule=cosine(plan.steps))

    def _evaluate(self, z: FloatArray) -> tuple[float, FloatArray]:
        self._evaluations += 1
        value, grad = self._objective(z)
        if self._moving is not None:
            grad[~self._moving] = 0.0
        if self._starting and not (math.isfinite(value) and np.isfinite(grad).all()):
            raise NotFiniteError(where_not_finite(self._work, self._samples))
        return value, grad

    def _adopt(self, work: Network, unit: FloatArray, start: Callable[[FloatArray], None]) -> None:
        """Go on with other grids; the caller's model follows if the objective is finite there."""
        size = self._plan.batch_size
        drawn = None if size is None or size >= len(self._samples) else batches(self._samples, size, self._rng)
        self._work = work
        penalties = self._scale.penalties(self._settings.penalties)
        weight = math.ldexp(self._settings.curves, -self._scale.losses)
        curves = CurvePenalty(work, weight) if weight else None
        self._objective = TrainingObjective(work, self._samples, penalties, unit, self._scale.unit, drawn, curves)
        self._moving = moving(work, self._held_edges)
        z = self._objective.start()
        if not np.isfinite(z).all():
            raise NotFiniteError("the parameters")
        self._starting = True
        start(z)
        self._starting = False
        self._commit(work)

    def _commit(self, work: Network) -> None:
        """Let the caller's model take over grids and parameters."""
        outside = self._scale.outside(work, self._model)
        if not np.isfinite(outside._theta).all():
            raise NotFiniteError(f"the parameters, which are too large for {self._model.dtype}")
        commit_grids(self._model, outside)

    # --- steps ----------------------------------------------------------------------------------------------------

    def _train(self, grid: int) -> str:
        """Take the steps of a stage; return why it ended."""
        updates = self._update_steps()
        falls = [self._stepper.state.fun]
        for step in range(1, self._plan.steps + 1):
            self._check_time()
            if not self._stepper.step():
                return self._why_no_step()
            self._accept(grid, step)
            falls.append(self._stepper.state.fun)
            if self._validation is not None and self._steps - self._stage_best[1] >= self._plan.patience:
                return "validation loss no better"
            if self._plan.method == "lbfgs" and _flat(falls):
                return "objective falls no further"
            if step in updates and step < self._plan.steps:
                with np.errstate(over="ignore", invalid="ignore"):
                    self._update_grids()
                falls = [self._stepper.state.fun]
        return "all steps taken"

    def _accept(self, grid: int, step: int) -> None:
        """Write an accepted step into the caller's model, and tell."""
        state = self._stepper.state
        theta = self._objective.params(state.x)
        outside = self._scale.params(self._work, theta)
        if outside is not theta and not np.isfinite(outside).all():
            raise NotFiniteError(f"the parameters, which are too large for {self._model.dtype}")
        commit_params(self._model, outside)
        self._steps += 1
        parts = self._objective.parts(state.fun)
        self._objective.forget(state.fun)
        loss, objective = parts.loss, parts.value
        record = True
        if self._plan.method == "adam":
            per_epoch = max(len(self._samples) // (self._plan.batch_size or len(self._samples)), 1)
            record = step % per_epoch == 0 or step == self._plan.steps
        if record:
            self._work._theta[:] = theta
            if self._plan.batch_size is not None and self._plan.batch_size < len(self._samples):
                loss, objective = self._objective.everywhere()
            self._last_validation = self._measure_validation()
            self._consider(loss, objective, theta)
        told = self._state(grid, loss, objective)
        if record:
            self._recorder.add(told)
        self._progress.step(grid, told.loss, told.validation)
        if self._settings.callback is not None:
            try:
                self._settings.callback(told)
            except StopIteration:
                raise Ended(FitStatus.CALLBACK, "Stopped: the callback raised StopIteration.") from None

    def _why_no_step(self) -> str:
        status = self._stepper.status
        if status is not None and status.name == "NONFINITE":
            raise NotFiniteError(where_not_finite(self._work, self._samples))
        return "no step lowers the objective" if status is not None and not status.success else "converged"

    def _update_steps(self) -> set[int]:
        """Return after which steps of a stage the grids of hidden layers are laid anew."""
        number = min(self._settings.grid_update_num, 60)  # steps double: later updates are never reached
        if not self._settings.update_grid or self._model.depth == 1:
            return set()
        if self._plan.method == "lbfgs":
            return {_FIRST_UPDATE << j for j in range(number)}
        return {max(self._plan.steps >> (2 + j), 1) for j in range(number)}

    def _update_grids(self) -> None:
        """Lay the hidden grids over the activations as they are now.

        L-BFGS forgets the curvature of the old ones. Adam keeps its moments, and the units that they are in.
        """
        state, unit = self._stepper.state, self._objective.unit
        self._work._theta[:] = unit * state.x
        work = lay_grids(self._work, self._samples.x, inputs=False)
        if self._plan.method == "lbfgs":
            self._adopt(work, units(work, self._samples), self._stepper.restart)
        else:
            moments = (state.m, state.v, state.t)
            if not all(np.isfinite(moment).all() for moment in moments[:2]):
                raise NotFiniteError("the squares of the gradient, of which Adam keeps the mean")
            self._adopt(work, unit, lambda z: self._stepper.restart(z, moments=moments))

    # --- judgement ------------------------------------------------------------------------------------------------

    def _measure_validation(self) -> float:
        return math.nan if self._validation is None else sample_loss(self._work, self._validation)

    def _consider(self, loss: float, objective: float, theta: FloatArray) -> None:
        """Keep the point if it is the best: by the validation samples, or else by the objective.

        A penalty on curves counts beside the validation loss: where few samples are held out and all are told apart,
        those points of a path have the least loss whose logits are large.
        """
        score = objective
        if self._validation is not None:
            score = self._last_validation + (objective - loss if self._settings.curves else 0.0)
        score = math.inf if math.isnan(score) else score
        if score < self._stage_best[0]:
            self._stage_best = (score, self._steps)
        if self._best is None or score <= self._best.score:
            self._best = Best(score, self._steps, self._work, theta, loss, self._last_validation)

    def _got_no_better(self) -> bool:
        if self._validation is None:
            return False
        gave_up = self._steps - self._stage_best[1] >= self._plan.patience
        last = self._stage == len(self._plan.grids or (0,)) - 1
        needed = self._before_stage * (1 - _LEAST_STAGE_GAIN)
        return gave_up if last else not self._stage_best[0] < needed

    def _check_time(self) -> None:
        self._end_after(1.0)

    def _end_after(self, share: float) -> None:
        """End the fit, or a part of it, where so much of its time is over."""
        limit = self._settings.time_limit
        if limit is not None and time.perf_counter() - self._began >= share * limit:
            raise Ended(FitStatus.TIME, f"Stopped: the time limit of {limit:g} s is over.")

    def _state(self, grid: int, loss: float, objective: float) -> FitState:
        seconds = time.perf_counter() - self._began
        loss, objective, validation = map(self._scale.loss, (loss, objective, self._last_validation))
        return FitState(self._steps, self._stage, grid, loss, objective, validation, seconds)

    def _final_model(self) -> Network:
        """Return the model of the best point, its hidden grids over all training samples where a policy needs that."""
        model = self._best_model()
        flat = constant_edges(model, self._samples) & ~self._held_edges
        if self._settings.anew and flat.any():
            weight = self._samples.goal.weight
            model = self._end_at(flattened(model, flat, self._samples.x[weight.argmax() if weight.size else 0]))
        if self._settings.update_grid and any(map(refuses, self._model.act_fun[1:])):
            over = self._box.astype(self._model.dtype)
            model = self._end_at(lay_grids(model, self._samples.x, inputs=False, thin=False, box=over))
        return model

    def _end_at(self, model: Network) -> Network:
        """Take another model for the best point."""
        assert self._best is not None
        loss, theta = sample_loss(model, self._samples), model._theta.copy()
        self._best = self._best._replace(model=model, theta=theta, loss=loss)
        return model

    def _best_model(self) -> Network:
        """Return the scratch model of the best point, at that point."""
        assert self._best is not None
        self._best.model._theta[:] = self._best.theta
        return self._best.model

    def _result(self, status: FitStatus, message: str) -> FitResult:
        best = self._best
        return FitResult(
            success=status not in (FitStatus.NONFINITE, FitStatus.RANGE),
            status=status,
            message=message,
            loss=self._scale.loss(best.loss if best else math.nan),
            validation_loss=self._scale.loss(best.validation if best else math.nan),
            best_step=best.step if best else 0,
            steps=self._steps,
            evaluations=self._evaluations,
            seconds=time.perf_counter() - self._began,
            stages=tuple(self._stages),
            history=self._recorder.history(),
            chosen=dict(self._plan.chosen),
            loss_name=self._samples.goal.loss.name,
        )


def _flat(falls: list[float]) -> bool:
    """Whether the last steps together have gained too little to go on."""
    if len(falls) <= _WINDOW:
        return False
    return falls[-1 - _WINDOW] - falls[-1] < _LEAST_GAIN * abs(falls[-1 - _WINDOW])
