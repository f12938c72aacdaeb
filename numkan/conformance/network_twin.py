"""Slow twins of layers, networks and losses: NumPy from the definitions, on the twins of splines (``twin.py``).

They are complex-safe, as those of splines. *Features* are the functions of x that a layer is linear in: its G + k basis
functions and the base function.

*Sizes* are the scale of every comparison: the sums of the magnitudes of the terms of a result, where a hidden
activation counts with its own size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numkan.conformance.adapter import KINDS, Array, Layer
from numkan.conformance.twin import basis

__all__ = [
    "LOSSES",
    "STEP",
    "activations",
    "backward",
    "edges",
    "forward",
    "jacobian",
    "jacobian_sizes",
    "loss_sizes",
    "loss_slope",
    "network_forward",
    "network_jacobian",
    "pack",
    "pack_tangent",
    "prepare",
    "pull_back",
    "sizes",
    "tangent",
    "unpack_gradient",
]

STEP = 1e-30  # of the complex step: its square vanishes beside any other term


# --- base functions -----------------------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.real(x) < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))


def silu(x: Array) -> Array:
    """Return x / (1 + exp(-x))."""
    return np.asarray(x * sigmoid(x))


def silu_slope(x: Array) -> Array:
    """Return the derivative of silu."""
    return np.asarray(sigmoid(x) * (1 + x * sigmoid(-x)))


def _silu_steepness(x: Array) -> Array:
    """Return the magnitudes of both terms of the derivative of silu, added; the terms cancel at -1.28."""
    return np.asarray(sigmoid(x) * (1 + np.abs(x) * sigmoid(-x)))


def base(x: Array, base_fun: Any, slope: bool = False, sizes: bool = False) -> Any:
    """Return a base function, by its name or as a pair (value, derivative), or its derivative; or their sizes."""
    if sizes:
        return _silu_steepness(x) if base_fun == "silu" and slope else np.abs(base(x, base_fun, slope))
    pairs: dict[str, Any] = {
        "silu": (silu, silu_slope),
        "identity": (np.copy, np.ones_like),
        "zero": (np.zeros_like, np.zeros_like),
    }
    pair = pairs[base_fun] if isinstance(base_fun, str) else base_fun
    return pair[1 if slope else 0](x)


def prepare(layer: Layer, x: Array, nu: int = 0, sizes: bool = False) -> Array:
    """Return features (n, n_in, G + k + 1), or their derivatives by x; the second derivative of b counts as its first.

    A local polynomial has an absolute error: the size of each function is that of all of them at its point.
    """
    splines = basis(x, layer.grid, layer.k, layer.extrapolate, nu, sizes)
    if sizes:
        splines = np.broadcast_to(splines.sum(axis=2, keepdims=True), splines.shape)
    return np.concatenate([splines, base(x, layer.base_fun, nu > 0, sizes)[..., None]], axis=2)


# --- one layer ----------------------------------------------------------------------------------------------------


def pack(layer: Layer) -> Array:
    """Return effective coefficients (n_in, G + k + 1, n_out)."""
    spline = (layer.mask * layer.scale_sp)[:, None, :] * layer.coef.transpose(0, 2, 1)
    return np.concatenate([spline, (layer.mask * layer.scale_base)[:, None, :]], axis=1)


def pack_tangent(layer: Layer, dots: dict[str, Array]) -> Array:
    """Return tangents of the effective coefficients, by a complex step."""
    moved = {name: getattr(layer, name) + STEP * 1j * dot for name, dot in dots.items()}
    return np.imag(pack(layer.replace(**moved))) / STEP


def unpack_gradient(layer: Layer, packed: Array) -> dict[str, Array]:
    """Return gradients by coef and both scales, from that by the effective coefficients."""
    splines, smooth = packed[:, :-1].transpose(0, 2, 1), packed[:, -1]
    return {
        "coef": (layer.mask * layer.scale_sp)[:, :, None] * splines,
        "scale_base": layer.mask * smooth,
        "scale_sp": layer.mask * (layer.coef * splines).sum(axis=2),
    }


def edges(layer: Layer, x: Array) -> Any:
    """Return phi_io(x_i), (n, n_in, n_out)."""
    return np.einsum("nip,ipo->nio", prepare(layer, x), pack(layer))


def forward(layer: Layer, x: Array) -> Any:
    """Return the outputs of a layer (n, n_out)."""
    return edges(layer, x).sum(axis=1)


def tangent(layer: Layer, x: Array, x_dot: Array, dots: dict[str, Array]) -> Any:
    """Return the directional derivative (n, n_out), by a complex step."""
    moved = {name: getattr(layer, name) + STEP * 1j * dot for name, dot in dots.items()}
    return np.imag(forward(layer.replace(**moved), x + STEP * 1j * x_dot)) / STEP


def backward(layer: Layer, x: Array, y_bar: Array) -> tuple[Any, Any]:
    """Return cotangents of the effective coefficients and of x, from those of the outputs (n, n_out)."""
    packed = np.einsum("nip,no->ipo", prepare(layer, x), y_bar)
    return packed, np.einsum("nip,ipo,no->ni", prepare(layer, x, 1), pack(layer), y_bar)


def jacobian(layer: Layer, x: Array, delta: Array) -> dict[str, Array]:
    """Return derivatives by the parameters (n, n_q, ...), from those by the outputs, delta (n, n_q, n_out)."""
    return _rows(layer, prepare(layer, x), delta)


def _rows(layer: Layer, features: Array, delta: Array) -> dict[str, Array]:
    """Return `unpack_gradient` of features times delta, for every sample and every q at once."""
    splines, smooth = features[:, :, :-1], features[:, :, -1]
    spline = np.einsum("nip,nqo,io->nqiop", splines, delta, layer.mask * layer.scale_sp)
    curves = np.einsum("nip,iop->nio", splines, layer.mask[:, :, None] * layer.coef)
    return {
        "coef": spline,
        "scale_base": np.einsum("ni,nqo,io->nqio", smooth, delta, layer.mask),
        "scale_sp": np.einsum("nio,nqo->nqio", curves, delta),
    }


def pull_back(layer: Layer, x: Array, delta: Array) -> Any:
    """Return derivatives by the inputs (n, n_q, n_in), from those by the outputs."""
    return np.einsum("nip,ipo,nqo->nqi", prepare(layer, x, 1), pack(layer), delta)


# --- networks -----------------------------------------------------------------------------------------------------


def activations(layers: Any, x: Array) -> list[Array]:
    """Return the samples, and the outputs of every layer."""
    out = [np.asarray(x)]
    for layer in layers:
        out.append(forward(layer, out[-1]))
    return out


def network_forward(layers: Any, x: Array) -> Array:
    """Return the outputs of a network (n, n_out)."""
    return activations(layers, x).pop()


def network_jacobian(layers: Any, x: Array) -> tuple[list[dict[str, Array]], Array]:
    """Return derivatives of the outputs by every parameter, (n, n_out, ...) each, and by x, by complex steps.

    One coordinate at a time is moved; the moved outputs of all of them go through the layers above as one batch.
    """
    acts, n = activations(layers, x), len(x)
    n_out = acts[-1].shape[1]

    def above(depth: int, moved: Array, shape: tuple[int, ...]) -> Array:
        y = network_forward(layers[depth:], moved.reshape(len(moved) * n, -1))
        return np.moveaxis(np.imag(y).reshape(-1, n, n_out) / STEP, 0, -1).reshape(n, n_out, *shape)

    out = []
    for depth, layer in enumerate(layers):
        features, found = prepare(layer, acts[depth]), {}
        for name in KINDS:
            array = getattr(layer, name)
            step = STEP * 1j * np.eye(array.size).reshape(-1, *array.shape)
            packed = np.array([pack(layer.replace(**{name: array + one})) for one in step])
            moved = np.einsum("nip,mipo->mno", features, packed)
            found[name] = above(depth + 1, moved, array.shape)
        out.append(found)
    step = STEP * 1j * np.eye(acts[0].shape[1])
    return out, above(0, acts[0] + step[:, None, :], (acts[0].shape[1],))


def sizes(layers: Any, x: Array) -> list[Array]:
    """Return sizes of the activations: of x (0: it is given), of each layer's outputs."""
    out = [np.zeros(np.shape(x))]
    for layer, a in zip(layers, activations(layers, x), strict=False):
        smooth = np.abs(prepare(layer, a, 1, sizes=True)) * out[-1][..., None]
        out.append(np.einsum("nip,ipo->no", prepare(layer, a, sizes=True) + smooth, np.abs(pack(layer))))
    return out


