"""Tables in files: column names, and rows in blocks, so that no table has to fit into memory as text.

A column of a block is a list of texts (CSV), or a NumPy array of numbers, or a list of texts and None. What is a gap is
decided here: NaN, None, and the texts in ``_GAPS``.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from numkan._shown import shown
from numkan.cli.errors import CommandError

__all__ = ["BadCell", "Block", "Table", "as_numbers", "as_texts", "is_number", "open_table"]

#: Cells of a block.
_CELLS = 1 << 17

#: Texts that stand for no value, in lower case.
_GAPS = frozenset({"", "na", "n/a", "nan", "null", "none"})

_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Block:
    """Some rows of a table, by column."""

    begin: int  # number of the first row, from 0
    size: int
    columns: dict[str, Any]


class Table:
    """A table in a file. `blocks` begins at the first row each time; the standard input can be read once."""

    def __init__(self, path: str, names: list[str]) -> None:
        self.path, self.names = path, names

    def column(self, name: str) -> str:
        """Return the name of a column, or say which there are."""
        if name not in self.names:
            raise CommandError(f"{self.path} has no column {shown(name)}, only {_listed(self.names)}.")
        return name

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """Yield all rows of some columns."""
        raise NotImplementedError


def _listed(names: Sequence[str]) -> str:
    first = ", ".join(repr(name) for name in names[:10])
    return first if len(names) <= 10 else f"{first} and {len(names) - 10} more"


@contextmanager
def open_table(path: str) -> Iterator[Table]:
    """Open a table of the kind of the file's ending; without a known ending it is read as CSV."""
    ending = Path(path).suffix.lower()
    with ExitStack() as stack:
        if ending == ".npy":
            yield _Matrix(path)
        elif ending in (".parquet", ".pq"):
            yield _Parquet(path, stack)
        elif ending == ".npz":
            raise CommandError(f"{path} must be a table, .csv, .npy or .parquet, not an archive such as a model.")
        else:
            yield _Csv(path, stack)


# --- CSV ----------------------------------------------------------------------------------------------------------


