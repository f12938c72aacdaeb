"""Faulty layers and networks: defects of live libraries, and faults that were planted and once lived."""

from __future__ import annotations

from typing import Any

import numpy as np

import numkan
from numkan.conformance import Layer
from numkan.conformance.adapter import Array
from tests.network_cases import NumkanNetworks


class Remembers(NumkanNetworks):
    """A call leaves its trace: the next is scaled."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        self.calls = getattr(self, "calls", 0) + 1
        return super().network_forward(layers, x) * (
            1 + (self.calls > 3) * np.finfo(layers[0].coef.dtype).eps * 4
        ).astype(layers[0].coef.dtype)


class LastWriteWins(NumkanNetworks):
    """FlashKAN's backward: ``Dw[idx] += ...`` keeps one sample of those that share a span."""

    def layer_vjp(self, layer: Layer, x: Any, y_bar: Array) -> dict[str, Array]:
        grads = super().layer_vjp(layer, x, y_bar)
        alone = [
            super(LastWriteWins, self).layer_vjp(layer, x[n : n + 1], y_bar[n : n + 1])["coef"] for n in range(len(x))
        ]
        last = np.zeros_like(grads["coef"])
        for one in alone:
            last = np.where(one != 0, one, last)
        return {**grads, "coef": last}


class MaskAfterwards(NumkanNetworks):
    """Gradients of edges that are masked."""

    def layer_vjp(self, layer: Layer, x: Any, y_bar: Array) -> dict[str, Array]:
        grads = super().layer_vjp(layer, x, y_bar)
        whole = super().layer_vjp(layer.replace(mask=np.ones_like(layer.mask)), x, y_bar)
        return {**grads, "coef": whole["coef"]}


class ClampedBase(NumkanNetworks):
    """The base function sees the clamped point."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        return super().layer_forward(layer, np.clip(x, layer.grid[:, layer.k], layer.grid[:, -1 - layer.k]))


class OtherRoot(NumkanNetworks):
    """A Jacobian by forward differences."""

    def layer_jacobian(self, layer: Layer, x: Any) -> dict[str, Array]:
        rows = super().layer_jacobian(layer, x)
        return {**rows, "x": rows["x"] * (1 + x.dtype.type(1e-6))}


class ScaleNotSaved(NumkanNetworks):
    """pykan's files: something is not in them."""

    def load(self, path: Any) -> list[Layer]:
        return [layer.replace(scale_sp=np.ones_like(layer.scale_sp)) for layer in super().load(path)]


class TripledWrong(NumkanNetworks):
    """A refinement to three times as many intervals goes by way of twice as many."""

    def refine(self, layer: Layer, G: int) -> Layer:
        fine = super().refine(layer, G)
        return fine.replace(coef=fine.coef * (1 + (G == 3 * layer.G) * fine.coef.dtype.type(1e-3)))


class MaskLostInRefinement(NumkanNetworks):
    """A finer layer has all its edges."""

    def refine(self, layer: Layer, G: int) -> Layer:
        fine = super().refine(layer, G)
        return fine.replace(mask=np.ones_like(fine.mask))


class OneStatement(NumkanNetworks):
    """A model keeps its input between two statements, which two threads may do at once."""

    def model(self, layers: Any) -> Any:
        inner = super().model(layers)

        class Keeping:
            def __call__(self, x: Any) -> Array:
                self.x = x
                return inner(self.x)

        return Keeping()


class LargeLogits(NumkanNetworks):
    """A softmax that takes exponentials as they are."""

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> Any:
        value, grads = super().network_loss(layers, x, y, loss, weight)
        if loss == "cross_entropy" and np.abs(super().network_forward(layers, x)).max() > 88:
            value = np.inf
        return value, grads


class RowsBeyondAThousand(NumkanNetworks):
    """Rows after the first chunk are those of the chunk before."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        y[1024:] = y[: len(y[1024:])]
        return y


class NinthInput(NumkanNetworks):
    """Inputs after the last whole vector of eight are forgotten."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        mask = layer.mask.copy()
        mask[len(mask) // 8 * 8 or len(mask) :] = 0
        return super().layer_forward(layer.replace(mask=mask), x)


class FourthLayer(NumkanNetworks):
    """The fourth layer is taken twice."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        return y * y.dtype.type(1 + (len(layers) > 3))


class EightThreads(NumkanNetworks):
    """On more than four threads sums are taken in another order."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        return y * (1 + (numkan.get_threads() > 4) * np.finfo(y.dtype).eps).astype(y.dtype)
