"""``numkan explore``: write a page to explore a saved model with."""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from numkan import KAN
from numkan._encoding import Number
from numkan._replace_file import replace_file
from numkan._shown import shown
from numkan.cli.encoding import Encoding
from numkan.cli.errors import OK, CommandError
from numkan.cli.models import load_model
from numkan.cli.output import check_writable
from numkan.cli.rows import load_rows
from numkan.cli.tables import BadCell, Table, as_numbers, open_table
from numkan.export.explore import page_text
from numkan.export.page_data import Annotations

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Write it."""
    if options.data == "-":
        raise CommandError("Argument `data` must be a file that can be read twice, not the standard input.")
    check_writable("page", options.page, options.data)
    model, encoding = load_model(options.model)
    with open_table(options.data) as table:
        text = _plain_page(model, table) if encoding is None else _encoded_page(model, encoding, table)
    replace_file(options.page, lambda file: file.write(text))
    print(f"The page is in {options.page}.")
    return OK


def _encoded_page(model: KAN, encoding: Encoding, table: Table) -> bytes:
    names = [table.column(name) for name in (*(column.name for column in encoding.columns), *encoding.targets)]
    count = sum(block.size for block in table.blocks(names[-1:]))
    rows = load_rows(table, encoding, count)
    units: list[tuple[float, float]] = []
    for column in encoding.columns:
        own = [(column.mean, column.scale)] if isinstance(column, Number) else []
        units += own + [(0.0, 1.0)] * (len(column.inputs) - len(own))
    return page_text(model, rows.x, rows.y, Annotations(encoding.inputs, encoding.outputs, units, {}, encoding.stages))


def _plain_page(model: KAN, table: Table) -> bytes:
    """Return the page of a model without names: all columns are numbers, the inputs first."""
    names, n_in = table.names, model.n_in
    if len(names) != n_in + model.n_out:
        rule = f"{n_in} inputs and {model.n_out} outputs as columns for this model, which names none of them"
        raise CommandError(f"{table.path} must have {rule}, not {len(names)} columns.")
    values = _numbers(table)
    annotations = Annotations(names[:n_in], names[n_in:], [(0.0, 1.0)] * n_in, {}, ())
    return page_text(model, values[:, :n_in], values[:, n_in:], annotations)


def _numbers(table: Table) -> NDArray[np.float64]:
    """Return a table of numbers without its gaps: rows that have one are left out."""
    blocks = []
    for block in table.blocks(table.names):
        try:
            columns = [as_numbers(cells) for cells in block.columns.values()]
        except BadCell as error:
            where = f"not {shown(error.text)} in row {block.begin + error.row + 1}"
            raise CommandError(f"{table.path} must hold numbers, {where}.") from None
        blocks.append(np.column_stack(columns))
    values = np.concatenate(blocks) if blocks else np.empty((0, len(table.names)))
    whole: NDArray[np.float64] = values[~np.isnan(values).any(axis=1)]
    return whole
