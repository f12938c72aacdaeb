"""Splines on their own: knots, basis, curves, insertion, conversion. Nothing here knows of layers or networks."""

from numkan.spline.basis import B_batch as B_batch
from numkan.spline.convert import from_scipy as from_scipy
from numkan.spline.convert import to_ppoly as to_ppoly
from numkan.spline.convert import to_scipy as to_scipy
from numkan.spline.curve import coef2curve as coef2curve
from numkan.spline.curve import curve2coef as curve2coef
from numkan.spline.design import design_matrix as design_matrix
from numkan.spline.insertion import insert_knots as insert_knots
from numkan.spline.insertion import refinement_matrix as refinement_matrix
from numkan.spline.knots import extend_grid as extend_grid
from numkan.spline.knots import greville as greville
from numkan.spline.knots import interior_knots as interior_knots
from numkan.spline.spline_basis import SplineBasis as SplineBasis

__all__ = [
    "B_batch",
    "SplineBasis",
    "coef2curve",
    "curve2coef",
    "design_matrix",
    "extend_grid",
    "from_scipy",
    "greville",
    "insert_knots",
    "interior_knots",
    "refinement_matrix",
    "to_ppoly",
    "to_scipy",
]
