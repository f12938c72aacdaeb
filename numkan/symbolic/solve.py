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
from numkan.symbolic.oracle import Answer, Oracle, additive_part, divided, factor, transformed
from numkan.symbolic.slices import parameters, slices
from numkan.symbolic.span import Table, curve_beside_constant, in_span, independent, make_table, weights
from numkan.symbolic.structure import decide, interactions, irrelevant, partition
from numkan.symbolic.symmetry import Symmetry, reduced, symmetries
from numkan.symbolic.transforms import TRANSFORMS, Transform, transforms_for

__all__ = ["Solver"]

_NODES = 56  # points at which a function of one variable is evaluated
_MOST, _DEEPEST = 3, 9  # expressions of a part; splits within splits
_SLICED = 2  # depth down to which variables are looked at one at a time
_DEAREST = 2000  # points of the whole for one of a part that is still looked at: two tables, one in the other
_SHARP = 1e-4  # error of an oracle, as a share of its deviation, below which agreement means something


class _NoPointsError(Exception):
    """The oracle has been asked at as many points as are allowed."""


class Solver:
    """Proposes expressions for an oracle; records every test with its figures.

    `work`: the largest number of functions of one variable and tables that it may examine; `deep`: the largest number
    of functions of one variable that it may search in depth and not find; `points`: at which the oracle may be asked.
    """

    def __init__(
        self, functions: Mapping[str, Function], work: int = 24, seed: int = 0, deep: int = 3, points: int = 6_000_000
    ) -> None:
        self._functions = functions
        self._rng = np.random.default_rng(seed)
        self.work, self.deep, self.points = work, deep, points
        self.trace: list[str] = []
        self.symmetries: list[Symmetry] = []  # of the whole, whether they passed or not

    def propose(self, oracle: Oracle) -> Iterator[Node]:
        """Yield expressions of the oracle's variables, likely ones first, until the points are used up."""

        def ask(x: FloatArray) -> Answer:
            if self.points <= 0:
                raise _NoPointsError
            self.points -= len(x)
            return oracle.ask(x)

        try:
            yield from self._proposals(Oracle(ask, oracle.low, oracle.high), 0)
        except _NoPointsError:
            self._say(0, "all points are used up")

    def _proposals(self, oracle: Oracle, depth: int) -> Iterator[Node]:
        if oracle.cost > _DEAREST:
            self._say(depth, f"not looked at: a point of it takes {oracle.cost}")
            return
        kept = [k for k in range(oracle.n_in) if not irrelevant(oracle, k, self._rng).accepted]
        if not kept:
            value = oracle.ask(oracle.draw(64, self._rng))[0]
            if np.isfinite(value).any():
                yield Const(float(np.mean(value[np.isfinite(value)])))
            return
        if len(kept) < oracle.n_in:
            self._say(depth, f"no dependence on inputs {[k for k in range(oracle.n_in) if k not in kept]}")
            yield from (
                place(node, [Var(k) for k in kept]) for node in self._proposals(additive_part(oracle, kept), depth)
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
        yield from self._slices(oracle, depth)

    def _some(self, oracle: Oracle, depth: int) -> list[Node]:
        """Return the first expressions; where errors are small, no more after one that agrees."""
        found: list[Node] = []
        sharp: bool | None = None
        for node in self._proposals(oracle, depth + 1):
            found.append(node)
            if len(found) == _MOST:
                break
            sharp = _is_sharp(oracle) if sharp is None else sharp
            if sharp and agree(oracle, node, np.random.default_rng(3)):
                return [node]
        return found

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
        found = leaves(u, value, error, self._functions, deep=self.deep > 0)
        self.deep -= not found or found[0].how.endswith("?")
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
                for node in self._spanned(inner, table, basis, depth):
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

    def _spanned(self, oracle: Oracle, table: Table, basis: list[Node], depth: int) -> Iterator[Node]:
        """Go through sums of the functions times their weights, and products of one weight and the sum of the rest."""
        own = [place(phi, [Var(table.variable)]) for phi in basis]
        parts = weights(oracle, table, basis)
        found = [self._shortest(weight, table.variable, oracle.n_in, depth) for weight in parts]
        known = [node for node in found if node is not None]
        if len(known) == len(parts):
            node = add(*(mul(phi, weight) for phi, weight in zip(own, known, strict=True)))
            yield node
            if len(parts) == 1 or agree(oracle, node, np.random.default_rng(3)):
                return
        for k, factor_k in enumerate(found):
            if factor_k is None or self.work <= 0 or len(parts) == 1:
                continue
            terms: list[Node] = []
            for phi, weight in zip(own, parts, strict=True):
                if weight is parts[k]:
                    terms.append(phi)
                    continue
                ratio = self._shortest(divided(weight, parts[k]), table.variable, oracle.n_in, depth)
                if ratio is None:
                    break
                terms.append(mul(phi, ratio))
            if len(terms) == len(parts):
                self._say(depth, f"a weight comes out of the sum over input {table.variable}")
                yield mul(factor_k, add(*terms))

    def _shortest(self, part: Oracle, without: int, n_in: int, depth: int) -> Node | None:
        """Return the shortest expression of an oracle of all variables but one, in their places."""
        found = self._some(part, depth)
        return place(min(found, key=bits), [Var(k) for k in range(n_in) if k != without]) if found else None

    # --- one variable at a time ---------------------------------------------------------------------------------------

    def _slices(self, oracle: Oracle, depth: int) -> Iterator[Node]:
        """Along one variable the function is c f(a g + b) + d: find a, b, c, d as functions of the others."""
        if depth > _SLICED or not _is_sharp(oracle):
            return
        found = [s for k in range(oracle.n_in) for s in slices(oracle, k, self._functions, self._rng)]
        for s in sorted(found, key=lambda s: s.outer.bits + s.inner.bits)[:4]:
            if self.work <= 0:
                return
            self._say(depth, f"along input {s.variable}: {s.outer.name} of {s.inner.name} (misfit {s.misfit:.2g})")
            parts = {}
            for name, part in parameters(oracle, s).items():
                node = self._shortest(part, s.variable, oracle.n_in, depth)
                if node is None:
                    break
                parts[name] = node
            if len(parts) == len(s.names):
                yield s.node(parts)


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


def _is_sharp(oracle: Oracle) -> bool:
    """Tell whether the errors of an oracle are small beside what it does."""
    value, error = oracle.ask(oracle.draw(100, np.random.default_rng(4)))
    ok = np.isfinite(value) & np.isfinite(error)
    return bool(ok.sum() > 50 and np.median(error[ok]) < _SHARP * float(np.std(value[ok])))
