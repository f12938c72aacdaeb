r"""Evolution in windows of time: over a long time a network would settle in a false minimum of small residual.

Each window has a network of its own, which begins where the last one ended. From the second window on its solution is

.. math:: u(t, x) = u_{prev}(t_0, x) + \frac{t - t_0}{t_1 - t_0} N(t, x),

so that windows meet exactly. Ordinary equations may grow instead: one network, whose interval becomes longer.
"""

from __future__ import annotations

import copy
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.interpolate import make_interp_spline

from numkan._blas import one_blas_thread
from numkan._check import FloatArray, as_float_array, as_samples, check_flag, check_integer, check_number, check_seed
from numkan._shown import shown
from numkan.layer.grid import refined_grid
from numkan.model.network import Network
from numkan.pde.equation import Equation
from numkan.pde.solution import Callback, Solution
from numkan.pde.solver import Options, Solver
from numkan.pde.solving import check_equations, check_first, check_ladder, check_model
from numkan.spline.knots import extend_grid, greville
from numkan.spline.spline_basis import SplineBasis
from numkan.train.commit import commit_grids
from numkan.train.splines import through

__all__ = ["Evolution", "march"]

#: Knots of the spline that a solution of one place and time is kept as between windows, for each knot of the network.
_FINER = 4

#: Steps of a window that goes on, while grids are laid anew and then on fixed ones, and the damping of the first.
_STEPS, _DAMPING = (10, 25), 1e-7

EquationsOf = Callable[[float, float, Any], Sequence[Equation]]
_Ladder = list[int | Sequence[int]]


@dataclass(frozen=True, eq=False)
class Evolution:
    """Solutions of windows, one after the other; called, it returns u (n, n_out) at points (n, n_in) in time.

    Attributes
    ----------
    windows : tuple of Solution
    times : ndarray, shape (n_windows + 1,)
    time : int
        The input that is the time.
    success : bool
        Whether the last window was reached and finished.

    Examples
    --------
    >>> from numkan import KAN, pde
    >>> def decay(t0, t1, previous):
    ...     return [pde.Equation(pde.Interior([t0], [t1], 20), lambda x, u, du: du[:, 0] + u)]
    >>> u = pde.march(KAN([1, 1], k=5), decay, [0.0, 0.5, 1.0], initial=lambda x: 1.0 + 0 * x[:, 0])
    >>> u.success, len(u.windows), u([[0.2], [0.7]]).shape
    (True, 2, (2, 1))
    """

    windows: tuple[Solution, ...]
    times: FloatArray
    time: int
    success: bool

    def _gathered(self, x: Any, of: Callable[[Solution, FloatArray], tuple[FloatArray, ...]]) -> list[FloatArray]:
        x = as_samples("x", x, self.windows[0].model.n_in, np.float64)
        window = np.clip(np.searchsorted(self.times[1:-1], x[:, self.time], side="left"), 0, len(self.windows) - 1)
        out: list[FloatArray] = []
        for number, solution in enumerate(self.windows):
            rows = np.flatnonzero(window == number)
            if len(rows) or (not out and number + 1 == len(self.windows)):
                parts = of(solution, x[rows])
                out = out or [np.empty((len(x), *part.shape[1:])) for part in parts]
                for whole, part in zip(out, parts, strict=True):
                    whole[rows] = part
        return out

    def __call__(self, x: Any) -> FloatArray:
        """Return u."""
        return self._gathered(x, lambda solution, own: (solution(own),))[0]

    def derivatives(self, x: Any, order: int = 2, mixed: bool = False) -> tuple[FloatArray, ...]:
        """Return u and its derivatives by the inputs, as :meth:`numkan.KAN.derivatives` does for a network."""
        return tuple(self._gathered(x, lambda solution, own: solution.derivatives(own, order, mixed)))


