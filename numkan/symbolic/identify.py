"""Identification of a function of one variable as c f(a u + b) + d, f of the library, by variable projection.

c and d are linear and projected out; a and b are found by Levenberg-Marquardt, from all starts of a function at once.
The function with the shortest description is chosen: the bits of its name, of its numbers, and of the residuals in
units of the noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_float_array, check_finite, check_number
from numkan.symbolic.expression import Call, Const, Node, Var, add, mul, number, power
from numkan.symbolic.functions import Function, check_library

__all__ = ["Match", "affine", "identify", "match_all"]

_STARTS = 6  # the best starts of a function, which are iterated further
_STEPS = 24
_BY_NAME: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "sin": (tuple(0.4 * 1.3**k for k in range(19)), (0.0, 0.5 * np.pi)),
    "tan": ((0.2, 0.5, 0.8, 1.1, 1.4), (-0.8, -0.4, 0.0, 0.4, 0.8)),
    "arcsin": ((0.2, 0.5, 0.8, 0.95, 0.995), (-0.7, -0.4, -0.15, 0.0, 0.15, 0.4, 0.7)),
    "besselj0": (tuple(0.4 * 1.5**k for k in range(9)), (0.0, 1.0, 2.0, 4.0, 8.0)),
}
_BY_NAME["arccos"] = _BY_NAME["arctanh"] = _BY_NAME["arcsin"]
_BY_NAME["besselj1"] = _BY_NAME["besselj0"]
_A = (0.15, 0.4, 0.8, 1.5, 3.0, 6.0)
_B = (-5.0, -2.5, -1.2, -0.5, 0.0, 0.5, 1.2, 2.5, 5.0)
_RATES = tuple(sign * 0.1 * 1.8**k for k in range(8) for sign in (1.0, -1.0))
_SHIFTS = tuple(sign * (1.0 + 0.003 * 2.2**k) for k in range(12) for sign in (1.0, -1.0))
_INSIDE = (-0.8, -0.5, -0.2, 0.0, 0.2, 0.5, 0.8)


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """One function, fitted to samples of one variable.

    Attributes
    ----------
    name : str
        Of the function f.
    a, b, c, d : float
        Of c f(a u + b) + d.
    rms : float
        Root mean square of the (weighted) residuals.
    misfit : float
        The same in units of the noise; 1 is as good as can be.
    bits : float
        Length of its description; the shortest wins.
    """

    name: str
    function: Function
    a: float
    b: float
    c: float
    d: float
    rms: float
    misfit: float
    bits: float

    def __call__(self, u: Any) -> FloatArray:
        """Return c f(a u + b) + d."""
        with np.errstate(all="ignore"):
            return np.asarray(self.c * self.function.value(self.a * np.asarray(u, np.float64) + self.b) + self.d)

    @property
    def label(self) -> str:
        """The text on an edge of this function in a picture of a network."""
        if self.name == "identity":
            return "linear"
        if self.name.startswith("pow"):
            return f"$u^{{{float(self.function.derivative(1.0)):.3g}}}$"
        return self.name

    def expression(self, u: Node | None = None) -> Node:
        """Return it as an expression, of an input or of another expression."""
        inner = Var(0) if u is None else u
        return add(mul(Const(self.c), affine(self.function, self.a, self.b, inner)), Const(self.d))


def affine(function: Function, a: float, b: float, u: Node) -> Node:
    """Return f(a u + b) without redundant constants."""
    scale: Node = Const(a) if "a" in function.varies else number(a)
    argument = add(mul(scale, u), Const(b) if "b" in function.varies else number(0))
    if function.name == "identity":
        return argument
    if function.name.startswith("pow"):
        return power(argument, float(function.derivative(1.0)))
    return Call(function, argument)


def identify(
    u: Any,
    y: Any,
    *,
    noise: float | None = None,
    library: Mapping[str, Any] | None = None,
    forbid: Any = (),
    sample_weight: Any = None,
) -> tuple[Match, ...]:
    r"""Identify a function of one variable among those of the library.

    .. math:: y = c\, f(a u + b) + d

    Parameters
    ----------
    u, y : array_like, shape (n,)
        At least 8 samples.
    noise : float, optional
        Standard deviation of the errors of y. Without it, the functions are compared by the Bayesian criterion.
    library : mapping of str to callable, optional
        Functions beside those of :data:`numkan.symbolic.LIBRARY`.
    forbid : list of str
        Names of functions that must not be used.
    sample_weight : array_like, shape (n,), optional

    Returns
    -------
    tuple of Match
        The shortest description first. See its `misfit` for whether it is good.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic import identify
    >>> u = np.linspace(0, 2, 50)
    >>> best, *others = identify(u, 3 * np.exp(-2 * u) + 1)
    >>> best.name, round(best.a, 9), round(best.c, 9), round(best.d, 9)
    ('exp', -2.0, 3.0, 1.0)
    """
    functions = check_library(library, forbid)
    u, y = as_float_array("u", u, np.float64), as_float_array("y", y, np.float64)
    if u.ndim != 1 or len(u) < 8:
        raise ValueError(f"Argument `u` must have shape (n,) with at least 8 samples, not {u.shape}.")
    if y.shape != u.shape:
        raise ValueError(f"Argument `y` must have shape {u.shape}, not {y.shape}.")
    check_finite("u", u)
    check_finite("y", y)
    if noise is not None:
        noise = check_number("noise", noise, 0.0)
    weight = np.ones(len(u)) if sample_weight is None else as_float_array("sample_weight", sample_weight, np.float64)
    if weight.shape != u.shape or not np.all(weight >= 0.0) or not np.any(weight > 0.0):
        raise ValueError(f"Argument `sample_weight` must hold {len(u)} numbers >= 0, not all 0.")
    floor = 1e-14 * float(np.abs(y).max())
    sigma = None if noise is None else np.full(len(u), max(noise, floor))
    return tuple(match_all(u, y, sigma, functions, weight))


def match_all(
    u: FloatArray,
    y: FloatArray,
    sigma: FloatArray | None,  # (n,) errors of y; None where they are not known
    functions: Mapping[str, Function],
    weight: FloatArray | None = None,
    hopeless: float = np.inf,  # a misfit from which on a function is not followed to its end
) -> list[Match]:
    """Fit every function; return them by the length of their descriptions."""
    w = np.ones(len(u)) if weight is None else weight
    size = float(np.abs(y).max()) or 1.0  # squares of y may be beyond what numbers hold
    y = y / size
    if sigma is not None:
        sigma = np.maximum(sigma / size, 1e-150)
        w = w * np.square(sigma.min() / sigma) if sigma.min() > 0.0 else w
    w = w / w.sum()
    mid, half = float(u.max() + u.min()) / 2, float(u.max() - u.min()) / 2 or 1.0
    s = (u - mid) / half
    level = None if sigma is None else float(sigma.min())
    floor = 1e-14
    found = []
    for function in functions.values():
        fitted = _fit(function, s, y, w, (hopeless * level) ** 2 if level else np.inf)
        if fitted is None:
            continue
        a, b, c, d, rms = fitted
        rms = max(rms, floor)
        free = 2 + len(function.varies)
        misfit = rms / level if level else float("nan")
        code = 0.72 * len(u) * min(misfit, 1e15) ** 2 if level else len(u) * float(np.log2(rms / floor))
        bits = function.bits + 0.5 * free * float(np.log2(len(u))) + code
        a, b, c = _in_units(function, a, b, c, mid, half)
        d -= c * mid if function.name == "identity" else c * np.log(half) if function.name == "log" else 0.0
        found.append(Match(function.name, function, a, b, c * size, d * size, rms * size, misfit, bits))
    return sorted(found, key=lambda match: match.bits)


def _in_units(function: Function, a: float, b: float, c: float, mid: float, half: float) -> tuple[float, float, float]:
    """Return a, b, c for u where they are known for s = (u - mid) / half."""
    if function.varies == "ab":
        return a / half, b - a * mid / half, c
    if function.varies == "a":  # exp: the shift goes into c
        return a / half, 0.0, c * float(function.value(-a * mid / half))
    if function.name == "identity":
        return 1.0, 0.0, c / half
    if function.varies == "b" and function.name != "log":  # powers and abs
        return a, b * half - a * mid, c * float(function.value(1.0 / half))
    return a, b * half - a * mid, c


def starts_of(function: Function) -> FloatArray:
    """Return starts (count, 2) of a and b for s in [-1, 1]."""
    if function.varies == "":
        return np.array([[1.0, 0.0]])
    if function.varies == "a":
        return np.array([[a, 0.0] for a in _RATES])
    if function.varies == "b":
        shifts = _INSIDE + _SHIFTS if function.name in ("abs", "pow2", "pow3", "pow4") else _SHIFTS
        return np.array([[np.sign(b) or 1.0, abs(b) if abs(b) >= 1.0 else b] for b in shifts])
    some_a, some_b = _BY_NAME.get(function.name, (_A, _B))
    return np.array([[a, b] for a in some_a for b in some_b])


def _fit(
    function: Function, s: FloatArray, y: FloatArray, w: FloatArray, worst: float = np.inf
) -> tuple[float, float, float, float, float] | None:
    """Return a, b, c, d and the weighted rms of the best fit, or None where the function is nowhere finite."""
    with np.errstate(all="ignore"):
        theta = starts_of(function)
        _, loss, _ = _project(function, theta, s, y, w)
        order = np.argsort(loss, kind="stable")[:_STARTS]
        theta, loss = theta[order], loss[order]
        if not np.isfinite(loss[0]):
            return None
        theta = theta[np.isfinite(loss)]
        if function.varies:
            theta = _climb(function, theta, s, y, w, worst)
        c, loss, mean = _project(function, theta, s, y, w)
        best = int(np.argmin(loss))
    if not np.isfinite(loss[best]):
        return None
    d = float(w @ y - c[best] * mean[best])
    return float(theta[best, 0]), float(theta[best, 1]), float(c[best]), d, float(np.sqrt(loss[best]))


def _project(
    function: Function, theta: FloatArray, s: FloatArray, y: FloatArray, w: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return c, the mean square residual and the mean of f for every start."""
    f = np.asarray(function.value(theta[:, :1] * s + theta[:, 1:]), np.float64)
    mean = f @ w
    f = f - mean[:, None]
    goal = y - w @ y
    c = (f @ (w * goal)) / (np.square(f) @ w)
    loss = np.square(goal - c[:, None] * f) @ w
    return c, np.where(np.isfinite(loss), loss, np.inf), mean


