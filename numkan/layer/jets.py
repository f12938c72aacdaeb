r"""Jets: the values of nodes with their derivatives by the inputs of the network, carried through a layer and back.

With derivatives by the inputs a, of second order for pairs (a, b) and of third order for (a, a, a), a layer
:math:`y_o = \sum_i \phi_{io}(x_i)` makes of the jets of x those of y (Faa di Bruno):

1. :math:`y_a = \sum_i \phi' x_a`
2. :math:`y_{ab} = \sum_i \phi'' x_a x_b + \phi' x_{ab}`
3. :math:`y_{aaa} = \sum_i \phi''' x_a^3 + 3 \phi'' x_a x_{aa} + \phi' x_{aaa}`

Backward, with the cotangents V of the jets of y, an edge meets four numbers,

4. :math:`C_0 = V, \quad C_1 = \sum_a V_a x_a + \sum_{ab} V_{ab} x_{ab} + \sum_a V_{aaa} x_{aaa}, \quad
   C_2 = \sum_{ab} V_{ab} x_a x_b + 3 \sum_a V_{aaa} x_a x_{aa}, \quad C_3 = \sum_a V_{aaa} x_a^3`,

the derivative by its coefficient c is :math:`\sum_m C_m B^{(m)}(x_i)`, and the jets of x get

5. :math:`W = \sum_o C_0 \phi' + C_1 \phi'' + C_2 \phi''' + C_3 \phi''''`
6. :math:`W_a = \sum_o V_a \phi' + V_{ab} \phi'' x_b + V_{ba} \phi'' x_b + 3 V_{aaa} (\phi''' x_a^2 + \phi'' x_{aa})`
7. :math:`W_{ab} = \sum_o V_{ab} \phi' + 3 V_{aaa} \phi'' x_a [a = b]`
8. :math:`W_{aaa} = \sum_o V_{aaa} \phi'`

So a row of the Jacobian of a residual of any order is as sparse as one of values.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan.compile import kernel
from numkan.spline.local import LocalDerivatives, add_curves

__all__ = ["Jets", "Pairs", "edge_derivatives", "pull", "pull_from_inputs", "push", "push_inputs"]


class Jets(NamedTuple):
    """Values of nodes and their derivatives, or the cotangents of these. Orders not computed have no columns."""

    value: FloatArray  # (n, nodes)
    first: FloatArray  # (n, nodes, n_in)
    second: FloatArray  # (n, nodes, n_pairs)
    third: FloatArray  # (n, nodes, n_in)

    @classmethod
    def zeros(cls, n: int, nodes: int, pairs: Pairs, order: int, dtype: Any = np.float64) -> Jets:
        """Return zeros for the derivatives up to `order`."""
        n_in = pairs.n_in
        columns = n_in if order > 0 else 0, len(pairs.left) if order > 1 else 0, n_in if order > 2 else 0
        return cls(np.zeros((n, nodes), dtype), *(np.zeros((n, nodes, number), dtype) for number in columns))


class Pairs(NamedTuple):
    """The pairs of inputs by which second derivatives are taken; number a is (a, a) for a < n_in."""

    n_in: int
    left: NDArray[np.int64]
    right: NDArray[np.int64]

    @classmethod
    def of(cls, n_in: int, *, mixed: bool = False) -> Pairs:
        """Return the pairs of each input with itself, and with `mixed` those of two inputs too."""
        left = right = np.arange(n_in)
        if mixed:
            above = np.triu_indices(n_in, 1)
            left, right = np.concatenate([left, above[0]]), np.concatenate([right, above[1]])
        return cls(n_in, left, right)

    def matrices(self, second: FloatArray) -> FloatArray:
        """Return second derivatives (..., n_pairs), mixed ones among them, as symmetric matrices (..., n_in, n_in)."""
        out = np.empty((*second.shape[:-1], self.n_in, self.n_in), second.dtype)
        out[..., self.left, self.right] = second
        out[..., self.right, self.left] = second
        return out


def edge_derivatives(
    functions: LocalDerivatives, base: list[FloatArray], coef: FloatArray, base_scale: FloatArray
) -> FloatArray:
    """Return the edges of a layer and their derivatives, (order + 1, n, n_in, n_out).

    coef (n_in, G + k, n_out) and base_scale (n_in, n_out) are effective; base has b(x) and its derivatives, or nothing.
    """
    first, values = functions
    out = np.zeros((len(values), *first.shape, coef.shape[2]), coef.dtype)
    with np.errstate(all="ignore"):
        for nu, own in enumerate(values):
            add_curves(first, own, coef, out[nu])
            if base:
                out[nu] += base[nu][:, :, None] * base_scale
    return out


def push_inputs(edges: FloatArray, pairs: Pairs, order: int) -> Jets:
    """Return the jets of the first layer's outputs: its inputs are those that derivatives are taken by."""
    _, n, n_in, n_out = edges.shape
    jets = Jets.zeros(n, n_out, pairs, order, edges.dtype)
    with np.errstate(all="ignore"):
        for i in range(n_in):
            jets.value[...] += edges[0, :, i]
    for nu, array in enumerate(jets[1 : order + 1], 1):
        array[:, :, :n_in] = edges[nu].transpose(0, 2, 1)
    return jets


