"""The course of solving: starts, the ladder of grids, weights, and the solution with its message."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import FloatArray
from numkan.model.network import Network
from numkan.model.swept import jets_at
from numkan.pde.descent import Descent, State
from numkan.pde.equation import Equation, Signature
from numkan.pde.grids import FirstGrid, endless
from numkan.pde.points import Boundary, Interior, followed
from numkan.pde.solution import PDEState, Solution
from numkan.pde.starts import best_start
from numkan.pde.term import PointTerm
from numkan.pde.weights import Inference, balance, infer
from numkan.train.box import box_points
from numkan.train.commit import commit_grids
from numkan.train.data import Units
from numkan.train.point import Point
from numkan.train.progress import Progress
from numkan.train.splines import Splines

__all__ = ["Options", "Solver"]

#: Draws by default, and the grids that they are tried on until one is good: intervals, and the residual that will do.
_DRAWS, _FIRST_GRIDS, _WILL_DO = 8, (4, 8, 16), 0.1

#: A finer grid must bring residuals below this share, and has coefficients for no more than that share of the points.
_STAGE_GAIN, _SHARE = 0.5, 0.5

#: Steps of a stage, first while grids are laid anew between them, and then on fixed grids.
_STEPS = 50, 100


@dataclass(frozen=True)
class Options:
    """What the caller decides of the course."""

    draws: int | str = "auto"
    ladder: Sequence[int | Sequence[int]] | None = None  # None: automatic
    time_limit: float | None = None
    callback: Any = None
    progress: bool = False
    steps: tuple[int, int] = _STEPS
    damping: float = 1e-2  # that a model which goes on begins with


#: Residuals at fresh points that are this many times those at the points of training show that these are too few.
_OVERFIT = 10.0

#: What happened, in a sentence.
_MESSAGES = {
    "finished": "The equations are solved as far as steps and grids go.",
    "time limit": "The time limit was reached; the model is at the last stage that was finished, if any.",
    "callback": "The callback ended it; the model is at the last stage that was finished, if any.",
    "non-finite": "The residuals became NaN or infinite; the model is as it was.",
}


class _Ended(Exception):
    """The time is over, or the callback wants no more."""


class Solver:
    """One solution in progress.

    Parameters
    ----------
    model : Network
        It changes at the end alone.
    """

    def __init__(
        self,
        model: Network,
        equations: Sequence[Equation],
        unknowns: Mapping[str, float],
        transform: Any,
        first: tuple[Mapping[int, FloatArray], tuple[int, ...]],
        rng: np.random.Generator,
    ) -> None:
        self.model, self.equations, self.names, self.transform = model, tuple(equations), tuple(unknowns), transform
        self._rng, self._began = rng, time.perf_counter()
        signatures = [Signature.of(equation, number, self.names) for number, equation in enumerate(equations)]
        self._check_degrees(max(signature.order for signature in signatures))
        drawn = [followed(equation.sampled(), equation.points, first[0]) for equation in equations]
        fresh = [followed(equation.fresh_points(rng), equation.points, first[0]) for equation in equations]
        self.terms = [self._term(*each) for each in zip(equations, signatures, drawn, strict=True)]
        self.fresh = [
            None if sampled is None else self._term(equation, signature, sampled)
            for equation, signature, sampled in zip(equations, signatures, fresh, strict=True)
        ]
        self.descent = Descent(self.terms, self._first_grid(*first), self._on_step)
        self._start = np.array([float(value) for value in unknowns.values()])
        self.history: list[PDEState] = []
        self._stage = 0
        self._best: State | None = None
        self._bar: Progress | None = None
        balance(self.equations, self.descent)

    def _check_degrees(self, order: int) -> None:
        if min(self.model.k) <= order:
            raise ValueError(
                f"Argument `model` must have splines of a degree k above {order}, the order of the equations, "
                f"not {min(self.model.k)}."
            )

    def _term(self, equation: Equation, signature: Signature, sampled: Any) -> PointTerm:
        if sampled.x.shape[1] != self.model.n_in:
            raise ValueError(
                f"Argument `points` must have {self.model.n_in} columns as the model has inputs, "
                f"not {sampled.x.shape[1]}."
            )
        return PointTerm(equation, signature, sampled, self.names, self.model.n_out, self.transform)

    def _first_grid(self, given: Mapping[int, FloatArray], periodic: tuple[int, ...]) -> FirstGrid:
        """Return the knots of the inputs: over all points, and the boxes that they come from."""
        ends = [term.x for term in [*self.terms, *(term for term in self.fresh if term is not None)]]
        for equation in self.equations:
            if isinstance(equation.points, Interior | Boundary):
                ends.append(np.stack([equation.points.low, equation.points.high]))
        everything = np.concatenate(ends)
        low, high = everything.min(axis=0), everything.max(axis=0)
        width = np.where(high > low, 0.0, 0.5)
        return FirstGrid(low - width, high + width, given, periodic)

    # --- the course -----------------------------------------------------------------------------------------------

    @one_blas_thread()
    def run(self, options: Options) -> Solution:
        """Solve; the model changes at the end."""
        self._options = options
        redraw = options.draws != 0 and (options.draws != "auto" or self.model.is_as_drawn)
        splines = Splines.of(self.model, base=not redraw)
        layers = tuple(endless(layer, layer.grid) for layer in splines.layers)
        state = State(Splines(layers, splines.coefs), self._start, damping=options.damping)
        self._check_equations(state)
        self._bar = Progress(options.progress, 0)
        status, inference = "finished", None
        try:
            state = self._started(state) if redraw else state
            state = self._climbed(state, anew=redraw)
            if any(not equation.is_exact for equation in self.equations):
                inference = infer(self.equations, self.descent, state, self._check_time)
                state = inference.state
        except _Ended as ended:
            status = str(ended)
            if self._best is None:
                return self._solution(state, self.model.copy(), None, status)
            state = self._best
        finally:
            self._bar.close()
        if not all(np.isfinite(coef).all() for coef in state.splines.coefs):
            status = "non-finite"
            return self._solution(state, self.model.copy(), inference, status)
        model = self._finished(state, redraw)
        commit_grids(self.model, model)
        return self._solution(state, self.model.copy(), inference, status)

    def _check_equations(self, state: State) -> None:
        for number, term in enumerate(self.terms):
            jets = jets_at(state.splines.layers, state.splines.coefs, term.x, term.order, term.pairs)
            term.check_partials(jets, state.unknowns, number)

    def _started(self, state: State) -> State:
        """Return the best of some draws, on the coarsest grid on which one is good."""
        options = self._options
        draws = (_DRAWS if self.model.depth > 1 else 1) if options.draws == "auto" else int(options.draws)
        rungs: Sequence[int | Sequence[int]] = _FIRST_GRIDS if options.ladder is None else options.ladder[:1]
        found = list[tuple[State, float]]()
        for grids in (self._grids(G) for G in rungs):
            if found and self._too_many(state, grids):
                break
            found.append(best_start(state, self.descent, grids, draws, self._rng))
            if found[-1][1] < _WILL_DO:
                break
        return min(found, key=lambda one: one[1])[0]

    def _grids(self, G: int | Sequence[int]) -> list[int]:
        """Return the intervals of all layers."""
        return [G] * self.model.depth if isinstance(G, int) else list(G)

    def _too_many(self, state: State, grids: Sequence[int]) -> bool:
        size = sum(layer.live.size * (G + layer.k) for layer, G in zip(state.splines.layers, grids, strict=True))
        return size > _SHARE * self.descent.rows * self.model.n_out

    def _climbed(self, state: State, *, anew: bool) -> State:
        """Return the state at the end of the ladder."""
        automatic = self._options.ladder is None
        rungs = self._options.ladder
        if rungs is None:
            now = state.splines.layers[-1].basis.n_intervals
            rungs = [now * 2**rung for rung in range(12)] if anew else [self.model.grid]
        best, least = state, math.inf
        for rung, grids in enumerate(self._grids(G) for G in rungs):
            if automatic and rung and self._too_many(state, grids):
                break
            self._stage += 1
            moving, fixed = self._options.steps
            state = self.descent.down(self.descent.on_grids(state, grids), moving, grids=grids)
            state = self.descent.down(state, fixed, poor=state.poor)
            self._best = state
            measure = self._measure(state)
            if automatic and measure > _STAGE_GAIN * least:
                return state if measure < least else best
            best, least = state, min(least, measure)
        return state

    def _measure(self, state: State) -> float:
        """Return the weighted mean square at fresh points, of the equations that have some; else the loss."""
        if not any(term is not None and e.is_exact for term, e in zip(self.fresh, self.equations, strict=True)):
            return math.sqrt(state.loss)
        total = 0.0
        for term, equation in zip(self.fresh, self.equations, strict=True):
            if term is not None and equation.is_exact:
                total += equation.weight * self._mean_square(term, state)
        return math.sqrt(total)

    def _mean_square(self, term: PointTerm, state: State) -> float:
        with np.errstate(all="ignore"):
            jets = jets_at(state.splines.layers, state.splines.coefs, term.x, term.order, term.pairs)
            return float(np.square(term.plain(jets, state.unknowns)).sum()) / len(term.x)

    # --- while it runs --------------------------------------------------------------------------------------------

    def _check_time(self) -> None:
        limit = self._options.time_limit
        if limit is not None and time.perf_counter() - self._began > limit:
            raise _Ended("time limit")

    def _on_step(self, grid: int, loss: float) -> None:
        state = PDEState(len(self.history) + 1, self._stage, grid, loss, time.perf_counter() - self._began)
        self.history.append(state)
        if self._bar is not None:
            self._bar.step(grid, loss, math.nan)
        if self._options.callback is not None:
            try:
                self._options.callback(state)
            except StopIteration:
                raise _Ended("callback") from None
        self._check_time()

    # --- the end --------------------------------------------------------------------------------------------------

    def _finished(self, state: State, redraw: bool) -> Network:
        """Return the network of a state, whose hidden grids reach over the box."""
        splines = state.splines
        seen = [self.descent.points, *(term.x for term in self.fresh if term is not None)]
        if self.model.depth > 1:
            points = np.concatenate(seen)
            wide = splines.stretched(points, box_points(points).astype(np.float64))
            same = replace(state, splines=wide)
            problem = self.descent.problem(same)
            balanced = problem.loss(self.descent.vector(problem, same))
            if balanced <= 1.5 * self._loss(state) + 1e-28:
                splines = wide
        units = Units(np.zeros(self.model.n_out), 1.0)
        ending = Splines(tuple(layer.on(layer.grid) for layer in splines.layers), splines.coefs)
        return Point(self.model, ending, units, base=not redraw).model

    def _loss(self, state: State) -> float:
        problem = self.descent.problem(state)
        return problem.loss(self.descent.vector(problem, state))

    def _solution(self, state: State, model: Network, inference: Inference | None, status: str) -> Solution:
        residuals = [math.sqrt(self._mean_square(term, state)) for term in self.terms]
        fresh = [math.nan if term is None else math.sqrt(self._mean_square(term, state)) for term in self.fresh]
        errors = np.full(len(self.names), np.nan) if inference is None else inference.errors
        coverage = self._coverage(model, warn=status == "finished")
        return Solution(
            model=model,
            unknowns=dict(zip(self.names, map(float, state.unknowns), strict=True)),
            standard_errors=dict(zip(self.names, map(float, errors), strict=True)),
            residuals=np.array(residuals),
            fresh_residuals=np.array(fresh),
            deviations=np.full(len(self.terms), np.nan) if inference is None else inference.deviations,
            coverage=coverage,
            regime="exact" if inference is None else inference.regime,
            status=status,
            message=self._message(status, inference, np.array(fresh) / np.maximum(residuals, 1e-300)),
            history=tuple(self.history),
            transform=self.transform,
        )

    def _coverage(self, model: Network, *, warn: bool) -> float:
        seen = [term.x for term in self.fresh if term is not None] or [self.descent.points]
        points = np.concatenate(seen)
        try:
            acts = model.activations(points)[:-1] if model.depth > 1 else [points]
        except ValueError:  # the policy "raise"
            return math.nan
        within = np.ones(len(points), bool)
        for layer, a in zip(model.act_fun, acts, strict=True):
            low, high = layer.basis.domain
            slack = 0.03 * (high - low)
            within &= ((a >= low - slack) & (a <= high + slack)).all(axis=1)
        inside = float(within.mean())
        if inside < 1.0 and warn:
            warnings.warn(
                f"{1 - inside:.2%} of the fresh points leave the hidden grids, where curvature is 0 and equations see "
                "nothing: train on points that cover the box.",
                stacklevel=4,
            )
        return inside

    def _message(self, status: str, inference: Inference | None, growth: FloatArray) -> str:
        text = _MESSAGES[status]
        exact = [number for number, equation in enumerate(self.equations) if equation.is_exact]
        for number in exact:
            if growth[number] > _OVERFIT:
                text += f" Between its points equation {number} holds {growth[number]:.0f} times less well: take more."
        if self.names and inference is None:
            text += " Standard errors need an equation with `noise`."
        elif inference is not None and inference.regime == "limited":
            text += " The network can't obey the exact equations any better, and standard errors may be too small."
        return text
