r"""A line search for the strong Wolfe conditions.

Along :math:`\varphi(\alpha) = f(x + \alpha d)` a step is good when the loss has fallen enough and the slope flattened:

.. math:: \varphi(\alpha) \le \varphi(0) + c_1 \alpha \varphi'(0), \qquad |\varphi'(\alpha)| \le c_2 |\varphi'(0)|.

Nocedal and Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6, as one loop: an interval whose far end is
unknown at first. Near the rounding floor of f the first condition is read from the slopes: Hager and Zhang, SIAM J.
Optim. 16 (2005) 170.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from numkan._check import FloatArray, check_integer, check_number
from numkan.optimize.objective import dot

__all__ = ["Condition", "LineSearchResult", "strong_wolfe"]

Condition = Literal["strong", "approximate", "decrease", "none"]
Line = Callable[[float], tuple[float, FloatArray]]


class LineSearchResult(NamedTuple):
    """The accepted point of a line search, and how it was accepted (see :func:`strong_wolfe`).

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.optimize import strong_wolfe
    >>> found = strong_wolfe(lambda a: ((a - 1) ** 2, np.array([2 * (a - 1)])), np.array([1.0]), 1.0, np.array([-2.0]))
    >>> found.alpha, found.fun, found.condition
    (1.0, 0.0, 'strong')
    """

    alpha: float  #: the step length
    fun: float  #: the loss there
    grad: FloatArray  #: the gradient there
    condition: Condition  #: how it was accepted; "none" where no step was
    nfev: int  #: evaluations
    finite: bool  #: False where every trial that moved x was NaN or infinite


class _Trial(NamedTuple):
    """One point of the line; `change` is phi(alpha) - phi(0), from the slopes if values do not resolve it."""

    alpha: float
    fun: float
    grad: FloatArray
    slope: float
    change: float
    resolved: bool


def strong_wolfe(
    phi: Line,
    direction: FloatArray,
    fun: float,
    grad: FloatArray,
    *,
    alpha: float = 1.0,
    c1: float = 1e-4,
    c2: float = 0.9,
    resolution: float | None = None,
    max_evaluations: int = 40,
) -> LineSearchResult:
    r"""Find a step that meets the strong Wolfe conditions.

    Parameters
    ----------
    phi : callable
        ``phi(alpha) -> (f, g)``: the loss at ``x + alpha * direction`` and its gradient there, shape (n,). A value that
        is not finite counts as :math:`+\infty`: the step is shortened.
    direction : ndarray, shape (n,)
        A direction of descent.
    fun, grad : float, ndarray of shape (n,)
        The loss and its gradient at ``alpha = 0``.
    alpha : float
        The first trial.
    c1, c2 : float
        The constants of the two conditions, ``0 < c1 < c2 < 1``.
    resolution : float, optional
        The relative size below which changes of the loss may be rounding. By default the square root of the spacing
        of 1 in the dtype of `direction`.
    max_evaluations : int
        The largest number of calls of `phi`.

    Returns
    -------
    LineSearchResult
        ``(alpha, fun, grad, condition, nfev, finite)``, so the caller need not evaluate the point again. `condition` is

        - ``"strong"``: both conditions hold as written;
        - ``"approximate"``: the change of the loss is at most ``resolution * abs(fun)`` and its values fail the first
          condition, but the trapezoidal rule, exact for a quadratic, meets it:
          :math:`\varphi'(\alpha) \le (2 c_1 - 1) \varphi'(0)`; and the second holds;
        - ``"decrease"``: `max_evaluations` ran out (a kink, or a cliff to infinity); the first condition holds;
        - ``"none"``: no point was found; ``alpha`` is 0, ``fun`` and ``grad`` are those of the start.

    Raises
    ------
    ValueError
        If `direction` does not point downhill, or a number is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> x, d = np.array([3.0]), np.array([-1.0])
    >>> found = strong_wolfe(lambda a: (float((x + a * d)[0] ** 2), 2 * (x + a * d)), d, 9.0, 2 * x, c2=0.1)
    >>> found.alpha, found.fun, found.condition, found.nfev
    (3.0, 0.0, 'strong', 2)
    """
    c1 = check_number("c1", c1, 0.0, 1.0, exclusive=True)
    c2 = check_number("c2", c2, c1, 1.0, exclusive=True)
    alpha = check_number("alpha", alpha, 0.0, exclusive=True)
    max_evaluations = check_integer("max_evaluations", max_evaluations, 1)
    if resolution is not None:
        resolution = check_number("resolution", resolution, 0.0)
    else:
        resolution = float(np.sqrt(np.finfo(direction.dtype).eps))
    slope = dot(grad, direction)
    if not slope < 0.0:
        raise ValueError(f"Argument `direction` must point downhill, not along a slope of {slope}.")
    rules = _Rules(fun, slope, c1, c2, resolution)
    return _search(phi, direction, _Trial(0.0, fun, grad, slope, 0.0, True), rules, alpha, max_evaluations)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The Wolfe conditions of one line."""

    fun: float
    slope: float
    c1: float
    c2: float
    resolution: float

    def trial(self, alpha: float, fun: float, grad: FloatArray, slope: float) -> _Trial:
        """Record one point, with the most accurate change of the loss that can be had."""
        if not (math.isfinite(fun) and math.isfinite(slope)):
            return _Trial(alpha, math.inf, grad, math.nan, math.inf, True)
        change = fun - self.fun
        resolved = change <= self.c1 * alpha * self.slope or abs(change) > self.resolution * abs(self.fun)
        if not resolved:
            change = 0.5 * alpha * (self.slope + slope)
        return _Trial(alpha, fun, grad, slope, change, resolved)

    def decreases(self, trial: _Trial) -> bool:
        return trial.change <= self.c1 * trial.alpha * self.slope

    def accepts(self, trial: _Trial) -> bool:
        return self.decreases(trial) and abs(trial.slope) <= -self.c2 * self.slope


