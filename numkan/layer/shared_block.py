r"""Forward through layers for one block of samples, shared by threads.

Each thread has a part of the samples, and takes it through all layers in one call of a kernel: to hand the interpreter
over takes as long as a step. What a run begins with, threads then do for the same pieces, each of them for its own
samples; so one that has samples to itself should have many. But nothing that one writes does another read, chains
apart: memory that cores write in turns costs more than that, and several times as much where they happen to be far
apart. So each thread packs coefficients for itself as well, unless they are packed already or there are very many.

Where outputs are two chains (``forward.py``) and there are two threads, each of them first has one chain, for all
samples: it packs and sorts what the other does not, and what it sorts serves backward too. They meet when both are
done; who is first waits awake. Each output is the same chains of operations as in ``forward.py``: the same bits.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._threads import Call, get_threads_at_once, run_together
from numkan._watch import COUNT, count, enter, leave, new_count, wait
from numkan.base import given_base
from numkan.compile import kernel
from numkan.layer.forward import chain_kernel, forward_kernel, second_chain
from numkan.layer.pack import Source, no_source
from numkan.layer.packed import PackedLayer
from numkan.layer.tiles import copy_rows, from_tiles
from numkan.layer.work import BLOCK, Sorted, Work, borrowed, spaces_for
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

#: So often at once who waits for the other chain looks whether it is done.
_TURNS = 1000


class _Step(NamedTuple):
    """A layer at its samples, as threads share it."""

    x: FloatArray  # (n, n_in)
    pieces: Pieces
    kind: int  # of base function
    given: FloatArray  # b and b' where kind is CUSTOM
    given_slope: FloatArray
    source: Source  # empty if the coefficients are packed
    y: FloatArray  # (n, n_out)
    other: Any  # for the second chains of the first layer, (n * n_out,) where threads have one each, else (0,)


class _Counts(NamedTuple):
    """What threads count together."""

    parts: Any  # of the samples that somebody has
    chains: Any  # of the first layer that somebody has
    done: Any  # chains that are done


@cache
def _chains_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a layer's chains that threads have one each, for degree `k` and a dtype."""
    chain, write = chain_kernel(k, dtype), from_tiles(k, dtype)

    @kernel
    def share(step, coefs, counts, work, kept):  # type: ignore[no-untyped-def]
        """Do a chain that nobody has, or both, and return when both are done.

        The first fills y, the second `other`. What is sorted stays in slots kept, kept + 1, ... unless kept < 0. A
        chain is waited for only while a thread is in here with it.
        """
        x, pieces, kind, given, given_slope, source, y, other = step
        (n, n_out), (n_in, _, width) = y.shape, coefs.shape
        second, packs = second_chain(n_in), len(source.coef) > 0
        number = count(counts.chains, COUNT)
        while number < 2:
            first, last, rows = (0, second, y.reshape(-1)) if number == 0 else (second, n_in, other)
            chain(x, 0, n, pieces, kind, given, given_slope, source, packs, coefs, work, kept, first, last)
            write(work.out, n, width, rows, 0, n_out)
            count(counts.done, COUNT)
            number = count(counts.chains, COUNT)
        while not wait(counts.done, COUNT, 2, _TURNS):
            pass

    return share


