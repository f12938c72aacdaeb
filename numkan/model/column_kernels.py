"""A whole network in one call: its layers in column form, over blocks of samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._lanes import sample_lanes
from numkan.layer.column_backward import gradient_kernel, pull_back_kernel
from numkan.layer.column_forward import forward_columns, locate_kernel
from numkan.layer.column_pack import pack_kernel
from numkan.layer.columns import BLOCK
from numkan.layer.enter import enter_kernel
from numkan.layer.merged_unpack import unpack_kernel
from numkan.layer.places import BARS, BEHIND, GRADS, N_IN, N_OUT, N_ROWS, OTHER_BARS, OUTPUTS, VALUES
from numkan.model.losses import lose
from numkan.model.steps import PACK, UNPACK

__all__ = [
    "gradient_columns",
    "predict_columns",
]


@cache
def _layers_kernel(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that takes a block through all layers."""
    locate, forward = locate_kernel(k, dtype, entries), forward_columns(k, dtype, entries)
    enter, lanes = enter_kernel(dtype), sample_lanes(dtype)

    @kernel
    def through(x, begin, count, tables, edges, places, offsets, work, index, slopes):  # type: ignore[no-untyped-def]
        """Fill the columns of all layers from samples begin ... begin + count - 1 of x; return how many with padding.

        The rest of the last vector repeats the first sample. Derivatives of b are made with `slopes`, but for the first
        layer.
        """
        full = (count + lanes - 1) // lanes * lanes
        enter(x, begin, count, 0, places[0, N_IN], work, offsets[VALUES], BLOCK)
        for i in range(places[0, N_IN]):
            for s in range(count, full):
                work[offsets[VALUES] + i * BLOCK + s] = x[begin, i]
        for layer in range(places.shape[0]):
            locate(tables, places, layer, offsets, full, work, index, slopes and layer > 0)
            forward(edges, places, layer, offsets, full, work, index)
        return full

    return through


@cache
def predict_columns(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel of a network's outputs."""
    through = _layers_kernel(k, dtype, entries)

    @kernel
    def predict(x, tables, firsts, edges, places, offsets, work, index, y):  # type: ignore[no-untyped-def]
        """Fill y (n, n_out) from x (n, n_in)."""
        last = places.shape[0] - 1
        at = offsets[VALUES] + places[last, BEHIND] * BLOCK
        for begin in range(0, x.shape[0], BLOCK):
            count = min(BLOCK, x.shape[0] - begin)
            through(x, begin, count, tables, edges, places, offsets, work, index, False)
            for o in range(places[last, N_OUT]):
                for s in range(count):
                    y[begin + s, o] = work[at + o * BLOCK + s]

    return predict


@cache
def gradient_columns(k: int, dtype: np.dtype[Any], entries: int, wanted: bool) -> Any:
    """Return the kernel of a loss and, if it is wanted, its gradient.

    That is known when the kernel is compiled: a loss alone needs half of the code.
    """
    through, pack, unpack = (
        _layers_kernel(k, dtype, entries),
        pack_kernel(k, dtype, entries),
        unpack_kernel(dtype, direct=False),
    )
    add_gradients, pull_back = gradient_kernel(k, dtype, entries), pull_back_kernel(k, dtype, entries)
    zero = dtype.type(0)

    @kernel
    def differentiate(  # type: ignore[no-untyped-def]
        steps, x, low, high, kind, target, label, weight, scale, numbers,
        tables, firsts, places, trained, offsets, work, index, edges, grads, grad,
    ):  # fmt: skip
        """Return the sum over samples low ... high - 1 of a loss; all that a small batch needs, in one call.

        steps: a sum of PACK, fill edges from the network's numbers first, and grads, to which the gradient by packed
        edges is added, with zeros; and UNPACK, turn that into grad. kind of the loss, target (flat), label, weight,
        scale: see `losses.py`.
        """
        last = places.shape[0] - 1
        n_out, y, rows = places[last, N_OUT], offsets[VALUES] + places[last, BEHIND] * BLOCK, offsets[OUTPUTS]
        total = 0.0
        if steps & PACK:
            pack(numbers, tables, firsts, places, offsets, work, edges)
            for at in range(places[last, GRADS] + places[last, N_IN] * n_out * places[last, N_ROWS] if wanted else 0):
                grads[at] = zero
        for begin in range(low, high, BLOCK):
            count = min(BLOCK, high - begin)
            full = through(x, begin, count, tables, edges, places, offsets, work, index, wanted)
            # 1. the loss and its derivative by the outputs, row by row; samples that fill the last vector have none
            for o in range(n_out):
                for s in range(count):
                    work[rows + s * n_out + o] = work[y + o * BLOCK + s]
            total += lose(kind, work, rows, count, n_out, target, label, weight, begin, scale, work, rows, n_out)
            if not wanted:
                continue
            bars, below = offsets[BARS], offsets[OTHER_BARS]
            for o in range(n_out):
                for s in range(count):
                    work[bars + o * BLOCK + s] = work[rows + s * n_out + o]
                for s in range(count, full):
                    work[bars + o * BLOCK + s] = zero
            # 2. back through the layers
            for layer in range(last, -1, -1):
                add_gradients(tables, places, layer, offsets, full, work, index, bars, grads)
                if layer > 0:
                    pull_back(tables, edges, places, layer, offsets, full, work, index, bars, below)
                    bars, below = below, bars
        if wanted and steps & UNPACK:
            unpack(grads, numbers, places, trained, grad)
        return total

    return differentiate
