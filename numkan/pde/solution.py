"""What solving equations returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numkan._check import FloatArray, as_samples, check_flag, check_integer
from numkan.layer.jets import Jets, Pairs
from numkan.model.network import Network
from numkan.pde.hard import function_jets, hard_conditions

__all__ = ["PDEState", "Solution", "solution_jets"]


@dataclass(frozen=True, slots=True)
class PDEState:
    """What a callback sees after every accepted step.

    Examples
    --------
    >>> from numkan import KAN, pde
    >>> seen = []
    >>> equation = pde.Equation([[0.0], [1.0]], lambda x, u: u**2 - x[:, 0] - 1)
    >>> solution = pde.solve(KAN([1, 1]), [equation], callback=seen.append)
    >>> seen[0].step, seen[-1].loss < 1e-12
    (1, True)
    """

    step: int  #: accepted steps since the beginning
    stage: int  #: 0 for the starts, then the stages of the ladder
    grid: int  #: intervals of the last layer
    loss: float  #: weighted sum of squares
    seconds: float


def solution_jets(model: Network, transform: Any, x: FloatArray, order: int, pairs: Pairs) -> Jets:
    """Return the jets of u = g + d N at x."""
    own = function_jets(model, x, order, pairs)
    hard = hard_conditions(transform, x, order, pairs)
    return own if hard is None else hard.apply(own, pairs)


@dataclass(frozen=True, eq=False)
class Solution:
    """A solution; called, it returns u at points (n, n_in), of shape (n, n_out).

    Attributes
    ----------
    unknowns, standard_errors : dict of float
        The unknowns, and their standard errors; NaN where no equation has `noise`.
    residuals, fresh_residuals : ndarray, shape (n_equations,)
        Root mean square of each equation, at the points of training and at fresh ones; NaN where there are none.
    deviations : ndarray, shape (n_equations,)
        Of the noise, as given or as estimated; NaN of exact equations.
    coverage : float
        The share of fresh points (or of those of training) at which all activations lie inside their grids.
    regime : str
        ``"exact"`` where no equation has noise. Otherwise how the weights of exact equations ended:
        ``"converged"``, raising them further moves no unknown by more than half its standard error; ``"limited"``, it
        does, for the network can't obey them any better, and standard errors are too small: take a wider network, a
        finer grid or a higher degree.
    history : tuple of PDEState
    success : bool
    status : str
        ``"finished"``, ``"time limit"``, ``"callback"`` or ``"non-finite"``.
    message : str

    Examples
    --------
    >>> from numkan import KAN, pde
    >>> inside = pde.Equation(pde.Interior([0.0], [1.0], 20), lambda x, u, du, d2u: d2u[:, 0] - 6 * x[:, 0])
    >>> ends = pde.Equation([[0.0], [1.0]], lambda x, u: u - x[:, 0])
    >>> solution = pde.solve(KAN([1, 1], k=5), [inside, ends])
    >>> u, du, d2u = solution.derivatives([[0.5]])
    >>> u.round(9), du.round(9), d2u.round(7)
    (array([[0.125]]), array([[[0.75]]]), array([[[3.]]]))
    >>> solution.status, solution.unknowns
    ('finished', {})
    """

    model: Network
    unknowns: dict[str, float]
    standard_errors: dict[str, float]
    residuals: FloatArray
    fresh_residuals: FloatArray
    deviations: FloatArray
    coverage: float
    regime: str
    status: str
    message: str
    history: tuple[PDEState, ...] = ()
    transform: Any = None

    @property
    def success(self) -> bool:
        """Whether it ended as it was meant to."""
        return self.status in ("finished", "time limit", "callback")

    def __call__(self, x: Any) -> FloatArray:
        """Return u (n, n_out) at x (n, n_in)."""
        x = as_samples("x", x, self.model.n_in, np.float64)
        if self.transform is None:
            return self.model(x)
        return solution_jets(self.model, self.transform, x, 0, Pairs.of(self.model.n_in)).value

    def derivatives(self, x: Any, order: int = 2, mixed: bool = False) -> tuple[FloatArray, ...]:
        """Return u and its derivatives by the inputs, as :meth:`numkan.KAN.derivatives` does for a network."""
        order, mixed = check_integer("order", order, 1), check_flag("mixed", mixed)
        if order > 3:
            raise ValueError(f"Argument `order` must lie in [1, 3], not {order}.")
        x = as_samples("x", x, self.model.n_in, np.float64)
        pairs = Pairs.of(self.model.n_in, mixed=mixed and order > 1)
        jets = solution_jets(self.model, self.transform, x, order, pairs)
        second = pairs.matrices(jets.second) if mixed and order > 1 else jets.second
        return (jets.value, jets.first, second, jets.third)[: order + 1]

    def __str__(self) -> str:
        lines = [f"{self.status}: {self.message}"]
        for number, (own, fresh) in enumerate(zip(self.residuals, self.fresh_residuals, strict=True)):
            lines.append(f"equation {number}: residual {own:.2e}, at fresh points {fresh:.2e}")
        for name, value in self.unknowns.items():
            lines.append(f"{name} = {value:.6g} +- {self.standard_errors[name]:.2g}")
        return "\n".join(lines)


#: A function of a state, which may raise StopIteration.
Callback = Callable[[PDEState], object]
