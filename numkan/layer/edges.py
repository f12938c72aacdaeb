r"""The values and slopes of a layer's edges at samples, for Jacobians, products with them, and penalties.

With the packed coefficients C of ``pack.py`` an edge is :math:`\phi_{io}(x) = \sum_r B_{f+r}(x)\, C_{i,f+r,o} + b(x)\,
C_{i,base,o}`. Its sums over the samples, about a shift c,

.. math:: S_{io} = \sum_n (\phi_{io}(x_{ni}) - c_{io}), \qquad Q_{io} = \sum_n (\phi_{io}(x_{ni}) - c_{io})^2,

are taken twice: about 0, which gives the mean :math:`\mu`, and about the mean, which gives the variance without
cancellation. Samples come in blocks: nothing of size (n, n_in, n_out) is held for all of them.

Backward, with the cotangents :math:`\bar y_{no}` of the outputs and :math:`g_{io}` of :math:`Q_{io} / 2`:

1. :math:`\bar\phi_{nio} = \bar y_{no} + g_{io} (\phi_{io}(x_{ni}) - \mu_{io})`
2. :math:`\bar C_{i,f+r,o} \mathrel{+}= B_{f+r}(x_{ni})\, \bar\phi_{nio}, \quad
   \bar C_{i,base,o} \mathrel{+}= b(x_{ni})\, \bar\phi_{nio}`
3. :math:`\bar x_{ni} = \sum_o \bar\phi_{nio}\, \phi_{io}'(x_{ni})`

(The mean in step 1 is not differentiated: :math:`\sum_n (\phi_n - \mu) = 0`.)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.base import base_and_slope
from numkan.compile import kernel
from numkan.layer.packed import PackedLayer
from numkan.simd.vectors import lanes_of, vector_ops
from numkan.spline.local import LocalFunctions, local_functions

__all__ = ["Edges", "edge_backward", "edge_rows", "edge_sums", "padded", "pull_gradient"]

#: Values of functions and slopes in a block of samples: 1 MB in float64, which stays in the second-level cache.
_BLOCK_VALUES = 1 << 17

#: At most this many samples in a block: a long sum in float32 loses its small terms.
_BLOCK_ROWS = 1024


class Edges(NamedTuple):
    """A layer at a block of n samples. Arrays have as many outputs as the packed coefficients: `width`, whole vectors.

    Entries of outputs beyond n_out are zero.
    """

    functions: LocalFunctions
    base: FloatArray  # (n, n_in): b(x); (0, n_in) without a base function
    base_slopes: FloatArray  # of the same shape
    coefs: Any  # (n_in, G + k + 1, width): packed coefficients
    n_out: int

    @classmethod
    def of(cls, layer: PackedLayer, x: FloatArray, *, slopes: bool = False) -> Edges:
        """Return the edges of a packed layer at canonical samples x (n, n_in), with their slopes if asked for."""
        base, base_slopes = (x[:0], x[:0]) if layer.base.is_zero else base_and_slope(layer.base, x)
        return cls(local_functions(x, layer.pieces, slopes=slopes), base, base_slopes, layer.coefs, layer.n_out)

    def outputs(self) -> FloatArray:
        """Return the sums over the inputs, (n, n_out)."""
        out = self._added(self.functions.values, self.base, 1)
        return np.ascontiguousarray(out[:, 0, : self.n_out])

    def values(self) -> FloatArray:
        r"""Return :math:`\phi_{io}(x_{ni})`, (n, n_in, width)."""
        return self._added(self.functions.values, self.base, len(self.coefs))

    def slopes(self) -> FloatArray:
        r"""Return :math:`\phi_{io}'(x_{ni})`, (n, n_in, width)."""
        return self._added(self.functions.slopes, self.base_slopes, len(self.coefs))

    def _added(self, functions: FloatArray, base: FloatArray, n_edges: int) -> FloatArray:
        first, (_, _, width), powers = self.functions.first, self.coefs.shape, functions.shape[2]
        out = np.zeros((len(first), n_edges, width), self.coefs.dtype)
        with np.errstate(all="ignore"):  # where the JIT is off, NumPy would warn of NaN and underflow
            _add_kernel(powers - 1, out.dtype)(first, functions, base, self.coefs, out)
        return out


@cache
def _add_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel that multiplies functions by coefficients, for degree `k` and a dtype."""
    step, load, store, splat, fma, *_ = vector_ops(lanes_of(dtype))
    powers = k + 1

    @kernel
    def add(first, functions, base, coefs, out):  # type: ignore[no-untyped-def]
        """Add sum_r functions[s, i, r] coefs[i, first[s, i] + r, o] + base[s, i] coefs[i, -1, o] to `out`.

        out (n, n_in, width), or (n, 1, width) for the sum over the inputs.
        """
        n, n_in, _ = functions.shape
        _, n_rows, width = coefs.shape
        flat, edges, n_edges = coefs.reshape(-1), out.reshape(-1), out.shape[1]
        for i in range(n_in):
            for s in range(n):
                f, e = functions[s, i], (s * n_edges + min(i, n_edges - 1)) * width
                row, base_row = (i * n_rows + first[s, i]) * width, (i * n_rows + n_rows - 1) * width
                for v in range(0, width, step):
                    total = load(edges, e + v)
                    for r in range(powers):
                        total = fma(splat(f[r]), load(flat, row + r * width + v), total)
                    if base.shape[0]:
                        total = fma(splat(base[s, i]), load(flat, base_row + v), total)
                    store(edges, e + v, total)

    return add


