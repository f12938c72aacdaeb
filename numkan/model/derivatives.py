"""Derivatives of a network: Jacobians, and their products with vectors from both sides.

They are built on the local evaluation of edges (:mod:`numkan.layer.edges`), block of samples by block. Only the product
of wide layers with cotangents takes the kernels of the loss's gradient, which are faster there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples
from numkan.layer.edges import Edges, edge_rows, padded, pull_gradient
from numkan.layer.jacobian import fill_jacobian, pull_back, tangent
from numkan.layer.layer import KANLayer
from numkan.layer.pack import GradientSink, Source, add_gradient, new_packed, over_inputs, pack_tangent
from numkan.layer.packed import PackedLayer
from numkan.model.batches import batch_rows, slices
from numkan.model.evaluate import activations, all_activations, backward, check_domain
from numkan.model.layer_outputs import are_narrow
from numkan.model.stack import Stack

#: Slopes of edges in a block of samples: 1 MB in float64.
_BLOCK_SLOPES = 1 << 17

__all__ = ["derivative", "jacobian", "jvp", "new_gradient", "vjp"]


def _edges_of(
    layers: Sequence[KANLayer], packed: Sequence[PackedLayer], x: FloatArray, begin: int
) -> tuple[list[Edges], FloatArray]:
    """Return the edges of every layer at samples x, from row `begin` on, and the outputs of the network."""
    if not are_narrow(layers):
        *acts, y = activations(packed, x, begin)
        return [Edges.of(layer, a, slopes=True) for layer, a in zip(packed, acts, strict=True)], y
    out: list[Edges] = []
    for layer in packed:
        out.append(Edges.of(layer, x, slopes=True))
        x = out[-1].outputs()
    return out, x


def _blocks(self: Stack, x: FloatArray, *, by_inputs: bool = False) -> Iterator[tuple[slice, list[Edges]]]:
    """Yield rows of x, and the edges of every layer there; fewer rows where derivatives by inputs are wanted."""
    layers, packed = self.act_fun, self._pack()
    check_domain(packed, x)
    size = edge_rows(*packed)
    if by_inputs:
        size = max(1, min(size, _BLOCK_SLOPES // max(layer.coefs[:, 0].size for layer in packed)))
    for rows in slices(len(x), size):
        yield rows, _edges_of(layers, packed, x[rows], rows.start)[0]


def _identity(edges: Edges) -> FloatArray:
    """Return the derivatives of outputs by outputs, (n, n_out, width)."""
    return np.tile(
        np.eye(edges.n_out, edges.coefs.shape[2], dtype=edges.coefs.dtype), (len(edges.functions.first), 1, 1)
    )


def _pulled_back(edges: Sequence[Edges], depth: int, delta: FloatArray) -> FloatArray:
    """Return the derivatives by the inputs of a layer, as wide as the arrays of the layer below."""
    width = edges[depth - 1].coefs.shape[2] if depth else len(edges[0].coefs)
    return pull_back(edges[depth], delta, width)


def derivative(self: Stack, x: Any) -> FloatArray:
    """Return the derivatives of the outputs by the inputs, dy/dx, shape (n, n_out, n_in), at x (n, n_in).

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model, x, h = KAN([2, 3, 1], seed=0), np.array([[0.1, -0.5]]), np.array([[1e-6, 0.0]])
    >>> slope = (model(x + h) - model(x - h)) / 2e-6
    >>> bool(np.allclose(model.derivative(x)[0, 0, 0], slope, rtol=1e-6))
    True
    """
    x = self._samples(x)
    out = np.empty((len(x), self.n_out, self.n_in), self.dtype)
    for rows, edges in _blocks(self, x, by_inputs=True):
        delta = _identity(edges[-1])
        for depth in range(self.depth - 1, -1, -1):
            delta = _pulled_back(edges, depth, delta)
        out[rows] = delta
    return out


def jacobian(self: Stack, x: Any) -> FloatArray:
    """Return the derivatives of the outputs by the parameters, shape (n, n_out, n_params), at x (n, n_in).

    Dense, though a row has only about (k + 3) entries an edge that are not zero; a masked edge has zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model, x = KAN([2, 3, 1], seed=0), np.array([[0.1, -0.5], [0.7, 0.2]])
    >>> model.jacobian(x).shape == (2, 1, model.n_params)
    True
    """
    x = self._samples(x)
    jac = np.zeros((len(x), self.n_out, self.n_params), self.dtype)
    for rows, edges in _blocks(self, x, by_inputs=True):
        delta = _identity(edges[-1])
        end = self.n_params
        for depth in range(self.depth - 1, -1, -1):
            layer = self.act_fun[depth]
            end -= layer.n_params
            source = Source(layer._coef, layer._scale_base, layer._scale_sp, layer._mask)
            fill_jacobian(edges[depth], delta, source, _columns(layer, end), jac[rows])
            if depth:
                delta = _pulled_back(edges, depth, delta)
    return jac


def _columns(layer: KANLayer, begin: int) -> tuple[int, int, int]:
    """Return the first columns of a layer's coef, scale_base and scale_sp; -1 for scales that are not trainable."""
    n_coef, n_edges = layer._coef.size, layer.n_in * layer.n_out
    at_base = begin + n_coef if layer.sb_trainable else -1
    at_sp = begin + n_coef + n_edges * layer.sb_trainable if layer.sp_trainable else -1
    return begin, at_base, at_sp


