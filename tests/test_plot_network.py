"""Pictures of networks: which edges are drawn, that names and boxes can be read, and how long it takes to draw."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from numkan import KAN
from numkan.plot import edge_values, plot_network

NAMES = [f"a rather long name of column {place}" for place in range(13)]


def axes(width=12.0, height=5.0):
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def gids(ax):
    return {line.get_gid() for line in ax.lines if str(line.get_gid()).startswith("edge-")}


@pytest.mark.parametrize("width", [3.4, 7.0])  # inches, of one column and of two
def test_names_of_13_inputs_are_inside_the_figure_and_apart(width):
    ax = axes(width, 4.5)
    plot_network(KAN([13, 5, 1], seed=0), ax=ax, inputs=NAMES)
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text() in NAMES]
    assert len(boxes) == 13
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
    whole = ax.figure.bbox
    assert all(whole.x0 <= box.x0 < box.x1 <= whole.x1 and whole.y0 <= box.y0 < box.y1 <= whole.y1 for box in boxes)


def test_only_the_strongest_edges_of_each_layer_are_drawn_where_a_number_is_given():
    model, x = KAN([3, 4, 1], seed=0), np.random.default_rng(0).uniform(-1, 1, (50, 3))
    ax = plot_network(model, x, axes(), edges=2)
    expected = set()
    for depth, (layer, act) in enumerate(zip(model.act_fun, model.activations(x), strict=False)):
        spread = edge_values(layer, act).std(axis=0)
        strongest = np.argsort(-spread, axis=None)[:2]
        expected |= {f"edge-{depth}-{i}-{o}" for i, o in zip(*np.unravel_index(strongest, spread.shape), strict=True)}
    last = {gid for gid in gids(ax) if gid.startswith("edge-1")}
    assert last == {gid for gid in expected if gid.startswith("edge-1")}
    first = {gid for gid in gids(ax) if gid.startswith("edge-0")}
    assert len(first) == 2
    assert {gid.split("-")[3] for gid in first} <= {gid.split("-")[2] for gid in last}  # they lead somewhere


def test_one_output_is_drawn_with_the_edges_that_lead_to_it():
    assert gids(plot_network(KAN([2, 2], seed=0), ax=axes(), output=1)) == {"edge-0-0-1", "edge-0-1-1"}
    with pytest.raises(ValueError, match=r"Argument `output` must be below 2, not 2\."):
        plot_network(KAN([2, 2]), output=2)


def test_boxes_are_folded_into_rows_where_the_axes_are_narrow():
    rows = []
    for width in (12.0, 3.4):
        ax = plot_network(KAN([13, 5, 1], seed=0), ax=axes(width))
        (frames,) = [each for each in ax.collections if each.get_gid() == "boxes-0"]
        rows.append(len({round(float(path.vertices[0, 1]), 9) for path in frames.get_paths()}))
    assert rows[0] < rows[1]


def test_scales_say_where_a_curve_runs_and_how_high_it_is():
    model = KAN([1, 1], grid_range=(-3, 5), seed=0)
    (text,) = [text for text in plot_network(model, ax=axes(), scales=True).texts if text.get_gid() == "scale-0-0-0"]
    curve = edge_values(model.act_fun[0], np.linspace(-3, 5, 101)[:, None])
    assert text.get_text() == f"-3 … 5\nΔ {np.ptp(curve):.2g}"


def test_the_legend_of_opacities_can_be_left_out():
    assert plot_network(KAN([1, 1]), ax=axes()).get_legend() is not None
    assert plot_network(KAN([1, 1]), ax=axes(), legend=False).get_legend() is None


def test_symbols_of_a_formula_stand_at_the_edges_that_are_drawn():
    formula = SimpleNamespace(edges={(0, 0, 0): SimpleNamespace(label="sin"), (0, 0, 1): SimpleNamespace(label="exp")})
    ax = plot_network(KAN([1, 2], seed=0), ax=axes(), formula=formula, output=1)
    assert [text.get_text() for text in ax.texts if str(text.get_gid()).startswith("symbol")] == ["exp"]


def test_two_thousand_edges_are_drawn_with_few_artists_beside_their_curves():
    """So that [64, 32, 10] takes seconds: what is not a curve is drawn in collections."""
    ax = plot_network(KAN([64, 32, 10], seed=0), ax=axes())
    assert len(gids(ax)) == 64 * 32 + 32 * 10
    others = len(ax.get_children()) - len(gids(ax))
    assert others < 200
