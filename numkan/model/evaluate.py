"""Packed layers, one after the other, over many samples: outputs, gradients, derivatives.

Forward, samples go through in chunks, which threads share; of few samples threads share the layers, one after the other
(``shared_block.py``). No row's bits depend on its chunk. For a gradient activations of a *lot* of samples are kept, and
backward threads share the inputs of a layer (`PackedLayer.backward`). Chunks and lots depend on the network and the
number of samples alone, so threads do not change a bit; memory stays bounded, and Ctrl-C is answered soon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._threads import run_tasks
from numkan.layer.packed import PackedLayer, Take
from numkan.layer.shared_block import forward_shared, is_shared
from numkan.layer.work import BLOCK, Sorted, lent
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
    "lot_rows",
    "spans",
]

#: About as many multiply-adds go into one chunk: half a millisecond or so, which is worth a thread's while.
_CHUNK_WORK = 4_000_000
_LONGEST_CHUNK = 16 * BLOCK
#: Where there are many samples, chunks may be longer, which spares caches, as long as there are so many for threads.
_CHUNKS = 4
#: From so much work on, threads share the layers, where all samples fit a block and layers are wide.
_SHARED_WORK, _NEARLY_ALL = 16_000_000, 0.75

#: For a gradient, about so many activations are kept, and of so many samples at most: an entry of the gradient is one
#: chain of sums over a lot, and float32 forgets what is small beside a long one.
_LOT_NUMBERS, _LONGEST_LOT = 1 << 21, 64 * BLOCK


def chunk_rows(layers: Sequence[PackedLayer], n: int) -> int:
    """Return how many of n samples go through a network at once, by the work that one is: blocks, or a short one."""
    work, block = sum(layer.row_work for layer in layers), max(layer.block for layer in layers)
    half = (n + BLOCK) // (2 * BLOCK) * BLOCK
    least = block if 2 * n >= 3 * block else half  # enough for two threads
    wanted = max(BLOCK, min(max(_CHUNK_WORK // work, n // _CHUNKS, least), _LONGEST_CHUNK))
    return int(wanted - wanted % (block if wanted >= block else BLOCK))


def _share_layers(layers: Sequence[PackedLayer], n: int) -> bool:
    """Tell whether threads share the layers at n samples, rather than the samples: if nearly all can be shared so."""
    if n > min(layer.block for layer in layers):
        return False
    work = n * sum(layer.row_work for layer in layers)
    shared = n * sum(layer.row_work for layer in layers if is_shared(layer, n))
    return work >= _SHARED_WORK and shared >= _NEARLY_ALL * work


def lot_rows(layers: Sequence[PackedLayer]) -> int:
    """Return over how many samples activations are kept for a gradient: bounded memory, a multiple of BLOCK."""
    numbers = layers[0].coefs.shape[0] + sum(layer.n_out for layer in layers)
    chunk = chunk_rows(layers, 0)
    return int(max(1, min(_LOT_NUMBERS // numbers, _LONGEST_LOT) // chunk) * chunk)


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


def activations(
    layers: Sequence[PackedLayer],
    x: FloatArray,
    begin: int = 0,
    out: Sequence[FloatArray] = (),
    keep: Sequence[Sorted] = (),
    first: int = 0,
) -> list[FloatArray]:
    """Return x, the inputs of every further layer, and the outputs; x are the samples from row `begin` on.

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
    layers: Sequence[PackedLayer], x: FloatArray, begin: int, out: Sequence[FloatArray], keep: Sequence[Sorted]
) -> None:
    """Fill `out` as :func:`activations` does, for few samples: threads share each layer."""
    acts = [x, *out]
    for depth, layer in enumerate(layers):
        _check_hidden(depth, layer, acts[depth], begin)
        forward_shared(layer, acts[depth], acts[depth + 1], keep[depth])


def _outputs_shared(layers: Sequence[PackedLayer], x: FloatArray, begin: int) -> list[FloatArray]:
    """Return the outputs of every layer, where threads share each; what was sorted is not kept."""
    out = [np.empty((len(x), layer.n_out), x.dtype) for layer in layers]
    with lent("sorted", _key(layers, x), lambda: _new_sorted(layers, len(x), True)) as keep:
        _activations_shared(layers, x, begin, out, keep)
    return out


