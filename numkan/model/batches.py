"""How the samples of a call are divided: parts for threads, chunks of a sum, and batches whose activations are kept.

Rows of a prediction do not depend on each other, so each thread may take a part. Sums over samples are divided in a way
that depends on the network and the number of samples alone, so the number of threads changes no bit. Memory stays
bounded, and Ctrl-C is answered soon.
"""

from __future__ import annotations

from collections.abc import Sequence

from numkan._threads import get_threads
from numkan.layer.buffers import BLOCK, MAX_BLOCK
from numkan.layer.packed import PackedLayer

__all__ = ["batch_rows", "chunk_rows", "part_rows", "slices"]

#: Least number of multiply-adds of a forward pass for each thread, so that waking it pays.
_THREAD_WORK = 8_000_000

#: The number of samples in a part is a multiple of this.
_ROW_MULTIPLE = 8

#: Multiply-adds in a chunk, about half a millisecond, and the largest number of samples in it.
_CHUNK_WORK, _MAX_CHUNK_ROWS = 4_000_000, MAX_BLOCK

#: Activations kept for a gradient, and the largest number of samples in a batch. An entry of the gradient is one sum
#: over a batch, and a long sum in float32 loses its small terms.
_MAX_ACTIVATIONS, _MAX_BATCH_ROWS = 1 << 21, 64 * BLOCK


def _row_work(layers: Sequence[PackedLayer]) -> int:
    return sum(layer.row_work for layer in layers)


def part_rows(layers: Sequence[PackedLayer], n: int) -> int:
    """Return how many of n samples one task takes through a network: equal parts for all threads that pay."""
    n_threads = max(1, min(get_threads(), n * _row_work(layers) // _THREAD_WORK))
    size = -(-n // (n_threads * -(-n // (n_threads * MAX_BLOCK)))) if n else 1
    return size + -size % _ROW_MULTIPLE


def chunk_rows(layers: Sequence[PackedLayer], n: int) -> int:
    """Return over how many of n samples a partial sum goes, whole blocks; the number of threads has no influence."""
    wanted = max(BLOCK, min(_CHUNK_WORK // _row_work(layers), _MAX_CHUNK_ROWS))
    return int(wanted - wanted % BLOCK)


def batch_rows(layers: Sequence[PackedLayer]) -> int:
    """Return how many samples are in a batch, whose activations are kept for a gradient: whole blocks."""
    activations = layers[0].coefs.shape[0] + sum(layer.n_out for layer in layers)
    return int(max(1, min(_MAX_ACTIVATIONS // activations, _MAX_BATCH_ROWS) // BLOCK) * BLOCK)


def slices(n: int, size: int) -> list[slice]:
    """Divide n rows into slices of `size`."""
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]
