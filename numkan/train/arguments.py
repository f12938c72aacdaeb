"""Arguments of fit: each is checked, and defaults are decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numkan._check import check_integer, check_number, check_option
from numkan._shown import shown
from numkan.model.network import Network
from numkan.model.regularization import Penalties
from numkan.train.held_out import HeldOut
from numkan.train.history import FitState
from numkan.train.likelihood import STARTS
from numkan.train.plan import METHODS, holdout
from numkan.train.samples import Samples, split, split_by_hash, validation_samples

__all__ = [
    "Asked",
    "as_called",
    "budget",
    "by_least_squares",
    "divide",
    "fixed_weight",
    "redraws",
    "weight_unit",
    "why_not_curved",
]

#: Largest number of starts for a climb of the ladder, and of further climbs if the first one is stuck.
_RESTARTS, _CLIMBS = 30, 2


class Asked(NamedTuple):
    """The arguments of fit that decide what is fitted and how, as they were given; `effort` is checked."""

    method: Any
    steps: Any
    grids: Any
    loss: Any
    sample_weight: Any
    validation: Any
    patience: Any
    start: Any
    restarts: Any
    penalty: Any
    monotonic: Any
    convex: Any
    batch_size: Any
    learning_rate: Any
    effort: float

    @property
    def divides(self) -> bool:
        """Whether fit decides which samples are held out, and then fits all of them in the end."""
        return isinstance(self.validation, str)


def as_called(callback: Callable[[FitState], object]) -> Callable[[FitState], object]:
    """Return a callback that sees the caller's handling of floating-point errors, not that of training."""
    handling: Any = np.geterr()

    def call(state: FitState) -> object:
        with np.errstate(**handling):
            return callback(state)

    return call


def redraws(model: Network, start: str, update_grid: bool) -> bool:
    """Return whether the fit may draw new parameters, which lays grids over the data."""
    check_option("start", start, ["auto", "keep", "redraw"])
    if start == "redraw" and not update_grid:
        raise ValueError("Argument `start` must not be 'redraw' with `update_grid` False: starts lay grids anew.")
    return start == "redraw" or (start == "auto" and update_grid and model.is_as_drawn)


def why_not_curved(penalties: Penalties) -> str:
    """Return why Levenberg-Marquardt cannot take an objective."""
    if penalties.active:
        return "Argument `method` must not be 'lm' with `lamb`: use 'lbfgs'."
    return (
        "Argument `loss` must have a curvature for the method 'lm', as a tuple (value, derivative, curvature) or as a "
        "method: use 'lbfgs' without one."
    )


def by_least_squares(method: str) -> str:
    """Return the method that keeps shapes."""
    check_option("method", method, METHODS)
    if method not in ("auto", "lm"):
        raise ValueError(f"Argument `method` must be 'lm' where shapes are known, not {method!r}.")
    return "lm"


def weight_unit(samples: Samples, sample_weight: Any) -> float:
    """Return the caller's weights over those of samples, which are powers of two times smaller or larger."""
    if sample_weight is None:
        return 1.0
    given = float(np.sum(np.asarray(sample_weight, np.float64)))
    unit = given / float(samples.goal.weight.sum(dtype=np.float64))
    return unit if 0.0 < unit < np.inf else 1.0


def budget(restarts: Any, effort: float, *, likelihood: bool) -> tuple[int, int]:
    """Return the largest numbers of draws for a climb and of further climbs; no further ones if draws were given."""
    if isinstance(restarts, str):
        check_option("restarts", restarts, ["auto"])
        most = STARTS if likelihood else _RESTARTS
        return max(round(most * effort), 1), round(_CLIMBS * effort)
    return check_integer("restarts", restarts, 1), 0


def fixed_weight(penalty: Any) -> float | None:
    """Return the weight of a fixed penalty, None where weights are estimated by evidence."""
    if isinstance(penalty, str):
        check_option("penalty", penalty, ["auto"])
        return None
    return 0.0 if penalty is None else check_number("penalty", penalty, 0.0)


def divide(
    model: Network,
    samples: Samples,
    validation: Any,
    grids: Any,
    loss: Any,
    rng: np.random.Generator,
    *,
    by_hash: bool = False,
) -> tuple[Samples, Samples | None, HeldOut | None]:
    """Return training samples, validation samples or None, and the rule by which they were drawn if it is a hash."""
    if isinstance(validation, str):
        if validation != "auto":
            raise ValueError(
                f"Argument `validation` must be 'auto', None, a fraction or (x, y), not {shown(validation)}."
            )
        validation = holdout(validation, grids, samples.distinct)
    if validation is None:
        return samples, None, None
    if isinstance(validation, float | np.floating | int | np.integer) and not isinstance(validation, bool):
        return split_by_hash(samples, validation, rng) if by_hash else (*split(samples, validation, rng), None)
    return samples, validation_samples(model, validation, loss), None
