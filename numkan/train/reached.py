"""The state after a stage of Levenberg-Marquardt, beside the best point of the session."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from numkan._check import FloatArray
from numkan.train.evidence import Evidence
from numkan.train.roughness import measures
from numkan.train.splines import Splines
from numkan.train.tree import Tree, array, items, knots, real, reals

__all__ = ["Reached", "reached_of", "reached_tree", "splines_of", "splines_tree", "weights_of"]

#: The estimate of the noise before the first stage.
_UNKNOWN = Evidence(math.nan, math.nan, math.inf)

#: Residuals are falling if a stage has brought them below this share of the previous ones.
_FALLING = 0.5


@dataclass(slots=True)
class Reached:
    """The state after a stage, beside the best point of the session."""

    splines: Splines  #: at the best point
    weights: list[FloatArray] | None = None  #: of the penalties, in the stage that the best point is of
    evidence: Evidence = _UNKNOWN
    noises: list[float] = field(default_factory=lambda: [math.inf])  #: before the first stage, and after each
    least_noise: float = 0.0  #: that held-out samples show
    score_before: float = math.inf  #: of the stage before, without held-out samples
    is_smooth: bool = False  #: whether the weights are those of the measures of smooth curves

    def copy(self) -> Reached:
        """Return a copy that later stages do not change."""
        return replace(self, noises=self.noises.copy())

    @property
    def is_falling(self) -> bool:
        """Whether the last stage has lowered the residuals by much."""
        return len(self.noises) > 1 and self.noises[-1] < _FALLING * self.noises[-2]


# --- checkpoints --------------------------------------------------------------------------------------------------


def splines_tree(splines: Splines) -> Tree:
    """Return knots and coefficients."""
    return {"grids": [layer.grid for layer in splines.layers], "coefs": list(splines.coefs)}


def splines_of(tree: Tree, template: Splines) -> Splines:
    """Return splines like a template, on these knots, of these coefficients."""
    number = len(template.layers)
    layers, coefs = [], []
    for layer, grid, coef in zip(
        template.layers, items(tree, "grids", number), items(tree, "coefs", number), strict=True
    ):
        layers.append(layer.on(knots(grid, len(layer.live), layer.k)))
        coefs.append(array(coef, layers[-1].shape))
    return Splines(tuple(layers), tuple(coefs))


def weights_of(tree: Tree, template: Splines) -> list[FloatArray]:
    """Return the weights of the penalties, positive, for every measure on every edge."""
    weights = [
        array(weight, (measures(layer.k), *layer.live.shape))
        for layer, weight in zip(template.layers, items(tree, "weights", len(template.layers)), strict=True)
    ]
    if not all((weight >= 0.0).all() for weight in weights):
        raise ValueError("a weight is negative or NaN.")
    return weights


def reached_tree(reached: Reached) -> Tree:
    """Return all of it."""
    return {
        "splines": splines_tree(reached.splines),
        "weights": None if reached.weights is None else list(reached.weights),
        "evidence": list(reached.evidence),
        "noises": list(reached.noises),
        "least_noise": reached.least_noise,
        "score_before": reached.score_before,
        "is_smooth": reached.is_smooth,
    }


def reached_of(tree: Tree, template: Splines) -> Reached:
    """Return the state of a tree that :func:`reached_tree` made, for splines like a template."""
    weights: Any = None if tree["weights"] is None else weights_of(tree, template)
    noises = reals(tree["noises"])
    if not noises or min(noises) < 0.0 or 0.0 in noises[1:]:
        raise ValueError("a noise is not positive.")
    return Reached(
        splines_of(tree["splines"], template),
        weights,
        Evidence(*reals(tree["evidence"], len(Evidence._fields))),
        noises,
        real(tree, "least_noise"),
        real(tree, "score_before"),
        bool(tree["is_smooth"]),
    )
