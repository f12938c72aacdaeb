"""Expressions: trees of sums, products, powers and functions, evaluated with the derivatives by their constants.

A constant is a leaf that is compared by identity, not by value: the same object in two places is one unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.functions import Function

__all__ = ["Add", "Call", "Const", "Mul", "Node", "Pow", "Tape", "Var", "add", "bits", "constants", "mul", "replace"]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A node of an expression."""

    @property
    def args(self) -> tuple[Node, ...]:
        """The operands of the node."""
        return ()


@dataclass(frozen=True, slots=True, eq=False)
class Const(Node):
    """A number: free if `exact` is empty, else known, with this text (``"1/3"``, ``"pi/4"``)."""

    value: float
    exact: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Var(Node):
    """An input, by its index."""

    index: int


@dataclass(frozen=True, slots=True, eq=False)
class Add(Node):
    """A sum."""

    terms: tuple[Node, ...]

    @property
    def args(self) -> tuple[Node, ...]:
        """The terms."""
        return self.terms


@dataclass(frozen=True, slots=True, eq=False)
class Mul(Node):
    """A product."""

    factors: tuple[Node, ...]

    @property
    def args(self) -> tuple[Node, ...]:
        """The factors."""
        return self.factors


@dataclass(frozen=True, slots=True, eq=False)
class Pow(Node):
    """A power; the exponent is a constant."""

    base: Node
    exponent: Const

    @property
    def args(self) -> tuple[Node, ...]:
        """Base and exponent."""
        return (self.base, self.exponent)


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """A function of the library."""

    function: Function
    argument: Node

    @property
    def args(self) -> tuple[Node, ...]:
        """The argument."""
        return (self.argument,)


def number(value: float) -> Const:
    """Return a known integer or simple decimal."""
    return Const(float(value), f"{value:.15g}")


def add(*terms: Node) -> Node:
    """Return a sum, flat, without known zeros."""
    flat = [t for term in terms for t in (term.terms if isinstance(term, Add) else (term,)) if not _is(t, 0.0)]
    return flat[0] if len(flat) == 1 else Add(tuple(flat)) if flat else number(0)


def mul(*factors: Node) -> Node:
    """Return a product, flat, without known ones."""
    flat = [f for node in factors for f in (node.factors if isinstance(node, Mul) else (node,)) if not _is(f, 1.0)]
    if any(_is(factor, 0.0) for factor in flat):
        return number(0)
    return flat[0] if len(flat) == 1 else Mul(tuple(flat)) if flat else number(1)


def power(base: Node, exponent: float) -> Node:
    """Return a power with a known exponent."""
    return base if exponent == 1.0 else Pow(base, number(exponent))


def _is(node: Node, value: float) -> bool:
    return isinstance(node, Const) and bool(node.exact) and node.value == value


def walk(node: Node) -> Iterator[Node]:
    """Yield all nodes, leaves first."""
    for arg in node.args:
        yield from walk(arg)
    yield node


def constants(node: Node) -> list[Const]:
    """Return the free constants, each once, in the order of the expression."""
    found = {id(leaf): leaf for leaf in walk(node) if isinstance(leaf, Const) and not leaf.exact}
    return list(found.values())


def variables(node: Node) -> set[int]:
    """Return the indices of the inputs in an expression."""
    return {leaf.index for leaf in walk(node) if isinstance(leaf, Var)}


def replace(node: Node, new: Mapping[int, Node]) -> Node:
    """Return the expression with nodes replaced, by their `id`; sums and products are made flat again."""
    if id(node) in new:
        return new[id(node)]
    if isinstance(node, Add):
        return add(*(replace(term, new) for term in node.terms))
    if isinstance(node, Mul):
        return mul(*(replace(factor, new) for factor in node.factors))
    if isinstance(node, Pow):
        exponent = replace(node.exponent, new)
        if not isinstance(exponent, Const):
            raise TypeError("an exponent must stay a constant")
        base = replace(node.base, new)
        return number(1) if _is(exponent, 0.0) else base if _is(exponent, 1.0) else Pow(base, exponent)
    if isinstance(node, Call):
        return Call(node.function, replace(node.argument, new))
    return node


def place(node: Node, inputs: Sequence[Node]) -> Node:
    """Return the expression with each input replaced by an expression."""
    return replace(node, {id(leaf): inputs[leaf.index] for leaf in walk(node) if isinstance(leaf, Var)})


def with_values(node: Node, values: Sequence[float]) -> Node:
    """Return the expression with other values of its free constants."""
    return replace(node, {id(c): Const(float(v)) for c, v in zip(constants(node), values, strict=True)})


