"""How densely samples lie along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import FloatArray
from numkan.plot.axes import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_density"]

_BINS = 40
_SHARE = 0.18  # of the height of the axes


def draw_density(ax: Axes, values: FloatArray) -> None:
    """Draw a histogram of the finite values at the bottom of the axes, without a scale."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return
    counts, bounds = np.histogram(finite.astype(np.float64), bins=_BINS)
    heights = _SHARE * counts / counts.max()
    transform = ax.get_xaxis_transform()
    style: dict[str, Any] = {"color": GREY, "alpha": 0.3, "linewidth": 0, "zorder": 0}
    ax.stairs(heights, bounds, fill=True, transform=transform, label="samples", gid="density", **style)
