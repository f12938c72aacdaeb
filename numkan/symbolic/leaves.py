"""Functions of one variable beyond a single library function: transformed, times a power, or ratios of polynomials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Call, Const, Node, Pow, Var, add, bits, constants, mul, number, power
from numkan.symbolic.functions import LIBRARY, Function
from numkan.symbolic.identify import affine, match_all
from numkan.symbolic.pairs import functions_of_pairs, pairs
from numkan.symbolic.refine import refine
from numkan.symbolic.terms import sums_of_terms
from numkan.symbolic.transforms import transforms_for

__all__ = ["Leaf", "forms", "leaves"]

#: A leaf is accepted if its misfit is below this many times the tolerance.
_BELIEVED = 3.0
_LOOSE = 30.0
_SHARP = 1e-4  # tolerance, as a share of the deviation, from which on pairs of functions can be told apart
_PROMISING, _HOPEFUL = 30, 1e3  # compositions of two functions that are refined; misfit up to which to its end
_INNER = ("exp", "pow0.5", "log", "pow2", "pow-1", "sin", "tanh")
_COMMON = {"identity", "pow2", "pow-1", "pow0.5", "pow-2", "pow3", "exp", "log", "sin", "cosh", "tanh", "gauss"}
_SMALL = ((1, 1), (0, 2), (1, 2), (2, 1))  # degrees of ratios
_LARGE = ((2, 2), (3, 1), (1, 3), (3, 2))  # which come close to many a smooth curve that is none: last of all
_PEELED = 2  # output transforms, one after the other
_PLAIN = ("identity", "pow2", "pow-1", "pow0.5", "exp", "log", "sin", "tanh")
_POWERS = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0)


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """An expression of one variable, with its misfit in units of the tolerance."""

    expression: Node
    misfit: float
    how: str

    @property
    def bits(self) -> float:
        """Its length, a short one for free numbers, and its misfit."""
        free = len(constants(self.expression))
        return bits(self.expression) - 24.0 * free + 36.0 * min(self.misfit, 1e6) ** 2


@np.errstate(all="ignore")
def leaves(
    u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function], most: int = 4, deep: bool = True
) -> list[Leaf]:
    """Return expressions of one variable that agree with v(u) within sigma, the best first.

    `deep` allows functions of functions of functions, and sums and products of those, which takes seconds.
    """
    found: list[Leaf] = []
    for stage in _STAGES:
        found += [leaf for leaf in stage(u, v, sigma, functions) if leaf.misfit < _BELIEVED]
        if found and stage is not _plain:
            break
        if any(leaf.misfit < 1.5 for leaf in found):
            break
    if not found and deep and float(sigma.min()) < _SHARP * float(np.std(v)):
        found = _peeled(u, v, sigma, functions) or _composed(u, v, sigma, functions)
    if not found:
        found = [leaf for leaf in _ratios(u, v, sigma, functions, _LARGE) if leaf.misfit < _BELIEVED]
    if not found:  # none is accepted, but a close one may be right where the oracle is wrong
        near = [m for m in match_all(u, v, sigma, functions) if m.misfit < _LOOSE][:2]
        found = [_leaf(match.expression(), u, v, sigma, f"{match.name}?") for match in near]
    return sorted(found, key=lambda leaf: leaf.bits)[:most]


@np.errstate(all="ignore")
def forms(u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function], most: int) -> list[Node]:
    """Return expressions of one variable, of all kinds but the deep ones, that agree with v(u) within sigma.

    Those with the shortest descriptions come first.
    """
    found = [leaf for stage in _STAGES for leaf in stage(u, v, sigma, functions) if leaf.misfit < _BELIEVED]
    return [leaf.expression for leaf in sorted(found, key=lambda leaf: leaf.bits)[:most]]


def _simple(functions: Mapping[str, Function]) -> dict[str, Function]:
    """Return the functions that are looked for inside of others: the common ones, and a user's own."""
    return {name: f for name, f in functions.items() if name in _COMMON or name not in LIBRARY}


def _leaf(node: Node, u: FloatArray, v: FloatArray, sigma: FloatArray, how: str, steps: int = 25) -> Leaf:
    """Refine an expression on the samples, and measure it."""
    weight = np.square(sigma.min() / sigma)
    fitted = refine(node, u[:, None], v, weight=weight, steps=steps)
    return Leaf(fitted.expression, fitted.rms * float(np.sqrt(weight.mean())) / float(sigma.min()), how)


def _plain(u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function]) -> list[Leaf]:
    matches = match_all(u, v, sigma, functions, hopeless=3 * _BELIEVED)
    near = [m for m in matches if m.misfit < 3 * _BELIEVED][:5]
    return [_leaf(match.expression(), u, v, sigma, match.name) for match in near]


def _polynomials(u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function]) -> list[Leaf]:
    found = []
    for degree in (2, 3, 4):
        if f"pow{degree}" in functions:
            powers = np.vander(u, degree + 1, increasing=True)
            w = sigma.min() / sigma
            coef = np.linalg.lstsq(powers * w[:, None], v * w)[0]
            terms = [mul(Const(float(c)), power(Var(0), k) if k else number(1)) for k, c in enumerate(coef)]
            found.append(_leaf(add(*terms), u, v, sigma, f"polynomial of degree {degree}"))
            if found[-1].misfit < 1.5:
                break
    return found