def jvp(self: Stack, x: Any, params_dot: Any = None, x_dot: Any = None) -> FloatArray:
    """Return the Jacobian-vector product: the change of the outputs along a change of parameters and of x.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
    params_dot : array_like, shape (n_params,), optional
        Zero unless given.
    x_dot : array_like, shape (n, n_in), optional
        Zero unless given.

    Returns
    -------
    ndarray, shape (n, n_out)

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model, x, change = KAN([2, 3, 1], seed=0), np.array([[0.1, -0.5]]), np.array([[1.0, 2.0]])
    >>> bool(np.allclose(model.jvp(x, x_dot=change), model.derivative(x)[:, 0] @ change.T))
    True
    """
    x = self._samples(x)
    change = np.zeros_like(self._theta) if params_dot is None else self._vector("params_dot", params_dot)
    x_dot = np.zeros_like(x) if x_dot is None else self._samples(x_dot, "x_dot")
    _check_rows("x_dot", x_dot, x)
    tangents = _pack_tangents(self, change)
    y_dot = np.empty((len(x), self.n_out), self.dtype)
    for rows, edges in _blocks(self, x):
        dot = x_dot[rows]
        for one, moved in zip(edges, tangents, strict=True):
            dot = tangent(one, dot, moved)
        y_dot[rows] = dot
    return y_dot


def _pack_tangents(self: Stack, change: FloatArray) -> list[FloatArray]:
    """Return the changes of the packed coefficients of every layer along a change of the parameters."""
    out, at = [], 0
    for layer in self.act_fun:
        moved = new_packed(*layer._shape, self.dtype)
        sections = layer._sections(change[at : at + layer.n_params])
        fixed = np.zeros((layer.n_in, layer.n_out), self.dtype)
        base, sp = sections.get("scale_base", fixed), sections.get("scale_sp", fixed)
        over_inputs(pack_tangent, layer._coef, layer._scale_sp, layer._mask, sections["coef"], base, sp, moved)
        out.append(moved)
        at += layer.n_params
    return out


def vjp(self: Stack, x: Any, y_bar: Any) -> tuple[FloatArray, FloatArray]:
    r"""Return the vector-Jacobian products :math:`\sum_{no} \bar y_{no}\, \partial y_{no}` by parameters and by x.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
    y_bar : array_like, shape (n, n_out)

    Returns
    -------
    params_bar : ndarray, shape (n_params,)
    x_bar : ndarray, shape (n, n_in)

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model, x = KAN([2, 3, 1], seed=0), np.array([[0.1, -0.5]])
    >>> params_bar, x_bar = model.vjp(x, [[1.0]])
    >>> bool(np.allclose(x_bar, model.derivative(x)[:, 0])), bool(np.allclose(params_bar, model.jacobian(x)[0, 0]))
    (True, True)
    """
    x = self._samples(x)
    y_bar = as_samples("y_bar", y_bar, self.n_out, self.dtype)
    _check_rows("y_bar", y_bar, x)
    layers = self._pack()
    check_domain(layers, x)
    grad, sinks = new_gradient(self)
    x_bar = np.empty_like(x)
    if are_narrow(self.act_fun):
        for part in slices(len(x), batch_rows(layers)) or [slice(0, 0)]:  # longer sums lose small terms
            sums = [np.zeros_like(layer.coefs) for layer in layers]
            for own in slices(part.stop - part.start, edge_rows(*layers)):
                rows = slice(part.start + own.start, part.start + own.stop)
                edges, _ = _edges_of(self.act_fun, layers, x[rows], rows.start)
                bar = y_bar[rows]
                for one, total in zip(reversed(edges), reversed(sums), strict=True):
                    none = np.empty((0, total.shape[2]), total.dtype)
                    bar = pull_gradient(one, padded(bar, total.shape[2]), total, none, none)
                x_bar[rows] = bar
            for sink, total in zip(sinks, sums, strict=True):
                add_gradient(total, 0, len(total), sink)
        return grad, x_bar
    for rows in slices(len(x), batch_rows(layers)) or [slice(0, 0)]:  # without samples the gradient is zero
        acts = all_activations(layers, x[rows], rows.start)
        x_bar[rows] = backward(layers, acts, y_bar[rows], sinks, inputs=True)
    return grad, x_bar


def new_gradient(self: Stack) -> tuple[FloatArray, list[GradientSink]]:
    """Return memory for a gradient by the parameters, and the sink of each layer that fills it."""
    grad = np.empty_like(self._theta)
    sinks, at = [], 0
    for layer in self.act_fun:
        sinks.append(_sink(layer, grad[at : at + layer.n_params]))
        at += layer.n_params
    return grad, sinks


def _sink(layer: KANLayer, grad: FloatArray) -> GradientSink:
    """Return the sink that fills the gradient by a layer's parameters (n_params,)."""
    sections = layer._sections(grad)
    base_bar, sp_bar = (
        sections[name] if name in sections else np.empty((layer.n_in, layer.n_out), layer.dtype)  # not wanted
        for name in ("scale_base", "scale_sp")
    )
    started = np.zeros(layer.n_in, np.bool_)
    return GradientSink(layer._coef, layer._scale_sp, layer._mask, sections["coef"], base_bar, sp_bar, started)


def _check_rows(name: str, array: FloatArray, x: FloatArray) -> None:
    if len(array) != len(x):
        raise ValueError(f"Argument `{name}` must have {len(x)} rows, one for each sample, not {len(array)}.")
