r"""Weights of exact equations beside noisy data: raised while that makes them hold better, and no further.

With the deviations sigma of the data, :math:`\chi^2 + \lambda E` is minimised, E the mean squares of the exact
equations. While lambda only has to make the network obey what it is able to obey, E falls faster than lambda rises, so
that lambda E falls. Once E is down to what the network can't represent, lambda E rises, and the network begins to bend
the unknowns so as to lower its own error: their standard errors would say nothing of that. The least lambda E is where
to stop, unless raising lambda has ceased to move the unknowns before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from numkan._blas import one_blas_thread
from numkan._check import FloatArray
from numkan.pde.descent import Descent, State
from numkan.pde.equation import Equation

__all__ = ["Inference", "balance", "infer"]

#: lambda goes up by `_FACTOR`, at most `_RAISES` times, each time with at most `_STEPS` steps.
_FACTOR, _RAISES, _STEPS = math.sqrt(10.0), 16, 40

#: Unknowns have settled if two raises in a row move each by less than this share of its standard error.
_SETTLED = 0.05

#: The end is "limited" if raising lambda from the chosen one to the last moves an unknown by more standard errors.
_BENT = 0.5

#: lambda E has risen if it is `_RISEN` times its least; after `_RISES` of these the search ends.
_RISEN, _RISES = 1.2, 2


#: Noise is estimated to be no less than this: values that a network fits exactly would weigh infinitely much.
_LEAST_DEVIATION = 1e-15


@dataclass(frozen=True, eq=False)
class Inference:
    """What data say at one lambda."""

    state: State
    errors: FloatArray  # (n_unknowns,): standard errors
    deviations: FloatArray  # (n_terms,): root mean square noise; NaN of exact equations
    exact: float  # lambda E
    regime: str = "converged"


def balance(equations: Sequence[Equation], descent: Descent) -> None:
    """Weigh the mean squares of all terms alike: where nothing is known of noise yet, or there is none."""
    for equation, term in zip(equations, descent.terms, strict=True):
        n = len(term.x)
        if equation.is_exact or isinstance(equation.noise, str):
            term.root = math.sqrt(equation.weight / n)
        else:
            sigma = np.broadcast_to(equation.noise, (n,))
            term.root = (math.sqrt(float(np.square(sigma).mean()) / n) / sigma)[:, None]


class _Weighing:
    """Roots of weights for a lambda and deviations."""

    def __init__(self, equations: Sequence[Equation], descent: Descent) -> None:
        self.equations, self.descent = equations, descent
        self.data = [number for number, equation in enumerate(equations) if not equation.is_exact]
        self.exact = [number for number, equation in enumerate(equations) if equation.is_exact]
        self.n_data = sum(descent.terms[number].size for number in self.data)

    def first_deviations(self, state: State) -> FloatArray:
        """Return those that the caller gave, or the residuals' root mean square: :func:`balance` weighs by points."""
        problem = self.descent.problem(state)
        squares = problem.squares(self.descent.vector(problem, state))
        out = np.full(len(self.equations), np.nan)
        for number in self.data:
            noise, term = self.equations[number].noise, self.descent.terms[number]
            given = not isinstance(noise, str)
            mean = float(np.square(noise).mean()) if given else squares[number] / term.size * len(term.x)
            out[number] = max(math.sqrt(mean), _LEAST_DEVIATION)
        return out

    def weigh(self, raised: float, deviations: FloatArray) -> None:
        """Set the roots of the weights of all terms."""
        sizes = [self.descent.terms[number].size for number in self.data]
        variance = float(np.average(np.square(deviations[self.data]), weights=sizes))
        for number, (equation, term) in enumerate(zip(self.equations, self.descent.terms, strict=True)):
            n = len(term.x)
            if equation.is_exact:
                term.root = math.sqrt(raised * equation.weight * self.n_data / (n * variance))
            elif isinstance(equation.noise, str):
                term.root = 1.0 / deviations[number]
            else:
                term.root = 1.0 / np.broadcast_to(equation.noise, (n,))[:, None]

    @one_blas_thread()
    def measure(self, state: State, deviations: FloatArray) -> Inference:
        """Return standard errors, and deviations corrected for the degrees of freedom that the fit has used."""
        problem = self.descent.problem(state)
        z = self.descent.vector(problem, state)
        normal = problem.normal_equations(z)[2]
        squares, found = problem.squares(z), deviations.copy()
        scale = 1.0 / np.sqrt(np.maximum(np.diagonal(normal), 1e-12 * np.diagonal(normal).max()))
        scaled = normal * scale * scale[:, None]
        scaled.flat[:: len(scaled) + 1] += 1e-10
        covariance = linalg.inv(scaled) * scale * scale[:, None]
        for number in self.data:
            if isinstance(self.equations[number].noise, str):
                own = problem.normal_equations(z, [number])[2]
                freedom = float(np.vdot(covariance, own))
                left = max(self.descent.terms[number].size - freedom, 1.0)
                found[number] = max(deviations[number] * math.sqrt(squares[number] / left), _LEAST_DEVIATION)
        n_unknowns = len(state.unknowns)
        variances = np.diagonal(covariance)[len(z) - n_unknowns :]
        return Inference(state, np.sqrt(np.maximum(variances, 0.0)), found, float(squares[self.exact].sum()))

    def fitted(self, state: State, raised: float, deviations: FloatArray) -> Inference:
        """Return what is found at lambda = `raised`; estimated deviations and the fit follow each other."""
        found = Inference(state, np.zeros(0), deviations, math.inf)
        for _ in range(3):
            before = found.deviations
            self.weigh(raised, before)
            found = self.measure(self.descent.down(found.state, _STEPS), before)
            if np.nanmax(np.abs(found.deviations / before - 1.0)) < 0.03:
                break
        return found


def infer(equations: Sequence[Equation], descent: Descent, state: State, check: Callable[[], object]) -> Inference:
    """Return state and unknowns at the lambda that the module's rule chooses."""
    weighing = _Weighing(equations, descent)
    best = last = weighing.fitted(state, 1.0, weighing.first_deviations(state))
    if not weighing.exact:
        return best
    raised, settled, rises = 1.0, 0, 0
    for _ in range(_RAISES):
        check()
        raised *= _FACTOR
        now = weighing.fitted(last.state, raised, last.deviations)
        moved = np.abs(now.state.unknowns - last.state.unknowns)
        settled = settled + 1 if (moved <= _SETTLED * now.errors).all() and now.exact < 1.0 else 0
        last = now
        if now.exact < best.exact:
            best, rises = now, 0
        elif now.exact > _RISEN * best.exact:
            rises += 1
        if settled >= 2:
            return now if now.exact <= best.exact else best
        if rises >= _RISES:
            break
    bent = (np.abs(last.state.unknowns - best.state.unknowns) > _BENT * best.errors).any()
    return replace(best, regime="limited" if bent else "converged")
