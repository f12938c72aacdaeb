"""A layer packed for evaluation: its arrays and the kernels that read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._threads import get_threads, run_tasks
from numkan.base import BaseFunction, given_base
from numkan.layer.backward import backward_kernel
from numkan.layer.buffers import MAX_BLOCK, thread_array
from numkan.layer.forward import forward_kernel
from numkan.layer.pack import GradientSink, no_sink
from numkan.layer.scratch import Scratch, scratch_for
from numkan.layer.tiles import into_tiles
from numkan.spline.pieces import Pieces, check_inside

__all__ = ["PackedLayer"]

#: At most this many samples, whole blocks, in one call of a kernel: at 64 x 64 edges that takes 5 ms, and Ctrl-C is
#: answered between calls.
_MAX_CALL_ROWS = MAX_BLOCK

#: Least number of multiply-adds of a backward pass for each thread, and about the largest number in a kernel call.
_THREAD_WORK, _MAX_CALL_WORK = 8_000_000, 2_000_000_000

#: Parts of the inputs for each thread: if a thread starts late, the others take over some of its parts.
_PARTS_PER_THREAD = 2

#: Cost of preparing one input of one sample (its piece, w, base function), in multiply-adds: forward, and backward.
_PREPARE_WORK, _SLOPES_WORK = 32, 64


class BaseValues(NamedTuple):
    """A base function at points."""

    kind: int
    values: Any  # (n, n_in) b if a user's functions compute it, else empty
    slopes: Any  # (n, n_in) b', likewise


class LayerArrays(NamedTuple):
    """A layer as kernels take it."""

    coefs: Any  # (n_in, G + k + 1, width) effective coefficients, see ``pack.py``
    pieces: Pieces
    base: BaseValues


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
    """

    k: int
    n_out: int
    base: BaseFunction
    pieces: Pieces
    coefs: Any
    inside: FloatArray | None = None

    @property
    def scratch(self) -> Scratch:
        """Scratch memory of the calling thread."""
        return scratch_for(self.coefs.dtype, self.k, self.pieces.poly.shape[1], self.coefs.shape[2])

    def _arrays(self, x: FloatArray) -> LayerArrays:
        """Return the layer at points x as kernels take it."""
        return LayerArrays(self.coefs, self.pieces, BaseValues(self.base.kind, *given_base(self.base, x)))

    @property
    def block(self) -> int:
        """The number of samples that the kernels take at once."""
        return self.scratch.block

    @property
    def row_work(self) -> int:
        """The cost of one sample forward, in multiply-adds."""
        n_in, _, width = self.coefs.shape
        return int(n_in * (_PREPARE_WORK + (self.k + 2) * width))

    def forward(self, x: FloatArray, y: FloatArray | None = None) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in), in `y` if that is given."""
        self.check_inside(x)
        if y is None:
            y = np.empty((x.shape[0], self.n_out), x.dtype)
        kernel, scratch = forward_kernel(self.k, x.dtype), self.scratch
        for begin in range(0, len(x), _MAX_CALL_ROWS):  # Ctrl-C gets through between two calls
            rows = slice(begin, begin + _MAX_CALL_ROWS)
            kernel(x[rows], self._arrays(x[rows]), scratch, y[rows])
        return y

    def check_inside(self, x: FloatArray) -> None:
        """Raise an error for points outside the grid if the layer's policy is `"raise"`."""
        if self.inside is not None:
            check_inside("x", x, self.inside, self.k)

    def backward(
        self, x: FloatArray, y_bar: FloatArray, sink: GradientSink | None, *, inputs: bool = True
    ) -> FloatArray:
        """Add the gradient by the packed coefficients to `sink`, and return that by x (n, n_in) if `inputs`.

        y_bar (n, n_out), canonical like x. Threads share the inputs. One thread takes each sum, over the samples in
        order, so the bits do not depend on how inputs are shared.
        """
        (n, n_in), (_, n_rows, width) = x.shape, self.coefs.shape
        x_bar = np.empty((n if inputs else 0, n_in), x.dtype)
        kernel, layer, block = backward_kernel(self.k, x.dtype), self._arrays(x), self.scratch.block
        size, goal = self._part_inputs(n), sink or no_sink(x.dtype)
        together = min(size, self.scratch.inputs)

        with thread_array("cotangents", (n - (-n // block)) * width, x.dtype) as bars:
            into_tiles(x.dtype)(y_bar, bars, width, block)

            def task(part: int) -> None:
                share = part * size, min(n_in, (part + 1) * size)
                with thread_array("gradient", together * n_rows * width, x.dtype) as memory:
                    grad = memory.reshape(together, n_rows, width)
                    kernel(x, bars, layer, self.scratch, share, grad, goal, x_bar)

            run_tasks(task, -(-n_in // size))
        return x_bar

    def _part_inputs(self, n: int) -> int:
        """Return how many inputs one task takes in a backward pass over n samples."""
        n_in, _, width = self.coefs.shape
        work = n_in * n * (_SLOPES_WORK + 2 * (self.k + 2) * width)
        n_threads = min(get_threads(), work // _THREAD_WORK)
        n_parts = _PARTS_PER_THREAD * n_threads if n_threads > 1 else 1
        return max(1, int(n_in // max(n_parts, -(-work // _MAX_CALL_WORK), 1)))
