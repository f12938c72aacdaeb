r"""From the gradient by packed edges back to that by the parameters, by the chain rule.

An edge is :math:`m\, (s^{base}\, b(x) + s^{sp} \sum_p c_p B_p(x))`. With :math:`g_p` the gradient by its effective
coefficient :math:`m\, s^{sp} c_p`, and :math:`g_b` that by :math:`m\, s^{base}`:

.. math:: \bar c_p = m\, s^{sp} g_p, \qquad \bar s^{sp} = \sum_p m\, c_p\, g_p, \qquad \bar s^{base} = m\, g_b.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.direct import few_columns
from numkan.layer.layout import COEF, GRADS, MASK, N_BASIS, N_IN, N_OUT, SCALE_BASE, SCALE_SP, WIDTH
from numkan.simd.vectors import vector_ops

__all__ = ["unpack_direct"]


@cache
def _unpack_edges_kernel(columns: int) -> Any:
    """Return the kernel of the gradients of one input's edges to `columns` outputs."""
    _, load, store, splat, fma, mul, *_ = vector_ops(columns)

    @kernel
    def unpack(packed, at, stride, storage, coef, n_basis, n_out, mask, scale_sp, base, sp, grad):  # type: ignore[no-untyped-def]
        """Fill grad at `coef` and the scales at `base` and `sp`, if not negative, from packed rows `stride` apart."""
        zero, one = packed.dtype.type(0), packed.dtype.type(1)
        m = load(storage, mask)
        factor, on_scale = mul(m, load(storage, scale_sp)), splat(zero)
        for p in range(n_basis):
            part, own = load(packed, at + p * stride), coef + p * n_out
            on_scale = fma(splat(one), mul(mul(m, load(storage, own)), part), on_scale)
            store(grad, own, mul(factor, part))
        if base >= 0:
            store(grad, base, mul(m, load(packed, at + n_basis * stride)))
        if sp >= 0:
            store(grad, sp, on_scale)
        for e in range(columns):
            if storage[mask + e] == 0:  # exactly 0, also where the packed gradient is not finite
                for p in range(n_basis):
                    grad[coef + p * n_out + e] = zero
                if base >= 0:
                    grad[base + e] = zero
                if sp >= 0:
                    grad[sp + e] = zero

    return unpack


@cache
def unpack_direct(dtype: np.dtype[Any]) -> Any:
    """Return the kernel that turns the gradient by packed edges into that by a network's parameters."""
    few = few_columns(dtype)
    unpack_few, unpack_one = _unpack_edges_kernel(few), _unpack_edges_kernel(1)

    @kernel
    def unpack(packed, storage, layout, trained, grad):  # type: ignore[no-untyped-def]
        """Fill grad (n_params,).

        packed: for each layer (n_in, G + k + 1, width), the rows of the basis functions and that of b. trained
        (depth, 2): whether scale_base and scale_sp are parameters.
        """
        for layer in range(layout.shape[0]):
            n_out, n_basis, width = layout[layer, N_OUT], layout[layer, N_BASIS], layout[layer, WIDTH]
            whole = n_out // few * few
            for i in range(layout[layer, N_IN]):
                at = layout[layer, GRADS] + i * width * (n_basis + 1)
                for o in range(n_out):
                    if o < whole and o % few > 0:
                        continue
                    edge = i * n_out + o
                    mask, scale_sp = layout[layer, MASK] + edge, layout[layer, SCALE_SP] + edge
                    base = layout[layer, SCALE_BASE] + edge if trained[layer, 0] else -1
                    sp = scale_sp if trained[layer, 1] else -1
                    where = layout[layer, COEF] + i * n_basis * n_out + o, n_basis, n_out, mask, scale_sp, base, sp
                    if o < whole:
                        unpack_few(packed, at + o, width, storage, *where, grad)
                    else:
                        unpack_one(packed, at + o, width, storage, *where, grad)

    return unpack
