"""How the samples of a call are divided: parts that threads share, and batches whose activations are kept.

Rows do not depend on each other, so there may be a part for each thread. What is summed over samples is divided by the
network and the number of samples alone. So threads do not change a bit, memory stays bounded, and Ctrl-C is
answered soon.
"""

from __future__ import annotations

from collections.abc import Sequence

from numkan._threads import get_threads
from numkan.layer.packed import PackedLayer
from numkan.layer.work import BLOCK, LONGEST_BLOCK

__all__ = ["chunk_rows", "gradient_rows", "part_rows", "spans"]

#: Multiply-adds of a forward pass that are worth waking a thread for.
_THREAD_WORK = 8_000_000

#: Parts have a multiple of this many samples.
_ROWS = 8

#: About this many multiply-adds go into a chunk, half a millisecond or so, and at most this many samples.
_CHUNK_WORK, _LONGEST_CHUNK = 4_000_000, LONGEST_BLOCK

#: For a gradient, about this many activations are kept, and of at most this many samples: an entry of the gradient is
#: one chain of sums over a batch, and float32 forgets what is small beside a long one.
_MAX_ACTIVATIONS, _MAX_GRADIENT_ROWS = 1 << 21, 64 * BLOCK


def _row_work(layers: Sequence[PackedLayer]) -> int:
    return sum(layer.row_work for layer in layers)


def part_rows(layers: Sequence[PackedLayer], n: int) -> int:
    """Return how many of n samples a task takes through a network: as many for each thread, if it is worth while."""
    n_threads = max(1, min(get_threads(), n * _row_work(layers) // _THREAD_WORK))
    size = -(-n // (n_threads * -(-n // (n_threads * LONGEST_BLOCK)))) if n else 1
    return size + -size % _ROWS


def chunk_rows(layers: Sequence[PackedLayer], n: int) -> int:
    """Return over how many of n samples a partial sum is taken, whatever the number of threads: whole blocks."""
    wanted = max(BLOCK, min(_CHUNK_WORK // _row_work(layers), _LONGEST_CHUNK))
    return int(wanted - wanted % BLOCK)


def gradient_rows(layers: Sequence[PackedLayer]) -> int:
    """Return over how many samples activations are kept for a gradient: bounded memory, whole blocks."""
    activations = layers[0].coefs.shape[0] + sum(layer.n_out for layer in layers)
    return int(max(1, min(_MAX_ACTIVATIONS // activations, _MAX_GRADIENT_ROWS) // BLOCK) * BLOCK)


def spans(n: int, size: int) -> list[slice]:
    """Divide n rows into slices of `size`."""
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]
