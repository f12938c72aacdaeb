"""The search for a start as a part of a fit by Levenberg-Marquardt, which a resumed fit does not repeat."""

from __future__ import annotations

import numpy as np

from numkan.train.least_squares import LeastSquaresStages
from numkan.train.reached import splines_of, splines_tree
from numkan.train.samples import generator_state, set_generator_state
from numkan.train.session import Session
from numkan.train.starts import Start, find_start
from numkan.train.tree import Tree, real, reals

__all__ = ["SearchForStart"]


class SearchForStart:
    """The searches of a fit, and their results; see :class:`numkan.train.journal.Part`.

    Attributes
    ----------
    tried : tuple of float
        Residuals of the starts.
    seconds : float
        That the searches took.
    """

    def __init__(self, session: Session, stages: LeastSquaresStages, restarts: int, rng: np.random.Generator) -> None:
        self._session, self._stages, self._restarts, self._rng = session, stages, restarts, rng
        self._origin = stages.reached.splines  # in the shape of the model, as it came
        self.tried: tuple[float, ...] = ()
        self.seconds = 0.0

    def run(self, state: Tree | None = None) -> None:
        """Find a start, from which the stages begin."""
        session, stages = self._session, self._stages
        began = session.seconds
        start = self.find()
        stages.reached.splines, stages.reached.noises = start.splines, [start.residual]
        self.tried += start.tried
        self.seconds += session.seconds - began

    def find(self) -> Start:
        """Return the start."""
        return find_start(self._origin, self._stages.data, self._restarts, self._rng, self._session.check_time)

    def state(self, *, under_way: bool) -> Tree:
        """Return the start, and the state of the random numbers after it."""
        return {
            "splines": splines_tree(self._stages.reached.splines),
            "noises": list(self._stages.reached.noises),
            "tried": list(self.tried),
            "seconds": self.seconds,
            "generator": generator_state(self._rng),
        }

    def restore(self, state: Tree) -> None:
        """Take over the start."""
        reached = self._stages.reached
        noises, tried, seconds = reals(state["noises"], 1), reals(state["tried"]), real(state, "seconds")
        reached.splines, reached.noises = splines_of(state["splines"], self._origin), noises
        self.tried, self.seconds = tuple(tried), seconds
        set_generator_state(self._rng, state["generator"])
