"""A small network whose edges are merged into polynomials: predictions and gradients in one call each."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._threads import run_tasks
from numkan.layer.column_pack import pack_kernel
from numkan.layer.direct_pack import pack_direct
from numkan.layer.work import aligned_empty, borrowed
from numkan.model.blocks import Predictor
from numkan.model.column_kernels import gradient_columns, predict_columns
from numkan.model.direct_kernels import gradient_direct, predict_direct
from numkan.model.losses import Targets
from numkan.model.merged_plan import MergedPlan, Sizes
from numkan.model.single_kernels import gradient_single_sample, predict_single_sample
from numkan.model.steps import PACK, UNPACK

__all__ = ["Merged"]

#: About so many multiply-adds go into one call of a kernel: a tenth of a millisecond or more, worth a thread's while.
#: A prediction's number is divided by the bytes of a number: two of float32 take as long as one of float64.
_PREDICTION_WORK, _GRADIENT_WORK = 24_000_000, 3_000_000

#: A gradient is summed in at most so many lots; each needs memory for a gradient of its own, which has to be worth it:
#: so many multiply-adds for every number.
_MOST_LOTS, _LOT_WORK = 16, 64

#: Sums over more samples would be chains in which float32 forgets what is small: theirs are added up.
_LONGEST_CHAIN = 8192

_local = threading.local()


class _Workspace(NamedTuple):
    """Memory of one thread for networks of one dtype, with numbers of pieces of one dtype."""

    sizes: Sizes
    scratch: tuple[Any, Any]  # numbers and pieces, see `layer/places.py`
    whole: tuple[Any, Any, Any, Any]  # and memory for edges and gradients, of a network that is packed for one call


def _workspace(plan: MergedPlan) -> _Workspace:
    """Return this thread's memory, large enough for a plan."""
    last: tuple[weakref.ref[MergedPlan], _Workspace] | None = getattr(_local, "last", None)
    if last is not None and last[0]() is plan:
        return last[1]
    spaces: dict[Any, _Workspace] | None = getattr(_local, "spaces", None)
    if spaces is None:
        spaces = _local.spaces = {}
    key = plan.dtype, plan.index_dtype
    space = spaces.get(key)
    if space is None or not plan.sizes.fit(space.sizes):
        sizes = plan.sizes if space is None else Sizes(*map(max, plan.sizes, space.sizes))
        work, edges, grads = (aligned_empty(size, plan.dtype) for size in (sizes.work, sizes.edges, sizes.grads))
        work[:] = 0
        index = np.zeros(sizes.pieces, plan.index_dtype)
        space = spaces[key] = _Workspace(sizes, (work, index), (work, index, edges, grads))
    _local.last = weakref.ref(plan), space
    return space


