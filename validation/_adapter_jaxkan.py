"""Live jaxkan (its `SplineLayer`, the layer of its "spline" networks) behind the adapter protocol.

Policies: the padded basis fades outside; spans are half-open; float64 needs JAX's 64-bit mode, so that each dtype runs
in the mode that has it. Nothing is promised for repeated knots: "error" is the declaration that asks least, and leaves
them out of all laws but one. The fit of coefficients is documented as a stand-in for `linalg.lstsq`, whose answer is of
least norm. Layers have no masks: weights of masked edges are 0.

Everything runs under ``jax.jit``, as users run it, with layers made inside: one compilation for each shape.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

# before JAX is imported: what is run once is not worth optimizing
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxkan.layers.Spline import SplineLayer
from jaxkan.layers.utils import solve_full_lstsq

from numkan.conformance.adapter import Layer

Array = np.ndarray[Any, Any]

_BASES: dict[str, Callable[[Any], Any]] = {"silu": nnx.silu, "identity": lambda x: x, "zero": jnp.zeros_like}


@contextlib.contextmanager
def mode(dtype: Any) -> Iterator[None]:
    """Run JAX with or without 64-bit numbers."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", np.dtype(dtype) == np.float64)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def padded(x: Array) -> Array:
    """Repeat the last sample up to a power of two: XLA compiles everything once for each length."""
    length = max(8, 1 << (max(len(x), 1) - 1).bit_length())
    fill = x[-1:] if len(x) else np.zeros((1, *x.shape[1:]), x.dtype)
    return np.concatenate([x, np.repeat(fill, length - len(x), axis=0)])


def array(value: Any) -> Array:
    """Copy a JAX array."""
    return np.array(value)


# --- programs: what is compiled, by all that is no array ---------------------------------------------------------

Shape = tuple[int, int, int, int, str]  # n_in, n_out, k, G and the base function of a layer

# Each program of XLA maps some hundreds of pieces of memory. A process of Linux may have 65,530, beyond which XLA fails
# or aborts.
MOST_MAPS = 40_000

_caches: list[Any] = []


