r"""Starts of second-order training: many cheap ones on coarse grids, until one is accepted.

Most draws of a small network end in a poor minimum; on coarse grids that shows after some ten steps. Edges are drawn as
straight lines with a little noise,

.. math:: \phi_{io}(x) = \big(a_{io} u + \epsilon_{io}(u)\big) / \sqrt{n_{in}}, \qquad u \in [-1, 1] \text{ over the
          grid}, \quad a \sim N(0, 1),

the grids of hidden layers are laid over their activations, and Levenberg-Marquardt runs in rounds of a few steps with
the grids laid anew in between. A start that gains little in a round is given up; one is accepted if its
residuals are a small share of the targets' deviation. Where no start gets there, the search ends once three of the
best agree, after a number of tries (noise); if they do not (hard functions), the best of all meet in a tournament on
finer grids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.optimize import LevenbergMarquardt
from numkan.spline.knots import greville
from numkan.train.data import Data
from numkan.train.known import rule_of
from numkan.train.splines import Splines, laid_over, of_shape

__all__ = ["Start", "draw", "find_start"]

#: Intervals of the coarse grids; rounds on them; steps in a round.
_GRID, _ROUNDS, _STEPS = 3, 4, 10

#: Noise on the straight lines.
_NOISE = 0.2

#: A start is given up if a round lowers its residuals by less than this share.
_GIVE_UP = 0.15

#: A start is accepted if its residuals are below this share of the deviation of the targets.
_ACCEPTED = 0.03

#: The search ends if this many starts have residuals within this share of the best.
_N_AGREEING, _AGREE = 3, 0.02

#: Poor minima agree too, and more so in deeper networks. This many starts are tried before agreement counts, for one
#: hidden layer; each further layer multiplies the number. Without hidden layers there is only one minimum.
_MIN_STARTS, _PER_LAYER = 4, 6

#: Rounds of the tournament: how many of the best starts take part, and on how many intervals. A round needs no more
#: coefficients than this share of the targets. Each start takes this many steps.
_TOURNAMENT, _SHARE, _TOURNAMENT_STEPS = ((6, 8), (3, 16)), 0.5, 15

#: Starts are tried on this many samples at most.
_MAX_SAMPLES = 1000


class Start(NamedTuple):
    """The chosen start, and the residuals of all starts."""

    splines: Splines
    residual: float  # its root mean square, over the deviation of the targets
    tried: tuple[float, ...]  # of every start


def draw(splines: Splines, x: FloatArray, rng: np.random.Generator, G: int = _GRID) -> Splines:
    """Return the same layers with grids of G intervals over the activations and edges drawn anew."""
    layers, coefs, a = [], [], x
    for layer in splines.layers:
        laid = laid_over(layer, a, G)
        n_in, n_basis, n_out = laid.shape
        low, high = laid.grid[:, laid.k, None], laid.grid[:, -1 - laid.k, None]
        u = (2.0 * greville(laid.grid, laid.k) - low - high) / (high - low)
        slope = rng.standard_normal((n_in, 1, n_out))
        if laid.known is not None:
            rise = laid.known.rise[:, None, :]
            slope = np.where(rise != 0, rise * np.abs(slope), slope)
        noise = _NOISE * rng.standard_normal((n_in, n_basis, n_out))
        coef = of_shape(laid, (slope * u[:, :, None] + noise) * laid.live[:, None, :] / np.sqrt(n_in))
        a = Splines((laid,), (coef,)).activations(a)[-1]
        layers.append(laid)
        coefs.append(coef)
    return Splines(tuple(layers), tuple(coefs))


def train_start(splines: Splines, data: Data, check: Callable[[], object]) -> tuple[Splines, float]:
    """Train a drawn network for some rounds; return it at its best, and its residual."""
    grids = [_GRID] * len(splines.layers)
    best, least, damping = splines, np.inf, 1.0
    for _ in range(_ROUNDS):
        run = LevenbergMarquardt(data.problem(splines.layers), splines.vector, rule=rule_of(splines, damping), gtol=0.0)
        for _ in range(_STEPS):
            check()
            if not run.step():
                break
        residual = float(np.sqrt(run.state.fun / data.y.size))
        gained = residual < (1.0 - _GIVE_UP) * least
        splines, damping = splines.at(run.state.x), run.state.damping
        if residual < least:
            best, least = splines, residual
        if residual < _ACCEPTED or not gained:
            break
        splines = splines.on_grids(data.x, grids)
    return best, least


def find_start(
    splines: Splines,
    data: Data,
    restarts: int,
    rng: np.random.Generator,
    check: Callable[[], object],
) -> Start:
    """Draw and train networks until one is accepted, or `restarts` have been tried; `check` is called at every step.

    Targets must have deviation 1.
    """
    data = data.first(_MAX_SAMPLES)
    found, tried = list[_Found](), list[float]()
    hidden = len(splines.layers) - 1
    for _ in range(restarts):
        try:
            start, residual = train_start(draw(splines, data.x, rng), data, check)
        except (FloatingPointError, ValueError):
            continue  # the activations of this draw overflow
        found.append(_Found(residual, len(tried), start))
        tried.append(residual)
        if (
            residual < _ACCEPTED
            or not hidden
            or (len(tried) >= _MIN_STARTS * _PER_LAYER ** (hidden - 1) and _agree(tried))
        ):
            break
    else:
        found = _tournament(found, data, check)
    if not found:
        return Start(splines, np.inf, ())
    best = min(found)
    return Start(best.start, tried[best.number], tuple(tried))


class _Found(NamedTuple):
    """A start, and its rank."""

    residual: float
    number: int  # among those that were tried
    start: Splines


def _tournament(found: list[_Found], data: Data, check: Callable[[], object]) -> list[_Found]:
    """Return the starts of the last round, with their residuals on its grids; the starts themselves stay coarse."""
    edges = sum(layer.live.size for layer in found[0].start.layers) if found else 0
    now = [one.start for one in found]
    for n_best, G in _TOURNAMENT:
        if len(found) < _N_AGREEING or edges * G > _SHARE * data.y.size:
            break
        ranked = []
        for one in sorted(found)[:n_best]:
            try:
                now[one.number], residual = _trained_on(G, now[one.number], data, check)
            except (FloatingPointError, ValueError):
                continue
            ranked.append(one._replace(residual=residual))
        found = ranked or found
    return found


def _trained_on(G: int, splines: Splines, data: Data, check: Callable[[], object]) -> tuple[Splines, float]:
    """Train some steps on G intervals; return what was reached, and its residual."""
    finer = splines.on_grids(data.x, [G] * len(splines.layers))
    run = LevenbergMarquardt(data.problem(finer.layers), finer.vector, rule=rule_of(finer), gtol=0.0)
    for _ in range(_TOURNAMENT_STEPS):
        check()
        if not run.step():
            break
    return finer.at(run.state.x), float(np.sqrt(run.state.fun / data.y.size))


def _agree(tried: list[float]) -> bool:
    """Whether some of the best residuals are the same."""
    best = sorted(tried)[:_N_AGREEING]
    return len(best) == _N_AGREEING and best[-1] < (1.0 + _AGREE) * best[0]
