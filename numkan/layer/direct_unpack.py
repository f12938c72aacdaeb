r"""From the gradient by packed edges back to that by the parameters, by the chain rule.

An edge is :math:`m\, (s^{base}\, b(x) + s^{sp} \sum_p c_p B_p(x))`. With :math:`g_p` the gradient by its effective
coefficient :math:`m\, s^{sp} c_p`, and :math:`g_b` that by :math:`m\, s^{base}`:

.. math:: \bar c_p = m\, s^{sp} g_p, \qquad \bar s^{sp} = \sum_p m\, c_p\, g_p, \qquad \bar s^{base} = m\, g_b.

It is the chain rule of ``pack.unpack_gradient``, by offsets into flat memory: slices take a tenth of the time of a
gradient by one row.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from numkan.compile import Entry, kernel

__all__ = ["unpack_direct"]


@partial(kernel, noalias=True)
def _unpack_input(packed, at, storage, layer, i, grad):  # type: ignore[no-untyped-def]
    """Fill the gradients of the edges of one input from its rows, which begin at `at`.

    A masked edge has exactly 0, also where the packed gradient is not finite. Loops over outputs are inside, and
    offsets are unsigned: of these LLVM makes vectors.
    """
    n_out, n_basis, zero = np.uint64(layer.n_out), layer.n_basis, packed.dtype.type(0)
    edge = i * layer.n_out
    mask, scale = np.uint64(layer.mask + edge), np.uint64(layer.scale_sp + edge)
    if layer.trains_sp:
        for o in range(n_out):
            grad[scale + o] = zero
    for p in range(n_basis):
        row, own = np.uint64(at + p * layer.width), np.uint64(layer.coef + (i * n_basis + p) * layer.n_out)
        for o in range(n_out):
            bar = storage[mask + o] * storage[scale + o] * packed[row + o]
            grad[own + o] = zero if storage[mask + o] == zero else bar
        if layer.trains_sp:
            for o in range(n_out):
                bar = storage[mask + o] * storage[own + o] * packed[row + o]
                grad[scale + o] += zero if storage[mask + o] == zero else bar
    if layer.trains_base:
        row, own = np.uint64(at + n_basis * layer.width), np.uint64(layer.scale_base + edge)
        for o in range(n_out):
            bar = storage[mask + o] * packed[row + o]
            grad[own + o] = zero if storage[mask + o] == zero else bar


@cache
def unpack_direct(dtype: np.dtype[Any]) -> Entry:
    """Return the kernel that turns the gradient by packed edges into that by a network's parameters, of a dtype."""

    @kernel
    def unpack(packed, storage, layers, grad):  # type: ignore[no-untyped-def]
        """Fill grad (n_params,).

        packed: for each layer (n_in, G + k + 1, width), the rows of the basis functions and that of b.
        """
        for number in range(layers.shape[0]):
            layer = layers[number]
            for i in range(layer.n_in):
                at = layer.grads + i * layer.width * (layer.n_basis + 1)
                _unpack_input(packed, at, storage, layer, i, grad)

    return Entry(unpack)
