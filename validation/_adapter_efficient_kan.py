"""The formulas of efficient-kan (`_efficient_kan_formulas.py`) behind the adapter protocol.

Policies: the padded basis fades outside; spans are half-open; layers of degree 0 cannot be built. Nothing is promised
for repeated knots: "error" is the declaration that asks least, and leaves them out of all laws but one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from _adapter_torch import Array, TorchLayers, array, derivative, fill, tensor
from _efficient_kan_formulas import KANLinear, b_splines

from numkan.conformance.adapter import Layer

_BASES = {"silu": torch.nn.functional.silu, "identity": lambda x: x, "zero": torch.zeros_like}


class EfficientKan(TorchLayers):
    """Its functions and layers."""

    name = "efficient-kan"
    version = "formulas"
    dtype = ("float64", "float32")
    extrapolation = "fade"
    right_end = "open"
    degenerate_knots = "error"
    bits = "rounding"
    grid_update = "efficient-kan"
    short_rank = "least norm"
    base_fun = ("silu", "identity", "zero")
    degrees = (1, 2, 3, 4, 5)

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        grid = tensor(knots)[None]
        return derivative(lambda z: b_splines(z[:, None], grid, k)[:, 0], x, k, nu)

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int) -> Array:
        module = KANLinear(1, 1, len(knots) - 2 * k - 1, k)
        module.grid = tensor(knots)[None]
        return array(module.curve2coeff(tensor(x)[:, None], tensor(y)[:, None, None])[0, 0])

    def build(self, layer: Layer) -> Any:
        """Set its parameters. It has no masks: weights of masked edges are 0."""
        module = KANLinear(layer.n_in, layer.n_out, layer.G, layer.k)
        module.base_activation = _BASES[layer.base_fun]
        module.grid = tensor(layer.grid)
        fill(module.base_weight, (layer.mask * layer.scale_base).T)
        fill(module.spline_weight, layer.coef.transpose(1, 0, 2))
        fill(module.spline_scaler, (layer.mask * layer.scale_sp).T)
        return module

    def gradients(self, module: Any, layer: Layer) -> dict[str, Array]:
        return {
            "coef": np.ascontiguousarray(array(module.spline_weight.grad).transpose(1, 0, 2)),
            "scale_base": layer.mask * array(module.base_weight.grad).T,
            "scale_sp": layer.mask * array(module.spline_scaler.grad).T,
        }

    def update_grid(self, layer: Layer, x: Array, grid_eps: float) -> Layer:
        module = self.build(layer)
        module.grid_eps = grid_eps
        module.update_grid(tensor(x))
        coef = np.ascontiguousarray(array(module.spline_weight).transpose(1, 0, 2))
        return layer.replace(grid=array(module.grid), coef=coef)


adapter = EfficientKan()
