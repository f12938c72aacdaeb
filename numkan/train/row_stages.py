"""The last stage of a fit of many rows, where one pass over the rows costs more than all work on the sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.model.least_squares import Quadratic, SplineLayer
from numkan.model.network import Network
from numkan.model.row_squares import Known, RowSquares
from numkan.optimize.linear_model import NormalModel
from numkan.train.data import Data, Units
from numkan.train.least_squares import LeastSquaresStages
from numkan.train.passes import Passes
from numkan.train.splines import Splines
from numkan.train.tree import Tree, real

__all__ = ["RowData", "RowStages", "Source"]

#: Stretched grids are taken if they change no output in the box by more than this share of the targets' deviation.
_SAME = 0.05


@dataclass(frozen=True, eq=False)
class _InUnits:
    """A part of a sum, of rows as they are stored, which go through the model's dtype as arrays do."""

    part: Callable[[FloatArray, FloatArray], Any]
    dtype: Any
    units: Units

    def __call__(self, x: Any, y: Any) -> Any:
        x, y = (np.require(np.asarray(values, self.dtype), np.float64, ["C", "W"]) for values in (x, y))
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        return self.part(x, (y - self.units.centre) / self.units.width)


class Source:
    """Rows in the units of training, see :class:`numkan.model.row_squares.RowSource`."""

    def __init__(self, rows: Passes, model: Network, units: Units) -> None:
        self._rows, self._model, self._units = rows, model, units
        self.n_targets = len(rows) * model.n_out
        self.last: Known | None = None

    def sum(self, part: Any, add: Any) -> Any:
        """Return a sum over the blocks."""
        return self._rows.sum(_InUnits(part, self._model.dtype, self._units), add)


@dataclass(frozen=True, eq=False)
class RowData(Data):
    """Data of all rows. `x` and `y` are those of the sample, which has the curvature of steps with `by_sample`."""

    source: Source | None = None
    by_sample: bool = False

    @property
    def n_targets(self) -> int:
        """The number of residuals of all rows."""
        assert self.source is not None
        return self.source.n_targets

    def problem(self, layers: tuple[SplineLayer, ...], penalty: Quadratic | None = None) -> RowSquares:
        """Return the problem of splines on all rows."""
        assert self.source is not None
        curvature = super().problem(layers) if self.by_sample else None
        return RowSquares(layers, self.x, self.y, self.source, penalty, curvature)

    def known_loss(self) -> float | None:
        """Return the loss at the last point whose normal equations were computed."""
        assert self.source is not None
        last = self.source.last
        return None if last is None else self.loss(last.equations[0])


class RowStages(LeastSquaresStages):
    """The stages of a fit whose last one takes all rows.

    Attributes
    ----------
    keeps_grids : bool
        Whether a stage goes on with the grids of the one before, because new ones would cost steps.
    """

    keeps_grids = False

    def misfit(self, splines: Splines) -> float:
        """Return f of splines on the samples; in the last stage an estimate of it from the sample."""
        if not isinstance(self.data, RowData):
            return super().misfit(splines)
        some = Data.problem(self.data, splines.layers)
        return some.loss(splines.vector) * (self.data.n_targets / some.n_targets)

    def _laid(self, origin: Splines, G: Sequence[int]) -> Splines:
        """Return splines on grids; in the last stage also over the box of the data: later it would cost a pass."""
        laid, box = origin if self.keeps_grids else super()._laid(origin, G), self._session.box
        if not (isinstance(self.data, RowData) and self._session.settings.update_grid and len(box)):
            return laid
        wide = laid.stretched(self.data.x, box)
        moved = np.abs(wide.activations(box)[-1] - laid.activations(box)[-1]).max()
        return wide if moved < _SAME else laid

    def go_on(self) -> None:
        """Let later steps continue while they gain more than chance would: with many rows that is little."""
        self.least_gain = min(self.least_gain, self.reached.evidence.freedom / self.data.n_targets)

    def _take_steps(self, grid: int, number: int) -> None:
        """Take a run of steps; with equations of all rows none where they promise no more than chance would gain."""
        is_exact = isinstance(self.data, RowData) and not self.data.by_sample
        if is_exact and self._place.step == 0 and not self._promise() > self.least_gain:
            return
        super()._take_steps(grid, number)

    def _promise(self) -> float:
        """Return the share of the objective by which the equations at the last point say that a step lowers it."""
        value, gradient, normal = self._objective.problem.normal_equations(self._stepper.state.x)
        size = np.sqrt(np.diagonal(normal))
        size = np.where(size > 0.0, size, 1.0)
        step = NormalModel(gradient, normal, size).solve(self.damping)[0]
        return float(step @ (self.damping * step - gradient / size)) / value

    def _update_weights(self) -> bool:
        """Update the weights."""
        if isinstance(self.data, RowData):
            self.go_on()
        return super()._update_weights()

    # --- checkpoints ----------------------------------------------------------------------------------------------

    def state(self, *, under_way: bool) -> Tree:
        """Return the state after the stages, and the state of this one."""
        return super().state(under_way=under_way) | {"gain": self.least_gain}

    def restore(self, state: Tree) -> None:
        """Take over the state after the stages, and the state of an unfinished one."""
        self.least_gain = real(state, "gain")
        super().restore(state)
