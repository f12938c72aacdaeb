"""Formulas: exact expressions from fitted networks, tested on the data.

``find(x, y)`` searches for the formula of samples, ``explain(model, x, y)`` for the one that a network has learned.
Both return a :class:`Formula`. Their parts can be used alone: :func:`identify` names one function of one variable, the
tests of structure decide whether an oracle splits, :func:`refine` and :func:`snap` determine constants from the data.
"""

from numkan.symbolic.edges import identify_edges as identify_edges
from numkan.symbolic.find import explain as explain
from numkan.symbolic.find import find as find
from numkan.symbolic.formula import Formula as Formula
from numkan.symbolic.functions import LIBRARY as LIBRARY
from numkan.symbolic.functions import Function as Function
from numkan.symbolic.identify import identify as identify
from numkan.symbolic.oracle import Oracle as Oracle
from numkan.symbolic.refine import refine as refine
from numkan.symbolic.semi import SemiSymbolic as SemiSymbolic
from numkan.symbolic.snap import snap as snap
from numkan.symbolic.structure import test_additive as test_additive
from numkan.symbolic.structure import test_multiplicative as test_multiplicative
from numkan.symbolic.symbols import equivalent as equivalent
from numkan.symbolic.symmetry import symmetries as symmetries
from numkan.symbolic.symmetry import test_symmetry as test_symmetry

__all__ = [
    "LIBRARY",
    "Formula",
    "Function",
    "Oracle",
    "SemiSymbolic",
    "equivalent",
    "explain",
    "find",
    "identify",
    "identify_edges",
    "refine",
    "snap",
    "symmetries",
    "test_additive",
    "test_multiplicative",
    "test_symmetry",
]
