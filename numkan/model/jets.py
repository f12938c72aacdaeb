"""Derivatives of a network by its inputs, of orders up to 3: jets carried through the layers, block by block."""

from __future__ import annotations

from typing import Any

from numkan._check import FloatArray, check_flag, check_integer
from numkan.base import base_derivatives
from numkan.layer.jets import Jets, Pairs, edge_derivatives, push, push_inputs
from numkan.layer.layer import KANLayer
from numkan.model.batches import slices
from numkan.model.evaluate import all_activations, check_domain
from numkan.model.stack import Stack

__all__ = ["derivatives"]

#: Derivatives of edges and nodes in a block of samples: 2 MB in float64.
_BLOCK_NUMBERS = 1 << 18


def derivatives(self: Stack, x: Any, order: int = 2, mixed: bool = False) -> tuple[FloatArray, ...]:
    """Return the outputs and their derivatives by the inputs, one array for each order.

    They are exact, under every policy outside the grids; at a break they are those of the piece that holds there.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
    order : int
        From 1 to 3. A spline of degree k has k - 1 continuous derivatives, and none beyond k that are not 0.
    mixed : bool
        Whether second derivatives are taken by all pairs of inputs, not by each input alone.

    Returns
    -------
    u : ndarray, shape (n, n_out)
    du : ndarray, shape (n, n_out, n_in)
        The first derivatives.
    d2u : ndarray, shape (n, n_out, n_in), or with `mixed` (n, n_out, n_in, n_in)
        The second derivatives, if `order` is at least 2.
    d3u : ndarray, shape (n, n_out, n_in)
        The third derivatives by each input alone, if `order` is 3.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said, or a base function of the user's has fewer derivatives: ``base_fun=(value,
        derivative, second, third)``.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model = KAN([2, 3, 1], k=5, seed=0)
    >>> u, du, d2u = model.derivatives(np.zeros((4, 2)))
    >>> u.shape, du.shape, d2u.shape
    ((4, 1), (4, 1, 2), (4, 1, 2))
    """
    order, mixed = check_integer("order", order, 1), check_flag("mixed", mixed)
    if order > 3:
        raise ValueError(f"Argument `order` must lie in [1, 3], not {order}.")
    x, layers = self._samples(x), self.act_fun
    if any(layer.basis.outside.raises for layer in layers):
        packed = self._pack()
        check_domain(packed, x)
        all_activations(packed, x)
    pairs = Pairs.of(self.n_in, mixed=mixed and order > 1)
    numbers = [layer._effective() for layer in layers]
    jets = Jets.zeros(len(x), self.n_out, pairs, order, self.dtype)
    widest = max(layer.n_in * layer.n_out + layer.n_out * (2 * self.n_in + len(pairs.left)) for layer in layers)
    for rows in slices(len(x), max(1, _BLOCK_NUMBERS // (widest * (order + 1)))):
        for whole, part in zip(jets, _jets(layers, numbers, x[rows], pairs, order), strict=True):
            whole[rows] = part
    out = jets[: order + 1]
    return (out[0], out[1], pairs.matrices(jets.second), *out[3:]) if mixed and order > 1 else out


def _jets(
    layers: tuple[KANLayer, ...],
    numbers: list[tuple[FloatArray, FloatArray]],
    x: FloatArray,
    pairs: Pairs,
    order: int,
) -> Jets:
    """Return the jets of the outputs at a block of samples."""
    jets: Jets | None = None
    for layer, (coef, base_scale) in zip(layers, numbers, strict=True):
        a = x if jets is None else jets.value
        base = [] if layer._base.is_zero else base_derivatives(layer._base, a, order)
        edges = edge_derivatives(layer.basis.local_derivatives(a, order), base, coef, base_scale)
        jets = push_inputs(edges, pairs, order) if jets is None else push(edges, pairs, jets)
    assert jets is not None
    return jets
