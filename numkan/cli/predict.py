"""``numkan predict``: CSV on the standard output, one line for each row of a table, block by block."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from numkan._shown import shown
from numkan.cli.encoding import Encoding
from numkan.cli.errors import OK, CommandError
from numkan.cli.models import load_model
from numkan.cli.output import note
from numkan.cli.tables import BadCell, Block, Table, as_numbers, open_table

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Predict all rows."""
    model, encoding = load_model(options.model)
    unknown: Counter[str] = Counter()
    with open_table(options.data) as table:
        if encoding is None:
            columns = _all_columns(table, model.n_in)
        else:
            columns = [table.column(column.name) for column in encoding.columns]
        _header(encoding, model.n_out)
        for block in table.blocks(columns):
            if encoding is None:
                outputs = model(_plain_numbers(block))
            else:
                x, new = encoding.encode(block)
                unknown.update(new)
                outputs = model(x) if encoding.classes is None else _probabilities(model(x))
            sys.stdout.writelines(f"{','.join(map(repr, row))}\n" for row in outputs.tolist())
    for name, count in unknown.items():
        if count:
            rows = f"{count} row{'s' * (count > 1)}"
            note(f"column {shown(name)} has text that the fit has not seen in {rows}: taken for gaps.")
    return OK


def _header(encoding: Encoding | None, n_out: int) -> None:
    names = encoding.outputs if encoding else ["y"] if n_out == 1 else [f"y{place}" for place in range(n_out)]
    csv.writer(sys.stdout, lineterminator="\n").writerow(names)


def _all_columns(table: Table, n_in: int) -> list[str]:
    if len(table.names) != n_in:
        raise CommandError(
            f"{table.path} must have {n_in} columns for this model, which names none of them, not {len(table.names)}."
        )
    return table.names


def _plain_numbers(block: Block) -> NDArray[np.float64]:
    """Return the columns as they are; a gap is NaN, and so will be what is predicted from it."""
    out = np.empty((block.size, len(block.columns)))
    for place, (name, cells) in enumerate(block.columns.items()):
        try:
            out[:, place] = as_numbers(cells)
        except BadCell as error:
            where = f"not {shown(error.text)} in row {block.begin + error.row + 1}"
            raise CommandError(f"Column {shown(name)} must hold numbers, {where}.") from None
    return out


def _probabilities(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the softmax of every row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.floating] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
