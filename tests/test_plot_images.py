"""Pictures beside those that were looked at: lines and areas, without text, whose shapes depend on the fonts.

``python -m tests.test_plot_images`` draws them anew, into tests/data/plots; look at them before they are kept.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave
from matplotlib.text import Text

from numkan import KAN, Effect, interactions
from numkan.plot import (
    plot_basis,
    plot_coverage,
    plot_edge,
    plot_effects,
    plot_fit,
    plot_grid_update,
    plot_history,
    plot_network,
)
from numkan.spline import extend_grid

FOLDER = Path(__file__).parent / "data" / "plots"

#: Mean difference of grey values in [0, 1] that versions of matplotlib may have; one small curve less is more.
CLOSE = 0.0005


def network():
    """A network of the same curves everywhere, without a fit."""
    model = KAN([2, 3, 1], seed=0)
    for depth, layer in enumerate(model.act_fun):
        i, o, p = np.indices(layer.coef.shape)
        layer.coef[...] = np.sin(1.0 + depth + 2 * i + 3 * o + (1 + o) * p / 2)
    model.act_fun[0].mask[1, 1] = 0
    return model


MODEL = network()
WIDE = KAN([13, 5, 1], seed=0)
for number, layer in enumerate(WIDE.act_fun):
    layer.coef[...] = np.sin(number + np.arange(layer.coef.size)).reshape(layer.coef.shape)
X = np.stack([np.linspace(-0.9, 0.8, 60), 1.4 * np.sin(np.arange(60.0))], axis=1)


def updated():
    after = MODEL.copy()
    after.update_grid_from_samples(X)
    return after


HISTORY = {"step": range(8), "train": 10.0 ** -np.arange(8), "grid": [3] * 4 + [6] * 4, "validation": [0.5] * 8}


def effect():
    at = np.linspace(-1, 1, 50)
    return Effect("x", at, np.sin(4 * at)[:, None], 0.1 + 0.2 * at[:, None] ** 2, np.ones(1))


def a_map(ax):
    """A map of a pair alone; the effect beside it is drawn elsewhere."""
    effects = [effect(), effect()]
    plot_effects(effects, X, [*Figure().subplots(1, 2), ax], pairs=interactions(MODEL, X, pairs=1))


TRUTH = MODEL(X) + 0.1 * np.cos(np.arange(60.0))[:, None]

DRAW = {
    "network": lambda ax: plot_network(MODEL, X, ax, legend=False),
    "edge": lambda ax: plot_edge(MODEL, 0, 1, 2, X, ax),
    "grid_update": lambda ax: plot_grid_update((MODEL, updated()), 0, 1, 2, X, ax),
    "coverage": lambda ax: plot_coverage(MODEL, X, ax),
    "history": lambda ax: plot_history(HISTORY, ax),
    "effect": lambda ax: plot_effects([effect()], X[:, :1], [ax]),
    "map": a_map,
    "fit": lambda ax: plot_fit(MODEL, X, TRUTH, ax),
    "residuals": lambda ax: plot_fit(MODEL, X, TRUTH, ax, residuals=True),
    "network_of_13": lambda ax: plot_network(WIDE, ax=ax, legend=False),
    "basis": lambda ax: plot_basis(extend_grid(np.linspace(-1, 1, 41)[None], 3), 3, ax),
}


def drawn(name):
    """Return a picture as grey values (height, width), from 0 to 255."""
    with mpl.rc_context(mpl.rcParamsDefault | {"backend": mpl.get_backend()}):
        figure = Figure(figsize=(3, 2), dpi=80)
        canvas = FigureCanvasAgg(figure)
        ax = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        DRAW[name](ax)
        if ax.get_legend() is not None:
            ax.get_legend().remove()
        for text in ax.findobj(Text):
            text.set_visible(False)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].mean(axis=2).round().astype(np.uint8)


def difference(name, picture):
    return float(np.abs(picture / 255 - imread(FOLDER / f"{name}.png")[..., 0]).mean())


@pytest.mark.parametrize("name", DRAW)
def test_a_picture_is_as_it_was_looked_at(name):
    assert difference(name, drawn(name)) < CLOSE


@pytest.mark.parametrize("name", ["network", "edge", "history", "effect"])
def test_a_picture_that_lacks_a_line_is_noticed(name, monkeypatch):
    whole = DRAW[name]

    def without_a_line(ax):
        whole(ax)
        next(line for line in ax.lines if len(line.get_xdata()) > 2).remove()

    monkeypatch.setitem(DRAW, name, without_a_line)
    assert difference(name, drawn(name)) > CLOSE


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in DRAW:
        imsave(FOLDER / f"{each}.png", np.repeat(drawn(each)[..., None], 3, axis=2))
