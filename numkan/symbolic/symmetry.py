"""Symmetries: a function depends on two variables only through one, such as x_i - x_j or x_i / x_j."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Const, Node, Pow, Var, add, mul, number
from numkan.symbolic.oracle import Answer, Oracle, part
from numkan.symbolic.structure import LEVEL, Test, decide

__all__ = ["KINDS", "Kind", "Symmetry", "estimate", "reduced", "symmetries", "test_symmetry"]

_DRAWS, _TRIES = 100, 24
_SIMPLE = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 4.0, -4.0)
_NEAR = 0.1  # a constant that is as close as this to a simple one is tried as that first


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """u(x_i, x_j; c), solved for x_i; the slope dx_i/dx_j on a level of u determines c."""

    name: str
    value: Callable[[FloatArray, FloatArray, float], FloatArray]
    inverse: Callable[[FloatArray, FloatArray, float], FloatArray]
    constant: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]  # from x_i, x_j, F_j / F_i
    node: Callable[[Node, Node, Const], Node]


def _square(node: Node) -> Node:
    return Pow(node, number(2))


KINDS: tuple[Kind, ...] = (
    Kind(
        "x_i + c x_j",
        lambda a, b, c: a + c * b,
        lambda u, b, c: u - c * b,
        lambda a, b, r: r,
        lambda a, b, c: add(a, mul(c, b)),
    ),
    Kind(
        "x_i x_j^c",
        lambda a, b, c: a * b**c,
        lambda u, b, c: u * b ** (-c),
        lambda a, b, r: r * b / a,
        lambda a, b, c: mul(a, Pow(b, c)),
    ),
    Kind(
        "x_i^2 + c x_j^2",
        lambda a, b, c: a**2 + c * b**2,
        lambda u, b, c: np.sqrt(u - c * b**2),
        lambda a, b, r: r * a / b,
        lambda a, b, c: add(_square(a), mul(c, _square(b))),
    ),
    Kind(
        "x_i + c x_j^2",
        lambda a, b, c: a + c * b**2,
        lambda u, b, c: u - c * b**2,
        lambda a, b, r: r / (2 * b),
        lambda a, b, c: add(a, mul(c, _square(b))),
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class Symmetry:
    """Two variables i, j that enter as one, u(x_i, x_j)."""

    kind: Kind
    i: int
    j: int
    c: float
    test: Test

    def node(self) -> Node:
        """Return the new variable as an expression of the inputs."""
        c = number(self.c) if self.c in _SIMPLE else Const(self.c)
        return self.kind.node(Var(self.i), Var(self.j), c)


def estimate(oracle: Oracle, rng: np.random.Generator, count: int = 60) -> tuple[FloatArray, FloatArray]:
    """Return points (count, d) and the gradients there, by central differences of fourth order."""
    x, h = oracle.draw(count, rng), 0.01 * (oracle.high - oracle.low)
    steps = []
    for i in range(oracle.n_in):
        for k in (1.0, -1.0, 2.0, -2.0):
            y = x.copy()
            y[:, i] += k * h[i]
            steps.append(y)
    value = oracle.ask(np.concatenate(steps))[0].reshape(oracle.n_in, 4, count)
    gradient = (8.0 * (value[:, 0] - value[:, 1]) - (value[:, 2] - value[:, 3])) / (12.0 * h[:, None])
    return x, gradient.T


def _partner(
    oracle: Oracle, kind: Kind, pair: tuple[int, int], c: float, u: FloatArray, spread: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return points x_i, x_j of the box with u(x_i, x_j) = u, of which `spread` in [0, 1) chooses one; NaN for none."""
    (i, j), low, high = pair, oracle.low, oracle.high
    side = _side(oracle, kind, i)
    b = np.linspace(low[j], high[j], _TRIES + 2)[1:-1]
    with np.errstate(all="ignore"):
        a = side * kind.inverse(u[:, None], b[None, :], c)
        back = kind.value(a, np.broadcast_to(b, a.shape), c)
    valid = (a >= low[i]) & (a <= high[i]) & (np.abs(back - u[:, None]) <= 1e-9 * (1.0 + np.abs(u[:, None])))
    count = valid.sum(axis=1)
    wanted = np.floor(spread * count).astype(int)
    pick = np.argmax(np.cumsum(valid, axis=1) > wanted[:, None], axis=1)
    rows = np.arange(len(u))
    missing = count == 0
    return np.where(missing, np.nan, a[rows, pick]), np.where(missing, np.nan, b[pick])


def _side(oracle: Oracle, kind: Kind, i: int) -> float:
    """Return the sign of x_i on the branch that is taken of a root."""
    return -1.0 if "x_i^2" in kind.name and oracle.high[i] + oracle.low[i] < 0.0 else 1.0


