"""Faulty layers, refinements, gradients, Jacobians, files, and networks that misbehave as objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import numkan
from numkan.conformance import Layer
from numkan.conformance.adapter import KINDS, Array
from tests.network_cases import NumkanNetworks

# --- layers -------------------------------------------------------------------------------------------------------


class LineAtOnce(NumkanNetworks):
    """The policy "continue" is taken for "linear"."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        return super().layer_forward(
            layer.replace(extrapolate="linear" if layer.extrapolate == "continue" else layer.extrapolate), x
        )


class OverflowingSilu(NumkanNetworks):
    """x exp(x) / (1 + exp(x))."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        with np.errstate(all="ignore"):
            share = np.exp(x) / (1 + np.exp(x))
        return super().layer_forward(layer, np.where(np.isnan(share), share, x) if layer.base_fun == "silu" else x)


class OverflowingSoftmax(NumkanNetworks):
    """exp(y) / sum exp(y), as it stands in the book."""

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> Any:
        value, grads = super().network_loss(layers, x, y, loss, weight)
        if loss == "cross_entropy":
            with np.errstate(all="ignore"):
                powers = np.exp(self.network_forward(layers, x))
                share = powers[np.arange(len(x)), y] / powers.sum(axis=1)
            value = value if np.isfinite(share).all() and share.all() else np.nan
        return value, grads


class OneOutputFlat(NumkanNetworks):
    """A single output is an array of one dimension."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        y = super().layer_forward(layer, x)
        return y[:, 0] if y.shape[1] == 1 else y


class MissingSpreads(NumkanNetworks):
    """NaN in one row of a product spoils the derivatives of all."""

    def network_derivative(self, layers: Any, x: Any) -> Array:
        return super().network_derivative(layers, x) + np.where(np.isnan(x).any(), np.nan, 0).astype(x.dtype)


# --- refinement ---------------------------------------------------------------------------------------------------


class ScaleLostInRefinement(NumkanNetworks):
    """A finer layer has scales of one."""

    def refine(self, layer: Layer, G: int) -> Layer:
        return super().refine(layer, G).replace(scale_sp=np.ones_like(layer.scale_sp))


class EvenlyRefined(NumkanNetworks):
    """Finer knots are even, whatever the old ones were."""

    def refine(self, layer: Layer, G: int) -> Layer:
        fine = super().refine(layer, G)
        inner = slice(fine.k, fine.grid.shape[1] - fine.k)
        grid = fine.grid.copy()
        grid[:, inner] = np.linspace(grid[:, inner][:, 0], grid[:, inner][:, -1], G + 1, axis=1)
        return fine.replace(grid=grid)


class PolicyLostInRefinement(NumkanNetworks):
    """A finer layer fades."""

    def refine(self, layer: Layer, G: int) -> Layer:
        return super().refine(layer, G).replace(extrapolate="fade")


# --- gradients ----------------------------------------------------------------------------------------------------


class WeightsOfTheValueOnly(NumkanNetworks):
    """The gradient is that of the plain mean."""

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> Any:
        value, _ = super().network_loss(layers, x, y, loss, weight)
        return value, super().network_loss(layers, x, y, loss, np.ones_like(weight))[1]


class NothingOutside(NumkanNetworks):
    """The gradient by a point outside the domain is zero."""

    def layer_vjp(self, layer: Layer, x: Any, y_bar: Array) -> dict[str, Array]:
        grads = super().layer_vjp(layer, x, y_bar)
        inside = (layer.grid[:, layer.k] <= x) & (x <= layer.grid[:, -1 - layer.k])
        return {**grads, "x": grads["x"] * inside}


class ScaleCountsTwice(NumkanNetworks):
    """The gradient by the spline's scale is multiplied by that scale."""

    def layer_vjp(self, layer: Layer, x: Any, y_bar: Array) -> dict[str, Array]:
        grads = super().layer_vjp(layer, x, y_bar)
        return {**grads, "scale_sp": grads["scale_sp"] * layer.scale_sp}


class FirstLayersOnly(NumkanNetworks):
    """The gradient of the last layer is forgotten where there are three."""

    def network_vjp(self, layers: Any, x: Any, y_bar: Array) -> Any:
        grads, x_bar = super().network_vjp(layers, x, y_bar)
        if len(grads) > 2:
            grads[-1] = {name: 0 * grads[-1][name] for name in KINDS}
        return grads, x_bar


