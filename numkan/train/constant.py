"""Inputs that are constant in training: no sample determines their edges beyond that one value.

Training does not change these edges. If a model is trained from the beginning, they are set to 0 first, so that not one
bit of its outputs depends on such an input, inside its grid or outside. If training continues, they keep their curves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan.model.network import Network
from numkan.train.samples import Samples

__all__ = ["constant_edges", "flattened", "held_edges", "moving", "silence"]

Edges = NDArray[np.bool_]  # (n_in, n_out), of the first layer


def constant_edges(model: Network, samples: Samples) -> Edges:
    """Return the edges of the first layer whose input is the same in all samples that have a weight."""
    x, weight = samples.x, samples.goal.weight
    if weight.size:
        x = x[weight > 0]
    constant = (x == x[0]).all(axis=0)
    return np.repeat(constant[:, None], model.act_fun[0].n_out, axis=1)


def held_edges(model: Network, samples: Samples) -> Edges:
    """Return the constant edges, except those of an output that has no other edges."""
    held = constant_edges(model, samples)
    if model.depth == 1:
        layer = model.act_fun[0]
        able = (layer.mask != 0) & ((layer.scale_sp != 0) | layer.sp_trainable)
        held &= (able & ~held).any(axis=0)
    return held


def silence(model: Network, edges: Edges) -> None:
    """Make some edges of the first layer 0, in place, except base scales that are not trained."""
    layer = model.act_fun[0]
    layer.coef[edges] = 0
    if layer.sb_trainable:
        layer.scale_base[edges] = 0


def moving(model: Network, held: Edges) -> NDArray[np.bool_] | None:
    """Return which parameters (n_params,) training may change; None where it may change all."""
    if not held.any():
        return None
    free = np.ones(model.n_params, bool)
    layer = model.act_fun[0]
    sections: dict[str, Any] = layer._sections(free[: layer.n_params])
    for name, section in sections.items():
        section &= ~(held[:, None, :] if name == "coef" else held)
    return free


def flattened(model: Network, edges: Edges, x: FloatArray) -> Network:
    """Return a copy of a network of one layer in which some edges are constants; its outputs at x (n_in,) stay."""
    new = model.copy()
    silence(new, edges)
    layer = new.act_fun[0]
    scale = layer.mask * layer.scale_sp
    able = edges & (scale != 0)
    missing = (model(x[None]) - new(x[None]))[0] / np.maximum(able.sum(axis=0), 1)
    shares = np.divide(missing, scale, out=np.zeros_like(scale), where=able)
    layer.coef[...] += shares[:, :, None]
    return new
