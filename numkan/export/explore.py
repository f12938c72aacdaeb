"""A model as a page to explore it: one HTML file that needs no server and no network."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_float_array, check_names
from numkan._npz import check_path
from numkan._replace_file import replace_file
from numkan.base import BASE_FUNCTIONS
from numkan.export.page_data import (
    Annotations,
    bytes_of_edges,
    coverage_data,
    edge_data,
    layer_data,
    page_data,
    samples_data,
)
from numkan.export.page_interval import interval_data
from numkan.export.tables import check_base_functions
from numkan.model.network import Network
from numkan.model.prune import score_and_mean

__all__ = ["explore", "page_text"]

#: Bytes of a page. Of larger ones the interval's numbers are left out, and then weak edges.
LIMIT = 2_000_000

_TOO_LARGE = {"none": "The interval of the prediction is left out: its numbers do not fit into a page of at most 2 MB."}

_SCRIPTS = ("model.js", "interval.js", "draw.js", "edge.js", "main.js")


def explore(
    self: Network,
    path: str | os.PathLike[str],
    x: Any,
    y: Any,
    names: Sequence[str] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    formula: Any = None,
    result: Any = None,
) -> None:
    """Write a page to explore the model with: one HTML file, which a browser opens without a server or a network.

    It shows the network; the curve of each edge with its knots and where the samples are; how a sample goes through;
    sliders for the inputs with the prediction, and with its 95 % interval if the model has a posterior (see
    :meth:`~numkan.KAN.predict_std`); tables of edge scores and coverage, and of the stages of the fit. It works with a
    keyboard, and on a phone. The page computes what the model does to rounding, inside the grids and outside, in double
    precision.

    Parameters
    ----------
    path : str or path
        Where the page is written, as a whole or not at all.
    x : array_like, shape (n, n_in)
        Finite, two samples at least. All of them determine scores, ranges and coverage; 500 at most are in the page.
    y : array_like, shape (n, n_out), or (n,)
        Targets; with several outputs, (n,) are labels from 0.
    names, outputs : sequence of str, optional
        Names of the inputs and of the outputs; by default x0, x1, ... and y0, y1, ....
    formula : numkan.symbolic.Formula, optional
        A formula that was found from this model: edges bear the names of its functions, and one that is chosen has
        its function written out.
    result : FitResult, optional
        What :meth:`~numkan.KAN.fit` returned: its stages are shown.

    Raises
    ------
    ValueError, TypeError
        If the arguments are not as said, or the base function is a user's own, which a page cannot compute; or if
        a page of 2 MB does not hold the grids of the inputs.
    OSError
        If the file cannot be written.

    Notes
    -----
    A page has at most 2 MB. What would need more loses the numbers of the interval first, of which there are half as
    many as the square of the number of coefficients; then the edges with the least scores, replaced by their means over
    x. The page says so, how many edges they are, and by how much its predictions change.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     KAN([2, 3, 1], seed=0).explore(f"{folder}/page.html", x, x[:, 0] * x[:, 1], ["mass", "speed"])
    ...     text = pathlib.Path(folder, "page.html").read_text(encoding="utf-8")
    >>> text.startswith("<!DOCTYPE html>"), "speed" in text
    (True, True)
    """
    check_path(path)
    known = {} if formula is None else getattr(formula, "edges", None)
    if not isinstance(known, Mapping):
        raise TypeError(f"Argument `formula` must be a formula of numkan.symbolic, not {type(formula).__name__}.")
    stages = () if result is None else getattr(result, "stages", None)
    if not isinstance(stages, tuple):
        raise TypeError(f"Argument `result` must be the result of a fit, not {type(result).__name__}.")
    annotations = Annotations(
        _names("names", names, "x", self.n_in),
        _names("outputs", outputs, "y", self.n_out),
        [(0.0, 1.0)] * self.n_in,
        known,
        stages,
    )
    text = page_text(self, x, y, annotations)
    replace_file(path, lambda file: file.write(text))


def page_text(model: Network, x: Any, y: Any, annotations: Annotations) -> bytes:
    """Return the page that :func:`explore` writes."""
    check_base_functions(model)
    samples = model._samples(x)
    scores, means = score_and_mean(model, x)  # checks that samples and activations are finite
    acts = model.activations(samples)
    truth, labels = _truth(model, y, len(samples))
    parts: dict[str, Any] = {
        "labels": labels,
        "samples": samples_data(samples, truth, model(samples)),
        "coverage": coverage_data(model, samples),
    }
    inputs = [layer_data(layer, act) for layer, act in zip(model.act_fun, acts[:-1], strict=True)]
    alive = [np.flatnonzero(layer.mask) for layer in model.act_fun]

    def page(kept: Sequence[Any], interval: dict[str, Any] | None) -> bytes:
        edges = zip(inputs, model.act_fun, scores, means, kept, strict=True)
        layers = [{**own, **edge_data(layer, score, mean, each)} for own, layer, score, mean, each in edges]
        data = page_data(model, annotations, kept, {**parts, "layers": layers, "interval": interval or _TOO_LARGE})
        return _fill(model, {**data, "notes": _notes(model, parts["samples"], data["dropped"])})

    interval = interval_data(model, LIMIT)
    whole = page(alive, interval)
    if len(whole) > LIMIT and interval and "root" in interval:
        interval = None
        whole = page(alive, interval)
    if len(whole) <= LIMIT:
        return whole
    room = LIMIT - len(page([each[:0] for each in alive], interval)) - 500  # the notes that are added
    if room <= 0:
        raise ValueError(f"Argument `x` must have fewer columns for a page of {LIMIT / 1e6:g} MB, not {model.n_in}.")
    return page(_strongest(model, scores, alive, room), interval)


def _strongest(model: Network, scores: Sequence[FloatArray], alive: Sequence[Any], room: float) -> list[Any]:
    """Return the edges of each layer with the largest scores, as many as there is room for."""
    depth = np.concatenate([np.full(len(each), place) for place, each in enumerate(alive)])
    place = np.concatenate(alive)
    score = np.concatenate([each.ravel()[own] for each, own in zip(scores, alive, strict=True)])
    size = np.array([bytes_of_edges(layer) for layer in model.act_fun])[depth]
    order = np.argsort(-score, kind="stable")
    kept = order[np.cumsum(size[order]) <= room]
    return [np.sort(place[kept[depth[kept] == number]]) for number in range(model.depth)]


def _notes(model: Network, samples: dict[str, Any], dropped: int) -> list[str]:
    notes = [f"{model!r}, {model.n_params} parameters."]
    if samples["count"] < samples["of"]:
        notes.append(f"{samples['count']} of {samples['of']} samples are in this page; scores and coverage are of all.")
    if model.dtype != np.float64:
        notes.append(f"The network computes in {model.dtype.name}, this page in double precision.")
    if dropped:
        notes.append(f"{dropped} weak edges are left out and replaced by their means: a page has at most 2 MB.")
    return notes


# --- the file -----------------------------------------------------------------------------------------------------


def _fill(model: Network, data: dict[str, Any]) -> bytes:
    """Return the page with its parts in their places."""
    folder = files("numkan.export").joinpath("page")
    read = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *_SCRIPTS)}
    base = {layer._base.name for layer in model.act_fun}
    parts = {
        "title": html.escape(f"{', '.join(data['outputs'][:3])}: a Kolmogorov-Arnold network"),
        "style": read["page.css"],
        "data": _json(data),
        "base": _base_functions(sorted(base)),
        "script": "\n".join(read[name] for name in _SCRIPTS),
    }
    pieces = read["page.html"].split("@")
    filled = "".join(parts.get(piece, "") if place % 2 else piece for place, piece in enumerate(pieces))
    return filled.encode("utf-8")


def _json(data: Any) -> str:
    """Return JSON that may stand in a script: no name can end the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _base_functions(names: Sequence[str]) -> str:
    """Return the base functions in JavaScript. Their formulas in C are JavaScript too, once functions have names."""
    functions = (
        "const { abs: fabs, acos, asin, atan, cos, cosh, exp, expm1, log, log1p, pow, sin, sinh, sqrt, tan, tanh }"
    )
    formulas = ((name, BASE_FUNCTIONS[name].c.format(x="x", f="", cut="-708")) for name in names)
    entries = ", ".join(f"{json.dumps(name)}: (x) => ({formula})" for name, formula in formulas)
    return f"{functions} = Math;\nconst BASE = {{ {entries} }};"


# --- arguments ----------------------------------------------------------------------------------------------------


def _names(argument: str, given: Sequence[str] | None, letter: str, count: int) -> list[str]:
    return [f"{letter}{place}" for place in range(count)] if given is None else check_names(argument, given, count)


def _truth(model: Network, y: Any, n: int) -> tuple[FloatArray, bool]:
    """Return targets (n, n_out) or labels (n, 1), in float64, and whether they are labels."""
    truth = as_float_array("y", y, np.float64)
    labels = truth.ndim == 1 and model.n_out > 1
    truth = truth[:, None] if truth.ndim == 1 else truth
    if truth.shape != (n, 1 if labels else model.n_out):
        raise ValueError(f"Argument `y` must have shape {(n, model.n_out)}, not {truth.shape}.")
    if labels and not (np.isin(truth, np.arange(model.n_out))).all():
        raise ValueError(f"Argument `y` must hold labels from 0 to {model.n_out - 1}, or have {model.n_out} columns.")
    return truth, labels
