"""A model without numkan: as C, as a file of NumPy, and its splines as scipy's polynomials."""

from numkan.export.c import to_c
from numkan.export.polynomials import to_scipy
from numkan.export.python import to_numpy

__all__ = ["to_c", "to_numpy", "to_scipy"]
