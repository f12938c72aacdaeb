"""A network: nodes in rows, inputs at the bottom, and every edge as a small curve of its function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray, check_flag, check_integer
from numkan.model.network import Network, check_model
from numkan.plot.axes import BLACK, BLUE, GREY, ORANGE, check_axes, new_axes, node_names
from numkan.plot.layout import Layout, box_layout, rows_of
from numkan.plot.values import drawable, edge_values, ranges, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_network"]

_POINTS = 101  # of one curve

#: The opacity of an edge is computed from about this many samples, taken at equal steps.
_MAX_SAMPLES = 2000
_WIDEST = 12.0  # inches of a new figure
_FILLED = 0.82  # share of its box that a curve takes
_FAINTEST = 0.15  # opacity of the edge that does least
_NARROW = 3.5  # inches, where the legend is short
_LETTER = 0.55  # width of a letter, in units of the size of the font

Flags = NDArray[np.bool_]


class _Strength(NamedTuple):
    """What a layer's edges do over the samples."""

    low: FloatArray  # (n_in,): where the curves begin
    high: FloatArray  # (n_in,)
    curves: FloatArray  # (_POINTS, n_in, n_out)
    opacity: FloatArray  # (n_in, n_out)


def plot_network(
    model: Network,
    x: Any = None,
    ax: Axes | None = None,
    *,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    formula: Any = None,
    edges: int | None = None,
    output: int | None = None,
    scales: bool = False,
    legend: bool = True,
) -> Axes:
    """Draw a network: nodes in rows, inputs at the bottom, and every edge as a small curve of its function.

    A curve runs over the range of its input and is scaled to its own height. Its opacity shows the standard deviation
    of the edge's values, relative to the strongest edge of its layer. Masked edges are faint and dotted. Where a layer
    has more edges than stand side by side, their boxes are folded into rows.

    Parameters
    ----------
    model : KAN
    x : array_like, shape (n, n_in), optional
        Samples whose activations determine ranges and opacities; by default the domains of the grids do.
    ax : matplotlib Axes, optional
    inputs, outputs : sequence of str, optional
        Names of the nodes; by default x_0, x_1, ... and y_0, y_1, .... Long names are turned where they need it.
    formula : numkan.symbolic.Formula, optional
        A formula that was found from this network; the names of its functions are written on the edges.
    edges : int, optional
        The number of edges that are drawn in each layer, the strongest ones; by default all of them.
    output : int, optional
        Draw only the edges that lead to this output.
    scales : bool
        Write below each box the range of the edge's input, and the height of its curve.
    legend : bool
        Explain the opacity of three strengths above the network.

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
    check_model(model)
    check_axes(ax)
    scales, legend = check_flag("scales", scales), check_flag("legend", legend)
    names = [node_names("inputs", inputs, "x", model.n_in), node_names("outputs", outputs, "y", model.n_out)]
    symbols = _symbols(model, formula)
    strengths = _strengths(model, x)
    shown = _shown_edges(model, strengths, edges, output)
    ax = _axes_for(shown, scales) if ax is None else ax
    inches = ax.get_window_extent().width / ax.figure.dpi
    layouts = [box_layout(flags, inches, scales) for flags in shown]
    nodes = [np.stack([(np.arange(n) + 0.5) / n, np.full(n, float(row))], axis=1) for row, n in enumerate(model.width)]
    for depth, layout in enumerate(layouts):
        _draw_layer(ax, depth, (layout, strengths[depth], model.act_fun[depth].mask != 0), nodes)
        if scales:
            _write_scales(ax, depth, layout, strengths[depth])
    _draw_nodes(ax, nodes, _shown_nodes(shown))
    top = _write_names(ax, nodes, names, inches)
    _write_symbols(ax, layouts, symbols)
    if legend:
        _draw_legend(ax, top, inches)
    return ax


# --- what is drawn ------------------------------------------------------------------------------------------------


def _strengths(model: Network, x: Any) -> list[_Strength]:
    """Return curves and opacities of every layer."""
    acts = None if x is None else [drawable(act) for act in model.activations(x)]
    out = []
    for depth, layer in enumerate(model.act_fun):
        low, high = ranges(layer, None if acts is None else acts[depth])
        curves = edge_values(layer, np.linspace(low, high, _POINTS, dtype=layer.dtype))
        some = None if acts is None else acts[depth][:: max(1, -(-len(acts[depth]) // _MAX_SAMPLES))]
        opacity = _opacity(spread(curves if some is None else edge_values(layer, some)))
        out.append(_Strength(low, high, curves, np.where(layer.mask == 0, _FAINTEST, opacity)))
    return out


def _opacity(spreads: FloatArray) -> FloatArray:
    """Return the opacity of each edge (n_in, n_out), relative to the strongest."""
    strongest = np.nanmax(spreads)
    share = np.nan_to_num(spreads) / strongest if strongest > 0 else np.zeros_like(spreads)
    return _opacity_of(share)


def _opacity_of(share: FloatArray) -> FloatArray:
    opacity: FloatArray = _FAINTEST + (1 - _FAINTEST) * np.sqrt(share)  # the root makes weak edges visible
    return opacity


def _shown_edges(model: Network, strengths: list[_Strength], edges: int | None, output: int | None) -> list[Flags]:
    """Return which edges (n_in, n_out) of each layer are drawn."""
    count = None if edges is None else check_integer("edges", edges, 1)
    wanted: Flags = np.ones(model.n_out, np.bool_)
    if output is not None:
        place = check_integer("output", output, 0)
        if place >= model.n_out:
            raise ValueError(f"Argument `output` must be below {model.n_out}, not {place}.")
        wanted = np.arange(model.n_out) == place
    out: list[Flags] = []
    for strength, layer in zip(reversed(strengths), reversed(model.act_fun), strict=True):
        flags = np.broadcast_to(wanted, strength.opacity.shape).copy()
        if count is not None:
            rank = np.where(flags & (layer.mask != 0), strength.opacity, -1.0)
            strongest = np.argsort(-rank, axis=None, kind="stable")[:count]
            flags &= np.isin(np.arange(flags.size), strongest).reshape(flags.shape) & (rank >= 0)
        if count is not None or output is not None:
            wanted = np.any(flags, axis=1)
        else:
            wanted = np.ones(layer.n_in, np.bool_)
        out.append(flags)
    return out[::-1]


def _shown_nodes(shown: list[Flags]) -> list[Flags]:
    """Return which nodes of each row touch an edge that is drawn."""
    touched: list[Any] = [shown[0].any(axis=1), *(flags.any(axis=0) for flags in shown)]
    for row, flags in enumerate(shown):
        touched[row] |= flags.any(axis=1)
    return touched


def _axes_for(shown: list[Flags], scales: bool) -> Axes:
    """Return the axes of a new figure that is as wide and as high as the boxes need."""
    most = max(int(np.count_nonzero(flags)) for flags in shown)
    nodes = max(max(flags.shape) for flags in shown)
    width = min(max(4.0, 0.45 * most, 0.35 * nodes), _WIDEST)
    rows = (rows_of(int(np.count_nonzero(flags)), width, scales) for flags in shown)
    return new_axes(width, 0.6 + sum(min(1.9 + (0.6 if scales else 0.22) * (n - 1), 6.0) for n in rows))


# --- drawing ------------------------------------------------------------------------------------------------------


def _draw_layer(ax: Axes, depth: int, drawn: tuple[Layout, _Strength, Flags], nodes: list[FloatArray]) -> None:
    """Draw the edges of one layer: boxes, the lines to them, and a curve in each."""
    from matplotlib.lines import Line2D  # slow to import, as the next one is

    layout, strength, alive = drawn
    if not layout.edges:
        return
    low, high = np.nanmin(strength.curves, axis=0), np.nanmax(strength.curves, axis=0)
    least = max(1e-3 * np.nanmax(high - low), np.finfo(np.float64).tiny)  # rounding errors are drawn flat
    heights = np.maximum(high - low, least)
    width = float(np.clip(150 * layout.boxes[0, 2], 0.8, 1.8))
    _draw_boxes(ax, depth, drawn, nodes, width / 2 * float(np.clip((100 / len(layout.edges)) ** 0.5, 0.25, 1.0)))
    for (i, o), box in zip(layout.edges, layout.boxes, strict=True):
        inside = (strength.curves[:, i, o] - (low[i, o] + high[i, o]) / 2) / heights[i, o]  # in [-1/2, 1/2]
        at = box[0] + np.linspace(-_FILLED, _FILLED, len(inside)) * box[2]
        line = Line2D(at, depth + box[1] + 2 * _FILLED * box[3] * inside, linewidth=width, zorder=3)
        line.set(color=BLUE if alive[i, o] else GREY, linestyle="-" if alive[i, o] else ":")
        line.set(alpha=float(strength.opacity[i, o]), gid=f"edge-{depth}-{i}-{o}")
        ax.add_line(line)


def _draw_boxes(
    ax: Axes, depth: int, drawn: tuple[Layout, _Strength, Flags], nodes: list[FloatArray], width: float
) -> None:
    """Draw all boxes of a layer, and the lines to them from the nodes below and above, as two collections."""
    from matplotlib.collections import LineCollection, PolyCollection

    layout, strength, alive = drawn
    i, o = np.array(layout.edges).T
    across, up, half_width, half_height = layout.boxes.T
    up = up + depth
    lines, styles = [], np.where(alive[i, o], "-", ":").tolist()
    for node, end in ((nodes[depth][i], up - half_height), (nodes[depth + 1][o], up + half_height)):
        lines += list(np.stack([node, np.stack([across, end], axis=1)], axis=1))
    opacity = strength.opacity[i, o]
    gid = f"lines-{depth}"
    ax.add_collection(
        LineCollection(
            lines, colors=GREY, linewidths=width, linestyles=2 * styles, alpha=np.tile(opacity, 2), zorder=1, gid=gid
        )
    )
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    middle, half = np.stack([across, up], axis=1), np.stack([half_width, half_height], axis=1)
    boxes = middle[:, None] + corners * half[:, None]
    ax.add_collection(PolyCollection(boxes, facecolors="white", edgecolors="none", zorder=2))  # hides the lines behind
    frames = PolyCollection(boxes, facecolors="none", edgecolors=GREY, linewidths=0.6, linestyles=styles, zorder=2)
    frames.set(alpha=opacity, gid=f"boxes-{depth}")
    ax.add_collection(frames)


def _draw_nodes(ax: Axes, nodes: list[FloatArray], touched: list[Flags]) -> None:
    size = float(np.clip(60 / max(len(row) for row in nodes), 3, 7))
    for row, flags in zip(nodes, touched, strict=True):
        for at, colour in ((row[flags], BLACK), (row[~flags], "#CCCCCC")):
            ax.plot(at[:, 0], at[:, 1], "o", color=colour, markersize=size, zorder=4)
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.16, len(nodes) - 0.84)
    ax.set_axis_off()


# --- writing ------------------------------------------------------------------------------------------------------


def _write_names(ax: Axes, nodes: list[FloatArray], names: list[list[str]], inches: float) -> float:
    """Write names below the inputs and above the outputs, turned where they would touch; return the height above."""
    for row, texts, offset, side in ((nodes[0], names[0], -9, "top"), (nodes[-1], names[1], 9, "bottom")):
        style = _name_style(texts, inches)
        for place, text in zip(row, texts, strict=True):
            ax.annotate(
                text, tuple(place), (0, offset), textcoords="offset points", va=side, annotation_clip=False, **style
            )
    turned = "rotation" in style
    return 9 + (max(map(_length, names[1])) * _LETTER if turned else 1.2) * float(style["fontsize"])


def _name_style(texts: list[str], inches: float) -> dict[str, Any]:
    """Return the size of the font of names in a row, and how they are turned."""
    points = 72 * inches / len(texts)
    longest = max(map(_length, texts))
    size = float(np.clip(2.2 * inches, 6.0, 10.0 if len(texts) <= 16 else 8.0))
    if longest * _LETTER * size <= 0.95 * points:
        return {"fontsize": size, "ha": "center"}
    return {"fontsize": float(np.clip(points / 1.15, 4.0, size)), "ha": "center", "rotation": 90}


def _length(text: str) -> float:
    """Return about how many letters wide a text is; a formula's marks take no room."""
    return len(text) if not text.startswith("$") else 0.6 * len(text.strip("$").replace("_", ""))


