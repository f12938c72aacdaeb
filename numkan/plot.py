"""Pictures: a network as curves on edges, a fit's history, a basis.

Every function draws on matplotlib axes and returns them; without axes it makes a figure with one. Matplotlib is
imported when a picture is drawn, not before: it takes longer to import than numkan itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import FloatArray, as_float_array, check_integer, check_length
from numkan._shown import shown
from numkan.base import base_and_slope
from numkan.layer.layer import KANLayer
from numkan.model.network import Network
from numkan.spline.basis import B_batch
from numkan.spline.curve import coef2curve
from numkan.spline.knots import check_grid_row, common_dtype

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["edge_values", "plot_basis", "plot_history", "plot_network"]

#: Okabe and Ito's palette, which the colour-blind can tell apart.
BLUE, ORANGE, GREY, BLACK = "#0072B2", "#D55E00", "#8C8C8C", "#222222"

_POINTS = 101  # of one curve

#: The opacity of an edge is computed from about this many samples, taken at equal steps.
_MAX_SAMPLES = 2000
_COLUMNS = 32  # boxes side by side, before they are stacked
_BOX = 0.68  # width of a box, where one of them has width 1 to stand in
_FILLED = 0.82  # share of its box that a curve takes
_FAINTEST = 0.15  # opacity of the edge that does least


# --- a network ----------------------------------------------------------------------------------------------------


def edge_values(layer: KANLayer, x: FloatArray) -> FloatArray:
    r"""Return every edge's function :math:`\phi_{io}(x_{ni})`, shape (n, n_in, n_out), at x (n, n_in).

    Their sum over the inputs is the layer's output.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KANLayer
    >>> layer, x = KANLayer(3, 2), np.array([[0.1, -0.4, 0.9]])
    >>> bool(np.allclose(edge_values(layer, x).sum(axis=1), layer(x)))
    True
    """
    curve = coef2curve(x, layer.grid, layer.coef, layer.k, extrapolate=layer.extrapolate)
    b = base_and_slope(layer._base, x)[0][:, :, None]
    values: FloatArray = layer.mask * (layer.scale_base * b + layer.scale_sp * curve)
    return values


def plot_network(
    model: Network,
    x: Any = None,
    ax: Axes | None = None,
    *,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    formula: Any = None,
) -> Axes:
    """Draw a network: nodes in rows, inputs at the bottom, and every edge as a small curve of its function.

    A curve runs over the range of its input and is scaled to its own height. Its opacity shows the standard deviation
    of the edge's values, relative to the strongest edge of its layer. Masked edges are faint and dotted.

    Parameters
    ----------
    model : KAN
    x : array_like, shape (n, n_in), optional
        Samples whose activations determine ranges and opacities; by default the domains of the grids do.
    ax : matplotlib Axes, optional
    inputs, outputs : sequence of str, optional
        Names of the nodes; by default x_0, x_1, ... and y_0, y_1, ....
    formula : numkan.symbolic.Formula, optional
        A formula that was found from this network; the names of its functions are written on the edges.

    Returns
    -------
    matplotlib Axes
        Each curve is a line whose gid is ``edge-<layer>-<input>-<output>``.

    Examples
    --------
    >>> from numkan import KAN
    >>> from numkan.plot import plot_network
    >>> ax = plot_network(KAN([2, 3, 1], seed=0), inputs=["mass", "radius"], outputs=["force"])
    >>> sorted(line.get_gid() for line in ax.lines if line.get_gid())[:2]
    ['edge-0-0-0', 'edge-0-0-1']
    """
    if not isinstance(model, Network):
        raise TypeError(f"Argument `model` must be a network, not {type(model).__name__}.")
    _check_axes(ax)
    names = [_names("inputs", inputs, "x", model.n_in), _names("outputs", outputs, "y", model.n_out)]
    acts = None if x is None else [_drawable(act) for act in model.activations(x)]
    if ax is None:
        columns = max(min(layer.n_in * layer.n_out, _COLUMNS) for layer in model.act_fun)
        ax = _new_axes(min(max(4.0, 0.45 * columns), 12.0), 0.4 + 1.9 * model.depth)
    nodes = [np.stack([(np.arange(n) + 0.5) / n, np.full(n, float(row))], axis=1) for row, n in enumerate(model.width)]
    for depth, layer in enumerate(model.act_fun):
        at = np.linspace(*_ranges(layer, None if acts is None else acts[depth]), _POINTS, dtype=layer.dtype)
        curves = edge_values(layer, at)
        some = None if acts is None else acts[depth][:: max(1, -(-len(acts[depth]) // _MAX_SAMPLES))]
        spread = _spread(curves if some is None else edge_values(layer, some))
        _draw_layer(ax, depth, layer, curves, _opacity(spread), nodes)
    _draw_nodes(ax, nodes, names)
    if formula is not None:
        _write_symbols(ax, model, formula)
    return ax


def _write_symbols(ax: Axes, model: Network, formula: Any) -> None:
    """Write the name of its function above every edge that a formula knows."""
    edges = getattr(formula, "edges", None)
    if not isinstance(edges, Mapping):
        raise TypeError(f"Argument `formula` must be a formula of numkan.symbolic, not {type(formula).__name__}.")
    boxes = [_boxes(layer.n_in, layer.n_out) for layer in model.act_fun]
    for (depth, i, o), match in edges.items():
        if depth >= model.depth or i >= model.width[depth] or o >= model.width[depth + 1]:
            raise ValueError(f"Argument `formula` must be of this network, which has no edge {(depth, i, o)}.")
        across, up, _, half_height = boxes[depth][i, o]
        style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8, "color": ORANGE, "zorder": 5}
        style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # hides the line behind
        ax.text(across, depth + up + 1.05 * half_height, match.label, gid=f"symbol-{depth}-{i}-{o}", **style)


def _drawable(act: FloatArray) -> FloatArray:
    """Return activations with NaN for those that cannot be drawn: NaN, infinite, or with squares beyond the dtype."""
    return np.where(np.abs(act) < np.sqrt(np.finfo(act.dtype).max) / 16, act, np.nan)


def _spread(values: FloatArray) -> FloatArray:
    """Return the standard deviation of the finite values along the first axis, 0 where there are none."""
    finite = np.isfinite(values)
    count = np.maximum(finite.sum(axis=0), 1)
    mean = np.sum(values, axis=0, where=finite) / count
    spread: FloatArray = np.sqrt(np.sum(np.square(values - mean), axis=0, where=finite) / count)
    return spread


def _names(argument: str, given: Sequence[str] | None, letter: str, count: int) -> list[str]:
    if given is None:
        return [f"${letter}_{{{place}}}$" for place in range(count)]
    if isinstance(given, str) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        raise TypeError(f"Argument `{argument}` must be a list of names, not {shown(given)}.")
    given = list(given)
    check_length(argument, given, count, "node")
    return [str(name) for name in given]


def _ranges(layer: KANLayer, x: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Return the ends (n_in,) between which the curves of each input are drawn."""
    domain = layer.grid[:, layer.k], layer.grid[:, -1 - layer.k]
    if x is None:
        return domain
    finite = np.isfinite(x)
    found = finite.any(axis=0)
    low = np.where(found, np.min(x, axis=0, initial=np.inf, where=finite), domain[0])
    high = np.where(found, np.max(x, axis=0, initial=-np.inf, where=finite), domain[1])
    flat = low == high
    return np.where(flat, low - 0.01, low), np.where(flat, high + 0.01, high)


