"""One sample alone through a whole network whose edges are merged: nothing is packed for it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan.layer.column_single import forward_single, locate_single
from numkan.layer.column_single_backward import gradient_single, pull_back_single
from numkan.layer.direct_single import locate_single_direct
from numkan.layer.direct_single_backward import pull_back_single_direct
from numkan.layer.places import BARS, BEHIND, N_IN, N_OUT, OTHER_BARS, VALUES, WIDTH
from numkan.model.losses import lose

__all__ = ["gradient_single_sample", "predict_single_sample"]


@cache
def _single_sample_kernel(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel that takes one sample through all layers."""
    locate = locate_single(k, dtype, entries) if entries else locate_single_direct(dtype)
    forward = forward_single(k, dtype)

    @kernel
    def through(x, numbers, tables, firsts, places, offsets, work, index, keep, edges):  # type: ignore[no-untyped-def]
        """Fill the numbers of all layers from x (1, n_in); with `keep`, edges too. Return where the outputs begin."""
        last = places.shape[0] - 1
        for i in range(places[0, N_IN]):
            work[offsets[VALUES] + i] = x[0, i]
        for layer in range(last + 1):
            locate(tables, firsts, places, layer, offsets, work, index)
            forward(numbers, tables, firsts, places, layer, offsets, work, index, keep and layer > 0, edges)
        return offsets[VALUES] + places[last, BEHIND]

    return through


@cache
def predict_single_sample(k: int, dtype: np.dtype[Any], entries: int) -> Any:
    """Return the kernel of the outputs at one sample: what a batch gives, bit for bit."""
    through = _single_sample_kernel(k, dtype, entries)

    @kernel
    def predict(x, numbers, tables, firsts, places, offsets, work, index, y):  # type: ignore[no-untyped-def]
        """Fill y (1, n_out) from x (1, n_in)."""
        at = through(x, numbers, tables, firsts, places, offsets, work, index, False, work)
        for o in range(y.shape[1]):
            y[0, o] = work[at + o]

    return predict


@cache
def gradient_single_sample(k: int, dtype: np.dtype[Any], entries: int, wanted: bool) -> Any:
    """Return the kernel of one sample's loss and, if it is wanted, gradient: what a batch gives, bit for bit."""
    through = _single_sample_kernel(k, dtype, entries)
    fill_gradient, zero = gradient_single(k, dtype, entries == 0), dtype.type(0)
    pull_back = pull_back_single(k, dtype, entries) if entries else pull_back_single_direct(k, dtype)

    @kernel
    def differentiate(  # type: ignore[no-untyped-def]
        x, kind, target, label, weight, scale, numbers,
        tables, firsts, places, trained, offsets, work, index, edges, grad,
    ):  # fmt: skip
        """Return the loss at x (1, n_in); fill grad if it is wanted."""
        last, bars, below = places.shape[0] - 1, offsets[BARS], offsets[OTHER_BARS]
        y = through(x, numbers, tables, firsts, places, offsets, work, index, wanted, edges)
        n_out = places[last, N_OUT]
        for o in range(n_out, places[last, WIDTH]):
            work[bars + o] = zero
        loss = lose(kind, work, y, 1, n_out, target, label, weight, 0, scale, work, bars, n_out)
        if not wanted:
            return loss
        for layer in range(last, -1, -1):
            fill_gradient(numbers, tables, firsts, places, trained, layer, offsets, work, index, bars, grad)
            if layer > 0:
                pull_back(tables, edges, places, layer, offsets, work, index, bars, below)
                bars, below = below, bars
        return loss

    return differentiate