def _write_scales(ax: Axes, depth: int, layout: Layout, strength: _Strength) -> None:
    """Write below every box between which inputs its curve runs, and how high it is."""
    heights = np.ptp(np.nan_to_num(strength.curves), axis=0)
    style: dict[str, Any] = {
        "ha": "center",
        "va": "top",
        "fontsize": 6,
        "color": BLACK,
        "zorder": 5,
        "linespacing": 1.0,
    }
    style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for (i, o), box in zip(layout.edges, layout.boxes, strict=True):
        text = f"{strength.low[i]:.2g} … {strength.high[i]:.2g}\nΔ {heights[i, o]:.2g}"
        ax.text(box[0], depth + box[1] - 1.06 * box[3], text, gid=f"scale-{depth}-{i}-{o}", **style)


def _symbols(model: Network, formula: Any) -> dict[tuple[int, int, int], str]:
    """Return the name of the function of every edge that a formula knows."""
    if formula is None:
        return {}
    known = getattr(formula, "edges", None)
    if not isinstance(known, Mapping):
        raise TypeError(f"Argument `formula` must be a formula of numkan.symbolic, not {type(formula).__name__}.")
    for depth, i, o in known:
        if depth >= model.depth or i >= model.width[depth] or o >= model.width[depth + 1]:
            raise ValueError(f"Argument `formula` must be of this network, which has no edge {(depth, i, o)}.")
    return {edge: match.label for edge, match in known.items()}