def test_symmetry(oracle: Oracle, kind: Kind, i: int, j: int, c: float, level: float = LEVEL, seed: int = 0) -> Test:
    """Test whether x_i and x_j come in only as u(x_i, x_j; c): values at pairs of points of the same u.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic.symmetry import KINDS
    >>> from numkan.symbolic import Oracle, test_symmetry
    >>> def ask(x):
    ...     return np.sin(x[:, 0] - x[:, 1]), np.full(len(x), 1e-9)
    >>> oracle = Oracle(ask, low=np.array([1.0, 1.0]), high=np.array([2.0, 2.0]))
    >>> [test_symmetry(oracle, KINDS[0], 0, 1, c).accepted for c in (1.0, -1.0)]  # x_0 + c x_1
    [False, True]
    """
    rng = np.random.default_rng(seed)
    one = oracle.draw(_DRAWS, rng)
    with np.errstate(all="ignore"):
        u = kind.value(one[:, i], one[:, j], c)
    a, b = _partner(oracle, kind, (i, j), c, u, rng.uniform(size=_DRAWS))
    ok = np.isfinite(a) & np.isfinite(u)
    two = one.copy()
    two[:, i], two[:, j] = a, b
    name = f"inputs {i} and {j} come in as {kind.name.replace('_i', str(i)).replace('_j', str(j))} with c = {c:.6g}"
    if ok.sum() < 40:
        return Test(name, float("nan"), 0.0, False)
    first, second = oracle.ask(one[ok]), oracle.ask(two[ok])
    test = decide(name, first[0] - second[0], np.hypot(first[1], second[1]), level)
    far = np.abs(two[ok, j] - one[ok, j]).mean() > 0.05 * (oracle.high[j] - oracle.low[j])
    moves = float(np.median(np.abs(first[0] - np.median(first[0])))) > 6.0 * float(np.median(first[1]))
    return test if far and moves else Test(name, test.statistic, test.p, False)


test_symmetry.__test__ = False  # type: ignore[attr-defined]


def symmetries(oracle: Oracle, rng: np.random.Generator) -> list[Symmetry]:
    """Return the symmetries of pairs of variables that pass their test, the best first; and all tests otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic import Oracle, symmetries
    >>> def ask(x):
    ...     return np.sin(x[:, 0] / x[:, 1]), np.full(len(x), 1e-9)
    >>> oracle = Oracle(ask, low=np.array([1.0, 1.0]), high=np.array([2.0, 2.0]))
    >>> best = symmetries(oracle, np.random.default_rng(0))[0]
    >>> best.kind.name, best.c, best.test.accepted
    ('x_i x_j^c', -1.0, True)
    """
    x, gradient = estimate(oracle, rng)
    found = []
    for i in range(oracle.n_in):
        for j in range(oracle.n_in):
            if i == j:
                continue
            with np.errstate(all="ignore"):
                ratio = gradient[:, j] / gradient[:, i]
            for kind in KINDS:
                if j > i and kind.name != "x_i + c x_j^2":
                    continue  # the others are the same with i and j exchanged
                best = _best(oracle, kind, (i, j), x, ratio)
                if best is not None:
                    found.append(best)
    return sorted(found, key=lambda s: (not s.test.accepted, s.test.statistic))


def _best(oracle: Oracle, kind: Kind, pair: tuple[int, int], x: FloatArray, ratio: FloatArray) -> Symmetry | None:
    """Return the symmetry of this kind with the constant that gradients say, or a simple one close to it."""
    i, j = pair
    if kind.name == "x_i x_j^c" and (oracle.low[j] <= 0.0 <= oracle.high[j]):
        tried = [1.0]
    else:
        with np.errstate(all="ignore"):
            guesses = kind.constant(x[:, i], x[:, j], ratio)
        guesses = guesses[np.isfinite(guesses)]
        if len(guesses) < 20:
            return None
        low, mid, high = np.quantile(guesses, [0.25, 0.5, 0.75])
        if not abs(mid) > 1e-3 or high - low > 0.5 * abs(mid) + 1e-9:
            return None
        near = [s for s in _SIMPLE if abs(mid - s) <= _NEAR * abs(s)]
        tried = [*near, float(mid)]
    best: Symmetry | None = None
    for c in tried:
        if kind.name == "x_i x_j^c" and c % 1.0 and oracle.low[j] <= 0.0:
            continue
        symmetry = Symmetry(kind, i, j, c, test_symmetry(oracle, kind, i, j, c))
        if symmetry.test.accepted:
            return symmetry
        if best is None or symmetry.test.statistic < best.test.statistic:
            best = symmetry
    return best


def reduced(oracle: Oracle, s: Symmetry) -> Oracle:
    """Return the oracle of u and the variables other than i and j, u first."""
    corner = np.array([[a, b] for a in np.linspace(oracle.low[s.i], oracle.high[s.i], 21)
                       for b in np.linspace(oracle.low[s.j], oracle.high[s.j], 21)])  # fmt: skip
    with np.errstate(all="ignore"):
        u = s.kind.value(corner[:, 0], corner[:, 1], s.c)
    u = u[np.isfinite(u)]
    cut = 0.04 * float(np.ptp(u))  # at the ends of u, in corners of the box, few pairs are left
    rest = [k for k in range(oracle.n_in) if k not in (s.i, s.j)]
    low = np.concatenate([[u.min() + cut], oracle.low[rest]])
    high = np.concatenate([[u.max() - cut], oracle.high[rest]])
    spreads = (0.3, 0.5, 0.7) if oracle.n_in <= 3 else (0.3,)

    def ask(x: FloatArray) -> Answer:
        points = np.empty((len(x), oracle.n_in))
        points[:, rest] = x[:, 1:]
        values = []
        for spread in spreads:
            a, b = _partner(oracle, s.kind, (s.i, s.j), s.c, x[:, 0], np.full(len(x), spread))
            points[:, s.i], points[:, s.j] = a, b
            ok = np.isfinite(a)
            value, error = np.full(len(x), np.nan), np.full(len(x), np.nan)
            if ok.any():
                value[ok], error[ok] = oracle.ask(points[ok])
            values.append((value, error))
        value = np.mean([v for v, _ in values], axis=0)
        return value, np.mean([e for _, e in values], axis=0)

    return part(ask, low, high, len(spreads) * oracle.cost)
