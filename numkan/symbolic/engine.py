"""The search for one formula: closed forms, the network as an oracle, reduced data with networks of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.kan import KAN
from numkan.search import search
from numkan.symbolic.closed import power_law, ratios
from numkan.symbolic.coordinates import products_of_coordinates
from numkan.symbolic.edges import composed
from numkan.symbolic.expression import Node, Tape
from numkan.symbolic.functions import Function
from numkan.symbolic.judge import Judge
from numkan.symbolic.oracle import Answer, Oracle
from numkan.symbolic.reductions import Reduction, additive_coordinates, by_symmetries, by_transforms
from numkan.symbolic.separable import separable
from numkan.symbolic.solve import Solver
from numkan.symbolic.swap import swaps
from numkan.symbolic.whiteness import alike, correlated, explained

__all__ = ["Engine", "Fitted", "Held", "Settings", "looks_like_noise"]

_SEARCH = 0.15  # effort of the search for a network, of an effort of 1
_ROWS = 4000  # of the samples train networks
#: The share of the box, and the error of the oracle in units of its held-out one, of each look at a network.
_LOOKS = ((0.96, 1.0), (0.6, 1.0), (0.96, 8.0), (0.96, 0.25))
_NOISY_LOOKS = ((0.96, 1.0), (0.96, 0.35), (0.96, 3.0))
_WORK, _LOOK, _REDUCED = 90, 24, 12  # of all solvers, of a look, of a look at reduced data
_POINTS, _LOOK_POINTS = 24_000_000, 6_000_000  # at which networks are asked, in all and in a look
_DEEP = 3  # curves that may be searched in depth in vain
_PROPOSALS = 24  # of one look that are judged
_BY_CHANCE = 3.5  # standard errors
_LATER = 0.5  # effort for a network of reduced data


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A network with what its errors are on samples that it has not seen."""

    model: KAN
    error: float  # as an oracle of the truth
    held_out: float  # against the held-out targets, noise included
    output: int = 0

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the values (n,)."""
        return np.asarray(self.model(x)[:, self.output], np.float64)

    def slopes(self, x: FloatArray) -> FloatArray:
        """Return the derivatives by the inputs (n, n_in)."""
        return np.asarray(self.model.derivative(x)[:, self.output], np.float64)


class Held(NamedTuple):
    """Samples that nothing is fitted to, and the factors of their residuals, by their weights."""

    x: FloatArray
    y: FloatArray
    root: FloatArray | float = 1.0

    def residual(self, values: FloatArray) -> FloatArray:
        """Return the weighted residuals of predictions."""
        return np.asarray((values - self.y) * self.root)

    def rms(self, values: FloatArray) -> float:
        """Return their root mean square."""
        return float(np.sqrt(np.mean(np.square(self.residual(values)))))

    def where(self, chosen: Any) -> Held:
        """Return some of them."""
        return Held(self.x[chosen], self.y[chosen], self.root if isinstance(self.root, float) else self.root[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """The resources of a search."""

    functions: Mapping[str, Function]
    effort: float
    deadline: float | None
    seed: int
    say: Callable[[str], None]

    def left(self) -> float | None:
        """Return the seconds that are left, or None where the clock does not matter."""
        return None if self.deadline is None else max(self.deadline - time.perf_counter(), 0.0)

    def expired(self) -> bool:
        """Return whether the time is over."""
        return self.deadline is not None and time.perf_counter() >= self.deadline


def looks_like_noise(x: FloatArray, residual: FloatArray) -> bool:
    """Return whether residuals show no trace of what a formula might have left."""
    return alike(x, residual) < _BY_CHANCE and explained(x, residual) < _BY_CHANCE


@dataclass(slots=True, eq=False)
class Engine:
    """Looks for the formula of one output."""

    x: FloatArray
    y: FloatArray
    weight: FloatArray | None
    held: Held
    settings: Settings
    network: Fitted | None = None
    trace: list[str] = field(default_factory=list)
    judge: Judge = field(init=False)
    noisy: bool = False
    work: int = field(init=False)  # that is left for solvers
    deep: int = field(init=False)  # curves that may be searched in depth in vain
    points: int = field(init=False)  # at which networks may still be asked

    def __post_init__(self) -> None:
        """Make the judge."""
        self.judge = Judge(self.x, self.y, self.weight, self.settings.expired)
        effort = self.settings.effort
        self.work, self.deep = round(_WORK * effort) + 8, round(_DEEP * effort)
        self.points = round(_POINTS * effort) + 100_000

    def run(self) -> None:
        """Yield all stages until one ends the search."""
        self._closed()
        if self.network is None:  # wanted in any case: formulas are compared with it
            effort = _SEARCH if self.judge.exact is None else _SEARCH / 10
            self.network = self.fit(self.x, self.y, self.held, effort)
        if self.judge.done:
            return
        network = self.network
        residual = self.held.residual(network(self.held.x))
        self.noisy = bool(network.held_out > 1e-5 * np.std(self.y) and looks_like_noise(self.held.x, residual))
        self._say(f"network {network.model.width}: held-out error {network.held_out:.3g}, as an oracle "
                  f"{network.error:.3g}{', the rest looks like noise' if self.noisy else ''}")  # fmt: skip
        for node in composed(network.model, self.x[:500], self.settings.functions, network.output):
            found = self.judge.consider(node, "edges")
            self.trace.append(f"edge by edge: residual {found.rms if found else np.inf:.3g}")
            if self.judge.done:
                return
        solver = self._look(network, self.x, lambda node: node, "network")
        if not self.judge.done:
            self._swap()
        if not self.judge.done and not self._noise_is_left():
            self._reduce(solver)

    @property
    def spent(self) -> bool:
        """Whether the effort is used up."""
        return self.work <= 0 or self.points <= 0

    def _say(self, text: str) -> None:
        self.trace.append(text)
        self.settings.say(text)

    # --- stages -------------------------------------------------------------------------------------------------------

    def _closed(self) -> None:
        """Try the forms that linear algebra and splines find."""
        law = power_law(self.x[:2000], self.y[:2000])
        for node in [law] if law is not None else ratios(self.x, self.y, self.settings.functions):
            found = self.judge.consider(node, "closed form")
            self._say(f"closed form: residual {found.rms if found else np.inf:.3g}")
            if self.judge.done:
                return
        for node in separable(self.x, self.y, self.settings.functions):
            found = self.judge.consider(node, "separable")
            self._say(f"separable: residual {found.rms if found else np.inf:.3g}")
            if self.judge.done:
                return

    def fit(self, x: FloatArray, y: FloatArray, held: Held, effort: float, **options: Any) -> Fitted:
        """Find a network, and measure it on the held-out samples."""
        settings = self.settings
        left = settings.left()
        rows = slice(0, _ROWS)
        model, result = search(
            x[rows], y[rows], effort=effort * settings.effort,
            time_limit=None if left is None else max(0.5 * left, 0.05),
            sample_weight=None if self.weight is None or len(x) != len(self.weight) else self.weight[rows],
            random_state=settings.seed, **options,
        )  # fmt: skip
        values = model(held.x)[:, 0]
        held_out = held.rms(values)
        error, fit = held_out, result.fit
        if np.isfinite(fit.noise) and fit.noise > 0.5 * held_out and looks_like_noise(held.x, held.residual(values)):
            error = min(held_out, 2.0 * fit.noise * float(np.sqrt(fit.freedom / min(len(x), _ROWS))))
        return Fitted(model, max(error, 1e-15 * float(np.std(y))), held_out)

    def _look(self, network: Fitted, x: FloatArray, back: Callable[[Node], Node], origin: str) -> Solver:
        """Look at a network as an oracle, several times; judge what is proposed."""
        low, high = x.min(axis=0), x.max(axis=0)
        first: Solver | None = None
        looks = list(_NOISY_LOOKS if self.noisy else _LOOKS)
        looks = looks if origin == "network" else looks[:2]
        for share, times in looks:
            if self.judge.done and first is not None:
                break
            if first is not None and (self.spent or self._noise_is_seen()):
                break
            given = min(self.work, _LOOK if origin == "network" else _REDUCED)
            points = min(self.points, _LOOK_POINTS)
            solver = Solver(self.settings.functions, given, self.settings.seed, self.deep, points)
            first = first or solver
            self.trace.append(f"{origin}: {share:g} of the box, {times:g} times the error")
            before = len(self.judge.tried)
            for node in self._some(solver, oracle_of(network, low, high, times).shrunk(share)):
                found = self.judge.consider(back(node), origin)
                solver.trace.append(f"-> residual {found.rms if found else np.inf:.3g}")
                if self.judge.done:
                    break
            self.work -= given - max(solver.work, 0)
            self.deep = max(solver.deep, 0)
            self.points -= points - max(solver.points, 0)
            self.trace += ["  " + line for line in solver.trace]
            self.settings.say(f"{origin}: {len(self.judge.tried) - before} expressions kept")
        assert first is not None
        return first

    def _some(self, solver: Solver, oracle: Oracle) -> Iterator[Node]:
        for count, node in enumerate(solver.propose(oracle)):
            yield node
            if count >= _PROPOSALS or self.judge.expired():
                return

    def _swap(self) -> None:
        """Exchange functions of the best expressions for others, by what the data say."""
        for _ in range(4 if self.noisy else 2):
            best = self.judge.best()
            if best is None:
                return
            for name, node in swaps(best.node, self.judge.x, self.settings.functions, 8 if self.noisy else 4):
                found = self.judge.consider(node, f"{best.origin}, {name}")
                if found is not None:
                    self.trace.append(f"{name}: residual {found.rms:.3g}")
                if self.judge.done:
                    return
            if self.judge.best() is best:
                return

    def _noise_is_seen(self) -> bool:
        """Tell, where the network is too far off to say so, whether the best expression leaves noise only.

        It is closer than the network, and where they differ the network is no better: it knows nothing of the rest.
        """
        best, network = self.judge.best(), self.network
        if self.noisy or best is None or network is None:
            return False
        held, judge = self.held, self.judge
        rest = held.residual(Tape(best.node).value(held.x))
        if not 1e-5 * float(np.std(self.y)) < float(np.sqrt(np.mean(np.square(rest)))) < network.held_out:
            return False
        beside = held.residual(network(held.x)) - rest
        trained = (Tape(best.node).value(judge.x) - judge.y) * judge.root
        quiet = looks_like_noise(held.x, rest) and looks_like_noise(judge.x, trained)
        self.noisy = quiet and correlated(rest, beside) < _BY_CHANCE
        if self.noisy:
            self._say(f"{best.origin}: what it leaves looks like noise, of which the network knows nothing")
        return self.noisy

    def _noise_is_left(self) -> bool:
        """Return whether the best expression leaves noise only, so that there is nothing more to be found."""
        best, network = self.judge.best(), self.network
        if best is None or network is None or not self.noisy:
            return False
        held, values = self.held, Tape(best.node).value(self.held.x)
        return held.rms(values) <= 1.02 * network.held_out and looks_like_noise(held.x, held.residual(values))

    def _reduce(self, solver: Solver) -> None:
        """Change variables or targets of the data, and fit networks to what is left."""
        functions = self.settings.functions
        for node in products_of_coordinates(self.x, self.y, functions):
            found = self.judge.consider(node, "product of coordinates")
            self.trace.append(f"product of coordinates: residual {found.rms if found else np.inf:.3g}")
            if self.judge.done:
                return
        for reduction in additive_coordinates(self.x, self.y, functions):
            self._attack(reduction, _SEARCH * _LATER, solve_widths=[[reduction.x(self.x).shape[1], 1]])
            if self.judge.done:
                return
        made = [*by_symmetries(solver.symmetries, self.x)[:2], *by_transforms(self.y, functions)[:3]]
        for reduction in made[:4]:
            if self.spent:
                return
            self._attack(reduction, _SEARCH * _LATER)
            if self.judge.done:
                return

    def _attack(self, reduction: Reduction, effort: float, solve_widths: Any = None) -> None:
        """Fit a network to reduced data and look at it."""
        x, y = reduction.x(self.x), reduction.y(self.y)
        held = Held(reduction.x(self.held.x), reduction.y(self.held.y), self.held.root)
        ok, held_ok = (
            np.isfinite(x).all(axis=1) & np.isfinite(y),
            np.isfinite(held.x).all(axis=1) & np.isfinite(held.y),
        )
        if ok.sum() < 30 or held_ok.sum() < 5:
            return
        options = {} if solve_widths is None else {"widths": solve_widths}
        network = self.fit(x[ok], y[ok], held.where(held_ok), effort, **options)
        share = network.held_out / (float(np.std(y[ok])) or 1.0)
        self._say(f"{reduction.name}: network {network.model.width}, held-out error {share:.3g} of the deviation")
        if share < 0.1:
            self._look(network, x[ok], reduction.back, reduction.name)


def oracle_of(network: Fitted, low: FloatArray, high: FloatArray, times: float) -> Oracle:
    """Return a network as an oracle with errors `times` its own."""

    def ask(x: FloatArray) -> Answer:
        return network(x), np.full(len(x), times * network.error)

    return Oracle(ask, low, high)