def _write_symbols(ax: Axes, layouts: list[Layout], symbols: dict[tuple[int, int, int], str]) -> None:
    """Write the names of functions above the boxes."""
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8, "color": ORANGE, "zorder": 5}
    style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # hides the line behind
    for depth, layout in enumerate(layouts):
        for (i, o), (across, up, _, half_height) in zip(layout.edges, layout.boxes, strict=True):
            if (depth, i, o) in symbols:
                text = symbols[depth, i, o]
                ax.text(across, depth + up + 1.05 * half_height, text, gid=f"symbol-{depth}-{i}-{o}", **style)


def _draw_legend(ax: Axes, above: float, inches: float) -> None:
    """Explain opacity above the names of the outputs, which end `above` points over their nodes."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import offset_copy

    shares = (1.0, 0.25, 0.01)
    lines = [Line2D([], [], color=BLUE, linewidth=1.8, alpha=float(_opacity_of(np.array(share)))) for share in shares]
    texts = [f"{100 * share:.0f} %" for share in shares]
    at = offset_copy(ax.transData, ax.get_figure(root=True), y=above + 2, units="points")
    style: dict[str, Any] = {"ncols": 4, "fontsize": 7, "frameon": False, "borderaxespad": 0.0, "borderpad": 0.0}
    head = Line2D([], [], linestyle="none")
    ax.legend(
        [head, *lines],
        ["deviation:" if inches < _NARROW else "deviation beside the strongest:", *texts],
        loc="lower center",
        bbox_to_anchor=(0.5, ax.get_ylim()[1] - 0.16),
        bbox_transform=at,
        handlelength=1.5,
        columnspacing=1.0,
        **style,
    )
