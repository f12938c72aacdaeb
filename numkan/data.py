"""Samples that need not fit into memory: arrays, memory maps, and files of NumPy or of parquet, read in blocks of rows.

Blocks have a fixed number of rows, whatever parts the rows are stored in. What is summed over them has the same bits
for the same rows in the same order, divided in any way into files, row groups or arrays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import numpy as np

from numkan._check import is_list
from numkan._shown import shown

__all__ = ["Rows"]

#: Rows of a block.
BLOCK = 16384


class Rows:
    """Samples in an order, for :meth:`numkan.KAN.fit`, which reads them again in every step and keeps a block of them.

    Parameters
    ----------
    x : ndarray, or path, or sequence of paths
        Inputs (n, n_in): an array or a memory map; or files of NumPy (``.npy``), one below the other; or files of
        parquet (``.parquet``, which needs pyarrow: ``pip install "numkan[parquet]"``) with inputs and targets.
    y : ndarray, or path, or sequence of paths, optional
        Targets (n, n_out) or (n,), in the same form; not with parquet.
    target : str or sequence of str, optional
        The columns of parquet files that are targets. All others are inputs, in the order of the first file.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said, or the numbers of rows differ.
    OSError
        If a file cannot be read.
    ImportError
        If files of parquet are given without pyarrow.

    Notes
    -----
    Files are opened for each block and not held open, so rows pickle as their paths. They must not change during a fit.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> import numpy as np
    >>> from numkan.data import Rows
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [os.path.join(folder, name) for name in ("x0.npy", "x1.npy", "y.npy")]
    ...     for path, values in zip(paths, [np.ones((2, 3)), np.zeros((4, 3)), np.arange(6.0)]):
    ...         np.save(path, values)
    ...     rows = Rows(paths[:2], paths[2])
    ...     len(rows), [block.x.shape for block in rows.blocks()]
    (6, [(6, 3)])
    """

    def __init__(self, x: Any, y: Any = None, *, target: str | Sequence[str] | None = None) -> None:
        paths = _paths("x", x)
        if paths is not None and all(path.endswith(".parquet") for path in paths):
            if y is not None or target is None:
                raise TypeError("Argument `target` must name the columns of the targets for parquet, and `y` be None.")
            names = [target] if isinstance(target, str) else list(target)
            inputs, targets = _columns(paths, names)
            self._x = [_parquet(path, inputs) for path in paths]
            self._y = [_parquet(path, targets) for path in paths]
        else:
            if target is not None:
                raise TypeError(
                    f"Argument `target` must be None for rows that are not of parquet, not {shown(target)}."
                )
            self._x, self._y = _parts("x", x, paths), _parts("y", y, _paths("y", y))
        self._length, targets_length = (sum(part.length for part in parts) for parts in (self._x, self._y))
        if self._length != targets_length:
            raise ValueError(f"Argument `y` must have as many rows as `x`, {self._length}, not {targets_length}.")

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"<Rows: {self._length} samples>"

    def blocks(self, size: int | None = None) -> Iterator[Block]:
        """Yield the samples in blocks of `size` rows, 16,384 by default; the last one is shorter."""
        size = BLOCK if size is None else size
        for x, y in zip(recut(_read(self._x, size), size), recut(_read(self._y, size), size), strict=True):
            yield Block(x, y)

    def _block(self, number: int) -> Block:
        """Return one of the blocks, by its place among them, without reading others."""
        begin = number * BLOCK
        return Block(*(_between(parts, begin, begin + BLOCK) for parts in (self._x, self._y)))


class Block(NamedTuple):
    """Some rows that follow each other."""

    x: Any
    y: Any


class _Reader(Protocol):
    """Reads rows that are stored together."""

    def __call__(self, size: int) -> Iterator[Any]:
        """Yield all of them, at most `size` at a time."""

    def between(self, begin: int, end: int) -> Any:
        """Return some of them."""


class _Part(NamedTuple):
    """Rows that are stored together: how many, and how they are read."""

    length: int
    read: _Reader


def _paths(name: str, given: Any) -> list[str] | None:
    """Return paths as a list of str, or None for an array."""
    if isinstance(given, str | os.PathLike):
        given = [given]
    if not is_list(given) or isinstance(given, np.ndarray):
        return None
    if not given or not all(isinstance(path, str | os.PathLike) for path in given):
        raise TypeError(f"Argument `{name}` must be an array, a path or a list of paths, not {shown(given)}.")
    return [os.fspath(path) for path in given]


def _parts(name: str, given: Any, paths: list[str] | None) -> list[_Part]:
    """Return the parts of an array or of files of NumPy."""
    if paths is None:
        if not isinstance(given, np.ndarray) or given.ndim not in (1, 2):
            what = f"shape {given.shape}" if isinstance(given, np.ndarray) else shown(given)
            raise TypeError(f"Argument `{name}` must be an array (n, ...) or paths, not {what}.")
        return [_Part(len(given), _Array(given))]
    for path in paths:
        if not path.endswith(".npy"):
            raise ValueError(f"Argument `{name}` must have paths that end in .npy or .parquet, not {shown(path)}.")
    return [_Part(len(np.load(path, mmap_mode="r")), _Npy(path)) for path in paths]


class _Array:
    """Reads an array."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __call__(self, size: int) -> Iterator[Any]:
        for begin in range(0, len(self._array), size):
            yield self._array[begin : begin + size]

    def between(self, begin: int, end: int) -> Any:
        return self._array[begin:end]


