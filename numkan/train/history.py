"""The reports of a fit: its state while it runs, and its result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan.model.losses import LOSSES, Loss

__all__ = ["Ended", "FitResult", "FitState", "FitStatus", "History", "Recorder", "Stage"]


class FitStatus(StrEnum):
    """Why a fit ended.

    Examples
    --------
    >>> from numkan.train import FitStatus
    >>> FitStatus.TIME == "time limit", [str(status) for status in FitStatus][:3]
    (True, ['finished', 'early stopping', 'stuck'])
    """

    FINISHED = "finished"  #: all stages are done, or a finer grid does not pay
    EARLY = "early stopping"  #: the validation loss has not fallen for `patience` steps
    STUCK = "stuck"  #: finer grids hardly lower the error, and what is left is no noise
    TIME = "time limit"  #: `time_limit` is over
    CALLBACK = "callback"  #: the callback raised StopIteration
    NONFINITE = "non-finite"  #: the loss became NaN or infinite
    RANGE = "out of range"  #: numbers left the range of the dtype


class Ended(Exception):
    """The fit is over before its plan is."""

    def __init__(self, status: FitStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class FitState:
    """The argument of a callback after every accepted step; the model itself is at that step.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x, seen = np.linspace(-1, 1, 100)[:, None], []
    >>> result = KAN([1, 1], seed=0).fit(x, np.sin(3 * x), grids=[3, 6], callback=seen.append)
    >>> seen[-1].grid, seen[-1].loss < seen[0].loss, len(seen) == result.steps
    (6, True, True)
    """

    step: int  #: accepted steps since the fit began
    stage: int  #: index into the ladder of grids
    grid: int  #: grid intervals G of the stage
    loss: float  #: of the training samples, or of the mini-batch, without penalties
    objective: float  #: loss and penalties, the sum that is minimised
    validation: float  #: loss of the validation samples, as last measured; NaN where there are none
    seconds: float  #: since the fit began


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One entry for the start of every stage and for every accepted step (mini-batches: for every epoch).

    Attributes
    ----------
    step, stage, grid : ndarray of int, shape (n_records,)
        Steps taken, index of the stage, and its grid intervals G.
    train, objective, validation : ndarray, shape (n_records,)
        Loss of the training samples; with the penalties; loss of the validation samples (NaN without them).
    seconds : ndarray, shape (n_records,)
        Since the fit began.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> result = KAN([1, 1], seed=0).fit(x, np.sin(3 * x), grids=[3, 6])
    >>> history = result.history
    >>> len(history) == len(history.train), bool(history.train[-1] < history.train[0])
    (True, True)
    """

    step: NDArray[np.int64]
    stage: NDArray[np.int64]
    grid: NDArray[np.int64]
    train: FloatArray
    objective: FloatArray
    validation: FloatArray
    seconds: FloatArray

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, slots=True)
class Stage:
    """One rung of the ladder of grids.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> result = KAN([1, 1], seed=0).fit(x, np.sin(3 * x), grids=[3, 6])
    >>> [stage.grid for stage in result.stages], result.stages[-1].loss < result.stages[0].loss
    ([3, 6], True)
    """

    grid: int  #: grid intervals G
    steps: int  #: accepted steps
    loss: float  #: of the training samples, at its end
    validation: float  #: NaN without validation samples
    seconds: float  #: that it took
    ended: str  #: why


