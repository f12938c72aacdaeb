"""Tests of whether residuals are noise, or a function of the inputs.

If residuals are a smooth function of the inputs, those of neighbours are alike; if they are noise, they are not. The
statistic is the mean product of residuals of nearest neighbours, in units of its standard error under independence.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from numkan._check import FloatArray

__all__ = ["alike", "correlated", "explained"]

_MOST = 3000


def alike(x: FloatArray, residual: FloatArray) -> float:
    """Return the correlation of neighbours' residuals in standard errors; below 3 it may be chance."""
    x, residual = x[:_MOST], residual[:_MOST]
    spread = np.std(x, axis=0)
    scaled = x[:, spread > 0] / spread[spread > 0]
    ranks = np.argsort(np.argsort(residual, kind="stable"), kind="stable").astype(np.float64)
    r = (ranks - ranks.mean()) / (ranks.std() or 1.0)  # ranks: a few large residuals do not decide
    if scaled.shape[1] == 0:
        return 0.0
    at = np.asarray(cKDTree(scaled).query(scaled, k=4)[1])[:, 1:]
    products = r[:, None] * r[at]
    return float(products.mean() * np.sqrt(len(r) * 3 / 1.7))  # neighbours are often each other's


def explained(x: FloatArray, residual: FloatArray) -> float:
    """Return the correlation of a smooth model of half of the residuals with the other half, in standard errors."""
    n = min(len(x), _MOST)
    x, residual = x[:n], residual[:n]
    spread = np.std(x, axis=0)
    z = (x - x.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    d = z.shape[1]
    columns = [np.ones(n)] + [z[:, i] for i in range(d)]
    columns += [z[:, i] * z[:, j] for i in range(d) for j in range(i + 1)]
    columns += [z[:, i] ** 3 for i in range(d)] + [np.sin(2.5 * z[:, i]) for i in range(d)]
    design = np.stack(columns, axis=1)
    half = n // 2
    if half < 2 * design.shape[1]:
        return 0.0
    coef = np.linalg.lstsq(design[:half], residual[:half])[0]
    model, rest = design[half:] @ coef, residual[half:]
    model, rest = model - model.mean(), rest - rest.mean()
    size = float(np.linalg.norm(model) * np.linalg.norm(rest))
    return float(model @ rest) / size * float(np.sqrt(n - half)) if size > 0.0 else 0.0


def correlated(one: FloatArray, two: FloatArray) -> float:
    """Return the size of the correlation of two series in standard errors."""
    one, two = one - one.mean(), two - two.mean()
    size = float(np.linalg.norm(one) * np.linalg.norm(two))
    return abs(float(one @ two)) / size * float(np.sqrt(len(one))) if size > 0.0 else 0.0
