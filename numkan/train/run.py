"""The course of a fit by any algorithm: stages on finer and finer grids, and the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from numkan.model.network import Network
from numkan.train.box import LEAVES, excess
from numkan.train.commit import refuses
from numkan.train.constant import constant_edges, flattened
from numkan.train.history import Ended, FitStatus, Stage
from numkan.train.objective import where_not_finite
from numkan.train.session import Session
from numkan.train.session_state import restore_session, session_state
from numkan.train.start import NotFiniteError, lay_grids
from numkan.train.tree import Tree, integer, real
from numkan.train.verdict import fault

__all__ = ["Algorithm", "climb", "conclude", "run_stage"]


class Algorithm(Protocol):
    """An algorithm that trains the model in stages."""

    def begin_stage(self, grid: int) -> None:
        """Refine to a grid, lay it over the data, and let the caller's model follow."""

    def train(self, grid: int) -> str:
        """Take the steps of the stage; return why it ended."""

    def got_no_better(self) -> bool:
        """Whether the stage has gained too little for a finer grid to pay."""

    def state(self, *, under_way: bool) -> Tree:
        """Return the state after the stages, beside the best point of the session, and the state of this stage."""

    def restore(self, state: Tree) -> None:
        """Take over such a state; of a stage that is under way, after :meth:`begin_stage`."""

    @property
    def work(self) -> Network:
        """The scratch model, at the last accepted step of the stage."""


def climb(session: Session, algorithm: Algorithm, grids: tuple[int, ...]) -> tuple[FitStatus, str]:
    """Go up the ladder of grids; return how it ended."""
    for grid in grids:
        run_stage(session, algorithm, grid)
        if algorithm.got_no_better():
            return FitStatus.EARLY, "Finished: the validation loss gets no better."
    return FitStatus.FINISHED, "Finished: all stages are done."


def run_stage(session: Session, algorithm: Algorithm, grid: int) -> None:
    """Train on one grid, and record the stage however it ends."""
    session.journal.do("stage", _Stage(session, algorithm, grid))


class _Stage:
    """One stage; see :class:`numkan.train.journal.Part`."""

    def __init__(self, session: Session, algorithm: Algorithm, grid: int) -> None:
        self._session, self._algorithm, self._grid = session, algorithm, grid
        session.stage = len(session.stages)
        self._began, self._before, self._records = session.seconds, session.steps, len(session.recorder)

    def run(self, state: Tree | None) -> None:
        """Train, and record the stage however it ends."""
        if self._session.stages:
            self._session.check_time()
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # values that are not finite are checked for
                self._algorithm.begin_stage(self._grid)
                if state is not None:
                    self._go_on(state)
            why = self._algorithm.train(self._grid)
        except Ended as end:
            self._record(end.status.value)
            raise
        except NotFiniteError:
            self._record(FitStatus.NONFINITE.value)
            raise
        self._record(why)

    def _go_on(self, state: Tree) -> None:
        """Go on from the state of a stage that was under way."""
        self._session.journal.restore(self, state)
        self._session.journal.go_on()
        self._session.commit(self._algorithm.work)

    def _record(self, why: str) -> None:
        session, best = self._session, self._session.best
        loss, validation = map(session.scale.loss, (best.loss, best.validation) if best else (math.nan, math.nan))
        seconds = session.seconds - self._began
        session.stages.append(Stage(self._grid, session.steps - self._before, loss, validation, seconds, why))

    def state(self, *, under_way: bool) -> Tree:
        """Return the result of the stage."""
        return {
            "began": self._began,
            "before": self._before,
            "session": session_state(self._session, self._records),
            "algorithm": self._algorithm.state(under_way=under_way),
        }

    def restore(self, state: Tree) -> None:
        """Take over the result of the stage."""
        self._began, self._before = real(state, "began"), integer(state, "before")
        restore_session(self._session, state["session"], self._records)
        self._algorithm.restore(state["algorithm"])


def conclude(session: Session, train: Callable[[], tuple[FitStatus, str]]) -> tuple[FitStatus, str]:
    """Train, leave the caller's model at the best point even after an error, and return how training ended."""
    progress = session.open_progress()
    try:
        status, message = train()
    except Ended as end:
        status, message = end.status, str(end)
    except NotFiniteError as error:
        status = FitStatus.NONFINITE
        kept = "has the best parameters met before" if session.best else "is as it was"
        message = (
            f"Stopped: NaN or infinity after step {session.steps}, beginning in {error}. The model {kept}. Smaller "
            "steps (Adam: `learning_rate`) or better scaled data may help."
        )
    finally:
        progress.close()
    if session.best is not None:
        status, message = _end_at_best(session, status, message)
    if status not in (FitStatus.NONFINITE, FitStatus.RANGE):
        message += _what_leaves_grids(session)
    session.journal.end(status, session.seconds)
    return status, message


def _end_at_best(session: Session, status: FitStatus, message: str) -> tuple[FitStatus, str]:
    """Write the best model into the caller's; return the end of the fit, or the fault of that model."""
    session.commit_best(_final_model(session))
    if status is not FitStatus.NONFINITE:
        status, message = fault(session.model, session.given) or (status, message)
    best = session.best
    if session.validation is not None and best is not None and best.score == math.inf:
        status = FitStatus.NONFINITE
        message = (
            "The validation loss was NaN or infinite throughout, beginning in "
            f"{where_not_finite(best.model, session.validation)}. The model is at the last step."
        )
    return status, message


def _final_model(session: Session) -> Network:
    """Return the model of the best point, with hidden grids over all training samples if a policy needs that."""
    model = session.best_model()
    flat = constant_edges(model, session.samples) & ~session.held_edges
    if session.settings.anew and flat.any():
        weight = session.samples.goal.weight
        model = session.end_at(flattened(model, flat, session.samples.x[weight.argmax() if weight.size else 0]))
    if session.settings.update_grid and any(map(refuses, session.model.act_fun[1:])):
        over = session.box.astype(session.model.dtype)
        model = session.end_at(lay_grids(model, session.samples.x, inputs=False, thin=False, box=over))
    return model


def _what_leaves_grids(session: Session) -> str:
    """Return a sentence if points in the box of the data leave hidden grids, else an empty string."""
    layer, share = excess(session.model, session.box)
    if not share > LEAVES:
        return ""
    return (
        f" In the box of the data, activations leave the grid of layer {layer} by up to {share:.0%} of its length, "
        "and predictions are extrapolated there."
    )