@cache
def _join_kernel(k: int, dtype: np.dtype[Any]) -> Any:
    """Return the kernel of a thread's parts in layers of degree `k` and a dtype, one after the other."""
    forward, share, add = forward_kernel(k, dtype), _chains_kernel(k, dtype), copy_rows(dtype, adds=True)

    @kernel
    def join(steps, coefs, size, part, counts, works, kept, call):  # type: ignore[no-untyped-def]
        """Do part `part` of the samples, or the next that nobody has if it is negative, then further ones.

        coefs, works: packed coefficients and scratch memory for each layer, this thread's; kept: where what is sorted
        for a chain stays, see `share`.
        """
        enter(call)
        first, n, is_first = steps[0], len(steps[0].x), True
        n_out, others = first.y.shape[1], len(first.other)
        if others > 0:
            share(first, coefs[0], counts, works[0], kept)
        if part < 0:
            part = count(counts.parts, COUNT)
        while part * size < n:
            rows = slice(part * size, min(n, (part + 1) * size))
            if others > 0:
                begin = rows.start * n_out
                add(first.other, begin, 0, first.y.reshape(-1), begin, 0, 1, rows.stop * n_out - begin)
            for depth in range(1 if others > 0 else 0, len(steps)):
                x, pieces, kind, given, given_slope, source, y, _ = steps[depth]
                base, packs = (kind, given[rows], given_slope[rows]), is_first and len(source.coef) > 0
                forward(x[rows], pieces, *base, source, packs, coefs[depth], works[depth], -1, y[rows])
            part, is_first = count(counts.parts, COUNT), False
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
    keeps : bool
        Whether to keep what is sorted, where threads have a chain of the first layer each.

    Attributes
    ----------
    kept : Sorted or None
        What they sort, if it is kept.
    """

    def __init__(self, layers: Sequence[PackedLayer], n: int, keeps: bool = False) -> None:
        self._n_threads, self._own, first = threads_for(layers, n), threading.local(), layers[0]
        self._join = _join_kernel(first.k, first.coefs.dtype)
        self._size = -(-n // (self._n_threads * _PART)) * _PART
        #: How many layers threads have a chain each of.
        self._chained = int(self._n_threads == 2 and _has_two_chains(first))
        block = min(first.block, -(-n // BLOCK) * BLOCK)
        self.kept = Sorted(first.work, n, len(first.coefs), block) if keeps and self._chained else None

    def forward(self, layers: Sequence[PackedLayer], acts: Sequence[FloatArray]) -> None:
        """Fill acts[1], acts[2], ..., the outputs of each layer at acts[0] (n, n_in), on all threads.

        Coefficients that are yet to be packed are packed afterwards.
        """
        layers[0].check_inside(acts[0])
        copied = [layer if layer.coefs.size <= _MOST_COPIED else layer.filled() for layer in layers[self._chained :]]
        layers = [*layers[: self._chained], *copied]
        caller, counts = threading.get_ident(), _Counts(new_count(), new_count(), new_count())
        counts.parts[COUNT] = 1  # the first is the caller's, who so packs what lasts

        with borrowed("second chain", self._chained * acts[1].size, acts[0].dtype) as other:
            steps = tuple([_step(layer, acts[d], acts[d + 1], other) for d, layer in enumerate(layers)])

            def task(call: Call) -> None:
                is_caller = threading.get_ident() == caller
                coefs = [layer.coefs for layer in layers]
                if not is_caller:
                    coefs[self._chained :] = _copies(copied, acts[0].dtype)
                part = 0 if is_caller else -1
                try:
                    self._join(steps, tuple(coefs), self._size, part, counts, *self._works(layers), call)
                except BaseException:  # a kernel raises with the JIT off, or bounds checked
                    counts.done[COUNT] = 2  # nobody is to wait for a chain that does not come
                    raise

            run_together(task, self._n_threads)

    def _works(self, layers: Sequence[PackedLayer]) -> tuple[tuple[Work, ...], int]:
        """Return this thread's scratch memory for each layer, and where what is sorted for a chain is kept."""
        works: tuple[Work, ...] | None = getattr(self._own, "works", None)
        if works is None:
            first, *others = [layer.work for layer in layers]
            works = self._own.works = (first if self.kept is None else self.kept.within(first), *others)
        return works, -1 if self.kept is None else 0


def _has_two_chains(layer: PackedLayer) -> bool:
    return bool(second_chain(len(layer.coefs)) < len(layer.coefs))


def _step(layer: PackedLayer, x: FloatArray, y: FloatArray, other: FloatArray) -> _Step:
    given, source = given_base(layer.base, x), layer.source or no_source(x.dtype)
    return _Step(x, layer.pieces, layer.base.kind, *given, source, y, other)


def _copies(layers: Sequence[PackedLayer], dtype: np.dtype[Any]) -> list[Any]:
    """Return packed coefficients, or memory of this thread where they are yet to be packed."""
    copied = [layer.coefs for layer in layers if layer.source is not None]
    spaces = iter(spaces_for([coefs.shape for coefs in copied], dtype))
    return [layer.coefs if layer.source is None else next(spaces) for layer in layers]


class Sharing:
    """How threads share the layers of a network at n samples that fit a block: its stretches.

    A stretch ends before Python has to look at activations (the policy `"raise"`, a user's base function), before
    another degree, before outputs of which two threads may have a chain each, and where it would be long: the kernel is
    compiled for every length.

    Attributes
    ----------
    stretches : list of (slice, Stretch)
        Which layers each has.
    kept : list of (Sorted or None)
        For each layer what is sorted of its inputs and kept, with `keeps`.
    """

    def __init__(self, layers: Sequence[PackedLayer], n: int, keeps: bool = False) -> None:
        begins = [0]
        for depth in range(1, len(layers)):
            layer, length = layers[depth], depth - begins[-1]
            seen = layer.inside is not None or layer.base.is_custom
            has_chains = _has_two_chains(layer) and threads_for(layers, n) == 2
            if seen or layer.k != layers[depth - 1].k or has_chains or length == _LONGEST_STRETCH:
                begins.append(depth)
        parts = [slice(begin, end) for begin, end in zip(begins, [*begins[1:], len(layers)], strict=True)]
        self.stretches = [(part, Stretch(layers[part], n, keeps)) for part in parts]
        self.kept: list[Sorted | None] = [None] * len(layers)
        for part, stretch in self.stretches:
            self.kept[part.start] = stretch.kept
