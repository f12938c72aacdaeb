"""Passes over rows in blocks: by the threads of this process, or by the workers of dask.

Both add the sums of the blocks in the same tree (:mod:`numkan.model.row_squares`), so they give the same bits.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

import numkan.data as data
from numkan._blas import one_blas_thread
from numkan._shown import shown
from numkan._threads import one_thread
from numkan.data import Rows
from numkan.model.row_squares import tree_sum
from numkan.train.pieces import Piece, pieces_of, rows_of_piece

__all__ = ["DaskPasses", "Passes", "RowPasses", "is_of_dask"]

#: The first sums of a pass are of at most this many tasks, each of which costs dask's scheduler about a millisecond; so
#: a task sums up to the second number of blocks where the third number of tasks is left, enough for many workers.
_MOST_TASKS, _BLOCKS, _ENOUGH = 1024, 4, 8

#: A task adds this many sums, a power of two: they are a branch of the tree too.
_ADDED = 4

_SCATTERED = (
    "Argument `{}` has rows that were sent by `client.scatter`, which dask cannot load again if a worker is lost. "
    "Let workers load them: `dask.array.from_delayed`, say."
)


class Passes(Protocol):
    """Rows that each pass reads."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def each(self, look: Callable[[Any, Any, int], Any]) -> list[Any]:
        """Return what `look` finds in each block (x, y), whose first row has a number."""

    def sum(self, part: Callable[[Any, Any], Any], add: Callable[[Any, Any], Any]) -> Any:
        """Return the sum of ``part(x, y)`` over the blocks."""


class RowPasses:
    """Passes of this process."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def each(self, look: Callable[[Any, Any, int], Any]) -> list[Any]:
        """Look at the blocks in their order."""
        found, at = [], 0
        for x, y in self.rows.blocks():
            found.append(look(x, y, at))
            at += len(x)
        return found

    def sum(self, part: Callable[[Any, Any], Any], add: Callable[[Any, Any], Any]) -> Any:
        """Let threads take a block each."""
        return tree_sum(self.rows.blocks(), lambda block: part(*block), add)


def is_of_dask(values: Any) -> bool:
    """Whether values are a collection of dask; dask is not imported for that."""
    return type(values).__module__.partition(".")[0] in ("dask", "dask_expr")


class DaskPasses:
    """Passes of dask's workers, or of its scheduler in this process: blocks stay on their workers, which send sums."""

    def __init__(self, x: Any, y: Any) -> None:
        if not is_of_dask(y):
            raise TypeError(f"Argument `y` must be a collection of dask as `x` is, not {shown(y)}.")
        for name, values in (("x", x), ("y", y)):
            if _were_scattered(values):
                warnings.warn(_SCATTERED.format(name), UserWarning, stacklevel=7)  # where `fit` is called
        x, y = _as_array("x", x), _as_array("y", y)
        self._length = int(x.shape[0])
        if y.shape[0] != self._length:
            raise ValueError(f"Argument `y` must have as many rows as `x`, {self._length}, not {y.shape[0]}.")
        self._of_a_task = data.BLOCK * _blocks_of_a_task(self._length)
        self._pieces = list(zip(*(pieces_of(values, self._of_a_task) for values in (x, y)), strict=True))

    def __len__(self) -> int:
        return self._length

    def each(self, look: Callable[[Any, Any, int], Any]) -> list[Any]:
        """Let workers look at the blocks."""
        import dask

        call, places = _delayed(_Each(look, data.BLOCK)), range(0, self._length, self._of_a_task)
        found = dask.compute(*[_call(call, *pair, at) for pair, at in zip(self._pieces, places, strict=True)])
        return [one for some in found for one in some]

    def sum(self, part: Callable[[Any, Any], Any], add: Callable[[Any, Any], Any]) -> Any:
        """Let workers sum the blocks, and add sums of neighbours until one is left."""
        from dask import delayed

        call, plus = _delayed(_Sum(part, add, data.BLOCK)), delayed(_added, pure=False)
        nodes = [_call(call, *pair) for pair in self._pieces]
        while len(nodes) > 1:
            groups = [nodes[place : place + _ADDED] for place in range(0, len(nodes), _ADDED)]
            nodes = [plus(add, *group) if len(group) > 1 else group[0] for group in groups]
        return nodes[0].compute()


