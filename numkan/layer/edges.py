r"""Moments of every edge over a batch, and the way back from them: what penalties on edges are made of.

With the packed coefficients C of ``pack.py`` an edge is :math:`\phi_{io}(x) = \sum_r B_{f+r}(x) C_{i,f+r,o} + b(x)
C_{i,base,o}`. Its sums over the samples, about a shift c,

.. math:: S_{io} = \sum_n (\phi_{io}(x_{ni}) - c_{io}), \qquad Q_{io} = \sum_n (\phi_{io}(x_{ni}) - c_{io})^2,

are taken twice: about 0, which gives the mean :math:`\mu`, and about the mean, which gives the variance without
cancellation. Nothing of size (n, n_in, n_out) is ever held.

Backward, with the cotangents :math:`\bar y_{no}` of the outputs and :math:`g_{io}` of :math:`Q_{io} / 2`:

1. :math:`\bar\phi_{nio} = \bar y_{no} + g_{io} (\phi_{io}(x_{ni}) - \mu_{io})`
2. :math:`\bar C_{i,f+r,o} \mathrel{+}= B_{f+r}(x_{ni})\, \bar\phi_{nio}, \quad
   \bar C_{i,base,o} \mathrel{+}= b(x_{ni})\, \bar\phi_{nio}`
3. :math:`\bar x_{ni} = \sum_o \bar\phi_{nio}\, \phi_{io}'(x_{ni})`

(The mean in step 1 is not differentiated: :math:`\sum_n (\phi_n - \mu) = 0`.)
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.base import given_base
from numkan.compile import kernel
from numkan.layer.packed import PackedLayer
from numkan.layer.prepare import prepare_kernel
from numkan.layer.tiles import copy_rows
from numkan.simd.groups import group_ops
from numkan.simd.vectors import lanes_of, vector_ops

__all__ = ["edge_backward", "edge_sums"]


@cache
def _edge_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of one vector of outputs of one edge at one prepared point: phi - c."""
    powers, size = k + 1, group_ops(k + 2, dtype).size
    _, load, _, splat, fma, *_ = vector_ops(lanes_of(dtype))

    @kernel
    def edge(basis, at, coefs, row, base_row, minus_shift, c, width):  # type: ignore[no-untyped-def]
        """at: where the first function is; row: of the first of them; c: where in minus_shift."""
        value = fma(splat(basis[at + powers * size]), load(coefs, base_row), load(minus_shift, c))
        for r in range(powers):
            value = fma(splat(basis[at + r * size]), load(coefs, row + r * width), value)
        return value

    return edge


