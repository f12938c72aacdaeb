"""A small network on grids of few pieces: packed in column form, for predictions and gradients in one call each."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan._lanes import index_dtype
from numkan._threads import run_tasks
from numkan.layer.column_pack import pack_kernel, unpack_columns
from numkan.layer.columns import BLOCK, group
from numkan.layer.work import aligned_empty
from numkan.model.column_kernels import gradient_columns, predict_columns
from numkan.model.column_plan import ColumnPlan
from numkan.model.losses import Targets

__all__ = ["Columns"]

#: About so many multiply-adds go into one call of a kernel: some tenths of a millisecond, worth a thread's while.
_PREDICTION_WORK, _GRADIENT_WORK = 12_000_000, 3_000_000

#: What an input of a sample costs beside its edges, in multiply-adds.
_INPUT_WORK = 32

#: A gradient is summed in at most so many lots; each needs memory for a gradient of its own.
_MOST_LOTS = 16

_local = threading.local()


def _workspace(plan: ColumnPlan) -> tuple[Any, Any]:
    """Return this thread's scratch memory, large enough for a plan."""
    spaces: dict[Any, tuple[Any, Any]] | None = getattr(_local, "spaces", None)
    if spaces is None:
        spaces = _local.spaces = {}
    space = spaces.get(plan.dtype)
    have = (0, 0) if space is None else (space[0].size, space[1].size)
    if space is None or have[0] < plan.n_work or have[1] < plan.n_index:
        work = aligned_empty(max(have[0], plan.n_work), plan.dtype)
        work[:] = 0
        space = spaces[plan.dtype] = work, np.zeros(max(have[1], plan.n_index), index_dtype(plan.dtype))
    return space


def _parts(n: int, plan: ColumnPlan, work: int) -> list[slice]:
    """Cut n samples into runs of whole blocks, of about that much work each; the last may be shorter."""
    per_sample = sum(n_in * (_INPUT_WORK + (plan.k + 2) * n_out) for n_in, n_out in pairwise(plan.width))
    number = max(1, round(n * per_sample / work))
    size = -(-n // (number * BLOCK)) * BLOCK
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size or BLOCK)]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A network packed in column form; `numbers` is what it was packed from: parameters, then what is not trained."""

    plan: ColumnPlan
    packed: Any
    numbers: FloatArray

    @classmethod
    def pack(cls, plan: ColumnPlan, numbers: FloatArray) -> Columns:
        """Pack the network that has these numbers."""
        packed = aligned_empty(plan.n_packed, plan.dtype)
        kernel = pack_kernel(plan.k, plan.dtype, plan.entries)
        kernel(numbers, plan.tables, plan.firsts, plan.places, _workspace(plan)[0], packed)
        return cls(plan, packed, numbers)

    def forward(self, x: FloatArray) -> FloatArray:
        """Return the outputs (n, n_out) at x (n, n_in)."""
        plan = self.plan
        y = np.empty((len(x), plan.width[-1]), plan.dtype)
        kernel = predict_columns(plan.k, plan.dtype, plan.entries)
        parts = _parts(len(x), plan, _PREDICTION_WORK)

        def task(index: int) -> None:
            rows = parts[index]
            kernel(x[rows], plan.tables, self.packed, plan.places, plan.offsets, *_workspace(plan), y[rows])

        run_tasks(task, len(parts))
        return y

    def loss(self, x: FloatArray, goal: Targets) -> float:
        """Return the loss, the very number that :meth:`loss_and_grad` returns."""
        return self._differentiate(x, goal, False)[0]

    def loss_and_grad(self, x: FloatArray, goal: Targets) -> tuple[float, FloatArray]:
        """Return the loss and its gradient by the parameters."""
        plan = self.plan
        loss, packed = self._differentiate(x, goal, True)
        grad = np.empty(plan.n_params, plan.dtype)
        unpack_columns(packed, self.numbers, plan.places, plan.trained, group(plan.dtype), grad)
        return loss, grad

    def _differentiate(self, x: FloatArray, goal: Targets, gradient: bool) -> tuple[float, FloatArray]:
        """Return the loss and, if wanted, its gradient by the packed edges."""
        plan = self.plan
        kernel = gradient_columns(plan.k, plan.dtype, plan.entries)
        parts = _parts(len(x), plan, _GRADIENT_WORK)
        n_lots = min(len(parts), _MOST_LOTS)
        losses, sums = np.zeros(n_lots), np.zeros((n_lots, plan.n_grads * gradient), plan.dtype)
        flat = (goal.kind, goal.y.reshape(-1), goal.label, goal.weight, plan.dtype.type(goal.scale))

        where = plan.tables, self.packed, plan.places, plan.offsets

        def task(lot: int) -> None:
            scratch = _workspace(plan)
            # a lot is every 16th part: they are in order, and their number depends on n alone
            for part in parts[lot::n_lots]:
                losses[lot] += kernel(x, flat, part.start, part.stop, *where, *scratch, gradient, sums[lot])

        run_tasks(task, n_lots)
        total, loss = sums[0], float(losses[0])
        for lot in range(1, n_lots):
            total += sums[lot]
            loss += float(losses[lot])
        return loss / goal.total, total
