r"""Rows of the Jacobian by the parameters, and the products of layer Jacobians by the inputs.

Let :math:`\delta_{qo} = \partial y^{net}_q / \partial y_o` for the outputs o of one layer and the outputs q of the
network, for one sample. With the spline :math:`S_{io} = \sum_r c_{i,f+r,o} B_{f+r}(x_i)` the layer's parameters
contribute

1. :math:`\partial y_q / \partial c_{i, f + r, o} = \delta_{qo}\, m_{io}\, s^{sp}_{io}\, B_{f + r}(x_i)`
2. :math:`\partial y_q / \partial s^{base}_{io} = \delta_{qo}\, m_{io}\, b(x_i)`
3. :math:`\partial y_q / \partial s^{sp}_{io} = \delta_{qo}\, m_{io}\, S_{io}`

and the layer below gets

4. :math:`\delta_{qi} = \sum_o \delta_{qo}\, \phi_{io}'(x_i)`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._jit import kernel
from numkan._simd import lanes_of, vector_ops
from numkan.layer.prepare import BLOCK, basis_lanes, prepare_kernel

__all__ = ["delta_kernel", "jacobian_kernel"]


@cache
def jacobian_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of steps 1 to 3, for degree `k` and a dtype."""
    lanes = basis_lanes(k)
    powers = k + 1
    prepare = prepare_kernel(k, dtype)
    zero = dtype.type(0)

    @kernel
    def jacobian(x, delta, pieces, kind, given, given_slope, coef, scale_sp, mask, work, columns, jac):  # type: ignore[no-untyped-def]
        """Write a layer's columns of jac (n, n_q, n_params), which is zero before.

        x (n, n_in), delta (n, n_q, n_out), coef (n_in, n_basis, n_out), scale_sp, mask (n_in, n_out); columns: the
        first column of coef, scale_base and scale_sp, negative where they are not trainable.
        """
        n, n_q, n_out = delta.shape
        n_in, n_basis, _ = coef.shape
        at_coef, at_base, at_sp = columns
        basis = work.basis
        for begin in range(0, n, BLOCK):
            count = min(BLOCK, n - begin)
            for i in range(n_in):
                prepare(x, begin, count, i, i + 1, 1, n_basis + 1, pieces, kind, given, given_slope, False, work)
                for s in range(count):
                    first = work.place[s] - i * (n_basis + 1)
                    for o in range(n_out):
                        m = mask[i, o]
                        if m == 0:
                            continue
                        spline, b = zero, s * lanes
                        for r in range(powers):
                            spline += coef[i, first + r, o] * basis[b + r]
                        for net in range(n_q):
                            d = delta[begin + s, net, o] * m
                            for r in range(powers):  # step 1
                                column = at_coef + (i * n_basis + first + r) * n_out + o
                                jac[begin + s, net, column] = d * scale_sp[i, o] * basis[b + r]
                            if at_base >= 0:  # step 2
                                jac[begin + s, net, at_base + i * n_out + o] = d * work.base[s]
                            if at_sp >= 0:  # step 3
                                jac[begin + s, net, at_sp + i * n_out + o] = d * spline

    return jacobian


@cache
def delta_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 4, for degree `k` and a dtype."""
    lanes = basis_lanes(k)
    powers = k + 1
    prepare = prepare_kernel(k, dtype)
    step, load, _, splat, fma, mul, total = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def pull_back(x, delta, pieces, kind, given, given_slope, coefs, work, row, below):  # type: ignore[no-untyped-def]
        """Fill below (n, n_q, n_in) from delta (n, n_q, n_out) and packed coefs; row (width,) is scratch, zero."""
        n, n_q, n_out = delta.shape
        n_in, n_rows, width = coefs.shape
        flat = coefs.reshape(-1)
        for begin in range(0, n, BLOCK):
            count = min(BLOCK, n - begin)
            for i in range(n_in):
                prepare(x, begin, count, i, i + 1, width, n_rows, pieces, kind, given, given_slope, True, work)
                base_row = (i * n_rows + n_rows - 1) * width
                for s in range(count):
                    for net in range(n_q):
                        for o in range(n_out):
                            row[o] = delta[begin + s, net, o]
                        acc = splat(zero)
                        for v in range(0, width, step):
                            derivative = mul(splat(work.base_slope[s]), load(flat, base_row + v))
                            for r in range(powers):
                                c = load(flat, work.place[s] + r * width + v)
                                derivative = fma(splat(work.slope[s * lanes + r]), c, derivative)
                            acc = fma(derivative, load(row, v), acc)
                        below[begin + s, net, i] = total(acc)

    return pull_back
