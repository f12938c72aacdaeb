"""Packed layers, one after the other, over many samples: outputs, gradients, derivatives.

Samples go through in chunks whose size depends on the network alone, so memory stays bounded and Ctrl-C is answered
soon. A gradient is a sum over *pieces*, runs of chunks whose number depends on the network and the number of samples;
threads do whole pieces, and the pieces' sums are added in order. So neither chunks nor threads change a bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numkan._check import FloatArray
from numkan._threads import run_tasks
from numkan.layer.packed import PackedLayer
from numkan.layer.prepare import BLOCK
from numkan.model.losses import Targets
from numkan.spline.pieces import check_inside

__all__ = [
    "activations",
    "all_activations",
    "backward",
    "check_domain",
    "chunk_rows",
    "forward",
    "loss_and_gradients",
    "spans",
]

#: About as many multiply-adds go into one chunk: half a millisecond or so, which is worth a thread's while.
_CHUNK_WORK = 4_000_000
_LONGEST_CHUNK = 16 * BLOCK

#: For a gradient, about so many activations are kept.
_LOT_NUMBERS = 1 << 21

#: What preparing one input of one sample (piece, basis, base function) costs, in multiply-adds.
_PREPARE_WORK = 32


def chunk_rows(layers: Sequence[PackedLayer]) -> int:
    """Return how many samples go through a network at once: whole blocks, by the work that one sample is."""
    work, block = 0, BLOCK
    for layer in layers:
        n_in, _, width = layer.coefs.shape
        work += n_in * (_PREPARE_WORK + (layer.k + 2) * width)
        block = max(block, layer.block)
    blocks = _CHUNK_WORK // (work * block)
    return int(min(max(blocks, 1) * block, max(block, _LONGEST_CHUNK)))


def lot_rows(layers: Sequence[PackedLayer]) -> int:
    """Return over how many samples activations are kept for a gradient: whole chunks, of bounded memory."""
    numbers = layers[0].coefs.shape[0] + sum(layer.n_out for layer in layers)
    chunk = chunk_rows(layers)
    return max(1, _LOT_NUMBERS // (numbers * chunk)) * chunk


def spans(n: int, size: int) -> list[slice]:
    """Cut n rows into slices of `size`."""
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]


def check_domain(layers: Sequence[PackedLayer], x: FloatArray) -> None:
    """Raise the error of the policy `"raise"` for all samples at once: a chunk would count from its own first row."""
    if layers[0].inside is not None:
        check_inside("x", x, layers[0].inside, layers[0].k)


def _check_hidden(depth: int, layer: PackedLayer, a: FloatArray, begin: int) -> None:
    """Raise it for the inputs `a` of layer `depth`, which come from samples begin, begin + 1, ...."""
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


def activations(layers: Sequence[PackedLayer], x: FloatArray, begin: int = 0) -> list[FloatArray]:
    """Return x, the inputs of every further layer, and the outputs; x are the samples from row `begin` on."""
    out = [x]
    for depth, layer in enumerate(layers):
        _check_hidden(depth, layer, out[-1], begin)
        out.append(layer.forward(out[-1]))
    return out


def all_activations(layers: Sequence[PackedLayer], x: FloatArray, begin: int = 0) -> list[FloatArray]:
    """Return what :func:`activations` does, for any number of samples: chunk by chunk, on all threads."""
    out = [x] + [np.empty((len(x), layer.n_out), x.dtype) for layer in layers]
    parts = spans(len(x), chunk_rows(layers))

    def task(index: int) -> None:
        rows = parts[index]
        for whole, part in zip(out[1:], activations(layers, x[rows], begin + rows.start)[1:], strict=True):
            whole[rows] = part

    run_tasks(task, len(parts))
    return out


def forward(layers: Sequence[PackedLayer], x: FloatArray) -> FloatArray:
    """Return the outputs (n, n_out) at x (n, n_in)."""
    n = x.shape[0]
    size = BLOCK if n <= BLOCK else chunk_rows(layers)
    check_domain(layers, x)
    if n <= size:
        return activations(layers, x)[-1]
    y = np.empty((n, layers[-1].n_out), x.dtype)
    parts = spans(n, size)

    def task(index: int) -> None:
        rows = parts[index]
        y[rows] = activations(layers, x[rows], rows.start)[-1]

    run_tasks(task, len(parts))
    return y


def backward(
    layers: Sequence[PackedLayer],
    acts: Sequence[FloatArray],
    y_bar: FloatArray,
    grads: Sequence[FloatArray],
    inputs: bool,
) -> FloatArray:
    """Add the cotangents of all packed coefficients to `grads`; return that of x, empty unless `inputs`."""
    for depth in range(len(layers) - 1, -1, -1):
        y_bar = layers[depth].backward(acts[depth], y_bar, grads[depth], inputs=inputs or depth > 0)
    return y_bar


def loss_and_gradients(
    layers: Sequence[PackedLayer], x: FloatArray, targets: Targets, *, gradients: bool = True
) -> tuple[float, list[FloatArray]]:
    """Return the loss and, where wanted, its gradients by the packed coefficients of every layer."""
    check_domain(layers, x)
    loss, grads = 0.0, [np.zeros_like(layer.coefs) for layer in layers] if gradients else []
    for rows in spans(x.shape[0], lot_rows(layers)):
        acts = all_activations(layers, x[rows], rows.start)
        y_bar = np.empty_like(acts[-1])
        loss += targets.part(rows, acts[-1], y_bar)
        if gradients:
            backward(layers, acts, y_bar, grads, inputs=False)
    return loss, grads
