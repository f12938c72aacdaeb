"""Shapes that are known of a function, as arguments of a fit, and in its training; see :mod:`numkan.model.shapes`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import check_length, is_list
from numkan._shown import shown
from numkan.model.losses import Loss
from numkan.model.network import Network
from numkan.model.shapes import EdgeChart, Shapes
from numkan.optimize import Nielsen
from numkan.optimize.bounded import Bounded
from numkan.train.splines import Splines

__all__ = ["Known", "check_known", "rule_of"]

#: Policies under which a curve that rises in its grid rises outside, and one that is convex there is convex outside.
_RISING, _CONVEX = ("linear", "clamp"), ("linear",)

#: If the shape in some inputs is not known, one node in this number of a hidden layer is left without a shape too.
_ONE_FREE_IN = 3


@dataclass(frozen=True)
class Known:
    """What is known of every input: 1 where outputs rise (are convex), -1 where they fall (are concave), or 0."""

    rise: tuple[int, ...]
    bend: tuple[int, ...]
    outputs: tuple[int, ...]  # the sense of each output: of two classes the first one falls

    def applied(self, splines: Splines) -> Splines:
        """Return splines near the given ones that have the shapes; edges that could break a shape are switched off."""
        layers, coefs, part = [], [], np.array(self.rise)
        for depth, (layer, coef) in enumerate(zip(splines.layers, splines.coefs, strict=True)):
            is_last = depth == len(splines.layers) - 1
            after = np.array(self.outputs) if is_last else self._nodes(layer.shape[2], len(splines.layers) - 2 - depth)
            rise = np.outer(part, after)
            live = layer.live * ~np.outer(part != 0, after == 0)
            bend = np.outer(self.bend, after) if len(splines.layers) == 1 else np.zeros_like(rise)
            known = Shapes(*((sign * (live > 0.0)).astype(np.int8) for sign in (rise, bend)))
            base = np.where((known.rise != 0) | (known.bend != 0) | (live == 0.0), 0.0, layer.base_scale)
            layers.append(replace(layer, live=live, known=known, base_scale=base))
            coefs.append(known.of_shape(coef * live[:, None, :], layer.grid, layer.k))
            part = np.abs(after)
        return Splines(tuple(layers), tuple(coefs))

    def _nodes(self, number: int, later: int) -> NDArray[np.int64]:
        """Return 1 for the nodes of a hidden layer that have a shape, and 0 for the others.

        `later` is the number of hidden layers above it. In the last one all nodes have a shape if only one input is
        free: a node can then have any curve of that input, and a straight line leads from it to the output.
        """
        number_of_free = self.rise.count(0)
        free = number // _ONE_FREE_IN if number_of_free > 1 or (number_of_free and later) else 0
        return (np.arange(number) < number - free).astype(np.int64)


def check_known(model: Network, monotonic: Any, convex: Any, loss: Loss, *, redraw: bool) -> Known | None:
    """Check the arguments of a fit; None where nothing is known."""
    rise, bend = _signs("monotonic", monotonic, model.n_in), _signs("convex", convex, model.n_in)
    if not (any(rise) or any(bend)):
        return None
    name = "monotonic" if any(rise) else "convex"
    if any(bend) and model.depth > 1:
        raise ValueError(f"Argument `convex` must be None for a model of {model.depth} layers: only sums are convex.")
    if loss.takes_labels and model.n_out != 2:
        raise ValueError(f"Argument `{name}` must be None for {model.n_out} classes: of two, the second one rises.")
    policies = _CONVEX if any(bend) else _RISING
    for layer in model.act_fun:
        if layer.extrapolate not in policies:
            allowed = " or ".join(map(repr, policies))
            raise ValueError(
                f"Argument `{name}` must be None for a model whose `extrapolate` is {layer.extrapolate!r}, which does "
                f"not keep the shape of curves outside their grids: set it to {allowed}."
            )
    if any(bend) and model.act_fun[0].k == 0:
        raise ValueError("Argument `convex` must be None for splines of degree 0, which have no slopes.")
    for layer in model.act_fun:
        if layer.scale_base.any() and not (redraw and layer.sb_trainable) and not layer._base.is_zero:
            raise ValueError(
                f"Argument `{name}` must be None for a model that goes on with base functions, whose shape is their "
                "own: set `scale_base` to 0, or draw it anew with start='redraw'."
            )
    outputs = (-1, 1) if loss.takes_labels else (1,) * model.n_out
    return Known(rise, bend, outputs)


def _signs(name: str, value: Any, n_in: int) -> tuple[int, ...]:
    """Return a sign for every input."""
    if value is None:
        return (0,) * n_in
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not is_list(value):
        raise TypeError(f"Argument `{name}` must be None or a list of -1, 0 and 1, not {shown(value)}.")
    check_length(name, value, n_in, "input")
    for sign in value:
        if isinstance(sign, bool) or sign not in (-1, 0, 1):
            raise ValueError(f"Argument `{name}` must hold -1, 0 and 1 only, not {shown(sign)}.")
    return tuple(int(sign) for sign in value)


def rule_of(splines: Splines, damping: float = 1.0, *, scaled: bool = False) -> Nielsen:
    """Return the rule by which Levenberg-Marquardt takes steps from splines: within the bounds of their shapes."""
    if all(layer.known is None for layer in splines.layers):
        return Nielsen(damping, scaled=scaled)
    chart = EdgeChart([(layer.known, layer.grid, layer.k, layer.shape) for layer in splines.layers])
    return Bounded(chart, damping, scaled=scaled)
