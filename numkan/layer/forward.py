r"""Forward through one layer.

.. math:: y_o = \sum_i \Big( \sum_{m=0}^{k} A_{imo}\, w_i^m + b(x_i)\, C_{i,base,o} \Big), \qquad
    A_{imo} = \sum_{r=0}^{k} P_{imr}\, C_{i,f+r,o}

C are the packed coefficients (``pack.py``), f is the first of the k + 1 B-splines that do not vanish at x_i, P are
their polynomials in the local variable w of the piece that x_i lies in (``pieces.py``). Each output is one sum over the
inputs in order. For each input A_0 is added first, then w times the other terms by Horner's scheme, then the base
function. This order defines the bits of the sum; they do not depend on the batch, the block, or the other outputs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from numkan.compile import kernel
from numkan.layer.runs import distinct, load_kernel, run_loop
from numkan.layer.scratch import Group
from numkan.layer.sorted_samples import fill_kernel, sort_kernel
from numkan.layer.tiles import from_tiles
from numkan.simd.vectors import lanes_of, vector_ops

__all__ = ["forward_kernel"]


@cache
def _outputs_kernel(k: int, dtype: np.dtype[Any], width: int) -> Any:
    """Return the kernel that adds the samples of a run to `width` outputs."""
    step, load, store, splat, fma, *_ = vector_ops(lanes_of(dtype))
    load_rows, zero, one = load_kernel(k, dtype, width), dtype.type(0), dtype.type(1)

    @distinct
    def add_outputs(arrays, poly, run, scratch):  # type: ignore[no-untyped-def]
        """Add A_0 + w (A_1 + w (A_2 + ...)) + b C_base; arrays: (flat coefficients,)."""
        (coefs,) = arrays
        rows, out = scratch.rows, scratch.out
        load_rows(coefs, poly, run, rows)
        for q in range(np.uint64(run.begin), np.uint64(run.end)):
            to = run.tile + np.int64(scratch.order[q]) * width
            w, b = splat(scratch.powers[q]), splat(scratch.base[q])
            for v in range(0, width, step):
                value = load(rows, v) if k > 0 else splat(zero)
                for m in range(1, k):
                    value = fma(value, w, load(rows, m * width + v))
                value = fma(value, w, fma(splat(one), load(rows, k * width + v), load(out, to + v)))
                store(out, to + v, fma(b, load(rows, (k + 1) * width + v), value))

    return add_outputs


@cache
def forward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a layer's outputs, for degree `k` and a dtype."""
    sort, fill = sort_kernel(dtype), fill_kernel(k, dtype, backward=False)
    add_outputs = run_loop(k, dtype, _outputs_kernel)
    step, _, store, splat, *_ = vector_ops(lanes_of(dtype))
    write, zero = from_tiles(dtype), dtype.type(0)

    @kernel
    def forward(x, layer, scratch, y):  # type: ignore[no-untyped-def]
        """Fill y (n, n_out) from x (n, n_in)."""
        n, n_out = y.shape
        n_in, _, width = layer.coefs.shape
        out, outputs, coefs = scratch.out, y.reshape(-1), layer.coefs.reshape(-1)
        for begin in range(0, n, scratch.block):
            count = min(scratch.block, n - begin)
            for at in range(0, (count + 1) * width, step):
                store(out, at, splat(zero))
            for low in range(0, n_in, scratch.inputs):
                group = Group(begin, count, low, min(n_in, low + scratch.inputs))
                sort(x, group, layer.pieces, scratch)
                fill(group, layer.pieces, layer.base, False, scratch)
                add_outputs((coefs,), layer, group, scratch, 0, 0)
            write(out, count, width, outputs, begin, n_out)

    return forward
