"""Faulty networks, each with a fault that was seen in the wild."""

from __future__ import annotations

from typing import Any

import numpy as np

import numkan
from numkan.conformance.adapter import Array
from tests.naive_network import Layer
from tests.network_cases import NumkanNetworks


class GradientOff(NumkanNetworks):
    """The 2 of the squared error is missing."""

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> tuple[float, list[dict[str, Array]]]:
        value, grads = super().network_loss(layers, x, y, loss, weight)
        return value, [{name: g / 2 for name, g in d.items()} for d in grads]


class StaleBase(NumkanNetworks):
    """The derivative of the base function is left out of the input's gradient."""

    def network_vjp(self, layers: Any, x: Any, y_bar: Array) -> tuple[list[dict[str, Array]], Array]:
        grads, _ = super().network_vjp(layers, x, y_bar)
        bare = [layer.replace(scale_base=0 * layer.scale_base) for layer in layers]
        return grads, super().network_vjp(bare, x, y_bar)[1]


class TransposedCoef(NumkanNetworks):
    """Gradients of coefficients in the order (p, o) where (o, p) is meant."""

    def network_vjp(self, layers: Any, x: Any, y_bar: Array) -> tuple[list[dict[str, Array]], Array]:
        grads, x_bar = super().network_vjp(layers, x, y_bar)
        for d in grads:
            shape = d["coef"].shape
            d["coef"] = d["coef"].transpose(0, 2, 1).reshape(shape)
        return grads, x_bar


class OneSidedProduct(NumkanNetworks):
    """The Jacobian-vector product forgets the inputs."""

    def network_jvp(self, layers: Any, x: Any, dots: list[dict[str, Array]], x_dot: Array) -> Array:
        return super().network_jvp(layers, x, dots, 0 * x_dot)


class ScaledTwice(NumkanNetworks):
    """The mask is no factor: a share of it stays (efficient-kan's scale, applied twice)."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        whole, masked = super().layer_forward(layer.replace(mask=np.ones_like(layer.mask)), x), layer.mask.mean()
        return super().layer_forward(layer, x) + (1 - masked) * whole


class BelongsToItsPlace(NumkanNetworks):
    """Hidden nodes share the knots of the first."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        shared = [layer.replace(grid=np.repeat(layer.grid[:1], len(layer.grid), axis=0)) for layer in layers[1:]]
        return super().network_forward([layers[0], *shared], x)


class LastOutputRounded(NumkanNetworks):
    """Entries after the last whole vector are rounded otherwise."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        y[:, -1] *= 1 + np.finfo(y.dtype).eps
        return y


class SoftMask(NumkanNetworks):
    """A masked edge is small, not gone."""

    def model(self, layers: Any) -> Any:
        return super().model([layer.replace(mask=np.maximum(layer.mask, 1e-6)) for layer in layers])


class FitRefinement(NumkanNetworks):
    """Coefficients of a finer grid by interpolation in index space."""

    def refine(self, layer: Layer, G: int) -> Layer:
        fine = super().refine(layer, G)
        n, m = layer.coef.shape[2], fine.coef.shape[2]
        lines = [np.interp(np.linspace(0, n - 1, m), np.arange(n), c) for c in layer.coef.reshape(-1, n)]
        return fine.replace(coef=np.reshape(lines, fine.coef.shape).astype(fine.coef.dtype))


class Leaky(NumkanNetworks):
    """Zero coefficients leave a rest."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        tiny = layer.coef.dtype.type(1e-6)
        return super().layer_forward(layer.replace(coef=np.where(layer.coef == 0, tiny, layer.coef)), x)


class DependsOnItsNeighbours(NumkanNetworks):
    """Every second row of a batch is rounded otherwise."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        y[1::2] *= 1 + np.finfo(y.dtype).eps
        return y


class MeanOfMeans(NumkanNetworks):
    """Weights are not normalised by their sum but by the number of samples."""

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> tuple[float, list[dict[str, Array]]]:
        value, grads = super().network_loss(layers, x, y, loss, weight)
        factor = weight.sum() / len(weight)
        return value * factor, [{name: g * factor for name, g in d.items()} for d in grads]


class ReducedByThreads(NumkanNetworks):
    """As many partial sums as there are threads."""

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> tuple[float, list[dict[str, Array]]]:
        grads = super().network_loss(layers, x, y, loss, weight)[1]
        count = min(numkan.get_threads(), len(weight))
        parts = [super(ReducedByThreads, self).network_loss(layers, x[s::count], y[s::count], loss, weight[s::count])
                 for s in range(count)]  # fmt: skip
        share = [weight[s::count].sum() / weight.sum() for s in range(count)]
        return sum(w * part[0] for w, part in zip(share, parts, strict=True)), grads


class AliasedOutput(NumkanNetworks):
    """The result is written into the input where shapes allow."""

    def network_derivative(self, layers: Any, x: Any) -> Array:
        slopes = super().network_derivative(layers, x)
        x[:] = slopes[:, 0]
        return slopes


class ReusedBuffer(NumkanNetworks):
    """A model that returns the same array every time, as one that keeps its activations does."""

    def model(self, layers: Any) -> Any:
        inner = super().model(layers)

        class Reusing(type(inner)):  # type: ignore[misc]
            buffer: Any

            def __call__(self, x: Any) -> Array:
                y = super().__call__(x)
                if getattr(self, "buffer", np.empty(0)).shape != y.shape:
                    self.buffer = y
                self.buffer[...] = y
                return self.buffer

        return Reusing._of(inner.act_fun)


class FlatRead(NumkanNetworks):
    """Memory is read as it lies, whatever the strides say."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        if isinstance(x, np.ndarray) and x.flags.f_contiguous:
            x = x.ravel(order="K").reshape(x.shape)
        return super().network_forward(layers, x)


class NanLost(NumkanNetworks):
    """Files hold numbers as text."""

    def load(self, path: Any) -> list[Layer]:
        return [layer.replace(coef=layer.coef + 0) for layer in super().load(path)]


class BaseForgotten(NumkanNetworks):
    """The base function sees the coefficients' scale."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        return super().layer_forward(layer.replace(scale_base=layer.scale_sp), x)


class SharedPolicy(NumkanNetworks):
    """Hidden layers fade, whatever their policy is."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        return super().network_forward([layer.replace(extrapolate="fade") for layer in layers], x)


class MissingBecomesZero(NumkanNetworks):
    """NaN is taken for zero on the way in."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        return super().layer_forward(layer, np.where(np.isnan(x), 0, x).astype(x.dtype))


class DoubleGradients(NumkanNetworks):
    """Gradients of float32 networks in float64."""

    def network_vjp(self, layers: Any, x: Any, y_bar: Array) -> tuple[list[dict[str, Array]], Array]:
        grads, x_bar = super().network_vjp(layers, x, y_bar)
        return [{name: g.astype(float) for name, g in d.items()} for d in grads], x_bar


class DoubleModel(NumkanNetworks):
    """A model that is kept answers in float64, whatever its numbers are."""

    def model(self, layers: Any) -> Any:
        inner = super().model(layers)

        class Wide(type(inner)):  # type: ignore[misc]
            def __call__(self, x: Any) -> Array:
                return np.asarray(super().__call__(x), float)

        return Wide._of(inner.act_fun)

    def network_forward(self, layers: Any, x: Any) -> Array:
        return super().network_forward(layers, x).astype(x.dtype)
