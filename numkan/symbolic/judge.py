"""Judgement of hypotheses by the data: it keeps all expressions tried, and decides when one is exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Node, Tape, bits, constants
from numkan.symbolic.refine import refine, root_of

__all__ = ["Judge", "Tried", "is_rounding", "rounding_of"]

_ROWS, _FIRST = 2000, 400  # samples of a refinement, and of the first test of an expression
#: Residuals are rounding below this multiple of its estimate, and this share of the targets.
_TIMES, _LEAST = 40.0, 1e-10
#: Share of the samples that may cancel, and of the deviation of the targets that residuals may be with them.
_FEW, _LARGE = 0.05, 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """An expression, refined on the training samples."""

    node: Node
    rms: float
    origin: str

    @property
    def free(self) -> int:
        """Number of free constants."""
        return len(constants(self.node))

    def criterion(self, n: int, floor: float) -> float:
        """Return its description and that of its residuals in bits (Bayesian: half of log2 n for each constant)."""
        length = bits(self.node) - 32.0 * self.free + 0.5 * self.free * float(np.log2(n))
        return length + n * float(np.log2(max(self.rms, floor)))


def rounding_of(node: Node, x: FloatArray, y: FloatArray) -> float:
    """Return the root mean square of the residuals that rounding alone may leave."""
    return _rms_of(Tape(node).rounding(x), y)


def _rms_of(rounding: FloatArray, y: FloatArray) -> float:
    own = rounding[np.isfinite(rounding)]
    u = np.finfo(np.float64).eps
    return float(np.sqrt(np.mean(np.square(own))) if len(own) else 0.0) + u * float(np.sqrt(np.mean(np.square(y))))


def is_rounding(node: Node, rms: float, x: FloatArray, y: FloatArray) -> bool:
    """Return whether residuals of this root mean square are rounding."""
    spread = float(np.std(y)) or 1.0
    if rms <= min(_TIMES * rounding_of(node, x, y), _LEAST * spread) or rms <= 1e-14 * spread:
        return True
    return rms <= _LARGE * spread and _is_rounding_but_for_few(node, x, y)


def _is_rounding_but_for_few(node: Node, x: FloatArray, y: FloatArray) -> bool:
    """Return whether residuals are rounding where a few samples cancel. Those have bounds of their own."""
    few = cancelling(node, x, y)
    if not few.any():
        return False
    tape, spread = Tape(node), float(np.std(y)) or 1.0
    own, residual = tape.rounding(x), np.abs(tape.value(x) - y)
    rest = float(np.sqrt(np.mean(np.square(residual[~few]))))
    quiet = rest <= min(_TIMES * _rms_of(own[~few], y[~few]), _LEAST * spread)
    return quiet and bool((residual[few] <= _TIMES * own[few]).all())


def cancelling(node: Node, x: FloatArray, y: FloatArray) -> Any:
    """Return which samples have large rounding errors, as (cos u - 1)/u^2 has near 0; none, if they are many."""
    few = ~(_TIMES * Tape(node).rounding(x) <= _LEAST * (float(np.std(y)) or 1.0))
    return few if few.mean() <= _FEW else np.zeros(len(y), bool)


@dataclass(slots=True, eq=False)
class Judge:
    """Refines expressions on the samples and compares them."""

    x: FloatArray
    y: FloatArray
    weight: FloatArray | None
    expired: Callable[[], bool]
    tried: list[Tried] = field(default_factory=list)
    exact: Tried | None = None

    def __post_init__(self) -> None:
        """Keep as many samples as refinement needs."""
        self.x, self.y = self.x[:_ROWS], self.y[:_ROWS]
        self.weight = None if self.weight is None else self.weight[:_ROWS]

    @property
    def root(self) -> FloatArray | float:
        """The factors of residuals, by their weights."""
        return 1.0 if self.weight is None else root_of(self.weight)

    @property
    def done(self) -> bool:
        """Whether the search is over, because an expression is exact or time is up."""
        return self.exact is not None or self.expired()

    @property
    def floor(self) -> float:
        """A residual that counts as none."""
        return 1e-15 * (float(np.std(self.y)) or 1.0)

    def best(self) -> Tried | None:
        """Return the expression with the shortest description of the samples."""
        n = len(self.y)
        return min(self.tried, key=lambda t: t.criterion(n, self.floor), default=None)

    def consider(self, node: Node, origin: str) -> Tried | None:
        """Refine an expression; keep it if it is finite and no worse than a constant."""
        if len(constants(node)) > 60:
            return None
        part = slice(0, _FIRST)
        weight = None if self.weight is None else self.weight[part]
        first = refine(node, self.x[part], self.y[part], weight=weight, steps=50)
        spread = float(np.std(self.y)) or 1.0
        if not first.rms < 0.7 * spread:
            return None
        best = min((t.rms for t in self.tried), default=np.inf)
        if first.rms > 3.0 * best and first.rms > 1e-9 * spread:
            return None
        whole = refine(first.expression, self.x, self.y, weight=self.weight, steps=50)
        if not whole.rms < 0.7 * spread:
            return None
        found = Tried(whole.expression, whole.rms, origin)
        if found.rms <= _LARGE * spread and not is_rounding(found.node, found.rms, self.x, self.y):
            found = self._without_few(found)
        self.tried.append(found)
        if is_rounding(found.node, found.rms, self.x, self.y):
            self.exact = found
        return found

    def _without_few(self, found: Tried) -> Tried:
        """Refit without the samples where the expression cancels, which distort its constants; drop them if it fits."""
        few = cancelling(found.node, self.x, self.y)
        if few.any():
            x, y, weight = self.x[~few], self.y[~few], None if self.weight is None else self.weight[~few]
            new = refine(found.node, x, y, weight=weight)
            rms = float(np.sqrt(np.mean(np.square(Tape(new.expression).value(self.x) - self.y))))
            if is_rounding(new.expression, rms, self.x, self.y):
                self.x, self.y, self.weight = x, y, weight
                return Tried(new.expression, new.rms, f"{found.origin}, without {few.sum()} samples that cancel")
        return found

    def front(self) -> list[Tried]:
        """Return the expressions than which no other is both shorter and closer, the shortest first."""
        kept: list[Tried] = []
        for t in sorted(self.tried, key=lambda t: (bits(t.node), t.rms)):
            if not kept or t.rms < 0.98 * kept[-1].rms:
                kept.append(t)
        return kept
