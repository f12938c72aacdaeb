"""Fits of more rows than memory holds: the ladder climbs on a sample of them, the last stage takes them all.

The sample is a fixed draw of row numbers, with the rows in which an input is least or largest, so that the grids of the
inputs reach over all rows. It decides everything but the last stage: start, grids, weights to begin with, units. The
last stage goes on from there with sums over all rows, read in blocks, and updates the weights by their evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan._shown import shown
from numkan.data import Rows
from numkan.model.losses import LOSSES
from numkan.model.network import Network
from numkan.model.row_squares import add_numbers
from numkan.train.arguments import Asked
from numkan.train.climbs import Climbs
from numkan.train.commit import scratch_copy
from numkan.train.history import FitResult, FitStatus
from numkan.train.least_squares import LeastSquaresOptions
from numkan.train.objective import sample_loss
from numkan.train.passes import DaskPasses, Passes, RowPasses
from numkan.train.plan import is_cheap_enough
from numkan.train.row_grids import cover_rows, farthest_rows, is_refusing
from numkan.train.row_stages import RowData, RowStages, Source
from numkan.train.samples import Samples, check_samples, merged
from numkan.train.session import Session

__all__ = ["RowClimbs", "Sampled", "rows_of", "sampled", "takes_blocks"]

#: Rows of the sample; arrays of more rows than the second number are read in blocks too.
_SAMPLE, _MANY = 50_000, 200_000

#: Updates of the weights in the last stage: the sample has nearly settled them, and each costs a pass.
_LAST_UPDATES = 1

#: In the message of a fit that ended before its last stage.
_ALONE = " It ended before all rows were fitted: loss and noise are those of the sample."

#: Steps take the curvature of the sample first, where there are this many rows for each of its own.
_TIMES_SAMPLE = 2

#: Seeds the draw of the sample, so that every fit draws the same rows.
_SEED = 2718281828


@dataclass(frozen=True, eq=False)
class Sampled:
    """All rows of a fit, and a sample of them."""

    rows: Passes
    x: FloatArray
    y: FloatArray

    def described(self) -> str:
        """Say which rows decide what."""
        return f"{self._drawn}; all of them in the last stage"

    def described_streamed(self) -> str:
        """Say what the rows decide in a fit by Adam."""
        return f"{self._drawn}; mini-batches of all of them"

    def described_alone(self) -> str:
        """Say that the sample has decided everything."""
        return f"{self._drawn}; the fit ended before the last stage, which would have taken all of them"

    def stand_for(self, number: int) -> int:
        """Return how many of all rows `number` rows of the sample stand for."""
        return round(number * (len(self.rows) / len(self.x)))

    @property
    def _drawn(self) -> str:
        return f"{len(self.x)} of {len(self.rows)} rows, drawn once, for start and grids"


def takes_blocks(model: Network, samples: Samples, asked: Asked, *, curved: bool) -> bool:
    """Whether arrays are so long that they are read in blocks."""
    plain = samples.goal.loss is LOSSES["mse"] and not samples.goal.weight.size and asked.batch_size is None
    ours = isinstance(asked.method, str) and asked.method == "auto" and (asked.validation is None or asked.divides)
    return curved and plain and ours and len(samples) > _MANY and is_cheap_enough(model, _SAMPLE)


def rows_of(model: Network, x: Any, y: Any, asked: Asked) -> Sampled:
    """Return rows that are read in blocks, and a sample of them."""
    if isinstance(x, Rows) and y is not None:
        raise TypeError(f"Argument `y` must be None where `x` is numkan.data.Rows, not {shown(y)}.")
    methods = ("auto", "lm", "adam") if isinstance(x, Rows) else ("auto", "lm")
    _check_for_rows(methods, asked)
    return sampled(model, RowPasses(x) if isinstance(x, Rows) else DaskPasses(x, y))


def _check_for_rows(methods: tuple[str, ...], asked: Asked) -> None:
    """Raise an error for what rows in blocks do not have."""
    for name, value, allowed in (
        ("method", asked.method, methods),
        ("loss", asked.loss, ("mse",)),
        ("validation", asked.validation, ("auto", None)),
        ("sample_weight", asked.sample_weight, (None,)),
    ):
        if not any(value is one or (isinstance(value, str) and value == one) for one in allowed):
            options = " or ".join(map(repr, allowed))
            raise ValueError(f"Argument `{name}` must be {options} where `x` is numkan.data.Rows, not {shown(value)}.")
    if isinstance(asked.batch_size, int | np.integer) and asked.batch_size > _SAMPLE:  # which stands for all rows
        raise ValueError(
            f"Argument `batch_size` must be at most {_SAMPLE} where `x` is numkan.data.Rows, not {asked.batch_size}."
        )


def sampled(model: Network, rows: Passes) -> Sampled:
    """Check all rows, and draw the sample."""
    if len(rows) == 0:
        raise ValueError("Argument `x` must have at least one row to fit, not 0.")
    n, rng = len(rows), np.random.default_rng(_SEED)
    drawn = np.arange(n) if n <= _SAMPLE else np.sort(rng.choice(n, _SAMPLE, replace=False, shuffle=False))
    found = rows.each(_Look(model, drawn))
    ends = np.concatenate([look.ends for look in found])
    values = np.concatenate([look.x[look.is_end] for look in found])
    wanted = {int(ends[np.argmin(sign * column)]) for column in values.T for sign in (1, -1)}.union(drawn.tolist())
    numbers, x, y = (np.concatenate([look[part] for look in found]) for part in range(3))
    kept = [row in wanted for row in numbers.tolist()]
    return Sampled(rows, x[kept], y[kept])


class _Looked(NamedTuple):
    """The rows of a block that belong to the sample, and those in which an input is least or largest in the block."""

    numbers: NDArray[np.int64]  # among all rows
    x: FloatArray
    y: FloatArray
    is_end: NDArray[np.bool_]

    @property
    def ends(self) -> NDArray[np.int64]:
        """Numbers of the rows in which an input is least or largest in the block."""
        return self.numbers[self.is_end]


@dataclass(frozen=True, eq=False)
class _Look:
    """Checks a block, and takes the rows of it that a sample needs."""

    model: Network
    drawn: NDArray[np.int64]  # numbers of the sample's rows

    def __call__(self, x: Any, y: Any, at: int) -> _Looked:
        try:
            samples = check_samples(self.model, x, y, "mse", None)
        except (ValueError, TypeError) as error:
            error.add_note(f"This was the block of rows that begins with row {at}.")
            raise
        x, y = samples.x, samples.goal.y
        ends = np.union1d(np.argmin(x, axis=0), np.argmax(x, axis=0))
        some = self.drawn[np.searchsorted(self.drawn, at) : np.searchsorted(self.drawn, at + len(x))] - at
        rows = np.union1d(some, ends)
        return _Looked(rows + at, x[rows], y[rows], np.isin(rows, ends))


@dataclass(frozen=True, eq=False)
class _ModelLoss:
    """The sum of the losses of rows by a model."""

    model: Network

    def __call__(self, x: Any, y: Any) -> float:
        return sample_loss(self.model, check_samples(self.model, x, y, "mse", None)) * len(x)


class RowClimbs(Climbs):
    """The order of the stages of a fit of many rows: its last stage takes them all."""

    stages = RowStages
    _stages: RowStages

    def __init__(
        self,
        session: Session,
        everything: Samples,
        options: LeastSquaresOptions,
        rng: np.random.Generator,
        rows: Sampled,
    ) -> None:
        super().__init__(session, everything, options, rng)
        self._sampled, self._rows = rows, rows.rows

    @property
    def _holds_out(self) -> bool:
        return True

    def _take_everything(self) -> None:
        if is_refusing(self._session):
            self._everything = self._with_farthest_rows()
        super()._take_everything()
        self._session.measure = self._loss_of
        self._stages.last_updates = _LAST_UPDATES
        self._read()

    def _read(self, *, by_sample: bool = False) -> None:
        """Let the stages take all rows, perhaps with the curvature of the sample."""
        data, units = self._stages.data, self._stages.units
        source = Source(self._rows, self._session.model, units)
        factor = units.width**2 / source.n_targets
        self._stages.data = RowData(data.x, data.y, data.root_weight, factor=factor, source=source, by_sample=by_sample)

    def _stage_more(self, grid: int) -> None:
        """Run the last stage; first with the curvature of the sample, where a step costs much less."""
        if len(self._rows) >= _TIMES_SAMPLE * len(self._sampled.x):
            first = self._stages.least_gain
            self._read(by_sample=True)
            self._stages.go_on()
            super()._stage_more(grid)
            self._read()
            self._stages.least_gain, self._stages.keeps_grids = first, True
        super()._stage_more(grid)

    def _with_farthest_rows(self) -> Samples:
        """Return the sample with the rows whose hidden activations are least or largest, for grids to reach over."""
        model, sample = self._session.best_model(), self._sampled
        farthest = farthest_rows(model, self._rows)
        x, y = np.concatenate([sample.x, farthest.x]), np.concatenate([sample.y, farthest.y])
        return merged(check_samples(model, x, y, "mse", None))

    def result(self, status: FitStatus, message: str) -> FitResult:
        """Return what happened, with the loss of all rows if they had their stage."""
        session, model = self._session, self._session.model
        if not isinstance(self._stages.data, RowData):
            session.plan.chosen["rows"] = self._sampled.described_alone()
            return super().result(status, message + _ALONE)
        if self._stages.data.by_sample:
            self._read()
        data = self._stages.data
        if is_refusing(session) and session.best is not None and status is not FitStatus.NONFINITE:
            message += cover_rows(session, self._rows)
        result = super().result(status, message)
        known = data.known_loss() if model.dtype == np.float64 and model._posterior is not None else None
        return replace(result, loss=self._loss_of(model) if known is None else known)

    def _loss_of(self, model: Network) -> float:
        """Return the loss of a model at all rows."""
        part = _ModelLoss(scratch_copy(model))  # whose policies refuse no row
        return float(self._rows.sum(part, add_numbers)) / len(self._rows)
