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

from numkan.compile import kernel
from numkan.layer.prepare import prepare_kernel
from numkan.simd.groups import group_ops
from numkan.simd.vectors import lanes_of, vector_ops

__all__ = ["delta_kernel", "jacobian_kernel"]


@cache
def jacobian_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of steps 1 to 3, for degree `k` and a dtype."""
    powers = k + 1
    prepare, (size, place, behind, _) = prepare_kernel(k, dtype), group_ops(k + 2, dtype)
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
        basis = work.numbers
        for begin in range(0, n, work.block):
            count = min(work.block, n - begin)
            for i in range(n_in):
                prepare(x, begin, count, i, i + 1, 1, n_basis + 1, pieces, kind, given, given_slope, False, work)
                run, groups, start = 0, 0, 0
                for q in range(count):
                    if q == work.run_end[run]:
                        run, groups, start = run + 1, behind(groups, q - start), q
                    first, row = work.run_row[run] - i * (n_basis + 1), begin + np.int64(work.order[q])
                    at = place(groups, q - start)
                    for o in range(n_out):
                        m = mask[i, o]
                        if m == 0:
                            continue
                        spline = zero
                        for r in range(powers):
                            spline += coef[i, first + r, o] * basis[at + r * size]
                        for net in range(n_q):
                            d = delta[row, net, o] * m
                            for r in range(powers):  # step 1
                                column = at_coef + (i * n_basis + first + r) * n_out + o
                                jac[row, net, column] = d * scale_sp[i, o] * basis[at + r * size]
                            if at_base >= 0:  # step 2
                                jac[row, net, at_base + i * n_out + o] = d * basis[at + powers * size]
                            if at_sp >= 0:  # step 3
                                jac[row, net, at_sp + i * n_out + o] = d * spline

    return jacobian


@cache
def delta_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 4, for degree `k` and a dtype."""
    powers = k + 1
    prepare, (size, place, behind, _) = prepare_kernel(k, dtype), group_ops(k + 2, dtype)
    step, load, _, splat, fma, mul, total, _ = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def pull_back(x, delta, pieces, kind, given, given_slope, coefs, work, row, below):  # type: ignore[no-untyped-def]
        """Fill below (n, n_q, n_in) from delta (n, n_q, n_out) and packed coefs; row (width,) is scratch, zero."""
        n, n_q, n_out = delta.shape
        n_in, n_rows, width = coefs.shape
        flat = coefs.reshape(-1)
        slope = work.slope
        for begin in range(0, n, work.block):
            count = min(work.block, n - begin)
            for i in range(n_in):
                prepare(x, begin, count, i, i + 1, width, n_rows, pieces, kind, given, given_slope, True, work)
                base_row = (i * n_rows + n_rows - 1) * width
                run, groups, start = 0, 0, 0
                for q in range(count):
                    if q == work.run_end[run]:
                        run, groups, start = run + 1, behind(groups, q - start), q
                    sample, at = begin + np.int64(work.order[q]), place(groups, q - start)
                    for net in range(n_q):
                        for o in range(n_out):
                            row[o] = delta[sample, net, o]
                        acc = splat(zero)
                        for v in range(0, width, step):
                            derivative = mul(splat(slope[at + powers * size]), load(flat, base_row + v))
                            for r in range(powers):
                                c = load(flat, work.run_row[run] + r * width + v)
                                derivative = fma(splat(slope[at + r * size]), c, derivative)
                            acc = fma(derivative, load(row, v), acc)
                        below[sample, net, i] = total(acc)

    return pull_back
