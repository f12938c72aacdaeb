"""A whole network in one call: its layers in direct form, over blocks of samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes
from numkan._turn import turn_op
from numkan.layer.direct import BLOCK
from numkan.layer.direct_backward import products_direct
from numkan.layer.direct_forward import forward_direct, locate_direct
from numkan.layer.direct_pack import pack_direct
from numkan.layer.direct_pull import pull_back_direct
from numkan.layer.enter import enter_kernel
from numkan.layer.merged_unpack import unpack_kernel
from numkan.layer.places import BARS, GRADS, N_IN, N_OUT, N_ROWS, OUTPUTS, VALUES, WIDTH
from numkan.model.losses import lose
from numkan.model.steps import PACK, UNPACK

__all__ = ["gradient_direct", "predict_direct"]


@cache
def _layers_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that takes a block through all layers."""
    locate, forward = locate_direct(dtype), forward_direct(k, dtype)
    enter, lanes, turn = enter_kernel(dtype), sample_lanes(dtype), turn_op(dtype)

    @kernel
    def through(x, begin, count, tables, edges, places, offsets, work, index, slopes):  # type: ignore[no-untyped-def]
        """Fill the columns of all layers and the rows of outputs from samples begin ... begin + count - 1 of x.

        The rest of the last vector of a column is whatever it was. Derivatives of b are made with `slopes`, but for the
        first layer.
        """
        full, out = (count + lanes - 1) // lanes * lanes, offsets[OUTPUTS]
        enter(x, begin, count, 0, places[0, N_IN], work, offsets[VALUES], BLOCK)
        for layer in range(places.shape[0]):
            if layer > 0:
                first, width = offsets[VALUES], places[layer - 1, WIDTH]
                if width == 1:
                    for s in range(full):
                        work[first + s] = work[out + s]
                else:
                    for s in range(0, full, lanes):
                        for i in range(0, width, lanes):
                            turn(work, out + s * width + i, width, work, first + i * BLOCK + s, BLOCK)
            locate(tables, places, layer, offsets, full, work, index, slopes and layer > 0)
            forward(edges, places, layer, offsets, count, work, index)

    return through


@cache
def predict_direct(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel of a network's outputs."""
    through = _layers_kernel(k, dtype)

    @kernel
    def predict(x, tables, firsts, edges, places, offsets, work, index, y):  # type: ignore[no-untyped-def]
        """Fill y (n, n_out) from x (n, n_in)."""
        width = places[places.shape[0] - 1, WIDTH]
        for begin in range(0, x.shape[0], BLOCK):
            count = min(BLOCK, x.shape[0] - begin)
            through(x, begin, count, tables, edges, places, offsets, work, index, False)
            for s in range(count):
                for o in range(y.shape[1]):
                    y[begin + s, o] = work[offsets[OUTPUTS] + s * width + o]

    return predict


@cache
def gradient_direct(k: int, dtype: np.dtype[Any], entries: int, wanted: bool) -> Any:
    """Return the kernel of a loss and, if it is wanted, its gradient: see `column_kernels.gradient_columns`."""
    through, pack, unpack = _layers_kernel(k, dtype), pack_direct(k, dtype, entries), unpack_kernel(dtype, direct=True)
    add_gradients, pull_back = products_direct(k, dtype), pull_back_direct(k, dtype)
    zero = dtype.type(0)

    @kernel
    def differentiate(  # type: ignore[no-untyped-def]
        steps, x, low, high, kind, target, label, weight, scale, numbers,
        tables, firsts, places, trained, offsets, work, index, edges, grads, grad,
    ):  # fmt: skip
        """Return the sum over samples low ... high - 1 of a loss."""
        last = places.shape[0] - 1
        n_out, width, rows = places[last, N_OUT], places[last, WIDTH], offsets[OUTPUTS]
        total = 0.0
        if steps & PACK:
            pack(numbers, tables, firsts, places, offsets, work, edges)
            for at in range(places[last, GRADS] + places[last, N_IN] * places[last, N_ROWS] * width if wanted else 0):
                grads[at] = zero
        for begin in range(low, high, BLOCK):
            count = min(BLOCK, high - begin)
            through(x, begin, count, tables, edges, places, offsets, work, index, wanted)
            bars = offsets[BARS]
            for s in range(count if n_out < width else 0):
                for o in range(n_out):
                    work[rows + s * n_out + o] = work[rows + s * width + o]
                for o in range(n_out, width):
                    work[bars + s * width + o] = zero
            goal = target, label, weight, begin, scale
            total += lose(kind, work, rows, count, n_out, *goal, work, bars, width)
            if not wanted:
                continue
            for layer in range(last, -1, -1):
                add_gradients(tables, firsts, places, layer, offsets, count, work, index, grads)
                if layer > 0:
                    pull_back(edges, places, layer, offsets, count, work, index)
        if wanted and steps & UNPACK:
            unpack(grads, numbers, places, trained, grad)
        return total

    return differentiate
