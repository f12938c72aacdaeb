"""Stages of Adam: a mini-batch in every step, as many steps as were planned."""

from __future__ import annotations

import numpy as np

from numkan._check import FloatArray
from numkan.optimize import Adam, cosine
from numkan.optimize.objective import FunAndGrad
from numkan.train.plan import Plan
from numkan.train.start import NotFiniteError

__all__ = ["WithAdam"]

#: Grids are laid anew at most this many times in a stage.
_MAX_UPDATES = 60


class WithAdam:
    """See :class:`numkan.train.gradient.Steps`. When grids move, moments and their units are kept."""

    stepper: Adam
    keeps_units = True

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def begin(self, evaluate: FunAndGrad, z: FloatArray) -> None:
        """Begin at z."""
        plan = self._plan
        self.stepper = Adam(evaluate, z, learning_rate=plan.learning_rate, schedule=cosine(plan.steps))

    def move(self, z: FloatArray) -> None:
        """Continue from z with the same moments."""
        state = self.stepper.state
        if not (np.isfinite(state.m).all() and np.isfinite(state.v).all()):
            raise NotFiniteError("the squares of the gradient, of which Adam keeps the mean")
        self.stepper.restart(z, moments=(state.m, state.v, state.t))

    def update_steps(self, number: int) -> set[int]:
        """Return steps a quarter, an eighth, ... into the stage."""
        return {max(self._plan.steps >> (2 + j), 1) for j in range(min(number, _MAX_UPDATES))}

    def is_recorded(self, step: int, n: int) -> bool:
        """Whether the step ends a pass over the samples, or the stage."""
        per_pass = max(n // (self._plan.batch_size or n), 1)
        return step % per_pass == 0 or step == self._plan.steps

    def is_flat(self, objectives: list[float]) -> bool:
        """Return False: mini-batches differ by more than steps gain."""
        return False
