r"""The one local evaluation: at a point, the k + 1 functions that do not vanish there, and their slopes.

.. math:: B_{first + r,\,k}(x), \quad B_{first + r,\,k}'(x), \qquad r = 0 \dots k

Curves, fits, grid updates, Levenberg-Marquardt, Jacobians and the moments of edges are built on it. (Predictions and
gradients of the loss have kernels of their own, for speed: ``numkan/layer``.)

References
----------
C. de Boor, *A Practical Guide to Splines*, revised edition, Springer 2001, ch. X.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan._kept import empty
from numkan.compile import kernel
from numkan.simd.vectors import vector_ops
from numkan.spline.lookup import find_piece
from numkan.spline.pieces import Pieces, function_lanes

__all__ = [
    "LocalDerivatives",
    "LocalFunctions",
    "add_curves",
    "bounded",
    "curves",
    "local_functions",
    "local_kernel",
]


class LocalDerivatives(NamedTuple):
    """The functions at n samples of n_in inputs, and their derivatives."""

    first: NDArray[np.int64]  # (n, n_in): index of the first function
    values: FloatArray  # (order + 1, n, n_in, k + 1)


class LocalFunctions(NamedTuple):
    """The functions at n samples of n_in inputs."""

    first: NDArray[np.int64]  # (n, n_in): index of the first function
    values: FloatArray  # (n, n_in, k + 1)
    slopes: FloatArray  # (n, n_in, k + 1), or (0, n_in, k + 1) if they were not asked for


@kernel
def bounded(x, limit):  # type: ignore[no-untyped-def]
    """Return x with infinities replaced by the largest number of the dtype, NaN kept.

    Constant pieces then give their constant at infinity, not inf * 0.
    """
    x = limit if x > limit else x
    return -limit if x < -limit else x


@cache
def local_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of one point, for degree `k` and a dtype."""
    lanes, powers, limit = function_lanes(k), k + 1, dtype.type(np.finfo(dtype).max)
    _, load, store, splat, fma, mul, *_ = vector_ops(lanes)
    zero, one = dtype.type(0), dtype.type(1)

    @partial(kernel, inline=True)  # called for every point, with all the arrays of `pieces`
    def local(x, i, pieces, poly, values, slopes, at, sloped):  # type: ignore[no-untyped-def]
        """Write the functions at the point x of input i into values[at ...], flat; return the index of the first.

        poly: ``pieces.poly``, flat. Their slopes go into slopes[at ...] if `sloped`. Both arrays have room for whole
        vectors; entries beyond the k + 1 functions have no meaning. Horner's rule, with the functions as lanes.
        """
        j = find_piece(x, i, pieces)
        rate = pieces.inverse[i, j]
        w = splat((bounded(x, limit) - pieces.centre[i, j]) * rate)
        row = (i * pieces.poly.shape[1] + j) * powers * lanes
        value, slope = load(poly, row), mul(splat(zero), w)  # zeros, and NaN where x is NaN
        for m in range(1, powers):  # each product and each sum is rounded
            slope = fma(splat(one), mul(slope, w), value)
            value = fma(splat(one), mul(value, w), load(poly, row + m * lanes))
        if powers == 1:  # a NaN of the point or of the piece is kept
            value = fma(splat(zero), w, value)
            slope = mul(splat(zero), value)
        store(values, at, value)
        if sloped:
            store(slopes, at, mul(slope, splat(rate)))
        return pieces.first[i, j]

    return local


@cache
def _block_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    local, powers = local_kernel(k, dtype), k + 1

    @partial(kernel, noalias=True)
    def fill(x, pieces, first, values, slopes):  # type: ignore[no-untyped-def]
        """Fill first (n, n_in), and values and slopes, flat, at x (n, n_in); slopes unless it is empty.

        Entries beyond the functions of one point are overwritten by the functions of the next.
        """
        n, n_in = x.shape
        poly = pieces.poly.reshape(-1)
        sloped = slopes.shape[0] > 0
        for s in range(n):
            for i in range(n_in):
                first[s, i] = local(x[s, i], i, pieces, poly, values, slopes, (s * n_in + i) * powers, sloped)

    return fill


def local_functions(x: FloatArray, pieces: Pieces, *, slopes: bool = False) -> LocalFunctions:
    """Return the k + 1 functions at x (n, n_in), of the pieces' dtype, and their slopes if asked for."""
    _, _, powers, lanes = pieces.poly.shape
    first, size = empty(x.shape, np.int64), x.size * powers
    values = empty(size + lanes, x.dtype)
    sloped = empty(size + lanes if slopes else 0, x.dtype)
    with np.errstate(all="ignore"):  # where the JIT is off, NumPy would warn of NaN and underflow
        _block_kernel(powers - 1, x.dtype)(np.ascontiguousarray(x), pieces, first, values, sloped)
    shape = (*x.shape, powers)
    return LocalFunctions(first, values[:size].reshape(shape), sloped[: size * slopes].reshape(-1, *shape[1:]))


@partial(kernel, noalias=True)
def add_curves(first, functions, coefs, out):  # type: ignore[no-untyped-def]
    """Add sum_r functions[s, i, r] coefs[i, first[s, i] + r, o] to out (n, n_in, n_out), or (n, 1, n_out) for all i.

    functions: values or slopes; coefs (n_in, G + k, n_out). The sums are in the order of i and r.
    """
    n, n_in, order = functions.shape
    single, n_out = out.shape[1] == 1, out.shape[2]
    for s in range(n):
        for i in range(n_in):
            p, row = first[s, i], out[s, 0 if single else i]
            for r in range(order):
                value, own = functions[s, i, r], coefs[i, p + r]
                for o in range(n_out):
                    row[o] += value * own[o]


def curves(functions: LocalFunctions, coefs: FloatArray) -> FloatArray:
    """Return the curves (n, n_in, n_out) of coefficients (n_in, G + k, n_out)."""
    first, values, _ = functions
    out = np.zeros((*first.shape, coefs.shape[2]), values.dtype)
    with np.errstate(all="ignore"):
        add_curves(first, values, coefs, out)
    return out
