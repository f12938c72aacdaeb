"""One edge: its function, the parts that it is the sum of, its knots, and where the samples are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import FloatArray
from numkan.model.network import Network, check_model
from numkan.plot.axes import BLACK, BLUE, GREY, ORANGE, check_axes, check_edge, new_axes, open_axes
from numkan.plot.density import draw_density
from numkan.plot.values import drawable, edge_parts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_knots", "plot_edge", "range_of"]

_POINTS = 801  # of a curve


def plot_edge(model: Network, layer: int, i: int, o: int, x: Any = None, ax: Axes | None = None) -> Axes:
    r"""Draw the function of one edge, from input `i` to output `o` of a layer.

    Its base part and its spline part are drawn beside it, and the knots as ticks. With samples, a histogram shows where
    the edge's inputs lie, and two lines between which values its output does.

    Parameters
    ----------
    model : KAN
    layer, i, o : int
        The edge, counted from 0.
    x : array_like, shape (n, n_in), optional
        Samples of the network's inputs. The curve runs over the grid, and over the activations of all samples.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        Lines labelled ``edge``, ``base`` and ``spline``; knots have the gid ``knots``, the histogram ``density``, and
        the range of the output ``range``. The outside of the grid is shaded.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> from numkan.plot import plot_edge
    >>> model, x = KAN([2, 3, 1], seed=0), np.random.default_rng(0).uniform(-1, 1, (100, 2))
    >>> [line.get_label() for line in plot_edge(model, 1, 2, 0, x).lines][:3]
    ['edge', 'base', 'spline']
    """
    depth, i, o = check_edge(check_model(model), layer, i, o)
    check_axes(ax)
    own = model.act_fun[depth]
    values = None if x is None else drawable(model.activations(x)[depth][:, i])
    knots = own.grid[i, own.k : own.grid.shape[1] - own.k]
    at = np.linspace(*range_of(knots, values), _POINTS, dtype=own.dtype)
    base, spline = edge_parts(own, i, o, at)
    ax = new_axes(4.6, 3.2) if ax is None else ax
    ax.plot(at, base + spline, color=BLUE, linewidth=2.0, label="edge", zorder=3)
    ax.plot(at, base, color=GREY, linewidth=1.2, linestyle="--", label="base")
    ax.plot(at, spline, color=ORANGE, linewidth=1.2, linestyle="-.", label="spline")
    draw_knots(ax, knots, 0.0)
    for begin, end in ((at[0], knots[0]), (knots[-1], at[-1])):
        if begin < end:
            ax.axvspan(float(begin), float(end), color=GREY, alpha=0.12, linewidth=0, zorder=-1)
    if values is not None:
        _draw_range(ax, np.sum(edge_parts(own, i, o, values), axis=0))
        draw_density(ax, values)
    ax.set_xlabel(f"$x_{{{i}}}$" if depth == 0 else f"node {i} of row {depth}")
    ax.set_ylabel(rf"$\varphi_{{{depth},{i},{o}}}$")
    ax.margins(x=0)
    open_axes(ax)
    ax.legend(frameon=False, fontsize=8)
    return ax


def range_of(knots: FloatArray, values: FloatArray | None) -> tuple[float, float]:
    """Return the ends of a curve: over the grid, and over the samples that can be drawn."""
    ends = knots[[0, -1]].astype(np.float64)
    if values is not None and np.isfinite(values).any():
        ends = np.append(ends, [np.nanmin(values), np.nanmax(values)])
    return float(ends.min()), float(ends.max())


def draw_knots(ax: Axes, knots: FloatArray, height: float, color: str = BLACK) -> None:
    """Draw knots as ticks at a height in [0, 1] of the axes."""
    style: dict[str, Any] = {"color": color, "markersize": 8 if len(knots) <= 40 else 4, "clip_on": False, "zorder": 4}
    ax.plot(knots, np.full(len(knots), height), "|", transform=ax.get_xaxis_transform(), gid="knots", **style)


def _draw_range(ax: Axes, outputs: FloatArray) -> None:
    """Draw lines at the least and the largest value of the edge at the samples."""
    finite = outputs[np.isfinite(outputs)]
    if finite.size:
        for value in (finite.min(), finite.max()):
            ax.axhline(float(value), color=BLACK, linewidth=0.6, linestyle=":", gid="range", zorder=1)