def _search(
    phi: Line, direction: FloatArray, start: _Trial, rules: _Rules, alpha: float, max_evaluations: int
) -> LineSearchResult:
    """Shrink the interval between `low`, the best point so far, and `high`, unknown while the loss still falls."""
    before, low, best = start, start, start
    high: _Trial | None = None
    widths = [math.inf, math.inf]
    finite = infinite = False
    condition: Condition
    for evaluations in range(1, max_evaluations + 1):
        fun, grad = phi(alpha)
        trial = rules.trial(alpha, fun, grad, dot(grad, direction))
        moved = trial.fun != start.fun or trial.slope != start.slope
        finite |= moved and trial.change < math.inf
        infinite |= trial.change == math.inf
        if rules.accepts(trial):
            condition = "strong" if trial.resolved else "approximate"
            return LineSearchResult(alpha, trial.fun, trial.grad, condition, evaluations, True)
        if trial.resolved and rules.decreases(trial) and trial.fun < best.fun:
            best = trial
        # `low` always meets the first condition and slopes down towards `high`: a good step lies between them.
        if not rules.decreases(trial) or trial.change >= low.change:
            high = trial
        elif trial.slope * ((math.inf if high is None else high.alpha) - low.alpha) >= 0.0:
            low, high = trial, low
        else:
            before, low = low, trial
        if high is None:
            alpha = _beyond(before, low)
            continue
        width = abs(high.alpha - low.alpha)
        slow = width > 0.66 * widths[0]  # More and Thuente (1994): bisect when two trials have not shrunk it enough
        widths = [widths[1], width]
        alpha = _between(low, high, slow)
        if alpha in (low.alpha, high.alpha) or not moved:
            break  # no number is left between the ends, or the step is lost in the rounding of x
    condition = "none" if best is start else "decrease"
    return LineSearchResult(best.alpha, best.fun, best.grad, condition, evaluations, finite or not infinite)


def _cubic(near: _Trial, far: _Trial) -> float:
    """Return the minimum of the cubic through two points and their slopes, `near` at 0 and `far` at 1; NaN if none."""
    width = far.alpha - near.alpha
    a = near.slope * width
    b = far.slope * width
    change = far.change - near.change
    # p(t) = a t + c t^2 + d t^3
    c = 3.0 * change - 2.0 * a - b
    d = a + b - 2.0 * change
    root = c * c - 3.0 * a * d
    if not root >= 0.0:
        return math.nan
    # of the two forms of the root of p', the one without cancellation
    over, under = (-a, c + math.sqrt(root)) if c >= 0.0 else (math.sqrt(root) - c, 3.0 * d)
    return over / under if under != 0.0 else math.nan


def _between(low: _Trial, high: _Trial, bisect: bool) -> float:
    """Return a trial inside the interval, never in its outer hundredths."""
    if high.change == math.inf:
        share = 0.1 if low.alpha == 0.0 else 0.5
    else:
        share = _cubic(low, high)
        share = 0.5 if bisect or math.isnan(share) else min(max(share, 0.01), 0.99)
    return low.alpha + share * (high.alpha - low.alpha)


def _beyond(before: _Trial, low: _Trial) -> float:
    """Return a trial further out: by the cubic, but 1.1 to 4 times the last advance (More and Thuente)."""
    share = _cubic(before, low)
    share = min(max(share, 2.1), 5.0) if share > 1.0 else 5.0
    return before.alpha + share * (low.alpha - before.alpha)
