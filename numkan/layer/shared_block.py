r"""Forward through layers for one block of samples, shared by threads.

Each thread has a part of the samples, and takes it through all layers in one call of a kernel: to hand the interpreter
over takes as long as a step. What a run begins with, threads then do for the same pieces, each of them for its own
samples; so one that has samples to itself should have many. But nothing that one writes does another read: memory that
cores write in turns costs more than that, and several times as much where they happen to be far apart. So each thread
packs coefficients for itself as well, unless they are packed already or there are very many. Each output is the same
chain of operations as in ``forward.py``: the same bits.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._jit import kernel
from numkan._threads import Call, get_threads_at_once, run_together
from numkan._watch import COUNT, count, enter, leave, new_count
from numkan.base import GIVEN
from numkan.layer.forward import forward_kernel
from numkan.layer.pack import Source, no_source
from numkan.layer.packed import PackedLayer, given_base
from numkan.layer.work import Work, spaces_for
from numkan.spline.pieces import Pieces

__all__ = ["Sharing", "Stretch", "threads_for"]

#: So many multiply-adds are worth a thread's while.
_THREAD_WORK = 4_000_000

#: A part has a multiple of so many samples.
_PART = 8

#: Of more coefficients in a layer threads do not have a copy each.
_MOST_COPIED = 1_000_000

#: So many layers are done in one call of a kernel at most.
_LONGEST_STRETCH = 4


class _Step(NamedTuple):
    """A layer at its samples, as threads share it."""

    x: FloatArray  # (n, n_in)
    pieces: Pieces
    kind: int  # of base function
    given: FloatArray  # b and b' where kind is GIVEN
    given_slope: FloatArray
    source: Source  # empty if the coefficients are packed
    y: FloatArray  # (n, n_out)


@cache
def _join_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a thread's parts in layers of degree `k` and a dtype, one after the other."""
    forward = forward_kernel(k, dtype)

    @kernel
    def join(steps, coefs, size, part, taken, works, call):  # type: ignore[no-untyped-def]
        """Do part `part` of the samples, or the next that nobody has if it is negative, then further ones.

        coefs, works: packed coefficients and scratch memory for each layer, this thread's; taken: counts parts.
        """
        enter(call)
        n, is_first = len(steps[0].x), True
        if part < 0:
            part = count(taken, COUNT)
        while part * size < n:
            rows = slice(part * size, min(n, (part + 1) * size))
            for depth in range(len(steps)):
                x, pieces, kind, given, given_slope, source, y = steps[depth]
                base, packs = (kind, given[rows], given_slope[rows]), is_first and len(source.coef) > 0
                forward(x[rows], pieces, *base, source, packs, coefs[depth], works[depth], -1, y[rows])
            part, is_first = count(taken, COUNT), False
        leave(call)

    return join


def threads_for(layers: Sequence[PackedLayer], n: int) -> int:
    """Return how many threads n samples keep busy, no more than there are cores."""
    work = n * sum(layer.row_work for layer in layers)
    return max(1, min(get_threads_at_once(), work // _THREAD_WORK, -(-n // _PART)))


class Stretch:
    """How threads share layers, in one call of a kernel, at n samples: what is the same for all calls of it.

    Parameters
    ----------
    layers : sequence of PackedLayer
        Layers of these shapes are to come; they are of one degree, and Python need not look at what is between them.
    n : int
        Samples, which fit a block.
    """

    def __init__(self, layers: Sequence[PackedLayer], n: int) -> None:
        self._n_threads, self._own = threads_for(layers, n), threading.local()
        self._join = _join_kernel(layers[0].k, layers[0].coefs.dtype)
        self._size = -(-n // (self._n_threads * _PART)) * _PART

    def forward(self, layers: Sequence[PackedLayer], acts: Sequence[FloatArray]) -> None:
        """Fill acts[1], acts[2], ..., the outputs of each layer at acts[0] (n, n_in), on all threads.

        Coefficients that are yet to be packed are packed afterwards.
        """
        layers[0].check_inside(acts[0])
        layers = [layer if layer.coefs.size <= _MOST_COPIED else layer.filled() for layer in layers]
        steps = tuple([_step(layer, *acts[depth : depth + 2]) for depth, layer in enumerate(layers)])
        caller, taken = threading.get_ident(), new_count()
        taken[COUNT] = 1  # the first is the caller's, who so packs what lasts

        def task(call: Call) -> None:
            is_caller = threading.get_ident() == caller
            coefs = tuple([layer.coefs for layer in layers]) if is_caller else _copies(layers)
            self._join(steps, coefs, self._size, 0 if is_caller else -1, taken, self._works(layers), call)

        run_together(task, self._n_threads)

    def _works(self, layers: Sequence[PackedLayer]) -> tuple[Work, ...]:
        """Return this thread's scratch memory for each layer."""
        works: tuple[Work, ...] | None = getattr(self._own, "works", None)
        if works is None:
            works = self._own.works = tuple([layer.work for layer in layers])
        return works


def _step(layer: PackedLayer, x: FloatArray, y: FloatArray) -> _Step:
    given, source = given_base(layer.base, x), layer.source or no_source(x.dtype)
    return _Step(x, layer.pieces, layer.base.kind, *given, source, y)


def _copies(layers: Sequence[PackedLayer]) -> tuple[Any, ...]:
    """Return packed coefficients, or memory of this thread where they are yet to be packed."""
    copied = [layer.coefs for layer in layers if layer.source is not None]
    spaces = iter(spaces_for([coefs.shape for coefs in copied], layers[0].coefs.dtype))
    return tuple([layer.coefs if layer.source is None else next(spaces) for layer in layers])


class Sharing:
    """How threads share the layers of a network at n samples that fit a block: its stretches.

    A stretch ends before Python has to look at activations (the policy `"raise"`, a user's base function), before
    another degree, and where it would be long: the kernel is compiled for every length.
    """

    def __init__(self, layers: Sequence[PackedLayer], n: int) -> None:
        begins = [0]
        for depth in range(1, len(layers)):
            layer, length = layers[depth], depth - begins[-1]
            seen = layer.inside is not None or layer.base.kind == GIVEN
            if seen or layer.k != layers[depth - 1].k or length == _LONGEST_STRETCH:
                begins.append(depth)
        parts = [slice(begin, end) for begin, end in zip(begins, [*begins[1:], len(layers)], strict=True)]
        self.stretches = [(part, Stretch(layers[part], n)) for part in parts]