def bits(node: Node) -> float:
    """Return the length of an expression in bits: of its symbols, and 32 for each free number."""
    total = 0.0
    for part in walk(node):
        if isinstance(part, Const):
            total += 2.0 + 2.0 * len(part.exact) if part.exact else 32.0
        elif isinstance(part, Var):
            total += 3.0
        elif isinstance(part, Call):
            total += part.function.bits
        else:
            total += 2.0 * max(1, len(part.args) - 1)
    return total


class Tape:
    """An expression ready to be evaluated many times, with derivatives by its free constants in reverse mode."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.free = constants(root)
        order: dict[int, int] = {}
        self._nodes: list[Node] = []
        for node in walk(root):
            if id(node) not in order:
                order[id(node)] = len(self._nodes)
                self._nodes.append(node)
        self._args = [tuple(order[id(arg)] for arg in node.args) for node in self._nodes]
        self._place = {order[id(leaf)]: k for k, leaf in enumerate(self.free)}
        self.theta = np.array([leaf.value for leaf in self.free])

    def _forward(self, x: FloatArray, theta: FloatArray) -> list[FloatArray]:
        values: list[FloatArray] = []
        for at, (node, args) in enumerate(zip(self._nodes, self._args, strict=True)):
            given = [values[arg] for arg in args]
            if isinstance(node, Const):
                k = self._place.get(at)
                out = np.asarray(node.value if k is None else theta[k])
            elif isinstance(node, Var):
                out = x[:, node.index]
            elif isinstance(node, Add):
                out = sum(given[1:], start=given[0])
            elif isinstance(node, Mul):
                out = given[0]
                for factor in given[1:]:
                    out = out * factor
            elif isinstance(node, Pow):
                out = np.power(given[0], given[1])
            else:
                assert isinstance(node, Call)
                out = np.asarray(node.function.value(given[0]))
            values.append(out)
        return values

    def value(self, x: FloatArray, theta: FloatArray | None = None) -> FloatArray:
        """Return the values (n,) at samples x (n, n_in)."""
        with np.errstate(all="ignore"):
            out = self._forward(x, self.theta if theta is None else theta)[-1]
        return np.array(np.broadcast_to(out, (len(x),)), np.float64)

    def _backward(self, values: list[FloatArray]) -> list[FloatArray | float]:
        """Return the derivative of the root by every node."""
        adjoint: list[FloatArray | float] = [0.0] * len(values)
        adjoint[-1] = 1.0
        for at in range(len(values) - 1, -1, -1):
            node, args, upper = self._nodes[at], self._args[at], adjoint[at]
            if isinstance(node, Add):
                for arg in args:
                    adjoint[arg] = adjoint[arg] + upper
            elif isinstance(node, Mul):
                for k, arg in enumerate(args):
                    others = upper
                    for j, other in enumerate(args):
                        others = others if j == k else others * values[other]
                    adjoint[arg] = adjoint[arg] + others
            elif isinstance(node, Pow):
                base, exponent = values[args[0]], values[args[1]]
                adjoint[args[0]] = adjoint[args[0]] + upper * exponent * np.power(base, exponent - 1.0)
                if args[1] in self._place:
                    adjoint[args[1]] = adjoint[args[1]] + upper * values[at] * np.log(base)
            elif isinstance(node, Call):
                slope = np.asarray(node.function.derivative(values[args[0]]))
                adjoint[args[0]] = adjoint[args[0]] + upper * slope
        return adjoint

    def jacobian(self, x: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the values (n,) and their derivatives by the free constants (n, m)."""
        n = len(x)
        with np.errstate(all="ignore"):
            values = self._forward(x, theta)
            adjoint = self._backward(values)
        jac = np.empty((n, len(self.free)))
        for at, k in self._place.items():
            jac[:, k] = adjoint[at]
        return np.array(np.broadcast_to(values[-1], (n,)), np.float64), jac

    def gradient(self, x: FloatArray) -> FloatArray:
        """Return the derivatives by the inputs (n, n_in)."""
        with np.errstate(all="ignore"):
            adjoint = self._backward(self._forward(x, self.theta))
        out = np.zeros_like(x)
        for at, node in enumerate(self._nodes):
            if isinstance(node, Var):
                out[:, node.index] += adjoint[at]
        return out

    def rounding(self, x: FloatArray) -> FloatArray:
        """Return a bound of the rounding errors of the values (n,): one unit at every node, propagated to the root."""
        with np.errstate(all="ignore"):
            values = self._forward(x, self.theta)
            adjoint = self._backward(values)
            total = sum(
                (np.square(np.asarray(a) * v) for a, v in zip(adjoint, values, strict=True)), start=np.zeros(len(x))
            )
        return np.asarray(np.finfo(np.float64).eps * np.sqrt(total))
