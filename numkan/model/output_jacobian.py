"""Derivatives of a network's outputs by its effective coefficients: those of every sample, and their mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from numkan._check import FloatArray
from numkan.model.least_squares import LayerBasis, SplineLayer, forward_pass, output_deltas

__all__ = ["mean_jacobian", "output_jacobian"]


def output_jacobian(layers: Sequence[SplineLayer], coefs: Sequence[FloatArray], x: FloatArray) -> FloatArray:
    """Return the derivatives of the outputs at x (n, n_in) by all coefficients, (n, n_out, n_params)."""
    parts = []
    for layer, values, delta in _factors(layers, coefs, x):
        by_edge = values[:, None, :, :, None] * (delta.transpose(0, 2, 1)[:, :, None] * layer.live)[:, :, :, None]
        parts.append(by_edge.reshape(*by_edge.shape[:2], -1))
    return np.concatenate(parts, axis=2)


def mean_jacobian(layers: Sequence[SplineLayer], coefs: Sequence[FloatArray], x: FloatArray) -> FloatArray:
    """Return their mean over x, (n_out, n_params): products of matrices make it, without a Jacobian of each sample."""
    parts = []
    for layer, values, delta in _factors(layers, coefs, x):
        sums = values.reshape(len(x), -1).T @ delta.reshape(len(x), -1)
        by_edge = sums.reshape(*layer.shape, -1) * layer.live[:, None, :, None]
        parts.append(by_edge.reshape(-1, delta.shape[2]))
    means: FloatArray = np.concatenate(parts).T / len(x)
    return means


def _factors(
    layers: Sequence[SplineLayer], coefs: Sequence[FloatArray], x: FloatArray
) -> Iterator[tuple[SplineLayer, FloatArray, FloatArray]]:
    """Yield each layer with its basis functions (n, n_in, G + k), and the derivatives of the outputs by its nodes."""
    done = forward_pass(layers, coefs, x, LayerBasis.of(layers[0], x), sloped=True)
    n, n_out = done.activations[-1].shape
    deltas = output_deltas(done, np.broadcast_to(np.eye(n_out), (n, n_out, n_out)).copy())
    for layer, basis, delta in zip(layers, done.bases, deltas, strict=True):
        first, local, _ = basis.functions
        values = np.zeros((n, *layer.shape[:2]))
        np.put_along_axis(values, first[:, :, None] + np.arange(layer.k + 1), local, axis=2)
        yield layer, values, delta
