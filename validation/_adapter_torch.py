"""What adapters of torch libraries share: arrays in and out, derivatives by automatic differentiation, a default dtype.

A subclass says how a :class:`~numkan.conformance.adapter.Layer` becomes a module of its library (`build`), and which
gradients its parameters come to (`gradients`). Everything that is computed is computed by the module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]

torch.set_num_threads(1)  # for the small arrays of a law more threads only lose


def tensor(array: Any) -> Any:
    """Copy an array into a tensor, so that nobody writes through."""
    return torch.from_numpy(np.array(array, order="C"))


def array(tensor: Any) -> Array:
    """Copy a tensor into an array."""
    return np.array(tensor.detach().numpy())


@contextlib.contextmanager
def default_dtype(dtype: Any) -> Iterator[None]:
    """Let torch create tensors of a dtype inside: what a user does with ``torch.set_default_dtype``."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, np.dtype(dtype).name))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def derivative(function: Callable[[Any], Any], x: Array, k: int, nu: int) -> Array:
    """Differentiate functions of degree k that map each point to a row, nu times, forward.

    Each order doubles the work. Order k + 1 has to be zero; no law asks for a higher one.
    """

    def slope(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda z: torch.func.jvp(inner, (z,), (torch.ones_like(z),))[1]

    for _ in range(min(nu, k + 1)):
        function = slope(function)
    with torch.no_grad():
        return array(function(tensor(x)))


def fill(parameter: Any, values: Array) -> None:
    """Give a parameter or a buffer other numbers, and their dtype."""
    parameter.data = tensor(values)


class TorchLayers:
    """Layers and networks of a torch library, for `build` and `gradients` of a subclass."""

    def build(self, layer: Any) -> Any:
        raise NotImplementedError

    def gradients(self, module: Any, layer: Any) -> dict[str, Array]:
        raise NotImplementedError

    def outputs(self, module: Any, x: Any) -> Any:
        return module(x)

    def layer_forward(self, layer: Any, x: Array) -> Array:
        return self.network_forward([layer], x)

    def layer_vjp(self, layer: Any, x: Array, y_bar: Array) -> dict[str, Array]:
        (grads,), x_bar = self.network_vjp([layer], x, y_bar)
        return {**grads, "x": x_bar}

    def network_forward(self, layers: Sequence[Any], x: Array) -> Array:
        with default_dtype(x.dtype), torch.no_grad():
            y = tensor(x)
            for module in map(self.build, layers):
                y = self.outputs(module, y)
            return array(y)

    def network_vjp(self, layers: Sequence[Any], x: Array, y_bar: Array) -> tuple[list[dict[str, Array]], Array]:
        with default_dtype(x.dtype):
            modules = [self.build(layer) for layer in layers]
            first = y = tensor(x).requires_grad_(True)
            for module in modules:
                y = self.outputs(module, y)
            (y * tensor(y_bar)).sum().backward()
        grads = [self.gradients(module, layer) for module, layer in zip(modules, layers, strict=True)]
        return grads, array(first.grad)
