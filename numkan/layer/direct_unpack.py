r"""From the gradient by packed edges back to that by the parameters, by the chain rule.

An edge is :math:`m\, (s^{base}\, b(x) + s^{sp} \sum_p c_p B_p(x))`. With :math:`g_p` the gradient by its effective
coefficient :math:`m\, s^{sp} c_p`, and :math:`g_b` that by :math:`m\, s^{base}`:

.. math:: \bar c_p = m\, s^{sp} g_p, \qquad \bar s^{sp} = \sum_p m\, c_p\, g_p, \qquad \bar s^{base} = m\, g_b.

It is the chain rule of ``pack.unpack_gradient``, by offsets into flat memory: slices, whose references Numba counts,
take a tenth of the time of a gradient by one row.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import Entry, kernel

__all__ = ["unpack_direct"]


@kernel
def _unpack_edge(packed, at, storage, layer, i, o, grad):  # type: ignore[no-untyped-def]
    """Fill the gradients of one edge from the rows of its input, which begin at `at`."""
    n_out, n_basis, edge, zero = layer.n_out, layer.n_basis, i * layer.n_out + o, packed.dtype.type(0)
    mask, scale, on_scale = storage[layer.mask + edge], storage[layer.scale_sp + edge], zero
    is_masked = mask == zero  # gives exactly 0, also where the packed gradient is not finite
    for p in range(n_basis):
        bar, own = packed[at + p * layer.width + o], layer.coef + (i * n_basis + p) * n_out + o
        on_scale += mask * storage[own] * bar
        grad[own] = zero if is_masked else mask * scale * bar
    if layer.trains_base:
        grad[layer.scale_base + edge] = zero if is_masked else mask * packed[at + n_basis * layer.width + o]
    if layer.trains_sp:
        grad[layer.scale_sp + edge] = zero if is_masked else on_scale


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
                for o in range(layer.n_out):
                    _unpack_edge(packed, at, storage, layer, i, o, grad)

    return Entry(unpack)
