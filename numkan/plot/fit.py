"""Predictions beside the truth, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import FloatArray, as_float_array, check_flag
from numkan.model.network import Network, check_model
from numkan.plot.axes import BLUE, GREY, check_axes, new_axes, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_fit"]

_MARKS = "o^sDv"  # by output, so that outputs differ in grey too
_NAMED = 8  # outputs that the legend has room for


def plot_fit(model: Network, x: Any, y: Any, ax: Axes | None = None, *, residuals: bool = False) -> Axes:
    """Draw predictions over the true values, or what they miss over the predictions.

    Parameters
    ----------
    model : KAN
    x : array_like, shape (n, n_in)
    y : array_like, shape (n, n_out), or (n,) where there is one output
        The true values.
    ax : matplotlib Axes, optional
    residuals : bool
        Draw truth less prediction, over the prediction, with a line at 0.

    Returns
    -------
    matplotlib Axes
        One line of marks for each output, with its number and root mean square error as label.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> from numkan.plot import plot_fit
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> ax = plot_fit(KAN([1, 1], seed=0), x, np.sin(3 * x))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('truth', 'prediction')
    """
    residuals = check_flag("residuals", residuals)
    check_axes(ax)
    predicted = check_model(model)(x)
    truth = _truth(y, predicted)
    ax = new_axes(4.2, 3.8) if ax is None else ax
    _draw_samples(ax, predicted, truth, residuals)
    if residuals:
        ax.axhline(0, color=GREY, linewidth=1.0, zorder=1)
    else:
        ax.axline((0, 0), slope=1, color=GREY, linewidth=1.0, zorder=1)
    ax.set_xlabel("prediction" if residuals else "truth")
    ax.set_ylabel("truth less prediction" if residuals else "prediction")
    open_axes(ax)
    if predicted.shape[1] <= _NAMED:
        ax.legend(frameon=False, fontsize=8, handletextpad=0.1)
    return ax


def _truth(y: Any, predicted: FloatArray) -> FloatArray:
    truth = as_float_array("y", y, predicted.dtype)
    truth = truth[:, None] if truth.ndim == 1 and predicted.shape[1] == 1 else truth
    if truth.shape != predicted.shape:
        raise ValueError(f"Argument `y` must have shape {predicted.shape}, not {truth.shape}.")
    return truth


def _draw_samples(ax: Axes, predicted: FloatArray, truth: FloatArray, residuals: bool) -> None:
    from matplotlib import colormaps  # slow to import

    count = predicted.shape[1]
    colours = [BLUE] if count == 1 else [tuple(row) for row in colormaps["viridis"](np.linspace(0.0, 0.85, count))]
    many = len(predicted) > 1000
    style: dict[str, Any] = {"markersize": 2 if many else 4, "alpha": 0.35 if many else 0.7, "markeredgewidth": 0}
    for o, colour in enumerate(colours):
        with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest ones
            missed = truth[:, o] - predicted[:, o]
            text = f"RMSE {np.sqrt(np.mean(np.square(missed))) if len(missed) else np.nan:.3g}"
        label = text if count == 1 else f"$y_{{{o}}}$: {text}"
        across, up = (predicted[:, o], missed) if residuals else (truth[:, o], predicted[:, o])
        ax.plot(across, up, _MARKS[o % len(_MARKS)], color=colour, label=label, rasterized=many, zorder=2, **style)
