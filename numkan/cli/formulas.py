"""``numkan fit --formula``: the formula of each target, in the units of the table.

The network that is kept sees columns of mean 0 and deviation 1. A formula in those would hide its constants, so one
is found from the table itself.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numkan._encoding import Number
from numkan.cli.encoding import Encoding
from numkan.cli.errors import CommandError
from numkan.symbolic.find import check_size, find
from numkan.symbolic.formula import Formula
from numkan.symbolic.symbols import sympy_module

__all__ = ["as_json", "as_lines", "check_formulas", "formulas_of"]


def check_formulas(encoding: Encoding, n_rows: int) -> None:
    """Refuse, before anything is fitted, what no formula can be found for."""
    if encoding.classes is not None:
        raise CommandError("Argument `--formula` must stand with targets that are numbers, not classes.")
    check_size(n_rows, len(encoding.inputs))
    sympy_module()


def formulas_of(
    options: argparse.Namespace, x: NDArray[np.float64], y: NDArray[np.float64], encoding: Encoding
) -> tuple[Formula, ...]:
    """Return the formula of each output, in the units of the table."""
    x, place = x.copy(), 0
    for column in encoding.columns:
        if isinstance(column, Number):
            x[:, place] = x[:, place] * column.scale + column.mean
        place += len(column.inputs)
    progress = sys.stderr.isatty() if options.progress is None else options.progress
    found = find(
        x, y, names=identifiers(encoding.inputs), time_limit=options.time_limit, progress=progress,
        random_state=options.seed,
    )  # fmt: skip
    return found if isinstance(found, tuple) else (found,)


def identifiers(inputs: Sequence[str]) -> list[str]:
    """Return the names of inputs as names that can stand in a Python expression, all different."""
    found: list[str] = []
    for name in inputs:
        base = plain = re.sub(r"\W", "_", name) if name.strip() else "x"
        plain = base = f"_{plain}" if not plain.isidentifier() else plain
        count = 1
        while plain in found:
            count += 1
            plain = f"{base}_{count}"
        found.append(plain)
    return found


def as_lines(formulas: Sequence[Formula], encoding: Encoding) -> list[str]:
    """Return what is printed: a line for each output."""
    lines = []
    for output, formula in zip(encoding.outputs, formulas, strict=False):
        cut = f"; stopped: {formula.stopped}" if formula.stopped else ""
        lines.append(f"{output} = {formula} ({formula.status}; held-out RMSE {formula.error.held_out:.3g}{cut})")
    return lines


def as_json(formulas: Sequence[Formula], encoding: Encoding) -> list[dict[str, Any]]:
    """Return the same as objects."""
    return [
        {
            "output": output,
            "formula": str(formula),
            "status": formula.status,
            "held_out": formula.error.held_out,
            "constants": [{"value": c.value, "exact": c.exact or None, "error": c.error} for c in formula.constants],
            "stopped": formula.stopped or None,
        }
        for output, formula in zip(encoding.outputs, formulas, strict=True)
    ]
