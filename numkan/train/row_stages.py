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
from numkan.train.copies import row_hashes
from numkan.train.data import Data, Units
from numkan.train.least_squares import LeastSquaresStages
from numkan.train.passes import Passes
from numkan.train.splines import Splines
from numkan.train.tree import Tree, real

__all__ = ["RowData", "RowStages", "Source", "is_in_quarter"]

#: About one block in this number is in the quarter. A hash of its first row decides.
_ONE_IN = 4

#: Stretched grids are taken if they change no output in the box by more than this share of the targets' deviation.
_SAME = 0.05


@dataclass(frozen=True, eq=False)
class _InUnits:
    """A part of a sum, of rows as they are stored, which go through the model's dtype as arrays do."""

    part: Callable[[FloatArray, FloatArray], Any]
    dtype: Any
    units: Units

    def __call__(self, x: Any, y: Any) -> Any:
        x, y = (np.asarray(values, self.dtype).astype(np.float64) for values in (x, y))
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        return self.part(x, (y - self.units.centre) / self.units.width)


class Source:
    """Rows in the units of training, see :class:`numkan.model.row_squares.RowSource`: all, or those of the quarter."""

    def __init__(self, rows: Passes, model: Network, units: Units, n_quarter: int = 0) -> None:
        self._rows, self._model, self._units, self._is_quarter = rows, model, units, n_quarter > 0
        self.n_targets = (n_quarter or len(rows)) * model.n_out
        self.last: Known | None = None

    def sum(self, part: Any, add: Any) -> Any:
        """Return a sum over the blocks."""
        part = _InUnits(part, self._model.dtype, self._units)
        return self._rows.sum(_OfQuarter(part), _AddPresent(add)) if self._is_quarter else self._rows.sum(part, add)


def is_in_quarter(x: Any) -> bool:
    """Return whether a block is in the quarter, by its inputs as they are stored."""
    first = np.asarray(x[:1], np.float64).reshape(1, -1)
    return bool(row_hashes(first)[0] % _ONE_IN == 0)


class _Absent:
    """The sum of a block that is not in the quarter."""


@dataclass(frozen=True, eq=False)
class _OfQuarter:
    """A part of a sum over the blocks of the quarter."""

    part: Callable[[Any, Any], Any]

    def __call__(self, x: Any, y: Any) -> Any:
        return self.part(x, y) if is_in_quarter(x) else _Absent()


@dataclass(frozen=True, eq=False)
class _AddPresent:
    """Adds the sums of blocks that are present."""

    add: Callable[[Any, Any], Any]

    def __call__(self, a: Any, b: Any) -> Any:
        return b if isinstance(a, _Absent) else a if isinstance(b, _Absent) else self.add(a, b)


@dataclass(frozen=True, eq=False)
class RowData(Data):
    """Data of all rows. `x` and `y` are those of the sample."""

    source: Source | None = None

    @property
    def n_targets(self) -> int:
        """The number of residuals of all rows."""
        assert self.source is not None
        return self.source.n_targets

    def problem(self, layers: tuple[SplineLayer, ...], penalty: Quadratic | None = None) -> RowSquares:
        """Return the problem of splines on all rows."""
        assert self.source is not None
        return RowSquares(layers, self.x, self.y, self.source, penalty)

    def known_loss(self) -> float | None:
        """Return the loss at the last point whose normal equations were computed."""
        assert self.source is not None
        last = self.source.last
        return None if last is None else self.loss(last.equations[0])


class RowStages(LeastSquaresStages):
    """The stages of a fit whose last one takes all rows."""

    def misfit(self, splines: Splines) -> float:
        """Return f of splines on the samples; in the last stage an estimate of it from the sample."""
        if not isinstance(self.data, RowData):
            return super().misfit(splines)
        some = Data.problem(self.data, splines.layers)
        return some.loss(splines.vector) * (self.data.n_targets / some.n_targets)

    def _laid(self, origin: Splines, G: Sequence[int]) -> Splines:
        """Return splines on grids; in the last stage also over the box of the data: later it would cost a pass."""
        laid, box = super()._laid(origin, G), self._session.box
        if not (isinstance(self.data, RowData) and self._session.settings.update_grid and len(box)):
            return laid
        wide = laid.stretched(self.data.x, box)
        moved = np.abs(wide.activations(box)[-1] - laid.activations(box)[-1]).max()
        return wide if moved < _SAME else laid

    def go_on(self) -> None:
        """Let later steps continue while they gain more than chance would: with many rows that is little."""
        self.least_gain = min(self.least_gain, self.reached.evidence.freedom / self.data.n_targets)

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
