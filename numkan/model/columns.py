"""A small network on grids of few pieces, in column form: predictions and gradients in one call each."""

from __future__ import annotations

import threading
import weakref
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan._lanes import index_dtype
from numkan._threads import run_tasks
from numkan.layer.column_pack import pack_kernel
from numkan.layer.columns import BLOCK
from numkan.layer.work import aligned_empty
from numkan.model.column_kernels import (
    ADD,
    PACK,
    UNPACK,
    gradient_columns,
    gradient_single_sample,
    predict_columns,
    predict_single_sample,
)
from numkan.model.column_plan import ColumnPlan, Sizes
from numkan.model.frozen import Predictor
from numkan.model.losses import Targets

__all__ = ["Columns"]

#: About so many multiply-adds go into one call of a kernel: a tenth of a millisecond or more, worth a thread's while.
#: A prediction's number is divided by the bytes of a number: two of float32 take as long as one of float64.
_PREDICTION_WORK, _GRADIENT_WORK = 24_000_000, 3_000_000

#: A gradient is summed in at most so many lots; each needs memory for a gradient of its own.
_MOST_LOTS = 16

_local = threading.local()


class _Workspace(NamedTuple):
    """Memory of one thread for networks of one dtype."""

    sizes: Sizes
    scratch: tuple[Any, Any]  # columns of numbers and of pieces, see `layer/columns.py`
    whole: tuple[Any, Any, Any, Any]  # and memory for edges and gradients, of a network that is packed for one call


def _workspace(plan: ColumnPlan) -> _Workspace:
    """Return this thread's memory, large enough for a plan."""
    last: tuple[weakref.ref[ColumnPlan], _Workspace] | None = getattr(_local, "last", None)
    if last is not None and last[0]() is plan:
        return last[1]
    spaces: dict[Any, _Workspace] | None = getattr(_local, "spaces", None)
    if spaces is None:
        spaces = _local.spaces = {}
    space = spaces.get(plan.dtype)
    if space is None or not plan.sizes.fit(space.sizes):
        sizes = plan.sizes if space is None else Sizes(*map(max, plan.sizes, space.sizes))
        work, edges, grads = (aligned_empty(size, plan.dtype) for size in (sizes.work, sizes.edges, sizes.grads))
        work[:] = 0
        index = np.zeros(sizes.pieces, index_dtype(plan.dtype))
        space = spaces[plan.dtype] = _Workspace(sizes, (work, index), (work, index, edges, grads))
    _local.last = weakref.ref(plan), space
    return space


def _parts(n: int, plan: ColumnPlan, work: int) -> list[slice]:
    """Cut n samples into runs of whole blocks, of about that much work each; the last may be shorter."""
    number = round(n * plan.sample_work / work)
    if number < 2:
        return [slice(0, n)]
    size = -(-n // (number * BLOCK)) * BLOCK
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]


