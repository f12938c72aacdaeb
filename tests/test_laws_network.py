"""numkan obeys every law of networks; that each law finds a fault is tested in test_conformance_adapters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import numkan
from numkan.conformance import LAWS, Law
from numkan.conformance.cases import NetworkCase
from tests import naive_network as naive
from tests.network_cases import NumkanNetworks, network_cases, random_case

OURS = [law for law in LAWS.values() if law.about == "networks"]

#: Laws that other tests hold: id -> where.
LAWS_ELSEWHERE = {
    "N-LB": "tests/test_lbfgs.py, tests/test_curvature.py",
    "N-QN": "tests/test_lbfgs.py",
    "N-INT": "tests/test_lbfgs.py",
}

#: Laws whose feature does not exist yet: id -> what is missing.
LAWS_TO_COME = {"N-RES": "a fit that can be stopped, saved and resumed"}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = numkan.get_threads()
    yield
    numkan.set_threads(before)


@pytest.mark.parametrize("law", OURS, ids=lambda law: f"test_{law.id}")
@given(case=network_cases())
def test_numkan_obeys(law: Law, case: NetworkCase) -> None:
    law.check(NumkanNetworks(), case)


def plain_cases() -> list[NetworkCase]:
    return [
        random_case(1, [3, 2], [4], [3], extrapolate="continue"),
        random_case(2, [2, 3, 2], [3, 4], [2, 3], extrapolate="fade"),
        random_case(3, [2, 2, 3], [2, 2], [1, 3], dtype=np.float32, base_fun="identity", extrapolate="linear"),
    ]


@pytest.mark.parametrize("law", OURS, ids=lambda law: f"test_{law.id}")
def test_numkan_passes_plain_cases(law: Law) -> None:
    for case in plain_cases():
        law.check(NumkanNetworks(), case)


def test_a_law_is_here_or_elsewhere() -> None:
    assert not set(LAWS) & (set(LAWS_TO_COME) | set(LAWS_ELSEWHERE))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__)
def test_N_DET_holds_where_samples_fill_many_chunks(dtype: type) -> None:
    """So many samples are cut into parts, of predictions and of gradients, which threads share."""
    case = random_case(5, [2, 3, 2], [4, 3], [3, 3], 16 * 2048 + 77, dtype, extrapolate="continue")
    impl = NumkanNetworks()
    found = []
    for count in (1, 2, 3, 2):
        numkan.set_threads(count)
        value, grads = impl.network_loss(case.layers, case.x, case.y, "mse", case.weight)
        y = impl.network_forward(case.layers, case.x)
        found.append((y.tobytes(), value, naive_bytes(grads)))
    assert found[0] == found[1] == found[2] == found[3]


def naive_bytes(grads: Any) -> bytes:
    return b"".join(np.ascontiguousarray(d[name]).tobytes() for d in grads for name in naive.KINDS)
