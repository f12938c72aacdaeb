"""How samples lie on the grids of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import FloatArray
from numkan.layer.layer import KANLayer
from numkan.model.network import Network, check_model
from numkan.plot.axes import BLACK, GREY, ORANGE, check_axes, new_axes, node_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_coverage"]

_MOST = 40  # rows that have their names and shares written beside them
_BESIDE = 0.25  # how far beyond the grid samples are drawn, in lengths of the grid
_SHADE = (0.0, 0.447, 0.698)  # as BLUE


def plot_coverage(model: Network, x: Any, ax: Axes | None = None, *, inputs: Sequence[str] | None = None) -> Axes:
    """Draw how samples lie on the grids: one bar for each input of each layer, drawn to one length.

    Each span of a grid is the darker, the more of the samples it holds; spans that hold none are hatched. A line from
    the least sample to the largest shows what lies beyond the grid.

    Parameters
    ----------
    model : KAN
    x : array_like, shape (n, n_in)
    ax : matplotlib Axes, optional
    inputs : sequence of str, optional
        Names of the inputs.

    Returns
    -------
    matplotlib Axes
        With one row for each input of each layer, the first layer's at the top. At the right stands the share of
        samples outside the grid, where there are some.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> from numkan.plot import plot_coverage
    >>> ax = plot_coverage(KAN([1, 1], grid_range=(-1, 1), seed=0), np.linspace(-1, 3, 101)[:, None])
    >>> [text.get_text() for text in ax.texts]
    ['50 % outside']
    """
    names = node_names("inputs", inputs, "x", check_model(model).n_in)
    check_axes(ax)
    samples = model._samples(x)
    acts, shares = model.activations(samples), model.coverage(samples)
    count = sum(model.width[:-1])
    ax = new_axes(5.0, min(0.7 + 0.26 * count, 9.0)) if ax is None else ax
    row, labels = 0, []
    for depth, layer in enumerate(model.act_fun):
        for i in range(layer.n_in):
            _draw_row(ax, row, layer, i, acts[depth][:, i])
            outside = float(shares[depth].outside[i])
            if outside > 0 and count <= _MOST:
                text = f"{100 * outside:.2g} % outside"
                ax.text(1.03 + _BESIDE, row, text, ha="left", va="center", fontsize=7, color=BLACK)
            labels.append(names[i] if depth == 0 else f"layer {depth}, node {i}")
            row += 1
    ax.set_xlim(-_BESIDE, 1 + _BESIDE)
    ax.set_ylim(count - 0.4, -0.6)
    ax.set_yticks(range(count) if count <= _MOST else [], labels if count <= _MOST else [], fontsize=8)
    ax.set_xticks([0, 1], ["grid begins", "grid ends"])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _draw_row(ax: Axes, row: int, layer: KANLayer, i: int, values: FloatArray) -> None:
    """Draw the spans of one input's grid, and the range of its samples."""
    from matplotlib.collections import PolyCollection  # slow to import

    knots = np.unique(layer.grid[i, layer.k : layer.grid.shape[1] - layer.k].astype(np.float64))
    finite = values[np.isfinite(values)].astype(np.float64)
    counts, _ = np.histogram(finite, knots)
    at = (knots - knots[0]) / (knots[-1] - knots[0])
    left, right = at[:-1], at[1:]
    low, high = np.full(len(left), row - 0.36), np.full(len(left), row + 0.36)
    spans = np.stack([np.stack(pair, axis=1) for pair in ((left, low), (right, low), (right, high), (left, high))], 1)
    density = counts / (right - left)
    shade = 0.15 + 0.65 * density / max(float(density.max()), 1e-300)
    for chosen, style in (
        (
            counts > 0,
            {"facecolors": [(0.0, 0.447, 0.698, alpha) for alpha in shade[counts > 0]], "edgecolors": "white"},
        ),
        (counts == 0, {"facecolors": "white", "edgecolors": ORANGE, "hatch": "/////"}),
    ):
        if chosen.any():
            ax.add_collection(PolyCollection(list(spans[chosen]), linewidths=0.4, **style))
    if finite.size:
        ends = (np.array([finite.min(), finite.max()]) - knots[0]) / (knots[-1] - knots[0])
        seen = np.clip(ends, -_BESIDE, 1 + _BESIDE)
        ax.plot(seen, [row, row], color=BLACK if len(knots) < 60 else GREY, linewidth=1.0, solid_capstyle="butt")
