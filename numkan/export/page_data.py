"""What a page holds about a network: its tables as base64, and the samples, as one JSON object.

An edge is a row of coefficients. All edges of one input share its B-splines, which are the tables of
:mod:`numkan.spline.pieces`: so a page is smaller by a factor of about k + 1 than with a polynomial a piece and edge.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.layer.layer import KANLayer
from numkan.model.network import Network
from numkan.spline.pieces import Pieces, local_pieces

__all__ = [
    "Annotations",
    "bytes_of_edges",
    "coverage_data",
    "curve_tables",
    "edge_data",
    "floats",
    "integers",
    "layer_data",
    "page_data",
    "samples_data",
]

_BINS = 32  # of a histogram
_MOST_SAMPLES = 500
_BYTES_OF_SAMPLES = 400_000


class Annotations(NamedTuple):
    """What a page shows of a network beside its tables."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    units: Sequence[tuple[float, float]]  # of each input: its value is the first number + the second * x
    functions: Mapping[tuple[int, int, int], Any]  # matches of numkan.symbolic with edges, where they are known
    stages: Sequence[Any]


def page_data(
    model: Network, annotations: Annotations, kept: Sequence[Any], parts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the object of a page; `kept` are the flat indices of the edges of each layer that stand in it."""
    total = sum(int(np.count_nonzero(layer.mask)) for layer in model.act_fun)
    dropped = total - sum(len(each) for each in kept)
    return {
        "width": model.width,
        "inputs": list(annotations.inputs),
        "outputs": list(annotations.outputs),
        "units": [list(pair) for pair in annotations.units],
        "symbols": {
            ",".join(map(str, edge)): [_name(each), _formula(each)] for edge, each in annotations.functions.items()
        },
        "stages": [[s.grid, s.steps, _number(s.loss), _number(s.validation), s.ended] for s in annotations.stages],
        "dropped": dropped,
        **parts,
    }


def _name(match: Any) -> str:
    """Return the name of an edge's function without the marks of a formula in TeX."""
    return str(match.label).translate(str.maketrans("", "", "${}"))


def _formula(match: Any) -> str:
    """Return c f(a u + b) + d with four digits of each number, without those that change nothing."""
    inside = f"{_factor(match.a)}u{_term(match.b)}"
    if match.label == "linear":
        return f"{_factor(match.c * match.a)}u{_term(match.c * match.b + match.d)}"
    power = _name(match).partition("^")[2]
    function = f"({inside})^{power}" if power else f"{match.label}({inside})"
    return f"{_factor(match.c)}{function}{_term(match.d)}"


def _factor(value: float) -> str:
    return "" if value == 1.0 else "-" if value == -1.0 else f"{value:.4g} "


def _term(value: float) -> str:
    return "" if abs(value) < 1e-6 else f" {'-' if value < 0 else '+'} {abs(value):.4g}"


def layer_data(layer: KANLayer, act: FloatArray) -> dict[str, Any]:
    """Return the tables of a layer's inputs: pieces, knots, and where the samples lie."""
    pieces = local_pieces(layer.grid, layer.k, layer.extrapolate)
    low, high, counts = _histograms(layer, act)
    return {
        "nIn": layer.n_in,
        "nOut": layer.n_out,
        "G": layer.G,
        "k": layer.k,
        "base": layer._base.name,
        "policy": layer.extrapolate,
        **curve_tables(pieces, layer.k),
        "knots": floats(layer.grid[:, layer.k : layer.grid.shape[1] - layer.k]),
        "low": floats(low),
        "high": floats(high),
        "counts": integers(counts),
    }


def curve_tables(pieces: Pieces, k: int) -> dict[str, Any]:
    """Return the local polynomials of a layer's B-splines."""
    return {
        "pieces": pieces.centre.shape[1],
        "breaks": floats(pieces.ends[:, :-1]),
        "centre": floats(pieces.centre),
        "inverse": floats(pieces.inverse),
        "first": integers(pieces.first),
        "poly": floats(pieces.poly[..., : k + 1]),
    }


def edge_data(layer: KANLayer, scores: FloatArray, means: FloatArray, kept: Any) -> dict[str, Any]:
    """Return the coefficients of the edges that are kept, and at each output the mean of those that are not."""
    coef, base = layer._effective(np.dtype(np.float64))
    i, o = np.divmod(kept, layer.n_out)
    gone = (layer.mask != 0).ravel()
    gone[kept] = False
    offset = np.where(gone.reshape(layer.mask.shape), means, 0.0).sum(axis=0)
    return {
        "edges": integers(kept),
        "coef": floats(coef[i, :, o]),
        "weight": floats(base[i, o]),
        "scores": floats(scores[i, o]),
        "offset": floats(offset),
    }


def bytes_of_edges(layer: KANLayer) -> float:
    """Return about how many bytes one edge of a layer takes on the page."""
    return (8 * (layer.G + layer.k + 2) + 4) * 4 / 3


def samples_data(x: FloatArray, y: FloatArray, predicted: FloatArray) -> dict[str, Any]:
    """Return samples at equal steps, as many as a page holds."""
    row = 8 * (x.shape[1] + y.shape[1] + predicted.shape[1])
    most = max(1, min(_MOST_SAMPLES, _BYTES_OF_SAMPLES // row))
    rows = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).round().astype(np.int64))
    return {
        "count": len(rows),
        "of": len(x),
        "numbers": rows.tolist(),
        "x": floats(x[rows]),
        "y": floats(y[rows]),
        "prediction": floats(predicted[rows]),
    }


def coverage_data(model: Network, x: FloatArray) -> list[list[Any]]:
    """Return layer, input, share outside and empty spans of every input of every layer."""
    return [
        [depth, i, float(each.outside[i]), int(each.empty_spans[i])]
        for depth, each in enumerate(model.coverage(x))
        for i in range(len(each.outside))
    ]


def floats(array: Any) -> str:
    """Return numbers in float64, little-endian, as base64."""
    return base64.b64encode(np.ascontiguousarray(array, "<f8").tobytes()).decode("ascii")


def integers(array: Any) -> str:
    """Return integers of 32 bits, little-endian, as base64."""
    return base64.b64encode(np.ascontiguousarray(array, "<i4").tobytes()).decode("ascii")


def _histograms(layer: KANLayer, act: FloatArray) -> tuple[FloatArray, FloatArray, Any]:
    """Return the ends of each input's samples, never equal, and a histogram between them."""
    low, high = act.min(axis=0).astype(np.float64), act.max(axis=0).astype(np.float64)
    flat = high - low <= 1e-9 * np.maximum(np.abs(low), np.abs(high))
    domain = layer.grid[:, layer.k].astype(np.float64), layer.grid[:, -1 - layer.k].astype(np.float64)
    low = np.where(flat, np.minimum(low, domain[0]), low)
    high = np.where(flat, np.maximum(high, domain[1]), high)
    pairs = zip(act.T.astype(np.float64), low, high, strict=True)
    return low, high, np.array([np.histogram(values, _BINS, (a, b))[0] for values, a, b in pairs])


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
