"""The caller's settings of a fit by Levenberg-Marquardt."""

from __future__ import annotations

from dataclasses import dataclass

from numkan.train.known import Known

__all__ = ["LeastSquaresOptions"]


@dataclass(frozen=True, slots=True)
class LeastSquaresOptions:
    """The caller's settings of a fit by Levenberg-Marquardt."""

    redraw: bool
    restarts: int
    climbs: int  # from other starts, at most, where the first is stuck
    penalty: float | None  # None: weights by evidence
    weight_unit: float = 1.0  # of sample weights, where these are numbers of samples
    tunes: bool = False  # whether the scale of Huber's loss is taken from the residuals
    known: Known | None = None  # shapes that its curves are to have
