"""Functions where they are nearly others: far from 0, arcsinh is a logarithm and sinh an exponential; near 0, a line.

Under noise a fit may drift there: the data do not tell arcsinh(c u) from log(2 c u), and c grows without end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Call, Const, Node, Pow, Tape, add, mul, number, replace, walk
from numkan.symbolic.functions import LIBRARY, Function
from numkan.symbolic.snap import folded
from numkan.symbolic.swap import inner_functions

__all__ = ["limits"]

_NEAR = 0.02  # of the deviation of a function, up to which its limit is tried; the data decide


def _times(factor: float, node: Node) -> Node:
    return mul(number(factor), node)


def _exp(u: Node) -> Node:
    return Call(LIBRARY["exp"], u)


def _log_of_twice(u: Node) -> Node:
    return Call(LIBRARY["log"], _times(2, u))


def _same(u: Node) -> Node:
    return u


def _beside(level: Const) -> Callable[[Node], Node]:
    """Return the limit level - 1/u of an arctangent."""
    return lambda u: add(level, _times(-1, Pow(u, number(-1))))


_Limit = Callable[[Node], Node]
#: From near 0 to far on both sides.
_LIMITS: dict[str, tuple[_Limit, ...]] = {
    "sin": (_same,),
    "tan": (_same,),
    "arcsin": (_same,),
    "arctanh": (_same,),
    "exp": (lambda u: add(number(1), u),),
    "gauss": (lambda u: add(number(1), _times(-1, Pow(u, number(2)))),),
    "erf": (lambda u: mul(Const(2.0 / np.sqrt(np.pi), "2/sqrt(pi)"), u),),
    "arcsinh": (_same, _log_of_twice, lambda u: _times(-1, _log_of_twice(_times(-1, u)))),
    "sinh": (_same, lambda u: _times(0.5, _exp(u)), lambda u: _times(-0.5, _exp(_times(-1, u)))),
    "cosh": (
        lambda u: add(number(1), _times(0.5, Pow(u, number(2)))),
        lambda u: _times(0.5, _exp(u)),
        lambda u: _times(0.5, _exp(_times(-1, u))),
    ),
    "tanh": (
        _same,
        lambda u: add(number(1), _times(-2, _exp(_times(-2, u)))),
        lambda u: add(number(-1), _times(2, _exp(_times(2, u)))),
    ),
    "logistic": (
        lambda u: add(number(0.5), _times(0.25, u)),
        lambda u: add(number(1), _times(-1, _exp(_times(-1, u)))),
        _exp,
    ),
    "arctan": (_same, _beside(Const(np.pi / 2, "pi/2")), _beside(Const(-np.pi / 2, "-pi/2"))),
}


def limits(node: Node, x: FloatArray, functions: Mapping[str, Function]) -> Iterator[Node]:
    """Yield the expression with a function exchanged for its limit, where its arguments on the samples are close to it.

    Only functions that are allowed stand in the limits, and no constant is added.
    """
    for part, argument in inner_functions(node):
        if not isinstance(part, Call) or part.function is not LIBRARY.get(part.function.name):
            continue
        value = Tape(part).value(x)
        for limit in _LIMITS.get(part.function.name, ()):
            new = limit(argument)
            rest = Tape(new).value(x) - value
            if float(np.sqrt(np.mean(np.square(rest)))) < _NEAR * float(np.std(value)) and _allowed(new, functions):
                yield folded(replace(node, {id(part): new}))


def _allowed(node: Node, functions: Mapping[str, Function]) -> bool:
    """Return whether all functions of an expression may be used; a cosine stands for a sine."""
    used = {part.function.name for part in walk(node) if isinstance(part, Call)}
    return used - {"cos", "sqrt"} <= set(functions)
