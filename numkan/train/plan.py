"""The plan of a fit, made before it begins: method, ladder of grids, steps and batches, with reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numkan._check import check_integer, check_number, check_option, is_list
from numkan._shown import shown
from numkan.compile import jit_is_off
from numkan.model.network import Network

__all__ = ["METHODS", "Plan", "holdout", "is_cheap_enough", "make_plan"]

METHODS = ("auto", "lm", "lbfgs", "adam")

#: Multiply-adds of one evaluation of loss and gradient up to which L-BFGS runs on all samples: about 0.1 s on a core.
_FULL_BATCH_WORK = 300_000_000

#: Levenberg-Marquardt: steps in a stage.
_LM_STEPS = 80

#: It is chosen up to this many multiply-adds a step (none where kernels are not compiled) and this many coefficients.
_LM_WORK = 0 if jit_is_off() else 1_000_000_000
_LM_COEFFICIENTS = 1500

#: Its ladder goes from the first grid to the finest in ratios of at most `_LM_RATIO`. The finest has at most
#: `_LM_SHARE` coefficients for each target; the first, where penalties help, `_LM_COARSE_SHARE`. A further grid must be
#: `_LM_WORTH` times as fine.
_LM_FIRST_GRID, _LM_RATIO, _LM_FINEST_GRID = 5, 5.5, 256
_LM_SHARE, _LM_COARSE_SHARE, _LM_WORTH = 0.8, 2.0, 1.4

#: A class or a count determines less than a number: the finest grid has this share of coefficients for each sample.
_LM_LIKELIHOOD_SHARE = 0.2

#: Where the order of the splines has brought errors down by this factor, rounding is near.
_LM_SMALLEST = 1e-13

#: The normal equations of more coefficients are refused: they take a gigabyte, twice.
_LM_MAX_COEFFICIENTS = 11_000

#: L-BFGS: steps in a stage. It ends earlier where the loss falls no further.
_LBFGS_STEPS = 2000

#: Adam: passes over the samples in a stage, and their batches.
_EPOCHS = 60
_MIN_ADAM_STEPS = 500
_BATCH = 256

#: The ladder ``grids="auto"`` doubles the grid while there are this many targets for each coefficient.
_TARGETS_PER_COEFFICIENT = 1.5
_FINEST_GRID = 80

#: Held out for ``validation="auto"`` with ``grids="auto"``, where there are samples enough.
_HELD_OUT = 0.15
_MIN_TO_HOLD_OUT = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions. `chosen` has those that the caller left open, with their reasons."""

    method: str
    grids: tuple[int, ...]
    steps: int
    batch_size: int | None
    learning_rate: float
    patience: int
    chosen: dict[str, str] = field(default_factory=dict)


def holdout(validation: Any, grids: Any, n: int) -> float | None:
    """Return the share that ``validation="auto"`` holds out; None without an automatic ladder, or with few samples."""
    automatic = isinstance(grids, str) and n >= _MIN_TO_HOLD_OUT
    return _HELD_OUT if automatic else None


