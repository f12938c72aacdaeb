"""Snapping of constants: some are 2, 1/3 or pi/4, others stay numbers.

A constant is known to as many bits as the data give: log2(|value| / standard error). It is replaced by a simple number
close to it where that number has a shorter description, by a margin, and where the data agree as well when all other
constants are refitted. Under noise several constants may reach that margin together where none does alone. Constants
that the data do not determine, such as the a of c (a u)^p, become 1 or 0 first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import e, gcd, log2, pi, sqrt

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
    add,
    constants,
    mul,
    number,
    replace,
    walk,
)
from numkan.symbolic.refine import refine, root_of

__all__ = ["folded", "snap", "standard_errors"]

_MARGIN = 7.0  # bits by which a simple number must be shorter than the precision of the data: one wrong in a hundred
_LIKELY = 4.0  # bits of a constant that is snapped together with others
_BASES = (
    (1.0, "1", 0.0), (pi, "pi", 3.0), (1 / pi, "1/pi", 4.0), (sqrt(2), "sqrt(2)", 4.0), (sqrt(3), "sqrt(3)", 5.0),
    (sqrt(pi), "sqrt(pi)", 5.0), (1 / sqrt(pi), "1/sqrt(pi)", 6.0), (sqrt(2 * pi), "sqrt(2*pi)", 7.0),
    (1 / sqrt(2 * pi), "1/sqrt(2*pi)", 7.0), (pi**2, "pi**2", 6.0), (1 / pi**2, "1/pi**2", 7.0), (e, "E", 5.0),
    (1 / e, "1/E", 6.0), (float(np.log(2)), "log(2)", 6.0), (sqrt(5), "sqrt(5)", 7.0), (sqrt(6), "sqrt(6)", 8.0),
)  # fmt: skip


@lru_cache(maxsize=1)
def _table() -> tuple[FloatArray, list[str], FloatArray]:
    """Return simple positive numbers in order, their texts and their lengths in bits."""
    entries: dict[str, tuple[float, str, float]] = {}
    for base, text, extra in _BASES:
        most = 1000 if base == 1.0 else 40
        for q in (*range(1, 13), 16, 20, 24, 32, 50, 64, 100):
            for p in range(1, (most if q in (1, 100, 50, 20) and base == 1.0 else 60) + 1):
                if gcd(p, q) == 1:
                    length = log2(p) + 1.6 * log2(q) + extra + 2.0 if q not in (100, 50, 20) else log2(p) + 9.0 + extra
                    value, written = p * base / q, str(Fraction(p, q)) if text == "1" else f"{p}*({text})/{q}"
                    key = f"{value:.12e}"  # the same number from two bases
                    if key not in entries or length < entries[key][0]:
                        entries[key] = (length, written, value)
    ordered = sorted(entries.values(), key=lambda entry: entry[2])
    return np.array([v for _, _, v in ordered]), [t for _, t, _ in ordered], np.array([b for b, _, _ in ordered])


def simple_number(value: float, error: float) -> Const | None:
    """Return the simplest number that agrees with a value within its error, if it is short enough; else None."""
    near = _nearest(value, error)
    return near[0] if near is not None and near[1] >= _MARGIN else None


def _nearest(value: float, error: float) -> tuple[Const, float] | None:
    """Return the simplest number within the error of a value, and by how many bits it is shorter than the value."""
    if abs(value) <= 4.0 * error:
        return number(0), _MARGIN
    tolerance = max(4.0 * error, 4e-15 * abs(value))
    data = log2(abs(value) / max(error, 4e-15 * abs(value)))
    values, texts, lengths = _table()
    first, last = np.searchsorted(values, [abs(value) - tolerance, abs(value) + tolerance])
    if first == last:
        return None
    best = first + int(np.argmin(lengths[first:last]))
    from sympy import sympify  # its float is the nearest one

    text = texts[best] if value > 0 else f"-({texts[best]})"
    exact = sympify(text, rational=True)
    return Const(float(exact), str(exact)), data - float(lengths[best])


def _together(free: list[Const], errors: FloatArray) -> dict[int, Const]:
    """Return simple numbers for constants none of which is sure alone, if it is unlikely that all agree by chance."""
    found = [(c, near) for c, e in zip(free, errors, strict=True) if (near := _nearest(c.value, float(e))) is not None]
    found = [(c, near) for c, near in found if near[1] >= _LIKELY]
    sure = len(found) > 1 and sum(gain for _, (_, gain) in found) >= 2.0 * _MARGIN
    return {id(c): simple for c, (simple, _) in found} if sure else {}


def folded(node: Node) -> Node:
    """Return an expression with constants joined: sums, products, powers of products, exponentials of sums."""
    new = {id(arg): folded(arg) for arg in node.args if arg.args}
    node = replace(node, new) if new else node
    if isinstance(node, Add | Mul):
        return _joined(node)
    if isinstance(node, Pow) and isinstance(node.base, Mul):
        free = [f for f in node.base.factors if isinstance(f, Const) and f.value > 0]
        with np.errstate(over="ignore"):
            value = float(np.float_power(np.prod([f.value for f in free]), node.exponent.value)) if free else 0.0
        if 0.0 < value < np.inf and len(free) < len(node.base.factors):
            rest = mul(*(f for f in node.base.factors if f not in free))
            return mul(Const(value), Pow(rest, node.exponent))
    if isinstance(node, Call) and node.function.name == "exp" and isinstance(node.argument, Add):
        shift = [t for t in node.argument.terms if isinstance(t, Const)]
        if shift and abs(sum(t.value for t in shift)) < 300.0:
            rest = add(*(t for t in node.argument.terms if t not in shift))
            return mul(Const(float(np.exp(sum(t.value for t in shift)))), Call(node.function, rest))
    return node


def _joined(node: Add | Mul) -> Node:
    plain = [arg for arg in node.args if isinstance(arg, Const) and not arg.exact]
    others = [arg for arg in node.args if arg not in plain]
    if isinstance(node, Add):
        return add(*others, *([Const(float(sum(c.value for c in plain)))] if plain else []))
    value = float(np.prod([c.value for c in plain])) if plain else 1.0
    if plain and len(others) == 1 and isinstance(others[0], Add):
        return _joined(Add(tuple(_joined_product(mul(Const(value), term)) for term in others[0].terms)))
    return mul(*([Const(value)] if plain else []), *others)


def _joined_product(node: Node) -> Node:
    return _joined(node) if isinstance(node, Mul) else node


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    x: FloatArray
    y: FloatArray
    weight: FloatArray | None
    floor: float  # an rms that is rounding


def standard_errors(
    node: Node, x: FloatArray, rms: float, weight: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return the standard errors of the free constants, and the share of each in directions without information.

    `rms` is the root mean square of the weighted residuals.
    """
    tape = Tape(node)
    m = len(tape.free)
    jac = tape.jacobian(x, tape.theta)[1]
    if not np.isfinite(jac).all():
        return np.full(m, np.inf), np.ones(m)
    if weight is not None:
        jac = jac * root_of(weight)[:, None]
    scale = np.linalg.norm(jac, axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    _, s, rows = np.linalg.svd(np.linalg.qr(jac / scale, mode="r"))
    kept = s > 1e-10 * s[0] if m else np.zeros(0, bool)
    loose = np.linalg.norm(rows[~kept], axis=0) if m else np.zeros(0)
    errors = rms * np.linalg.norm(rows[kept] / s[kept, None], axis=0) / scale
    return errors, loose


def _phases(node: Node, errors: Mapping[int, float]) -> dict[int, Const]:
    """Return multiples of pi/2 for the free phases b of sin(u + b) that are as close as their errors allow.

    They have the shortest of all descriptions: sin(u + pi/2) is cos(u).
    """
    found: dict[int, Const] = {}
    for part in walk(node):
        if isinstance(part, Call) and part.function.name == "sin" and isinstance(part.argument, Add):
            for term in part.argument.terms:
                if isinstance(term, Const) and not term.exact:
                    turns = round(term.value / (pi / 2))
                    error = errors.get(id(term), 0.0)
                    if abs(term.value - turns * pi / 2) <= 3.0 * error < 0.3:
                        found[id(term)] = Const(turns * pi / 2, f"{turns}*pi/2") if turns else number(0)
    return found


def snap(
    node: Node,
    x: FloatArray,
    y: FloatArray,
    *,
    weight: FloatArray | None = None,
    floor: float = 0.0,
    noisy: bool = False,
) -> Node:
    """Return the expression with all constants snapped that the data allow.

    Parameters
    ----------
    node : Node
        Refined.
    x, y, weight
        The samples.
    floor : float
        A root mean square of residuals that is rounding.
    noisy : bool
        Whether the residuals are noise: then a snap may raise the sum of squares by 9 variances, as chance would.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic import snap
    >>> from numkan.symbolic.expression import Const, Var, constants, mul
    >>> x = np.linspace(1, 2, 50)[:, None]
    >>> about = mul(Const(0.78539816), Var(0))
    >>> snapped = snap(about, x, np.pi / 4 * x[:, 0])
    >>> len(constants(about)), len(constants(snapped))  # pi/4 is no free number
    (1, 0)
    """
    floor = max(floor, 1e-16 * float(np.sqrt(np.mean(np.square(y)))))
    data = _Data(x, y, weight, floor)
    node = refine(folded(node), x, y, weight=weight).expression
    node = _without_slack(node, data, noisy)
    for _ in range(5):
        free = constants(node)
        rms = max(refine(node, x, y, weight=weight, steps=0).rms, floor)
        errors, _ = standard_errors(node, x, rms, weight)
        scale = 1.0 if noisy else 3.0
        wanted = _phases(node, {id(c): scale * float(e) for c, e in zip(free, errors, strict=True)})
        for constant, error in zip(free, errors, strict=True):
            if id(constant) in wanted:
                continue
            simple = simple_number(constant.value, scale * float(error))
            if simple is not None:
                wanted[id(constant)] = simple
        new = _kept(node, wanted, data, rms, noisy) if wanted else node
        if new is node and noisy:
            new = _joint(node, _together(free, errors), data, rms)
        if new is node:
            break
        node = folded(new)
    return node


def _allowed(rms: float, n: int, count: int, noisy: bool) -> float:
    """Return the rms up to which constants may be snapped."""
    return rms * sqrt(1.0 + 9.0 * count / n) if noisy else 2.0 * rms


def _kept(node: Node, wanted: dict[int, Const], data: _Data, rms: float, noisy: bool) -> Node:
    """Snap all proposed constants at once, or else one by one, short ones first."""
    n = len(data.y)
    together = refine(replace(node, wanted), data.x, data.y, weight=data.weight)
    if together.rms <= _allowed(rms, n, len(wanted), noisy):
        return together.expression
    left = sorted(wanted.items(), key=lambda item: len(item[1].exact))
    places = {id(c): k for k, c in enumerate(constants(node))}
    order = [(places[key], simple) for key, simple in left]
    for place, simple in order:
        free = constants(node)
        if place >= len(free):
            break
        one = refine(replace(node, {id(free[place]): simple}), data.x, data.y, weight=data.weight)
        if one.rms <= _allowed(rms, n, 1, noisy):
            return one.expression
    return node


def _joint(node: Node, wanted: dict[int, Const], data: _Data, rms: float) -> Node:
    """Snap constants that are simple numbers all together, or none."""
    if wanted:
        new = refine(replace(node, wanted), data.x, data.y, weight=data.weight)
        if new.rms <= _allowed(rms, len(data.y), len(wanted), noisy=True):
            return new.expression
    return node


def _without_slack(node: Node, data: _Data, noisy: bool) -> Node:
    """Fix constants that the data do not determine, to 1, -1 or 0, until all are determined."""
    for _ in range(12):
        free = constants(node)
        rms = max(refine(node, data.x, data.y, weight=data.weight, steps=0).rms, data.floor)
        _, loose = standard_errors(node, data.x, rms, data.weight)
        if not len(loose) or loose.max() < 1e-3:
            return node
        changed = False
        for k in np.argsort(-loose, kind="stable"):
            if loose[k] < 1e-3:
                break
            sign = 1.0 if free[k].value >= 0 else -1.0
            for value in (0.0, sign, -sign):
                new = refine(folded(replace(node, {id(free[k]): number(value)})), data.x, data.y, weight=data.weight)
                if new.rms <= _allowed(rms, len(data.y), 1, noisy):
                    node, changed = new.expression, True
                    break
            if changed:
                break
        if not changed:
            return node
    return node