@cache
def _sums_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the moments of every edge, for degree `k` and a dtype."""
    prepare, edge, (_, place, behind, _) = prepare_kernel(k, dtype), _edge_kernel(k, dtype), group_ops(k + 2, dtype)
    step, load, store, splat, fma, *_ = vector_ops(lanes_of(dtype))
    zero, one = dtype.type(0), dtype.type(1)

    @kernel
    def add_sums(x, pieces, kind, given, given_slope, coefs, work, minus_shift, sums, squares):  # type: ignore[no-untyped-def]
        """Add to sums and squares (n_in * width,), flat, like minus_shift; a block is summed before it is added."""
        n = x.shape[0]
        n_in, n_rows, width = coefs.shape
        flat = coefs.reshape(-1)
        for begin in range(0, n, work.block):
            count = min(work.block, n - begin)
            for low in range(0, n_in, work.inputs):
                high = min(n_in, low + work.inputs)
                prepare(x, begin, count, low, high, width, n_rows, pieces, kind, given, given_slope, False, work)
                begin_groups = groups = 0
                for i in range(low, high):
                    base_row, first_run = (i * n_rows + n_rows - 1) * width, (i - low) * work.runs
                    for v in range(0, width, step):
                        c, groups, q = i * width + v, begin_groups, 0
                        total, square = splat(zero), splat(zero)
                        for run in range(first_run, first_run + work.n_runs[i - low]):
                            row, end = work.run_row[run] + v, work.run_end[run]
                            for s in range(q, end):
                                at = place(groups, s - q)
                                d = edge(work.numbers, at, flat, row, base_row + v, minus_shift, c, width)
                                total = fma(splat(one), d, total)
                                square = fma(d, d, square)
                            groups, q = behind(groups, end - q), end
                        store(sums, c, fma(splat(one), total, load(sums, c)))
                        store(squares, c, fma(splat(one), square, load(squares, c)))
                    begin_groups = groups

    return add_sums


@cache
def _backward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of steps 1 to 3, for degree `k` and a dtype."""
    powers = k + 1
    prepare, edge, (size, place, behind, _) = (
        prepare_kernel(k, dtype),
        _edge_kernel(k, dtype),
        group_ops(k + 2, dtype),
    )
    copy = copy_rows(dtype)
    step, load, store, splat, fma, mul, total, _ = vector_ops(lanes_of(dtype))
    zero = dtype.type(0)

    @kernel
    def backward(x, y_bar, pieces, kind, given, given_slope, coefs, work, minus_mean, g, grad, x_bar):  # type: ignore[no-untyped-def]
        """Add to grad (n_in, G + k + 1, width) and fill x_bar (n, n_in); y_bar (n, n_out); minus_mean, g flat."""
        n, n_out = y_bar.shape
        n_in, n_rows, width = coefs.shape
        flat, flat_grad, out = coefs.reshape(-1), grad.reshape(-1), work.out
        basis, slope = work.numbers, work.slope
        cotangents = y_bar.reshape(-1)
        out[:] = zero  # the padding stays zero
        for begin in range(0, n, work.block):
            count = min(work.block, n - begin)
            copy(cotangents, begin * n_out, n_out, out, 0, width, count, n_out)
            for low in range(0, n_in, work.inputs):
                high = min(n_in, low + work.inputs)
                prepare(x, begin, count, low, high, width, n_rows, pieces, kind, given, given_slope, True, work)
                groups = 0
                for i in range(low, high):
                    base_row, first_run = (i * n_rows + n_rows - 1) * width, (i - low) * work.runs
                    start, q = (i - low) * work.stride, 0
                    for run in range(first_run, first_run + work.n_runs[i - low]):
                        end = work.run_end[run]
                        for s in range(q, end):
                            sample, f, acc = np.int64(work.order[start + s]), place(groups, s - q), splat(zero)
                            for v in range(0, width, step):
                                row, c = work.run_row[run] + v, i * width + v
                                d = edge(basis, f, flat, row, base_row + v, minus_mean, c, width)
                                bar = fma(load(g, c), d, load(out, sample * width + v))  # step 1
                                derivative = mul(splat(slope[f + powers * size]), load(flat, base_row + v))
                                for r in range(powers):  # steps 2 and 3
                                    to = row + r * width
                                    store(flat_grad, to, fma(splat(basis[f + r * size]), bar, load(flat_grad, to)))
                                    derivative = fma(splat(slope[f + r * size]), load(flat, to), derivative)
                                to = base_row + v
                                store(flat_grad, to, fma(splat(basis[f + powers * size]), bar, load(flat_grad, to)))
                                acc = fma(derivative, bar, acc)
                            x_bar[begin + sample, i] = total(acc)
                        groups, q = behind(groups, end - q), end

    return backward


def edge_sums(layer: PackedLayer, x: FloatArray, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return S and Q about `shift`, each (n_in, width), of the edges of a layer at samples x (n, n_in).

    The padding beyond n_out is that of the packed coefficients, and zero.
    """
    sums, squares = np.zeros_like(shift), np.zeros_like(shift)
    given, slope = given_base(layer.base, x)
    flat = (np.ascontiguousarray(-shift).reshape(-1), sums.reshape(-1), squares.reshape(-1))
    kernel = _sums_kernel(layer.k, x.dtype)
    kernel(x, layer.pieces, layer.base.kind, given, slope, layer.coefs, layer.work, *flat)
    return sums, squares


def edge_backward(
    layer: PackedLayer, x: FloatArray, y_bar: FloatArray, mean: FloatArray, g: FloatArray, grad: FloatArray
) -> FloatArray:
    """Add the cotangents of the packed coefficients to `grad` and return those of x, from y_bar (n, n_out) and g.

    mean, g : (n_in, width), zero in the padding.
    """
    x_bar = np.empty(x.shape, x.dtype)
    given, slope = given_base(layer.base, x)
    flat = (np.ascontiguousarray(-mean).reshape(-1), np.ascontiguousarray(g).reshape(-1))
    kernel = _backward_kernel(layer.k, x.dtype)
    kernel(x, y_bar, layer.pieces, layer.base.kind, given, slope, layer.coefs, layer.work, *flat, grad, x_bar)
    return x_bar
