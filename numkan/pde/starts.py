r"""Starts: networks drawn at random on coarse grids, of which the one with the least residual goes on.

Edges are drawn nearly straight, as in :mod:`numkan.train.starts`. Then the coefficients of the last layer alone take
Gauss-Newton steps: where equations are linear in u that is their least-squares solution, and it finds solutions that
oscillate, which nearly straight edges are far from. A start shows in some fifteen steps whether it is stuck: its
residual is then 1e-2 of that of u = 0, not 1e-6. Nobody has to know the solution to see that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import linalg

from numkan._blas import one_blas_thread
from numkan._check import FloatArray
from numkan.layer.grid import grid_from_samples
from numkan.pde.descent import Descent, State
from numkan.pde.grids import MARGIN, endless
from numkan.spline.knots import greville
from numkan.train.splines import Splines

__all__ = ["best_start", "drawn", "last_layer_solved"]

#: Noise on the straight edges.
_NOISE = 0.2

#: Steps of each start, and of the best few.
_STEPS, _MORE_STEPS, _BEST = 15, 15, 3

#: No further start is drawn once residuals are below this share of those of u = 0, root mean square.
_GOOD = 0.001

#: Steps of the last layer alone, and what is added to the diagonal, as a share of it.
_LAST_STEPS, _RIDGE = 3, 1e-10


def drawn(state: State, descent: Descent, grids: Sequence[int], rng: np.random.Generator) -> State:
    """Return the same layers with edges drawn anew."""
    layers, coefs, a = [], [], descent.points
    for depth, (layer, G) in enumerate(zip(state.splines.layers, grids, strict=True)):
        knots = grid_from_samples(a, G, layer.k, 1.0, MARGIN) if depth else descent.first.knots(G, layer.k)
        new = endless(layer, knots)
        n_in, n_basis, n_out = new.shape
        low, high = (descent.first.low, descent.first.high) if depth == 0 else new.basis.domain
        u = np.clip(2.0 * (greville(new.grid, new.k) - low[:, None]) / (high - low)[:, None] - 1.0, -1.5, 1.5)
        slope = rng.standard_normal((n_in, 1, n_out))
        noise = _NOISE * rng.standard_normal((n_in, n_basis, n_out))
        coef = (slope * u[:, :, None] + noise) * new.live[:, None, :] / np.sqrt(n_in)
        if depth == 0:
            coef = _wrapped(coef, descent.first.periodic, n_basis - new.k, rng)
        a = Splines((new,), (coef,)).activations(a)[-1]
        layers.append(new)
        coefs.append(coef)
    return State(Splines(tuple(layers), tuple(coefs)), state.unknowns)


def _wrapped(coef: FloatArray, periodic: tuple[int, ...], n: int, rng: np.random.Generator) -> FloatArray:
    """Return coefficients whose periodic inputs have a wave of one period in place of a straight line."""
    angle = 2.0 * np.pi * np.arange(coef.shape[1])[:, None] / n
    for i in periodic:
        wave = np.cos(angle + rng.uniform(0.0, 2.0 * np.pi, coef.shape[2])) / np.sqrt(len(coef))
        coef[i] = wave + _NOISE * coef[i, np.arange(coef.shape[1]) % n] / max(1.0, float(np.abs(coef[i]).max()))
    return coef


@one_blas_thread()
def last_layer_solved(state: State, descent: Descent) -> State:
    """Return the state after Gauss-Newton steps of the last layer's coefficients, as far as they lower the loss."""
    problem = descent.problem(state)
    z, own = descent.vector(problem, state), problem.last_layer
    for _ in range(_LAST_STEPS):
        fun, gradient, normal = problem.normal_equations(z)
        a = normal[own, own].copy()
        diagonal = np.diagonal(a)
        a.flat[:: len(a) + 1] += _RIDGE * diagonal + 1e-14 * diagonal.max() + 1e-300
        try:
            step = -linalg.solve(a, gradient[own], assume_a="pos", check_finite=False)
        except linalg.LinAlgError:
            break
        moved = z.copy()
        moved[own] += step
        now = problem.loss(moved)
        if not now < fun:
            break
        z = moved
        if now > 0.9 * fun:
            break
    return descent.at(problem, state, z, problem.loss(z))


def best_start(
    state: State, descent: Descent, grids: Sequence[int], draws: int, rng: np.random.Generator
) -> tuple[State, float]:
    """Return the start with the least residual of some draws, and its residual as a share of that of u = 0."""
    found = []
    scale = _scale(state, descent)
    for _ in range(draws):
        try:
            start = last_layer_solved(drawn(state, descent, grids, rng), descent)
            start = descent.down(start, _STEPS, grids=grids)
        except (FloatingPointError, ValueError):
            continue  # activations that leave the range of numbers
        found.append(start)
        if math.sqrt(start.loss / scale) < _GOOD:
            break
    if not found:
        return state, math.inf
    found = sorted(found, key=lambda one: one.loss)[:_BEST]
    if len(found) > 1:
        found = [descent.down(descent.on_grids(one, grids), _MORE_STEPS, grids=grids) for one in found]
    best = min(found, key=lambda one: one.loss)
    return best, math.sqrt(best.loss / scale)


def _scale(state: State, descent: Descent) -> float:
    """Return the loss of u = 0 (under hard conditions: of the network 0)."""
    nothing = Splines(state.splines.layers, tuple(np.zeros_like(coef) for coef in state.splines.coefs))
    problem = descent.problem(zero := replace(state, splines=nothing))
    return max(problem.loss(descent.vector(problem, zero)), 1e-300)
