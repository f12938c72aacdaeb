"""From the gradient of a network in merged form back to its parameters, by the chain rule."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._simd import vector_ops
from numkan.layer.columns import group
from numkan.layer.places import COEF, GRADS, MASK, N_BASIS, N_IN, N_OUT, N_ROWS, SCALE_BASE, SCALE_SP, WIDTH

__all__ = ["unpack_kernel"]


@cache
def _unpack_edges_kernel(columns: int) -> Any:
    """Return the kernel of the gradients of one input's edges to `columns` outputs."""
    _, load, store, splat, fma, mul, *_ = vector_ops(columns)

    @kernel
    def unpack(packed, at, stride, numbers, coef, n_basis, n_out, mask, scale_sp, base, sp, grad):  # type: ignore[no-untyped-def]
        """Fill grad at `coef` and the scales at `base` and `sp`, if not negative, from packed rows `stride` apart."""
        zero, one = packed.dtype.type(0), packed.dtype.type(1)
        m = load(numbers, mask)
        factor, on_scale = mul(m, load(numbers, scale_sp)), splat(zero)
        for p in range(n_basis):
            part, own = load(packed, at + p * stride), coef + p * n_out
            on_scale = fma(splat(one), mul(mul(m, load(numbers, own)), part), on_scale)
            store(grad, own, mul(factor, part))
        if base >= 0:
            store(grad, base, mul(m, load(packed, at + n_basis * stride)))
        if sp >= 0:
            store(grad, sp, on_scale)
        for e in range(columns):
            if numbers[mask + e] == 0:  # exactly 0, also where the packed gradient is not finite
                for p in range(n_basis):
                    grad[coef + p * n_out + e] = zero
                if base >= 0:
                    grad[base + e] = zero
                if sp >= 0:
                    grad[sp + e] = zero

    return unpack


@cache
def unpack_kernel(dtype: np.dtype[Any], *, direct: bool) -> Any:
    """Return the kernel that turns packed gradients into those of a network's parameters, for one of the two forms."""
    together = group(dtype)
    unpack_several, unpack_one = _unpack_edges_kernel(together), _unpack_edges_kernel(1)

    @kernel
    def unpack(packed, numbers, places, trained, grad):  # type: ignore[no-untyped-def]
        """Fill grad (n_params,) from the packed gradient, as `pack.unpack_gradient` does.

        packed: for every input its functions and b, n_rows. In direct form they are rows of all outputs, (n_rows,
        width). In column form, as `column_backward.py` leaves them, there are the sums of `together` outputs at a time,
        (n_rows, together), then (n_rows,) of each output left over. trained (depth, 2): whether scale_base and scale_sp
        are parameters.
        """
        for layer in range(places.shape[0]):
            n_out, n_basis, width = places[layer, N_OUT], places[layer, N_BASIS], places[layer, WIDTH]
            n_rows, whole = places[layer, N_ROWS], n_out // together * together
            for i in range(places[layer, N_IN]):
                at = places[layer, GRADS] + i * width * n_rows
                for o in range(n_out):
                    if o < whole and o % together > 0:
                        continue
                    own, edge = at + (o if direct else o * n_rows), i * n_out + o
                    mask, scale_sp = places[layer, MASK] + edge, places[layer, SCALE_SP] + edge
                    base = places[layer, SCALE_BASE] + edge if trained[layer, 0] else -1
                    sp = scale_sp if trained[layer, 1] else -1
                    where = places[layer, COEF] + i * n_basis * n_out + o, n_basis, n_out, mask, scale_sp, base, sp
                    if o < whole:
                        unpack_several(packed, own, width if direct else together, numbers, *where, grad)
                    else:
                        unpack_one(packed, own, width if direct else 1, numbers, *where, grad)

    return unpack