def edge_rows(*layers: PackedLayer) -> int:
    """Return the number of samples in a block, for these layers together."""
    most = max(2 * layer.coefs.shape[0] * (layer.k + 1) for layer in layers)
    return int(max(1, min(_BLOCK_ROWS, _BLOCK_VALUES // most)))


def _blocks(layer: PackedLayer, n: int) -> Iterator[slice]:
    size = edge_rows(layer)
    return (slice(begin, min(begin + size, n)) for begin in range(0, n, size))


# --- moments, and their gradients ---------------------------------------------------------------------------------


@cache
def _sums_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of the moments of every edge, for degree `k` and a dtype."""
    step, load, store, splat, fma, *_ = vector_ops(lanes_of(dtype))
    powers, one = k + 1, dtype.type(1)

    @kernel
    def add_sums(functions, base, coefs, minus_shift, sums, squares):  # type: ignore[no-untyped-def]
        """Add to sums and squares (n_in * width,), flat, like minus_shift."""
        first, values, _ = functions
        n, n_in, _ = values.shape
        _, n_rows, width = coefs.shape
        flat = coefs.reshape(-1)
        for i in range(n_in):
            for v in range(0, width, step):
                c, begin = i * width + v, i * n_rows * width + v
                base_row = begin + (n_rows - 1) * width
                minus, total, square = load(minus_shift, c), load(sums, c), load(squares, c)
                for s in range(n):
                    f, row, d = values[s, i], begin + first[s, i] * width, minus
                    if base.shape[0]:
                        d = fma(splat(base[s, i]), load(flat, base_row), d)
                    for r in range(powers):
                        d = fma(splat(f[r]), load(flat, row + r * width), d)
                    total = fma(splat(one), d, total)
                    square = fma(d, d, square)
                store(sums, c, total)
                store(squares, c, square)

    return add_sums


def edge_sums(layer: PackedLayer, x: FloatArray, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return S and Q about `shift` (n_in, width), both (n_in, width) in float64, of a layer at samples x (n, n_in)."""
    totals = np.zeros((2, shift.size))
    add_sums, minus_shift = _sums_kernel(layer.k, x.dtype), np.ascontiguousarray(-shift).reshape(-1)
    with np.errstate(all="ignore"):
        for rows in _blocks(layer, len(x)):
            edges, block = Edges.of(layer, x[rows]), np.zeros((2, shift.size), x.dtype)
            add_sums(edges.functions, edges.base, layer.coefs, minus_shift, block[0], block[1])
            totals += block
    return totals[0].reshape(shift.shape), totals[1].reshape(shift.shape)


@cache
def _backward_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of steps 1 to 3, for degree `k` and a dtype."""
    step, load, store, splat, fma, _, total, _ = vector_ops(lanes_of(dtype))
    powers, zero = k + 1, dtype.type(0)

    @kernel
    def backward(edges, minus_mean, g, y_bar, grad, x_bar):  # type: ignore[no-untyped-def]
        """Add to grad (n_in, G + k + 1, width) and fill x_bar (n, n_in), from y_bar (n, width).

        edges: `Edges`. minus_mean, g (n_in * width,), flat; empty where no moments have cotangents.
        """
        base, base_slopes, coefs = edges.base, edges.base_slopes, edges.coefs
        first, values, slopes = edges.functions
        n, n_in, _ = values.shape
        _, n_rows, width = coefs.shape
        flat, flat_grad, bars = coefs.reshape(-1), grad.reshape(-1), y_bar.reshape(-1)
        for i in range(n_in):
            for s in range(n):
                f, slope = values[s, i], slopes[s, i]
                row, base_row = (i * n_rows + first[s, i]) * width, (i * n_rows + n_rows - 1) * width
                acc = splat(zero)
                for v in range(0, width, step):
                    bar, derivative = load(bars, s * width + v), splat(zero)
                    if g.shape[0]:  # step 1
                        off = load(minus_mean, i * width + v)
                        if base.shape[0]:
                            off = fma(splat(base[s, i]), load(flat, base_row + v), off)
                        for r in range(powers):
                            off = fma(splat(f[r]), load(flat, row + r * width + v), off)
                        bar = fma(load(g, i * width + v), off, bar)
                    if base.shape[0]:
                        to = base_row + v
                        derivative = fma(splat(base_slopes[s, i]), load(flat, to), derivative)
                        store(flat_grad, to, fma(splat(base[s, i]), bar, load(flat_grad, to)))
                    for r in range(powers):  # steps 2 and 3
                        to = row + r * width + v
                        derivative = fma(splat(slope[r]), load(flat, to), derivative)
                        store(flat_grad, to, fma(splat(f[r]), bar, load(flat_grad, to)))
                    acc = fma(derivative, bar, acc)
                x_bar[s, i] = total(acc)

    return backward


def pull_gradient(edges: Edges, y_bar: FloatArray, grad: FloatArray, mean: FloatArray, g: FloatArray) -> FloatArray:
    """Add the cotangents of the packed coefficients to `grad` and return those of x (n, n_in).

    y_bar (n, width); mean, g (n_in, width), or (0, width) if the cotangents of all moments are zero.
    """
    (first, _, _), k = edges.functions, edges.functions.values.shape[2] - 1
    x_bar = np.empty(first.shape, grad.dtype)
    moments = np.ascontiguousarray(-mean).reshape(-1), np.ascontiguousarray(g).reshape(-1)
    with np.errstate(all="ignore"):
        _backward_kernel(k, grad.dtype)(edges, *moments, y_bar, grad, x_bar)
    return x_bar


def edge_backward(
    layer: PackedLayer, x: FloatArray, y_bar: FloatArray, mean: FloatArray, g: FloatArray, grad: FloatArray
) -> FloatArray:
    """Do as :func:`pull_gradient` for a layer at many samples x, from y_bar (n, n_out)."""
    x_bar = np.empty(x.shape, x.dtype)
    for rows in _blocks(layer, len(x)):
        edges = Edges.of(layer, x[rows], slopes=True)
        x_bar[rows] = pull_gradient(edges, padded(y_bar[rows], edges.coefs.shape[2]), grad, mean, g)
    return x_bar


def padded(array: FloatArray, width: int) -> FloatArray:
    """Return a copy of an array (..., n) with zeros up to `width` columns."""
    out = np.zeros((*array.shape[:-1], width), array.dtype)
    out[..., : array.shape[-1]] = array
    return out
