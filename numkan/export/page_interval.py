"""How sure the model is, for a page: a root of its posterior, by which the page finds deviations as Python does.

The page differentiates the outputs by the coefficients and multiplies by the root, see :mod:`numkan.model.posterior`.
A triangular root is as good as any other one of the same posterior, and has half as many numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.export.page_data import curve_tables, floats, integers
from numkan.model.least_squares import spline_layer
from numkan.model.network import Network
from numkan.model.posterior import CONVENTIONS, current_posterior
from numkan.spline.pieces import local_pieces

__all__ = ["interval_data"]


def interval_data(model: Network, limit: float) -> dict[str, Any] | None:
    """Return what a page needs for intervals; the reason, where the model has none; None above `limit` bytes."""
    try:
        posterior = current_posterior(model)
    except RuntimeError as error:
        return {"none": f"Predictions have no interval. {error}"}
    size = len(posterior.root)
    if size * (size + 1) / 2 * 8 * 4 / 3 > limit:
        return None
    root: FloatArray = np.asarray(np.linalg.qr(posterior.root, mode="r"))
    columns, rows = np.tril_indices(size)  # column by column: the page reads those of the coefficients that count at x
    return {
        "size": size,
        "noise": posterior.noise if math.isfinite(posterior.noise) else None,
        "root": floats(root[rows, columns]),
        "live": [integers(np.flatnonzero(spline_layer(layer)[0].live)) for layer in model.act_fun],
        "tables": {
            str(depth): curve_tables(local_pieces(layer.grid.astype(np.float64), layer.k, "continue"), layer.k)
            for depth, layer in enumerate(model.act_fun)
            if layer.extrapolate in CONVENTIONS
        },
    }