class _Npy:
    """Reads a file of NumPy, which is mapped for one piece at a time: mapped memory counts as the process's own."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, size: int) -> Iterator[Any]:
        begin, length = 0, 1
        while begin < length:
            mapped = np.load(self._path, mmap_mode="r")
            length = len(mapped)
            yield np.array(mapped[begin : begin + size])
            begin += size

    def between(self, begin: int, end: int) -> Any:
        return np.array(np.load(self._path, mmap_mode="r")[begin:end])


class _Parquet:
    """Reads some columns of a file of parquet."""

    def __init__(self, path: str, columns: list[str]) -> None:
        self._path, self._columns = path, columns

    def __call__(self, size: int) -> Iterator[Any]:
        with _parquet_file(self._path) as file:
            for batch in file.iter_batches(size, columns=self._columns, use_threads=False):
                yield self._numbers(batch)

    def between(self, begin: int, end: int) -> Any:
        with _parquet_file(self._path) as file:
            lengths = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            ends = list(accumulate(lengths))
            groups = [g for g, last in enumerate(ends) if last > begin and last - lengths[g] < end]
            at, found = ends[groups[0]] - lengths[groups[0]], []
            for batch in file.iter_batches(BLOCK, row_groups=groups, columns=self._columns, use_threads=False):
                low, high = max(begin - at, 0), min(end - at, len(batch))
                if low < high:
                    found.append(self._numbers(batch.slice(low, high - low)))
                at += len(batch)
        return np.concatenate(found)

    def _numbers(self, batch: Any) -> Any:
        return np.stack([batch.column(c).to_numpy(zero_copy_only=False) for c in self._columns], axis=1)


def _parquet_file(path: str) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ImportError("Rows of parquet need pyarrow: pip install numkan[parquet].") from None
    return parquet.ParquetFile(path)


def _columns(paths: list[str], targets: list[str]) -> tuple[list[str], list[str]]:
    """Return the columns of inputs and targets; every file must have all of them."""
    inputs: list[str] = []
    for path in paths:
        with _parquet_file(path) as file:
            names = list(file.schema_arrow.names)
        inputs = inputs or [name for name in names if name not in targets]
        missing = [name for name in [*targets, *inputs] if name not in names]
        if missing:
            raise ValueError(f"Argument `x` must be files that have a column {missing[0]!r}, unlike {shown(path)}.")
    return inputs, targets


def _parquet(path: str, columns: list[str]) -> _Part:
    with _parquet_file(path) as file:
        return _Part(file.metadata.num_rows, _Parquet(path, columns))


def _read(parts: list[_Part], size: int) -> Iterator[Any]:
    for part in parts:
        yield from part.read(size)


def _between(parts: list[_Part], begin: int, end: int) -> Any:
    """Return rows of all parts together."""
    found, at = [], 0
    for part in parts:
        low, high = max(begin - at, 0), min(end - at, part.length)
        if low < high:
            found.append(part.read.between(low, high))
        at += part.length
    return np.concatenate(found) if len(found) > 1 else found[0]


def recut(pieces: Iterator[Any], size: int) -> Iterator[Any]:
    """Yield the rows of pieces of any lengths in blocks of `size`, the last one shorter."""
    waiting: list[Any] = []
    room = size
    for piece in pieces:
        while len(piece):
            some, piece = piece[:room], piece[room:]
            waiting.append(some)
            room -= len(some)
            if room == 0:
                yield waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                waiting, room = [], size
    if waiting:
        yield np.concatenate(waiting)