class Columns:
    """A network in column form; `numbers` is what it is packed from: parameters, then what is not trained."""

    def __init__(self, plan: ColumnPlan, numbers: FloatArray) -> None:
        self.plan = plan
        self._numbers = numbers
        self._where = plan.tables, plan.firsts, plan.places, plan.trained, plan.offsets

    def predictor(self) -> Predictor:
        """Return the function of canonical samples that the network is with its numbers of this moment."""
        still = Columns(self.plan, self._numbers.copy())
        return partial(still.predict, packed=still._pack())

    def predict(self, x: FloatArray, packed: FloatArray | None = None) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in); packed: the network's edges, if they have been packed."""
        plan = self.plan
        if len(x) != 1:
            return _predict(plan, self._pack() if packed is None else packed, x)
        y = np.empty((1, plan.width[-1]), plan.dtype)
        kernel = predict_single_sample(plan.k, plan.dtype, plan.entries)  # the same bits, and nothing packed
        kernel(x, self._numbers, plan.tables, plan.firsts, plan.places, plan.offsets, *_workspace(plan).scratch, y)
        return y

    def _pack(self) -> FloatArray:
        """Return the edges of the network, packed."""
        plan = self.plan
        packed: FloatArray = aligned_empty(plan.sizes.edges, plan.dtype)
        pack = pack_kernel(plan.k, plan.dtype, plan.entries)
        pack(self._numbers, plan.tables, plan.firsts, plan.places, _workspace(plan).scratch[0], packed)
        return packed

    def loss(self, x: FloatArray, goal: Targets) -> float:
        """Return the loss, the very number that :meth:`loss_and_grad` returns."""
        return self._differentiate(x, goal, np.empty(0, self.plan.dtype), 0)

    def loss_and_grad(self, x: FloatArray, goal: Targets) -> tuple[float, FloatArray]:
        """Return the loss and its gradient by the parameters."""
        grad = np.empty(self.plan.n_params, self.plan.dtype)
        return self._differentiate(x, goal, grad, ADD), grad

    def _differentiate(self, x: FloatArray, goal: Targets, grad: FloatArray, add: int) -> float:
        """Return the loss and, with ADD, fill grad."""
        if len(x) != 1:
            return self._blocks(x, goal, grad, add)
        plan = self.plan
        kernel = gradient_single_sample(plan.k, plan.dtype, plan.entries)  # what `_blocks` gives, bit for bit
        work, index, edges, _ = _workspace(plan).whole
        return float(kernel(add != 0, x, *self._given(goal), work, index, edges, grad)) / goal.total

    def _given(self, goal: Targets) -> tuple[Any, ...]:
        """Return a loss, the network's numbers and its plan as kernels of gradients take them."""
        scale = self.plan.dtype.type(goal.scale)
        return goal.kind, goal.y.reshape(-1), goal.label, goal.weight, scale, self._numbers, *self._where

    def _blocks(self, x: FloatArray, goal: Targets, grad: FloatArray, add: int) -> float:
        """Do it for any number of samples."""
        plan, n, given = self.plan, len(x), self._given(goal)
        kernel = gradient_columns(plan.k, plan.dtype, plan.entries)
        parts, unpack = _parts(n, plan, _GRADIENT_WORK), UNPACK if add else 0
        if len(parts) == 1:
            space = _workspace(plan).whole
            return float(kernel(PACK | add | unpack, x, 0, n, *given, *space, grad)) / goal.total
        n_lots = min(len(parts), _MOST_LOTS)
        losses, sums = np.zeros(n_lots), np.zeros((n_lots, plan.sizes.grads if add else 0), plan.dtype)
        edges = aligned_empty(plan.sizes.edges, plan.dtype)
        kernel(PACK, x, 0, 0, *given, *_workspace(plan).scratch, edges, sums[0], grad)

        def task(lot: int) -> None:
            scratch = _workspace(plan).scratch
            # a lot is every n_lots-th part, in order; how many there are depends on n alone
            for part in parts[lot::n_lots]:
                losses[lot] += kernel(add, x, part.start, part.stop, *given, *scratch, edges, sums[lot], grad)

        run_tasks(task, n_lots)
        total, loss = sums[0], float(losses[0])
        for lot in range(1, n_lots):
            total += sums[lot]
            loss += float(losses[lot])
        if add:
            kernel(UNPACK, x, 0, 0, *given, *_workspace(plan).scratch, edges, total, grad)
        return loss / goal.total


def _predict(plan: ColumnPlan, packed: FloatArray, x: FloatArray) -> FloatArray:
    """Return the outputs (n, n_out) at x (n, n_in) of a network that has been packed."""
    y = np.empty((len(x), plan.width[-1]), plan.dtype)
    kernel = predict_columns(plan.k, plan.dtype, plan.entries)
    parts = _parts(len(x), plan, _PREDICTION_WORK // plan.dtype.itemsize)
    where = plan.tables, packed, plan.places, plan.offsets
    if len(parts) == 1:
        kernel(x, *where, *_workspace(plan).scratch, y)
        return y

    def task(index: int) -> None:
        rows = parts[index]
        kernel(x[rows], *where, *_workspace(plan).scratch, y[rows])

    run_tasks(task, len(parts))
    return y
