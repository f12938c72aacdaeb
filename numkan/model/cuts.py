"""How the samples of a call are cut: into chunks, which threads share, and into lots, whose activations are kept.

For a loss both depend on the network and the number of samples alone, so threads do not change a bit; memory stays
bounded, and Ctrl-C is answered soon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._threads import get_threads_at_once
from numkan.layer.packed import PackedLayer
from numkan.layer.shared_block import Sharing, threads_for
from numkan.layer.work import BLOCK, LONGEST_BLOCK, Sorted

__all__ = ["Lot", "chunk_rows", "fit_a_block", "lot_key", "lot_rows", "new_lot", "new_sharing", "spans", "stay_whole"]

#: About as many multiply-adds go into one chunk: half a millisecond or so, which is worth a thread's while.
_CHUNK_WORK = 4_000_000
_LONGEST_CHUNK = LONGEST_BLOCK  # or a block would be cut
#: Where there are many samples, chunks may be longer, which spares caches, as long as there are so many for threads.
_CHUNKS = 4
#: From so much work on, threads share a block, where all samples fit one, and nearly all of the work is in layers of so
#: many outputs: for fewer it would cost too much to sort samples once more, backward.
_SHARED_WORK, _NEARLY_ALL, _WIDE = 16_000_000, 0.75, 32

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


def fit_a_block(layers: Sequence[PackedLayer], n: int) -> bool:
    """Tell whether n samples are one block to every layer."""
    return n <= min(layer.block for layer in layers)


def stay_whole(layers: Sequence[PackedLayer], n: int) -> bool:
    """Tell whether n samples go through in one chunk, which threads share if there are some."""
    if not fit_a_block(layers, n):
        return False
    work = sum(layer.row_work for layer in layers)
    wide = sum(layer.row_work for layer in layers if layer.n_out >= _WIDE)
    return n * work >= _SHARED_WORK and wide >= _NEARLY_ALL * work


def lot_rows(layers: Sequence[PackedLayer]) -> int:
    """Return over how many samples activations are kept for a gradient: bounded memory, a multiple of BLOCK."""
    numbers = layers[0].coefs.shape[0] + sum(layer.n_out for layer in layers)
    chunk = chunk_rows(layers, 0)
    return int(max(1, min(_LOT_NUMBERS // numbers, _LONGEST_LOT) // chunk) * chunk)


def spans(n: int, size: int) -> list[slice]:
    """Cut n rows into slices of `size`."""
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]


class Lot(NamedTuple):
    """How many samples go through a network for a loss, and memory for them."""

    rows: int
    size: int  # of the chunks in which they go forward, those of a shorter last lot too: they fill the blocks below
    sharing: Sharing | None  # where they are one chunk, and threads share it
    y_bar: FloatArray  # (rows, n_out) cotangents of the outputs
    keep: Sequence[Sorted | None]  # for each layer what is kept of what it sorts, where the gradient is wanted


def new_lot(layers: Sequence[PackedLayer], n: int, gradient: bool) -> tuple[Lot, int]:
    """Return how n samples are cut into lots, and the bytes that a lot takes."""
    rows, last = min(n, lot_rows(layers)), layers[-1]
    y_bar = np.empty((rows, last.n_out), last.coefs.dtype)
    size = -(-rows // BLOCK) * BLOCK if stay_whole(layers, rows) else chunk_rows(layers, rows)
    sharing = new_sharing(layers, rows, gradient)
    keep: list[Sorted | None] = []
    if gradient:
        keep = sharing.kept if sharing else _new_sorted(layers, rows, size)
    return Lot(rows, size, sharing, y_bar, keep), y_bar.nbytes + sum(kept.nbytes for kept in keep if kept)


def new_sharing(layers: Sequence[PackedLayer], n: int, keeps: bool = False) -> Sharing | None:
    """Return how threads share a block of n samples, None where they do not; `keeps` what is sorted for a gradient."""
    return Sharing(layers, n, keeps) if stay_whole(layers, n) and threads_for(layers, n) > 1 else None


def _new_sorted(layers: Sequence[PackedLayer], n: int, size: int) -> list[Sorted | None]:
    """Return room for what layers sort of n samples, `size` at a time."""
    keep: list[Sorted | None] = []
    for layer in layers:
        block = size if size < layer.block else math.gcd(size, layer.block)
        keep.append(Sorted(layer.work, n, layer.coefs.shape[0], block))
    return keep


def lot_key(layers: Sequence[PackedLayer], x: FloatArray) -> tuple[Any, ...]:
    """Return all that a lot of samples x depends on, and how it is shared."""
    shapes = [
        (layer.k, layer.n_out, layer.base.kind, layer.inside is None, layer.coefs.shape, layer.pieces.poly.shape)
        for layer in layers
    ]
    return (len(x), x.dtype, get_threads_at_once(), *shapes)
