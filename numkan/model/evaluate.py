"""Packed layers, one after the other, over many samples: outputs, gradients, derivatives.

Forward, samples go through in chunks, which threads share; where there are few, they share the only one
(``shared_block.py``). No row's bits depend on its chunk. For a gradient activations of a lot of samples are kept, and
backward threads share the inputs of a layer (`PackedLayer.backward`). How samples are cut: ``cuts.py``.

Layers may come with coefficients that are yet to be packed (`PackedLayer.source`): here they are, by all threads in
advance, or on the way where one thread, or each, takes its samples through at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numkan._check import FloatArray
from numkan._threads import get_threads_at_once, run_tasks
from numkan.layer.pack import Receiver
from numkan.layer.packed import PackedLayer
from numkan.layer.shared_block import Sharing
from numkan.layer.work import LONGEST_BLOCK, Sorted, lent
from numkan.model.cuts import Lot, chunk_rows, fit_a_block, lot_key, new_lot, new_sharing, spans
from numkan.model.targets import Targets
from numkan.spline.pieces import check_inside

__all__ = ["activations", "all_activations", "backward", "check_domain", "forward", "loss_and_gradients"]


def _filled(layers: Sequence[PackedLayer]) -> list[PackedLayer]:
    """Return the layers with what was yet to be packed."""
    return [layer.filled() for layer in layers]


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


def activations(
    layers: Sequence[PackedLayer],
    x: FloatArray,
    begin: int = 0,
    out: Sequence[FloatArray] = (),
    keep: Sequence[Sorted | None] = (),
    first: int = 0,
) -> list[FloatArray]:
    """Return x, the inputs of every further layer, and the outputs; x are samples from row `begin` on.

    They go into the arrays of `out`, one for each layer, as far as these are given; so does what layers sort, in
    `keep`, which x begins at row `first` of.
    """
    acts = [x]
    for depth, layer in enumerate(layers):
        _check_hidden(depth, layer, acts[-1], begin)
        into = out[depth] if depth < len(out) else None
        kept = (keep[depth], first) if keep else ()
        acts.append(layer.forward(acts[-1], into, *kept))
    return acts


def _activations_shared(
    layers: Sequence[PackedLayer], x: FloatArray, begin: int, out: Sequence[FloatArray], sharing: Sharing
) -> None:
    """Fill `out` as :func:`activations` does, for few samples: threads share them."""
    acts = [x, *out]
    for part, stretch in sharing.stretches:
        _check_hidden(part.start, layers[part.start], acts[part.start], begin)
        stretch.forward(layers[part], acts[part.start : part.stop + 1])


def _outputs_shared(layers: Sequence[PackedLayer], x: FloatArray, begin: int) -> list[FloatArray] | None:
    """Return the outputs of every layer, or None where threads do not share a block."""
    if len(x) > LONGEST_BLOCK:
        return None
    with lent("sharing", lot_key(layers, x), lambda: (new_sharing(layers, len(x)), 0)) as sharing:
        if sharing is None:
            return None
        out = [np.empty((len(x), layer.n_out), x.dtype) for layer in layers]
        _activations_shared(layers, x, begin, out, sharing)
    return out


def all_activations(layers: Sequence[PackedLayer], x: FloatArray, begin: int = 0) -> list[FloatArray]:
    """Return what :func:`activations` does, for any number of samples, on all threads."""
    shared = _outputs_shared(layers, x, begin)
    if shared is not None:
        return [x, *shared]
    layers = _filled(layers)
    out = [np.empty((len(x), layer.n_out), x.dtype) for layer in layers]
    parts = spans(len(x), chunk_rows(layers, len(x)))

    def task(index: int) -> None:
        rows = parts[index]
        activations(layers, x[rows], begin + rows.start, [whole[rows] for whole in out])

    run_tasks(task, len(parts))
    return [x, *out]


def forward(layers: Sequence[PackedLayer], x: FloatArray) -> FloatArray:
    """Return the outputs (n, n_out) at x (n, n_in)."""
    n = x.shape[0]
    check_domain(layers, x)
    if get_threads_at_once() == 1 and fit_a_block(layers, n):
        return activations(layers, x)[-1]
    shared = _outputs_shared(layers, x, 0)
    if shared is not None:
        return shared[-1]
    size = chunk_rows(layers, n)
    layers = _filled(layers)
    if n <= size:
        return activations(layers, x)[-1]
    y = np.empty((n, layers[-1].n_out), x.dtype)
    parts = spans(n, size)

    def task(index: int) -> None:
        rows = parts[index]
        last = activations(layers[:-1], x[rows], rows.start)[-1]
        _check_hidden(len(layers) - 1, layers[-1], last, rows.start)
        layers[-1].forward(last, y[rows])

    run_tasks(task, len(parts))
    return y


def backward(
    layers: Sequence[PackedLayer],
    acts: Sequence[FloatArray],
    y_bar: FloatArray,
    receivers: Sequence[Receiver],
    inputs: bool,
    kept: Sequence[Sorted | None] = (),
) -> FloatArray:
    """Give the cotangents of each layer's packed coefficients to `receivers`; return that of x, empty unless `inputs`.

    kept: what the layers sorted on the way forward, if it was kept.
    """
    for depth in range(len(layers) - 1, -1, -1):
        y_bar = layers[depth].backward(
            acts[depth],
            y_bar,
            receivers[depth],
            inputs=inputs or depth > 0,
            kept=kept[depth] if kept else None,
        )
    return y_bar


def _loss_and_activations(
    layers: Sequence[PackedLayer], x: FloatArray, targets: Targets, rows: slice, lot: Lot
) -> tuple[float, list[FloatArray]]:
    """Return the share of some rows in the loss and the inputs of all layers; fill the lot's y_bar, what it keeps."""
    n = rows.stop - rows.start
    acts = [x[rows]] + [np.empty((n, layer.n_out), x.dtype) for layer in layers]
    if lot.sharing is not None:
        _activations_shared(layers, acts[0], rows.start, acts[1:], lot.sharing)
        return targets.part(rows, acts.pop(), lot.y_bar[:n]), acts
    parts = spans(n, lot.size)
    losses = np.zeros(len(parts))

    def task(index: int) -> None:
        part = parts[index]
        begin = rows.start + part.start
        y = activations(layers, acts[0][part], begin, [a[part] for a in acts[1:]], lot.keep, part.start)[-1]
        losses[index] = targets.part(slice(begin, rows.start + part.stop), y, lot.y_bar[part])

    run_tasks(task, len(parts))
    return float(sum(losses.tolist())), acts[:-1]


def loss_and_gradients(
    layers: Sequence[PackedLayer], x: FloatArray, targets: Targets, receivers: Sequence[Receiver] | None
) -> float:
    """Return the loss and, unless `receivers` is None, give them its gradients by each layer's packed coefficients.

    They add up what they get of every lot of samples.
    """
    check_domain(layers, x)
    loss, n, gradient = 0.0, len(x), receivers is not None
    with lent("lot" if gradient else "lot of a loss", lot_key(layers, x), lambda: new_lot(layers, n, gradient)) as lot:
        if n > lot.size or (lot.sharing is None and get_threads_at_once() > 1):
            layers = _filled(layers)
        for rows in spans(n, lot.rows):
            share, acts = _loss_and_activations(layers, x, targets, rows, lot)
            loss += share
            if receivers is not None:
                backward(layers, acts, lot.y_bar[: rows.stop - rows.start], receivers, False, lot.keep)
    return loss
