"""The parts of an expression that are functions of one variable: an input, or a sum or a product of inputs.

Under noise many a function follows a part as closely as the data can tell, and a search meets one of them first. So all
forms of one variable are asked for every part of what was found, and the data and the length of the forms decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import (
    Add,
    Call,
    Const,
    Mul,
    Node,
    Pow,
    Tape,
    Var,
    add,
    constants,
    mul,
    number,
    place,
    power,
    replace,
    variables,
)
from numkan.symbolic.functions import Function
from numkan.symbolic.leaves import forms
from numkan.symbolic.refine import root_of
from numkan.symbolic.snap import folded

__all__ = ["Part", "parts", "renamed"]

_POINTS, _ROWS = 56, 400  # of a curve; samples by which it is told whether a part has one variable
_CONSTANT = 1e-3  # spread of the ratios of slopes, relative to themselves, that are constant
_SIMPLE = 0.02  # relative distance from a simple ratio, up to which that is taken
_MOST = 20  # forms of a part


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of an expression that is a function of one variable."""

    node: Node
    variable: Node
    exchanged: Callable[[Node], Node]  #: the whole expression with another node in place of this part


def parts(node: Node, x: FloatArray) -> list[Part]:
    """Return the largest parts that are functions of one variable, but for the variables themselves.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic import LIBRARY
    >>> from numkan.symbolic.expression import Call, Const, Var, add, mul
    >>> from numkan.symbolic.parts import parts
    >>> difference = add(Var(0), mul(Const(-1.0), Var(1)))
    >>> whole = mul(Var(2), add(Call(LIBRARY["exp"], difference), Const(1.0)))
    >>> len(parts(whole, np.random.default_rng(0).uniform(1, 2, (50, 3))))
    1
    """
    return list(_parts(_separated(node), x[:_ROWS], lambda new: new))


def _separated(node: Node) -> Node:
    """Return the expression with exponentials of sums and powers of products as products."""
    new = {id(arg): _separated(arg) for arg in node.args if arg.args}
    node = replace(node, new) if new else node
    if isinstance(node, Call) and node.function.name == "exp" and isinstance(node.argument, Add):
        return mul(*(Call(node.function, term) for term in node.argument.terms))
    if isinstance(node, Pow) and isinstance(node.base, Mul) and node.exponent.value % 1.0 == 0.0:
        return mul(*(Pow(factor, node.exponent) for factor in node.base.factors))
    return node


def _parts(node: Node, x: FloatArray, exchanged: Callable[[Node], Node]) -> Iterator[Part]:
    variable = _variable(node, x)
    if variable is not None:
        if not _is_plain(node) and constants(node):
            yield Part(node, variable, exchanged)
        return
    if isinstance(node, Add | Mul):
        yield from _groups(node, x, exchanged)
        return
    for arg in node.args:
        if variables(arg):
            yield from _parts(arg, x, _inside(node, arg, exchanged))


def _inside(node: Node, arg: Node, exchanged: Callable[[Node], Node]) -> Callable[[Node], Node]:
    return lambda new: exchanged(replace(node, {id(arg): new}))


def _groups(node: Add | Mul, x: FloatArray, exchanged: Callable[[Node], Node]) -> Iterator[Part]:
    """Yield the terms or factors of the same variable together, with the numbers beside them."""
    combine = add if isinstance(node, Add) else mul
    numbers = [arg for arg in node.args if not variables(arg)]
    groups: dict[str, tuple[Node, list[Node]]] = {}
    for arg in node.args:
        if variables(arg):
            variable = _variable(arg, x)
            if variable is None:
                yield from _parts(arg, x, _inside(node, arg, exchanged))
            else:
                groups.setdefault(_text(variable), (variable, []))[1].append(arg)
    for variable, own in groups.values():
        if any(not _is_plain(arg) and constants(arg) for arg in own):  # nothing is shorter than known numbers
            taken = {id(arg) for arg in (*own, *numbers)}
            rest = [arg for arg in node.args if id(arg) not in taken]
            yield Part(combine(*own, *numbers), variable, _beside(combine, rest, exchanged))