def _transformed(u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function]) -> list[Leaf]:
    found = []
    inside = _simple(functions)
    for t in transforms_for(v, set(functions))[1:]:
        with np.errstate(all="ignore"):
            tv, ts = t.value(v), np.abs(t.slope(v)) * sigma
        ok = np.isfinite(tv) & np.isfinite(ts) & (ts > 0.0)
        if ok.sum() < 0.8 * len(u) or (t.name == "log|y|" and np.ptp(np.sign(v)) > 0):
            continue
        sign = 1.0 if v[len(v) // 2] >= 0 else -1.0
        inner = [leaf for stage in (_plain, _polynomials) for leaf in stage(u[ok], tv[ok], ts[ok], inside)]
        for leaf in sorted(inner, key=lambda leaf: leaf.bits)[:3]:
            if leaf.misfit < 3 * _BELIEVED and leaf.how != "identity":
                found.append(_leaf(t.back(leaf.expression, sign), u, v, sigma, f"{t.name} as {leaf.how}"))
            elif leaf.misfit < 3 * _BELIEVED:
                found.append(_leaf(t.back(leaf.expression, sign), u, v, sigma, t.name))
    return found


def _inside(u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function]) -> list[Leaf]:
    """Try c f(a g(u) + b) + d with a plain function g."""
    found = []
    outside = _simple(functions)
    for name in _INNER:
        if name not in functions:
            continue
        w = np.asarray(functions[name].value(u), np.float64)
        ok = np.isfinite(w)
        if ok.sum() < 0.9 * len(u) or not np.ptp(w[ok]) > 0.0:
            continue
        inner = affine(functions[name], 1.0, 0.0, Var(0))
        matches = match_all(w[ok], v[ok], sigma[ok], outside, hopeless=3 * _BELIEVED)
        near = [m for m in matches if m.misfit < 3 * _BELIEVED and m.name != "identity"][:2]
        found += [_leaf(m.expression(inner), u, v, sigma, f"{m.name} of {name}") for m in near]
    return found


def _times_powers(u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function]) -> list[Leaf]:
    found = []
    inside = _simple(functions)
    for p in _POWERS:
        if p != 1.0 and f"pow{p:g}" not in functions and f"pow{abs(p):g}" not in functions:
            continue
        if p % 1.0 and u.min() < 0.0:
            continue
        with np.errstate(all="ignore"):
            factor = np.power(u, p)
            rest, errors = v / factor, sigma / np.abs(factor)
        ok = np.isfinite(rest) & np.isfinite(errors)
        matches = match_all(u[ok], rest[ok], errors[ok], inside, hopeless=3 * _BELIEVED)
        near = [m for m in matches if m.misfit < 3 * _BELIEVED][:2]
        found += [
            _leaf(mul(power(Var(0), p), m.expression()), u, v, sigma, f"u^{p:g} {m.name}")
            for m in near
            if not m.name.startswith("pow") or m.b
        ]
    return found


def _with_line(u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function]) -> list[Leaf]:
    """Try a straight line plus a function, by projecting out lines from both."""
    found = []
    for name in ("sin", "exp", "log", "pow-1", "pow2", "pow0.5", "tanh", "gauss"):
        if name in functions:
            found += _sum_with(Var(0), u, u, v, sigma, functions[name])
    return found


def _sum_with(
    extra: Node, column: FloatArray, u: FloatArray, v: FloatArray, sigma: FloatArray, function: Function
) -> list[Leaf]:
    """Fit slope * extra + c f(a u + b) + d from a few slopes, alternately."""
    best: Leaf | None = None
    w = sigma.min() / sigma
    slope = 0.0
    for _ in range(4):
        match = match_all(u, v - slope * column, sigma, {function.name: function}, hopeless=1e3)
        if not match:
            return []
        rest = v - match[0](u) + match[0].d
        design = np.stack([column, np.ones_like(u)], axis=1) * w[:, None]
        slope = float(np.linalg.lstsq(design, rest * w)[0][0])
    node = add(mul(Const(slope), extra), match[0].expression())
    best = _leaf(node, u, v, sigma, f"line and {function.name}")
    return [best]


def _ratios(
    u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function],
    degrees: Sequence[tuple[int, int]] = _SMALL,
) -> list[Leaf]:  # fmt: skip
    """Try P(u) / Q(u) of these degrees, by the null space of u^j and v u^k, then by refinement."""
    found: list[Leaf] = []
    for top, bottom in degrees:
        columns = [u**k for k in range(top + 1)] + [-v * u**k for k in range(bottom + 1)]
        design = np.stack(columns, axis=1)
        size = np.sqrt(np.square(design).mean(axis=0))
        null = np.linalg.svd(design / size / sigma[:, None] * sigma.min())[2][-1] / size
        lead = null[top + 1 :][np.argmax(np.abs(null[top + 1 :]) * size[top + 1 :])]
        coef = null / lead
        over = add(*(mul(Const(float(c)), power(Var(0), k) if k else number(1)) for k, c in enumerate(coef[: top + 1])))
        under = add(
            *(
                mul(Const(float(c)) if c != 1.0 else number(1), power(Var(0), k) if k else number(1))
                for k, c in enumerate(coef[top + 1 :])
            )
        )
        leaf = _leaf(mul(over, Pow(under, number(-1))), u, v, sigma, f"ratio of degrees {top}, {bottom}")
        found.append(leaf)
        if leaf.misfit < 1.5:
            break
    return found


