"""All laws of networks, and those still to come."""

from __future__ import annotations

from tests.laws import Law
from tests.laws.network_bits import LAWS as _BITS
from tests.laws.network_derivatives import LAWS as _DERIVATIVES
from tests.laws.network_structure import LAWS as _STRUCTURE

LAWS: tuple[Law, ...] = (*_DERIVATIVES, *_STRUCTURE, *_BITS)

#: Laws that other tests hold: id -> where.
LAWS_ELSEWHERE: dict[str, str] = {
    "N-LB": "tests/test_lbfgs.py, tests/test_curvature.py",
    "N-QN": "tests/test_lbfgs.py",
    "N-INT": "tests/test_lbfgs.py",
}

#: Laws whose feature does not exist yet: id -> what is missing.
LAWS_TO_COME: dict[str, str] = {
    "N-RES": "a fit that can be stopped, saved and resumed",
    "N-LM": "Levenberg-Marquardt",
}
