"""``numkan show``: print a saved model."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

import numpy as np

from numkan import KAN
from numkan._encoding import Number
from numkan.cli.encoding import Encoding
from numkan.cli.errors import OK
from numkan.cli.models import load_model
from numkan.cli.output import print_json

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print it."""
    model, encoding = load_model(options.model)
    facts = _facts(options.model, model, encoding)
    if options.json:
        print_json(facts)
        return OK
    print(f"{model}, {model.n_params} parameters")
    for place, layer in enumerate(facts["layers"]):
        print(
            f"layer {place}: {layer['n_in']} -> {layer['n_out']}, {layer['edges']} edges, grid {layer['grid']}, "
            f"k {layer['k']}, base {layer['base_fun']}, outside {layer['extrapolate']}"
        )
    if encoding is None:
        print("Saved without names of columns: it takes numbers.")
        return OK
    for column in encoding.columns:
        gaps = ", had gaps" if column.gaps else ""
        if isinstance(column, Number):
            print(f"input {column.name}: number, mean {column.mean:.6g}, scale {column.scale:.6g}{gaps}")
        else:
            print(f"input {column.name}: category, {', '.join(column.levels)}{gaps}")
    if encoding.classes is None:
        print(f"target {', '.join(encoding.targets)}: number")
    else:
        print(f"target {encoding.targets[0]}: classes {', '.join(encoding.classes)}")
    return OK


def _facts(path: str, model: KAN, encoding: Encoding | None) -> dict[str, Any]:
    layers = [
        {
            "n_in": layer.n_in,
            "n_out": layer.n_out,
            "grid": layer.G,
            "k": layer.k,
            "base_fun": layer.base_fun if isinstance(layer.base_fun, str) else "given",
            "extrapolate": layer.extrapolate,
            "edges": int(np.count_nonzero(layer.mask)),
        }
        for layer in model.act_fun
    ]
    table: dict[str, Any] = dict.fromkeys(("columns", "targets", "classes", "inputs", "outputs"))
    if encoding is not None:
        columns = [{"kind": type(column).__name__.lower(), **asdict(column)} for column in encoding.columns]
        table = {
            "columns": columns,
            "targets": encoding.targets,
            "classes": encoding.classes,
            "inputs": encoding.inputs,
            "outputs": encoding.outputs,
        }
    return {
        "file": path,
        "width": model.width,
        "grid": model.grid,
        "k": model.k,
        "dtype": model.dtype.name,
        "extrapolate": model.extrapolate,
        "parameters": model.n_params,
        "layers": layers,
        **table,
    }
