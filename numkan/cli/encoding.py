"""How a table becomes a network's inputs and targets: learned from the data, and kept in the model's file.

Columns become inputs as :mod:`numkan._encoding` says. Targets stay in their units; classes are numbered in the order of
`classes`.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._check import check_flag, check_integer, check_number
from numkan._encoding import Category, Column, Number
from numkan._shown import shown
from numkan.cli.errors import CommandError
from numkan.cli.tables import BadCell, Block, as_numbers, as_texts
from numkan.train.history import Stage

__all__ = ["Encoding"]

#: Of the JSON member; a change of its meaning gets the next number.
VERSION = 2


@dataclass(frozen=True)
class Encoding:
    """The columns that are inputs, and the targets."""

    columns: tuple[Column, ...]
    targets: tuple[str, ...]
    classes: tuple[str, ...] | None  # of the one target, or None where targets are numbers
    stages: tuple[Stage, ...] = ()  # of the fit

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
                unknown[column.name] = _encode(column, block.columns[column.name], out[:, at : at + width])
            except BadCell as error:
                where = f"not {shown(error.text)} in row {block.begin + error.row + 1}"
                raise CommandError(f"Column {shown(column.name)} must hold numbers, {where}.") from None
            at += width
        return out, unknown

    def to_json(self) -> bytes:
        """Return the member of a model's file."""
        columns = [{"kind": type(column).__name__.lower(), **asdict(column)} for column in self.columns]
        content: dict[str, Any] = {"version": VERSION, "columns": columns, "targets": self.targets}
        content |= {"classes": self.classes, "stages": [_plain(stage) for stage in self.stages]}
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
        stages = tuple(_stage(stage) for stage in content.get("stages", []))
        return cls(columns, _texts("targets", content["targets"]), classes, stages)


def _encode(column: Column, cells: Any, out: NDArray[np.float64]) -> int:
    """Write the inputs of cells as a table has them; return how many the fit has not seen."""
    if isinstance(column, Number):
        return column.encode(as_numbers(cells), out)
    return column.encode(as_texts(cells), out)


def _column(content: dict[str, Any]) -> Column:
    (name,), gaps = _texts("name", [content["name"]]), check_flag("gaps", content["gaps"])
    if content["kind"] == "category":
        levels = _texts("levels", content["levels"])
        return Category(name, levels, _shares(content["shares"], len(levels)), gaps)
    if content["kind"] != "number":
        raise ValueError(f"a column is of kind {shown(content['kind'])}.")
    mean = check_number("mean", content["mean"])
    return Number(name, mean, check_number("scale", content["scale"], 0.0, exclusive=True), gaps)


def _shares(value: Any, number: int) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != number:
        raise TypeError(f"Argument `shares` must be a list of {number} numbers, not {shown(value)}.")
    return tuple(check_number("shares", share, 0.0) for share in value)


def _plain(stage: Stage) -> dict[str, Any]:
    """Return a stage without its seconds: files of equal fits are equal."""
    loss, validation = (value if math.isfinite(value) else None for value in (stage.loss, stage.validation))
    return {"grid": stage.grid, "steps": stage.steps, "loss": loss, "validation": validation, "ended": stage.ended}


def _stage(content: dict[str, Any]) -> Stage:
    given = (content["loss"], content["validation"])
    loss, validation = (math.nan if value is None else check_number("loss", value) for value in given)
    (ended,) = _texts("ended", [content["ended"]])
    grid, steps = check_integer("grid", content["grid"], 1), check_integer("steps", content["steps"], 0)
    return Stage(grid, steps, loss, validation, math.nan, ended)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value) or not value:
        raise TypeError(f"Argument `{name}` must be a list of texts, not {shown(value)}.")
    return tuple(value)
