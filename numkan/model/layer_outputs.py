r"""A layer's outputs by local evaluation: what grids are laid over.

.. math:: y_o = \sum_i \Big( E_{io}\, b(x_i) + \sum_{r=0}^{k} C_{i, f_i + r, o}\, B_{f_i + r}(x_i) \Big)

with the effective scales and coefficients of ``layer/pack.py``. Samples sorted by piece are faster in wide layers, but
their kernels take seconds to compile. Narrow networks are predicted in direct form and need those kernels for nothing
else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numkan._check import FloatArray
from numkan._threads import run_tasks
from numkan.base import base_and_slope
from numkan.compile import kernel
from numkan.layer.layer import KANLayer
from numkan.model.direct_plan import MAX_ROW_BYTES
from numkan.model.evaluate import all_activations
from numkan.spline.curve import rows_per_block
from numkan.spline.pieces import piece_basis

__all__ = ["layer_outputs", "network_activations"]


@kernel
def _add_splines(values, first, coefs, y):  # type: ignore[no-untyped-def]
    """Add sum_i sum_r values[s, i, r] coefs[i, first[s, i] + r, o] to y (n, n_out)."""
    n, n_in, order = values.shape
    for s in range(n):
        for i in range(n_in):
            for r in range(order):
                value = values[s, i, r]
                for o in range(y.shape[1]):
                    y[s, o] += value * coefs[i, first[s, i] + r, o]


@kernel
def _add_bases(base, scale, y):  # type: ignore[no-untyped-def]
    """Add sum_i base[s, i] scale[i, o] to y (n, n_out)."""
    for s in range(base.shape[0]):
        for i in range(base.shape[1]):
            for o in range(y.shape[1]):
                y[s, o] += base[s, i] * scale[i, o]


def layer_outputs(layer: KANLayer, x: FloatArray) -> FloatArray:
    """Return the outputs (n, n_out) of a layer at canonical samples x (n, n_in); the policy "raise" gives NaN."""
    if not _is_narrow(layer):
        return all_activations([layer.pack()._replace(inside=None)], x)[-1]
    scale_sp, scale_base = layer._mask * layer._scale_sp, layer._mask * layer._scale_base
    coefs, pieces = scale_sp[:, None, :] * layer._coef, layer.pieces
    based = not layer._base.is_zero and bool(scale_base.any())
    y = np.zeros((len(x), layer.n_out), x.dtype)
    size = rows_per_block(layer.n_in * max(layer.n_out, layer.k + 1))

    def task(index: int) -> None:
        rows = slice(index * size, (index + 1) * size)
        _add_splines(*piece_basis(x[rows], pieces), coefs, y[rows])
        if based:
            _add_bases(base_and_slope(layer._base, x[rows])[0], scale_base, y[rows])

    with np.errstate(all="ignore"):  # where the JIT is off, NumPy scalars would warn of NaN and underflow
        run_tasks(task, -(-len(x) // size))
    return y


def _is_narrow(layer: KANLayer) -> bool:
    """Return whether local evaluation suits a layer.

    Steps (k = 0) and policies that refuse points outside need the very bits of a prediction, whose samples are sorted
    there: a rounding would move a point to the other side of a knot.
    """
    exact = layer.k == 0 or layer.extrapolate in ("nan", "raise")
    return not exact and layer.n_out * layer.dtype.itemsize <= MAX_ROW_BYTES


def network_activations(layers: Sequence[KANLayer], x: FloatArray) -> list[FloatArray]:
    """Return x, the inputs of every further layer, and the outputs."""
    acts = [x]
    for layer in layers:
        acts.append(layer_outputs(layer, acts[-1]))
    return acts
