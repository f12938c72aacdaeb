"""The identity of a fit: a resumed fit must have the model, data and settings of the one that was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from numkan._check import check_integer
from numkan._npz import BROKEN, check_path
from numkan._shown import shown
from numkan.model.losses import Loss
from numkan.model.network import Network
from numkan.train.checkpoint import Checkpoint, Path_, broken, read_checkpoint
from numkan.train.journal import Journal
from numkan.train.plan import Plan
from numkan.train.samples import Samples, generator_state, set_generator_state
from numkan.train.session import Settings

__all__ = ["Files", "facts_of"]

#: Facts that error messages do not show, because they are digests of arrays; the name of the model is no argument.
_ARRAYS = ("x", "y", "sample_weight", "validation")

Facts = dict[str, Any]


class Files:
    """The files that a fit is resumed from, and writes; its arguments are checked."""

    def __init__(self, checkpoint: object, every: object, resume: object) -> None:
        self._path = None if checkpoint is None else check_path(checkpoint, "checkpoint")
        self._every = check_integer("every", every, 1)
        self._resume = None if resume is None else check_path(resume, "resume")
        self._read = None if self._resume is None else read_checkpoint(self._resume)
        self._generator = ""

    def begin(self, rng: np.random.Generator, *, is_anew: bool) -> None:
        """Take note of the random numbers; with fresh ones, take those that the resumed fit began with."""
        if self._path is None and self._read is None:
            return  # not every generator can report its state
        if self._read is not None and is_anew:
            try:
                set_generator_state(rng, self._read.generator)
            except BROKEN:
                raise ValueError(
                    "Argument `random_state` must be the generator of the fit that `resume` goes on with, not None."
                ) from None
        self._generator = generator_state(rng)

    def journal(self, facts_of_fit: Callable[[], Facts]) -> Journal:
        """Return the journal of the fit of some facts. The first checkpoint is written."""
        if self._path is None and self._read is None:
            return Journal()
        facts = json.loads(json.dumps({**facts_of_fit(), "random_state": _digest(self._generator.encode())}))
        checkpoint = Checkpoint(facts, self._generator, [])
        if self._read is not None:
            assert self._resume is not None
            _compare(facts, self._read.facts, self._resume)
            checkpoint = self._read
        journal = Journal(checkpoint, self._path, self._every, self._resume)
        journal.begin()
        return journal


def _compare(now: Facts, then: Facts, path: Path_) -> None:
    """Raise an error that names the first difference between two fits."""
    if set(now) != set(then):
        raise broken(path, ValueError("it does not say which fit it is of."))
    for name, value in now.items():
        if value == then[name]:
            continue
        fit = "the fit that `resume` goes on with"
        if name == "numkan":
            raise ValueError(f"Argument `resume` must name a checkpoint of numkan {value}, not of {shown(then[name])}.")
        if name == "model":
            raise ValueError(
                "Argument `resume` must name a checkpoint of a fit that began with this model: its settings, "
                "parameters, grids or masks were others."
            )
        if name in _ARRAYS:
            raise ValueError(f"Argument `{name}` must be the same as in {fit}.")
        if name == "random_state":
            raise ValueError(f"Argument `random_state` must be the same as in {fit}, or None.")
        raise ValueError(f"Argument `{name}` must be {shown(then[name])}, as in {fit}, not {shown(value)}.")


def facts_of(
    model: Network, samples: Samples, held: Samples | None, plan: Plan, settings: Settings, others: Facts
) -> Facts:
    """Return the facts that identify a fit; arrays by their digests."""
    goal = samples.goal
    penalties = asdict(settings.penalties)
    return {
        "numkan": version("numkan"),
        "model": _model(model),
        "x": _arrays(samples.x),
        "y": _arrays(goal.y, goal.label),
        "sample_weight": _arrays(goal.weight),
        "loss": _loss(goal.loss),
        "validation": None if held is None else _arrays(held.x, held.goal.y, held.goal.label, held.goal.weight),
        "method": plan.method,
        "grids": list(plan.grids) or None,
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "patience": plan.patience,
        "update_grid": settings.update_grid,
        "grid_update_num": settings.grid_update_num,
        **penalties,
        **others,
    }


def _loss(loss: Loss) -> str:
    """Return the name of a loss; of a user's functions, theirs."""
    functions = getattr(loss, "functions", None)
    if functions is None:
        return repr(loss) if hasattr(loss, "__dataclass_fields__") else loss.name
    return ", ".join(getattr(function, "__qualname__", type(function).__qualname__) for function in functions)


def _model(model: Network) -> str:
    parts: list[Any] = [str(model.dtype), model.width, model.grid, model.k, model.is_as_drawn]
    for layer in model.act_fun:
        base = layer.base_fun if isinstance(layer.base_fun, str) else "given"
        parts.append([layer.extrapolate, layer.grid_eps, layer.sp_trainable, layer.sb_trainable, base])
    arrays = [
        getattr(layer, name) for layer in model.act_fun for name in ("grid", "mask", "scale_base", "scale_sp", "coef")
    ]
    return _digest(json.dumps(parts).encode(), *arrays)


def _arrays(*arrays: Any) -> str:
    return _digest(*(part for array in arrays for part in (str((array.shape, array.dtype)).encode(), array)))


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).data)
    return digest.hexdigest()