def _damped(u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function]) -> list[Leaf]:
    """Try exp(a u) sin(w u + b) + d: its second derivative is a combination of itself, its slope and 1."""
    if not {"sin", "exp"} <= set(functions):
        return []
    h = 0.5 * float(np.ptp(u))
    best: tuple[float, float, float] | None = None
    for rate in np.linspace(-3.0, 3.0, 13) / h:
        for turn in (0.4 * 1.3**k / h for k in range(14)):
            bell = np.exp(rate * (u - u.mean()))
            design = np.stack([bell * np.sin(turn * u), bell * np.cos(turn * u), np.ones_like(u)], axis=1)
            rss = float(np.linalg.lstsq(design, v)[1].sum())
            if best is None or rss < best[0]:
                best = (rss, float(rate), float(turn))
    assert best is not None
    rate, turn = best[1:]
    bell = np.exp(rate * u)
    design = np.stack([bell * np.sin(turn * u), bell * np.cos(turn * u), np.ones_like(u)], axis=1)
    c1, c2, d = (float(c) for c in np.linalg.lstsq(design, v)[0])
    wave = Call(functions["sin"], add(mul(Const(turn), Var(0)), Const(float(np.arctan2(c2, c1)))))
    size = Const(float(np.hypot(c1, c2)))
    node = add(mul(size, Call(functions["exp"], mul(Const(rate), Var(0))), wave), Const(d))
    return [_leaf(node, u, v, sigma, "damped sin")]


_STAGES = (_plain, _polynomials, _transformed, _inside, _times_powers, _with_line, _ratios, _damped)


def _peeled(
    u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function], depth: int = 1, last: str = ""
) -> list[Leaf]:
    """Undo two functions one after the other, until a plain one is left."""
    inside = {name: functions[name] for name in _PLAIN if name in functions}
    for t in transforms_for(v, set(functions))[1:]:
        if (t.name, last) in _UNDONE:
            continue
        tv, ts = t.value(v), np.abs(t.slope(v)) * sigma
        if not (np.isfinite(tv).all() and np.isfinite(ts).all() and (ts > 0.0).all()):
            continue
        if (t.name == "log|y|" and np.ptp(np.sign(v)) > 0) or not float(ts.min()) < 0.01 * float(np.std(tv)):
            continue
        sign = 1.0 if v[len(v) // 2] >= 0 else -1.0
        found = [leaf for leaf in _plain(u, tv, ts, inside) if leaf.misfit < _BELIEVED] if depth > 1 else []
        if not found and depth < _PEELED:
            found = _peeled(u, tv, ts, functions, depth + 1, t.name)
        whole = [_leaf(t.back(leaf.expression, sign), u, v, sigma, f"{t.name} as {leaf.how}") for leaf in found[:2]]
        whole = [leaf for leaf in whole if leaf.misfit < _BELIEVED]
        if whole:
            return whole
    return []


_REPEATED = (("log|y|", "exp(y)"), ("y^2", "sqrt|y|"), ("1/y", "1/y"), ("1/y", "y^-2"))
_UNDONE = {pair for a, b in _REPEATED for pair in ((a, b), (b, a))}  # transforms that undo or repeat the one before


def _composed(u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function]) -> list[Leaf]:
    """Try sums and products of two functions, and functions of them, of the curve and of its output transforms."""
    own = {name for name in functions if name not in LIBRARY}
    for t in transforms_for(v, set(functions)):
        tv, ts = t.value(v), np.abs(t.slope(v)) * sigma
        ok = np.isfinite(tv) & np.isfinite(ts) & (ts > 0.0)
        if ok.sum() < 0.8 * len(u) or (t.name == "log|y|" and np.ptp(np.sign(v)) > 0):
            continue
        sign = 1.0 if v[len(v) // 2] >= 0 else -1.0
        for stage in (sums_of_terms, pairs, functions_of_pairs):
            for how, start in islice(stage(u[ok], tv[ok], ts[ok], functions, own), _PROMISING):
                leaf = _leaf(start, u[ok], tv[ok], ts[ok], how, steps=8)
                if leaf.misfit < _HOPEFUL:
                    leaf = _leaf(leaf.expression, u[ok], tv[ok], ts[ok], how)
                if leaf.misfit < _BELIEVED and t.name != "y":
                    leaf = _leaf(t.back(leaf.expression, sign), u, v, sigma, f"{t.name} as {how}")
                if leaf.misfit < _BELIEVED:
                    return [leaf]
    return []
