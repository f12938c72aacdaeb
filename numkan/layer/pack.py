r"""Packed coefficients: a layer's parameters in the form that its kernels read.

With the mask m and the two scales merged, an edge is linear in *effective* coefficients,

.. math::

    \phi_{io}(x) = \sum_p E_{i p o}\, B_p(x) + E_{i, G + k, o}\, b(x), \qquad
    E_{i p o} = m_{io}\, s^{sp}_{io}\, c_{iop}, \quad E_{i, G + k, o} = m_{io}\, s^{base}_{io}.

Rows are padded with zeros to whole vectors. Packing takes one pass over the parameters. Another pass turns the gradient
by E into that by the parameters, by the chain rule:

.. math::

    \bar c_{iop} = m_{io} s^{sp}_{io} \bar E_{ipo}, \quad
    \bar s^{sp}_{io} = m_{io} \sum_p c_{iop} \bar E_{ipo}, \quad
    \bar s^{base}_{io} = m_{io} \bar E_{i, G+k, o}.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._threads import run_tasks
from numkan.compile import kernel
from numkan.layer.buffers import aligned_empty
from numkan.simd.vectors import lanes_of

__all__ = [
    "GradientSink",
    "Source",
    "add_gradient",
    "new_packed",
    "no_sink",
    "over_inputs",
    "pack",
    "pack_tangent",
    "packed_shape",
    "padded_width",
    "unpack_gradient",
]

#: Least number of parameters for each part, so that waking a thread pays, and largest number of parts.
_PART_SIZE, _MAX_PARTS = 100_000, 8


class Source(NamedTuple):
    """The parameters of a layer, of which packed coefficients are made."""

    coef: Any  # (n_in, n_basis, n_out)
    scale_base: Any  # (n_in, n_out)
    scale_sp: Any
    mask: Any


class GradientSink(NamedTuple):
    """The gradient by a layer's parameters, as a sum over batches, and the factors of the chain rule."""

    coef: Any  # (n_in, n_basis, n_out)
    scale_sp: Any  # (n_in, n_out)
    mask: Any
    coef_bar: Any  # (n_in, n_basis, n_out)
    base_bar: Any  # (n_in, n_out)
    sp_bar: Any
    started: Any  # (n_in,) bool: whether the sums of an input hold a batch already; if not, they are overwritten


@cache
def no_sink(dtype: np.dtype[Any]) -> GradientSink:
    """Return the sink of a backward pass without a gradient by coefficients: empty arrays."""
    coef, scale = np.empty((0, 0, 0), dtype), np.empty((0, 0), dtype)
    return GradientSink(coef, scale, scale, coef, scale, scale, np.empty(0, np.bool_))


def padded_width(n_out: int, dtype: np.dtype[Any]) -> int:
    """Return n_out rounded up to whole vectors."""
    lanes = lanes_of(dtype)
    return -(-n_out // lanes) * lanes


def packed_shape(n_in: int, n_basis: int, n_out: int, dtype: np.dtype[Any]) -> tuple[int, int, int]:
    """Return the shape of packed coefficients, whose rows are whole vectors."""
    return (n_in, n_basis + 1, padded_width(n_out, dtype))


def new_packed(n_in: int, n_basis: int, n_out: int, dtype: np.dtype[Any]) -> Any:
    """Return memory for packed coefficients (n_in, n_basis + 1, width)."""
    shape = packed_shape(n_in, n_basis, n_out, dtype)
    return aligned_empty(math.prod(shape), dtype).reshape(shape)


def over_inputs(kernel: Callable[..., None], *arrays: Any) -> None:
    """Call one of the kernels below for all inputs; threads share the inputs of a large layer."""
    n_in = len(arrays[0])
    if arrays[0].size < 2 * _PART_SIZE:
        kernel(*arrays)
        return
    size = -(-n_in // min(_MAX_PARTS, arrays[0].size // _PART_SIZE))

    def task(group: int) -> None:
        kernel(*(array[group * size : (group + 1) * size] for array in arrays))

    run_tasks(task, -(-n_in // size))


@kernel
def _fill_padding(packed, i, n_out):  # type: ignore[no-untyped-def]
    for p in range(packed.shape[1]):
        for o in range(n_out, packed.shape[2]):
            packed[i, p, o] = 0


@kernel
def pack(coef, scale_base, scale_sp, mask, packed):  # type: ignore[no-untyped-def]
    """Fill packed from coef (n_in, n_basis, n_out) as it lies in memory, and the scales (n_in, n_out)."""
    n_in, n_basis, n_out = coef.shape
    for i in range(n_in):
        for p in range(n_basis):
            for o in range(n_out):
                packed[i, p, o] = mask[i, o] * scale_sp[i, o] * coef[i, p, o]
        for o in range(n_out):
            packed[i, n_basis, o] = mask[i, o] * scale_base[i, o]
        _fill_padding(packed, i, n_out)


@kernel
def pack_tangent(coef, scale_sp, mask, coef_dot, base_dot, sp_dot, packed):  # type: ignore[no-untyped-def]
    """Fill packed with the tangent of the effective coefficients; all arrays as in `pack`."""
    n_in, n_basis, n_out = coef.shape
    for i in range(n_in):
        for p in range(n_basis):
            for o in range(n_out):
                change = scale_sp[i, o] * coef_dot[i, p, o] + sp_dot[i, o] * coef[i, p, o]
                packed[i, p, o] = mask[i, o] * change
        for o in range(n_out):
            packed[i, n_basis, o] = mask[i, o] * base_dot[i, o]
        _fill_padding(packed, i, n_out)


@kernel
def unpack_gradient(packed, coef, scale_sp, mask, coef_bar, base_bar, sp_bar, add):  # type: ignore[no-untyped-def]
    """Fill the gradients by coef (n_in, n_basis, n_out) and scales (n_in, n_out) from packed, or `add` to them.

    The gradient of a masked edge is exactly 0, also where the packed gradient is not finite.
    """
    n_in, n_basis, n_out = coef.shape
    zero = packed.dtype.type(0)
    for i in range(n_in):
        # Rows, one sum for each loop, and no branches: the compiler turns such loops into vector instructions.
        m, s, base, sp = mask[i], scale_sp[i], base_bar[i], sp_bar[i]
        if not add:
            coef_bar[i] = zero
            base[:] = zero
            sp[:] = zero
        bar = packed[i, n_basis]
        for o in range(n_out):
            base[o] += m[o] * bar[o] if m[o] != 0 else zero
        for p in range(n_basis):
            bar, c, own = packed[i, p], coef[i, p], coef_bar[i, p]
            for o in range(n_out):
                own[o] += m[o] * s[o] * bar[o] if m[o] != 0 else zero
            for o in range(n_out):
                sp[o] += m[o] * c[o] * bar[o] if m[o] != 0 else zero


@kernel
def add_gradient(packed, low, high, sink):  # type: ignore[no-untyped-def]
    """Add the gradient by packed coefficients (high - low, n_basis + 1, width) of inputs low ... high - 1 to `sink`."""
    coef, scale_sp, mask = sink.coef[low:high], sink.scale_sp[low:high], sink.mask[low:high]
    coef_bar, base_bar, sp_bar = sink.coef_bar[low:high], sink.base_bar[low:high], sink.sp_bar[low:high]
    unpack_gradient(packed, coef, scale_sp, mask, coef_bar, base_bar, sp_bar, sink.started[low])
    sink.started[low:high] = True
