"""The figure: mean ranks of the contenders on the half that judges, and how often what was said came true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from _tables_report import names_of, ranks, scores

FIGURE = Path(__file__).with_name("tables.png")

OWN, OTHER = "#c0392b", "#9aa5b1"


def draw(data: dict[str, Any]) -> None:
    """Draw it."""
    fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for ax, kind, measure, title in (
        (axes[0], "regression", "r2", "rank by R²"),
        (axes[1], "classification", "log_loss", "rank by log-loss"),
    ):
        found = ranks(scores(data, names_of(kind, "judge"), measure), measure == "r2")
        number = len(scores(data, names_of(kind, "judge"), measure))
        names = list(found)[::-1]
        ax.barh(names, [found[n] for n in names], color=[OWN if n == "numkan" else OTHER for n in names])
        ax.set_title(f"{title}, {number} tables", fontsize="medium")
        ax.set_xlabel("mean rank; 1 is best")
        ax.spines[["top", "right"]].set_visible(False)
    _calibration(axes[2], data)
    fig.savefig(FIGURE, dpi=120)
    plt.close(fig)


def _calibration(ax: Any, data: dict[str, Any]) -> None:
    ax.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    same = scores(data, names_of("classification", "judge"), "log_loss")  # tables that all of them were tried on
    for name, color in (("logistic", OTHER), ("boosting", "#4a6fa5"), ("numkan", OWN)):
        runs = data["runs"].get(name, {})
        bins = np.zeros((10, 3))
        for table in same:
            for fold in runs.get(table, {}).get("folds", []):
                bins += np.array(fold["calibration"])
        seen = bins[:, 0] > 0
        ax.plot(bins[seen, 1] / bins[seen, 0], bins[seen, 2] / bins[seen, 0], "o-", ms=3, color=color, label=name)
    ax.set_title(f"calibration, {len(same)} tables of classes", fontsize="medium")
    ax.set_xlabel("probability that was said")
    ax.set_ylabel("share that came true")
    ax.legend(frameon=False, fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)
