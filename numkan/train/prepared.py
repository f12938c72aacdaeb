"""A fit that is prepared: arguments are checked, samples divided, method, grids and steps decided; nothing is changed.

Rows in files, of dask, and arrays of very many rows are stood for by a sample of them (:mod:`numkan.train.many_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numkan.data import Rows
from numkan.model.losses import LOSSES, Loss
from numkan.model.network import Network
from numkan.train.arguments import (
    Asked,
    budget,
    by_least_squares,
    divide,
    fixed_weight,
    redraws,
    weight_unit,
    why_not_curved,
)
from numkan.train.curves import WEIGHT, number_of_samples
from numkan.train.held_out import HeldOut
from numkan.train.journal import Journal
from numkan.train.known import check_known
from numkan.train.least_squares import LeastSquaresOptions
from numkan.train.many_rows import Sampled, rows_of, sampled, takes_blocks
from numkan.train.passes import RowPasses, is_of_dask
from numkan.train.plan import Plan, make_plan
from numkan.train.same_fit import Files, facts_of
from numkan.train.samples import Samples, check_samples
from numkan.train.scale import AS_THEY_ARE, Scale
from numkan.train.session import Session, Settings

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that a fit begins with.

    Attributes
    ----------
    samples, train, held
        All samples, those for training, and those held out, if any.
    everything
        The samples of the last stage.
    rows, rule
        The rows that the samples stand for, if there are more of them, and by which rule some are held out.
    """

    model: Network
    samples: Samples
    train: Samples
    held: Samples | None
    everything: Samples
    rows: Sampled | None
    rule: HeldOut | None
    plan: Plan
    settings: Settings
    options: LeastSquaresOptions
    journal: Journal

    def with_loss(self, loss: Loss) -> Prepared:
        """Return the same with another loss of the same targets."""
        held = None if self.held is None else self.held.with_loss(loss)
        train, everything = self.train.with_loss(loss), self.everything.with_loss(loss)
        return replace(self, samples=self.samples.with_loss(loss), train=train, held=held, everything=everything)

    def session(self, scale: Scale = AS_THEY_ARE) -> Session:
        """Return the session that begins."""
        return Session(self.model, self.train, self.held, self.plan, self.settings, scale, self.journal)


def prepare(
    model: Network, x: Any, y: Any, asked: Asked, settings: Settings, rng: np.random.Generator, files: Files
) -> Prepared:
    """Check arguments, divide the samples, and decide what is left open."""
    samples, rows, asked = _samples(model, x, y, asked)
    options = _options(model, samples, asked, settings)
    asked = asked if options.known is None else asked._replace(method=by_least_squares(asked.method))
    if rows is None and takes_blocks(model, samples, asked, curved=_is_curved(samples, settings)):
        rows, asked = sampled(model, RowPasses(Rows(samples.x, samples.goal.y))), asked._replace(method="lm")
        samples = check_samples(model, rows.x, rows.y, asked.loss, None)
    train, held, rule = samples, None, None
    plan = _plan(model, samples, rows, asked, settings, options)
    if not _is_for_evidence(model, samples, plan, asked):
        by_hash = rows is not None
        train, held, rule = divide(model, samples, asked.validation, asked.grids, asked.loss, rng, by_hash=by_hash)
        plan = _plan(model, train, rows, asked, settings, options)
    if plan.method == "lm" and not _is_curved(samples, settings):
        raise ValueError(why_not_curved(settings.penalties))
    settings = _settled(model, train, plan, asked, settings, options)
    plan.chosen.update(_reasons(samples, held, rows, plan, asked, settings, options))
    others = _other_facts(asked, settings, options)
    journal = files.journal(lambda: facts_of(model, samples, held, plan, settings, others))
    everything = samples if asked.divides else train
    return Prepared(model, samples, train, held, everything, rows, rule, plan, settings, options, journal)


def _samples(model: Network, x: Any, y: Any, asked: Asked) -> tuple[Samples, Sampled | None, Asked]:
    """Return samples, the rows in files or of dask that they stand for, and what is asked for with these."""
    if not (isinstance(x, Rows) or is_of_dask(x)):
        return check_samples(model, x, y, asked.loss, asked.sample_weight), None, asked
    rows = rows_of(model, x, y, asked)
    samples = check_samples(model, rows.x, rows.y, asked.loss, asked.sample_weight)
    return samples, rows, asked._replace(method="adam" if asked.method == "adam" else "lm")


