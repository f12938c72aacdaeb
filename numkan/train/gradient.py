"""A fit by the gradient: stages of L-BFGS or Adam, whose hidden grids follow the activations."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray, check_integer
from numkan.model.network import Network
from numkan.optimize.objective import FunAndGrad
from numkan.train.constant import moving
from numkan.train.curves import CurvePenalty
from numkan.train.history import FitResult
from numkan.train.objective import TrainingObjective, sample_loss, where_not_finite
from numkan.train.row_batches import RowBatches, Streamed
from numkan.train.run import climb, conclude
from numkan.train.samples import Batches
from numkan.train.session import Session
from numkan.train.start import NotFiniteError, first_grids, lay_grids, units
from numkan.train.stepper_state import restore_stepper
from numkan.train.tree import Tree, array, integer, items, network_of, network_tree, reals
from numkan.train.with_adam import WithAdam
from numkan.train.with_lbfgs import WithLBFGS

__all__ = ["GradientStages", "Steps", "fit_by_gradients"]

#: A finer grid must lower the validation loss by this share, or the ladder ends.
_LEAST_STAGE_GAIN = 0.02


class Steps(Protocol):
    """An algorithm that takes the steps of a stage, and its properties."""

    stepper: Any
    keeps_units: bool  #: whether the units of the parameters are kept when grids are laid anew

    def begin(self, evaluate: FunAndGrad, z: FloatArray) -> None:
        """Begin at z."""

    def move(self, z: FloatArray) -> None:
        """Continue from z after grids have been laid anew."""

    def update_steps(self, number: int) -> set[int]:
        """Return the steps of a stage after which hidden grids are laid anew, at most `number` times."""

    def is_recorded(self, step: int, n: int) -> bool:
        """Whether losses are measured after a step, with `n` samples."""

    def is_flat(self, objectives: list[float]) -> bool:
        """Whether the last steps together have gained too little to continue."""


def fit_by_gradients(session: Session, rng: np.random.Generator, source: Streamed | None = None) -> FitResult:
    """Carry out the plan of a session; return the result. Mini-batches are of the rows of a source, if there is one."""
    with one_blas_thread():
        stages = GradientStages(session, rng, source)
        status, message = conclude(session, lambda: climb(session, stages, session.grids))
        result = session.result(status, message)
        return result if source is None else source.concluded(session, result)


class GradientStages:
    """The stages of one fit."""

    def __init__(self, session: Session, rng: np.random.Generator, source: Streamed | None) -> None:
        self._session, self._rng, self._source = session, rng, source
        self._n = len(session.samples) if source is None else source.n
        self._work = session.start
        self._steps: Steps = WithLBFGS() if session.plan.method == "lbfgs" else WithAdam(session.plan)
        self._is_starting = False
        self._step, self._objectives = 0, list[float]()  # of this stage, since grids were laid anew

    # --- grids ----------------------------------------------------------------------------------------------------

    def begin_stage(self, grid: int) -> None:
        """Refine to a grid, lay it over the data, and begin there."""
        session, update_grid = self._session, self._session.settings.update_grid
        work = self._work if session.best is None else session.best_model()
        if not np.isfinite(work._theta).all():
            raise NotFiniteError("the parameters")
        if session.plan.grids and set(work.grid) != {grid}:
            work = work.refine(grid)
        if not session.stage:
            work = first_grids(work, session.samples, session.held_edges, grids=update_grid)
        elif update_grid:
            work = lay_grids(work, session.samples.x, inputs=True)
        session.begin_stage()
        self._adopt(work, units(work, session.samples))
        self._start(lambda z: self._steps.begin(self._evaluate, z))
        self._step, self._objectives = 0, [self._steps.stepper.state.fun]
        loss, objective = self._objective.everywhere()
        session.last_validation = self._measure_validation()
        penalties = session.settings.penalties
        if session.validation is None and penalties.active and (penalties.lamb_coef or penalties.lamb_coefdiff):
            session.best = None  # objectives of different grids do not compare: there are more coefficients
        session.consider(self._work, self._work._theta.copy(), loss, objective)
        session.record(grid, loss, objective)

    def _adopt(self, work: Network, unit: FloatArray) -> None:
        """Take a network on other grids, and make its objective."""
        session, size, rng = self._session, self._session.plan.batch_size, self._rng
        drawn: Batches | RowBatches | None = None
        if size is not None and size < self._n:
            source = self._source
            drawn = Batches(session.samples, size, rng) if source is None else source.batches(session, size, rng)
        penalties = session.scale.penalties(session.settings.penalties)
        weight = math.ldexp(session.settings.curves, -session.scale.losses)
        curves = CurvePenalty(work, weight) if weight else None
        self._work, self._drawn = work, drawn
        self._objective = TrainingObjective(work, session.samples, penalties, unit, session.scale.unit, drawn, curves)
        self._moving = moving(work, session.held_edges)

    def _start(self, start: Any) -> None:
        """Let `start` evaluate the objective; the caller's model follows to these grids if it is finite there."""
        z = self._objective.start()
        if not np.isfinite(z).all():
            raise NotFiniteError("the parameters")
        self._is_starting = True
        start(z)
        self._is_starting = False
        self._session.commit(self._work)

    def _update_grids(self) -> None:
        """Lay the hidden grids over the activations as they are now."""
        unit = self._objective.unit
        self._work._theta[:] = unit * self._steps.stepper.state.x
        work = lay_grids(self._work, self._session.samples.x, inputs=False)
        self._adopt(work, unit if self._steps.keeps_units else units(work, self._session.samples))
        self._start(self._steps.move)

    # --- steps ----------------------------------------------------------------------------------------------------

    def _evaluate(self, z: FloatArray) -> tuple[float, FloatArray]:
        self._session.evaluations += 1
        value, grad = self._objective(z)
        if self._moving is not None:
            grad[~self._moving] = 0.0
        if self._is_starting and not (math.isfinite(value) and np.isfinite(grad).all()):
            raise NotFiniteError(where_not_finite(self._work, self._session.samples))
        return value, grad

    def train(self, grid: int) -> str:
        """Take the steps of a stage; return why it ended."""
        session, plan, steps = self._session, self._session.plan, self._steps
        updates, stepper = self._update_steps(), steps.stepper
        for step in range(max(self._step, 1), plan.steps + 1):
            if step > self._step:  # it is not the one at which a resumed fit was stopped
                session.check_time()
                if not stepper.step():
                    return self._why_no_step()
                self._step = step
                self._accept(grid, step)
            self._objectives.append(stepper.state.fun)
            if session.has_waited:
                return "validation loss no better"
            if steps.is_flat(self._objectives):
                return "objective falls no further"
            if step in updates and step < plan.steps:
                with np.errstate(over="ignore", invalid="ignore"):
                    self._update_grids()
                self._objectives = [stepper.state.fun]
        return "all steps taken"

    def _update_steps(self) -> set[int]:
        """Return the steps of a stage after which the grids of hidden layers are laid anew."""
        session = self._session
        if not session.settings.update_grid or session.model.depth == 1:
            return set()
        return self._steps.update_steps(session.settings.grid_update_num)

    def _why_no_step(self) -> str:
        status = self._steps.stepper.status
        if status is not None and status.name == "NONFINITE":
            raise NotFiniteError(where_not_finite(self._work, self._session.samples))
        return "no step lowers the objective" if status is not None and not status.success else "converged"

    def _accept(self, grid: int, step: int) -> None:
        """Write an accepted step into the caller's model, judge it, and report it."""
        session, state = self._session, self._steps.stepper.state
        theta = self._objective.params(state.x)
        session.commit_step(self._work, theta)
        parts = self._objective.parts(state.fun)
        self._objective.forget(state.fun)
        loss, objective = parts.loss, parts.value
        recorded = self._steps.is_recorded(step, self._n)
        if recorded:
            self._work._theta[:] = theta
            if self._objective.is_of_batches:
                loss, objective = self._objective.everywhere()
            session.last_validation = self._measure_validation()
            session.consider(self._work, theta, loss, objective)
        session.report(grid, loss, objective, record=recorded)

    def _measure_validation(self) -> float:
        validation = self._session.validation
        return math.nan if validation is None else sample_loss(self._work, validation)

    def got_no_better(self) -> bool:
        """Whether the stage has lowered the validation loss by too little; in the last one, whether it gave up."""
        session = self._session
        if session.validation is None:
            return False
        if session.stage == len(session.grids) - 1:
            return session.has_waited
        return not session.stage_best[0] < session.before_stage * (1 - _LEAST_STAGE_GAIN)

    # --- checkpoints ----------------------------------------------------------------------------------------------

    @property
    def work(self) -> Network:
        """The scratch model, at the last accepted step of the stage."""
        return self._work

    def state(self, *, under_way: bool) -> Tree:
        """Return where a stage is; those that have ended leave nothing but the session's best point."""
        if not under_way:
            return {}
        return {
            "step": self._step,
            "objectives": list(self._objectives),
            "network": network_tree(self._work, self._objective.params(self._steps.stepper.state.x)),
            "unit": self._objective.unit,
            "stepper": self._steps.stepper._memory_state(),
            "batches": None if self._drawn is None else list(self._drawn.place()),
        }

    def restore(self, state: Tree) -> None:
        """Go to where a stage was."""
        if not state:
            return
        work, theta = network_of(state["network"], self._session.start)
        self._step, self._objectives = integer(state, "step"), reals(state["objectives"])
        self._adopt(work, array(state["unit"], theta.shape, theta.dtype))
        restore_stepper(self._steps.stepper, state["stepper"], theta.size)
        if self._drawn is not None:
            epoch, begin = items(state, "batches", 2)
            self._drawn.go_to(epoch, check_integer("begin", begin, 0))
