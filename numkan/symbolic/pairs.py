"""One variable that is a sum or a product of two functions, or a function of one: all pairs of a dictionary at once.

The dictionary holds functions of the library with many constants, and functions of functions. Least squares on a pair
has a closed form, so that all pairs are tried by products of matrices; the best start of each kind is then refined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.atoms import Atom, Dictionary, joined, solved, unit_curves
from numkan.symbolic.expression import Call, Const, Node, Pow, Tape, add, mul, number
from numkan.symbolic.functions import Function
from numkan.symbolic.identify import starts_of

__all__ = ["functions_of_pairs", "pairs"]

_OUTER = ("sin", "exp", "tanh", "log", "pow0.5", "pow-1", "pow2")
_CLIMB = 12  # steps of Gauss-Newton for all functions of pairs


def _losses_of_sums(z: FloatArray, v: FloatArray, w: FloatArray) -> FloatArray:
    """Return the share of v's square that each pair of curves leaves as a sum: 1 - R^2."""
    gram, right = (z * w) @ z.T, z @ (w * v)
    free = np.maximum(1.0 - np.square(gram), 1e-9)
    gain = (np.square(right)[:, None] + np.square(right)[None] - 2.0 * gram * right[:, None] * right[None]) / free
    return np.asarray(1.0 - gain)


def _losses_of_products(z: FloatArray, v: FloatArray, w: FloatArray) -> FloatArray:
    """Return the same for c (f + e)(g + h) + d, that is for a combination of f, g, f g and 1."""
    gram, right = (z * w) @ z.T, z @ (w * v)
    cubes = (np.square(z) * w) @ z.T  # means of f^2 g
    square = (np.square(z) * w) @ np.square(z).T - np.square(gram)
    normal = np.empty((*gram.shape, 3, 3))
    normal[..., 0, 0] = normal[..., 1, 1] = 1.0
    normal[..., 0, 1] = normal[..., 1, 0] = gram
    normal[..., 0, 2] = normal[..., 2, 0] = cubes
    normal[..., 1, 2] = normal[..., 2, 1] = cubes.T
    normal[..., 2, 2] = square
    normal[..., [0, 1, 2], [0, 1, 2]] *= 1.0 + 1e-12
    goal = np.empty((*gram.shape, 3))
    goal[..., 0], goal[..., 1] = right[:, None], right[None]
    goal[..., 2] = (z * (w * v)) @ z.T
    found = np.linalg.solve(normal + 1e-14 * np.eye(3), goal[..., None])[..., 0]
    return np.asarray(1.0 - (found * goal).sum(axis=-1))


def _best_of_kinds(loss: FloatArray, atoms: list[Atom], most: int) -> list[tuple[int, int]]:
    """Return the pairs of least loss, one for each pair of kinds."""
    rows, columns = np.triu_indices(len(atoms))
    value = loss[rows, columns]
    seen: set[tuple[str, str]] = set()
    found: list[tuple[int, int]] = []
    for at in np.argsort(value, kind="stable")[:40_000]:
        i, j = int(rows[at]), int(columns[at])
        kinds = tuple(sorted((atoms[i].kind, atoms[j].kind)))
        if kinds not in seen:
            seen.add(kinds)  # type: ignore[arg-type]
            found.append((i, j))
            if len(found) == most:
                break
    return found


def pairs(
    u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function], own: set[str], most: int = 60
) -> Iterator[tuple[str, Node]]:
    """Go through sums c f + e g + d and products c (f + e)(g + h) + d that come close, to be refined: (kind, start)."""
    w = np.square(sigma.min() / sigma)
    w = w / w.sum()
    book = Dictionary(u, functions, own)
    atoms = book.plain + book.nested + book.others
    if len(atoms) < 2:
        return
    curves = np.stack([atom.curve for atom in atoms])
    goal = unit_curves(v[None], w)[0]
    z = unit_curves(curves, w)
    sums = _best_of_kinds(_losses_of_sums(z, goal, w), atoms, most)
    products = _best_of_kinds(_losses_of_products(z, goal, w), atoms, most)
    for rank in range(most):
        for made, combined in ((sums, _as_sum), (products, _as_product)):
            if rank < len(made):
                one, two = atoms[made[rank][0]], atoms[made[rank][1]]
                yield f"{one.kind} {'+' if combined is _as_sum else 'times'} {two.kind}", combined(one, two, v, w)


def _as_sum(one: Atom, two: Atom, v: FloatArray, w: FloatArray) -> Node:
    c, e, d = solved([one.curve, two.curve, np.ones_like(v)], v, w)
    return add(mul(Const(c), one.node), mul(Const(e), two.node), Const(d))


def _as_product(one: Atom, two: Atom, v: FloatArray, w: FloatArray) -> Node:
    f, g = one.curve, two.curve
    c, of_f, of_g, d = solved([f * g, f, g, np.ones_like(v)], v, w)
    if not abs(c) > 0.0:
        return _as_sum(one, two, v, w)
    shifted = mul(Const(c), add(one.node, Const(of_g / c)), add(two.node, Const(of_f / c)))
    return add(shifted, Const(d - of_f * of_g / c))


