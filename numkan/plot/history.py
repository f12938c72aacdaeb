"""The course of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import FloatArray, check_flag
from numkan._shown import shown
from numkan.plot.axes import BLACK, BLUE, GREY, ORANGE, check_axes, new_axes, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_history"]

#: A stage narrower than this share of the axis has its name turned.
_NARROW = 0.09


def plot_history(history: Any, ax: Axes | None = None, *, rmse: bool = False) -> Axes:
    """Draw the loss of a fit by step on a logarithmic axis, with validation where there was one, and the grids.

    Parameters
    ----------
    history : result of `fit`, or its ``history``
    ax : matplotlib Axes, optional
    rmse : bool
        Draw the roots of the losses, in units of the targets: for mean squares, the default loss of `fit`.

    Returns
    -------
    matplotlib Axes
        Lines labelled ``train`` and ``validation``; a vertical line where a stage begins, and above each stage its
        number of grid intervals. Stages whose grid is not that of the stage before begin with a mark on the axis.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> from numkan.plot import plot_history
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> ax = plot_history(KAN([1, 1], seed=0).fit(x, np.sin(3 * x), grids=[3, 6]))
    >>> ax.get_yscale(), ax.get_xlabel()
    ('log', 'step')
    """
    rmse, loss = check_flag("rmse", rmse), getattr(history, "loss_name", "mse")
    if rmse and loss != "mse":
        raise ValueError(f"Argument `rmse` must be False where the loss is {loss!r}, which has no root mean square.")
    history = getattr(history, "history", history)
    if not (isinstance(history, Mapping) or (hasattr(history, "step") and hasattr(history, "train"))):
        raise TypeError(f"Argument `history` must be a fit's result or its history, not {type(history).__name__}.")
    check_axes(ax)
    step, train, validation, grid, stage = (
        _column(history, name) for name in ("step", "train", "validation", "grid", "stage")
    )
    if rmse:
        train, validation = np.sqrt(train), np.sqrt(validation)
    ax = new_axes(6.0, 3.6) if ax is None else ax
    ax.plot(step, train, color=BLUE, linewidth=1.8, label="train")
    if validation.size and np.isfinite(validation).any():
        ax.plot(step, validation, color=ORANGE, linewidth=1.5, linestyle="--", label="validation")
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("root mean square error" if rmse else "loss")
    if grid.size:
        _draw_stages(ax, step, grid, stage)
    ax.margins(x=0.02)
    open_axes(ax)
    ax.legend(frameon=False)
    return ax


def _draw_stages(ax: Axes, step: FloatArray, grid: FloatArray, stage: FloatArray) -> None:
    """Mark where stages begin, and write their grids above them."""
    regrids = np.flatnonzero(np.diff(grid)) + 1
    others = np.flatnonzero(np.diff(stage)) + 1 if len(stage) == len(grid) else regrids
    begins = [0, *np.union1d(regrids, others).tolist()]
    if len(begins) == 1:
        return
    across = ax.get_xaxis_transform()
    for begin in begins[1:]:
        at = (step[begin - 1] + step[begin]) / 2
        ax.axvline(at, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
        if begin in regrids:
            ax.plot([at], [0], "^", color=GREY, markersize=5, transform=across, clip_on=False, gid=f"regrid-{begin}")
    whole = max(float(step[-1] - step[0]), 1.0)
    for begin, end in zip(begins, [*begins[1:], len(step) - 1], strict=True):
        narrow = step[end] - step[begin] < _NARROW * whole
        middle, text = (step[begin] + step[end]) / 2, f"G = {int(grid[begin])}"
        style: dict[str, Any] = {"rotation": 90 if narrow else 0, "fontsize": 8 if narrow else None}
        ax.text(middle, 1.02, text, transform=across, ha="center", va="bottom", color=BLACK, **style)


def _column(history: Any, name: str) -> FloatArray:
    """Return one column of a history, which is an object or a mapping; empty where it has none."""
    values = history.get(name) if isinstance(history, Mapping) else getattr(history, name, None)
    if values is None:
        return np.empty(0)
    try:
        return np.array([np.nan if value is None else value for value in values], np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"Argument `history` must have a list of numbers as `{name}`, not {shown(values)}.") from None
