"""Joint refinement of all constants of an expression on the data, by Levenberg-Marquardt, to rounding.

The Jacobian may be rank-deficient: in c exp(a u + b) a change of b is a change of c. Steps are therefore computed from
singular values, and have the least norm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Node, Tape, with_values

__all__ = ["Refined", "refine", "root_of"]

#: The refinement ends where a step gains less than this share, twice in a row, or residuals are as small as rounding.
_GAIN, _ROUNDING = 1e-3, 3e-16
_LARGEST = 1e150  # number whose square is still one
_DAMPING = (1e-3, 1e-16, 1e12)  # first, least, most


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """An expression whose constants have been fitted."""

    expression: Node
    rms: float  #: root mean square of the weighted residuals
    steps: int


def root_of(weight: FloatArray) -> FloatArray:
    """Return the factors of residuals that have weights: their squares have the mean 1."""
    return np.asarray(np.sqrt(weight / weight.mean()))


class _Problem:
    """Residuals, and what is known of the Jacobian by an orthogonal factor: sizes m + 1 and not n."""

    def __init__(self, node: Node, x: FloatArray, y: FloatArray, weight: FloatArray | None) -> None:
        self.tape = Tape(node)
        self._x, self._y = x, y
        self._root = None if weight is None else root_of(weight)

    def loss(self, theta: FloatArray) -> float:
        residual = self.tape.value(self._x, theta) - self._y
        if self._root is not None:
            residual = residual * self._root
        with np.errstate(over="ignore"):
            loss = float(residual @ residual)
        return loss if np.isfinite(loss) else np.inf

    def factor(self, theta: FloatArray) -> FloatArray:
        value, jac = self.tape.jacobian(self._x, theta)
        both = np.concatenate([jac, (value - self._y)[:, None]], axis=1)
        if self._root is not None:
            both *= self._root[:, None]
        if not np.isfinite(both).all():
            return np.zeros((0, 0))
        return np.asarray(np.linalg.qr(both, mode="r"))


def refine(node: Node, x: FloatArray, y: FloatArray, *, weight: FloatArray | None = None, steps: int = 60) -> Refined:
    """Fit all free constants of an expression to samples.

    Parameters
    ----------
    node : Node
        With starting values of its constants.
    x : ndarray, shape (n, n_in)
    y : ndarray, shape (n,)
    weight : ndarray, shape (n,), optional
    steps : int
        The largest number of steps.

    Returns
    -------
    Refined
        With `rms` infinite where the expression is not finite on the samples.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.symbolic import LIBRARY, refine
    >>> from numkan.symbolic.expression import Call, Const, Var, mul
    >>> x = np.linspace(0, 1, 50)[:, None]
    >>> start = mul(Const(1.0), Call(LIBRARY["exp"], mul(Const(1.0), Var(0))))
    >>> refined = refine(start, x, 3 * np.exp(-2 * x[:, 0]))
    >>> refined.rms < 1e-14
    True
    """
    problem = _Problem(node, x, y, weight)
    theta = problem.tape.theta
    loss = problem.loss(theta)
    floor = len(y) * (_ROUNDING * min(float(np.abs(y).max(initial=0.0)), _LARGEST)) ** 2
    damping, idle, done = _DAMPING[0], 0, 0
    if not len(theta) or not np.isfinite(loss):
        return Refined(node, np.sqrt(loss / len(y)), 0)
    for _ in range(steps):
        r = problem.factor(theta)
        if not r.size:
            break
        new, new_loss, damping = _advance(problem, theta, loss, r, damping)
        idle = idle + 1 if new_loss > (1.0 - _GAIN) * loss else 0
        theta, loss, done = new, new_loss, done + 1
        if idle >= 2 or loss <= floor:
            break
    return Refined(with_values(node, [float(v) for v in theta]), float(np.sqrt(loss / len(y))), done)


def _advance(
    problem: _Problem, theta: FloatArray, loss: float, r: FloatArray, damping: float
) -> tuple[FloatArray, float, float]:
    """Return the next constants, their loss and damping; the same constants if no step lowers the loss."""
    m = len(theta)
    scale = np.sqrt(np.square(r[:, :m]).sum(axis=0))
    scale = np.where(scale > 0.0, scale, 1.0)
    u, s, vt = np.linalg.svd(r[:, :m] / scale, full_matrices=False)
    g = u.T @ r[:, m]
    keep = s > 1e-14 * s[0] if s[0] > 0.0 else np.zeros(len(s), bool)
    for _ in range(12):
        gain = np.where(keep, s / (np.square(s) + damping), 0.0)
        new = theta - (vt.T @ (gain * g)) / scale
        new_loss = problem.loss(new)
        if new_loss < loss:
            return new, new_loss, max(damping * 0.05, _DAMPING[1])
        damping = min(max(damping, 1e-12) * 10.0, _DAMPING[2])
    return theta, loss, damping
