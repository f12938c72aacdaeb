"""Optimizers of functions of a vector, each usable alone.

L-BFGS and Adam need ``fun_and_grad(x) -> (loss, gradient)``. Levenberg-Marquardt, for sums of squares, needs
``residuals_and_jacobian(x) -> (residuals, Jacobian)``, or an object that computes its normal equations; a rule, a trust
region or Nielsen's, sets the length of its steps. Each optimizer is a stepper (``state``, ``status``, ``step()``) that
one driver (:mod:`numkan.optimize.result`) runs.
"""

from numkan.optimize.adam import Adam as Adam
from numkan.optimize.adam import AdamState as AdamState
from numkan.optimize.adam import adam as adam
from numkan.optimize.adam import cosine as cosine
from numkan.optimize.lbfgs import LBFGS as LBFGS
from numkan.optimize.lbfgs import LBFGSState as LBFGSState
from numkan.optimize.lbfgs import lbfgs as lbfgs
from numkan.optimize.levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
from numkan.optimize.levenberg_marquardt import LevenbergMarquardtState as LevenbergMarquardtState
from numkan.optimize.levenberg_marquardt import levenberg_marquardt as levenberg_marquardt
from numkan.optimize.linesearch import LineSearchResult as LineSearchResult
from numkan.optimize.linesearch import strong_wolfe as strong_wolfe
from numkan.optimize.nielsen import Nielsen as Nielsen
from numkan.optimize.result import Status as Status
from numkan.optimize.sum_of_squares import NormalEquations as NormalEquations
from numkan.optimize.trust import TrustRegion as TrustRegion

__all__ = [
    "LBFGS",
    "Adam",
    "AdamState",
    "LBFGSState",
    "LevenbergMarquardt",
    "LevenbergMarquardtState",
    "LineSearchResult",
    "Nielsen",
    "NormalEquations",
    "Status",
    "TrustRegion",
    "adam",
    "cosine",
    "lbfgs",
    "levenberg_marquardt",
    "strong_wolfe",
]