def solve_pairs(normal: FloatArray, right: FloatArray) -> FloatArray:
    """Solve many 2 x 2 systems, (count, 2, 2) and (count, 2), by Cramer's rule."""
    det = normal[:, 0, 0] * normal[:, 1, 1] - normal[:, 0, 1] ** 2
    first = normal[:, 1, 1] * right[:, 0] - normal[:, 0, 1] * right[:, 1]
    second = normal[:, 0, 0] * right[:, 1] - normal[:, 0, 1] * right[:, 0]
    return np.stack([first, second], axis=1) / np.where(det == 0.0, 1.0, det)[:, None]


def _climb(
    function: Function, theta: FloatArray, s: FloatArray, y: FloatArray, w: FloatArray, worst: float
) -> FloatArray:
    """Improve all starts at once by damped Gauss-Newton steps on the projected problem (Kaufman's Jacobian)."""
    goal = y - w @ y
    damping = np.full(len(theta), 1e-3)
    vary = np.array(["a" in function.varies, "b" in function.varies])
    c, loss, mean = _project(function, theta, s, y, w)
    last = np.inf
    for step in range(_STEPS):
        now = float(loss.min())
        if step >= 3 and now > (worst if now > 0.9 * last else 1e6 * worst):
            break  # it stands still, or is far off, where a fit would have to be much better
        if step in (4, 8):  # the best starts alone go on
            keep = np.argsort(loss, kind="stable")[: 3 if step == 4 else 1]
            theta, damping, c, loss, mean = theta[keep], damping[keep], c[keep], loss[keep], mean[keep]
        last = now
        t = theta[:, :1] * s + theta[:, 1:]
        f = np.asarray(function.value(t), np.float64) - mean[:, None]
        slope = c[:, None] * np.asarray(function.derivative(t), np.float64)
        jac = np.stack([slope * s, slope], axis=1) * vary[:, None]  # (starts, 2, n)
        jac = jac - (jac @ w)[:, :, None]
        jac = jac - ((jac * f[:, None] @ w) / (np.square(f) @ w)[:, None])[:, :, None] * f[:, None]
        r = goal - c[:, None] * f
        weighted = jac * w
        normal = weighted @ jac.transpose(0, 2, 1)
        right = (weighted @ r[:, :, None])[:, :, 0]
        size = normal[:, [0, 1], [0, 1]]
        normal[:, [0, 1], [0, 1]] += damping[:, None] * size + np.where(size > 0.0, 1e-300, 1.0)
        change = solve_pairs(normal, right)
        new = theta + np.where(np.isfinite(change), change, 0.0)
        new_c, new_loss, new_mean = _project(function, new, s, y, w)
        better = new_loss < loss
        theta = np.where(better[:, None], new, theta)
        c, loss, mean = np.where(better, new_c, c), np.where(better, new_loss, loss), np.where(better, new_mean, mean)
        damping = np.where(better, np.maximum(damping * 0.1, 1e-14), np.minimum(damping * 10.0, 1e12))
    return theta
