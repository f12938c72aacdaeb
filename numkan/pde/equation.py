"""Equations: what is to vanish at which points, and how exactly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_float_array, as_samples, check_finite, check_flag, check_number
from numkan._shown import shown
from numkan.pde.points import Boundary, Interior, Sampled

__all__ = ["Equation", "Signature"]

#: The argument of a residual that is given the outward normals.
NORMAL = "normal"


@dataclass(frozen=True, eq=False)
class Equation:
    r"""An equation :math:`r(x, u, \partial u, \ldots) = 0` at points.

    Parameters
    ----------
    points : array_like, shape (n, n_in), or Interior, or Boundary
    residual : callable
        A function ``residual(x, u)``, ``residual(x, u, du)``, ..., up to ``(x, u, du, d2u, d3u)`` of NumPy arrays. It
        gets all points at once, in their order, and returns (n,) or (n, m) for m equations. For one output of the
        network u is (n,), du and d2u and d3u are (n, n_in); for several (n, n_out) and (n, n_out, n_in). Arguments
        named in `unknowns` of the solver, and `normal`, go by keyword.
    weight : float
        Of an exact equation beside others: the factor on its mean square.
    noise : None, float, array_like of shape (n,), or "estimate"
        None for an equation that holds exactly; for data the standard deviation of each residual, or ``"estimate"``.
    fresh : array_like, shape (m, n_in), optional
        Points at which the residual is measured after training. Interior and Boundary draw their own.
    mixed : bool
        Whether d2u has the mixed derivatives too, (n, n_in, n_in) or (n, n_out, n_in, n_in).
    partials : callable, optional
        A function of the arguments of `residual` that returns its derivatives by u, by du, ... for each argument after
        x, each of shape ``r.shape + argument.shape[1:]``, and one more item, a dict of those by unknowns, if there are
        any. By default they come from a complex step, which needs a residual of analytic functions: no ``abs``, no
        comparisons of u.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import pde
    >>> box = [-1.0, -1.0], [1.0, 1.0]
    >>> poisson = pde.Equation(pde.Interior(*box, 500), lambda x, u, du, d2u: d2u[:, 0] + d2u[:, 1] - 1)
    >>> edges = pde.Equation(pde.Boundary(*box, 40), lambda x, u: u)
    """

    points: Any
    residual: Callable[..., Any]
    weight: float = 1.0
    noise: Any = None
    fresh: Any = None
    mixed: bool = False
    partials: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        for name, value in (("residual", self.residual), ("partials", self.partials)):
            if not callable(value) and (name == "residual" or value is not None):
                raise TypeError(f"Argument `{name}` must be callable, not {shown(value)}.")
        object.__setattr__(self, "weight", check_number("weight", self.weight, 0.0, exclusive=True))
        check_flag("mixed", self.mixed)
        if not isinstance(self.points, Interior | Boundary):
            object.__setattr__(self, "points", _points("points", self.points))
        if self.fresh is not None:
            object.__setattr__(self, "fresh", _points("fresh", self.fresh))
        object.__setattr__(self, "noise", self._check_noise())

    def _check_noise(self) -> Any:
        if self.noise is None or (isinstance(self.noise, str) and self.noise == "estimate"):
            return self.noise
        if isinstance(self.noise, str):
            raise ValueError(f"Argument `noise` must be None, 'estimate' or deviations, not {shown(self.noise)}.")
        deviations = np.array(as_float_array("noise", self.noise, np.float64))
        n = len(self.sampled().x)
        if deviations.shape not in ((), (n,)):
            raise ValueError(f"Argument `noise` must have shape ({n},), or be one number, not {deviations.shape}.")
        if not (np.isfinite(deviations) & (deviations > 0)).all():
            raise ValueError(f"Argument `noise` must be positive and finite, not {shown(self.noise)}.")
        return deviations

    @property
    def is_exact(self) -> bool:
        """Whether the equation holds without noise."""
        return self.noise is None

    def sampled(self) -> Sampled:
        """Return the points of training."""
        return self.points.draw() if isinstance(self.points, Interior | Boundary) else Sampled(self.points, None)

    def fresh_points(self, rng: np.random.Generator) -> Sampled | None:
        """Return points that training does not see; None where nobody says which."""
        if self.fresh is not None:
            return Sampled(self.fresh, None)
        return self.points.draw(rng) if isinstance(self.points, Interior | Boundary) else None


def _points(name: str, value: Any) -> FloatArray:
    x = as_samples(name, value, None, np.float64)
    if not x.size:
        raise ValueError(f"Argument `{name}` must hold at least one point, not shape {x.shape}.")
    check_finite(name, x)
    return np.array(x)


@dataclass(frozen=True)
class Signature:
    """What a residual takes."""

    order: int
    keywords: tuple[str, ...]  # unknowns, in the order of all of them
    normal: bool

    @classmethod
    def of(cls, equation: Equation, number: int, unknowns: Collection[str]) -> Signature:
        """Read it; `number` is that of the equation."""
        name = f"equations[{number}].residual"
        parameters = inspect.signature(equation.residual).parameters.values()
        every = any(p.kind is p.VAR_KEYWORD for p in parameters)
        named = {p.name for p in parameters}
        positional = [
            p
            for p in parameters
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            and p.name not in (*unknowns, NORMAL)
            and p.default is p.empty
        ]
        order = len(positional) - 2
        if not 0 <= order <= 3:
            raise ValueError(
                f"Argument `{name}` must take (x, u), and du, d2u, d3u if it needs them, not {len(positional)} "
                "arguments."
            )
        strange = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty
                   and p.name not in (*unknowns, NORMAL)]  # fmt: skip
        if strange:
            raise ValueError(f"Argument `unknowns` must have {strange[0]!r}, which `{name}` takes, not be without it.")
        if NORMAL in named and not isinstance(equation.points, Boundary):
            raise ValueError(f"Argument `equations[{number}].points` must be a Boundary for a residual with normals.")
        return cls(order, tuple(one for one in unknowns if every or one in named), NORMAL in named)
