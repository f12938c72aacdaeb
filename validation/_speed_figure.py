"""The figure of speed.json: peers beside numkan, and numkan's time by grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _scaling import SWEEPS, relative
from _speed_data import TITLES, Record, cases, own

#: Okabe and Ito's palette, which the colour-blind can tell apart, and a marker each.
FAMILIES = {
    "pykan": ("#D55E00", "o"),
    "efficient-kan": ("#E69F00", "v"),
    "jaxkan": ("#CC79A7", "D"),
    "inkan": ("#0072B2", "s"),
    "flashkan": ("#009E73", "^"),
}
GREY, BLACK = "#8C8C8C", "#222222"


def draw(data: dict[str, Any], path: Path) -> None:
    """Draw float32, one thread: a panel for predictions, one with gradients, a small one for grids."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    peers, sweeps = data.get("peers", {}).get("times", []), data.get("scaling", {}).get("sweeps", [])
    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        fig, axes = plt.subplots(1, 3, figsize=(10, 4), layout="constrained", width_ratios=[1.25, 1.25, 1])
        axes[1].sharey(axes[0])
        for ax, column, title in zip(axes, ("forward", "both"), ("prediction", "loss and gradient"), strict=False):
            _dots(ax, peers, column)
            ax.set_title(title, loc="left", fontsize=10)
        axes[1].tick_params(labelleft=False)
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower left", ncols=len(labels), frameon=False, handletextpad=0.2)
        _grids(axes[2], sweeps)
        fig.savefig(path, dpi=130)
        plt.close(fig)


def _dots(ax: Any, times: list[Record], column: str) -> None:
    """One dot a peer and form, a line of dots a library, a band a workload."""
    found = {name: case for (name, dtype), case in cases(times, 1).items() if dtype == "float32"}
    for line, (family, (colour, marker)) in enumerate(FAMILIES.items()):
        dots = [
            (t[column] / own(case, column), row + 0.15 * (line - 2))
            for row, case in enumerate(found.values())
            for contender, t in case.items()
            if contender.split()[0] == family
        ]
        if dots:
            ax.plot(*zip(*dots, strict=True), marker, color=colour, markersize=4.5, label=family, clip_on=False)
    ax.axvline(1, color=BLACK, linewidth=1.5)
    ax.annotate(
        "numkan", (1, 1), xycoords=("data", "axes fraction"), xytext=(3, -2), textcoords="offset points", va="top"
    )
    for row in range(1, len(found)):
        ax.axhline(row - 0.5, color=GREY, linewidth=0.4)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("time / numkan's time")
    ax.set_yticks(range(len(found)), list(found))
    ax.set_ylim(len(found) - 0.5, -0.75)
    ax.tick_params(axis="y", length=0)


def _grids(ax: Any, records: list[Record]) -> None:
    """Draw numkan's time by grid, over that on its coarsest one."""
    highest = 2.0
    for plan, colour in zip((plan for plan in SWEEPS if plan.over == "G"), ("#0072B2", "#D55E00"), strict=True):
        for column, style in (("forward", "-"), ("both", "--")) if records else ():
            ratios = {plan.values[0]: 1.0, **relative(plan, "float32", column, records)}
            highest = max(highest, *ratios.values())
            label = f"{plan.title.split('], ')[0]}] {TITLES[column]}"
            ax.plot(list(ratios), list(ratios.values()), style, marker=".", color=colour, linewidth=1.2, label=label)
    ax.set_xscale("log")
    ax.set_xticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    ax.minorticks_off()
    ax.set_ylim(0, 1.05 * highest)
    ax.set_xlabel("G, intervals of the grid")
    ax.set_title("numkan's time / that for G = 5", loc="left", fontsize=10)
    if records:
        ax.legend(frameon=False, fontsize=8)
