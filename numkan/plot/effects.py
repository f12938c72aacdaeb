"""What each input does, as centred curves with bands, and what pairs of them do together, as maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numkan._check import FloatArray, as_samples, check_integer, is_list
from numkan._shown import shown
from numkan.plot.axes import BLACK, BLUE, GREY, check_axes, open_axes
from numkan.plot.maps import draw_map, share_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_effects"]

_BAND = 1.96  # deviations, which 95 % of a normal distribution lie within
_MOST_TICKS = 500  # samples of the rug
_SIDE = 4  # pictures side by side


def plot_effects(
    effects: Sequence[Any],
    x: Any = None,
    axes: Sequence[Axes] | None = None,
    *,
    pairs: Sequence[Any] = (),
    output: int = 0,
) -> list[Axes]:
    """Draw the effect of each input as a curve of mean 0 with its 95 % band, and interactions of pairs as maps.

    Parameters
    ----------
    effects : list of numkan.Effect
        What :func:`numkan.effects` returned.
    x : array_like, shape (n, n_in), optional
        Samples, whose values are drawn as ticks at the bottom, and as dots in maps.
    axes : sequence of matplotlib Axes, optional
        One for each effect and each pair; by default those of a new figure.
    pairs : list of numkan.Interaction
        What :func:`numkan.interactions` returned.
    output : int
        Which output is drawn.

    Returns
    -------
    list of matplotlib Axes
        Of the effects, then of the pairs; titles tell shares of the variance. All curves have the same range upwards,
        and all maps the same colours, so that they can be compared.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN, effects
    >>> from numkan.plot import plot_effects
    >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    >>> model = KAN([2, 1], seed=0)
    >>> result = model.fit(x, np.sin(3 * x[:, 0]) + 0.2 * x[:, 1], method="lm")
    >>> [ax.get_xlabel() for ax in plot_effects(effects(model, x, ["wave", "slope"]), x)]
    ['wave', 'slope']
    """
    _check_list("effects", effects, "curve", "effects")
    _check_list("pairs", pairs, "inputs", "interactions", least=0)
    n_out = effects[0].curve.shape[1]
    if check_integer("output", output, 0) >= n_out:
        raise ValueError(f"Argument `output` must be below {n_out}, not {output}.")
    samples = None if x is None else as_samples("x", x, len(effects), np.float64)
    count = len(effects) + len(pairs)
    drawn = _new_axes(count) if axes is None else list(np.ravel(np.asarray(axes, object)))
    for ax in drawn:
        check_axes(ax)
    if len(drawn) != count:
        raise ValueError(f"Argument `axes` must be {count} axes, one for each effect and pair, not {len(drawn)}.")
    _draw_effects(drawn[: len(effects)], effects, samples, output)
    most = max((float(np.abs(pair.values[:, :, output]).max()) for pair in pairs), default=0.0)
    for ax, pair in zip(drawn[len(effects) :], pairs, strict=True):
        draw_map(ax, pair, output, most or 1.0, samples)
    return drawn


def _check_list(name: str, value: Any, attribute: str, things: str, least: int = 1) -> None:
    if not is_list(value) or len(value) < least or not all(hasattr(each, attribute) for each in value):
        raise TypeError(f"Argument `{name}` must be a list of {things}, not {shown(value)}.")


def _draw_effects(axes: Sequence[Axes], effects: Sequence[Any], samples: FloatArray | None, output: int) -> None:
    """Draw all curves, to one height."""
    reach = max(float(np.nanmax(np.abs(e.curve[:, output]) + _BAND * e.std[:, output])) for e in effects)
    for i, (effect, ax) in enumerate(zip(effects, axes, strict=True)):
        _draw_effect(ax, effect, output)
        if samples is not None:
            ticks = samples[:: max(1, len(samples) // _MOST_TICKS), i]
            style: dict[str, Any] = {"color": BLACK, "markersize": 5, "markeredgewidth": 0.4, "gid": "rug"}
            ax.plot(ticks, np.full(len(ticks), 0.02), "|", transform=ax.get_xaxis_transform(), **style)
        ax.set_ylim(-1.05 * reach or -1.0, 1.05 * reach or 1.0)


def _draw_effect(ax: Axes, effect: Any, output: int) -> None:
    curve, std = effect.curve[:, output], effect.std[:, output]
    ax.fill_between(effect.x, curve - _BAND * std, curve + _BAND * std, color=BLUE, alpha=0.2, linewidth=0, gid="band")
    ax.plot(effect.x, curve, color=BLUE, linewidth=1.8, gid="effect")
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_xlabel(effect.name)
    ax.set_title(share_text(effect.share[output]), fontsize=8)
    open_axes(ax)


def _new_axes(count: int) -> list[Axes]:
    """Return the axes of a new figure, several side by side."""
    import matplotlib.pyplot as plt  # slow to import

    columns = min(count, _SIDE)
    rows = -(-count // columns)
    size = (2.8 * columns, 2.5 * rows)
    grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)[1].ravel()
    for ax in grid[count:]:
        ax.set_axis_off()
    return list(grid[:count])
