"""All laws, by their stable ids: P- for splines, G- for grids and fits, N- for layers and networks.

Each file holds the laws of one subject.
"""

from numkan.conformance.law import DEFINED, Law
from numkan.conformance.laws import (
    bits,
    collocation,
    curves,
    derivatives,
    dtypes,
    extremes,
    fits,
    gradients,
    grids,
    invariance,
    missing,
    outside,
    refinement,
    structure,
    values,
)

__all__ = ["LAWS"]

_SPLINES = (values, outside, invariance, collocation, derivatives, curves)
_SUBJECTS = (*_SPLINES, grids, fits, gradients, structure, refinement, bits, missing, extremes, dtypes)
_IN_ORDER = [law for module in _SUBJECTS for law in DEFINED.values() if law.check.__module__ == module.__name__]

#: Every law by its id: splines, grids, networks.
LAWS: dict[str, Law] = {law.id: law for law in sorted(_IN_ORDER, key=lambda law: "PGN".index(law.id[0]))}
