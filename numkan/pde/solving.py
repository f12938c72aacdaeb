"""Solving equations with a network: the function that users call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numkan._check import (
    FloatArray,
    as_float_array,
    check_flag,
    check_integer,
    check_number,
    check_seed,
    is_list,
)
from numkan._shown import shown
from numkan.model.network import Network
from numkan.pde.equation import Equation
from numkan.pde.solution import Callback, Solution
from numkan.pde.solver import Options, Solver

__all__ = ["check_equations", "check_first", "check_ladder", "check_model", "check_transform", "solve"]


def solve(
    model: Network,
    equations: Sequence[Equation],
    *,
    unknowns: Mapping[str, float] | None = None,
    random_state: int | np.random.Generator | None = 0,
    transform: Any = None,
    periodic: Sequence[int] = (),
    knots: Mapping[int, Any] | None = None,
    draws: int | str = "auto",
    ladder: Sequence[int] | str = "auto",
    time_limit: float | None = None,
    progress: bool = False,
    callback: Callback | None = None,
) -> Solution:
    r"""Solve differential equations with a network, in place, by Levenberg-Marquardt with exact derivatives.

    The sum of squares of all residuals is minimised, each weighed by its number of points. Networks are drawn on coarse
    grids, and the one with the least residual climbs a ladder of grids while residuals at fresh points fall.

    Parameters
    ----------
    model : KAN
        Of float64, with splines of a degree above the order of the equations; 5 or 7 suit equations of second order.
    equations : sequence of Equation
    unknowns : mapping of str to float, optional
        Numbers that residuals take by these names, and where the search for them begins.
    random_state : int, numpy.random.Generator or None
    transform : (g, d), optional
        Conditions that hold exactly: u = g(x) + d(x) N(x) with the network N. Each is an analytic function of NumPy
        from (n, n_in) to (n,) or (n, n_out), or has a method ``derivatives`` as networks and solutions have.
    periodic : sequence of int
        Inputs in which the solution is periodic over the range of the points.
    knots : mapping of int to array_like, optional
        Interior knots of inputs, such as ``{1: [-1, -0.1, 0, 0.1, 1]}``, closer where the solution is steep.
    draws : int or "auto"
        Networks to draw; 0 goes on from the model's parameters. By default 8 for a model that has learned nothing yet
        and has hidden layers, 1 without these, and 0 for others.
    ladder : sequence of int or "auto"
        Intervals G of the stages. By default they double from 4 on.
    time_limit : float, optional
        In seconds.
    progress : bool
    callback : callable, optional
        Called with a :class:`PDEState` after every accepted step; StopIteration ends the search.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError, TypeError
        If an argument is not as said; the model stays as it was.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN, pde
    >>> def oscillator(x, u, du, d2u):
    ...     return d2u[:, 0] + u
    >>> equations = [
    ...     pde.Equation(pde.Interior([0.0], [3.0], 60), oscillator),
    ...     pde.Equation([[0.0]], lambda x, u, du: np.stack([u - 1.0, du[:, 0]], axis=1)),
    ... ]
    >>> solution = pde.solve(KAN([1, 1], k=7), equations)
    >>> bool(abs(solution([[2.0]])[0, 0] - np.cos(2.0)) < 1e-8)
    True
    """
    check_model(model)
    equations = check_equations(equations)
    start = _check_unknowns({} if unknowns is None else unknowns)
    rng = check_seed("random_state", random_state)
    options = Options(
        draws if draws == "auto" else check_integer("draws", draws, 0),
        check_ladder(ladder),
        None if time_limit is None else check_number("time_limit", time_limit, 0.0, exclusive=True),
        callback,
        check_flag("progress", progress),
    )
    first = check_first(model, knots, periodic)
    return Solver(model, equations, start, check_transform(transform), first, rng).run(options)


def check_model(model: object) -> None:
    """Say that equations are solved in float64 by a network."""
    if not isinstance(model, Network):
        raise TypeError(f"Argument `model` must be a KAN, not {type(model).__name__}.")
    if model.dtype != np.float64:
        raise ValueError(f"Argument `model` must be of float64, not {model.dtype}.")


def check_equations(equations: Any) -> tuple[Equation, ...]:
    """Return equations as a tuple."""
    if not is_list(equations) or not equations or not all(isinstance(one, Equation) for one in equations):
        raise TypeError(f"Argument `equations` must be a list of at least one Equation, not {shown(equations)}.")
    return tuple(equations)


def check_ladder(ladder: Any) -> list[int | Sequence[int]] | None:
    """Return a ladder of grids, None where it is automatic."""
    if isinstance(ladder, str) and ladder == "auto":
        return None
    if not is_list(ladder) or not len(ladder):
        raise TypeError(f"Argument `ladder` must be 'auto' or a list of integers, not {shown(ladder)}.")
    return [check_integer(f"ladder[{place}]", G, 1) for place, G in enumerate(ladder)]


def check_transform(transform: Any) -> Any:
    """Return a pair of functions, or None."""
    if transform is None:
        return None
    if not isinstance(transform, tuple | list) or len(transform) != 2 or not all(map(callable, transform)):
        raise TypeError(f"Argument `transform` must be a pair (g, d) of functions, not {shown(transform)}.")
    return tuple(transform)


def _check_unknowns(unknowns: Any) -> dict[str, float]:
    if not isinstance(unknowns, Mapping) or not all(isinstance(name, str) for name in unknowns):
        raise TypeError(f"Argument `unknowns` must map names to numbers, not be {shown(unknowns)}.")
    return {name: check_number(f"unknowns[{name!r}]", value) for name, value in unknowns.items()}


def check_first(model: Network, knots: Any, periodic: Any) -> tuple[dict[int, FloatArray], tuple[int, ...]]:
    """Return the given knots, by input, and the periodic inputs."""
    if not is_list(periodic):
        raise TypeError(f"Argument `periodic` must be a list of inputs, not {shown(periodic)}.")
    inputs = tuple(_check_input(f"periodic[{place}]", i, model) for place, i in enumerate(periodic))
    if inputs and any(layer.scale_base.any() and not layer.sb_trainable for layer in model.act_fun[:1]):
        raise ValueError("Argument `model` must have no fixed base function on periodic inputs: base_fun='zero'.")
    if knots is not None and not isinstance(knots, Mapping):
        raise TypeError(f"Argument `knots` must map inputs to knots, not be {shown(knots)}.")
    given = {}
    for i, value in (knots or {}).items():
        row = np.array(as_float_array(f"knots[{i}]", value, np.float64))
        if row.ndim != 1 or len(row) < 2 or not (np.diff(row) > 0).all() or not np.isfinite(row).all():
            raise ValueError(f"Argument `knots[{i}]` must be at least two increasing numbers, not {shown(value)}.")
        given[_check_input("knots", i, model)] = row
    return given, inputs


def _check_input(name: str, value: object, model: Network) -> int:
    i: int = check_integer(name, value, 0)
    if i >= model.n_in:
        raise ValueError(f"Argument `{name}` must be an input, below {model.n_in}, not {i}.")
    return i