def _blocks_of_a_task(length: int) -> int:
    """Return how many blocks of `length` rows a task sums, a power of two: they are a branch of the tree of blocks."""
    number, blocks = 1, -(-length // data.BLOCK)
    while blocks > number * _MOST_TASKS or (2 * number <= _BLOCKS and blocks >= 2 * number * _ENOUGH):
        number *= 2
    return number


def _cut(x: Any, y: Any, size: int) -> Iterator[tuple[Any, Any, int]]:
    """Yield the blocks of a piece, with the number of their first row."""
    for begin in range(0, len(x), size):
        yield x[begin : begin + size], y[begin : begin + size], begin


@dataclass(frozen=True, eq=False)
class _Each:
    """Looks at the blocks of a piece."""

    look: Callable[[Any, Any, int], Any]
    size: int  # of a block

    def __call__(self, x: Any, y: Any, at: int) -> list[Any]:
        return [self.look(block_x, block_y, at + begin) for block_x, block_y, begin in _cut(x, y, self.size)]


@dataclass(frozen=True, eq=False)
class _Sum:
    """Sums the blocks of a piece."""

    part: Callable[[Any, Any], Any]
    add: Callable[[Any, Any], Any]
    size: int

    def __call__(self, x: Any, y: Any) -> Any:
        return tree_sum(_cut(x, y, self.size), lambda block: self.part(*block[:2]), self.add)


def _were_scattered(values: Any) -> bool:
    """Whether a collection has data that no task of the scheduler makes."""
    distributed = sys.modules.get("distributed")
    futures = distributed.futures_of(values) if distributed else []

    def without_task(dask_scheduler: Any, keys: list[Any]) -> bool:  # goes to the scheduler, which may have no numkan
        tasks = [dask_scheduler.tasks.get(key) for key in keys]
        return any(task is not None and task.run_spec is None for task in tasks)

    return bool(futures and futures[0].client.run_on_scheduler(without_task, keys=[one.key for one in futures]))


def _added(add: Callable[[Any, Any], Any], *values: Any) -> Any:
    """Add pairs of neighbours, then pairs of pairs, and so on."""
    while len(values) > 1:
        pairs = (values[place : place + 2] for place in range(0, len(values), 2))
        values = tuple(add(*pair) if len(pair) > 1 else pair[0] for pair in pairs)
    return values[0]


def _as_array(name: str, values: Any) -> Any:
    """Return a collection of dask as an array whose lengths are known; they are counted if need be."""
    from dask.delayed import Delayed

    is_delayed = isinstance(values, Delayed)  # which has any attribute
    if not is_delayed and hasattr(values, "to_dask_array"):
        return values.to_dask_array(lengths=True)
    if is_delayed or not hasattr(values, "rechunk") or values.ndim not in (1, 2):
        raise TypeError(f"Argument `{name}` must be an array (n, ...) or a data frame of dask, not {shown(values)}.")
    return values.compute_chunk_sizes() if np.isnan(values.shape[0]) else values


def _delayed(function: Any) -> Any:
    """Send a function to the workers once, as it is."""
    from dask import delayed

    return delayed(function, pure=False, traverse=False)


def _call(function: Any, x: Piece, y: Piece, *arguments: Any) -> Any:
    from dask import delayed

    return delayed(_alone, pure=False)(function, x.chunks, x.skip, y.chunks, y.skip, x.length, *arguments)


def _alone(
    function: Callable[..., Any], x: list[Any], x_skip: int, y: list[Any], y_skip: int, length: int, *arguments: Any
) -> Any:
    """Call a function of rows in a worker, on one thread."""
    with one_thread(), one_blas_thread(), np.errstate(all="ignore"):  # values that are not finite are checked for
        return function(rows_of_piece(x, x_skip, length), rows_of_piece(y, y_skip, length), *arguments)