def _opacity(spread: FloatArray) -> FloatArray:
    """Return the opacity of each edge (n_in, n_out), relative to the strongest."""
    strongest = np.nanmax(spread)
    share = np.nan_to_num(spread) / strongest if strongest > 0 else np.zeros_like(spread)
    opacity: FloatArray = _FAINTEST + (1 - _FAINTEST) * np.sqrt(share)  # the root makes weak edges visible
    return opacity


def _boxes(n_in: int, n_out: int) -> FloatArray:
    """Return the middle (across, up) and the half sizes of every edge's box, shape (n_in, n_out, 4).

    Across in [0, 1]; up in [0, 1] from the layer's inputs to its outputs. Boxes stand in one row, input by input; many
    of them are stacked, each row shifted so that the lines to the rows above find a way between.
    """
    rows = -(-n_in * n_out // _COLUMNS)
    columns = -(-n_out // rows)
    pitch = 1.0 / (n_in * columns)
    out = np.empty((n_in, n_out, 4))
    for o in range(n_out):
        column, row = divmod(o, rows)
        shift = (row + 0.5) / rows if rows > 1 else 0.5
        out[:, o, 0] = (np.arange(n_in) * columns + column + shift) * pitch
        out[:, o, 1] = 0.5 if rows == 1 else 0.32 + 0.36 * row / (rows - 1)
    out[..., 2] = min(_BOX * pitch, 0.2) / 2
    out[..., 3] = 0.13 if rows == 1 else min(0.13, 0.15 / (rows - 1))
    return out


def _draw_layer(
    ax: Axes, depth: int, layer: KANLayer, curves: FloatArray, opacity: FloatArray, nodes: list[FloatArray]
) -> None:
    """Draw the edges of one layer, whose functions take the values curves (n, n_in, n_out)."""
    boxes = _boxes(layer.n_in, layer.n_out)
    low, high = np.nanmin(curves, axis=0), np.nanmax(curves, axis=0)
    least = max(1e-3 * np.nanmax(high - low), np.finfo(np.float64).tiny)  # rounding errors are drawn flat
    heights = np.maximum(high - low, least)
    width = float(np.clip(150 * boxes[0, 0, 2], 1.0, 1.8))
    for i, o in np.ndindex(layer.n_in, layer.n_out):
        masked = layer.mask[i, o] == 0
        style: dict[str, Any] = {"linestyle": ":" if masked else "-", "alpha": _FAINTEST if masked else opacity[i, o]}
        box = boxes[i, o] + [0, depth, 0, 0]
        _draw_box(ax, box, nodes[depth][i], nodes[depth + 1][o], width / 2, style)
        inside = (curves[:, i, o] - (low[i, o] + high[i, o]) / 2) / heights[i, o]  # in [-1/2, 1/2]
        at = box[0] + np.linspace(-_FILLED, _FILLED, len(inside)) * box[2]
        style |= {"color": GREY if masked else BLUE, "linewidth": width, "zorder": 3}
        ax.plot(at, box[1] + 2 * _FILLED * box[3] * inside, gid=f"edge-{depth}-{i}-{o}", **style)


def _draw_box(
    ax: Axes, box: FloatArray, below: FloatArray, above: FloatArray, width: float, style: dict[str, Any]
) -> None:
    """Draw the box of an edge, and the lines to it from the nodes below and above."""
    from matplotlib.patches import Rectangle  # slow to import

    across, up, half_width, half_height = box
    for node, end in ((below, up - half_height), (above, up + half_height)):
        ax.plot([node[0], across], [node[1], end], color=GREY, linewidth=width, zorder=1, **style)
    corner = (across - half_width, up - half_height)
    size = (2 * half_width, 2 * half_height)
    ax.add_patch(Rectangle(corner, *size, facecolor="white", edgecolor="none", zorder=2))  # hides the lines behind
    alpha = style["alpha"]
    ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=GREY, linewidth=0.6, alpha=alpha, zorder=2))


