r"""Rows of the Jacobian by the parameters, and the products of layer Jacobians by the inputs.

Let :math:`\delta_{qo} = \partial y^{net}_q / \partial y_o` for the outputs o of one layer and the outputs q of the
network, for one sample. With the spline :math:`S_{io} = \sum_r c_{i,f+r,o} B_{f+r}(x_i)` the layer's parameters
contribute

1. :math:`\partial y_q / \partial c_{i, f + r, o} = \delta_{qo}\, m_{io}\, s^{sp}_{io}\, B_{f + r}(x_i)`
2. :math:`\partial y_q / \partial s^{base}_{io} = \delta_{qo}\, m_{io}\, b(x_i)`
3. :math:`\partial y_q / \partial s^{sp}_{io} = \delta_{qo}\, m_{io}\, S_{io}`

and the derivatives by the outputs of the layer below are

4. :math:`\delta_{qi} = \sum_o \delta_{qo}\, \phi_{io}'(x_i)`.

Forward, the directional derivative along tangents of x and of the packed coefficients is

5. :math:`\dot y_o = \sum_i \big( \phi_{io}'(x_i)\, \dot x_i + \dot\phi_{io}(x_i) \big)`,

where :math:`\dot\phi` is the edge with the tangents in place of its coefficients.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.compile import kernel
from numkan.layer.edges import Edges
from numkan.layer.pack import Source
from numkan.simd.vectors import lanes_of, vector_ops

__all__ = ["fill_jacobian", "pull_back", "tangent"]


@kernel
def _fill_columns(functions, base, delta, source, columns, jac):  # type: ignore[no-untyped-def]
    """Do steps 1 to 3, into jac (n, n_q, n_params)."""
    first, values, _ = functions
    n, n_q, _ = delta.shape
    n_in, n_basis, n_out = source.coef.shape
    at_coef, at_base, at_sp = columns
    for s in range(n):
        for i in range(n_in):
            p, own = first[s, i], values[s, i]
            for o in range(n_out):
                mask, edge = source.mask[i, o], i * n_out + o
                if mask == 0:
                    continue
                spline = own.dtype.type(0)
                for r in range(own.shape[0]):
                    spline += source.coef[i, p + r, o] * own[r]
                for q in range(n_q):
                    row, d = jac[s, q], delta[s, q, o] * mask
                    for r in range(own.shape[0]):  # step 1
                        row[at_coef + (i * n_basis + p + r) * n_out + o] = d * source.scale_sp[i, o] * own[r]
                    if at_base >= 0 and base.shape[0]:  # step 2
                        row[at_base + edge] = d * base[s, i]
                    if at_sp >= 0:  # step 3
                        row[at_sp + edge] = d * spline


def fill_jacobian(
    edges: Edges, delta: FloatArray, source: Source, columns: tuple[int, int, int], jac: FloatArray
) -> None:
    """Write a layer's columns of jac (n, n_q, n_params), which is zero there, from delta (n, n_q, width).

    columns: the first column of coef, scale_base and scale_sp, negative where they are not trainable.
    """
    with np.errstate(all="ignore"):
        _fill_columns(edges.functions, edges.base, delta, source, columns, jac)


@cache
def _products_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 4 for a dtype."""
    step, load, _, splat, fma, _, total, _ = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def fill(edge_slopes, delta, below):  # type: ignore[no-untyped-def]
        """Fill below (n, n_q, n_in or more) from edge_slopes (n, n_in, width) and delta (n, n_q, width)."""
        n, n_in, width = edge_slopes.shape
        slopes, above, n_q = edge_slopes.reshape(-1), delta.reshape(-1), delta.shape[1]
        for s in range(n):
            for q in range(n_q):
                for i in range(n_in):
                    acc, e, d = splat(zero), (s * n_in + i) * width, (s * n_q + q) * width
                    for v in range(0, width, step):
                        acc = fma(load(slopes, e + v), load(above, d + v), acc)
                    below[s, q, i] = total(acc)

    return fill


def pull_back(edges: Edges, delta: FloatArray, width: int) -> FloatArray:
    """Return derivatives by the inputs, (n, n_q, width), zeros beyond n_in, from those by the outputs, delta alike."""
    n, n_q, _ = delta.shape
    below = np.zeros((n, n_q, width), delta.dtype)
    with np.errstate(all="ignore"):
        _products_kernel(delta.dtype)(edges.slopes(), delta, below)
    return below


@cache
def _tangent_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of step 5, for degree `k` and a dtype."""
    step, load, store, splat, fma, *_ = vector_ops(lanes_of(dtype))
    powers = k + 1

    @kernel
    def add(functions, base, base_slopes, x_dot, coefs, coefs_dot, y_dot):  # type: ignore[no-untyped-def]
        """Add to y_dot (n, width)."""
        first, values, slopes = functions
        n, n_in, _ = values.shape
        _, n_rows, width = coefs.shape
        flat, flat_dot, out = coefs.reshape(-1), coefs_dot.reshape(-1), y_dot.reshape(-1)
        for i in range(n_in):
            for s in range(n):
                f, slope, dot = values[s, i], slopes[s, i], x_dot[s, i]
                row, base_row = (i * n_rows + first[s, i]) * width, (i * n_rows + n_rows - 1) * width
                for v in range(0, width, step):
                    total = load(out, s * width + v)
                    for r in range(powers):
                        c = row + r * width + v
                        total = fma(splat(slope[r] * dot), load(flat, c), total)
                        total = fma(splat(f[r]), load(flat_dot, c), total)
                    if base.shape[0]:
                        total = fma(splat(base_slopes[s, i] * dot), load(flat, base_row + v), total)
                        total = fma(splat(base[s, i]), load(flat_dot, base_row + v), total)
                    store(out, s * width + v, total)

    return add


def tangent(edges: Edges, x_dot: FloatArray, coefs_dot: FloatArray) -> FloatArray:
    """Return the directional derivative (n, n_out) along tangents of x (n, n_in) and of the packed coefficients."""
    y_dot = np.zeros((len(x_dot), edges.coefs.shape[2]), x_dot.dtype)
    k = edges.functions.values.shape[2] - 1
    with np.errstate(all="ignore"):
        _tangent_kernel(k, x_dot.dtype)(
            edges.functions, edges.base, edges.base_slopes, x_dot, edges.coefs, coefs_dot, y_dot
        )
    return np.ascontiguousarray(y_dot[:, : edges.n_out])
