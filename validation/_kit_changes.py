"""Random changes of Python source: an operator, an index, a constant, a comparison, a dropped term.

Each change is one node of the syntax tree put in place of another, inside the methods of a class.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

__all__ = ["Change", "changes"]

_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}


@dataclass(frozen=True)
class Change:
    """One change: what kind it is of, where, what stood there, what stands there now, and the whole source."""

    kind: str
    line: int
    before: str
    after: str
    source: str


@cache
def changes(source: str) -> tuple[Change, ...]:
    """Return every change of the methods in some source, each with another result, in the order of the source."""
    tree = ast.parse(source)
    plain = ast.unparse(tree)
    bodies = list(_bodies(tree))
    found: dict[str, Change] = {}
    for node, put in list(_places(tree)):
        if any(body.lineno <= node.lineno <= (body.end_lineno or 0) for body in bodies):
            for kind, other in _others(node):
                put(other)
                changed = ast.unparse(tree)
                put(node)
                if changed != plain and changed not in found:
                    found[changed] = Change(kind, node.lineno, ast.unparse(node), ast.unparse(other), changed)
    return tuple(sorted(found.values(), key=lambda change: (change.line, change.before, change.after)))


def _bodies(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of methods: not their arguments."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            yield from function.body


def _places(tree: ast.Module) -> Iterator[tuple[ast.expr, Callable[[ast.expr], None]]]:
    """Yield each expression, and a function that puts another one in its place."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, ast.expr):
                yield value, partial(setattr, parent, name)
            elif isinstance(value, list):
                places = ((one, partial(value.__setitem__, n)) for n, one in enumerate(value))
                yield from ((one, put) for one, put in places if isinstance(one, ast.expr))


def _others(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Yield what may stand in place of a node, and the kind of each change."""
    if isinstance(node, ast.BinOp):
        for operator in _OPERATORS.get(type(node.op), ()):
            yield "operator", ast.BinOp(node.left, operator(), node.right)
        if not isinstance(node.op, ast.Pow | ast.MatMult):
            yield "dropped term", node.left
            yield "dropped term", node.right
    elif isinstance(node, ast.Compare):
        for n, operator in enumerate(node.ops):
            for other in _COMPARISONS.get(type(operator), ()):
                ops = [*node.ops[:n], other(), *node.ops[n + 1 :]]
                yield "comparison", ast.Compare(node.left, ops, node.comparators)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "dropped term", node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for step in (1, -1):
            yield "constant", ast.Constant(node.value + step)
    elif isinstance(node, ast.Subscript):
        for other in _moved(node.slice):
            yield "index", ast.Subscript(node.value, other, node.ctx)


def _moved(index: ast.expr) -> Iterator[ast.expr]:
    """Yield an index or a slice with one of its numbers greater or less by 1."""
    if isinstance(index, ast.Slice):
        for name in ("lower", "upper"):
            bound = getattr(index, name)
            for other in [] if bound is None else _moved(bound):
                yield ast.Slice(**{"lower": index.lower, "upper": index.upper, "step": index.step, name: other})
    elif isinstance(index, ast.Name | ast.BinOp):
        for operator in (ast.Add(), ast.Sub()):
            yield ast.BinOp(index, operator, ast.Constant(1))
