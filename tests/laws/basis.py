"""All laws of the basis, and those still to come."""

from __future__ import annotations

from tests.laws import Law
from tests.laws.basis_curves import LAWS as _CURVES
from tests.laws.basis_derivatives import LAWS as _DERIVATIVES
from tests.laws.basis_values import LAWS as _VALUES

LAWS: tuple[Law, ...] = (*_VALUES, *_DERIVATIVES, *_CURVES)

#: Laws whose feature does not exist yet: id -> what is missing.
LAWS_TO_COME: dict[str, str] = {
    "P-ANTI": "antiderivatives",
    "P-COARSE": "knot removal",
    "P-DEG": "degree elevation",
}