def _is_curved(samples: Samples, settings: Settings) -> bool:
    """Whether Levenberg-Marquardt takes the objective."""
    return samples.goal.loss.is_curved and not settings.penalties.active


def _options(model: Network, samples: Samples, asked: Asked, settings: Settings) -> LeastSquaresOptions:
    """Return the settings of Levenberg-Marquardt."""
    function, redraw = samples.goal.loss, redraws(model, asked.start, settings.update_grid)
    draws, climbs = budget(asked.restarts, asked.effort, likelihood=samples.has_fixed_units)
    return LeastSquaresOptions(
        redraw=redraw,
        restarts=draws,
        climbs=climbs,
        penalty=fixed_weight(asked.penalty),
        weight_unit=weight_unit(samples, asked.sample_weight) if samples.has_fixed_units else 1.0,
        tunes=function is LOSSES["huber"],
        known=check_known(model, asked.monotonic, asked.convex, function, redraw=redraw),
    )


def _plan(
    model: Network,
    samples: Samples,
    rows: Sampled | None,
    asked: Asked,
    settings: Settings,
    options: LeastSquaresOptions,
) -> Plan:
    """Return the plan for training samples, or for the rows in place of them that Adam streams."""
    likelihood = samples.has_fixed_units
    n = len(samples) if rows is None or asked.method != "adam" else rows.stand_for(len(samples))
    curved = not likelihood or options.penalty is None or asked.method == "lm"
    return make_plan(
        model, n, asked.method, asked.grids, asked.steps, asked.batch_size, asked.learning_rate, asked.patience,
        curved=curved and _is_curved(samples, settings),
        redraw=options.redraw,
        distinct=len(samples) if likelihood else samples.distinct,
        likelihood=likelihood,
    )  # fmt: skip


def _is_for_evidence(model: Network, samples: Samples, plan: Plan, asked: Asked) -> bool:
    """Whether evidence decides what samples would else be held out for."""
    automatic = asked.divides and asked.validation == "auto"
    return samples.has_fixed_units and plan.method == "lm" and model.depth == 1 and automatic


def _settled(
    model: Network, train: Samples, plan: Plan, asked: Asked, settings: Settings, options: LeastSquaresOptions
) -> Settings:
    """Return the settings with what the method decides."""
    redrawn = options.redraw and plan.method == "lm"
    settings = replace(settings, anew=redrawn or (model.is_as_drawn and asked.start != "keep"))
    if plan.method == "lm" or not train.goal.loss.is_likelihood:
        return settings
    weight = WEIGHT if options.penalty is None else options.penalty
    return replace(settings, curves=weight / number_of_samples(train.goal))


def _reasons(
    samples: Samples,
    held: Samples | None,
    rows: Sampled | None,
    plan: Plan,
    asked: Asked,
    settings: Settings,
    options: LeastSquaresOptions,
) -> dict[str, str]:
    """Return reasons of what was left open, beside those of the plan."""
    reasons: dict[str, str] = {}
    if rows is not None:
        reasons["rows"] = rows.described_streamed() if plan.method == "adam" else rows.described()
    if asked.divides and held is not None:
        reasons["validation"] = f"{len(held)} of {len(samples)} samples held out, to choose the grid by"
    if settings.curves and options.penalty is None:
        reasons["penalty"] = f"{WEIGHT:g}: on curves that rise, which keeps probabilities off 0 and 1"
    if plan.method == "lm":
        starts = ("keep: the model goes on", "redraw: the model is as its constructor drew it")
        reasons["start"] = starts[options.redraw]
    return reasons


def _other_facts(asked: Asked, settings: Settings, options: LeastSquaresOptions) -> dict[str, Any]:
    """Return what identifies a fit beside its model, samples and plan."""
    known = options.known
    return {
        "start": asked.start,
        "restarts": options.restarts,
        "effort": options.climbs,
        "penalty": options.penalty,
        "anew": settings.anew,
        "monotonic": known and known.rise,
        "convex": known and known.bend,
    }