def _draw_nodes(ax: Axes, nodes: list[FloatArray], names: list[list[str]]) -> None:
    crowded = max(len(row) for row in nodes)
    for row in nodes:
        ax.plot(row[:, 0], row[:, 1], "o", color=BLACK, markersize=float(np.clip(60 / crowded, 3, 7)), zorder=4)
    for row, texts, offset, side in ((nodes[0], names[0], -9, "top"), (nodes[-1], names[1], 9, "bottom")):
        for place, text in zip(row, texts, strict=True):
            ax.annotate(
                text, tuple(place), (0, offset), textcoords="offset points", ha="center", va=side, annotation_clip=False
            )
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.16, len(nodes) - 0.84)
    ax.set_axis_off()


# --- a fit --------------------------------------------------------------------------------------------------------


def plot_history(history: Any, ax: Axes | None = None) -> Axes:
    """Draw the loss of a fit by step on a logarithmic axis, with validation where there was one, and the grids.

    Parameters
    ----------
    history : result of `fit`, or its ``history``
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        Lines labelled ``train`` and ``validation``; a vertical line where the number of grid intervals changed.

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
    history = getattr(history, "history", history)
    if not (isinstance(history, Mapping) or (hasattr(history, "step") and hasattr(history, "train"))):
        raise TypeError(f"Argument `history` must be a fit's result or its history, not {type(history).__name__}.")
    _check_axes(ax)
    step, train, validation, grid = (_column(history, name) for name in ("step", "train", "validation", "grid"))
    ax = _new_axes(6.0, 3.6) if ax is None else ax
    ax.plot(step, train, color=BLUE, linewidth=1.8, label="train")
    if validation.size and np.isfinite(validation).any():
        ax.plot(step, validation, color=ORANGE, linewidth=1.5, linestyle="--", label="validation")
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    begins = [0, *(np.flatnonzero(np.diff(grid)) + 1)] if grid.size else []
    for begin in begins:
        if begin:
            ax.axvline((step[begin - 1] + step[begin]) / 2, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    if len(begins) > 1:
        for begin, end in zip(begins, [*begins[1:], len(step) - 1], strict=True):
            middle = (step[begin] + step[end]) / 2
            text = f"G = {int(grid[begin])}"
            ax.text(middle, 1.02, text, transform=ax.get_xaxis_transform(), ha="center", va="bottom", color=BLACK)
    ax.margins(x=0.02)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return ax


def _column(history: Any, name: str) -> FloatArray:
    """Return one column of a history, which is an object or a mapping; empty where it has none."""
    values = history.get(name) if isinstance(history, Mapping) else getattr(history, name, None)
    if values is None:
        return np.empty(0)
    try:
        return np.array([np.nan if value is None else value for value in values], np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"Argument `history` must have a list of numbers as `{name}`, not {shown(values)}.") from None


# --- a basis ------------------------------------------------------------------------------------------------------


def plot_basis(grid: Any, k: int, ax: Axes | None = None) -> Axes:
    """Draw the basis functions of one input over their knots, and the domain.

    Parameters
    ----------
    grid : array_like, shape (G + 2k + 1,) or (1, G + 2k + 1)
        Extended knots.
    k : int
        Degree.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        One line for each basis function, from the first knot to the last; the outside of the domain is shaded.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.plot import plot_basis
    >>> from numkan.spline import extend_grid
    >>> ax = plot_basis(extend_grid(np.linspace(-1, 1, 6)[None, :], k_extend=3), k=3)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x', '$B_p(x)$')
    """
    from matplotlib import colormaps  # slow to import

    _check_axes(ax)
    k = check_integer("k", k, 0)
    rows = as_float_array("grid", grid, common_dtype(grid))
    knots = check_grid_row("grid", rows[0] if rows.ndim == 2 and len(rows) == 1 else rows, k, rows.dtype)
    n_basis = len(knots) - 1 - k
    at = np.union1d(np.linspace(knots[0], knots[-1], 80 * (len(knots) - 1) + 1), knots).astype(knots.dtype)
    basis = B_batch(at[:, None], knots[None, :], k)[:, 0]
    ax = _new_axes(6.0, 3.6) if ax is None else ax
    colours = colormaps["viridis"](np.linspace(0.0, 0.9, n_basis))
    for p in range(n_basis):
        inside = (at >= knots[p]) & (at <= knots[p + k + 1])
        ax.plot(at[inside], basis[inside, p], color=tuple(colours[p]), linewidth=1.8, label=f"$B_{{{p}}}$")
    for outside in ((knots[0], knots[k]), (knots[n_basis], knots[-1])):
        if k:
            ax.axvspan(float(outside[0]), float(outside[1]), color=GREY, alpha=0.12, linewidth=0)
    ax.plot(knots, np.zeros(len(knots)), "|", color=BLACK, markersize=9, clip_on=False, zorder=3)
    ax.set_xlabel("x")
    ax.set_ylabel("$B_p(x)$")
    ax.margins(x=0)
    ax.set_ylim(bottom=0)
    ax.spines[["top", "right"]].set_visible(False)
    if n_basis <= 12:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _check_axes(ax: object) -> None:
    """Say that `ax` must be something to draw on, where it is given."""
    from matplotlib.axes import Axes

    if not (ax is None or isinstance(ax, Axes)):
        raise TypeError(f"Argument `ax` must be Axes of matplotlib or None, not {shown(ax)}.")


def _new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of this size in inches."""
    import matplotlib.pyplot as plt  # slow to import

    return plt.subplots(figsize=(width, height), layout="constrained")[1]
