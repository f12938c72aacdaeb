"""Pictures of edges, grids and predictions: what is drawn are the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from numkan import KAN, Effect, Interaction
from numkan.plot import edge_values, plot_coverage, plot_edge, plot_effects, plot_fit, plot_grid_update, plot_history

X = np.random.default_rng(0).normal(size=(200, 2))


@pytest.fixture
def ax():
    return Figure().add_subplot()


def labelled(ax):
    return {line.get_label(): line for line in ax.lines}


def by_gid(ax, gid):
    return [each for each in (*ax.lines, *ax.patches) if each.get_gid() == gid]


@pytest.mark.parametrize("extrapolate", ["continue", "fade", "linear", "clamp", "nan", "raise"])
def test_an_edge_is_the_sum_of_its_parts_and_what_the_layer_computes(ax, extrapolate):
    model = KAN([2, 3, 1], extrapolate=extrapolate, seed=0)
    plot_edge(model, 0, 1, 2, None if extrapolate == "raise" else X, ax)
    lines = labelled(ax)
    at = lines["edge"].get_xdata()
    layer = model.act_fun[0]
    values = edge_values(layer, np.stack([0 * at, at], axis=1))[:, 1, 2]
    np.testing.assert_allclose(lines["edge"].get_ydata(), values, atol=1e-13)
    np.testing.assert_allclose(lines["base"].get_ydata() + lines["spline"].get_ydata(), values, atol=1e-13)


def test_an_edge_shows_its_knots_and_where_the_samples_and_its_outputs_are(ax):
    model = KAN([2, 3, 1], seed=0)
    plot_edge(model, 1, 2, 0, X, ax)
    layer, inputs = model.act_fun[1], model.activations(X)[1]
    (knots,) = by_gid(ax, "knots")
    assert knots.get_xdata().tolist() == layer.grid[2, 3:-3].tolist()
    values = edge_values(layer, inputs)[:, 2, 0]
    np.testing.assert_allclose([line.get_ydata()[0] for line in by_gid(ax, "range")], [values.min(), values.max()])
    (density,) = by_gid(ax, "density")
    heights, bounds, _ = density.get_data()
    counts, expected = np.histogram(inputs[:, 2], bins=len(heights))
    np.testing.assert_allclose(bounds, expected)
    np.testing.assert_allclose(heights / heights.max(), counts / counts.max())


@pytest.mark.parametrize(("edge", "name"), [((2, 0, 0), "layer"), ((0, 2, 0), "i"), ((0, 0, 3), "o")])
def test_an_edge_that_the_network_does_not_have_is_refused(edge, name):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be below"):
        plot_edge(KAN([2, 3, 1]), *edge)


def test_a_grid_update_shows_both_curves_and_both_rows_of_knots(ax):
    before = KAN([2, 3, 1], seed=0)
    after = before.copy()
    after.update_grid_from_samples(X)
    plot_grid_update((before, after), 0, 1, 2, X, ax)
    for label, model in (("before", before), ("after", after)):
        at = labelled(ax)[label].get_xdata()
        values = edge_values(model.act_fun[0], np.stack([at, at], axis=1))[:, 1, 2]
        np.testing.assert_allclose(labelled(ax)[label].get_ydata(), values, atol=1e-13)
    knots = [line.get_xdata().tolist() for line in by_gid(ax, "knots")]
    assert knots == [model.act_fun[0].grid[1, 3:-3].tolist() for model in (before, after)]


def test_a_grid_update_wants_two_networks_of_one_width():
    with pytest.raises(TypeError, match="Argument `models` must be two networks, before and after, not KAN"):
        plot_grid_update(KAN([1, 1]), 0, 0, 0)
    with pytest.raises(ValueError, match=r"must be two networks of one width, not \[1, 1\] and \[1, 2\]"):
        plot_grid_update((KAN([1, 1]), KAN([1, 2])), 0, 0, 0)


def test_a_fit_is_drawn_as_prediction_over_truth_or_as_residuals(ax):
    model, y = KAN([2, 2], seed=0), np.random.default_rng(1).normal(size=(200, 2))
    plot_fit(model, X, y, ax)
    marks = [line for line in ax.lines if str(line.get_label()).startswith("$y_")]
    for o, line in enumerate(marks):
        assert (line.get_xdata() == y[:, o]).all()
        assert (line.get_ydata() == model(X)[:, o]).all()
    assert marks[0].get_marker() != marks[1].get_marker()
    other = plot_fit(model, X, y, Figure().add_subplot(), residuals=True)
    assert (other.lines[1].get_ydata() == y[:, 1] - model(X)[:, 1]).all()
    with pytest.raises(ValueError, match=r"Argument `y` must have shape \(200, 2\), not \(200,\)\."):
        plot_fit(model, X, y[:, 0])


@pytest.mark.jit  # kernels in Python warn of the overflow themselves
def test_a_fit_of_numbers_near_the_largest_ones_is_drawn_without_a_warning():
    x = np.array([[1e308, -1e308], [-1e308, 1e308]])
    assert len(plot_fit(KAN([2, 1], seed=0), x, [1e308, -1e308], Figure().add_subplot()).lines) == 2


def test_coverage_has_a_row_for_each_input_of_each_layer_and_tells_what_is_outside(ax):
    model = KAN([2, 3, 1], seed=0)
    plot_coverage(model, X, ax, inputs=["mass", "speed"])
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["mass", "speed", "layer 1, node 0", "layer 1, node 1", "layer 1, node 2"]
    outside = np.concatenate([each.outside for each in model.coverage(X)])
    assert [text.get_text() for text in ax.texts] == [f"{100 * part:.2g} % outside" for part in outside if part > 0]


def test_spans_without_a_sample_are_hatched(ax):
    plot_coverage(KAN([1, 1], grid=4), np.full((3, 1), 0.9), ax)
    empty = [each for each in ax.collections if each.get_hatch()]
    assert sum(len(each.get_paths()) for each in empty) == 3


def test_a_history_of_roots_shows_roots_and_stages_that_share_a_grid(ax):
    history = {
        "step": range(6),
        "train": [4, 4, 1, 1, 1, 0.25],
        "grid": [3, 3, 3, 3, 9, 9],
        "stage": [0, 0, 1, 1, 2, 2],
    }
    plot_history(history, ax, rmse=True)
    assert labelled(ax)["train"].get_ydata().tolist() == [2, 2, 1, 1, 1, 0.5]
    assert [text.get_text() for text in ax.texts] == ["G = 3", "G = 3", "G = 9"]
    assert [line.get_gid() for line in ax.lines if str(line.get_gid()).startswith("regrid")] == ["regrid-4"]
    with pytest.raises(TypeError, match="Argument `rmse` must be"):
        plot_history(history, rmse=2)


def an_effect(name, height):
    at = np.linspace(-1, 1, 11)
    return Effect(name, at, height * at[:, None] ** [1, 3], np.full((11, 2), 0.1), np.array([0.75, 0.5]))


def test_effects_are_curves_with_bands_and_a_rug_of_one_height():
    axes = Figure().subplots(1, 2)
    effects = [an_effect("age", 2.0), an_effect("mass", 0.5)]
    assert plot_effects(effects, X, axes, output=1) == list(axes)
    for i, (effect, ax) in enumerate(zip(effects, axes, strict=True)):
        (curve,) = by_gid(ax, "effect")
        assert curve.get_ydata().tolist() == effect.curve[:, 1].tolist()
        (band,) = [each for each in ax.collections if each.get_gid() == "band"]
        heights = band.get_paths()[0].vertices[:, 1]
        np.testing.assert_allclose([heights.min(), heights.max()], effect.curve[[0, -1], 1] + [-0.196, 0.196])
        (rug,) = by_gid(ax, "rug")
        assert rug.get_xdata().tolist() == X[:, i].tolist()
        assert ax.get_title() == "50 % of variance"
    assert axes[0].get_ylim() == axes[1].get_ylim()


def an_interaction(inputs, height, first=None):
    at = np.linspace(-1, 1, 7)
    values = height * np.multiply.outer(at, at)[:, :, None] * [1, 2]
    names = tuple(f"x{i}" for i in inputs)
    return Interaction(names, inputs, (at if first is None else first, at), values, np.array([0.25, 0.125]))


def test_pairs_are_maps_of_the_same_colours_with_lines_that_tell_signs_in_grey():
    axes = Figure().subplots(1, 4)
    pairs = [an_interaction((0, 1), 1.0), an_interaction((1, 0), -0.25)]
    plot_effects([an_effect("age", 2.0), an_effect("mass", 0.5)], X, axes, pairs=pairs, output=1)
    for ax, pair in zip(axes[2:], pairs, strict=True):
        (colours,) = [each for each in ax.collections if each.get_gid() == "map"]
        np.testing.assert_allclose(np.ravel(colours.get_array()), pair.values[:, :, 1].T.ravel())
        assert colours.get_clim() == (-3, 3)
        (lines,) = [each for each in ax.collections if each.get_gid() == "levels"]
        dashed = [style[1] is not None for style in lines.get_linestyles()]
        assert dashed == [level < 0 for level in lines.levels]
        assert len(set(dashed)) == 2
        (dots,) = by_gid(ax, "samples")
        assert dots.get_xdata().tolist() == X[:, pair.inputs[0]].tolist()
        assert (ax.get_xlabel(), ax.get_ylabel()) == pair.names
        assert ax.get_title() == "12.5 % of variance"


@pytest.mark.parametrize(("height", "first"), [(0.0, None), (0.0, np.full(7, 0.5))])
def test_a_pair_without_an_interaction_is_a_map_without_lines(height, first):
    figure = Figure()
    axes = figure.subplots(1, 2)
    plot_effects([an_effect("age", 1.0)], None, axes, pairs=[an_interaction((0, 1), height, first)])
    assert [each.get_gid() for each in axes[1].collections] == ["map"]
    figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "Argument `effects` must be a list of effects"),
        (([an_effect("a", 1.0)], None, list(Figure().subplots(1, 2))), "Argument `axes` must be 1 axes, one for each"),
    ],
)
def test_wrong_arguments_of_effects_are_said(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        plot_effects(*arguments)


def test_wrong_pairs_are_said():
    with pytest.raises(TypeError, match="Argument `pairs` must be a list of interactions"):
        plot_effects([an_effect("a", 1.0)], pairs=[3])
