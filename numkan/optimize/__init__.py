"""Optimizers that see vectors and callables only, each usable alone.

``fun_and_grad(x) -> (loss, gradient)`` is all that L-BFGS and Adam ask for. Optimizers for sums of squares will ask for
more, ``residuals_and_jacobian(x) -> (residuals, Jacobian)``; they come as one more file beside these, with a stepper of
their own (``state``, ``status``, ``step()``) that the same driver (:mod:`numkan.optimize.result`) runs.
"""

from numkan.optimize.adam import Adam as Adam
from numkan.optimize.adam import AdamState as AdamState
from numkan.optimize.adam import adam as adam
from numkan.optimize.adam import cosine as cosine
from numkan.optimize.lbfgs import LBFGS as LBFGS
from numkan.optimize.lbfgs import LBFGSState as LBFGSState
from numkan.optimize.lbfgs import lbfgs as lbfgs
from numkan.optimize.linesearch import LineSearchResult as LineSearchResult
from numkan.optimize.linesearch import strong_wolfe as strong_wolfe
from numkan.optimize.result import Status as Status

__all__ = [
    "LBFGS",
    "Adam",
    "AdamState",
    "LBFGSState",
    "LineSearchResult",
    "Status",
    "adam",
    "cosine",
    "lbfgs",
    "strong_wolfe",
]
