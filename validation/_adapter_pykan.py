"""Live pykan behind the adapter protocol.

Choices of pykan's that are policies, not failures: the padded basis fades outside the grid; spans are half-open, the
last one too; degrees start at 1 (a layer of degree 0 cannot be built: its code takes ``grid[:, k:-k]``). Nothing is
promised for repeated knots: "error" is the declaration that asks least, and leaves them out of all laws but one.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np
import torch
from _adapter_torch import Array, TorchLayers, array, default_dtype, derivative, fill, tensor

with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kan
    from kan.KANLayer import KANLayer
    from kan.spline import B_batch, coef2curve, curve2coef

from numkan.conformance.adapter import Layer

_BASES = {"silu": torch.nn.SiLU(), "identity": torch.nn.Identity(), "zero": lambda x: x * 0.0}


class Pykan(TorchLayers):
    """pykan's functions and layers."""

    name = "pykan"
    version = metadata.version("pykan")
    dtype = ("float64", "float32")
    extrapolation = "fade"
    right_end = "open"
    degenerate_knots = "error"
    bits = "rounding"
    grid_update = "pykan"
    short_rank = "least norm"  # torch.linalg.lstsq on a CPU
    base_fun = ("silu", "identity", "zero")
    degrees = (1, 2, 3, 4, 5)

    # --- splines ---

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        grid = tensor(knots)[None]
        return derivative(lambda z: B_batch(z[:, None], grid, k)[:, 0].to(z.dtype), x, k, nu)

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return array(coef2curve(tensor(x)[:, None], tensor(knots)[None], tensor(coef)[None, None], k)[:, 0, 0])

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int) -> Array:
        return array(curve2coef(tensor(x)[:, None], tensor(y)[:, None, None], tensor(knots)[None], k)[0, 0])

    # --- layers ---

    def build(self, layer: Layer) -> Any:
        with default_dtype(layer.coef.dtype):
            module = KANLayer(layer.n_in, layer.n_out, num=layer.G, k=layer.k, base_fun=_BASES[layer.base_fun])
        self._give(module, layer)
        return module

    def _give(self, module: Any, layer: Layer) -> None:
        for name in ("grid", "coef", "scale_base", "scale_sp", "mask"):
            fill(getattr(module, name), getattr(layer, name))

    def _take(self, module: Any, layer: Layer) -> Layer:
        names = ("grid", "coef", "scale_base", "scale_sp", "mask")
        return layer.replace(**{name: array(getattr(module, name)) for name in names})

    def outputs(self, module: Any, x: Any) -> Any:
        return module(x)[0]

    def gradients(self, module: Any, layer: Layer) -> dict[str, Array]:
        return {name: array(getattr(module, name).grad) for name in ("coef", "scale_base", "scale_sp")}

    def update_grid(self, layer: Layer, x: Array, grid_eps: float) -> Layer:
        module = self.build(layer)
        module.grid_eps = grid_eps
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            module.update_grid_from_samples(tensor(x))
        return self._take(module, layer)

    def refine(self, layer: Layer, G: int) -> Layer:
        """Refine as the model's `refine` does each layer, on samples all over the domain."""
        parent = self.build(layer)
        ends = layer.grid[:, [layer.k, -layer.k - 1]].astype(float)
        share = np.linspace(0, 1, 40 * G + 1)[:, None]
        x = (ends[:, 0] * (1 - share) + ends[:, 1] * share).astype(layer.grid.dtype)
        with default_dtype(x.dtype), torch.no_grad():
            child = KANLayer(layer.n_in, layer.n_out, num=G, k=layer.k)
            child.initialize_grid_from_parent(parent, tensor(np.clip(x, *layer.grid[:, [layer.k, -layer.k - 1]].T)))
        return layer.replace(grid=array(child.grid), coef=array(child.coef))

    # --- networks ---

    def _model(self, layers: Sequence[Layer], dtype: Any) -> Any:
        width = [layers[0].n_in, *(layer.n_out for layer in layers)]
        with default_dtype(dtype):
            model = kan.KAN(
                width=width,
                grid=[layer.G for layer in layers],
                k=[layer.k for layer in layers],
                base_fun=layers[0].base_fun,
                symbolic_enabled=False,
                save_act=False,
                auto_save=False,
            )
        for module, layer in zip(model.act_fun, layers, strict=True):
            module.base_fun = _BASES[layer.base_fun]
            self._give(module, layer)
        return model

    def network_forward(self, layers: Sequence[Layer], x: Array) -> Array:
        with default_dtype(x.dtype), torch.no_grad():
            return array(self._model(layers, x.dtype)(tensor(x)))

    def save(self, layers: Sequence[Layer], path: Any) -> None:
        self._model(layers, layers[0].coef.dtype).saveckpt(str(path))

    def load(self, path: Any) -> Sequence[Layer]:
        """Load with the default dtype of the saved state, as in the session that saved it."""
        state = torch.load(f"{path}_state")
        with default_dtype(state["act_fun.0.coef"].numpy().dtype):
            model = kan.KAN.loadckpt(str(path))
        names = ("grid", "coef", "scale_base", "scale_sp", "mask")
        return [
            Layer(*(array(getattr(module, name)) for name in names), module.k, model.base_fun_name)
            for module in model.act_fun
        ]


adapter = Pykan()
