"""Packed layers, one after the other, over many samples: outputs, gradients, derivatives.

Forward, threads share the samples; the bits of a row do not depend on the other rows. For a gradient the activations of
a batch of samples are kept, and threads share the inputs of a layer on the way back (`PackedLayer.backward`). For the
division of samples see ``batches.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numkan._check import FloatArray
from numkan._threads import run_tasks
from numkan.layer.buffers import thread_array
from numkan.layer.pack import GradientSink
from numkan.layer.packed import PackedLayer
from numkan.model.batches import batch_rows, part_rows, slices
from numkan.model.targets import Targets
from numkan.spline.pieces import check_inside

__all__ = ["activations", "all_activations", "backward", "check_domain", "forward", "loss_and_gradients"]


def check_domain(layers: Sequence[PackedLayer], x: FloatArray) -> None:
    """Raise the error of the policy `"raise"` for all samples at once: a part does not know its first row."""
    if layers[0].inside is not None:
        check_inside("x", x, layers[0].inside, layers[0].k)


def _check_hidden(depth: int, layer: PackedLayer, a: FloatArray, begin: int) -> None:
    """Raise that error for the inputs `a` of layer `depth`, which come from samples begin, begin + 1, ...."""
    if depth == 0 or layer.inside is None:
        return
    low, high = layer.inside[:, layer.k], layer.inside[:, layer.inside.shape[1] - 1 - layer.k]
    outside = (a < low) | (a > high)
    if outside.any():
        row, i = (int(index) for index in np.argwhere(outside)[0])
        raise ValueError(
            f"Argument `x` must give activations inside the grid of layer {depth} where extrapolate is 'raise', "
            f"not {a[row, i]} at input {i} from row {begin + row}, where the domain is [{low[i]}, {high[i]}]."
        )


def activations(
    layers: Sequence[PackedLayer], x: FloatArray, begin: int = 0, out: Sequence[FloatArray | None] = ()
) -> list[FloatArray]:
    """Return x, the inputs of every further layer, and the outputs; x are samples from row `begin` on.

    out: for each layer, the array that its outputs go into, or None for a new one.
    """
    acts = [x]
    for depth, (layer, y) in enumerate(zip(layers, out or [None] * len(layers), strict=True)):
        _check_hidden(depth, layer, acts[-1], begin)
        acts.append(layer.forward(acts[-1], y))
    return acts


def _fill(layers: Sequence[PackedLayer], x: FloatArray, begin: int, out: Sequence[FloatArray | None]) -> None:
    """Fill the arrays of `out` as :func:`activations` does, on all threads."""
    parts = slices(len(x), part_rows(layers, len(x)))

    def task(index: int) -> None:
        rows = parts[index]
        activations(layers, x[rows], begin + rows.start, [None if y is None else y[rows] for y in out])

    run_tasks(task, len(parts))


def all_activations(layers: Sequence[PackedLayer], x: FloatArray, begin: int = 0) -> list[FloatArray]:
    """Do as :func:`activations` for any number of samples, on all threads."""
    out = [np.empty((len(x), layer.n_out), x.dtype) for layer in layers]
    _fill(layers, x, begin, out)
    return [x, *out]


def forward(layers: Sequence[PackedLayer], x: FloatArray) -> FloatArray:
    """Return the outputs (n, n_out) at x (n, n_in)."""
    check_domain(layers, x)
    y = np.empty((len(x), layers[-1].n_out), x.dtype)
    _fill(layers, x, 0, [*[None] * (len(layers) - 1), y])
    return y


def backward(
    layers: Sequence[PackedLayer],
    acts: Sequence[FloatArray],
    y_bar: FloatArray,
    sinks: Sequence[GradientSink],
    inputs: bool,
) -> FloatArray:
    """Add the gradients by each layer's packed coefficients to `sinks`; return that by x, empty unless `inputs`.

    acts: the inputs of each layer.
    """
    for depth in range(len(layers) - 1, -1, -1):
        y_bar = layers[depth].backward(acts[depth], y_bar, sinks[depth], inputs=inputs or depth > 0)
    return y_bar


def loss_and_gradients(
    layers: Sequence[PackedLayer], x: FloatArray, targets: Targets, sinks: Sequence[GradientSink] | None
) -> float:
    """Return the loss and, unless `sinks` is None, add its gradients by each layer's packed coefficients to them.

    A sink holds the sum over all batches of samples.
    """
    check_domain(layers, x)
    loss = 0.0
    for rows in slices(len(x), batch_rows(layers)):
        *acts, y = all_activations(layers, x[rows], rows.start)
        with thread_array("cotangents of outputs", y.size, y.dtype) as memory:
            y_bar = memory.reshape(y.shape)
            loss += targets.part(rows, y, y_bar)
            if sinks is not None:
                backward(layers, acts, y_bar, sinks, inputs=False)
    return loss
