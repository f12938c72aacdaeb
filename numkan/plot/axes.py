"""What all pictures share: colours, axes, and the checks of arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numkan._check import check_integer, check_names
from numkan._shown import shown
from numkan.model.network import Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BLACK",
    "BLUE",
    "GREY",
    "ORANGE",
    "check_axes",
    "check_edge",
    "new_axes",
    "node_names",
    "open_axes",
]

#: Okabe and Ito's palette, which the colour-blind can tell apart.
BLUE, ORANGE, GREY, BLACK = "#0072B2", "#D55E00", "#8C8C8C", "#222222"


def check_axes(ax: object) -> None:
    """Say that `ax` must be something to draw on, where it is given."""
    from matplotlib.axes import Axes

    if not (ax is None or isinstance(ax, Axes)):
        raise TypeError(f"Argument `ax` must be Axes of matplotlib or None, not {shown(ax)}.")


def check_edge(model: Network, layer: object, i: object, o: object) -> tuple[int, int, int]:
    """Return layer, input and output of an edge that the network has."""
    depth = _below("layer", layer, model.depth)
    return depth, _below("i", i, model.width[depth]), _below("o", o, model.width[depth + 1])


def _below(name: str, value: object, count: int) -> int:
    number = check_integer(name, value, 0)
    if number >= count:
        raise ValueError(f"Argument `{name}` must be below {count}, not {number}.")
    return number


def node_names(argument: str, given: Sequence[str] | None, letter: str, count: int) -> list[str]:
    """Return the names of nodes as texts: those given, or a letter with a number."""
    if given is None:
        return [f"${letter}_{{{place}}}$" for place in range(count)]
    return check_names(argument, given, count)


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of this size in inches."""
    import matplotlib.pyplot as plt  # slow to import

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def open_axes(ax: Axes) -> None:
    """Leave only the left and the lower line of the frame."""
    ax.spines[["top", "right"]].set_visible(False)
