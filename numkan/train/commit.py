"""Training works on a copy; accepted steps are written into the caller's model here, completely or not at all."""

from __future__ import annotations

from numkan._check import FloatArray
from numkan.layer.layer import KANLayer
from numkan.model.network import Network

__all__ = ["commit_grids", "commit_params", "refuses", "scratch_copy"]


def scratch_copy(model: Network) -> Network:
    """Return a copy to work on, which has values outside its grids under every policy, as in refits of grids.

    NaN a little beyond the activations would end training after a few steps. At the end the hidden grids are laid over
    the activations once more, so that the policy refuses none of the training samples.
    """
    work = model.copy()
    for layer in work.act_fun:
        if refuses(layer):
            layer.extrapolate = "continue"
    return work


def refuses(layer: KANLayer) -> bool:
    """Return whether a layer has no values outside its grid."""
    return not layer.basis.outside.has_values


def commit_params(model: Network, theta: FloatArray) -> None:
    """Write parameters into a model, by one copy of memory that no signal interrupts."""
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
