"""A whole network in one call: its layers in direct form, over blocks of samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import Entry, kernel
from numkan.layer.direct import BLOCK
from numkan.layer.direct_backward import gradient_of_layer
from numkan.layer.direct_forward import forward_direct, locate_direct
from numkan.layer.direct_pull import pull_back_direct
from numkan.model.loss_kernels import Rows
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
    def outputs_to_inputs(scratch, full, width):  # type: ignore[no-untyped-def]
        """Make rows of outputs the columns of the next layer's inputs."""
        work, first, out = scratch.work, scratch.values, scratch.outputs
        if width == 1:
            for s in range(full):
                work[first + s] = work[out + s]
            return
        for s in range(0, full, lanes):
            for i in range(0, width, lanes):
                transpose(work, out + s * width + i, width, work, first + i * BLOCK + s, BLOCK)

    @kernel
    def forward_network(x, begin, count, grids, edges, scratch, slopes):  # type: ignore[no-untyped-def]
        """Fill the columns of all layers and the rows of outputs from samples begin ... begin + count - 1 of x.

        The padding of a column keeps what it had. Derivatives of b are filled with `slopes`, except in the first layer.
        """
        full = (count + lanes - 1) // lanes * lanes
        for i in range(x.shape[1]):
            for s in range(count):
                scratch.work[scratch.values + i * BLOCK + s] = x[begin + s, i]
        for number in range(grids.layers.shape[0]):
            layer = grids.layers[number]
            if number > 0:
                outputs_to_inputs(scratch, full, grids.layers[number - 1].width)
            locate(grids, layer, full, scratch, slopes and number > 0)
            forward(edges, layer, count, scratch)

    return forward_network


@cache
def predict_direct(k: int, dtype: np.dtype[Any]) -> Entry:
    """Return the kernel of a network's outputs."""
    forward_network = _forward_kernel(k, dtype)

    @kernel
    def predict(x, grids, edges, scratch, y):  # type: ignore[no-untyped-def]
        """Fill y (n, n_out) from x (n, n_in)."""
        width = grids.layers[grids.layers.shape[0] - 1].width
        for begin in range(0, x.shape[0], BLOCK):
            count = min(BLOCK, x.shape[0] - begin)
            forward_network(x, begin, count, grids, edges, scratch, False)
            for s in range(count):
                for o in range(y.shape[1]):
                    y[begin + s, o] = scratch.work[scratch.outputs + s * width + o]

    return Entry(predict)


@cache
def loss_direct(loss: Loss, dtype: np.dtype[Any]) -> Entry:
    """Return the kernel of the loss of outputs, summed in the order in which :func:`gradient_direct` sums it."""
    add_loss = loss_kernel(loss)

    @kernel
    def sum_loss(y, low, high, goal, n_out, y_bar):  # type: ignore[no-untyped-def]
        """Return the sum over samples low ... high - 1 of y (n * n_out,); y_bar (BLOCK * n_out,) is scratch memory."""
        total = 0.0
        for begin in range(low, high, BLOCK):
            count = min(BLOCK, high - begin)
            outputs, bars = Rows(y, begin * n_out, n_out), Rows(y_bar, begin - begin, n_out)
            total += add_loss(outputs, goal, begin, count, n_out, bars)
        return total

    return Entry(sum_loss)


@cache
def gradient_direct(k: int, dtype: np.dtype[Any], loss: Loss) -> Entry:
    """Return the kernel of a loss and its gradient by packed edges."""
    forward_network, add_loss = _forward_kernel(k, dtype), loss_kernel(loss)
    add_gradient, pull_back, zero = gradient_of_layer(k, dtype), pull_back_direct(k, dtype), dtype.type(0)

    @kernel
    def differentiate(x, low, high, goal, grids, edges, scratch, grads):  # type: ignore[no-untyped-def]
        """Return the sum over samples low ... high - 1 of a loss, and fill grads with its gradient."""
        layers, work = grids.layers, scratch.work
        last, total = layers.shape[0] - 1, 0.0
        n_out, width = layers[last].n_out, layers[last].width
        outputs, bars = Rows(work, scratch.outputs, width), Rows(work, scratch.cotangents, width)
        for at in range(grads.shape[0]):
            grads[at] = zero
        for begin in range(low, high, BLOCK):
            count = min(BLOCK, high - begin)
            forward_network(x, begin, count, grids, edges, scratch, True)
            # 1. the loss and the outputs' cotangents, which are 0 in the padding
            for s in range(count if n_out < width else 0):
                for o in range(n_out, width):
                    work[bars.at + s * width + o] = zero
            total += add_loss(outputs, goal, begin, count, n_out, bars)
            # 2. back through the layers
            for number in range(last, -1, -1):
                add_gradient(grids, layers[number], count, scratch, grads)
                if number > 0:
                    pull_back(edges, layers[number], layers[number - 1].width, count, scratch)
        return total

    return Entry(differentiate)
