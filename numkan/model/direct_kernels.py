"""A whole network in one call: its layers in direct form, over blocks of samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.direct import BLOCK
from numkan.layer.direct_backward import gradient_of_layer
from numkan.layer.direct_forward import forward_direct, locate_direct
from numkan.layer.direct_pull import pull_back_direct
from numkan.layer.layout import COTANGENTS, N_OUT, OUTPUTS, VALUES, WIDTH
from numkan.model.losses import Loss, loss_kernel
from numkan.simd.transpose import transpose_op
from numkan.simd.vectors import sample_lanes

__all__ = ["gradient_direct", "loss_direct", "predict_direct"]


@cache
def _forward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that takes a block of samples through all layers."""
    locate, forward = locate_direct(dtype), forward_direct(k, dtype)
    lanes, transpose = sample_lanes(dtype), transpose_op(dtype)

    @kernel
    def forward_network(x, begin, count, tables, edges, layout, offsets, work, index, slopes):  # type: ignore[no-untyped-def]
        """Fill the columns of all layers and the rows of outputs from samples begin ... begin + count - 1 of x.

        The padding of a column keeps what it had. Derivatives of b are filled with `slopes`, except in the first layer.
        """
        full, out = (count + lanes - 1) // lanes * lanes, offsets[OUTPUTS]
        for i in range(x.shape[1]):
            for s in range(count):
                work[offsets[VALUES] + i * BLOCK + s] = x[begin + s, i]
        for layer in range(layout.shape[0]):
            if layer > 0:
                first, width = offsets[VALUES], layout[layer - 1, WIDTH]
                if width == 1:
                    for s in range(full):
                        work[first + s] = work[out + s]
                else:
                    for s in range(0, full, lanes):
                        for i in range(0, width, lanes):
                            transpose(work, out + s * width + i, width, work, first + i * BLOCK + s, BLOCK)
            locate(tables, layout, layer, offsets, full, work, index, slopes and layer > 0)
            forward(edges, layout, layer, offsets, count, work, index)

    return forward_network


@cache
def predict_direct(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a network's outputs."""
    forward_network = _forward_kernel(k, dtype)

    @kernel
    def predict(x, tables, edges, layout, offsets, work, index, y):  # type: ignore[no-untyped-def]
        """Fill y (n, n_out) from x (n, n_in)."""
        width = layout[layout.shape[0] - 1, WIDTH]
        for begin in range(0, x.shape[0], BLOCK):
            count = min(BLOCK, x.shape[0] - begin)
            forward_network(x, begin, count, tables, edges, layout, offsets, work, index, False)
            for s in range(count):
                for o in range(y.shape[1]):
                    y[begin + s, o] = work[offsets[OUTPUTS] + s * width + o]

    return predict


@cache
def loss_direct(loss: Loss) -> Any:
    """Return the kernel of the loss of outputs, summed in the order in which :func:`gradient_direct` sums it."""
    add_loss = loss_kernel(loss)

    @kernel
    def sum_loss(y, low, high, target, weight, scale, y_bar):  # type: ignore[no-untyped-def]
        """Return the sum over samples low ... high - 1 of y (n, n_out); y_bar (BLOCK * n_out,) is scratch memory."""
        n_out, total = y.shape[1], 0.0
        outputs = y.reshape(-1)
        for begin in range(low, high, BLOCK):
            count = min(BLOCK, high - begin)
            total += add_loss(outputs, begin * n_out, count, n_out, target, weight, begin, scale, y_bar, 0, n_out)
        return total

    return sum_loss


@cache
def gradient_direct(k: int, dtype: np.dtype[Any], loss: Loss) -> Any:
    """Return the kernel of a loss and its gradient by packed edges."""
    forward_network, add_loss = _forward_kernel(k, dtype), loss_kernel(loss)
    add_gradient, pull_back, zero = gradient_of_layer(k, dtype), pull_back_direct(k, dtype), dtype.type(0)

    @kernel
    def differentiate(  # type: ignore[no-untyped-def]
        x, low, high, target, weight, scale, tables, firsts, edges, layout, offsets, work, index, grads
    ):
        """Return the sum over samples low ... high - 1 of a loss, and fill grads with its gradient."""
        last, rows, bars = layout.shape[0] - 1, offsets[OUTPUTS], offsets[COTANGENTS]
        n_out, width, total = layout[last, N_OUT], layout[last, WIDTH], 0.0
        for at in range(grads.shape[0]):
            grads[at] = zero
        for begin in range(low, high, BLOCK):
            count = min(BLOCK, high - begin)
            forward_network(x, begin, count, tables, edges, layout, offsets, work, index, True)
            # 1. the loss and the outputs' cotangents, which are 0 in the padding
            for s in range(count if n_out < width else 0):
                for o in range(n_out):
                    work[rows + s * n_out + o] = work[rows + s * width + o]
                for o in range(n_out, width):
                    work[bars + s * width + o] = zero
            total += add_loss(work, rows, count, n_out, target, weight, begin, scale, work, bars, width)
            # 2. back through the layers
            for layer in range(last, -1, -1):
                add_gradient(tables, firsts, layout, layer, offsets, count, work, index, grads)
                if layer > 0:
                    pull_back(edges, layout, layer, offsets, count, work, index)
        return total

    return differentiate