class _Slice:
    """A solution at one time, as a function of points that does not depend on their time."""

    def __init__(self, solution: Solution, time: int, at: float) -> None:
        self._solution, self._time, self._at = solution, time, at
        self._curve: Any = None
        if solution.model.n_in == 2:  # a spline of the place, so that windows do not hold each other
            layer, place = solution.model.act_fun[0], 1 - time
            fine = layer.basis.under("continue").on(refined_grid(layer.basis, _FINER * layer.G)[place : place + 1])
            nodes = greville(_clamped(fine)[None], layer.k)[0]
            x = np.empty((len(nodes), 2))
            x[:, place], x[:, time] = nodes, at
            self._curve = make_interp_spline(nodes, solution(x), k=layer.k, t=_clamped(fine), check_finite=False)

    def __call__(self, x: FloatArray) -> FloatArray:
        return self.derivatives(x, 1)[0]

    def derivatives(self, x: FloatArray, order: int = 2, mixed: bool = False) -> tuple[FloatArray, ...]:
        """Return the derivatives by all inputs; those by the time are 0."""
        if self._curve is None:
            here = np.array(x)
            here[:, self._time] = self._at
            out = [np.array(part) for part in self._solution.derivatives(here, order, mixed)]
            for part in out[1:]:
                part[:, :, self._time] = 0.0
                if part.ndim == 4:
                    part[..., self._time] = 0.0
            return tuple(out)
        place = 1 - self._time
        values = [self._curve(x[:, place], nu) for nu in range(order + 1)]
        out = [values[0]]
        for nu in range(1, order + 1):
            part = np.zeros((*values[0].shape, *([2, 2] if nu == 2 and mixed else [2])))
            if part.ndim == 4:
                part[:, :, place, place] = values[nu]
            else:
                part[:, :, place] = values[nu]
            out.append(part)
        return tuple(out)


def _clamped(basis: SplineBasis) -> FloatArray:
    """Return the knots of a basis with both ends repeated, on which interpolation at Greville's points is stable."""
    (low,), (high,) = basis.domain
    knots: FloatArray = np.clip(basis.knots[0], low, high)
    return knots


@one_blas_thread()
def march(
    model: Network,
    equations_of: EquationsOf,
    times: Any,
    *,
    time: int = 0,
    initial: Callable[..., Any] | None = None,
    growing: bool = False,
    random_state: int | np.random.Generator | None = 0,
    periodic: Sequence[int] = (),
    knots: Any = None,
    draws: int | str = "auto",
    ladder: Any = "auto",
    time_limit: float | None = None,
    progress: bool = False,
    callback: Callback | None = None,
) -> Evolution:
    """Solve an evolution window by window, each warm-started from the one before.

    Parameters
    ----------
    model : KAN
        Its grids are those of every window, except that given `knots` replace the first grid of their inputs. In the
        end it is the network of the last window.
    equations_of : callable
        ``equations_of(t0, t1, previous)`` returns the equations of a window. In the first one `previous` is None, and
        they include the initial values unless `initial` gives these; later it is the solution at t0, a function with
        ``derivatives``, which the windows begin with exactly.
    times : array_like, shape (n_windows + 1,)
        Where windows begin and end; increasing.
    time : int
        The input that is the time.
    initial : callable, optional
        Initial values that hold exactly, an analytic function of points (n, n_in). Where they have a corner, put them
        among the equations of the first window instead.
    growing : bool
        Whether every window begins at the first time: for ordinary equations, which one network solves over all times.
        Initial values are then among the equations of every window.
    random_state, periodic, knots, draws, ladder, time_limit, progress, callback
        As for :func:`solve`.

    Returns
    -------
    Evolution

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN, pde
    >>> def decay(t0, t1, previous):
    ...     return [pde.Equation(pde.Interior([t0], [t1], 20), lambda x, u, du: du[:, 0] + u)]
    >>> u = pde.march(KAN([1, 1], k=5), decay, [0.0, 1.0, 2.0], initial=lambda x: 1.0 + 0 * x[:, 0])
    >>> bool(abs(u([[2.0]])[0, 0] - np.exp(-2.0)) < 1e-6)
    True
    """
    check_model(model)
    ends = _check_times(times)
    column = check_integer("time", time, 0)
    rng, first = check_seed("random_state", random_state), check_first(model, knots, periodic)
    ladder, growing = check_ladder(ladder) or [model.grid], check_flag("growing", growing)
    options = Options(
        draws if draws == "auto" else check_integer("draws", draws, 0),
        ladder,
        None if time_limit is None else check_number("time_limit", time_limit, 0.0, exclusive=True),
        callback,
        check_flag("progress", progress),
    )
    if growing and model.n_in != 1:
        raise ValueError(f"Argument `model` must have one input where windows grow, not {model.n_in}.")
    ladders = _growing_ladders(model.grid, ends) if growing else [ladder] + [ladder[-1:]] * (len(ends) - 2)
    began, work = clock.perf_counter(), model.copy()
    windows, previous, reached = list[Solution](), None, 0
    for number, (t0, t1) in enumerate(pairwise(ends)):
        t0 = ends[0] if growing else t0
        own = _window_options(options, number, ladders[number], began)
        if number:
            work = _longer(work, t1) if growing else _moved(work, column, ends[number - 1 : number + 2])
        transform = _transform(initial if previous is None else previous, column, t0, t1)
        equations = check_equations(equations_of(float(t0), float(t1), previous))
        solution = Solver(work, equations, {}, transform, first, rng).run(own)
        windows, reached = [solution] if growing else [*windows, solution], number + 1
        if solution.status != "finished":
            break
        if not growing:
            previous = _Slice(solution, column, t1)
            if transform is None:  # the network was the solution, and is its change from now on
                work.act_fun[-1].coef[...] = 0.0
    commit_grids(model, windows[-1].model)
    seen = ends[[0, reached]] if growing else ends[: reached + 1]
    return Evolution(tuple(windows), seen, column, reached + 1 == len(ends))