def kept(make: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the programs that a function makes, until all kept programs map too much memory: then drop them all."""

    @functools.cache
    def program(*arguments: Any) -> Any:
        if maps() > MOST_MAPS:
            for one in _caches:
                one.cache_clear()
        return make(*arguments)

    _caches.append(program)
    return program


def maps() -> int:
    """Return how many pieces of memory this process maps; 0 where the system does not say."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0


def layer_of(shape: Shape, numbers: dict[str, Any], grid_eps: float = 0.05) -> Any:
    """Return jaxkan's layer with some numbers, named as the layer names them."""
    n_in, n_out, k, G, base_fun = shape
    made = SplineLayer(n_in, n_out, k=k, G=G, grid_e=grid_eps, residual=_BASES[base_fun], add_bias=False)
    made.grid.item = numbers["grid"]
    for name in ("c_basis", "c_spl", "c_res"):
        setattr(made, name, nnx.Param(numbers[name]))
    return made


@kept
def basis_program(k: int, G: int, nu: int, dtype: str) -> Any:
    """Return the derivatives of order nu of the functions of one input."""

    def values(z: Any, knots: Any) -> Any:
        made = SplineLayer(1, 1, k=k, G=G, add_bias=False)
        made.grid.item = knots[None]
        return made.basis(z[:, None])[:, 0]

    def slope(inner: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda z, knots: jax.jvp(lambda z: inner(z, knots), (z,), (jnp.ones_like(z),))[1]

    for _ in range(min(nu, k + 1)):  # order k + 1 is zero, or it is wrong
        values = slope(values)
    return jax.jit(values)


@kept
def fit_program(k: int, G: int, dtype: str) -> Any:
    """Return the fit of one curve."""

    def fit(x: Any, y: Any, knots: Any) -> Any:
        bases = basis_program(k, G, 0, dtype)(x, knots)
        return solve_full_lstsq(bases[None], y[None, :, None])[0, :, 0]

    return jax.jit(fit)


@kept
def network_programs(shapes: tuple[Shape, ...], dtype: str) -> tuple[Any, Any]:
    """Return the outputs of a network, and the gradients of sum(y_bar * outputs)."""

    def forward(numbers: Any, x: Any) -> Any:
        for shape, one in zip(shapes, numbers, strict=True):
            x = layer_of(shape, one)(x)
        return x

    def product(numbers: Any, x: Any, y_bar: Any) -> Any:
        return (forward(numbers, x) * y_bar).sum()

    return jax.jit(forward), jax.jit(jax.grad(product, argnums=(0, 1)))


@kept
def update_program(shape: Shape, grid_eps: float, dtype: str) -> Any:
    """Return knots and coefficients after a grid update."""

    def update(numbers: Any, x: Any) -> Any:
        made = layer_of(shape, numbers, grid_eps)
        made.update_grid(x, shape[3])
        return made.grid.item, made.c_basis[...]

    return jax.jit(update)


# --- the adapter --------------------------------------------------------------------------------------------------


class Jaxkan:
    """jaxkan's basis and layers."""

    name = "jaxkan"
    version = metadata.version("jaxkan")
    dtype = ("float64", "float32")
    extrapolation = "fade"
    right_end = "open"
    degenerate_knots = "error"
    bits = "rounding"
    grid_update = "jaxkan"
    short_rank = "least norm"
    base_fun = ("silu", "identity", "zero")
    degrees = (1, 2, 3, 4, 5)

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return self.dbasis(x, knots, k, 0)

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        with mode(x.dtype):
            program = basis_program(k, len(knots) - 2 * k - 1, nu, x.dtype.name)
            return array(program(padded(x), knots))[: len(x)]

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int) -> Array:
        with mode(x.dtype):
            return array(fit_program(k, len(knots) - 2 * k - 1, x.dtype.name)(x, y, knots))

    @staticmethod
    def _numbers(layer: Layer) -> dict[str, Array]:
        return {
            "grid": layer.grid,
            "c_basis": layer.coef.transpose(1, 0, 2),
            "c_spl": (layer.mask * layer.scale_sp).T,
            "c_res": (layer.mask * layer.scale_base).T,
        }

    @staticmethod
    def _shape(layer: Layer) -> Shape:
        return layer.n_in, layer.n_out, layer.k, layer.G, layer.base_fun

    def layer_forward(self, layer: Layer, x: Array) -> Array:
        return self.network_forward([layer], x)

    def network_forward(self, layers: Sequence[Layer], x: Array) -> Array:
        with mode(x.dtype):
            forward, _ = network_programs(tuple(map(self._shape, layers)), x.dtype.name)
            return array(forward(list(map(self._numbers, layers)), padded(x)))[: len(x)]

    def layer_vjp(self, layer: Layer, x: Array, y_bar: Array) -> dict[str, Array]:
        (grads,), x_bar = self.network_vjp([layer], x, y_bar)
        return {**grads, "x": x_bar}

    def network_vjp(self, layers: Sequence[Layer], x: Array, y_bar: Array) -> tuple[list[dict[str, Array]], Array]:
        with mode(x.dtype):
            bar = np.zeros((len(padded(x)), y_bar.shape[1]), y_bar.dtype)
            bar[: len(x)] = y_bar
            _, gradient = network_programs(tuple(map(self._shape, layers)), x.dtype.name)
            found, x_bar = gradient(list(map(self._numbers, layers)), padded(x), bar)
        grads = [
            {
                "coef": array(one["c_basis"]).transpose(1, 0, 2).copy(),
                "scale_base": layer.mask * array(one["c_res"]).T,
                "scale_sp": layer.mask * array(one["c_spl"]).T,
            }
            for one, layer in zip(found, layers, strict=True)
        ]
        return grads, array(x_bar)[: len(x)]

    def update_grid(self, layer: Layer, x: Array, grid_eps: float) -> Layer:
        with mode(layer.coef.dtype):
            program = update_program(self._shape(layer), grid_eps, layer.coef.dtype.name)
            grid, coef = map(array, program(self._numbers(layer), x))
        return layer.replace(grid=grid, coef=coef.transpose(1, 0, 2).copy())


adapter = Jaxkan()
