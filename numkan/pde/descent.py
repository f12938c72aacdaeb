"""The state of a solution, and how Levenberg-Marquardt takes it downwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from numkan._check import FloatArray
from numkan.model.swept import ResidualSquares
from numkan.optimize import LevenbergMarquardt
from numkan.pde.grids import FirstGrid, laid, same_coefficients
from numkan.pde.rule import Between
from numkan.pde.term import PointTerm
from numkan.train.splines import Splines

__all__ = ["Descent", "State"]

#: A run ends after `_POOR_STEPS` steps in a row that each lower the loss by less than the share `_POOR`.
_POOR_STEPS, _POOR = 6, 0.01

#: A run begins with this damping at least.
_LEAST_DAMPING = 1e-12

#: Grids are no longer laid anew once the steps between do not bring the loss below this share of what it was.
_LAID_GAIN = 0.8


@dataclass(frozen=True, eq=False)
class State:
    """Where a solution is."""

    splines: Splines
    unknowns: FloatArray
    loss: float = math.inf
    damping: float = 1e-2
    poor: int = 0  # how many of the last steps in a row were poor


class Descent:
    """What all runs share: the terms, the first grid, and what is called at every step.

    Attributes
    ----------
    points : ndarray, shape (n, n_in)
        Of all terms.
    """

    def __init__(self, terms: Sequence[PointTerm], first: FirstGrid, on_step: Callable[[int, float], None]) -> None:
        self.terms, self.first, self._on_step = tuple(terms), first, on_step
        self.points = np.concatenate([term.x for term in self.terms])

    @property
    def rows(self) -> int:
        """How many points there are."""
        return len(self.points)

    def problem(self, state: State) -> ResidualSquares:
        """Return the least-squares problem on the grids of a state."""
        same = same_coefficients(state.splines, self.first.periodic)
        return ResidualSquares(state.splines.layers, self.terms, len(state.unknowns), same)

    def vector(self, problem: ResidualSquares, state: State) -> FloatArray:
        """Return a state as a vector of its problem."""
        return problem.vector(state.splines.coefs, state.unknowns)

    def at(self, problem: ResidualSquares, state: State, z: FloatArray, loss: float) -> State:
        """Return the state at a vector of its problem."""
        coefs, unknowns = problem.split(z)
        splines = Splines(state.splines.layers, tuple(np.array(coef) for coef in coefs))
        return replace(state, splines=splines, unknowns=np.array(unknowns), loss=loss)

    def on_grids(self, state: State, grids: Sequence[int]) -> State:
        """Return the same functions on other grids."""
        return replace(state, splines=laid(state.splines, self.points, list(grids), self.first), loss=math.inf)

    def down(
        self, state: State, steps: int, *, grids: Sequence[int] | None = None, every: int = 5, poor: int = 0
    ) -> State:
        """Return where steps of Levenberg-Marquardt lead; with `grids`, they are laid anew after every few steps.

        `poor` counts the poor steps before: a descent that goes on where another ended does not prove that again.
        """
        if poor >= _POOR_STEPS:
            return state
        taken, last, state = 0, math.inf, replace(state, poor=poor)
        while True:
            limit = min(every, steps - taken) if grids else steps - taken
            state, number = self._run(state, limit)
            taken += number
            settled = number < limit or state.poor >= _POOR_STEPS or state.loss > _LAID_GAIN * last
            if settled or taken >= steps or not grids:
                return state
            last, state = state.loss, self.on_grids(state, grids)

    def _run(self, state: State, steps: int) -> tuple[State, int]:
        """Take steps on fixed grids; return the state, and their number."""
        problem, poor = self.problem(state), state.poor
        rule = Between(max(state.damping, _LEAST_DAMPING))
        run = LevenbergMarquardt(problem, self.vector(problem, state), rule=rule, gtol=0.0)
        while run.state.step < steps and poor < _POOR_STEPS:
            before = run.state.fun
            if not run.step():  # nor would one from here on
                poor = _POOR_STEPS
                break
            self._on_step(state.splines.layers[-1].basis.n_intervals, run.state.fun)
            poor = poor + 1 if run.state.fun > (1.0 - _POOR) * before else 0
        state = replace(state, damping=run.state.damping, poor=poor)
        return self.at(problem, state, run.state.x, run.state.fun), run.state.step