def _beside(
    combine: Callable[..., Node], rest: list[Node], exchanged: Callable[[Node], Node]
) -> Callable[[Node], Node]:
    return lambda new: exchanged(combine(*rest, new))


def _is_plain(node: Node) -> bool:
    """Return whether no function but sums and products of different inputs stands in it."""
    if isinstance(node, Call | Pow):
        return not variables(node)
    return all(_is_plain(arg) for arg in node.args)


def _text(node: Node) -> str:
    """Return a text that is the same for equal variables."""
    if isinstance(node, Const):
        return f"{node.value:.2f}"
    return f"x{node.index}" if isinstance(node, Var) else f"{type(node).__name__}({', '.join(map(_text, node.args))})"


def _variable(node: Node, x: FloatArray) -> Node | None:
    """Return the input, or the sum or product of inputs, through which alone inputs come into a node; None if several.

    The slopes by the inputs of g(sum c_i x_i) have constant ratios; those of g(prod x_i^c_i) have, times the inputs.
    """
    used = sorted(variables(node))
    if len(used) == 1:
        return Var(used[0])
    slopes = Tape(node).gradient(x)[:, used]
    for factors, sums in ((np.ones_like(slopes), True), (x[:, used], False)):
        with np.errstate(all="ignore"):
            ratios = (slopes * factors) / (slopes * factors)[:, :1]
        ratios = ratios[np.isfinite(ratios).all(axis=1)]
        if len(ratios) < 20:
            return None
        low, mid, high = np.quantile(ratios, [0.1, 0.5, 0.9], axis=0)
        if (high - low <= _CONSTANT * np.abs(mid)).all() and (sums or _whole(mid)):
            return _joined(used, mid, sums)
    return None


def _whole(ratios: FloatArray) -> bool:
    """Return whether exponents are small whole numbers."""
    size = np.abs(ratios)
    return bool((np.abs(size - np.round(size)) < _SIMPLE).all() and (size > 0.5).all() and (size < 4.5).all())


def _joined(used: list[int], ratios: FloatArray, sums: bool) -> Node:
    """Return the sum or the product of inputs with these factors or exponents."""
    if not sums:
        return mul(*(power(Var(k), float(round(r))) for k, r in zip(used, ratios, strict=True)))
    near = [round(float(r)) if abs(r - round(r)) <= _SIMPLE * abs(r) else float(r) for r in ratios]
    return add(*(mul(number(r) if isinstance(r, int) else Const(r), Var(k)) for k, r in zip(used, near, strict=True)))


def renamed(
    node: Node, x: FloatArray, rms: float, functions: Mapping[str, Function], weight: FloatArray | None = None
) -> Iterator[Node]:
    """Yield the expression with other forms in place of each part, those that noise hides, to be refined.

    `rms` is that of the residuals.
    """
    for part in parts(node, x):
        curve = _curve(part, x, rms, weight)
        if curve is not None:
            for form in forms(*curve, functions, _MOST):
                yield folded(part.exchanged(place(form, [part.variable])))


def _curve(
    part: Part, x: FloatArray, rms: float, weight: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return the variable of a part in order, the values of the part, and their errors by what they do to the whole."""
    shift = Const(0.0)
    with np.errstate(all="ignore"):
        moved = Tape(part.exchanged(add(part.node, shift)))
    places = [k for k, c in enumerate(moved.free) if c is shift]
    u, v = Tape(part.variable).value(x), Tape(part.node).value(x)
    if len(places) != 1 or len(u) < 2 * _POINTS or not np.isfinite(u).all() or not np.ptp(u) > 0.0:
        return None
    slope = moved.jacobian(x, moved.theta)[1][:, places[0]]
    slope = slope if weight is None else slope * root_of(weight)
    order = np.argsort(u, kind="stable")
    bins = np.array_split(order, _POINTS)
    size = np.array([float(np.sqrt(np.mean(np.square(slope[own])))) for own in bins])
    middles = np.array([own[len(own) // 2] for own in bins])
    ok = np.isfinite(v[middles]) & (size > 0.0) & np.isfinite(size)
    if ok.sum() < _POINTS // 2:
        return None
    return u[middles][ok], v[middles][ok], rms / size[ok] * float(np.sqrt(_POINTS / len(u)))
