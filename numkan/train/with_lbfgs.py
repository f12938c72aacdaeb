"""Stages of L-BFGS: all samples in every step, until the objective falls no further."""

from __future__ import annotations

from numkan._check import FloatArray
from numkan.optimize import LBFGS
from numkan.optimize.objective import FunAndGrad

__all__ = ["WithLBFGS"]

#: Largest number of pairs of steps and gradients, and of entries in all pairs together.
_PAIRS, _NUMBERS = 100, 20_000_000

#: A stage ends when this many steps together lower the objective by less than this share of it.
_WINDOW, _LEAST_GAIN = 50, 0.02

#: Hidden grids are laid anew after this many steps of a stage, after twice as many, and so on, 60 times at most.
_FIRST_UPDATE, _MAX_UPDATES = 5, 60


class WithLBFGS:
    """See :class:`numkan.train.gradient.Steps`."""

    stepper: LBFGS
    keeps_units = False

    def begin(self, evaluate: FunAndGrad, z: FloatArray) -> None:
        """Begin at z."""
        memory = max(3, min(_PAIRS, _NUMBERS // (2 * max(z.size, 1))))
        self.stepper = LBFGS(evaluate, z, memory=memory, gtol=0.0)

    def move(self, z: FloatArray) -> None:
        """Continue from z, without the curvature of the old grids."""
        self.stepper.restart(z)

    def update_steps(self, number: int) -> set[int]:
        """Return 5, 10, 20, ..."""
        return {_FIRST_UPDATE << j for j in range(min(number, _MAX_UPDATES))}

    def is_recorded(self, step: int, n: int) -> bool:
        """Return True, for every step."""
        return True

    def is_flat(self, objectives: list[float]) -> bool:
        """Whether the last steps together have gained too little to continue."""
        if len(objectives) <= _WINDOW:
            return False
        before = objectives[-1 - _WINDOW]
        return before - objectives[-1] < _LEAST_GAIN * abs(before)
