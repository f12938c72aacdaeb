"""A survey of a table: the columns that are numbers, their moments, and the texts of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from numkan._encoding import Category, Column, Moments
from numkan._shown import shown
from numkan.cli.encoding import Encoding
from numkan.cli.errors import CommandError
from numkan.cli.tables import BadCell, Table, as_numbers, as_texts, is_number

__all__ = ["survey"]

#: A column of more texts than this holds names of rows or free text, and not categories.
_MAX_LEVELS = 100


@dataclass
class _Texts:
    """The different texts of a column, how often each has come, and how many gaps."""

    levels: Counter[str] = field(default_factory=Counter)
    gaps: int = 0


def survey(
    table: Table, inputs: Sequence[str], targets: Sequence[str], category: Collection[str], classify: bool
) -> tuple[Encoding, int]:
    """Return the encoding of the table, and its number of rows.

    A column whose first text comes after the first block is read once more.
    """
    names, texts = [*inputs, *targets], {*category, *(targets if classify else ())}
    while True:
        found, n_rows, late = _read(table, names, texts)
        if not late:
            break
        texts |= late
    if n_rows == 0:
        raise CommandError(f"{table.path} has no rows.")
    columns = tuple(_column(table, name, found[name]) for name in inputs)
    return Encoding(columns, tuple(targets), _classes(table, targets, found, classify)), n_rows


def _read(table: Table, names: Sequence[str], texts: set[str]) -> tuple[dict[str, Moments | _Texts], int, set[str]]:
    """Return what columns hold, the number of rows, and the columns whose text came after numbers were counted."""
    found: dict[str, Moments | _Texts] = {name: _Texts() if name in texts else Moments() for name in names}
    late: set[str] = set()
    n_rows = 0
    for block in table.blocks(names):
        for name in names:
            cells, so_far = block.columns[name], found[name]
            if isinstance(so_far, Moments):
                try:
                    numbers = as_numbers(cells)
                except BadCell:
                    so_far = found[name] = _Texts()
                    if block.begin:
                        late.add(name)
                    else:
                        texts.add(name)
                else:
                    _check_finite(table, name, numbers, block.begin)
                    so_far.add(numbers)
            if isinstance(so_far, _Texts):
                _add(so_far, as_texts(cells))
        n_rows += block.size
    return found, n_rows, late


def _add(so_far: _Texts, cells: list[str | None]) -> None:
    if len(so_far.levels) <= _MAX_LEVELS:  # more of them are not counted, so that memory is bounded
        so_far.levels.update(cell for cell in cells if cell is not None)
    so_far.gaps += sum(cell is None for cell in cells)


def _check_finite(table: Table, name: str, numbers: np.ndarray[tuple[int], np.dtype[np.float64]], begin: int) -> None:
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        where = f"{table.path} has {numbers[infinite[0]]} in row {begin + int(infinite[0]) + 1}"
        raise CommandError(f"Column {shown(name)} must be finite, but {where}.")


def _column(table: Table, name: str, found: Moments | _Texts) -> Column:
    if isinstance(found, Moments):
        if not found.number:
            raise CommandError(f"Column {shown(name)} of {table.path} has no values: leave it out by --ignore.")
        return found.column(name)
    _check_levels(table, name, found, "leave it out by --ignore")
    levels = sorted(found.levels)
    return Category.counted(name, levels, [found.levels[level] for level in levels], found.gaps > 0)


def _check_levels(table: Table, name: str, found: _Texts, advice: str) -> None:
    if not found.levels:
        raise CommandError(f"Column {shown(name)} of {table.path} has no values: {advice}.")
    if len(found.levels) > _MAX_LEVELS:
        words = sorted(level for level in found.levels if not is_number(level)) or sorted(found.levels)
        raise CommandError(
            f"Column {shown(name)} of {table.path} has text in it, such as {shown(words[0])}, and more than "
            f"{_MAX_LEVELS} different values, which is too many for categories: {advice}."
        )


def _classes(
    table: Table, targets: Sequence[str], found: dict[str, Moments | _Texts], classify: bool
) -> tuple[str, ...] | None:
    """Return the classes of the target, in order, or None where all targets are numbers."""
    texts = {name: its for name in targets if isinstance(its := found[name], _Texts)}
    for name in targets:
        its = found[name]
        if isinstance(its, Moments) and not its.number:
            raise CommandError(f"Column {shown(name)} of {table.path} has no values: it cannot be a target.")
    if not texts:
        return None
    if len(targets) > 1:
        raise CommandError(f"Argument `--target` must name one column where it holds classes, not {len(targets)}.")
    ((name, its),) = texts.items()
    _check_levels(table, name, its, "a target of numbers must hold nothing else" if not classify else "mend it")
    if len(its.levels) < 2:
        raise CommandError(
            f"Column {shown(name)} of {table.path} must hold two classes at least, "
            f"not only {shown(next(iter(its.levels)))}."
        )
    if not all(is_number(level) for level in its.levels):
        return tuple(sorted(its.levels))
    broken = sorted(level for level in its.levels if not _is_whole(level))
    if broken:
        raise CommandError(f"Column {shown(name)} must hold integers or text with --classify, not {broken[0]}.")
    return tuple(sorted(its.levels, key=float))


def _is_whole(text: str) -> bool:
    return is_number(text) and float(text).is_integer()
