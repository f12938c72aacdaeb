"""A network in direct form: predictions, losses and gradients in one kernel call for each part of the samples."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._threads import run_tasks
from numkan.layer.buffers import aligned_empty, thread_array
from numkan.layer.direct import BLOCK
from numkan.layer.direct_pack import pack_direct
from numkan.layer.direct_unpack import unpack_direct
from numkan.layer.layout import Scratch
from numkan.model.blocks import Predictor
from numkan.model.direct_kernels import gradient_direct, loss_direct, predict_direct
from numkan.model.direct_plan import DirectPlan, Sizes
from numkan.model.targets import Targets

__all__ = ["DirectNetwork"]

#: Multiply-adds in one part of the samples, about: a tenth of a millisecond or more, which is worth a thread's while. A
#: prediction's is divided by the itemsize, because two float32 take as long as one float64.
_PREDICTION_WORK, _GRADIENT_WORK = 24_000_000, 3_000_000

#: A gradient is the sum of at most this many partial sums. Each costs memory for a gradient of its own, which is worth
#: it from this many multiply-adds for every number of the gradient on.
_MAX_PARTIAL_SUMS, _WORK_PER_NUMBER = 16, 64

#: Samples that are summed up one after the other. In longer sums float32 would forget what is small.
_MAX_SUMMED_SAMPLES = 8192

_local = threading.local()


class _Workspace(NamedTuple):
    """Memory of one thread for one plan."""

    sizes: Sizes
    scratch: Scratch
    edges: Any  # (sizes.edges,): packed edges of a network that is packed for one call
    grads: Any  # its gradient by packed edges


def _workspace(plan: DirectPlan) -> _Workspace:
    """Return this thread's memory, large enough for a plan."""
    last: tuple[weakref.ref[DirectPlan], _Workspace] | None = getattr(_local, "last", None)
    if last is not None and last[0]() is plan:
        return last[1]
    spaces: dict[Any, _Workspace] | None = getattr(_local, "spaces", None)
    if spaces is None:
        spaces = _local.spaces = {}
    space = spaces.get(plan.dtype)
    if space is None or not plan.sizes.fit(space.sizes):
        space = _new_workspace(plan, plan.sizes if space is None else Sizes(*map(max, plan.sizes, space.sizes)))
    scratch = plan.scratch._replace(work=space.scratch.work, index=space.scratch.index)
    spaces[plan.dtype] = space
    space = space._replace(scratch=scratch, grads=space.grads[: plan.sizes.grads])
    _local.last = weakref.ref(plan), space
    return space


def _new_workspace(plan: DirectPlan, sizes: Sizes) -> _Workspace:
    work, edges, grads = (aligned_empty(size, plan.dtype) for size in (sizes.work, sizes.edges, sizes.grads))
    work[:] = 0
    return _Workspace(sizes, plan.scratch._replace(work=work, index=np.zeros(sizes.pieces, np.int32)), edges, grads)


def _parts(n: int, plan: DirectPlan, work: int, longest: int | None = None) -> list[slice]:
    """Divide n samples into runs of whole blocks, of about `work` multiply-adds each and at most `longest` samples."""
    if n <= BLOCK:
        return [slice(0, n)]
    number = max(round(n * plan.sample_work / work), -(-n // longest) if longest else 0)
    if number < 2:
        return [slice(0, n)]
    number += number % 2  # two threads share an even number of parts evenly
    size = -(-n // (number * BLOCK)) * BLOCK
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]


class DirectNetwork:
    """A network in direct form. `storage` is the array in which its parameters and masks lie, as `plan.layout` says."""

    def __init__(self, plan: DirectPlan, storage: FloatArray) -> None:
        self.plan = plan
        self._storage = storage

    def predictor(self) -> Predictor:
        """Return a function of canonical samples: the network with its parameters as they are now."""
        edges: FloatArray = aligned_empty(self.plan.sizes.edges, self.plan.dtype)
        return partial(self._predict, self._pack(edges))

    def predict(self, x: FloatArray) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in)."""
        return self._predict(self._pack(_workspace(self.plan).edges), x)

    def _pack(self, edges: FloatArray) -> FloatArray:
        """Fill edges with the polynomials of the network, and return them."""
        plan = self.plan
        pack_direct(plan.k, plan.dtype).call(self._storage, plan.grids, _workspace(plan).scratch, edges)
        return edges

    def _predict(self, edges: FloatArray, x: FloatArray) -> FloatArray:
        """Return the outputs at x by packed edges."""
        plan = self.plan
        predict = predict_direct(plan.k, plan.dtype)
        y = np.empty((len(x), plan.width[-1]), plan.dtype)
        parts = _parts(len(x), plan, _PREDICTION_WORK // plan.dtype.itemsize)

        def task(part: int) -> None:
            rows = parts[part]
            predict.call(x[rows], plan.grids, edges, _workspace(plan).scratch, y[rows])

        run_tasks(task, len(parts))
        return y

    def loss(self, x: FloatArray, goal: Targets) -> float:
        """Return the loss: the same bits as :meth:`loss_and_grad` returns."""
        kernel, y, compared = loss_direct(goal.loss, self.plan.dtype), self.predict(x), goal.for_kernel()
        n_out, outputs = y.shape[1], y.reshape(-1)

        def fill(part: slice, _: FloatArray) -> float:
            with thread_array("outputs", BLOCK * n_out, self.plan.dtype) as y_bar:
                return float(kernel.call(outputs, part.start, part.stop, compared, n_out, y_bar))

        return self._sum(len(x), fill, np.empty(0, self.plan.dtype)) / goal.total

    def loss_and_grad(self, x: FloatArray, goal: Targets) -> tuple[float, FloatArray]:
        """Return the loss and its gradient by the parameters."""
        plan, space, compared = self.plan, _workspace(self.plan), goal.for_kernel()
        kernel, grad = gradient_direct(plan.k, plan.dtype, goal.loss), np.empty(plan.n_params, plan.dtype)
        edges = self._pack(space.edges)

        def fill(part: slice, grads: FloatArray) -> float:
            scratch = _workspace(plan).scratch
            return float(kernel.call(x, part.start, part.stop, compared, plan.grids, edges, scratch, grads))

        grads = space.grads
        loss = self._sum(len(x), fill, grads)
        unpack_direct(plan.dtype).call(grads, self._storage, plan.grids.layers, grad)
        return loss / goal.total, grad

    def _sum(self, n: int, fill: Callable[[slice, FloatArray], float], total: FloatArray) -> float:
        """Return the sum of what `fill` returns for parts of n samples, and fill `total` with that of their gradients.

        The parts, and the order of the sums, depend on n alone: the number of threads changes no bit.
        """
        if n <= BLOCK:  # one part, whatever its work; a call of one row takes little longer than this sum
            return fill(slice(0, n), total)
        parts = _parts(n, self.plan, max(_GRADIENT_WORK, _WORK_PER_NUMBER * self.plan.sizes.grads), _MAX_SUMMED_SAMPLES)
        if len(parts) == 1:
            return fill(parts[0], total)
        n_sums = min(len(parts), _MAX_PARTIAL_SUMS)
        losses = np.zeros(n_sums)
        with thread_array("sums", 2 * n_sums * total.size, total.dtype) as memory:
            sums, addends = memory.reshape(2, n_sums, total.size)

            def task(index: int) -> None:
                sums[index] = 0
                for part in parts[index::n_sums]:
                    losses[index] += fill(part, addends[index])
                    sums[index] += addends[index]

            run_tasks(task, n_sums)
            sums.sum(axis=0, out=total)
        return float(sum(losses.tolist()))
