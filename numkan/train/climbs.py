"""The plan of a fit by Levenberg-Marquardt: starts, climbs of the ladder of grids, and a last fit of all samples."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.model.least_squares import LeastSquares
from numkan.train.box import LEAVES, excess
from numkan.train.evidence import Evidence
from numkan.train.history import FitStatus
from numkan.train.order import ROUNDING, falls_too_little, neighbours_agree
from numkan.train.point import Point, underflow
from numkan.train.run import Best, Ended
from numkan.train.second_order import LeastSquaresTraining
from numkan.train.splines import Splines
from numkan.train.start import NotFiniteError
from numkan.train.starts import find_start

__all__ = ["Climbs"]

#: Where some samples are held out and time is limited, the ladder has this share of it, and the last fit what is left.
_LADDER_SHARE = 0.5

#: A last stage is not kept where its loss is so many times that of the point that it went on from.
_WORSE = 2.0

#: Grids that are laid anew at last leave the function what it is where the loss is no more than this times what it was.
#: End polynomials run away where they change an output by more than this share of the targets' deviation.
_AS_SMALL, _NEAR = 1.05, 0.05

#: A finer grid must lower the score by this share, or the ladder ends.
_LEAST_STAGE_GAIN = 0.1

#: Held-out samples contradict the evidence where their error is so many times what cross-validation says of it, and
#: more than this share of the targets' deviation. Then the ladder is climbed once more, and kept where it comes this
#: near (a factor on the held-out loss): chance draws the held-out samples, and what runs through all others does worse
#: far from them.
_CONTRADICTED, _POOR, _AS_GOOD = 3.0, 0.03, 1.3


class _Reached(NamedTuple):
    """What a climb has led to."""

    best: Best | None
    splines: Splines
    weights: list[FloatArray] | None
    evidence: Evidence
    noises: list[float]
    least_noise: float


class Climbs(LeastSquaresTraining):
    """A fit in progress: the stages of :class:`numkan.train.second_order.LeastSquaresTraining`, in their order."""

    _anew = False  # whether other starts are tried

    def _run_stages(self, grids: tuple[int, ...]) -> tuple[FitStatus, str]:
        lost = underflow(self._everything, self._model.dtype)
        if lost:
            raise Ended(FitStatus.NONFINITE, f"Stopped: {lost}. The model is as it was. Larger units will help.")
        self._begin()
        try:
            status, message = self._climb(grids)
            if self._options.redraw and self._is_stuck(grids):
                status, message = self._climb_from_other_starts(grids, status, message)
            if self._is_stuck(grids):
                status, message = FitStatus.STUCK, self._why_stuck(grids)
        except Ended as end:
            if end.status is not FitStatus.TIME or self._best is None:
                raise
            limit = self._settings.time_limit
            status, message = end.status, f"Stopped: the ladder has had its share of the time limit of {limit:g} s."
        if self._holds_out:
            self._fit_everything()
        self._cover_the_box()
        return status, message

    def _begin(self) -> None:
        """Find a start, or take the model as it is."""
        if not self._options.redraw:
            problem = LeastSquares(self._splines.layers, self._x, self._y, self._root_weight)
            self._noises = [math.sqrt(problem.loss(self._splines.vector) / self._y.size)]
            return
        began = time.perf_counter()
        start = find_start(
            self._splines, self._x, self._y, self._root_weight, self._options.restarts, self._rng, self._check_time
        )
        self._best_splines, self._noises = start.splines, [start.residual]
        self._tried += start.tried
        self._start_seconds += time.perf_counter() - began

    def _climb(self, grids: tuple[int, ...]) -> tuple[FitStatus, str]:
        """Go up the ladder, once more where the held-out samples contradict; return how it ended."""
        origin = self._reached
        ended = super()._run_stages(grids)
        if self._is_contradicted():
            self._climb_again(grids, origin)
        return ended

    @property
    def _holds_out(self) -> bool:
        """Whether there are samples that only the last fit will see."""
        return len(self._everything) > len(self._samples)

    def _check_time(self) -> None:
        climbing = (self._best is not None or self._anew) and self._holds_out
        self._end_after(_LADDER_SHARE if climbing else 1.0)

    @property
    def _reached(self) -> _Reached:
        return _Reached(
            self._best, self._best_splines, self._weights, self._evidence, self._noises.copy(), self._least_noise
        )

    def _go_back(self, to: _Reached) -> None:
        self._best, self._best_splines, self._weights, self._evidence, self._noises, self._least_noise = to

    def _is_contradicted(self) -> bool:
        """Whether the held-out samples show that noise was taken for the function."""
        if self._validation is None or self._options.penalty is not None:
            return False
        assert self._best is not None
        held = math.sqrt(self._best.validation) / self._units.width
        return held > max(_CONTRADICTED * self._evidence.score, _POOR)

    def _climb_again(self, grids: tuple[int, ...], origin: _Reached) -> None:
        """Climb the ladder from its origin, with no less noise than the held-out samples show.

        Whatever happens on the way, what the first climb has led to is not lost.
        """
        first = self._reached
        assert first.best is not None
        self._go_back(origin)
        self._least_noise = math.sqrt(first.best.validation) / self._units.width
        try:
            super()._run_stages(grids)
        except NotFiniteError:
            self._best = None
        finally:
            if self._best is None or not self._best.score < _AS_GOOD * first.best.score:
                self._go_back(first)

    def _is_stuck(self, grids: tuple[int, ...]) -> bool:
        """Whether the last refinement has lowered the residuals by too little, and what is left is no noise."""
        stages = len(self._noises) - 1
        if stages < 2 or self._model.depth == 1 or self._best is None:
            return False
        gain, ratio = self._last_gain(grids)
        if self._noises[-1] <= ROUNDING or not falls_too_little(gain, ratio, max(self._model.k)):
            return False
        residuals = self._best_splines.activations(self._x)[-1] - self._y
        weighed = slice(None) if not self._root_weight.size else self._root_weight > 0.0
        return neighbours_agree(self._x[weighed], residuals[weighed])

    def _last_gain(self, grids: tuple[int, ...]) -> tuple[float, float]:
        """Return by which the last refinement lowered the residuals, and by which it refined the grid."""
        last = len(self._noises) - 2
        return self._noises[-2] / self._noises[-1], grids[last] / grids[last - 1]

    def _why_stuck(self, grids: tuple[int, ...]) -> str:
        gain, ratio = self._last_gain(grids)
        return (
            f"Stuck: a grid {ratio:.3g} times as fine has lowered the residuals by a factor of {gain:.3g} only, and "
            "they are no noise. A wider network or other starts (`random_state`, a larger `effort`) may help."
        )

    def _climb_from_other_starts(
        self, grids: tuple[int, ...], status: FitStatus, message: str
    ) -> tuple[FitStatus, str]:
        """Climb from other starts while the best climb is stuck; return how that one ended.

        Whatever happens on the way, the best one is not lost.
        """
        for number in range(1, self._options.climbs + 1):
            kept = self._reached
            self._anew, self._best, self._weights, self._least_noise = True, None, None, 0.0
            self._evidence, self._score_before = Evidence(math.nan, math.nan, math.inf), math.inf
            ended = status, message
            try:
                self._begin()
                ended = self._climb(grids)
            except NotFiniteError:
                self._best = None
            finally:
                if self._best is None or not _error(self._reached) < _error(kept):
                    self._go_back(kept)
                    ended = status, message
            status, message = ended
            self._plan.chosen["start"] = f"redraw: the first start was stuck, and {number} more were tried"
            if not self._is_stuck(grids):
                break
        return status, message

    def _fit_everything(self) -> None:
        """Fit all samples on the grid that the held-out ones chose, from the best point."""
        assert self._best is not None
        self._held = self._best.validation
        self._validation = None
        self._last_validation = math.nan
        self._use(self._everything)
        self._best = self._best._replace(loss=self._loss(self._best_splines))
        self._stage_more(max(self._best.model.grid))

    def _cover_the_box(self) -> None:
        """Make hidden grids reach over the box of the data, where its points leave them.

        Grids are laid anew, evenly, where that leaves the function what it is: curves found in noise are smooth on the
        scale of their grids. Others keep their knots but for the ends, and go on as polynomials, as long as these do
        not run away from the straight lines by which they would go on otherwise.
        """
        if self._validation is not None or not self._settings.update_grid or self._model.depth == 1:
            return
        best, splines = self._best, self._best_splines
        if best is None or not excess(self._best_model(), self._box).share > LEAVES:
            return
        laid = splines.on_grids(self._x, best.model.grid, box=self._box)
        if not self._loss(laid) < _AS_SMALL * best.loss:
            laid = splines.stretched(self._x, self._box)
            moved = np.abs(laid.activations(self._box)[-1] - splines.activations(self._box)[-1]).max()
            if not (moved < _NEAR and self._loss(laid) < _AS_SMALL * best.loss):
                return
        model = Point(self._template, laid, self._units, base=not self._options.redraw).model
        self._best = best._replace(model=model, theta=model._theta.copy(), loss=self._loss(laid))
        self._best_splines = laid

    def _stage_more(self, grid: int) -> None:
        """Run one stage more, of few updates, and go back where it has raised the loss a good deal."""
        before = self._reached
        assert before.best is not None
        self._ladder_is_over = True
        self._stage = len(self._stages)
        try:
            self._run_stage(grid)
        finally:
            if self._best is None or not self._best.loss < _WORSE * before.best.loss:
                self._go_back(before)

    def _got_no_better(self) -> bool:
        if self._validation is not None:
            score, before = math.sqrt(self._stage_best[0]), math.sqrt(self._before_stage)
        elif self._options.penalty is None:
            score, before = self._evidence.score, self._score_before
            self._score_before = score
        else:
            return False
        return not score < (1.0 - _LEAST_STAGE_GAIN) * before


def _error(reached: _Reached) -> float:
    """Return what climbs are compared by: the held-out loss, or else what cross-validation says."""
    if reached.best is None:
        return math.inf
    held = reached.best.validation
    return reached.evidence.score if math.isnan(held) else held
