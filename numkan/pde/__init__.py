"""Differential equations solved by networks: with their unknowns, and the standard errors of these.

:func:`solve` minimises residuals by Levenberg-Marquardt with exact derivatives. Equations are NumPy functions.
"""

from numkan.pde.equation import Equation as Equation
from numkan.pde.evolution import Evolution as Evolution
from numkan.pde.evolution import march as march
from numkan.pde.points import Boundary as Boundary
from numkan.pde.points import Interior as Interior
from numkan.pde.solution import PDEState as PDEState
from numkan.pde.solution import Solution as Solution
from numkan.pde.solving import solve as solve

__all__ = ["Boundary", "Equation", "Evolution", "Interior", "PDEState", "Solution", "march", "solve"]
