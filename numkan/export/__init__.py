"""A model without numkan: as C, as a file of NumPy, its splines as scipy's polynomials, and as a page."""

from numkan.export.c import to_c
from numkan.export.explore import explore
from numkan.export.polynomials import to_scipy
from numkan.export.python import to_numpy

__all__ = ["explore", "to_c", "to_numpy", "to_scipy"]
