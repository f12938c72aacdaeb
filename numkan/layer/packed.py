"""A layer packed for evaluation: its arrays and the kernels that read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._threads import Call, get_threads_at_once, run_together
from numkan.base import BaseFunction, given_base
from numkan.layer.backward import Halves, backward_kernel
from numkan.layer.forward import forward_kernel
from numkan.layer.pack import Receiver, Source, no_receiver, no_source, over_inputs, pack
from numkan.layer.tiles import into_tiles
from numkan.layer.work import LONGEST_BLOCK, Sorted, Work, borrowed, spaces_for, workspace
from numkan.spline.pieces import Pieces, check_inside

__all__ = ["PackedLayer"]

#: Samples in one call of a kernel: half a second at 64 x 64 edges were a hundred times as many. Whole blocks.
_LONGEST_CALL = LONGEST_BLOCK

#: Backward, so many multiply-adds are worth a thread's while, and about so many go into one call of a kernel.
_THREAD_WORK, _CALL_WORK = 1_300_000, 2_000_000_000

#: What preparing one input of one sample (its piece, w, base function) costs, in multiply-adds, and what backward.
_PREPARE_WORK, _SLOPES_WORK = 32, 64


class PackedLayer(NamedTuple):
    """One layer as its kernels read it.

    Attributes
    ----------
    k : int
        Degree.
    n_out : int
        Number of outputs; `coefs` has more columns, padded with zeros.
    base : BaseFunction
    pieces : Pieces
        Local polynomials of the grid under the layer's extrapolation policy.
    coefs : ndarray, shape (n_in, G + k + 1, width)
        Effective coefficients, see ``pack.py``.
    inside : ndarray or None
        The knots, where the policy is `"raise"`: points outside their domain are an error.
    source : Source or None
        What `coefs` are yet to be packed from, by :meth:`filled` or on the way forward; None if they are.
    """

    k: int
    n_out: int
    base: BaseFunction
    pieces: Pieces
    coefs: Any
    inside: FloatArray | None = None
    source: Source | None = None

    @property
    def work(self) -> Work:
        """Scratch memory of the calling thread."""
        return workspace(self.coefs.dtype, self.k, self.pieces.poly.shape[1], self.coefs.shape[2])

    @property
    def block(self) -> int:
        """How many samples the kernels take at once."""
        return self.work.block

    @property
    def row_work(self) -> int:
        """What one sample costs forward, in multiply-adds."""
        n_in, _, width = self.coefs.shape
        return int(n_in * (_PREPARE_WORK + (self.k + 2) * width))

    def filled(self) -> PackedLayer:
        """Return the layer with its coefficients packed, which fills `coefs` if that is yet to be done."""
        if self.source is None:
            return self
        over_inputs(pack, *self.source, self.coefs)
        return self._replace(source=None)

    def forward(
        self, x: FloatArray, y: FloatArray | None = None, keep: Sorted | None = None, first: int = 0
    ) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in), in `y` if that is given.

        What was sorted stays in `keep` if that is given, for :meth:`backward`; x then begins at row `first` of its
        samples, where a block begins. Coefficients that are yet to be packed are packed, if there is a sample.
        """
        self.check_inside(x)
        if y is None:
            y = np.empty((x.shape[0], self.n_out), x.dtype)
        kernel, work = forward_kernel(self.k, x.dtype), self._work_with(keep)
        source, is_packed = self.source or no_source(x.dtype), self.source is None
        for begin in range(0, len(x), _LONGEST_CALL):  # Ctrl-C gets through between two calls
            rows = slice(begin, begin + _LONGEST_CALL)
            given, slope = given_base(self.base, x[rows])
            at = -1 if keep is None else (first + begin) // work.block * x.shape[1]
            coefs = source, not is_packed, self.coefs
            kernel(x[rows], self.pieces, self.base.kind, given, slope, *coefs, work, at, y[rows])
            is_packed = True
        return y

    def check_inside(self, x: FloatArray) -> None:
        """Raise the error of the policy `"raise"`, where that is the layer's, for points outside."""
        if self.inside is not None:
            check_inside("x", x, self.inside, self.k)

    def _work_with(self, keep: Sorted | None) -> Work:
        """Return this thread's scratch memory, where what is sorted lies in `keep` if that is given."""
        return self.work if keep is None else keep.within(self.work)

    def backward(
        self,
        x: FloatArray,
        y_bar: FloatArray,
        receiver: Receiver | None,
        *,
        inputs: bool = True,
        kept: Sorted | None = None,
    ) -> FloatArray:
        """Give the cotangents of the packed coefficients to `receiver`, return those of x (n, n_in) where asked for.

        y_bar (n, n_out), canonical like x; kept: what :meth:`forward` kept of the same x.

        Each sum is one thread's, over the samples in order, so the numbers do not depend on how inputs are shared out.
        """
        (n, n_in), (_, n_rows, width) = x.shape, self.coefs.shape
        x_bar = np.empty((n if inputs else 0, n_in), x.dtype)
        given, at = given_base(self.base, x), -1 if kept is None else 0
        kernel, grid = backward_kernel(self.k, x.dtype), (self.pieces, self.base.kind, *given)
        cost = max(1, n * (_SLOPES_WORK + 2 * (self.k + 2) * width))  # of an input
        n_threads = max(1, min(get_threads_at_once(), n_in, n_in * cost // _THREAD_WORK))
        together = _group_inputs(n_in, self.work.inputs, n_threads)
        n_groups = -(-n_in // together)
        goal = receiver or no_receiver(x.dtype)

        with borrowed("cotangents", n * width, x.dtype) as bars:
            into_tiles(self.k, x.dtype)(y_bar, bars, width, self._work_with(kept).block)

            def task(call: Call) -> None:
                (part,) = spaces_for([(together, n_rows, width)], x.dtype)
                memory = self._work_with(kept), at
                kernel(x, bars, *grid, self.coefs, *memory, halves, part, goal, x_bar, inputs, call)

            at_once = max(n_threads, _CALL_WORK // (together * cost))
            for begin in range(0, n_groups, at_once):  # Ctrl-C gets through between two calls
                halves = Halves.of(begin, min(begin + at_once, n_groups))
                run_together(task, n_threads)
        return x_bar


def _group_inputs(n_in: int, most: int, n_threads: int) -> int:
    """Return how many inputs are taken at once, backward: as many for each thread, where there are few groups."""
    n_groups = -(-n_in // most)
    if n_groups < 4 * n_threads:
        n_groups += -n_groups % n_threads
    return -(-n_in // n_groups)
