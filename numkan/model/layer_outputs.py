r"""A layer's outputs by local evaluation, for grid updates and derivatives.

Sorted samples are faster in wide layers, but their kernels take seconds to compile. Narrow networks predict in direct
form and never need those kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numkan._check import FloatArray
from numkan._threads import run_tasks
from numkan.base import base_function
from numkan.layer.edges import Edges, edge_rows
from numkan.layer.layer import KANLayer
from numkan.layer.packed import PackedLayer
from numkan.model.direct_plan import MAX_ROW_BYTES
from numkan.model.evaluate import all_activations

__all__ = ["are_narrow", "checked_activations", "layer_outputs", "network_activations"]


def layer_outputs(layer: KANLayer, x: FloatArray) -> FloatArray:
    """Return the outputs (n, n_out) of a layer at canonical samples x (n, n_in); the policy "raise" gives NaN."""
    packed = layer.pack()
    if not are_narrow([layer]):
        return all_activations([packed._replace(inside=None)], x)[-1]
    if _adds_zeros(packed, x):
        packed = packed._replace(base=base_function("zero"))
    y, size = np.empty((len(x), layer.n_out), x.dtype), edge_rows(packed)

    def task(index: int) -> None:
        rows = slice(index * size, (index + 1) * size)
        y[rows] = Edges.of(packed, x[rows]).outputs()

    run_tasks(task, -(-len(x) // size))
    return y


def _adds_zeros(layer: PackedLayer, x: FloatArray) -> bool:
    """Return whether the base function is multiplied by zeros alone, so that it need be neither compiled nor evaluated.

    That is so after a fit by Levenberg-Marquardt of a new model. A user's function may not be finite.
    """
    return not layer.base.is_custom and not layer.coefs[:, -1].any() and bool(np.isfinite(x).all())


def are_narrow(layers: Sequence[KANLayer]) -> bool:
    """Return whether local evaluation suits all of some layers.

    Steps (k = 0) and policies that refuse points outside need the bits of a prediction, because a rounding error could
    move a hidden point to the other side of a knot. Such networks predict with sorted samples.
    """
    return all(
        layer.k > 0 and layer.basis.outside.has_values and layer.n_out * layer.dtype.itemsize <= MAX_ROW_BYTES
        for layer in layers
    )


def network_activations(layers: Sequence[KANLayer], x: FloatArray) -> list[FloatArray]:
    """Return x, the inputs of every further layer, and the outputs."""
    acts = [x]
    for layer in layers:
        acts.append(layer_outputs(layer, acts[-1]))
    return acts


def checked_activations(layers: Sequence[KANLayer], packed: Sequence[PackedLayer], x: FloatArray) -> list[FloatArray]:
    """Do as `network_activations`, but under the policy "raise" hidden points outside the grid are an error."""
    return network_activations(layers, x) if are_narrow(layers) else all_activations(packed, x)