def _parts(n: int, plan: MergedPlan, work: int, longest: int | None = None) -> list[slice]:
    """Cut n samples into runs of whole blocks, of about that much work each and, if that is given, not longer."""
    number = max(round(n * plan.sample_work / work), -(-n // longest) if longest else 0)
    if number < 2:
        return [slice(0, n)]
    number += number % 2  # which threads share evenly, most of the time
    size = -(-n // (number * plan.block)) * plan.block
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]


class _Kernels(NamedTuple):
    """What makes the kernels of a form, by degree, dtype and entries (which are 0 in direct form)."""

    pack: Callable[..., Any]
    predict: Callable[..., Any]
    gradient: Callable[..., Any]


_COLUMNS = _Kernels(pack_kernel, predict_columns, gradient_columns)
_DIRECT = _Kernels(pack_direct, predict_direct, gradient_direct)


class Merged:
    """A network in merged form; `numbers` is what it is packed from: parameters, then what is not trained."""

    def __init__(self, plan: MergedPlan, numbers: FloatArray) -> None:
        self.plan = plan
        self._kernels = _COLUMNS if plan.entries else _DIRECT
        self._key = plan.k, plan.dtype, plan.entries
        self._numbers = numbers
        self._network = numbers, plan.tables, plan.firsts, plan.places, plan.trained, plan.offsets

    def predictor(self) -> Predictor:
        """Return the function of canonical samples that the network is with its numbers of this moment."""
        still = Merged(self.plan, self._numbers.copy())
        edges: FloatArray = aligned_empty(self.plan.sizes.edges, self.plan.dtype)
        return partial(still.predict, packed=still._pack(edges))

    def predict(self, x: FloatArray, packed: FloatArray | None = None) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in); packed: the network's edges, if they have been packed."""
        plan = self.plan
        if len(x) != 1:
            if packed is not None:
                return self._predict(packed, x)
            with borrowed("edges", plan.sizes.edges, plan.dtype) as edges:
                return self._predict(self._pack(edges), x)
        y = np.empty((1, plan.width[-1]), plan.dtype)
        kernel = predict_single_sample(*self._key)  # the same bits, and nothing packed
        kernel(x, self._numbers, plan.tables, plan.firsts, plan.places, plan.offsets, *_workspace(plan).scratch, y)
        return y

    def _predict(self, packed: FloatArray, x: FloatArray) -> FloatArray:
        """Return the outputs at x by packed edges."""
        plan = self.plan
        y = np.empty((len(x), plan.width[-1]), plan.dtype)
        kernel = self._kernels.predict(*self._key)
        parts = _parts(len(x), plan, _PREDICTION_WORK // plan.dtype.itemsize)
        where = plan.tables, plan.firsts, packed, plan.places, plan.offsets
        if len(parts) == 1:
            kernel(x, *where, *_workspace(plan).scratch, y)
            return y

        def task(index: int) -> None:
            rows = parts[index]
            kernel(x[rows], *where, *_workspace(plan).scratch, y[rows])

        run_tasks(task, len(parts))
        return y

    def _pack(self, edges: FloatArray) -> FloatArray:
        """Pack the edges of the network, and return them."""
        plan = self.plan
        pack, work = self._kernels.pack(*self._key), _workspace(plan).scratch[0]
        pack(self._numbers, plan.tables, plan.firsts, plan.places, plan.offsets, work, edges)
        return edges

    def loss(self, x: FloatArray, goal: Targets) -> float:
        """Return the loss, the very number that :meth:`loss_and_grad` returns."""
        return self._differentiate(x, goal, np.empty(0, self.plan.dtype), False)

    def loss_and_grad(self, x: FloatArray, goal: Targets) -> tuple[float, FloatArray]:
        """Return the loss and its gradient by the parameters."""
        grad = np.empty(self.plan.n_params, self.plan.dtype)
        return self._differentiate(x, goal, grad, True), grad

    def _differentiate(self, x: FloatArray, goal: Targets, grad: FloatArray, wanted: bool) -> float:
        """Return the loss and, if the gradient is wanted, fill grad."""
        if len(x) != 1:
            return self._blocks(x, goal, grad, wanted)
        plan = self.plan
        kernel = gradient_single_sample(*self._key, wanted)  # what `_blocks` gives, bit for bit
        work, index, edges, _ = _workspace(plan).whole
        return float(kernel(x, *self._given(goal), work, index, edges, grad)) / goal.total

    def _given(self, goal: Targets) -> tuple[Any, ...]:
        """Return a loss, the network's numbers and its plan as kernels of gradients take them."""
        return *goal.for_kernels(), *self._network

    def _blocks(self, x: FloatArray, goal: Targets, grad: FloatArray, wanted: bool) -> float:
        """Do it for any number of samples."""
        plan, n, given = self.plan, len(x), self._given(goal)
        kernel = self._kernels.gradient(*self._key, wanted)
        parts = _parts(n, plan, max(_GRADIENT_WORK, _LOT_WORK * plan.sizes.grads), _LONGEST_CHAIN)
        if len(parts) == 1:
            return float(kernel(PACK | UNPACK, x, 0, n, *given, *_workspace(plan).whole, grad)) / goal.total
        n_lots, size = min(len(parts), _MOST_LOTS), plan.sizes.grads if wanted else 0
        losses = np.zeros(n_lots)
        with (
            borrowed("lots", n_lots * size, plan.dtype) as memory,
            borrowed("edges", plan.sizes.edges, plan.dtype) as edges,
        ):
            sums = memory.reshape(n_lots, size)
            kernel(PACK, x, 0, 0, *given, *_workspace(plan).scratch, edges, memory, grad)

            def task(lot: int) -> None:
                work, index, _, memory = _workspace(plan).whole
                own = memory[:size]
                sums[lot] = 0
                # a lot is every n_lots-th part, in order; how many there are depends on n alone
                for part in parts[lot::n_lots]:
                    own[:] = 0
                    losses[lot] += kernel(0, x, part.start, part.stop, *given, work, index, edges, own, grad)
                    sums[lot] += own

            run_tasks(task, n_lots)
            if wanted:
                for lot in range(1, n_lots):
                    sums[0] += sums[lot]
                kernel(UNPACK, x, 0, 0, *given, *_workspace(plan).scratch, edges, sums[0], grad)
        return float(sum(losses.tolist())) / goal.total
