"""Pictures: what is drawn are the numbers, and nothing is left behind in pyplot."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numkan import KAN
from numkan.plot import edge_values, plot_basis, plot_history, plot_network
from numkan.spline import B_batch, extend_grid


@pytest.fixture(autouse=True)
def plt():
    with mpl.rc_context({"backend": "Agg"}):
        mpl.use("Agg")
        from matplotlib import pyplot

        before = pyplot.get_fignums()
        yield pyplot
        pyplot.close("all")
    assert before == []


@pytest.fixture
def ax():
    return Figure().add_subplot()


def drawn(ax, gid):
    (line,) = [line for line in ax.lines if line.get_gid() == gid]
    return line


def unit(values):
    return (values - values.min()) / (values.max() - values.min())


def test_importing_numkan_and_its_plots_does_not_import_matplotlib():
    program = "import sys, numkan, numkan.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("extrapolate", ["continue", "fade", "linear", "clamp"])
@pytest.mark.parametrize("base_fun", ["silu", "identity", "zero", (np.sin, np.cos)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_edges_of_a_layer_add_up_to_its_outputs(base_fun, extrapolate, dtype):
    layer = KAN([3, 4], base_fun=base_fun, extrapolate=extrapolate, dtype=dtype, seed=5).act_fun[0]
    layer.mask[1, 2] = 0
    x = np.random.default_rng(0).uniform(-1.5, 1.5, (20, 3)).astype(dtype)
    values = edge_values(layer, x)
    tolerance = 100 * np.finfo(dtype).eps * (1 + np.abs(values).sum(axis=1))
    assert (np.abs(values.sum(axis=1) - layer(x)) <= tolerance).all()
    assert (values[:, 1, 2] == 0).all()


def test_the_curves_of_a_network_are_its_edges_over_the_range_of_the_activations(ax):
    model, x = KAN([2, 3, 1], seed=2), np.random.default_rng(0).uniform(-0.7, 0.4, (50, 2))
    assert plot_network(model, x, ax) is ax
    for depth, (layer, act) in enumerate(zip(model.act_fun, model.activations(x), strict=False)):
        at = np.linspace(act.min(axis=0), act.max(axis=0), 101)
        values = edge_values(layer, at)
        for i, o in np.ndindex(layer.n_in, layer.n_out):
            line = drawn(ax, f"edge-{depth}-{i}-{o}")
            np.testing.assert_allclose(unit(line.get_ydata()), unit(values[:, i, o]), atol=1e-9)
            np.testing.assert_allclose(unit(line.get_xdata()), np.linspace(0, 1, 101), atol=1e-9)


def test_without_samples_the_curves_run_over_the_grids(ax):
    model = KAN([1, 1], grid_range=(-3, 5), seed=2)
    plot_network(model, ax=ax)
    values = edge_values(model.act_fun[0], np.linspace(-3, 5, 101)[:, None])[:, 0, 0]
    np.testing.assert_allclose(unit(drawn(ax, "edge-0-0-0").get_ydata()), unit(values), atol=1e-9)


def test_opacity_grows_with_the_spread_and_masked_edges_are_faint_and_dotted(ax):
    model, x = KAN([1, 4], seed=2), np.random.default_rng(0).uniform(-1, 1, (50, 1))
    layer = model.act_fun[0]
    layer.coef[...] = layer.coef[:, :1]
    layer.scale_base[...] = [[0.1, 0.5, 1.0, 9.0]]
    layer.scale_sp[...] = [[0.1, 0.5, 1.0, 9.0]]
    layer.mask[0, 3] = 0
    plot_network(model, x, ax)
    lines = [drawn(ax, f"edge-0-0-{o}") for o in range(4)]
    opacities = [line.get_alpha() for line in lines]
    assert opacities[0] < opacities[1] < opacities[2] == 1.0
    assert opacities[3] < opacities[0]
    assert [line.get_linestyle() for line in lines] == ["-", "-", "-", ":"]


def test_a_flat_edge_is_drawn_flat_and_in_its_box(ax):
    model = KAN([1, 2], base_fun="zero", seed=2)
    model.act_fun[0].coef[0, 0] = 3.0  # a constant, up to rounding
    plot_network(model, ax=ax)
    heights = [np.ptp(drawn(ax, f"edge-0-0-{o}").get_ydata()) for o in range(2)]
    assert heights[0] < 1e-6 * heights[1]


@pytest.mark.parametrize("width", [[1, 1], [2, 5, 1], [4, 8, 8, 1], [1, 40], [12, 12, 2]])
def test_boxes_lie_inside_the_picture_and_do_not_overlap(ax, width):
    model = KAN(width)
    plot_network(model, ax=ax)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    frames = [each for each in ax.collections if str(each.get_gid()).startswith("boxes-")]
    corners = np.array([path.vertices[:4] for each in frames for path in each.get_paths()])
    assert len(corners) == sum(layer.n_in * layer.n_out for layer in model.act_fun)
    (x, y), (w, h) = corners[:, 0].T, (corners[:, 2] - corners[:, 0]).T
    assert left <= x.min() < (x + w).max() <= right
    assert bottom <= y.min() < (y + h).max() <= top
    apart = (
        (x[:, None] + w[:, None] <= x) | (x + w <= x[:, None]) | (y[:, None] + h[:, None] <= y) | (y + h <= y[:, None])
    )
    assert (apart | np.eye(len(x), dtype=bool)).all()


def test_nodes_are_named(ax):
    plot_network(KAN([2, 1]), ax=ax, inputs=["mass", "speed"], outputs=["energy"])
    assert [text.get_text() for text in ax.texts] == ["mass", "speed", "energy"]
    with pytest.raises(ValueError, match="Argument `inputs` must have 2 entries"):
        plot_network(KAN([2, 1]), inputs=["mass"])


def test_a_network_is_not_changed_by_its_picture(ax):
    model = KAN([2, 3, 1])
    before = model.params.tobytes()
    plot_network(model, np.zeros((4, 2)), ax)  # inputs of no variance
    assert model.params.tobytes() == before


def history():
    return SimpleNamespace(
        step=np.arange(6),
        train=np.array([1.0, 0.5, 0.4, 0.2, 0.1, 0.05]),
        validation=np.array([1.1, 0.6, 0.5, 0.3, 0.2, 0.1]),
        grid=np.array([3, 3, 3, 10, 10, 10]),
    )


@pytest.mark.parametrize(
    "wrap", [lambda h: h, vars, lambda h: SimpleNamespace(history=h)], ids=["object", "dict", "result"]
)
def test_a_history_is_drawn_by_step_on_a_log_axis_with_its_grids(ax, wrap):
    assert plot_history(wrap(history()), ax) is ax
    lines = {line.get_label(): line for line in ax.lines}
    for name in ("train", "validation"):
        assert lines[name].get_xdata().tolist() == history().step.tolist()
        assert lines[name].get_ydata().tolist() == getattr(history(), name).tolist()
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.texts] == ["G = 3", "G = 10"]
    assert [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2] == [2.5]


def test_a_history_without_validation_has_one_line(ax):
    plot_history(vars(history()) | {"validation": np.full(6, np.nan), "grid": np.full(6, 5)}, ax)
    assert [line.get_label() for line in ax.lines] == ["train"]
    assert list(ax.texts) == []


@pytest.mark.parametrize("k", [0, 1, 3])
def test_a_basis_is_drawn_function_by_function(ax, k):
    grid = extend_grid(np.array([[-1.0, -0.2, 0.1, 1.0]]), k)
    assert plot_basis(grid, k, ax) is ax
    lines = [line for line in ax.lines if str(line.get_label()).startswith("$B_")]
    assert len(lines) == 3 + k
    for p, line in enumerate(lines):
        x = line.get_xdata()
        assert line.get_ydata().tolist() == B_batch(x[:, None], grid, k)[:, 0, p].tolist()
        assert (x[0], x[-1]) == (grid[0, p], grid[0, p + k + 1])


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_network(KAN([2, 2, 1]), ax=ax),
        lambda ax: plot_history(history(), ax=ax),
        lambda ax: plot_basis(np.arange(8.0), 2, ax=ax),
    ],
    ids=["network", "history", "basis"],
)
def test_given_axes_leave_pyplot_alone_and_without_them_one_figure_is_made(plt, ax, draw):
    draw(ax)
    assert plt.get_fignums() == []
    own = draw(None)
    assert isinstance(own, Axes)
    assert plt.get_fignums() == [own.figure.number]
    own.figure.canvas.draw()


@pytest.mark.parametrize(
    "x", [np.full((5, 2), np.inf), np.full((3, 2), np.nan), np.full((2, 2), 1e308), np.empty((0, 2))]
)
def test_a_network_is_drawn_over_its_grids_where_no_sample_can_be_drawn(x):
    model = KAN([2, 2, 1], seed=0)
    lines = [[line.get_xydata() for line in plot_network(model, *given).lines] for given in ((), (x,))]
    for mine, other in zip(*lines, strict=True):
        np.testing.assert_allclose(mine, other)
