"""Live inkan and flashkan, cubic splines on even knots, behind the adapter protocol.

Policies: degree 3 only, even knots only, no grid updates; the padded basis fades outside. A layer of theirs has one
grid for all of its inputs, so that a layer of several inputs here is one of theirs for each input, added up. They have
no spline scales and no masks: both go into the weights. Bases run uncompiled, through the functions that both export
for tests (``*_eager``); compiled ones are the same formulas.

flashkan makes its knots in float32 for any default dtype, and states its accuracy in float32: it is judged in float32
alone.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import flashkan
import inkan
import numpy as np
import torch
from _adapter_torch import Array, TorchLayers, array, default_dtype, derivative, fill
from flashkan.basis import bspline_basis_eager as flashkan_basis

from numkan.conformance.adapter import Layer


class _Identity(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return x


class _Zero(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.zeros_like(x)


_BASES = {"silu": torch.nn.SiLU, "identity": _Identity, "zero": _Zero}


def settings(knots: Array, k: int, base_fun: str) -> dict[str, Any]:
    """Return the options of a layer whose domain is that of the knots; both libraries call them the same."""
    ends, G = (float(knots[k]), float(knots[-1 - k])), len(knots) - 2 * k - 1
    return {"grid_size": G, "spline_order": k, "grid_range": ends, "base_activation": _BASES[base_fun]}


class _Inputs(torch.nn.Module):
    """One layer of the library for each input; outputs add up."""

    def __init__(self, layers: list[Any]) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x: Any) -> Any:
        return sum(layer(x[:, i : i + 1]) for i, layer in enumerate(self.layers))


class Even(TorchLayers):
    """The part that both share."""

    extrapolation = "fade"
    right_end = "closed"
    degenerate_knots = "error"
    bits = "rounding"
    base_fun = ("silu", "identity", "zero")
    degrees = (3,)
    uniform_only = True

    def layer_on(self, knots: Array, k: int, n_out: int, base_fun: str) -> Any:
        """Return a layer of one input whose domain is that of the knots."""
        raise NotImplementedError

    def values(self, made: Any, x: Any) -> Any:
        """Return its basis at points (n, 1): (n, 1, G + 3)."""
        raise NotImplementedError

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        with default_dtype(knots.dtype):
            made = self.layer_on(knots, k, 1, "silu")
            return derivative(lambda z: self.values(made, z[:, None])[:, 0], x, k, nu)

    def build(self, layer: Layer) -> Any:
        with default_dtype(layer.coef.dtype):
            made = [self.layer_on(knots, layer.k, layer.n_out, layer.base_fun) for knots in layer.grid]
        spline = (layer.mask * layer.scale_sp)[:, :, None] * layer.coef
        base = layer.mask * layer.scale_base
        for one, weight, share in zip(made, spline, base, strict=True):
            self.give(one, weight, share)
        return _Inputs(made)

    def give(self, made: Any, spline: Array, base: Array) -> None:
        """Set spline weights (n_out, G + 3) and base weights (n_out,) of a layer of one input."""
        raise NotImplementedError

    def gradients(self, module: Any, layer: Layer) -> dict[str, Array]:
        """Pass the weights' gradients on: weight = mask * scale_sp * coef."""
        pairs = [self.taken(one) for one in module.layers]
        spline, base = (np.stack([pair[place] for pair in pairs]) for place in (0, 1))
        return {
            "coef": (layer.mask * layer.scale_sp)[:, :, None] * spline,
            "scale_base": layer.mask * base,
            "scale_sp": layer.mask * (layer.coef * spline).sum(axis=2),
        }

    def taken(self, made: Any) -> tuple[Array, Array]:
        """Return the gradients of spline weights and base weights."""
        raise NotImplementedError


class Inkan(Even):
    """inkan."""

    name = "inkan"
    version = metadata.version("inkan")
    dtype = ("float64", "float32")

    def layer_on(self, knots: Array, k: int, n_out: int, base_fun: str) -> Any:
        return inkan.KANLayer(1, n_out, **settings(knots, k, base_fun), compile_basis=False)

    def values(self, made: Any, x: Any) -> Any:
        return inkan.bspline_basis_local_eager(x, made.grid_starts, made.inv_h, made.n_bases)

    def give(self, made: Any, spline: Array, base: Array) -> None:
        fill(made.weight, np.concatenate([spline, base[:, None]], axis=1))

    def taken(self, made: Any) -> tuple[Array, Array]:
        both = array(made.weight.grad)
        return both[:, :-1], both[:, -1]


class Flashkan(Even):
    """flashkan."""

    name = "flashkan"
    version = metadata.version("flashkan")
    dtype = ("float32",)
    right_end = "open"  # third derivatives on a knot, the last one too, are those on its right

    def layer_on(self, knots: Array, k: int, n_out: int, base_fun: str) -> Any:
        return flashkan.KANLayer(1, n_out, **settings(knots, k, base_fun))

    def values(self, made: Any, x: Any) -> Any:
        return flashkan_basis(x, made.grid_starts, made.inv_h)

    def outputs(self, module: Any, x: Any) -> Any:
        """Run the layer's own forward pass, with its basis uncompiled."""
        compiled = flashkan.layer.bspline_basis
        flashkan.layer.bspline_basis = flashkan_basis
        try:
            return module(x)
        finally:
            flashkan.layer.bspline_basis = compiled

    def give(self, made: Any, spline: Array, base: Array) -> None:
        fill(made.spline_weight, spline[:, None])
        fill(made.base_weight, base[:, None])

    def taken(self, made: Any) -> tuple[Array, Array]:
        return array(made.spline_weight.grad)[:, 0], array(made.base_weight.grad)[:, 0]


inkan_adapter, flashkan_adapter = Inkan(), Flashkan()
