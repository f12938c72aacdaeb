"""One variable at a time: along x_j the function is c f(a g(x_j) + b) + d, and a, b, c, d depend on the others.

The others are held at many settings. A pair f, g that follows all these curves is a structure, whatever f is: nothing
has to be inverted. a, b, c and d are functions of fewer variables, and oracles themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Call, Node, Pow, Var, add, mul, number
from numkan.symbolic.functions import Function
from numkan.symbolic.identify import affine, solve_pairs, starts_of
from numkan.symbolic.oracle import Answer, Oracle, part

__all__ = ["Slice", "slices"]

_NODES, _SETTINGS, _STEPS = 20, 14, 24
_OUTER = ("exp", "sin", "tanh", "log", "pow-1", "pow0.5", "pow2", "pow-2", "pow-0.5", "gauss")
_INNER = ("identity", "pow-1", "pow2", "pow0.5", "log", "exp", "sin")
_LARGEST = 1e100  # of what goes into least squares
_FOLLOWS = 3.0  # misfit, in errors of the oracle, up to which a pair follows a curve
_SOME, _SHARE = 0.25, 0.85  # of the settings that have to be followed at first, and in the end


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """c f(a g(x_j) + b) + d along one variable."""

    variable: int
    outer: Function
    inner: Function
    misfit: float
    theta: FloatArray  # (settings, 2), a and b of s in [-1, 1], from which fits start
    middle: float  # s = (g(x_j) - middle) / half
    half: float
    phase: float  # about which the b of a sine lies

    def node(self, parts: Mapping[str, Node]) -> Node:
        """Return the expression with expressions for a, b, c, d, of all variables."""
        inner = (
            affine(self.inner, 1.0, 0.0, Var(self.variable)) if self.inner.name != "identity" else Var(self.variable)
        )
        argument = add(mul(parts.get("a", number(1)), inner), parts.get("b", number(0)))
        f = self.outer
        outer = Pow(argument, number(float(f.derivative(1.0)))) if f.name.startswith("pow") else Call(f, argument)
        return add(mul(parts["c"], outer), parts["d"])

    @property
    def names(self) -> str:
        """Which of a, b, c, d are not redundant."""
        return self.outer.varies + "cd"


def _inner_of(name: str, functions: Mapping[str, Function], low: float, high: float) -> Function | None:
    if name not in functions or (low <= 0.0 and name in ("pow-1", "pow0.5", "log")):
        return None
    return functions[name]


def slices(
    oracle: Oracle, variable: int, functions: Mapping[str, Function], rng: np.random.Generator, most: int = 2
) -> list[Slice]:
    """Return the pairs of functions that follow all curves along a variable, the shortest first."""
    settings = oracle.draw(_SETTINGS, rng)
    at = _nodes(oracle, variable)
    value, error = _curves(oracle, variable, at, settings)
    ok = np.isfinite(value).all(axis=1) & np.isfinite(error).all(axis=1)
    if ok.sum() < 0.8 * _SETTINGS:
        return []
    value, error = value[ok], np.maximum(error[ok], 1e-13 * np.abs(value[ok]) + 1e-300)
    found: list[tuple[float, int, Slice]] = []
    for name in _INNER:
        inner = _inner_of(name, functions, float(oracle.low[variable]), float(oracle.high[variable]))
        if inner is None:
            continue
        g = np.asarray(inner.value(at), np.float64)
        middle, half = float(g.max() + g.min()) / 2, float(np.ptp(g)) / 2
        for outer in (functions[o] for o in _OUTER if o in functions):
            if (inner.name, outer.name) in (("log", "exp"), ("exp", "log")):
                continue
            theta, misfit = _all_fitted((g - middle) / half, value, error, outer)
            if np.mean(misfit < _FOLLOWS) >= _SHARE:
                score = outer.bits + (0.0 if inner.name == "identity" else 2.0 + inner.bits)
                phase = float(np.median(theta[:, 1]))
                made = Slice(variable, outer, inner, float(np.median(misfit)), theta, middle, half, phase)
                found.append((score, len(found), made))
    return [made for _, _, made in sorted(found, key=lambda f: f[:2])[:most]]


def _nodes(oracle: Oracle, variable: int) -> FloatArray:
    low, high = float(oracle.low[variable]), float(oracle.high[variable])
    wave = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)[::-1]
    return np.asarray((low + high) / 2 + 0.48 * (high - low) * wave)


def _curves(oracle: Oracle, variable: int, at: FloatArray, settings: FloatArray) -> Answer:
    points = np.repeat(settings[:, None], len(at), axis=1)
    points[:, :, variable] = at
    value, error = oracle.ask(points.reshape(-1, oracle.n_in))
    return value.reshape(-1, len(at)), error.reshape(-1, len(at))


def _all_fitted(s: FloatArray, value: FloatArray, error: FloatArray, f: Function) -> tuple[FloatArray, FloatArray]:
    """Fit all curves; those that are not followed start again from the constants of those that are."""
    theta, misfit = _fitted(s, value, error, f, None)
    for _ in range(2):
        good = misfit < _FOLLOWS
        if not _SOME <= np.mean(good) < 1.0:
            break
        theta[~good], misfit[~good] = _fitted(s, value[~good], error[~good], f, theta[good])
    return theta, misfit


@np.errstate(all="ignore")
def _fitted(
    s: FloatArray, value: FloatArray, error: FloatArray, f: Function, starts: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return a, b (curves, 2) of the best c f(a s + b) + d for every curve, and misfits in units of the errors."""
    w = np.square(error.min(axis=1, keepdims=True) / error)
    w = w / w.sum(axis=1, keepdims=True)
    goal = value - (value * w).sum(axis=1, keepdims=True)
    theta, best = np.zeros((len(value), 2)), np.full(len(value), np.inf)
    for trial in starts_of(f) if starts is None else starts:
        _keep_better(f, np.broadcast_to(trial, theta.shape), s, goal, w, theta, best)
    damping = np.full(len(value), 1e-3)
    vary = np.array(["a" in f.varies, "b" in f.varies])
    for _ in range(_STEPS):
        z, size, t = _unit(f, theta, s, w)
        c = (z * w * goal).sum(axis=1)[:, None]
        slope = c * np.asarray(f.derivative(t), np.float64) / size
        jac = np.stack([slope * s, slope], axis=1) * vary[:, None]
        jac = jac - (jac * w[:, None]).sum(axis=2)[:, :, None]
        jac = jac - (jac * (w * z)[:, None]).sum(axis=2)[:, :, None] * z[:, None]
        normal = (jac * w[:, None]) @ jac.transpose(0, 2, 1)
        size2 = normal[:, [0, 1], [0, 1]]
        normal[:, [0, 1], [0, 1]] += damping[:, None] * size2 + np.where(size2 > 0.0, 1e-300, 1.0)
        step = solve_pairs(normal, (jac * (w * (goal - c * z))[:, None]).sum(axis=2))
        before = best.copy()
        _keep_better(f, theta + np.where(np.isfinite(step), step, 0.0), s, goal, w, theta, best)
        damping = np.where(best < before, damping * 0.1, damping * 10.0)
    level = np.sqrt(np.mean(1.0 / np.square(error), axis=1))
    return theta, np.sqrt(best) * level