def make_plan(
    model: Network,
    n: int,
    method: str,
    grids: Any,
    steps: Any,
    batch_size: Any,
    learning_rate: Any,
    patience: Any,
    *,
    curved: bool,
    redraw: bool,
    distinct: int | None = None,
    likelihood: bool = False,
) -> Plan:
    """Check what was asked for, and decide the rest for `n` training samples.

    `curved` says whether the objective is one that Levenberg-Marquardt takes, `redraw` whether training may begin anew,
    `distinct` how many samples are left without copies, which limits the number of coefficients. The targets of a
    `likelihood` determine fewer coefficients than numbers do.
    """
    check_option("method", method, METHODS)
    chosen: dict[str, str] = {}
    distinct = n if distinct is None else distinct
    if batch_size is not None:
        batch_size = min(check_integer("batch_size", batch_size, 1), n)
        if method in ("lm", "lbfgs"):
            raise ValueError(f"Argument `batch_size` must be None for method {method!r}, not {batch_size}: use 'adam'.")
    if method == "auto":
        method = _method(model, n, batch_size, chosen, curved=curved)
    if method == "lm":
        ladder = _lm_ladder(model, distinct, grids, chosen, redraw=redraw, likelihood=likelihood)
        _check_normal_equations(model, ladder)
    else:
        ladder = _ladder(model, distinct, grids, chosen)
    if method == "adam" and batch_size is None:
        batch_size = min(n, _BATCH)
        chosen["batch_size"] = f"{batch_size}: at most {_BATCH} of {n} samples"
    steps = _steps(n, method, batch_size, steps, chosen)
    rate = 0.01 if learning_rate is None else check_number("learning_rate", learning_rate, 0.0, exclusive=True)
    if patience is None:
        patience = 100 if method in ("lm", "lbfgs") else 20 * max(n // batch_size, 1)
    patience = check_integer("patience", patience, 1)
    return Plan(method, ladder, steps, batch_size if method == "adam" else None, rate, patience, chosen)


def _method(model: Network, n: int, batch_size: int | None, chosen: dict[str, str], *, curved: bool) -> str:
    if batch_size is not None:
        chosen["method"] = "adam: a batch size was given"
        return "adam"
    size, work = _normal_equations(model, n)
    if curved and is_cheap_enough(model, n):
        chosen["method"] = (
            f"lm: normal equations of {size} coefficients or more take about {work:.0e} multiply-adds a step, no more "
            f"than {_LM_WORK:.0e}"
        )
        return "lm"
    work = 3 * n * sum(layer.n_in * layer.n_out * (layer.k + 2) for layer in model.act_fun)
    method = "lbfgs" if work <= _FULL_BATCH_WORK else "adam"
    cost = f"a gradient over all {n} samples takes about {work:.0e} multiply-adds"
    limit = "no more than" if method == "lbfgs" else "more than"
    chosen["method"] = f"{method}: {cost}, {limit} {_FULL_BATCH_WORK:.0e}"
    return method


def is_cheap_enough(model: Network, n: int) -> bool:
    """Whether steps of Levenberg-Marquardt on n samples are cheap enough to be the default."""
    size, work = _normal_equations(model, n)
    return work <= _LM_WORK and size <= _LM_COEFFICIENTS and _has_slopes(model)


def _has_slopes(model: Network) -> bool:
    """Whether all layers have slopes: splines of degree 0 have none."""
    return all(layer.k > 0 for layer in model.act_fun[1:])


def _normal_equations(model: Network, n: int) -> tuple[int, float]:
    """Return the number of coefficients on the coarsest grid of the ladder, and the multiply-adds of a step there."""
    size = sum(layer.n_in * layer.n_out * (_LM_FIRST_GRID + layer.k) for layer in model.act_fun)
    row = sum(layer.n_in * layer.n_out * (layer.k + 1) for layer in model.act_fun)
    return size, n * model.n_out * min(row**2, size**2) / 2 + size**3 / 3


def _check_normal_equations(model: Network, ladder: tuple[int, ...]) -> None:
    """Raise an error if the normal equations do not fit into memory."""
    for G in ladder or (max(model.grid),):
        size = sum(layer.n_in * layer.n_out * (G + layer.k) for layer in model.act_fun)
        if size > _LM_MAX_COEFFICIENTS:
            raise ValueError(
                f"Argument `method` must not be 'lm' for {size} coefficients (grid {G}), whose normal equations take "
                f"{8 * size**2} bytes: use 'auto', 'lbfgs' or 'adam', or a coarser grid."
            )


def _lm_ladder(
    model: Network, n: int, grids: Any, chosen: dict[str, str], *, redraw: bool, likelihood: bool
) -> tuple[int, ...]:
    """Return the ladder of Levenberg-Marquardt, in even ratios up to the finest grid that samples and time allow."""
    if not isinstance(grids, str):
        return _ladder(model, n, grids, chosen)
    check_option("grids", grids, ["auto"])
    edges = sum(layer.n_in * layer.n_out for layer in model.act_fun)
    targets, share = (n, _LM_LIKELIHOOD_SHARE) if likelihood else (n * model.n_out, _LM_SHARE)
    most = min(share * targets, _LM_COEFFICIENTS) / edges - max(model.k)
    rounding = _LM_SMALLEST ** (-1.0 / (max(model.k) + 1))
    finest = int(max(min(most, _LM_FINEST_GRID, rounding), 1))
    coarse = int(max(min(_LM_COARSE_SHARE * targets, _LM_COEFFICIENTS) / edges - max(model.k), 1))
    first = min(_LM_FIRST_GRID, coarse) if redraw else max(model.grid)
    ratio = max(finest / first, 1.0)
    rungs = math.ceil(math.log(ratio) / math.log(_LM_RATIO))
    ladder = [round(first * ratio ** (rung / rungs)) for rung in range(rungs)] + [max(first, finest)]
    ladder = ladder if ratio >= _LM_WORTH else [first]
    chosen["grids"] = (
        f"{ladder}: up to {share:g} coefficients for each of {targets} targets, {_LM_COEFFICIENTS} in all, "
        f"and grid {int(min(_LM_FINEST_GRID, rounding))}"
    )
    return tuple(ladder)


def _ladder(model: Network, n: int, grids: Any, chosen: dict[str, str]) -> tuple[int, ...]:
    """Return the grids of the stages; empty where the model's own grids are to stay."""
    if grids is None:
        return ()
    if isinstance(grids, str):
        check_option("grids", grids, ["auto"])
        first = max(model.grid)
        ladder = [first]
        edges = sum(layer.n_in * layer.n_out for layer in model.act_fun)
        while 2 * ladder[-1] <= _FINEST_GRID:
            size = edges * (2 * ladder[-1] + max(model.k))
            if size * _TARGETS_PER_COEFFICIENT > n * model.n_out:
                break
            ladder.append(2 * ladder[-1])
        chosen["grids"] = (
            f"{ladder}: doubled from the model's {first} while {n * model.n_out} targets are at least "
            f"{_TARGETS_PER_COEFFICIENT:g} times the spline coefficients"
        )
        return () if len(ladder) == 1 else tuple(ladder)
    if isinstance(grids, int | np.integer) and not isinstance(grids, bool):
        grids = [grids]
    if not is_list(grids):
        raise TypeError(f"Argument `grids` must be None, 'auto', an integer or a list of integers, not {shown(grids)}.")
    if len(grids) == 0:
        raise ValueError("Argument `grids` must have at least one entry, not 0.")
    return tuple(check_integer(f"grids[{place}]", G, 1) for place, G in enumerate(grids))


def _steps(n: int, method: str, batch_size: int | None, steps: Any, chosen: dict[str, str]) -> int:
    if steps is not None and not isinstance(steps, str):
        return check_integer("steps", steps, 0)
    if steps is not None:
        check_option("steps", steps, ["auto"])
    if method == "lm":
        chosen["steps"] = f"at most {_LM_STEPS} in a stage"
        return _LM_STEPS
    if method == "lbfgs" or batch_size is None:
        chosen["steps"] = f"at most {_LBFGS_STEPS} in a stage; a stage ends when the loss stops falling"
        return _LBFGS_STEPS
    number = max(_EPOCHS * max(n // batch_size, 1), _MIN_ADAM_STEPS)
    chosen["steps"] = f"{number} in a stage: {_EPOCHS} passes over the samples, at least {_MIN_ADAM_STEPS} steps"
    return number
