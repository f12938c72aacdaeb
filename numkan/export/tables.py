r"""The tables of an exported layer: for each edge one polynomial a piece, and the weight of its base function.

.. math::

    \phi_{io}(x) = e_{io}\, b(x) + \sum_{m=0}^{k} a_{ijom}\, w^{k - m}, \qquad w = (x - c_{ij})\, r_{ij},

on piece j of input i, as in :mod:`numkan.spline.pieces`: there the extrapolation policy is pieces too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.base import BASE_FUNCTIONS
from numkan.layer.layer import KANLayer
from numkan.model.network import Network
from numkan.spline.pieces import local_pieces

__all__ = ["LayerTables", "check_base_functions", "layer_tables", "network_tables"]


class LayerTables(NamedTuple):
    """The numbers of one layer, in its dtype."""

    k: int
    base_fun: str
    breaks: FloatArray  # (n_in, n_pieces - 1): where the next piece begins
    centre: FloatArray  # (n_in, n_pieces)
    inverse: FloatArray  # (n_in, n_pieces): 0 where the piece is constant
    poly: FloatArray  # (n_in, n_pieces, n_out, k + 1): the highest power first
    base: FloatArray  # (n_in, n_out): scale_base, 0 where the mask is


def check_base_functions(model: Network) -> None:
    """Refuse a network with a base function that has no formula."""
    for number, layer in enumerate(model.act_fun):
        if layer._base.is_custom:
            raise ValueError(
                f"A model can be exported if its base function is one of {tuple(BASE_FUNCTIONS)}, not one that is "
                f"given as Python functions (layer {number})."
            )


def network_tables(model: Network) -> list[LayerTables]:
    """Return the tables of all layers; a base function without a formula is refused."""
    check_base_functions(model)
    return [layer_tables(layer) for layer in model.act_fun]


def layer_tables(layer: KANLayer) -> LayerTables:
    """Return the tables of a layer, whatever its base function."""
    pieces = local_pieces(layer.grid, layer.k, layer.extrapolate)
    k = layer.k
    basis = pieces.poly[..., : k + 1].astype(np.float64)  # (n_in, n_pieces, power, function)
    coef, _ = layer._effective(np.dtype(np.float64))
    rows = np.arange(layer.n_in)[:, None, None]
    local = coef[rows, pieces.first[..., None] + np.arange(k + 1)]  # (n_in, n_pieces, function, n_out)
    poly = np.einsum("ijmr,ijro->ijom", basis, local)
    return LayerTables(
        k=k,
        base_fun=layer._base.name,
        breaks=pieces.ends[:, :-1],
        centre=pieces.centre,
        inverse=pieces.inverse,
        poly=poly.astype(layer.dtype),
        base=layer._effective()[1],
    )
