"""The sets of formulas of validation/symbolic.py, with their ranges, written down before anything was fitted.

Each entry is a name, the formula in Python, and the range of every variable in the order of their names. Ranges of the
Feynman formulas with units are those of SRBench's data sets (1 to 5 for most, as in Udrescu and Tegmark 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _accuracy_feynman import FEYNMAN

UNITS = Path(__file__).with_name("_symbolic_units.txt")

NAMES = {
    name: getattr(np, name)
    for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "tanh", "arcsin", "arccos", "arctan", "pi", "abs")
}


@dataclass(frozen=True)
class Case:
    """A formula of some variables on a box."""

    name: str
    text: str
    variables: tuple[str, ...]
    box: tuple[tuple[float, float], ...]

    def __call__(self, x: Any) -> Any:
        """Return the values (n,) at x (n, n_in)."""
        values = eval(self.text, {"__builtins__": {}}, NAMES | dict(zip(self.variables, x.T, strict=True)))
        return np.broadcast_to(np.asarray(values, np.float64), (len(x),)).copy()

    def draw(self, n: int, rng: np.random.Generator) -> Any:
        """Return n points of the box."""
        low, high = np.array(self.box).T
        return rng.uniform(low, high, (n, len(low)))


class _Dimensionless(Case):
    """One of the 27, whose function is that of task e."""

    def __call__(self, x: Any) -> Any:
        """Return the values (n,) at x (n, n_in)."""
        return FEYNMAN[self.name].f(*x.T)


def dimensionless() -> list[Case]:
    """Return the 27 dimensionless Feynman formulas of ``accuracy.py --task e``."""
    return [
        _Dimensionless(name, p.formula, tuple(f"x{k}" for k in range(len(p.box))), p.box) for name, p in FEYNMAN.items()
    ]


def _case(name: str, text: str, **box: tuple[float, float]) -> Case:
    return Case(name, text, tuple(box), tuple((float(a), float(b)) for a, b in box.values()))


def strogatz() -> list[Case]:
    """Return the right-hand sides of seven systems of two equations, as in SRBench, on boxes of the plane."""
    plane = {"x": (-3.0, 3.0), "y": (-3.0, 3.0)}
    positive = {"x": (0.1, 4.0), "y": (0.1, 4.0)}
    return [
        _case("bacres1", "20 - x - x*y/(1 + 0.5*x**2)", **positive),
        _case("bacres2", "10 - x*y/(1 + 0.5*x**2)", **positive),
        _case("barmag1", "0.5*sin(x - y) - sin(x)", **plane),
        _case("barmag2", "0.5*sin(y - x) - sin(y)", **plane),
        _case("glider1", "-0.05*x**2 - sin(y)", **plane),
        _case("glider2", "x - cos(y)/x", x=(0.5, 4.0), y=(-3.0, 3.0)),
        _case("lv1", "3*x - 2*x*y - x**2", **positive),
        _case("lv2", "2*y - x*y - y**2", **positive),
        _case("predprey1", "x*(4 - x - y/(1 + x))", **positive),
        _case("predprey2", "y*(x/(1 + x) - 0.075*y)", **positive),
        _case("shearflow1", "cos(x)*cos(y)/sin(y)", x=(-3.0, 3.0), y=(0.4, 2.7)),
        _case("shearflow2", "(0.1*sin(y)**2 + cos(y)**2)*sin(x)", **plane),
        _case("vdp1", "10*(y - (x**3 - x)/3)", **plane),
        _case("vdp2", "-x/10", **plane),
    ]


def with_units() -> list[Case]:
    """Return the Feynman formulas with all their variables (``_symbolic_units.txt``: name, formula, ranges)."""
    found = []
    for line in UNITS.read_text(encoding="utf-8").splitlines():
        name, text, ranges = line.split("|")
        box = {}
        for entry in ranges.split(";"):
            variable, _, ends = entry.partition(":")
            low, high = ends.split(",")
            box[variable] = (float(low), float(high))
        found.append(_case(name, text, **box))
    return found
