"""``numkan fit``: read a table, fit a network, print its score, and save it."""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numkan import KAN
from numkan._replace_file import replace_file
from numkan._shown import shown
from numkan.cli.encoding import Encoding
from numkan.cli.errors import NO_SUCCESS, OK, CommandError
from numkan.cli.formulas import as_json, as_lines, check_formulas, formulas_of
from numkan.cli.output import check_writable, note, print_json
from numkan.cli.rows import Rows, load_rows
from numkan.cli.survey import survey
from numkan.cli.tables import open_table
from numkan.symbolic.formula import Formula
from numkan.train.history import FitResult

__all__ = ["run"]

#: Nodes of the hidden layer where no width is given.
_HIDDEN = 5

_PICTURES = (".pdf", ".png", ".svg")


def run(options: argparse.Namespace) -> int:
    """Fit, write and print; return 0, or 3 where the fit was not successful and the model is not kept."""
    check_writable("--out", options.out, options.data)
    check_writable("--plot", options.plot, options.data)
    if options.posterior and not options.out:
        raise CommandError("Argument `--posterior` must come with --out, which names the file that keeps it.")
    if options.plot and Path(options.plot).suffix.lower() not in _PICTURES:
        raise CommandError(f"Argument `--plot` must end in {', '.join(_PICTURES)}, not {options.plot!r}.")
    data = _read(options)
    if options.formula:
        check_formulas(data.encoding, len(data.x))
    model = KAN(_width(options.width, data.encoding), k=options.k, seed=options.seed)
    result = model.fit(
        data.x,
        data.y,
        loss="mse" if data.encoding.classes is None else "cross_entropy",
        time_limit=options.time_limit,
        random_state=options.seed,
        progress=sys.stderr.isatty() if options.progress is None else options.progress,
    )
    if result.success:
        _write(options, model, data, result)
    formulas = formulas_of(options, data.x, data.y, data.encoding) if result.success and options.formula else []
    _tell(options, model, data, result, formulas)
    if not result.success:
        note(f"the fit was not successful, and nothing is written: {result.message}")
    return OK if result.success else NO_SUCCESS


# --- reading ------------------------------------------------------------------------------------------------------


def _read(options: argparse.Namespace) -> Rows:
    if options.data == "-":
        raise CommandError("Argument `data` must be a file that can be read twice, not the standard input.")
    with open_table(options.data) as table:
        targets, ignored, category = (
            [table.column(name) for name in names] for names in (options.target, options.ignore, options.category)
        )
        for place, name in enumerate(targets):
            if name in targets[:place] or name in ignored:
                other = "ignored" if name in ignored else "named twice"
                raise CommandError(f"Argument `--target` must name other columns than {shown(name)}, which is {other}.")
        inputs = [name for name in table.names if name not in {*targets, *ignored}]
        if not inputs:
            raise CommandError(f"{table.path} must have a column beside the targets, to predict from.")
        encoding, n_rows = survey(table, inputs, targets, category, options.classify)
        return load_rows(table, encoding, n_rows)


def _width(given: list[int] | None, encoding: Encoding) -> list[int]:
    ends = len(encoding.inputs), len(encoding.outputs)
    if given is None:
        return [ends[0], _HIDDEN, ends[1]]
    if len(given) < 2 or (given[0], given[-1]) != ends:
        rule = f"begin with {ends[0]} inputs ({', '.join(encoding.inputs)}) and end with {ends[1]} outputs"
        raise CommandError(f"Argument `--width` must {rule}, not {given}.")
    return given


# --- writing ------------------------------------------------------------------------------------------------------


def _write(options: argparse.Namespace, model: KAN, data: Rows, result: FitResult) -> None:
    model._encoding = replace(data.encoding, stages=result.stages).to_json()
    if options.out:
        _save(model, options.out, options.posterior)
    if options.plot:
        picture = _picture(model, data, Path(options.plot).suffix.lower()[1:])
        replace_file(options.plot, lambda file: file.write(picture))


def _save(model: KAN, path: str, posterior: bool) -> None:
    """Save the model, with its posterior where that is asked for and it has one."""
    try:
        model.save(path, posterior=posterior)
    except RuntimeError as error:
        note(f"the posterior is not kept: {error}")
        model.save(path)


def _picture(model: KAN, data: Rows, kind: str) -> bytes:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    from numkan.plot import plot_network

    ax = plot_network(model, data.x, inputs=data.encoding.inputs, outputs=data.encoding.outputs)
    content, figure = io.BytesIO(), ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(content, format=kind, bbox_inches="tight")
    pyplot.close(figure)
    return content.getvalue()


def _tell(options: argparse.Namespace, model: KAN, data: Rows, result: FitResult, formulas: Sequence[Formula]) -> None:
    score = model.score(data.x, data.y) if result.success else math.nan
    if options.json:
        print_json(
            {
                **_data_as_json(options.data, data),
                "width": model.width,
                "grid": model.grid,
                "k": model.k,
                "parameters": model.n_params,
                **_result_as_json(result, score, data),
                "out": options.out if result.success else None,
                "plot": options.plot if result.success else None,
                "formulas": as_json(formulas, data.encoding) if options.formula and result.success else None,
            }
        )
    else:
        _print_summary(model, data, result, formulas, score)
        if result.success:
            print(f"The model is in {options.out}." if options.out else "The model is not kept: --out FILE keeps it.")


def _data_as_json(name: str, data: Rows) -> dict[str, Any]:
    encoding = data.encoding
    return {
        "data": name,
        "rows": len(data.x),
        "skipped": data.skipped,
        "columns": [column.name for column in encoding.columns],
        "inputs": encoding.inputs,
        "outputs": encoding.outputs,
        "classes": encoding.classes,
    }


def _result_as_json(result: FitResult, score: float, data: Rows) -> dict[str, Any]:
    return {
        "loss": result.loss,
        "loss_name": result.loss_name,
        "score": score,
        "rmse": math.sqrt(result.loss) if data.encoding.classes is None else math.nan,
        "validation_loss": result.validation_loss,
        "noise": result.noise,
        "success": result.success,
        "status": str(result.status),
        "message": result.message,
        "seconds": result.seconds,
    }


def _print_summary(model: KAN, data: Rows, result: FitResult, formulas: Sequence[Formula], score: float) -> None:
    encoding = data.encoding
    skipped = f" ({data.skipped} more have no target)" if data.skipped else ""
    print(f"{len(data.x)} rows{skipped}; inputs: {', '.join(encoding.inputs)}; outputs: {', '.join(encoding.outputs)}")
    print(model)
    print(result)
    for line in as_lines(formulas, encoding):
        print(line)
    what = "R2" if encoding.classes is None else "accuracy"
    print(f"{what} of the data that were fitted: {score:.6g}")