def _check_times(times: Any) -> FloatArray:
    ends = np.array(as_float_array("times", times, np.float64))
    if ends.ndim != 1 or len(ends) < 2 or not np.isfinite(ends).all() or not (np.diff(ends) > 0).all():
        raise ValueError(f"Argument `times` must be at least two increasing numbers, not {shown(times)}.")
    return ends


def _growing_ladders(grid: list[int], ends: FloatArray) -> list[_Ladder]:
    """Return the ladder of each window: one grid, whose share of the intervals is the window's share of the time."""
    shares = (ends[1:] - ends[0]) / (ends[-1] - ends[0])
    return [[[max(2, int(np.ceil(G * share))) for G in grid]] for share in shares]


def _window_options(options: Options, number: int, ladder: _Ladder, began: float) -> Options:
    """Return the options of window `number`, with the seconds that are left of the time limit."""
    if number:  # it starts from the window before: no draws, and few steps
        options = replace(options, draws=0, steps=_STEPS, damping=_DAMPING)
    limit = options.time_limit
    left = None if limit is None else max(limit - (clock.perf_counter() - began), 1e-9)
    return replace(options, ladder=ladder, time_limit=left)


def _transform(before: Any, column: int, t0: float, t1: float) -> Any:
    """Return the hard conditions of a window, from what the solution is at its beginning."""
    if before is None:
        return None
    return before, lambda x: (x[:, column] - t0) / (t1 - t0)


def _moved(work: Network, column: int, ends: FloatArray) -> Network:
    """Return the network with the time of its first layer moved from one window to the next."""
    work = work.copy()
    layer, knots = work.act_fun[0], np.array(work.act_fun[0].grid)
    knots[column] = ends[1] + (knots[column] - ends[0]) * ((ends[2] - ends[1]) / (ends[1] - ends[0]))
    layer.grid = knots
    return work


def _longer(work: Network, end: float) -> Network:
    """Return a network of one input that goes on as a straight line until `end`."""
    layer, *rest = [copy.deepcopy(layer) for layer in work.act_fun]
    old = layer.basis.under("linear")
    low = float(old.domain[0][0])
    new = old.on(extend_grid(np.linspace(low, end, 2 * layer.G + 1)[None], layer.k))
    coef = through(old, np.ascontiguousarray(layer.coef.transpose(0, 2, 1)), new)
    return type(work)._of([layer._with(new.under(layer.extrapolate), coef.transpose(0, 2, 1)), *rest])
