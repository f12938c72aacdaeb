"""The figures of accuracy.json: error against seconds on task a, and error by grid on task h."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from _accuracy_slopes import GRIDS, ROUNDING, medians, slope

#: Okabe and Ito's palette, which the colour-blind can tell apart.
BLUE, GREEN, ORANGE, YELLOW, GREY = "#0072B2", "#009E73", "#D55E00", "#E69F00", "#8C8C8C"
NUMKAN = {"search": ("numkan, search", BLUE, "o"), "[2, 5, 1]": ("numkan, [2, 5, 1]", GREEN, "^")}
PYKAN = {"[2, 5, 1]": ("pykan, [2, 5, 1]", ORANGE, "s"), "[2, 1, 1]": ("pykan, [2, 1, 1]", YELLOW, "D")}


def draw_time(part: dict[str, Any], path: Path) -> None:
    """Draw a dot for each fit of numkan, a line from grid to grid for each seed of pykan."""
    with _axes(path, (7, 4.2)) as ax:
        for case, (label, colour, marker) in NUMKAN.items():
            dots = [(r["seconds"], r["rmse"]) for r in part["runs"] if r["case"] == case]
            if dots:
                ax.plot(*zip(*dots, strict=True), marker, color=colour, markersize=4.5, alpha=0.8, label=label)
        for width, (label, colour, marker) in PYKAN.items():
            for seed in sorted({r["seed"] for r in part["peers"]}):
                line = [r for r in part["peers"] if r["network"] == width and r["seed"] == seed]
                if line:
                    times, errors = [r["seconds"] for r in line], [r["rmse"] for r in line]
                    ax.plot(times, errors, "-", marker=marker, color=colour, linewidth=1, markersize=4.5, label=label)
                    label = None
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_xlabel("seconds, one core")
        ax.set_ylabel("RMSE on fresh points")
        ax.set_title(r"$\exp(\sin(\pi x) + y^2)$, 1000 points", loc="left", fontsize=10)
        ax.legend(frameon=False, fontsize=8)


def draw_scaling(part: dict[str, Any], path: Path) -> None:
    """Draw the median error by grid for each degree, with the slope of theory through the middle grid."""
    with _axes(path, (6, 4.2)) as ax:
        for (k, by_grid), colour in zip(medians(part["runs"]).items(), (GREY, ORANGE, BLUE, GREEN), strict=False):
            label = f"k = {k}: slope {slope(by_grid):.2f}"
            ax.plot(list(by_grid), list(by_grid.values()), "o-", color=colour, markersize=4, linewidth=1.2, label=label)
            above = [(G, error) for G, error in by_grid.items() if error > ROUNDING]
            if above:
                G, error = above[len(above) // 2]
                line = np.array([min(above)[0], max(above)[0]], float)
                ax.plot(line, error * (line / G) ** (-k - 1), ":", color=colour, linewidth=1)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(GRIDS, [str(G) for G in GRIDS])
        ax.minorticks_off()
        ax.set_xlabel("G, intervals of the grid")
        ax.set_ylabel("RMSE on fresh points")
        ax.set_title("[2, 1, 1], 3000 points; dotted: slope -(k + 1)", loc="left", fontsize=10)
        ax.legend(frameon=False, fontsize=8)


@contextmanager
def _axes(path: Path, size: tuple[float, float]) -> Iterator[Any]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        fig, ax = plt.subplots(figsize=size, layout="constrained")
        yield ax
        fig.savefig(path, dpi=130)
        plt.close(fig)