class _Csv(Table):
    """Text, read line by line."""

    def __init__(self, path: str, stack: ExitStack) -> None:
        self._is_file = path != "-"
        if self._is_file:
            self._file: IO[str] = open(path, encoding="utf-8-sig", newline="")  # noqa: SIM115  # the stack closes it
        else:
            self._file = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8-sig", newline="")
        stack.enter_context(self._file)
        self.path = path if self._is_file else "standard input"
        self._is_new = True
        self._rows = self._read()
        super().__init__(self.path, self._header())

    def _read(self) -> Iterator[list[str]]:
        """Yield the rows that are left in the file."""
        self._line = 0
        try:
            first = self._file.readline()
            delimiter = max(_DELIMITERS, key=first.count)
            reader = csv.reader(chain([first], self._file), delimiter=delimiter, skipinitialspace=True)
            for row in reader:
                if any("\0" in cell for cell in row):
                    raise CommandError(f"{self.path} must be text, not with a zero byte after line {self._line}.")
                self._line = reader.line_num
                if row:  # a line of nothing, as at the end of a file
                    yield row
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            what = f"not with the byte {byte:#04x} somewhere after line {self._line}"
            raise CommandError(f"{self.path} must be text in UTF-8, {what}.") from None
        except csv.Error as error:
            raise CommandError(f"{self.path} is no CSV after line {self._line}: {error}.") from None

    def _header(self) -> list[str]:
        names = [name.strip() for name in next(self._rows, [])]
        if not names:
            raise CommandError(f"{self.path} must begin with a line of column names, not be empty.")
        if all(is_number(name) for name in names):
            raise CommandError(f"The first line of {self.path} must name the columns, not hold numbers: add one above.")
        for place, name in enumerate(names):
            if name in names[:place]:
                raise CommandError(f"Columns of {self.path} must have different names, not twice {shown(name)}.")
        return names

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        if not self._is_new:
            self._begin_again()
        self._is_new = False
        places = [self.names.index(name) for name in wanted]
        begin, size, width = 0, max(1, _CELLS // len(self.names)), len(self.names)
        while rows := self._some(size, width):
            cells = list(zip(*rows, strict=True))
            columns = {name: cells[place] for name, place in zip(wanted, places, strict=True)}
            yield Block(begin, len(rows), columns)
            begin += len(rows)

    def _begin_again(self) -> None:
        if not self._is_file:
            raise CommandError("Argument `data` must be a file that can be read twice, not the standard input.")
        self._file.seek(0)
        self._rows = self._read()
        next(self._rows)  # the names

    def _some(self, size: int, width: int) -> list[list[str]]:
        rows: list[list[str]] = []
        for row in self._rows:
            if len(row) != width:
                raise CommandError(
                    f"Line {self._line} of {self.path} must have {width} cells, as the first one has, not {len(row)}."
                )
            rows.append(row)
            if len(rows) == size:
                break
        return rows


# --- matrices and parquet -----------------------------------------------------------------------------------------


class _Matrix(Table):
    """A ``.npy`` file, mapped into memory."""

    def __init__(self, path: str) -> None:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # NumPy parses the header as Python, and raises various errors for a broken one
            raise CommandError(f"{path} must be a .npy file of numbers: {' '.join(str(error).split())}.") from None
        if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiub":
            what = f"shape {array.shape} and dtype {array.dtype}" if isinstance(array, np.ndarray) else "an archive"
            raise CommandError(f"{path} must hold a matrix of real numbers, not {what}.")
        self._array: NDArray[Any] = array
        super().__init__(path, [str(place) for place in range(array.shape[1])])

    def column(self, name: str) -> str:
        number = name.removeprefix("-")
        if name != number and number.isdecimal() and 1 <= int(number) <= len(self.names):
            return self.names[-int(number)]
        return super().column(name)

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        size = max(1, _CELLS // max(1, len(self.names)))
        for begin in range(0, len(self._array), size):
            rows = np.array(self._array[begin : begin + size])
            yield Block(begin, len(rows), {name: _plain(rows[:, int(name)]) for name in wanted})


class _Parquet(Table):
    """A parquet file, which pyarrow reads."""

    def __init__(self, path: str, stack: ExitStack) -> None:
        try:
            from pyarrow import ArrowException, parquet  # optional: imported only where it is used
        except ImportError:
            raise CommandError(f"{path}: parquet needs pyarrow: python -m pip install pyarrow") from None
        try:
            self._file: Any = stack.enter_context(parquet.ParquetFile(path))
        except ArrowException as error:
            raise CommandError(f"{path} must be a parquet file: {' '.join(str(error).split())}") from None
        super().__init__(path, list(self._file.schema_arrow.names))

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        begin, size = 0, max(1, _CELLS // max(1, len(wanted)))
        for batch in self._file.iter_batches(batch_size=size, columns=list(wanted)):
            columns = {name: _plain(_arrow(batch.column(name))) for name in wanted}
            yield Block(begin, batch.num_rows, columns)
            begin += batch.num_rows


def _arrow(column: Any) -> Any:
    kind = str(column.type)
    is_number = kind in ("float", "double", "halffloat") or "int" in kind
    return column.to_numpy(zero_copy_only=False) if is_number else column.to_pylist()


def _plain(column: Any) -> Any:
    """Return truth values as texts: they are categories."""
    if isinstance(column, np.ndarray):
        return column.astype(str).tolist() if column.dtype == np.bool_ else column
    return [None if value is None else str(value) for value in column]


# --- cells --------------------------------------------------------------------------------------------------------


def is_number(text: str) -> bool:
    """Return whether a text is a number; 1_000 is not, although Python reads it as one."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def as_numbers(column: Any) -> NDArray[np.float64]:
    """Return a column as numbers, gaps as NaN.

    Raises
    ------
    BadCell
        Where a cell is neither.
    """
    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    try:
        numbers = np.array(column, dtype=np.float64)
    except (ValueError, TypeError):
        return np.array([_number(row, cell) for row, cell in enumerate(column)], dtype=np.float64)
    if any("_" in cell for cell in column):  # to Python, 1_000 is a number
        return np.array([_number(row, cell) for row, cell in enumerate(column)], dtype=np.float64)
    return numbers


class BadCell(Exception):
    """A cell that is no number."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row, self.text = row, text


def _number(row: int, cell: str | None) -> float:
    if cell is None or cell.strip().lower() in _GAPS:
        return np.nan
    if not is_number(cell):
        raise BadCell(row, cell)
    return float(cell)


def as_texts(column: Any) -> list[str | None]:
    """Return a column as texts without spaces around them, gaps as None. Whole numbers have no decimal point."""
    if isinstance(column, np.ndarray):
        return [None if value != value else _short(value) for value in column.tolist()]
    cells = cast("Sequence[str | None]", column)
    stripped = (None if cell is None else cell.strip() for cell in cells)
    return [None if cell is None or cell.lower() in _GAPS else cell for cell in stripped]


def _short(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
