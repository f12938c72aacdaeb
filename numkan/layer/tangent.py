"""The directional derivative of one layer."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.prepare import prepare_kernel
from numkan.layer.tiles import copy_rows
from numkan.simd.groups import group_ops
from numkan.simd.vectors import lanes_of, vector_ops

__all__ = ["tangent_kernel"]


@cache
def tangent_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    r"""Return the kernel of a layer's directional derivative, for degree `k` and a dtype.

    .. math:: \dot y_o = \sum_i \big( \phi_{io}'(x_i)\, \dot x_i + \dot\phi_{io}(x_i) \big)

    where the second term is the layer with the tangent of its packed coefficients. Each of the k + 2 functions is taken
    for itself, since what its slope is multiplied by is the sample's own.
    """
    prepare, (size, place, behind, _) = prepare_kernel(k, dtype), group_ops(k + 2, dtype)
    step, load, store, splat, fma, *_ = vector_ops(lanes_of(dtype))
    copy, powers, zero = copy_rows(dtype), k + 1, dtype.type(0)

    @kernel
    def tangent(x, x_dot, pieces, kind, given, given_slope, coefs, coefs_dot, work, y_dot):  # type: ignore[no-untyped-def]
        """Fill y_dot (n, n_out) from x, x_dot (n, n_in) and coefs, coefs_dot (n_in, G + k + 1, width)."""
        n, n_out = y_dot.shape
        n_in, n_rows, width = coefs.shape
        flat, flat_dot, basis, slope = coefs.reshape(-1), coefs_dot.reshape(-1), work.numbers, work.slope
        out, outputs = work.out, y_dot.reshape(-1)
        for begin in range(0, n, work.block):
            count = min(work.block, n - begin)
            for at in range(0, count * width, step):
                store(out, at, splat(zero))
            for i in range(n_in):
                prepare(x, begin, count, i, i + 1, width, n_rows, pieces, kind, given, given_slope, True, work)
                base_row, run, groups, start = (i * n_rows + n_rows - 1) * width, 0, 0, 0
                for q in range(count):
                    if q == work.run_end[run]:
                        run, groups, start = run + 1, behind(groups, q - start), q
                    sample, at = np.int64(work.order[q]), place(groups, q - start)
                    dot = x_dot[begin + sample, i]
                    for v in range(0, width, step):
                        y = load(out, sample * width + v)
                        for r in range(powers + 1):
                            row = (work.run_row[run] + r * width if r < powers else base_row) + v
                            y = fma(splat(slope[at + r * size] * dot), load(flat, row), y)
                            y = fma(splat(basis[at + r * size]), load(flat_dot, row), y)
                        store(out, sample * width + v, y)
            copy(out, 0, width, outputs, begin * n_out, n_out, count, n_out)

    return tangent
