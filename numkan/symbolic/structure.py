"""Tests of structure: whether a function splits into parts of fewer variables.

Each test evaluates an oracle at random points, and compares differences that vanish if the structure holds with the
errors of the oracle. The hypothesis is that at most a tenth of the draws differ by more than three errors. It is
rejected if the number of those that do has a probability of at most `level`. It is a tenth because the errors of
networks are largest at the edges of their boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from numkan._check import FloatArray
from numkan.symbolic.oracle import Answer, Oracle, through
from numkan.symbolic.transforms import Transform

__all__ = ["Test", "decide", "interactions", "irrelevant", "partition", "test_additive", "test_multiplicative"]

LEVEL = 1e-3
_DRAWS = 100
_ERRORS, _SHARE = 3.0, 0.1
_TELLS = 0.15  # a test is not conclusive if errors are more than this share of the function's variation


@dataclass(frozen=True, slots=True)
class Test:
    """A structure test with its figures.

    Attributes
    ----------
    name : str
        The hypothesis, in words.
    statistic : float
        The 90 % quantile of the differences, in units of the oracle's errors.
    p : float
        Probability of as many large differences as there are, if the hypothesis holds.
    accepted : bool
    """

    __test__ = False  # or pytest would collect it as a test

    name: str
    statistic: float
    p: float
    accepted: bool

    def __str__(self) -> str:
        verdict = "holds" if self.accepted else "rejected"
        return f"{self.name}: {verdict} (statistic {self.statistic:.3g}, p = {self.p:.2g})"


def decide(name: str, difference: FloatArray, error: FloatArray, level: float = LEVEL) -> Test:
    """Return the verdict on differences that vanish under the hypothesis but for these errors."""
    with np.errstate(all="ignore"):
        ratio = np.abs(difference) / np.maximum(error, 1e-300)
    ratio = ratio[np.isfinite(ratio)]
    if len(ratio) < 20:
        return Test(name, float("nan"), 0.0, False)
    beyond = int(np.count_nonzero(ratio > _ERRORS))
    p = float(stats.binom.sf(beyond - 1, len(ratio), _SHARE))
    return Test(name, float(np.quantile(ratio, 0.9)), p, p > level)


def irrelevant(oracle: Oracle, variable: int, rng: np.random.Generator) -> Test:
    """Test whether a function does not depend on a variable."""
    one = oracle.draw(_DRAWS, rng)
    two = one.copy()
    two[:, variable] = oracle.draw(_DRAWS, rng)[:, variable]
    (a, ea), (b, eb) = oracle.ask(one), oracle.ask(two)
    return decide(f"no dependence on input {variable}", a - b, np.hypot(ea, eb))


def _corners(oracle: Oracle, i: Sequence[int], j: Sequence[int], rng: np.random.Generator) -> list[Answer]:
    """Return the answers at the four corners that two groups of variables make, others equal."""
    one, two = oracle.draw(_DRAWS, rng), oracle.draw(_DRAWS, rng)
    points = []
    for first, second in ((False, False), (True, False), (False, True), (True, True)):
        x = one.copy()
        for group, taken in ((list(i), first), (list(j), second)):
            if taken:
                x[:, group] = two[:, group]
        points.append(x)
    value, error = oracle.ask(np.concatenate(points))
    return list(zip(np.split(value, 4), np.split(error, 4), strict=True))


def mixed(corners: list[Answer], t: Transform) -> tuple[FloatArray, FloatArray, bool]:
    """Return the mixed differences of T, their errors, and whether errors are small enough to tell something."""
    values, errors = zip(*(through(t, corner) for corner in corners), strict=True)
    difference = values[0] - values[1] - values[2] + values[3]
    error = np.sqrt(sum(np.square(e) for e in errors))
    moves = np.abs(values[0] - values[3])
    with np.errstate(all="ignore"):
        ok = np.isfinite(error) & np.isfinite(moves)
        tells = bool(ok.any() and np.median(error[ok]) < _TELLS * np.median(moves[ok]))
    return difference, error, tells


def interactions(
    oracle: Oracle, transforms: Sequence[Transform], rng: np.random.Generator
) -> dict[str, dict[tuple[int, int], Test]]:
    """Test for every pair of variables whether T of the function is a sum of parts that hold one of them each.

    The network is asked once for all transforms.
    """
    found: dict[str, dict[tuple[int, int], Test]] = {t.name: {} for t in transforms}
    for i in range(oracle.n_in):
        for j in range(i):
            corners = _corners(oracle, [i], [j], rng)
            for t in transforms:
                difference, error, tells = mixed(corners, t)
                test = decide(f"{t.name}: inputs {j} and {i} do not interact", difference, error)
                found[t.name][i, j] = test if tells else Test(test.name, test.statistic, test.p, False)
    return found


def partition(n_in: int, tests: dict[tuple[int, int], Test]) -> list[list[int]]:
    """Return the groups of variables that interact, from the tests of pairs."""
    group = list(range(n_in))
    for (i, j), test in sorted(tests.items()):
        if not test.accepted and group[i] != group[j]:
            old, new = group[i], group[j]
            group = [new if g == old else g for g in group]
    return [[k for k in range(n_in) if group[k] == g] for g in dict.fromkeys(group)]


def test_additive(oracle: Oracle, own: Sequence[int], transform: Transform, level: float = LEVEL) -> Test:
    """Test whether T(f) = g(own variables) + h(other variables).

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic.transforms import TRANSFORMS
    >>> from numkan.symbolic import Oracle, test_additive
    >>> def ask(x):
    ...     return np.exp(x[:, 0] + x[:, 1]), np.full(len(x), 1e-9)
    >>> oracle = Oracle(ask, low=np.array([1.0, 1.0]), high=np.array([2.0, 2.0]))
    >>> [test_additive(oracle, [0], t).accepted for t in TRANSFORMS[:2]]  # of y, and of log|y|
    [False, True]
    """
    others = [k for k in range(oracle.n_in) if k not in own]
    corners = _corners(oracle, own, others, np.random.default_rng(0))
    difference, error, _ = mixed(corners, transform)
    return decide(f"{transform.name} is a sum of parts of inputs {list(own)} and {others}", difference, error, level)


def test_multiplicative(oracle: Oracle, own: Sequence[int], level: float = LEVEL) -> Test:
    """Test whether f = g(own variables) h(other variables), by 2 x 2 determinants: signs do not matter.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic import Oracle, test_multiplicative
    >>> def ask(x):
    ...     return x[:, 0] ** 2 * np.sin(x[:, 1]), np.full(len(x), 1e-9)
    >>> oracle = Oracle(ask, low=np.array([1.0, 1.0]), high=np.array([2.0, 2.0]))
    >>> test_multiplicative(oracle, [0]).accepted
    True
    """
    others = [k for k in range(oracle.n_in) if k not in own]
    (a, ea), (b, eb), (c, ec), (d, ed) = _corners(oracle, own, others, np.random.default_rng(0))
    error = np.sqrt(np.square(ea * d) + np.square(ed * a) + np.square(eb * c) + np.square(ec * b))
    return decide(f"a product of factors of inputs {list(own)} and {others}", a * d - b * c, error, level)


test_additive.__test__ = test_multiplicative.__test__ = False  # type: ignore[attr-defined]
