"""What an equation of second order costs, beside a fit of the same size: derivatives and their sweep, and a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from numkan import KAN, pde
from numkan._blas import one_blas_thread
from numkan.model.least_squares import LeastSquares, spline_layer
from numkan.model.swept import ResidualSquares
from numkan.pde.equation import Signature
from numkan.pde.term import PointTerm

WIDTHS = ([2, 5, 1], [2, 8, 8, 1], [10, 5, 1])


def median_seconds(call: Callable[[], Any], repeats: int = 9) -> float:
    """Return the median CPU time of a call."""
    call()
    found = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return float(np.median(found))


def ratios(width: list[int], n: int = 2000) -> dict[str, float]:
    """Return how many times a fit's values the derivatives and their sweep take, and a fit's step that of an equation.

    A step is a loss and the normal equations.
    """
    rng = np.random.default_rng(0)
    model = KAN(width, grid=8, k=5, base_fun="zero", sb_trainable=False)
    layers, coefs = zip(*(spline_layer(layer) for layer in model.act_fun), strict=True)
    x, y = rng.uniform(-1, 1, (n, width[0])), rng.normal(size=(n, 1))
    equation = pde.Equation(x, lambda x, u, du, d2u: d2u.sum(axis=1) + u - y[:, 0])
    term = PointTerm(equation, Signature.of(equation, 0, ()), equation.sampled(), (), 1)
    swept, fit = ResidualSquares(layers, [term]), LeastSquares(layers, x, y)

    def values(problem: Any, z: Any) -> None:
        problem._kept = None
        problem.loss(z)

    def derivatives(z: Any) -> None:
        values(swept, z)
        passed, jets = swept._passes(z)[0]
        swept._swept(passed, term.linearized(jets, np.zeros(0)).partials[0], term.pairs)

    def step(problem: Any, z: Any) -> None:
        values(problem, z)
        problem.normal_equations(z)

    own = swept.vector(coefs, np.zeros(0))
    beside = np.concatenate([coef.reshape(-1) for coef in coefs])
    found = {
        "derivatives": median_seconds(lambda: derivatives(own)) / median_seconds(lambda: values(fit, beside)),
        "step": median_seconds(lambda: step(swept, own)) / median_seconds(lambda: step(fit, beside)),
    }
    return {what: round(ratio, 1) for what, ratio in found.items()}


@one_blas_thread()
def costs() -> dict[str, dict[str, float]]:
    """Return the ratios by width."""
    return {str(width): ratios(width) for width in WIDTHS}
