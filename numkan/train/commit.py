"""Training works on a copy; what it accepts is written into the caller's model here, whole or not at all."""

from __future__ import annotations

from numkan._check import FloatArray
from numkan.layer.layer import KANLayer
from numkan.model.network import Network

__all__ = ["commit_grids", "commit_params", "refuses", "scratch_copy"]


def scratch_copy(model: Network) -> Network:
    """Return a copy to work on. Training goes on outside the grids under every policy, as the refits of grids do.

    A wall of NaN a little beyond the activations would end it after a few steps. In the end the hidden grids are laid
    over the activations once more, so that the policy refuses none of the training samples.
    """
    work = model.copy()
    for layer in work.act_fun:
        if refuses(layer):
            layer.extrapolate = "continue"
    return work


def refuses(layer: KANLayer) -> bool:
    """Return whether a layer gives nothing outside its grid."""
    return not layer.basis.outside.has_values


def commit_params(model: Network, theta: FloatArray) -> None:
    """Write parameters into a model: one copy of memory, which nothing interrupts."""
    model._theta[:] = theta


def commit_grids(model: Network, work: Network) -> None:
    """Take over grids and parameters; views of the model's parameters stay live unless their shape changes."""
    if work.grid == model.grid:
        model._replace(work.act_fun, work._theta)
        return
    fresh = work.copy()
    for layer, new in zip(model.act_fun, fresh.act_fun, strict=True):
        new.extrapolate = layer.extrapolate
    model._become(fresh)
