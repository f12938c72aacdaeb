"""What the laws of networks ask of an implementation, and the case that they get."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from tests import naive_network as naive
from tests.laws import Array
from tests.naive_network import KINDS, Layer

Gradients = list[dict[str, Array]]  # coef, scale_base, scale_sp of each layer


class Networks(Protocol):
    """Parameters go in with every call; gradients have the shapes of the parameters, Jacobians (n, n_out) before."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        """Outputs (n, n_out)."""

    def layer_vjp(self, layer: Layer, x: Any, y_bar: Array) -> dict[str, Array]:
        """Cotangents of coef, scale_base, scale_sp and x."""

    def layer_jacobian(self, layer: Layer, x: Any) -> dict[str, Array]:
        """Derivatives of the outputs by coef, scale_base and scale_sp."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        """Outputs (n, n_out)."""

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> tuple[float, Gradients]:
        """A loss and its gradients."""

    def network_vjp(self, layers: Any, x: Any, y_bar: Array) -> tuple[Gradients, Array]:
        """Cotangents of the parameters and of x."""

    def network_jvp(self, layers: Any, x: Any, dots: Gradients, x_dot: Array) -> Array:
        """The outputs' change along a change of parameters and of x."""

    def network_jacobian(self, layers: Any, x: Any) -> Gradients:
        """Derivatives of the outputs by the parameters."""

    def network_derivative(self, layers: Any, x: Any) -> Array:
        """Derivatives of the outputs by x, (n, n_out, n_in)."""

    def refine(self, layers: Any, times: int) -> list[Layer]:
        """The same function on nested grids."""

    def model(self, layers: Any) -> Any:
        """Something that is called with x, from many threads too."""

    def state(self, model: Any) -> bytes:
        """All numbers of such a model."""

    def set_threads(self, count: int) -> None:
        """Let the implementation use so many threads."""

    def save(self, layers: Any, path: Any) -> None:
        """Write a model."""

    def load(self, path: Any, base_fun: Any) -> list[Layer]:
        """Read it again; base functions that are no names are given once more."""


@dataclass(frozen=True)
class NetworkCase:
    """A network with samples and targets."""

    layers: tuple[Layer, ...]
    x: Array  # (n, n_in)
    y: Array  # (n, n_out)
    labels: Array  # (n,)
    weight: Array  # (n,)

    @property
    def dtype(self) -> Any:
        return self.x.dtype

    @property
    def eps(self) -> float:
        return float(np.finfo(self.dtype).eps)

    @property
    def exact(self) -> tuple[list[Layer], Array]:
        """The same numbers in float64: what the slow twin gets."""
        return [layer.astype(float) for layer in self.layers], self.x.astype(float)

    @property
    def layer(self) -> Layer:
        return self.layers[0]

    def first(self, **numbers: Array) -> Layer:
        """The first layer with other numbers."""
        return self.layers[0]._replace(**numbers)

    def rows(self, which: Any) -> NetworkCase:
        """Some samples of the case."""
        return replace(self, **{name: getattr(self, name)[which] for name in ("x", "y", "labels", "weight")})

    def noise(self, *shape: int) -> Array:
        """Numbers between -1 and 1 that depend on the shape only."""
        return np.sin(1.0 + np.arange(int(np.prod(shape)))).reshape(shape).astype(self.dtype)


def is_steady(case: NetworkCase) -> bool:
    """Whether hidden activations stay in their pieces when they are off by rounding.

    On a knot where a function or its derivative jumps, rounding decides the side: no law can hold there.
    """
    layers, x = case.exact
    acts, gathered = naive.activations(layers, x), naive.sizes(layers, x)
    for layer, a, size in list(zip(layers, acts, gathered, strict=False))[1:]:
        reach = 0.03 * (layer.grid[:, -1 - layer.k] - layer.grid[:, layer.k])
        breaks = [layer.grid, layer.grid[:, [layer.k]] - reach[:, None], layer.grid[:, [-1 - layer.k]] + reach[:, None]]
        distance = np.abs(a[:, :, None] - np.concatenate(breaks, axis=1)).min(axis=2)
        if (distance <= 1000 * case.eps * (size + np.abs(layer.grid).max())).any():
            return False
    return True


def contracted(jacobian: Array, y_bar: Array) -> Array:
    """sum over n and q of y_bar[n, q] * jacobian[n, q, ...]."""
    return np.einsum("nq,nq...->...", y_bar, jacobian)


def flat(dots: Any, *, batch: int = 0) -> Array:
    """All numbers of a list of dicts side by side, in float64; the first `batch` axes stay."""
    parts = [np.asarray(d[name], float) for d in dots for name in KINDS]
    shapes = [(*part.shape[:batch], int(np.prod(part.shape[batch:]))) for part in parts]
    return np.concatenate([part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)], axis=batch)