# --- Jacobians ----------------------------------------------------------------------------------------------------


class FirstOutputForAll(NumkanNetworks):
    """All outputs have the rows of the first."""

    def layer_jacobian(self, layer: Layer, x: Any) -> dict[str, Array]:
        return {
            name: np.repeat(rows[:, :1], rows.shape[1], axis=1)
            for name, rows in super().layer_jacobian(layer, x).items()
        }


class ThirdRow(NumkanNetworks):
    """Rows after the second are those of the second."""

    def layer_jacobian(self, layer: Layer, x: Any) -> dict[str, Array]:
        place = np.minimum(np.arange(len(x)), 1)
        return {name: rows[place] for name, rows in super().layer_jacobian(layer, x).items()}


class SquareJacobian(NumkanNetworks):
    """A square matrix of derivatives by the inputs is transposed."""

    def layer_jacobian(self, layer: Layer, x: Any) -> dict[str, Array]:
        rows = super().layer_jacobian(layer, x)
        return {**rows, "x": rows["x"].transpose(0, 2, 1).copy() if layer.n_in == layer.n_out else rows["x"]}


class NetworkRowsInOrderOfOutputs(NumkanNetworks):
    """Rows of a network's Jacobian are those of the outputs in reverse order."""

    def network_jacobian(self, layers: Any, x: Any) -> list[dict[str, Array]]:
        return [
            {name: rows[:, ::-1].copy() for name, rows in one.items()} for one in super().network_jacobian(layers, x)
        ]


# --- files --------------------------------------------------------------------------------------------------------


class SingleFiles(NumkanNetworks):
    """Files hold float32 numbers."""

    def load(self, path: Any) -> list[Layer]:
        return [layer.astype(np.float32).astype(layer.coef.dtype) for layer in super().load(path)]


class PolicyNotSaved(NumkanNetworks):
    """The policy is not in the file."""

    def load(self, path: Any) -> list[Layer]:
        return [layer.replace(extrapolate="continue") for layer in super().load(path)]


class CountedFiles(NumkanNetworks):
    """A number is written behind each file, as a time would be."""

    def save(self, layers: Any, path: Any) -> None:
        super().save(layers, path)
        self.files = getattr(self, "files", 0) + 1
        with Path(path).open("ab") as file:
            file.write(bytes([self.files % 256]))


class LastLayerFirst(NumkanNetworks):
    """Layers come back by their names, the last one first."""

    def load(self, path: Any) -> list[Layer]:
        return super().load(path)[::-1]


# --- bits, threads, hostile calls ---------------------------------------------------------------------------------


class BlocksOfEight(NumkanNetworks):
    """Rows after the last whole block are rounded otherwise."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        y[len(y) // 4 * 4 :] *= 1 + np.finfo(y.dtype).eps
        return y


class TwoSums(NumkanNetworks):
    """On more than one thread a gradient is the sum of two, in another order."""

    def network_vjp(self, layers: Any, x: Any, y_bar: Array) -> Any:
        grads, x_bar = super().network_vjp(layers, x, y_bar)
        return grads, x_bar * (1 + (numkan.get_threads() > 1) * np.finfo(x_bar.dtype).eps).astype(x_bar.dtype)


class ModelThatLearns(NumkanNetworks):
    """A call changes the model: statistics of its inputs are kept among the parameters."""

    def model(self, layers: Any) -> Any:
        inner = super().model(layers)

        class Learning(type(inner)):  # type: ignore[misc]
            def __call__(self, x: Any) -> Array:
                y = super().__call__(x)
                self.act_fun[0].scale_base = self.act_fun[0].scale_base * 1.5
                return y

        return Learning._of(inner.act_fun)


class BytesAsTheyLie(NumkanNetworks):
    """Numbers of the other byte order are read as if they were of this one."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        if isinstance(x, np.ndarray) and not x.dtype.isnative:
            x = x.view(x.dtype.newbyteorder())
        return super().network_forward(layers, x)


class WritesIntoLayers(NumkanNetworks):
    """Masked coefficients are set to zero where the caller's lie."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        layers[0].coef[...] *= layers[0].mask[:, :, None]
        return y
