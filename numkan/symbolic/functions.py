"""The library: functions of one variable that a formula may contain, each with its derivative, text and length.

A function f stands for all c f(a u + b) + d. `varies` says which of a and b are free; the others are redundant (the
b of exp(a u + b) is part of c) and stay at a = 1, b = 0. The functions are elementary or classical, one entry for each;
none comes from a formula of a particular field.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from numkan._check import FloatArray
from numkan._shown import shown

__all__ = ["LIBRARY", "Function", "check_library"]

Curve = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of one variable that formulas may contain.

    Attributes
    ----------
    name : str
        As the formula prints it.
    value, derivative : callable
        On float64 arrays; NaN outside of the domain.
    bits : float
        Length of its name in a formula, in bits, which a better fit must outweigh.
    varies : str
        Which of a and b in f(a u + b) are free: ``"ab"``, ``"a"``, ``"b"`` or ``""``.
    c, sympy : str
        Its name in C99 and in sympy; where empty, it is that of `name`.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic import LIBRARY, Function
    >>> [LIBRARY["tanh"].value(0.0), LIBRARY["tanh"].derivative(0.0)]
    [np.float64(0.0), np.float64(1.0)]
    >>> sinc = Function("sinc", np.sinc, lambda t: (np.cos(np.pi * t) - np.sinc(t)) / t, bits=8.0)
    """

    name: str
    value: Curve
    derivative: Curve
    bits: float
    varies: str = "ab"
    c: str = ""
    sympy: str = ""


def _power(p: float) -> Function:
    """Return u^p, whose argument is u + b."""
    bits = {2.0: 3.0, -1.0: 3.0, 0.5: 4.0, 3.0: 5.0, -2.0: 5.0, 4.0: 6.0, -0.5: 5.0}.get(p, 7.0)
    return Function(f"pow{p:g}", lambda t: np.power(t, p), lambda t: p * np.power(t, p - 1.0), bits, "b")


def _sech2(t: Any) -> Any:
    return 1.0 - np.square(np.tanh(t))


def _bell(t: Any) -> Any:
    return np.exp(-np.square(t))


_ENTRIES = (
    Function("identity", lambda t: t, np.ones_like, 1.0, ""),
    *(_power(p) for p in (2.0, -1.0, 0.5, 3.0, -2.0, -0.5, 4.0, 1.5, -3.0, -1.5, 1.0 / 3.0, -4.0)),
    Function("exp", np.exp, np.exp, 4.0, "a"),
    Function("log", np.log, lambda t: 1.0 / t, 4.0, "b"),
    Function("sin", np.sin, np.cos, 4.0),
    Function("gauss", _bell, lambda t: -2.0 * t * _bell(t), 6.0),
    Function("tanh", np.tanh, _sech2, 5.0),
    Function("tan", np.tan, lambda t: 1.0 + np.square(np.tan(t)), 6.0),
    Function("arctan", np.arctan, lambda t: 1.0 / (1.0 + t * t), 6.0, c="atan", sympy="atan"),
    Function("arcsin", np.arcsin, lambda t: 1.0 / np.sqrt(1.0 - t * t), 6.0, c="asin", sympy="asin"),
    Function("arccos", np.arccos, lambda t: -1.0 / np.sqrt(1.0 - t * t), 7.0, c="acos", sympy="acos"),
    Function("sinh", np.sinh, np.cosh, 6.0),
    Function("cosh", np.cosh, np.sinh, 6.0),
    Function("logistic", special.expit, lambda t: special.expit(t) * special.expit(-t), 6.5),
    Function("abs", np.abs, np.sign, 5.0, "b", c="fabs", sympy="Abs"),
    Function("erf", special.erf, lambda t: 2.0 / np.sqrt(np.pi) * _bell(t), 7.0),
    Function("besselj0", special.j0, lambda t: -special.j1(t), 8.0, c="j0"),
    Function("besselj1", special.j1, lambda t: special.j0(t) - special.jvp(1, t, 0) / t, 8.0, c="j1"),
    Function("arcsinh", np.arcsinh, lambda t: 1.0 / np.sqrt(1.0 + t * t), 8.0, c="asinh", sympy="asinh"),
    Function("arctanh", np.arctanh, lambda t: 1.0 / (1.0 - t * t), 8.0, c="atanh", sympy="atanh"),
)

#: All functions, from simple to long. ``cos`` is ``sin`` with another b, and gets its name where a formula is written.
LIBRARY: dict[str, Function] = {function.name: function for function in _ENTRIES}

#: The functions of printed formulas beside the library.
COSINE = Function("cos", np.cos, lambda t: -np.sin(t), 4.0)
SQRT = Function("sqrt", np.sqrt, lambda t: 0.5 / np.sqrt(t), 4.0)


def check_library(library: Any, forbid: Any) -> dict[str, Function]:
    """Return the functions that may be used.

    Parameters
    ----------
    library : mapping of str to Function or callable, or None
        Further functions by name, such as ``{"si": numkan_special_si}``; a plain callable gets central differences
        as its derivative. They stand beside those of the library, or replace one of the same name.
    forbid : collection of str
        Names that must not be used; ``"pow"`` forbids every power but the identity.
    """
    if library is not None and not isinstance(library, Mapping):
        raise TypeError(f"Argument `library` must be a mapping of names to functions, not {shown(library)}.")
    if isinstance(forbid, str) or not isinstance(forbid, Collection) or getattr(forbid, "ndim", 1) == 0:
        raise TypeError(f"Argument `forbid` must be a list of names, not {shown(forbid)}.")
    allowed = dict(LIBRARY)
    for name, given in (library or {}).items():
        allowed[str(name)] = _own(str(name), given)
    for name in forbid:
        if not isinstance(name, str) or (name not in allowed and name not in ("pow", "cos")):
            raise ValueError(f"Argument `forbid` must hold names of the library, not {shown(name)}.")
    barred = set(forbid) | ({"sin"} if "cos" in forbid else set())
    return {
        name: function
        for name, function in allowed.items()
        if name not in barred and not ("pow" in barred and name.startswith("pow"))
    }


def _own(name: str, given: Any) -> Function:
    if isinstance(given, Function):
        return given
    if not name.isidentifier() or not callable(given):
        raise TypeError(f"Argument `library` must map names to functions, not {shown(name)} to {shown(given)}.")
    return Function(name, given, _Differences(given), 8.0)


@dataclass(frozen=True, slots=True)
class _Differences:
    """The derivative of a user's function, by central differences of fourth order."""

    value: Curve

    def __call__(self, t: FloatArray) -> FloatArray:
        """Return f'(t), to about 1e-12 of what f does over the length 1."""
        h = 1e-3 * np.maximum(1.0, np.abs(t))
        f = self.value
        slope: FloatArray = (8.0 * (f(t + h) - f(t - h)) - (f(t + 2 * h) - f(t - 2 * h))) / (12.0 * h)
        return slope
