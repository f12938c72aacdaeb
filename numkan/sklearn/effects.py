r"""Effects of the columns of a table on the predictions of an average of networks, with their bands.

The effect of column j is the mean prediction with other values in that column, over rows of the table (partial
dependence),

.. math:: e_j(v) = \frac{1}{n} \sum_n \hat y(x_n \text{ with } v \text{ in column } j),

less its own mean over the table. For additive networks it is their curve, whatever the rows are. Bands are those of the
mixture of the networks, each with its posterior. The share of the variance that an effect explains is
:math:`\operatorname{cov}(e_j, \hat y) / \operatorname{var}(\hat y)`; what is missing to 1 in all are interactions.

References
----------
J. H. Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29 (2001).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._encoding import Category, Column
from numkan.additive import Effect
from numkan.kan import KAN
from numkan.model.posterior import group_contrast_std
from numkan.sklearn.inputs import Inputs

__all__ = ["Average", "column_effects"]

Floats = NDArray[np.float64]

#: Values of a column of numbers, and rows that networks with hidden layers are averaged over.
_POINTS, _ROWS = 51, 200


class Average(NamedTuple):
    """An average of networks, in the units of the targets."""

    weights: Floats
    models: tuple[KAN, ...]
    scale: Floats  # of the outputs (n_out,)
    factor: Floats  # of the deviations (n_out,)


def column_effects(average: Average, inputs: Inputs, cells: Floats) -> list[Effect]:
    """Return the effect of every column of a table, whose cells are as a reader returns them."""
    z = inputs(cells)
    said = sum(weight * model(z) for weight, model in zip(average.weights, average.models, strict=True))
    said = average.scale * (said - np.mean(said, axis=0))
    pairs = zip(inputs.columns, inputs.of_columns, cells.T, strict=True)
    return [_effect(average, column, place, z, own, said) for column, place, own in pairs]


def _effect(average: Average, column: Column, place: slice, z: Floats, own: Floats, said: Floats) -> Effect:
    shown, values, at_rows = _points(column, own)
    weight = at_rows.mean(axis=0)
    curves, squares = [], []
    for model in average.models:
        rows = z[:: -(-len(z) // (_ROWS if model.depth > 1 else 1))]
        groups = np.repeat(rows[None], len(values), axis=0)
        groups[:, :, place] = values[:, None, :]
        curve = model(groups.reshape(-1, z.shape[1])).reshape(*groups.shape[:2], -1).mean(axis=1)
        curves.append(average.scale * (curve - weight @ curve))
        squares.append(np.square(average.scale * group_contrast_std(model, groups, weight)))
    mean = np.tensordot(average.weights, np.array(curves), axes=1)
    spread = np.array(squares) + np.square(np.array(curves) - mean)
    std = average.factor * np.sqrt(np.tensordot(average.weights, spread, axes=1))
    whole = np.square(said).sum(axis=0)
    share = (at_rows @ mean * said).sum(axis=0) / np.where(whole > 0.0, whole, 1.0)
    return Effect(column.name, shown, mean, std, share)


def _points(column: Column, own: Floats) -> tuple[Any, Floats, Floats]:
    """Return values of a column as they are, as inputs, and rows (n, m) that interpolate between them at its cells.

    At gaps, and at categories that the fit has not seen, the rows are 0: the effect there is 0.
    """
    if isinstance(column, Category):
        codes = np.arange(len(column.levels))
        values = np.zeros((len(codes), len(column.inputs)))
        column.encode_codes(codes, values)
        return np.array(column.levels), values, (own[:, None] == codes).astype(np.float64)
    there = own[~np.isnan(own)]
    low, high = (float(there.min()), float(there.max())) if len(there) else (0.0, 0.0)
    points = np.linspace(low, high, _POINTS)
    values = np.zeros((_POINTS, len(column.inputs)))
    column.encode(points, values)
    step = (high - low) / (_POINTS - 1) or 1.0
    distance = np.abs(own[:, None] - points) / step
    return points, values, np.nan_to_num(np.maximum(1.0 - distance, 0.0)) * (~np.isnan(own))[:, None]
