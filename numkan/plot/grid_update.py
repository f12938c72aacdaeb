"""An edge before its grid was changed, and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numkan.model.network import Network, check_model
from numkan.plot.axes import BLUE, ORANGE, check_axes, check_edge, new_axes, open_axes
from numkan.plot.density import draw_density
from numkan.plot.edge import draw_knots, range_of
from numkan.plot.values import drawable, edge_parts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_grid_update"]

_POINTS = 801


def plot_grid_update(
    models: tuple[Network, Network], layer: int, i: int, o: int, x: Any = None, ax: Axes | None = None
) -> Axes:
    """Draw the function of one edge before a change of its grid and after, each with its knots.

    Parameters
    ----------
    models : (KAN, KAN)
        Before and after, of the same width: for instance ``model.copy()``, and `model` once its grids were updated.
    layer, i, o : int
        The edge, counted from 0.
    x : array_like, shape (n, n_in), optional
        Samples; a histogram shows where the edge's inputs lie, as the network after the change has them.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        Lines labelled ``before`` and ``after``; knots have the gid ``knots``, the histogram ``density``.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> from numkan.plot import plot_grid_update
    >>> model, x = KAN([1, 1], seed=0), np.random.default_rng(0).normal(size=(100, 1))
    >>> before = model.copy()
    >>> model.update_grid_from_samples(x)
    >>> ax = plot_grid_update((before, model), 0, 0, 0, x)
    >>> [line.get_label() for line in ax.lines if line.get_gid() != "knots"]
    ['before', 'after']
    """
    before, after = _pair(models)
    depth, i, o = check_edge(after, layer, i, o)
    check_axes(ax)
    values = None if x is None else drawable(after.activations(x)[depth][:, i])
    own = [model.act_fun[depth] for model in (before, after)]
    knots = [layer.grid[i, layer.k : layer.grid.shape[1] - layer.k] for layer in own]
    ax = new_axes(4.6, 3.2) if ax is None else ax
    low, high = range_of(np.concatenate([np.sort([each[0], each[-1]]) for each in knots]), values)
    low, high = min(low, *(float(each[0]) for each in knots)), max(high, *(float(each[-1]) for each in knots))
    styles = (("before", ORANGE, "--", 0.045), ("after", BLUE, "-", 0.0))
    for mine, own_knots, (label, color, line, height) in zip(own, knots, styles, strict=True):
        at = np.linspace(low, high, _POINTS, dtype=mine.dtype)
        ax.plot(at, np.sum(edge_parts(mine, i, o, at), axis=0), line, color=color, linewidth=1.8, label=label)
        draw_knots(ax, own_knots, height, color)
    if values is not None:
        draw_density(ax, values)
    ax.set_xlabel(f"$x_{{{i}}}$" if depth == 0 else f"node {i} of row {depth}")
    ax.set_ylabel(rf"$\varphi_{{{depth},{i},{o}}}$")
    ax.margins(x=0)
    open_axes(ax)
    ax.legend(frameon=False, fontsize=8)
    return ax


def _pair(models: Any) -> tuple[Network, Network]:
    if not isinstance(models, tuple | list) or len(models) != 2:
        raise TypeError(f"Argument `models` must be two networks, before and after, not {type(models).__name__}.")
    before, after = (check_model(model, f"models[{place}]") for place, model in enumerate(models))
    if before.width != after.width:
        raise ValueError(f"Argument `models` must be two networks of one width, not {before.width} and {after.width}.")
    return before, after
