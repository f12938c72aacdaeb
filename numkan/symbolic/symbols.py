"""To sympy and back: simplification, text, LaTeX, C, and whether two expressions are equal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import CO_GENERATOR
from types import FrameType
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Add, Call, Const, Mul, Node, Pow, Var, add, mul
from numkan.symbolic.functions import COSINE, LIBRARY, SQRT, Function

__all__ = [
    "c_text",
    "c_value",
    "equivalent",
    "from_sympy",
    "python_text",
    "shortened",
    "simplified",
    "symbols_for",
    "sympy_module",
    "to_sympy",
]

_MOST_CALLS = 400_000  # of functions, in one change of an expression
_MOST_DIGITS = 6  # of integers in a new form: sympy makes some of floats, and they would count as known exactly
_LONGEST = 70  # largest number of operations of an expression to which all simplifications are applied


def sympy_module() -> Any:
    """Return sympy, or say how to get it."""
    try:
        import sympy
    except ImportError:
        raise ImportError("numkan.symbolic needs sympy: pip install numkan[symbolic].") from None
    return sympy


def symbols_for(names: Sequence[str], low: Any = None) -> list[Any]:
    """Return the symbols of the inputs: real, and positive where all samples are."""
    sp = sympy_module()
    positive = [low is not None and float(low[k]) > 0.0 for k in range(len(names))]
    return [sp.Symbol(n, positive=True) if p else sp.Symbol(n, real=True) for n, p in zip(names, positive, strict=True)]


def to_sympy(node: Node, symbols: Sequence[Any]) -> Any:
    """Return an expression in sympy; free constants are floats."""
    sp = sympy_module()
    if isinstance(node, Const):
        return sp.sympify(node.exact, rational=True) if node.exact else sp.Float(node.value, 17)
    if isinstance(node, Var):
        return symbols[node.index]
    args = [to_sympy(arg, symbols) for arg in node.args]
    if isinstance(node, Add):
        return sp.Add(*args)
    if isinstance(node, Mul):
        return sp.Mul(*args)
    if isinstance(node, Pow):
        return sp.Pow(*args)
    assert isinstance(node, Call)
    return _called(node.function, args[0])


def _called(function: Function, argument: Any) -> Any:
    sp = sympy_module()
    if function.name == "gauss":
        return sp.exp(-(argument**2))
    if function.name == "logistic":
        return 1 / (1 + sp.exp(-argument))
    if function.name.startswith("besselj"):
        return sp.besselj(int(function.name[-1]), argument)
    known = getattr(sp, function.sympy or function.name, None) if function.name in _KNOWN else None
    return known(argument) if known is not None else sp.Function(function.name)(argument)


_KNOWN = {*LIBRARY, "cos", "sqrt"}


def from_sympy(expression: Any, symbols: Sequence[Any], functions: Mapping[str, Function]) -> Node:
    """Return an expression of sympy as a tree; floats are free constants, other numbers are known."""
    sp = sympy_module()
    if expression in symbols:
        return Var(symbols.index(expression))
    if expression.is_number:
        if expression.has(sp.Float):
            return Const(float(expression))
        return Const(float(expression), str(expression))
    args = [from_sympy(arg, symbols, functions) for arg in expression.args]
    if expression.is_Add:
        return add(*args)
    if expression.is_Mul:
        return mul(*args)
    if expression.is_Pow:
        if isinstance(args[1], Const):
            return Pow(args[0], args[1])
        return Call(LIBRARY["exp"], mul(args[1], Call(LIBRARY["log"], args[0])))
    name = expression.func.__name__
    if name == "cot":
        return Pow(Call(LIBRARY["tan"], args[0]), Const(-1.0, "-1"))
    if name == "besselj":
        return Call(LIBRARY[f"besselj{int(expression.args[0])}"], args[1])
    return Call(_function(name, functions), args[0])


def _function(name: str, functions: Mapping[str, Function]) -> Function:
    if name == "cos":
        return COSINE
    if name == "sqrt":
        return SQRT
    for function in (*LIBRARY.values(), *functions.values()):
        if name in (function.name, function.sympy):
            return function
    raise ValueError(f"{name} is not a function of the library")


class _TooLongError(BaseException):
    """A change of an expression takes too long. No Exception, for sympy catches those."""


def _within_calls(change: Callable[[Any], Any], expression: Any) -> Any:
    """Return the changed expression, or give up after a number of calls of functions: sympy may take minutes.

    Calls are counted, and not seconds, so that the result does not depend on how busy the machine is.
    """
    count = 0

    def watch(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event == "call"
        # Python only prints what is raised in a generator that it closes, and watches no longer
        if count > _MOST_CALLS and not frame.f_code.co_flags & CO_GENERATOR:
            raise _TooLongError

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        return change(expression)
    finally:
        sys.setprofile(before)


def simplified(expression: Any) -> Any:
    """Return the shortest of several equal forms of an expression."""
    sp = sympy_module()
    forms = [expression]
    if sp.count_ops(expression) <= _LONGEST:
        for change in (sp.simplify, sp.factor, sp.expand, _joined, _trigonometric):
            try:
                forms += [_within_calls(change, form) for form in forms[:2]]
            except (_TooLongError, Exception):  # sympy raises many kinds of errors; the old form is correct
                continue
    sound = [form for form in forms if _largest(form) <= max(_MOST_DIGITS, _largest(expression))]
    return min(sound, key=lambda form: (_length(form), str(form)))


def _largest(expression: Any) -> int:
    """Return the largest number of digits of a numerator or denominator."""
    numbers = expression.atoms(sympy_module().Rational)
    return max((len(str(max(abs(n.p), n.q))) for n in numbers), default=0)


def without_abs(expression: Any, symbols: Sequence[Any], x: FloatArray) -> Any:
    """Return an expression with |u| written as u or -u where u has one sign on all samples."""
    sp = sympy_module()
    for part in expression.atoms(sp.Abs):
        u = sp.lambdify(list(symbols), part.args[0], "numpy")(*x.T)
        if np.all(np.asarray(u) >= 0.0) or np.all(np.asarray(u) <= 0.0):
            expression = expression.subs(part, part.args[0] if np.all(np.asarray(u) >= 0.0) else -part.args[0])
    return expression


def _joined(expression: Any) -> Any:
    """Return sums of arguments taken apart, and powers and logarithms joined."""
    sp = sympy_module()
    if expression.has(sp.tanh, sp.atanh, sp.sinh, sp.cosh):
        expression = sp.simplify(sp.expand_trig(expression).rewrite(sp.exp))
    return sp.powsimp(sp.together(expression))


def _trigonometric(expression: Any) -> Any:
    sp = sympy_module()
    return sp.trigsimp(expression) if expression.has(sp.sin, sp.cos) else expression


def _length(expression: Any) -> int:
    sp = sympy_module()
    leaves = sum(1 for leaf in sp.preorder_traversal(expression) if not leaf.args)
    calls = sum(1 for part in sp.preorder_traversal(expression) if part.is_Function)
    return int(sp.count_ops(expression)) + leaves + 3 * calls + 4 * len(expression.atoms(sp.Float))


def equivalent(one: Any, two: Any, low: FloatArray, high: FloatArray, symbols: Sequence[Any]) -> bool:
    """Return whether two expressions of sympy agree to 40 digits at points of a box.

    Free numbers have 17 digits; if there are any, agreement to 1e-12 suffices.

    Examples
    --------
    >>> import sympy
    >>> from numkan.symbolic import equivalent
    >>> t = sympy.Symbol("t")
    >>> equivalent(sympy.sin(2 * t), 2 * sympy.sin(t) * sympy.cos(t), [0.0], [1.0], [t])
    True
    """
    sp = sympy_module()
    digits = 1e-12 if (one - two).has(sp.Float) else 1e-38
    rng = np.random.default_rng(0)
    for _ in range(12):
        at = {s: sp.Rational(float(rng.uniform(a, b))) for s, a, b in zip(symbols, low, high, strict=True)}
        first, second = (sp.N(form.subs(at), 50) for form in (one, two))
        if not abs(complex(first - second)) <= digits * (1.0 + abs(complex(first))):
            return False
    return True


def _plain(expression: Any) -> Any:
    """Return an expression without cot, which neither Python nor C has, and which sympy makes of 1/tan."""
    sp = sympy_module()
    return expression.replace(sp.cot, lambda u: sp.cos(u) / sp.sin(u))


def python_text(expression: Any) -> str:
    """Return a Python expression with the names of the module `math`."""
    text = sympy_module().sstr(_rounded(_plain(expression)))
    return str(text).replace("Abs(", "abs(").replace("besselj(0, ", "j0(").replace("besselj(1, ", "j1(")


def shortened(expression: Any, digits: int) -> Any:
    """Return an expression whose floats have `digits` digits."""
    sp = sympy_module()
    return expression.xreplace({f: sp.Float(f"{float(f):.{digits}g}") for f in expression.atoms(sp.Float)})


def _rounded(expression: Any) -> Any:
    """Return an expression whose floats have just the digits that read back to the same value."""
    sp = sympy_module()
    return expression.xreplace({f: sp.Float(repr(float(f))) for f in expression.atoms(sp.Float)})


def c_value(expression: Any) -> str:
    """Return a C99 expression; symbols stand as they are named."""
    sp = sympy_module()
    own = {f.func.__name__: f.func.__name__ for f in expression.atoms(sp.core.function.AppliedUndef)}
    bessel = [(lambda n, _, k=k: n == k, lambda _, u, k=k: f"j{k}({u})") for k in (0, 1)]
    return str(sp.ccode(_plain(expression), standard="c99", user_functions={"besselj": bessel, **own}))


def c_text(expression: Any, symbols: Sequence[Any], name: str) -> str:
    """Return a C99 function of the inputs in an array."""
    sp = sympy_module()
    inputs = [sp.Symbol(f"x[{k}]") for k in range(len(symbols))]
    body = c_value(expression.xreplace(dict(zip(symbols, inputs, strict=True))))
    comment = ", ".join(f"x[{k}] = {symbol}" for k, symbol in enumerate(symbols))
    return f"#include <math.h>\n\n/* {comment} */\ndouble {name}(const double *x)\n{{\n    return {body};\n}}\n"
