"""The result of a search: the networks that it has tried, and its end."""

from __future__ import annotations

from dataclasses import dataclass

from numkan.train.history import FitResult, FitStatus

__all__ = ["SearchResult", "Trial"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One network that was tried."""

    width: tuple[int, ...]
    k: int
    grid: int
    error: float  #: root mean square over the samples held out
    score: float  #: what it was judged by: root of the generalized cross-validation, or an error that is much larger
    gain: float  #: factor by which the last refinement lowered the error
    fits: bool  #: whether this is about the factor of the splines' order, or the error is only rounding
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """The trials of :func:`numkan.search`; printed, they are a table.

    Attributes
    ----------
    trials : tuple of Trial
        In the order in which they were made.
    chosen : Trial
        The one whose network was fitted to all samples.
    fit : FitResult
        Of that last fit.
    seconds : float
    status : FitStatus
        ``"time limit"`` where that cut trials or the last fit short, else ``"finished"``.
    message : str
        Why the search ended, in a sentence.
    """

    trials: tuple[Trial, ...]
    chosen: Trial
    fit: FitResult
    seconds: float
    status: FitStatus
    message: str

    def __str__(self) -> str:
        rows = [f"{'width':<18} {'k':>2} {'grid':>5} {'error':>10} {'score':>10} {'seconds':>8}"]
        for trial in self.trials:
            marks = ("  fits" if trial.fits else "") + ("  chosen" if trial is self.chosen else "")
            rows.append(
                f"{list(trial.width)!s:<18} {trial.k:2d} {trial.grid:5d} {trial.error:10.3e} {trial.score:10.3e} "
                f"{trial.seconds:8.2f}{marks}"
            )
        rows.append("Errors and scores are root mean squares.")
        rows.append(f"Fitted to all samples: mean square {self.fit.loss:.3e}, {self.seconds:.2f} s in all.")
        return "\n".join([*rows, self.message])