def all_activations(layers: Sequence[PackedLayer], x: FloatArray, begin: int = 0) -> list[FloatArray]:
    """Return what :func:`activations` does, for any number of samples, on all threads."""
    if _share_layers(layers, len(x)):
        return [x, *_outputs_shared(layers, x, begin)]
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
    if _share_layers(layers, n):
        return _outputs_shared(layers, x, 0)[-1]
    size = chunk_rows(layers, n)
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
    takes: Sequence[Take],
    inputs: bool,
    kept: Sequence[Sorted] = (),
) -> FloatArray:
    """Hand the cotangents of every layer's packed coefficients to `takes`; return that of x, empty unless `inputs`.

    kept: what the layers sorted on the way forward, if it was kept.
    """
    for depth in range(len(layers) - 1, -1, -1):
        y_bar = layers[depth].backward(
            acts[depth],
            y_bar,
            takes[depth],
            inputs=inputs or depth > 0,
            kept=kept[depth] if kept else None,
        )
    return y_bar


class _Lot(NamedTuple):
    """How many samples go through a network for a loss, and memory for them."""

    rows: int
    size: int  # of the chunks in which they go forward, those of a shorter last lot too: they fill the blocks below
    shared: bool  # whether they are one chunk, in which threads share the layers
    y_bar: FloatArray  # (rows, n_out) cotangents of the outputs
    keep: list[Sorted]  # for each layer, where the gradient is wanted, or threads share the layers


def _new_lot(layers: Sequence[PackedLayer], n: int, gradient: bool) -> tuple[_Lot, int]:
    """Return how n samples are cut into lots, and the bytes that a lot takes."""
    rows, last = min(n, lot_rows(layers)), layers[-1]
    shared = _share_layers(layers, rows)
    keep, n_bytes = _new_sorted(layers, rows, shared) if gradient or shared else ([], 0)
    y_bar = np.empty((rows, last.n_out), last.coefs.dtype)
    return _Lot(rows, rows if shared else chunk_rows(layers, rows), shared, y_bar, keep), y_bar.nbytes + n_bytes


def _new_sorted(layers: Sequence[PackedLayer], n: int, shared: bool) -> tuple[list[Sorted], int]:
    """Return room for what layers sort of n samples, and the bytes that it takes."""
    size = -(-n // BLOCK) * BLOCK if shared else chunk_rows(layers, n)
    keep = []
    for layer in layers:
        block = size if size < layer.block else math.gcd(size, layer.block)
        keep.append(Sorted(layer.work, n, layer.coefs.shape[0], block))
    return keep, sum(kept.nbytes for kept in keep)


def _key(layers: Sequence[PackedLayer], x: FloatArray) -> tuple[Any, ...]:
    """Return all that a lot of samples x depends on."""
    return (len(x), x.dtype, *((layer.k, layer.n_out, layer.coefs.shape, layer.pieces.poly.shape) for layer in layers))


def _loss_and_activations(
    layers: Sequence[PackedLayer], x: FloatArray, targets: Targets, rows: slice, lot: _Lot
) -> tuple[float, list[FloatArray]]:
    """Return the share of some rows in the loss and the inputs of all layers; fill the lot's y_bar, what it keeps."""
    n = rows.stop - rows.start
    acts = [x[rows]] + [np.empty((n, layer.n_out), x.dtype) for layer in layers]
    if lot.shared:
        _activations_shared(layers, acts[0], rows.start, acts[1:], lot.keep)
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
    layers: Sequence[PackedLayer], x: FloatArray, targets: Targets, takes: Sequence[Take] | None
) -> float:
    """Return the loss and, unless `takes` is None, hand over its gradients by the packed coefficients of every layer.

    Each of `takes` is called for every lot of samples, and adds up what it gets.
    """
    check_domain(layers, x)
    loss, n, gradient = 0.0, len(x), takes is not None
    with lent("lot" if gradient else "lot of a loss", _key(layers, x), lambda: _new_lot(layers, n, gradient)) as lot:
        for rows in spans(n, lot.rows):
            share, acts = _loss_and_activations(layers, x, targets, rows, lot)
            loss += share
            if takes is not None:
                backward(layers, acts, lot.y_bar[: rows.stop - rows.start], takes, False, lot.keep)
    return loss