@dataclass(frozen=True, slots=True, eq=False)
class FitResult:
    """The result of :meth:`numkan.KAN.fit`. Printed, it is a table of the stages.

    Attributes
    ----------
    success : bool
        False only if the loss became NaN or infinite, or if values left the range of the dtype, too large or so small
        that their differences are lost.
    status : FitStatus
        ``"finished"``, ``"early stopping"``, ``"stuck"``, ``"time limit"``, ``"callback"``, ``"non-finite"`` or
        ``"out of range"`` (compares with strings). A model that is stuck is the best of several starts, but finer grids
        have hardly lowered its error, and its residuals are not noise (:mod:`numkan.train.order`).
    message : str
        The end of the fit, in a sentence.
    loss, validation_loss : float
        Of the model as it is now, which has the best parameters met.
    best_step : int
        The step that they come from.
    steps, evaluations : int
        Accepted steps, and evaluations of loss and gradient.
    seconds : float
    stages : tuple of Stage
    history : History
    chosen : mapping of str to str
        The values chosen for arguments left at ``"auto"`` or their default, and the reasons.
    noise : float
        Deviation of the targets from the fitted function, as Levenberg-Marquardt's penalties have estimated it; NaN if
        there was no estimate. It includes every part of the function that the network cannot represent.
    freedom : float
        Effective degrees of freedom of the fit; NaN as above.
    gcv : float
        The error to expect of predictions: the root of the generalized cross-validation, which is the root mean square
        residual, enlarged for the degrees of freedom (one and a half times as many with hidden layers, where there is
        noise); or the error of the samples that the fit held out, where that is larger by more than its standard error.
    evidence : float
        Logarithm of the evidence, but for a constant of the data, of a likelihood that Levenberg-Marquardt has fitted:
        networks that were fitted to the same samples can be compared by it. NaN of other fits.
    starts : tuple of float
        Root mean square residual of every start that was tried, in units of the targets.
    start_seconds : float
        That the starts took.
    weights : tuple of ndarray, shapes (n_measures, n_in, n_out)
        Weights of the penalties of every layer's edges, see :mod:`numkan.train.evidence`.
    loss_name : str
        What all losses are: ``"mse"``, mean squares, the name of another loss, or ``"custom"``, a user's own.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> result = KAN([1, 1], seed=0).fit(x, np.sin(3 * x), grids=[3, 6])
    >>> result.success, str(result.status), result.loss < 1e-5
    (True, 'finished', True)
    """

    success: bool
    status: FitStatus
    message: str
    loss: float
    validation_loss: float
    best_step: int
    steps: int
    evaluations: int
    seconds: float
    stages: tuple[Stage, ...]
    history: History
    chosen: Mapping[str, str]
    noise: float = math.nan
    freedom: float = math.nan
    gcv: float = math.nan
    evidence: float = math.nan
    starts: tuple[float, ...] = ()
    start_seconds: float = 0.0
    weights: tuple[FloatArray, ...] = ()
    loss_name: str = "mse"

    def __str__(self) -> str:
        rows = [f"{'grid':>5} {'steps':>6} {'loss':>10} {'validation':>10} {'seconds':>8}  ended"]
        rows += [
            f"{stage.grid:5d} {stage.steps:6d} {stage.loss:10.3e} {stage.validation:10.3e} {stage.seconds:8.2f}  "
            f"{stage.ended}"
            for stage in self.stages
        ]
        if self.starts:
            rows.insert(0, f"best of {len(self.starts)} starts: {min(self.starts):.3e}, {self.start_seconds:.2f} s")
        if math.isfinite(self.noise):
            rows.append(f"noise: {self.noise:.3e}, effective degrees of freedom: {self.freedom:.1f}")
        elif math.isfinite(self.freedom):
            rows.append(f"effective degrees of freedom: {self.freedom:.1f}, log of the evidence: {self.evidence:.1f}")
        units = f"Losses are {LOSSES.get(self.loss_name, Loss).means}"
        if self.starts or math.isfinite(self.noise):
            units += "; starts and noise are root mean squares"
        return "\n".join([*rows, f"{units}.", self.message])


class Recorder:
    """Collects the history of a fit."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def add(self, state: FitState) -> None:
        """Append one record."""
        self._rows.append(tuple(getattr(state, name) for name in _RECORDED))

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, begin: int) -> FloatArray:
        """Return the records from one on, (n_records, 7)."""
        return np.array(self._rows[begin:], np.float64).reshape(-1, len(_RECORDED))

    def replace(self, begin: int, rows: FloatArray) -> None:
        """Let these be the records from one on."""
        self._rows[begin:] = [tuple(row) for row in rows.tolist()]

    def history(self) -> History:
        """Return the record."""
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(_RECORDED)
        arrays: list[Any] = [np.array(column, dtype) for column, dtype in zip(columns, _DTYPES, strict=True)]
        return History(*arrays)


#: Fields of FitState in the order of those of History.
_RECORDED = ("step", "stage", "grid", "loss", "objective", "validation", "seconds")
_DTYPES = (np.int64,) * 3 + (np.float64,) * 4
assert len(_RECORDED) == len(fields(History))
