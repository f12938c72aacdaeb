"""From an oracle to expressions: split it by tests of structure until functions of one variable are left.

The expressions are hypotheses. The data decide on them: the right structure refines to rounding, a wrong one does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Add, Const, Mul, Node, Tape, Var, add, bits, mul, number, place
from numkan.symbolic.functions import Function
from numkan.symbolic.leaves import leaves
from numkan.symbolic.oracle import Oracle, additive_part, factor, transformed
from numkan.symbolic.span import Table, curve_beside_constant, in_span, independent, make_table, weights
from numkan.symbolic.structure import decide, interactions, irrelevant, partition
from numkan.symbolic.symmetry import Symmetry, reduced, symmetries
from numkan.symbolic.transforms import TRANSFORMS, Transform, transforms_for

__all__ = ["Solver"]

_NODES = 56  # points at which a function of one variable is evaluated
_MOST, _DEEPEST = 3, 9  # expressions of a part; splits within splits


class Solver:
    """Proposes expressions for an oracle; records every test with its figures.

    `work`: the largest number of functions of one variable and tables that it may examine.
    """

    def __init__(self, functions: Mapping[str, Function], work: int = 24, seed: int = 0) -> None:
        self._functions = functions
        self._rng = np.random.default_rng(seed)
        self.work = work
        self.trace: list[str] = []
        self.symmetries: list[Symmetry] = []  # of the whole, whether they passed or not

    def propose(self, oracle: Oracle, depth: int = 0) -> Iterator[Node]:
        """Yield expressions of the oracle's variables, likely ones first."""
        kept = [k for k in range(oracle.n_in) if not irrelevant(oracle, k, self._rng).accepted]
        if not kept:
            value = oracle.ask(oracle.draw(64, self._rng))[0]
            if np.isfinite(value).any():
                yield Const(float(np.mean(value[np.isfinite(value)])))
            return
        if len(kept) < oracle.n_in:
            self._say(depth, f"no dependence on inputs {[k for k in range(oracle.n_in) if k not in kept]}")
            yield from (
                place(node, [Var(k) for k in kept]) for node in self.propose(additive_part(oracle, kept), depth)
            )
            return
        if self.work <= 0 or depth > _DEEPEST:
            return
        if oracle.n_in == 1:
            yield from self._leaf(oracle, depth)
            return
        yield from self._sums(oracle, depth)
        yield from self._symmetric(oracle, depth)
        yield from self._spans(oracle, depth)

    def _some(self, oracle: Oracle, depth: int) -> list[Node]:
        return list(islice(self.propose(oracle, depth + 1), _MOST))

    def _say(self, depth: int, text: object) -> None:
        self.trace.append("  " * depth + str(text))

    # --- one variable -----------------------------------------------------------------------------------------------

    def _leaf(self, oracle: Oracle, depth: int) -> Iterator[Node]:
        self.work -= 1
        u = np.linspace(oracle.low[0], oracle.high[0], _NODES + 2)[1:-1]
        value, error = oracle.ask(u[:, None])
        yield from self._named(u, value, error, depth)

    def _named(self, u: FloatArray, value: FloatArray, error: FloatArray, depth: int) -> Iterator[Node]:
        ok = np.isfinite(value) & np.isfinite(error)
        u, value, error = u[ok], value[ok], error[ok]
        if len(u) < 24:
            return
        error = np.maximum(error, 1e-13 * float(np.abs(value).max()) + 1e-300)
        found = leaves(u, value, error, self._functions)
        self._say(depth, "one variable: " + (", ".join(f"{f.how} (misfit {f.misfit:.2g})" for f in found) or "unknown"))
        for leaf in found:
            yield leaf.expression

    # --- sums and products under output transforms --------------------------------------------------------------------

    def _sums(self, oracle: Oracle, depth: int) -> Iterator[Node]:
        value = oracle.ask(oracle.draw(400, self._rng))[0]
        value = value[np.isfinite(value)]
        if len(value) < 40:
            return
        allowed = transforms_for(value, set(self._functions))
        log = next(t for t in TRANSFORMS if t.name == "log|y|")
        allowed = allowed if log in allowed else [*allowed[:1], log, *allowed[1:]]
        tests = interactions(oracle, allowed, self._rng)
        sign = 1.0 if np.median(value) > 0 else -1.0
        for t in allowed:
            groups = partition(oracle.n_in, tests[t.name])
            if len(groups) > 1:
                worst = max((test.statistic for test in tests[t.name].values() if test.accepted), default=0.0)
                self._say(depth, f"{t.name} splits into parts of inputs {groups} (statistic {worst:.2g})")
                yield from self._split(oracle, t, groups, sign, depth)

    def _split(self, oracle: Oracle, t: Transform, groups: list[list[int]], sign: float, depth: int) -> Iterator[Node]:
        inner = oracle if t.name == "log|y|" else transformed(oracle, t)
        split = factor if t.name == "log|y|" else additive_part
        parts = []
        for own in groups:
            nodes = self._some(split(inner, own), depth)
            if not nodes:
                return
            parts.append([place(node, [Var(k) for k in own]) for node in nodes])
        combine = self._multiplied if t.name == "log|y|" else self._added
        for chosen in islice(product(*parts), _MOST * 2):
            node = combine(inner, chosen)
            yield node if t.name == "log|y|" else t.back(node, sign)

    def _multiplied(self, oracle: Oracle, parts: Sequence[Node]) -> Node:
        x = oracle.draw(200, np.random.default_rng(9))
        value, guess = oracle.ask(x)[0], Tape(mul(*parts)).value(x)
        ok = np.isfinite(value) & np.isfinite(guess)
        size = float(guess[ok] @ guess[ok])
        return mul(Const(float(value[ok] @ guess[ok]) / (size or 1.0)), *parts)

    def _added(self, oracle: Oracle, parts: Sequence[Node]) -> Node:
        x = oracle.draw(200, np.random.default_rng(9))
        rest = oracle.ask(x)[0] - Tape(add(*parts)).value(x)
        rest = rest[np.isfinite(rest)]
        return add(*parts, Const(float(np.median(rest)) if len(rest) else 0.0))

    # --- symmetries -------------------------------------------------------------------------------------------------

    def _symmetric(self, oracle: Oracle, depth: int) -> Iterator[Node]:
        found = symmetries(oracle, self._rng)
        if depth == 0:
            self.symmetries = found
        for s in [s for s in found if s.test.accepted][:3]:
            self._say(depth, s.test)
            rest = [Var(k) for k in range(oracle.n_in) if k not in (s.i, s.j)]
            for node in self._some(reduced(oracle, s), depth):
                yield place(node, [s.node(), *rest])

    # --- sums of products -------------------------------------------------------------------------------------------

    def _spans(self, oracle: Oracle, depth: int) -> Iterator[Node]:
        value = oracle.ask(oracle.draw(400, self._rng))[0]
        if not np.isfinite(value).all():
            return
        sign = 1.0 if np.median(value) > 0 else -1.0
        tables: list[tuple[int, int, Transform, Oracle, Table]] = []
        for t in transforms_for(value, set(self._functions)):
            inner = transformed(oracle, t)
            for variable in range(oracle.n_in):
                table = make_table(inner, variable, self._rng)
                if table is not None and table.rank - table.with_constant <= 2:
                    tables.append((table.rank - table.with_constant, len(tables), t, inner, table))
        for terms, _, t, inner, table in sorted(tables, key=lambda entry: entry[:2])[:5]:
            self._say(depth, f"{t.name}: {table.rank} terms in input {table.variable}")
            self.work -= 1
            for basis in self._bases(inner, table, terms, depth):
                node = self._spanned(inner, table, basis, depth)
                if node is not None:
                    yield t.back(node, sign)

    def _bases(self, oracle: Oracle, table: Table, terms: int, depth: int) -> Iterator[list[Node]]:
        if terms == 1:
            curve = curve_beside_constant(table) if table.with_constant else table.left[:, 0]
            error = table.scale * table.blur / np.sqrt(len(curve))
            for node in islice(self._named(table.at, curve, error, depth), 2):
                yield [number(1), _bare(node)] if table.with_constant else [node]
            return
        found = [node for _, node in in_span(table, self._functions)]
        self._say(depth, f"functions in the span: {len(found)}")
        yield from independent(table, found, table.rank, constant=table.with_constant)

    def _spanned(self, oracle: Oracle, table: Table, basis: list[Node], depth: int) -> Node | None:
        rest = [Var(k) for k in range(oracle.n_in) if k != table.variable]
        terms = []
        for phi, weight in zip(basis, weights(oracle, table, basis), strict=True):
            found = self._some(weight, depth)
            if not found:
                return None
            shortest = min(found, key=bits)
            terms.append(mul(place(phi, [Var(table.variable)]), place(shortest, rest)))
        return add(*terms)


def _bare(node: Node) -> Node:
    """Return a function without its own constant and scale, which become part of its factor."""
    if isinstance(node, Add):
        terms = [term for term in node.terms if not isinstance(term, Const)]
        node = terms[0] if len(terms) == 1 else add(*terms)
    if isinstance(node, Mul):
        node = mul(*(factor for factor in node.factors if not isinstance(factor, Const)))
    return node


def agree(oracle: Oracle, node: Node, rng: np.random.Generator) -> bool:
    """Return whether an expression agrees with an oracle within its errors."""
    x = oracle.draw(200, rng)
    value, error = oracle.ask(x)
    return decide("agrees", Tape(node).value(x) - value, error).accepted
