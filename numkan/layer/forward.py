r"""Forward through one layer.

.. math:: y_o = \sum_i \Big( \sum_{r=0}^{k} B_{f+r}(x_i)\, C_{i,f+r,o} + b(x_i)\, C_{i,base,o} \Big)

C are the packed coefficients (``pack.py``), f is the first of the k + 1 functions that do not vanish at x_i. Each
output is one chain of fused multiply-adds, over the inputs in order, for each input over its k + 1 functions and then
the base: that order is the layer's definition of a sum, whatever the batch, the block, or the other outputs. Four
samples go side by side, because one chain alone would wait for itself.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._simd import lanes_of, vector_ops
from numkan.layer.prepare import BLOCK, INPUTS, SIDE_BY_SIDE, basis_lanes, copy_rows, prepare_kernel

__all__ = ["forward_kernel", "tangent_kernel"]


@cache
def _contract_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that adds a group of prepared inputs to the outputs of a block."""
    lanes = basis_lanes(k)
    powers = k + 1
    step, load, store, splat, fma, _, _ = vector_ops(lanes_of(dtype))

    @kernel
    def contract(basis, base, place, coefs, low, high, count, n_rows, width, out):  # type: ignore[no-untyped-def]
        """Add inputs low ... high - 1, in slots 0, 1, ..., to out (BLOCK * width,).

        basis (slots * BLOCK * lanes,), base (slots * BLOCK,), place (slots * BLOCK,), coefs flat.
        """
        for s in range(0, count, SIDE_BY_SIDE):
            for v in range(0, width, step):
                y0 = load(out, s * width + v)
                y1 = load(out, (s + 1) * width + v)
                y2 = load(out, (s + 2) * width + v)
                y3 = load(out, (s + 3) * width + v)
                for slot in range(high - low):
                    q = slot * BLOCK + s
                    c0, c1, c2, c3 = place[q] + v, place[q + 1] + v, place[q + 2] + v, place[q + 3] + v
                    for r in range(powers):
                        down = r * width
                        b = q * lanes + r
                        y0 = fma(splat(basis[b]), load(coefs, c0 + down), y0)
                        y1 = fma(splat(basis[b + lanes]), load(coefs, c1 + down), y1)
                        y2 = fma(splat(basis[b + 2 * lanes]), load(coefs, c2 + down), y2)
                        y3 = fma(splat(basis[b + 3 * lanes]), load(coefs, c3 + down), y3)
                    c = load(coefs, ((low + slot) * n_rows + n_rows - 1) * width + v)
                    y0 = fma(splat(base[q]), c, y0)
                    y1 = fma(splat(base[q + 1]), c, y1)
                    y2 = fma(splat(base[q + 2]), c, y2)
                    y3 = fma(splat(base[q + 3]), c, y3)
                store(out, s * width + v, y0)
                store(out, (s + 1) * width + v, y1)
                store(out, (s + 2) * width + v, y2)
                store(out, (s + 3) * width + v, y3)

    return contract


@cache
def forward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a layer's outputs, for degree `k` and a dtype."""
    prepare, contract = prepare_kernel(k, dtype), _contract_kernel(k, dtype)
    step, _, store, splat, *_ = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def forward(x, pieces, kind, given, given_slope, coefs, work, y):  # type: ignore[no-untyped-def]
        """Fill y (n, n_out) from x (n, n_in) and coefs (n_in, G + k + 1, width)."""
        n, n_out = y.shape
        n_in, n_rows, width = coefs.shape
        flat, out, outputs = coefs.reshape(-1), work.out, y.reshape(-1)
        for begin in range(0, n, BLOCK):
            count = min(BLOCK, n - begin)
            for at in range(0, count * width, step):
                store(out, at, splat(zero))
            for low in range(0, n_in, INPUTS):
                high = min(n_in, low + INPUTS)
                prepare(x, begin, count, low, high, width, n_rows, pieces, kind, given, given_slope, False, work)
                contract(work.basis, work.base, work.place, flat, low, high, count, n_rows, width, out)
            copy_rows(out, 0, width, outputs, begin * n_out, n_out, count, n_out)

    return forward


@cache
def tangent_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    r"""Return the kernel of a layer's directional derivative, for degree `k` and a dtype.

    .. math:: \dot y_o = \sum_i \big( \phi_{io}'(x_i)\, \dot x_i + \dot\phi_{io}(x_i) \big)

    where the second term is the layer with the tangent of its packed coefficients: two contractions, one of slopes
    times the tangent of x with C, one of values with the tangent of C.
    """
    lanes = basis_lanes(k)
    powers = k + 1
    prepare, contract = prepare_kernel(k, dtype), _contract_kernel(k, dtype)
    step, _, store, splat, *_ = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def tangent(x, x_dot, pieces, kind, given, given_slope, coefs, coefs_dot, work, y_dot):  # type: ignore[no-untyped-def]
        """Fill y_dot (n, n_out) from x, x_dot (n, n_in) and coefs, coefs_dot (n_in, G + k + 1, width)."""
        n, n_out = y_dot.shape
        n_in, n_rows, width = coefs.shape
        flat, flat_dot = coefs.reshape(-1), coefs_dot.reshape(-1)
        out, place, outputs = work.out, work.place, y_dot.reshape(-1)
        for begin in range(0, n, BLOCK):
            count = min(BLOCK, n - begin)
            for at in range(0, count * width, step):
                store(out, at, splat(zero))
            for low in range(0, n_in, INPUTS):
                high = min(n_in, low + INPUTS)
                prepare(x, begin, count, low, high, width, n_rows, pieces, kind, given, given_slope, True, work)
                for i in range(low, high):
                    slot = i - low
                    for s in range((count + SIDE_BY_SIDE - 1) // SIDE_BY_SIDE * SIDE_BY_SIDE):
                        dot = x_dot[begin + (s if s < count else 0), i]
                        work.base_slope[slot * BLOCK + s] *= dot
                        for r in range(powers):
                            work.slope[(slot * BLOCK + s) * lanes + r] *= dot
                contract(work.slope, work.base_slope, place, flat, low, high, count, n_rows, width, out)
                contract(work.basis, work.base, place, flat_dot, low, high, count, n_rows, width, out)
            copy_rows(out, 0, width, outputs, begin * n_out, n_out, count, n_out)

    return tangent
