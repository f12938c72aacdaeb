"""What two inputs do together, as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import FloatArray
from numkan.plot.axes import BLACK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_map", "share_text"]

_MOST_DOTS = 300
_PALE = 1.5  # the ends of the colours are dark, and lines and numbers are black
_LINES = 5  # lines of equal value, about


def draw_map(ax: Axes, pair: Any, output: int, reach: float, samples: FloatArray | None) -> None:
    """Draw an interaction in the colours of -reach to reach, with lines of equal value, and dots for the samples.

    The lines bear numbers, and are dashed where these are negative: so the map can be read in grey.
    """
    from matplotlib.ticker import MaxNLocator  # slow to import

    values = pair.values[:, :, output].T
    style: dict[str, Any] = {
        "cmap": "PuOr",
        "vmin": -_PALE * reach,
        "vmax": _PALE * reach,
        "shading": "gouraud",
        "rasterized": True,
    }
    ax.pcolormesh(*pair.x, values, gid="map", **style)
    levels = np.array(MaxNLocator(_LINES).tick_values(values.min(), values.max()))
    levels = levels[(levels > values.min()) & (levels < values.max())]
    if np.ptp(values) > 1e-9 * reach and len(levels):
        kinds = ["--" if level < 0 else "-" for level in levels]
        lines = ax.contour(*pair.x, values, levels=levels, colors=BLACK, linewidths=0.7, linestyles=kinds)
        lines.set_gid("levels")
        ax.clabel(lines, fontsize=7, fmt="%.3g")
    if samples is not None:
        some = samples[:: max(1, -(-len(samples) // _MOST_DOTS))]
        ax.plot(*some[:, list(pair.inputs)].T, ".", color=BLACK, markersize=1.5, alpha=0.5, gid="samples")
    ax.margins(0)
    ax.set_xlabel(pair.names[0])
    ax.set_ylabel(pair.names[1])
    ax.set_title(share_text(pair.share[output]), fontsize=8)


def share_text(share: float) -> str:
    """Return a share of the variance as a title that narrow axes have room for."""
    return f"{round(100 * float(share), 1) + 0.0:g} % of variance"
