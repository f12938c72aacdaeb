"""How columns of a table become a network's inputs and targets: learned from the data, and kept in the model's file.

A number becomes ``(value - mean) / scale``; a gap becomes the mean, which is 0. A category becomes one input for each
of its texts, 1 where the cell is that text and 0 elsewhere; a gap, and a text that the fit has not seen, is 0
everywhere. Where the data of the fit had gaps in a column, one more input is 1 at gaps and 0 elsewhere. So an input is
never missing, and the network tells a gap from a value where it could learn to. Targets stay in their units; classes
are numbered in the order of `classes`.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import check_flag, check_number
from numkan._shown import shown
from numkan.cli.errors import CommandError
from numkan.cli.tables import BadCell, Block, as_numbers, as_texts

__all__ = ["Category", "Column", "Encoding", "Number"]

#: Of the JSON member; a change of its meaning gets the next number.
VERSION = 1


@dataclass(frozen=True)
class Number:
    """A column of numbers, standardised."""

    name: str
    mean: float
    scale: float
    gaps: bool  # whether the data of the fit had some

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs that it becomes."""
        return [self.name] + [f"{self.name} is missing"] * self.gaps

    def encode(self, cells: Any, out: NDArray[np.float64]) -> int:
        """Write the inputs (n, number of inputs) of cells, and return 0: no number is unknown."""
        numbers = as_numbers(cells)
        missing = np.isnan(numbers)
        with np.errstate(over="ignore"):  # infinity is what so large a number is to any network
            out[:, 0] = np.where(missing, 0.0, (numbers - self.mean) / self.scale)
        if self.gaps:
            out[:, 1] = missing
        return 0


@dataclass(frozen=True)
class Category:
    """A column of texts, one input for each."""

    name: str
    levels: tuple[str, ...]
    gaps: bool

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs that it becomes."""
        return [f"{self.name} = {level}" for level in self.levels] + [f"{self.name} is missing"] * self.gaps

    def encode(self, cells: Any, out: NDArray[np.float64]) -> int:
        """Write the inputs (n, number of inputs) of cells, and return how many of them the fit has not seen."""
        texts = as_texts(cells)
        number = {level: place for place, level in enumerate(self.levels)}
        code = np.array([-1 if text is None else number.get(text, -2) for text in texts], dtype=np.int64)
        out[:, : len(self.levels)] = code[:, None] == np.arange(len(self.levels))
        if self.gaps:
            out[:, -1] = code < 0
        return int(np.count_nonzero(code == -2))


Column = Number | Category


@dataclass(frozen=True)
class Encoding:
    """The columns that are inputs, and what the outputs are."""

    columns: tuple[Column, ...]
    targets: tuple[str, ...]
    classes: tuple[str, ...] | None  # of the one target, or None where targets are numbers

    @property
    def inputs(self) -> list[str]:
        """Names of the network's inputs."""
        return [name for column in self.columns for name in column.inputs]

    @property
    def outputs(self) -> list[str]:
        """Names of the network's outputs."""
        return list(self.targets if self.classes is None else self.classes)

    def encode(self, block: Block) -> tuple[NDArray[np.float64], dict[str, int]]:
        """Return the inputs (n, n_in) of a block of rows, and in which columns how many texts are unknown."""
        out = np.empty((block.size, len(self.inputs)))
        unknown, at = {}, 0
        for column in self.columns:
            width = len(column.inputs)
            try:
                unknown[column.name] = column.encode(block.columns[column.name], out[:, at : at + width])
            except BadCell as error:
                where = f"not {shown(error.text)} in row {block.begin + error.row + 1}"
                raise CommandError(f"Column {shown(column.name)} must hold numbers, {where}.") from None
            at += width
        return out, unknown

    def to_json(self) -> bytes:
        """Return the member of a model's file."""
        columns = [{"kind": type(column).__name__.lower(), **asdict(column)} for column in self.columns]
        content = {"version": VERSION, "columns": columns, "targets": self.targets, "classes": self.classes}
        return json.dumps(content, allow_nan=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Encoding:
        """Read the member of a model's file, which is not trusted.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it is not what `to_json` writes.
        """
        content = json.loads(text)
        if content.get("version") != VERSION:
            raise ValueError(f"its encoding has the version {shown(content.get('version'))}, not {VERSION}.")
        columns = tuple(_column(column) for column in content["columns"])
        classes = None if content["classes"] is None else _texts("classes", content["classes"])
        return cls(columns, _texts("targets", content["targets"]), classes)


def _column(content: dict[str, Any]) -> Column:
    (name,), gaps = _texts("name", [content["name"]]), check_flag("gaps", content["gaps"])
    if content["kind"] == "category":
        return Category(name, _texts("levels", content["levels"]), gaps)
    if content["kind"] != "number":
        raise ValueError(f"a column is of kind {shown(content['kind'])}.")
    mean = check_number("mean", content["mean"])
    return Number(name, mean, check_number("scale", content["scale"], 0.0, exclusive=True), gaps)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value) or not value:
        raise TypeError(f"Argument `{name}` must be a list of texts, not {shown(value)}.")
    return tuple(value)


@dataclass
class Moments:
    """Number, mean and sum of squared deviations of what has come so far; and how many gaps."""

    number: int = 0
    mean: float = 0.0
    squares: float = 0.0
    gaps: int = 0

    def add(self, values: NDArray[np.float64]) -> None:
        """Add numbers, NaN for gaps (T. Chan et al., 1983, for two sets at a time)."""
        there = values[~np.isnan(values)]
        self.gaps += len(values) - len(there)
        if not len(there):
            return
        with np.errstate(over="ignore", invalid="ignore"):  # of what is not finite then, `column` makes no use
            mean = float(there.mean())
            squares = float(((there - mean) ** 2).sum())
        total, step = self.number + len(there), mean - self.mean
        self.squares += squares + step * step * self.number * len(there) / total
        self.mean += step * len(there) / total
        self.number = total

    def column(self, name: str) -> Number:
        """Return the column: a constant one, or one whose spread is lost in rounding, has scale 1."""
        scale = math.sqrt(self.squares / max(self.number, 1))
        is_spread = math.isfinite(scale) and scale > 1e-14 * abs(self.mean)
        mean = self.mean if math.isfinite(self.mean) else 0.0
        return Number(name, mean, scale if is_spread else 1.0, self.gaps > 0)