def _unit(f: Function, theta: FloatArray, s: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    t = theta[:, :1] * s + theta[:, 1:]
    z = np.asarray(f.value(t), np.float64)
    z = z - (z * w).sum(axis=1, keepdims=True)
    size = np.sqrt((np.square(z) * w).sum(axis=1, keepdims=True))
    return z / size, size, t


def _keep_better(
    f: Function, trial: FloatArray, s: FloatArray, goal: FloatArray, w: FloatArray, theta: FloatArray, best: FloatArray
) -> None:
    z = _unit(f, trial, s, w)[0]
    rest = goal - (z * w * goal).sum(axis=1, keepdims=True) * z
    loss = (np.square(rest) * w).sum(axis=1)
    better = np.isfinite(loss) & (loss < best)
    theta[better], best[better] = trial[better], loss[better]


def parameters(oracle: Oracle, found: Slice) -> dict[str, Oracle]:
    """Return a, b, c, d as oracles of the other variables."""
    at = _nodes(oracle, found.variable)
    s = (np.asarray(found.inner.value(at), np.float64) - found.middle) / found.half
    rest = [k for k in range(oracle.n_in) if k != found.variable]

    def ask_all(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        points = np.zeros((len(x), oracle.n_in))
        points[:, rest] = x
        value, error = _curves(oracle, found.variable, at, points)
        error = np.maximum(error, 1e-13 * np.abs(value) + 1e-300)
        theta, misfit = _fitted(s, value, error, found.outer, found.theta)
        return _constants(found, s, value, error, theta, misfit)

    def one(place: int) -> Callable[[FloatArray], Answer]:
        def ask(x: FloatArray) -> Answer:
            values, errors = ask_all(x)
            return values[:, place], errors[:, place]

        return ask

    low, high = oracle.low[rest], oracle.high[rest]
    cost = _NODES * oracle.cost
    return {name: part(one("abcd".index(name)), low, high, cost) for name in found.names}


@np.errstate(all="ignore")
def _constants(
    found: Slice, s: FloatArray, value: FloatArray, error: FloatArray, theta: FloatArray, misfit: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a, b, c, d (curves, 4) of g(x_j) and their errors; NaN where the pair does not follow."""
    f = found.outer
    t = theta[:, :1] * s + theta[:, 1:]
    z = np.asarray(f.value(t), np.float64)
    slope = np.asarray(f.derivative(t), np.float64)
    root = 1.0 / error
    sound = (np.abs(z) < _LARGEST) & (np.abs(slope) < _LARGEST) & (np.abs(value) < _LARGEST) & (root < _LARGEST)
    sound = sound.all(axis=1) & (misfit < 10.0 * _FOLLOWS)
    z, slope, value, root = (np.where(sound[:, None], part, 1.0) for part in (z, slope, value, root))
    cd = np.einsum(
        "kij,kj->ki", np.linalg.pinv(np.stack([z, np.ones_like(z)], axis=2) * root[:, :, None]), value * root
    )
    c = cd[:, 0]
    a, b, c, d = _unscaled(found, theta[:, 0], theta[:, 1], c, cd[:, 1])
    g = s * found.half + found.middle
    columns = {"a": (slope * cd[:, :1]) * g, "b": slope * cd[:, :1], "c": z, "d": np.ones_like(z)}
    jac = np.stack([columns[name] for name in found.names], axis=2) * root[:, :, None]
    scale = np.maximum(np.linalg.norm(jac, axis=1, keepdims=True), 1e-300)
    sound &= np.isfinite(jac).all(axis=(1, 2)) & np.isfinite(scale).all(axis=(1, 2))
    inverse = np.linalg.pinv(np.where(sound[:, None, None], jac / scale, 0.0), rcond=1e-13)
    spread = np.linalg.norm(inverse, axis=2) / scale[:, 0]
    values, errors = np.stack([a, b, c, d], axis=1), np.zeros((len(a), 4))
    for k, name in enumerate(found.names):
        errors[:, "abcd".index(name)] = 2.0 * spread[:, k]
    errors = np.maximum(errors, 1e-14 * np.abs(values))
    values[~sound] = np.nan
    return values, errors


def _unscaled(
    found: Slice, a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return a, b, c, d for g(x_j) where they are known for s, in one gauge."""
    f, half, middle = found.outer, found.half, found.middle
    if f.name == "exp":
        return a / half, 0.0 * b, c * np.exp(-a * middle / half), d
    if f.name == "log":  # log(a s + b) = log(|a| / half) + log(g + shift)
        return 1.0 + 0.0 * a, (b * half - a * middle) * np.sign(a), c, d + c * np.log(np.abs(a) / half)
    if f.name.startswith("pow"):
        p = float(f.derivative(1.0))
        return 1.0 + 0.0 * a, (b * half - a * middle) * np.sign(a), c * half**-p * np.sign(a) ** p, d
    a, b = a / half, b - a * middle / half
    if f.name == "sin":
        turned = a < 0.0
        a, b = np.where(turned, -a, a), np.where(turned, np.pi - b, b)
        b, c = np.where(c < 0.0, b + np.pi, b), np.abs(c)
        return a, b - 2 * np.pi * np.round((b - found.phase) / (2 * np.pi)), c, d
    flip = np.sign(a) if f.name == "gauss" else np.sign(c)
    flip = np.where(flip == 0.0, 1.0, flip)
    return a * flip, b * flip, (c if f.name == "gauss" else c * flip), d