def jacobian_sizes(layers: Any, x: Array) -> tuple[list[dict[str, Array]], Array]:
    """Return sizes of what `network_jacobian` returns."""
    acts, gathered = activations(layers, x), sizes(layers, x)
    delta = np.broadcast_to(np.eye(acts[-1].shape[1]), (len(x), *[acts[-1].shape[1]] * 2))
    out: list[dict[str, Array]] = []
    for layer, a, size in zip(layers[::-1], acts[-2::-1], gathered[-2::-1], strict=True):
        flat = layer.replace(**{name: np.abs(getattr(layer, name)) for name in (*KINDS, "mask")})
        f, f1, f2 = (prepare(layer, a, nu, sizes=True) for nu in range(3))
        value, slope = f + f1 * size[..., None], f1 + f2 * size[..., None]
        out.append(_rows(flat, value, delta))
        delta = np.einsum("nip,ipo,nqo->nqi", slope, pack(flat), delta)
    return out[::-1], delta


# --- losses -------------------------------------------------------------------------------------------------------


def mse(y: Array, target: Array, weight: Array | None = None) -> Any:
    """Return the weighted mean of the squared errors."""
    weight = np.ones(len(y)) if weight is None else weight
    return (weight[:, None] * (y - target) ** 2).sum() / (y.shape[1] * weight.sum())


def cross_entropy(y: Array, label: Array, weight: Array | None = None) -> Any:
    """Return the weighted mean of the cross-entropies of labels."""
    weight = np.ones(len(y)) if weight is None else weight
    top = np.real(y).max(axis=1)
    logsum = np.log(np.exp(y - top[:, None]).sum(axis=1)) + top
    return (weight * (logsum - y[np.arange(len(y)), label])).sum() / weight.sum()


LOSSES: dict[str, Callable[..., Any]] = {"mse": mse, "cross_entropy": cross_entropy}


def loss_slope(y: Array, target: Array, loss: str, weight: Array | None = None) -> Array:
    """Return derivatives of a loss by the outputs (n, n_out), by a complex step in each."""
    out = np.empty(y.shape)
    for place in np.ndindex(y.shape):
        moved = y.astype(complex)
        moved[place] += STEP * 1j
        out[place] = np.imag(LOSSES[loss](moved, target, weight)) / STEP
    return out


def loss_sizes(y: Array, size: Array, target: Array, loss: str, weight: Array) -> Array:
    """Return sizes of the derivatives of a loss by the outputs."""
    share = (weight / weight.sum())[:, None]
    return np.asarray(share * (2 * (size + np.abs(y - target)) / y.shape[1] if loss == "mse" else 2 + size))