@cache
def _push_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of steps 1 to 3 for a dtype."""
    three, zero = dtype.type(3), dtype.type(0)

    @partial(kernel, noalias=True)
    def push(edges, left, right, below, above):  # type: ignore[no-untyped-def]
        """Add to the jets `above`, from those `below`."""
        _, x1, x2, x3 = below
        y0, y1, y2, y3 = above
        _, n, n_in, n_out = edges.shape
        for s in range(n):
            for i in range(n_in):
                for o in range(n_out):
                    y0[s, o] += edges[0, s, i, o]
                    p1 = edges[1, s, i, o] if x1.shape[2] else zero
                    p2 = edges[2, s, i, o] if x2.shape[2] else zero
                    p3 = edges[3, s, i, o] if x3.shape[2] else zero
                    for a in range(x1.shape[2]):  # step 1
                        y1[s, o, a] += p1 * x1[s, i, a]
                    for p in range(x2.shape[2]):  # step 2
                        y2[s, o, p] += p2 * x1[s, i, left[p]] * x1[s, i, right[p]] + p1 * x2[s, i, p]
                    for a in range(x3.shape[2]):  # step 3
                        d = x1[s, i, a]
                        y3[s, o, a] += p3 * d * d * d + three * p2 * d * x2[s, i, a] + p1 * x3[s, i, a]

    return push


def push(edges: FloatArray, pairs: Pairs, below: Jets) -> Jets:
    """Return the jets of a layer's outputs from those of its inputs."""
    _, n, _, n_out = edges.shape
    order = sum(array.shape[2] > 0 for array in below[1:])
    above = Jets.zeros(n, n_out, pairs, order, edges.dtype)
    with np.errstate(all="ignore"):
        _push_kernel(edges.dtype)(edges, pairs.left, pairs.right, below, above)
    return above


def pull_from_inputs(above: Jets, n_in: int) -> FloatArray:
    """Return C of step 4, (n, n_in, n_out, order + 1), for the first layer: x_a is 1 for its own input, else 0."""
    n, n_out = above.value.shape
    order = sum(array.shape[2] > 0 for array in above[1:])
    c = np.empty((n, n_in, n_out, order + 1))
    c[..., 0] = above.value[:, None]
    for nu, array in enumerate(above[1 : order + 1], 1):
        c[..., nu] = array[:, :, :n_in].transpose(0, 2, 1)
    return c


@partial(kernel, noalias=True)
def _pull(edges, left, right, below, above, c, bars):  # type: ignore[no-untyped-def]
    """Fill c (n, n_in, n_out, order + 1), step 4, and add to the cotangents `bars` of the jets `below`."""
    _, x1, x2, x3 = below
    v0, v1, v2, v3 = above
    w0, w1, w2, w3 = bars
    n, n_in, n_out, orders = c.shape
    for s in range(n):
        for i in range(n_in):
            for o in range(n_out):
                c0, c1, c2, c3 = v0[s, o], 0.0, 0.0, 0.0
                p1 = edges[1, s, i, o]
                p2 = edges[2, s, i, o] if orders > 1 else 0.0
                p3 = edges[3, s, i, o] if orders > 2 else 0.0
                p4 = edges[4, s, i, o] if orders > 3 else 0.0
                for a in range(x1.shape[2]):
                    c1 += v1[s, o, a] * x1[s, i, a]
                    w1[s, i, a] += v1[s, o, a] * p1
                for p in range(x2.shape[2]):
                    v, d, e = v2[s, o, p], x1[s, i, left[p]], x1[s, i, right[p]]
                    c1 += v * x2[s, i, p]
                    c2 += v * d * e
                    w1[s, i, left[p]] += v * p2 * e
                    w1[s, i, right[p]] += v * p2 * d
                    w2[s, i, p] += v * p1
                for a in range(x3.shape[2]):
                    v, d = v3[s, o, a], x1[s, i, a]
                    c1 += v * x3[s, i, a]
                    c2 += 3.0 * v * d * x2[s, i, a]
                    c3 += v * d * d * d
                    w1[s, i, a] += 3.0 * v * (p3 * d * d + p2 * x2[s, i, a])
                    w2[s, i, a] += 3.0 * v * p2 * d
                    w3[s, i, a] += v * p1
                w0[s, i] += c0 * p1 + c1 * p2 + c2 * p3 + c3 * p4
                c[s, i, o, 0] = c0
                if orders > 1:
                    c[s, i, o, 1] = c1
                if orders > 2:
                    c[s, i, o, 2] = c2
                if orders > 3:
                    c[s, i, o, 3] = c3


def pull(edges: FloatArray, pairs: Pairs, below: Jets, above: Jets) -> tuple[FloatArray, Jets]:
    """Return C (n, n_in, n_out, order + 1) and the cotangents of the jets `below`, from those of the jets above.

    edges has one more derivative than the jets.
    """
    _, n, n_in, n_out = edges.shape
    order = sum(array.shape[2] > 0 for array in below[1:])
    c, bars = np.empty((n, n_in, n_out, order + 1)), Jets.zeros(n, n_in, pairs, order)
    with np.errstate(all="ignore"):
        _pull(edges, pairs.left, pairs.right, below, above, c, bars)
    return c, bars
