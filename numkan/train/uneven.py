r"""Noise that is not the same everywhere, which one deviation cannot describe.

Squares of the residuals, over their mean, are regressed on the predictions and their squares, and on each input. Where
the noise is the same everywhere, :math:`n R^2` has a chi-squared distribution of 2 degrees of freedom, whatever the
kurtosis of the noise. The smallest of the probabilities counts, times their number.

References
----------
R. Koenker, "A note on studentizing a test for heteroscedasticity", Journal of Econometrics 17 (1981).
"""

from __future__ import annotations

import numpy as np

from numkan._check import FloatArray

__all__ = ["uneven_noise"]

#: Noise varies if chance alone would show as much in less than this share of fits, and its deviation by this factor.
_CHANCE, _FACTOR = 1e-3, 1.5

#: Residuals are noise where their root mean square is more than this share of the targets' deviation.
_POOR = 0.03

#: The factor compares these quantiles of the deviations; no variance is taken to be less than the last number.
_SHARES, _LEAST = (0.1, 0.9), 0.05

#: At most this many samples are looked at.
_MOST = 20_000


def uneven_noise(x: FloatArray, predictions: FloatArray, residuals: FloatArray, root_weight: FloatArray) -> str:
    """Return a sentence where the deviation of residuals (n, n_out) varies with predictions or inputs, or nothing.

    Predictions and residuals are in deviations of the targets. Rows of weight 0 do not count.
    """
    rows = np.flatnonzero(root_weight) if root_weight.size else np.arange(len(x))
    rows = rows[:: -(-len(rows) // _MOST)]
    x, predictions, residuals = (values[rows] for values in (x, predictions, residuals))
    if not float(np.square(residuals).mean()) > _POOR**2:
        return ""
    of_inputs = [(f"input {i}", column) for i, column in enumerate(x.T)]
    worst, where, factor = 1.0, "", 1.0
    for said, residual in zip(predictions.T, residuals.T, strict=True):
        for name, column in [("the prediction", said), *of_inputs]:
            chance, ratio = _variation(column, residual)
            if chance < worst:
                worst, where, factor = chance, name, ratio
    if not (worst * predictions.shape[1] * (len(of_inputs) + 1) < _CHANCE and factor > _FACTOR):
        return ""
    return (
        f" The noise is not the same everywhere: its deviation varies with {where}, by a factor of about {factor:.2g}. "
        "Intervals have one for all, and are too wide or too narrow there."
    )


def _variation(column: FloatArray, residual: FloatArray) -> tuple[float, float]:
    """Return the probability that chance shows so much variation with a column, and the factor of the deviation."""
    squares, spread = np.square(residual), float(column.std())
    mean = float(squares.mean())
    if len(squares) < 4 or not (spread > 0.0 and mean > 0.0 and np.isfinite(spread)):
        return 1.0, 1.0
    u = (column - column.mean()) / spread
    table = np.column_stack([np.ones(len(u)), u, np.square(u)])
    about = squares / mean - 1.0
    fitted = table @ np.linalg.lstsq(table, about, rcond=1e-9)[0]
    explained, whole = float(np.square(fitted).sum()), float(np.square(about).sum())
    low, high = np.quantile(np.maximum(1.0 + fitted, _LEAST), _SHARES)
    chance = float(np.exp(-0.5 * len(u) * explained / whole)) if whole > 0.0 else 1.0  # of chi-squared, 2 degrees
    return chance, float(np.sqrt(high / low))