def functions_of_pairs(
    u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function], own: set[str], most: int = 10
) -> Iterator[tuple[str, Node]]:
    """Go through c f(a w + b) + d with w a function of a function, or a sum or product of two functions."""
    weight = np.square(sigma.min() / sigma)
    weight = weight / weight.sum()
    book = Dictionary(u, functions, own)
    inner: list[tuple[Atom, Atom | None]] = [(atom, None) for atom in [*book.plain, *book.nested, *joined(book)]]
    inner += list(combinations(book.plain, 2))
    if not inner:
        return
    ranked: list[tuple[float, int, Function, FloatArray]] = []
    goal = unit_curves(v[None], weight)[0]
    first = np.stack([one.curve for one, _ in inner])
    second = np.stack([np.zeros_like(u) if two is None else two.curve for _, two in inner])
    for name in _OUTER:
        if name in functions:
            theta, loss = _climbed(functions[name], first, second, goal, weight)
            order = [int(k) for k in np.argsort(loss, kind="stable")[:most] if np.isfinite(loss[k])]
            ranked += [(float(loss[k]), k, functions[name], theta[k]) for k in order]
    for _, k, f, (a, e, b) in sorted(ranked, key=lambda r: r[:2]):
        one, two = inner[k]
        terms = [mul(Const(float(a)), one.node), *([] if two is None else [mul(Const(float(e)), two.node)])]
        argument = add(*terms, Const(float(b)))
        node = Pow(argument, number(float(f.derivative(1.0)))) if f.name.startswith("pow") else Call(f, argument)
        c, d = solved([Tape(node).value(u[:, None]), np.ones_like(v)], v, weight)
        if np.isfinite(c):
            kind = one.kind if two is None else f"{one.kind} + {two.kind}"
            yield f"{f.name} of {kind}", add(mul(Const(c), node), Const(d))


def _climbed(
    f: Function, first: FloatArray, second: FloatArray, goal: FloatArray, w: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a, e, b of c f(a g + e h + b) + d for every g, h, by Gauss-Newton from the best start, and the losses."""
    middle, half = (first.max(axis=1) + first.min(axis=1)) / 2, np.ptp(first, axis=1) / 2
    ratio = half / np.where(np.ptp(second, axis=1) > 0.0, np.ptp(second, axis=1) / 2, np.inf)
    best, theta = np.full(len(first), np.inf), np.zeros((len(first), 3))
    with np.errstate(all="ignore"):
        for a, b in starts_of(f):
            for e in (0.0, 1.0, -1.0):
                trial = np.stack([a / half, e * a / half * ratio, b - a * middle / half], axis=1)
                _keep_better(f, trial, (first, second, goal, w), theta, best)
        for sign in (1.0, -1.0):
            trial = np.broadcast_to([1.0, sign, 0.0], theta.shape)
            _keep_better(f, trial, (first, second, goal, w), theta, best)
        damping = np.full(len(first), 1e-3)
        for _ in range(_CLIMB):
            step = _step(f, theta, (first, second, goal, w), damping)
            before = best.copy()
            _keep_better(f, theta + step, (first, second, goal, w), theta, best)
            damping = np.where(best < before, damping * 0.1, damping * 10.0)
    return theta, best


_Curves = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _unit(f: Function, theta: FloatArray, curves: _Curves) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return f(a g + e h + b) without its mean and of length 1, its length, and the arguments."""
    first, second, _, w = curves
    t = theta[:, :1] * first + theta[:, 1:2] * second + theta[:, 2:]
    z = np.asarray(f.value(t), np.float64)
    z = z - (z @ w)[:, None]
    size = np.sqrt(np.square(z) @ w)[:, None]
    return z / size, size, t


def _keep_better(f: Function, trial: FloatArray, curves: _Curves, theta: FloatArray, best: FloatArray) -> None:
    """Write those of the trials that leave less into theta and best."""
    goal, w = curves[2:]
    z = _unit(f, trial, curves)[0]
    rest = goal - (z @ (w * goal))[:, None] * z
    loss = np.square(rest) @ w
    better = np.isfinite(loss) & (loss < best)
    theta[better], best[better] = trial[better], loss[better]


def _step(f: Function, theta: FloatArray, curves: _Curves, damping: FloatArray) -> FloatArray:
    """Return damped Gauss-Newton steps on the projected problem."""
    first, second, goal, w = curves
    z, size, t = _unit(f, theta, curves)
    c = (z @ (w * goal))[:, None]
    slope = c * np.asarray(f.derivative(t), np.float64) / size
    jac = np.stack([slope * first, slope * second, slope], axis=1)
    jac = jac - (jac @ w)[:, :, None]
    jac = jac - (jac @ (w * z)[:, :, None]) * z[:, None]
    normal = (jac * w) @ jac.transpose(0, 2, 1)
    diagonal = normal[:, [0, 1, 2], [0, 1, 2]]
    normal[:, [0, 1, 2], [0, 1, 2]] += damping[:, None] * diagonal + np.where(diagonal > 0.0, 1e-300, 1.0)
    right = (jac @ (w * (goal - c * z))[:, :, None])[:, :, 0]
    ok = np.isfinite(normal).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
    normal[~ok], right[~ok] = np.eye(3), 0.0
    normal += 1e-13 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    return np.asarray(np.linalg.solve(normal, right[:, :, None])[:, :, 0])
