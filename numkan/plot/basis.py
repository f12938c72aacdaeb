"""The basis functions of one input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import as_float_array, check_integer
from numkan.plot.axes import BLACK, GREY, check_axes, new_axes, open_axes
from numkan.spline.basis import B_batch
from numkan.spline.knots import check_grid_row, common_dtype

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_basis"]

#: From more functions than this on, lines are thin and have no names.
_MANY = 24
_POINTS, _FEWEST = 4000, 8  # of a fine grid as a whole, and between two knots


def plot_basis(grid: Any, k: int, ax: Axes | None = None) -> Axes:
    """Draw the basis functions of one input over their knots, and the domain.

    Parameters
    ----------
    grid : array_like, shape (G + 2k + 1,) or (1, G + 2k + 1)
        Extended knots.
    k : int
        Degree.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        One line for each basis function, from the first knot to the last; the outside of the domain is shaded. Fine
        grids are drawn with thin lines.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.plot import plot_basis
    >>> from numkan.spline import extend_grid
    >>> ax = plot_basis(extend_grid(np.linspace(-1, 1, 6)[None, :], k_extend=3), k=3)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x', '$B_p(x)$')
    """
    from matplotlib import colormaps  # slow to import

    check_axes(ax)
    k = check_integer("k", k, 0)
    rows = as_float_array("grid", grid, common_dtype(grid))
    knots = check_grid_row("grid", rows[0] if rows.ndim == 2 and len(rows) == 1 else rows, k, rows.dtype)
    n_basis = len(knots) - 1 - k
    fine = n_basis > _MANY
    width, ticks = (0.8, 4) if fine else (1.8, 9)
    steps = max(_FEWEST, _POINTS // len(knots)) if fine else 80  # from one knot to the next
    at = np.union1d(np.linspace(knots[0], knots[-1], steps * (len(knots) - 1) + 1), knots).astype(knots.dtype)
    basis = B_batch(at[:, None], knots[None, :], k)[:, 0]
    ax = new_axes(6.0, 3.6) if ax is None else ax
    colours = colormaps["viridis"](np.linspace(0.0, 0.9, n_basis))
    for p in range(n_basis):
        inside = (at >= knots[p]) & (at <= knots[p + k + 1])
        ax.plot(at[inside], basis[inside, p], color=tuple(colours[p]), linewidth=width, label=f"$B_{{{p}}}$")
    for outside in ((knots[0], knots[k]), (knots[n_basis], knots[-1])):
        if k:
            ax.axvspan(float(outside[0]), float(outside[1]), color=GREY, alpha=0.12, linewidth=0)
    ax.plot(
        knots,
        np.zeros(len(knots)),
        "|",
        color=BLACK,
        markersize=ticks,
        clip_on=False,
        zorder=3,
    )
    ax.set_xlabel("x")
    ax.set_ylabel("$B_p(x)$")
    ax.margins(x=0)
    ax.set_ylim(bottom=0)
    open_axes(ax)
    if n_basis <= 12:
        style: dict[str, Any] = {"fontsize": 8, "handlelength": 1.0, "labelspacing": 0.25}
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), **style)
    return ax
