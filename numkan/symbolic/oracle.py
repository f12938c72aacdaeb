"""Oracles: functions that can be evaluated anywhere in a box, with estimates of their errors.

A fitted network is one. So is each part that a structure test splits off: its values are means or projections of values
of the whole, and its errors follow from their errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.transforms import Transform

__all__ = ["Answer", "Oracle", "additive_part", "divided", "factor", "fixed", "part", "transformed"]

Answer = tuple[FloatArray, FloatArray]  # values (n,), their errors (n,)

_REPRESENTERS = 6  # settings of the other variables over which a part is averaged
_AT_ONCE = 1 << 17  # points at which the whole is evaluated at once: memory stays small however deep oracles are nested
_MARGIN = 0.02  # of the box is left out at each end: fits are worst there


@dataclass(frozen=True, slots=True, eq=False)
class Oracle:
    """A function of d variables on a box, with its errors.

    `cost` is the number of points at which the whole is evaluated for one point of this part. That of a part of a part
    is the product of both.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic import Oracle
    >>> def ask(x):
    ...     return x[:, 0] * x[:, 1], np.full(len(x), 1e-9)
    >>> oracle = Oracle(ask, low=np.array([1.0, 1.0]), high=np.array([2.0, 2.0]))
    >>> oracle.n_in, oracle.draw(5, np.random.default_rng(0)).shape
    (2, (5, 2))
    """

    ask: Callable[[FloatArray], Answer]
    low: FloatArray
    high: FloatArray
    cost: int = 1

    @property
    def n_in(self) -> int:
        """Number of variables."""
        return len(self.low)

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Return points (count, n_in) uniformly drawn inside of the box."""
        width = self.high - self.low
        return rng.uniform(self.low + _MARGIN * width, self.high - _MARGIN * width, (count, self.n_in))

    def shrunk(self, share: float, error: float = 1.0) -> Oracle:
        """Return it on the middle of the box, with errors `error` times as large."""
        cut = (self.high - self.low) * (1.0 - share) / 2
        if error == 1.0:
            return Oracle(self.ask, self.low + cut, self.high - cut, self.cost)
        return Oracle(lambda x: _scaled(self.ask(x), error), self.low + cut, self.high - cut, self.cost)


def part(ask: Callable[[FloatArray], Answer], low: FloatArray, high: FloatArray, cost: int) -> Oracle:
    """Return an oracle that evaluates others at `cost` points for each of its own, in blocks of bounded size."""
    block = max(1, _AT_ONCE // cost)

    def ask_in_blocks(x: FloatArray) -> Answer:
        if len(x) <= block:
            return ask(x)
        answers = [ask(x[start : start + block]) for start in range(0, len(x), block)]
        return np.concatenate([value for value, _ in answers]), np.concatenate([error for _, error in answers])

    return Oracle(ask_in_blocks, low, high, cost)


def _scaled(answer: Answer, error: float) -> Answer:
    return answer[0], answer[1] * error


def transformed(oracle: Oracle, t: Transform) -> Oracle:
    """Return T of an oracle; errors grow by |T'|."""
    if t.name == "y":
        return oracle
    return Oracle(lambda x: through(t, oracle.ask(x)), oracle.low, oracle.high, oracle.cost)


def through(t: Transform, answer: Answer) -> Answer:
    """Return T of an answer."""
    with np.errstate(all="ignore"):
        return np.asarray(t.value(answer[0])), np.abs(t.slope(answer[0])) * answer[1]


def _others(oracle: Oracle, own: Sequence[int]) -> FloatArray:
    """Return settings of all variables, of which those that are not `own` matter."""
    return oracle.draw(_REPRESENTERS, np.random.default_rng(7))


def _ask_around(oracle: Oracle, own: Sequence[int], settings: FloatArray, x: FloatArray) -> Answer:
    """Return the answers (n, count) at own variables x and every setting of the others."""
    points = np.repeat(settings[None], len(x), axis=0)
    points[:, :, list(own)] = x[:, None, :]
    value, error = oracle.ask(points.reshape(-1, oracle.n_in))
    return value.reshape(len(x), -1), error.reshape(len(x), -1)


def additive_part(oracle: Oracle, own: Sequence[int]) -> Oracle:
    """Return the part of some variables in a sum: the weighted mean over settings of the others."""
    settings = _others(oracle, own)
    middle = (oracle.low + oracle.high) / 2
    weight = 1.0 / np.square(np.maximum(_ask_around(oracle, own, settings, middle[None, list(own)])[1][0], 1e-300))
    weight = np.where(np.isfinite(weight), weight, 0.0)
    weight = weight / weight.sum() if weight.sum() > 0 else np.full(len(weight), 1 / len(weight))

    def ask(x: FloatArray) -> Answer:
        value, error = _ask_around(oracle, own, settings, x)
        return value @ weight, error @ weight  # errors of one network are correlated, so they do not average out

    return part(ask, oracle.low[list(own)], oracle.high[list(own)], _REPRESENTERS * oracle.cost)


def factor(oracle: Oracle, own: Sequence[int]) -> Oracle:
    """Return the factor of some variables in a product: the projection on the profile of the others, size about 1."""
    settings = _others(oracle, own)
    tries = oracle.draw(24, np.random.default_rng(8))[:, list(own)]
    table, _ = _ask_around(oracle, own, settings, tries)
    profile = table[int(np.argmax(np.abs(table).sum(axis=1)))]
    weight = profile / float(profile @ profile)

    def ask(x: FloatArray) -> Answer:
        value, error = _ask_around(oracle, own, settings, x)
        return value @ weight, error @ np.abs(weight)

    return part(ask, oracle.low[list(own)], oracle.high[list(own)], _REPRESENTERS * oracle.cost)


def divided(one: Oracle, two: Oracle) -> Oracle:
    """Return the ratio of two oracles of the same variables."""

    def ask(x: FloatArray) -> Answer:
        (a, ea), (b, eb) = one.ask(x), two.ask(x)
        with np.errstate(all="ignore"):
            ratio = a / b
            return ratio, (ea + np.abs(ratio) * eb) / np.abs(b)

    return Oracle(ask, one.low, one.high, one.cost + two.cost)


def fixed(oracle: Oracle, own: Sequence[int], at: FloatArray) -> Oracle:
    """Return an oracle of some variables, the others fixed at a point."""

    def ask(x: FloatArray) -> Answer:
        points = np.repeat(at[None], len(x), axis=0)
        points[:, list(own)] = x
        return oracle.ask(points)

    return Oracle(ask, oracle.low[list(own)], oracle.high[list(own)], oracle.cost)
