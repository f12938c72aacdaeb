"""numkan.spline obeys every law of splines; that each law finds a fault is tested in test_conformance_adapters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from numkan.conformance import LAWS, Law
from numkan.conformance.cases import Case
from numkan.conformance.law import assert_identical, assert_within
from numkan.conformance.points import clamped, probes
from numkan.spline import greville
from tests.implementations import NaiveSplines, NumkanSplines
from tests.mutants import UniformAssumption
from tests.strategies import cases

OURS = [law for law in LAWS.values() if law.about == "splines"]

#: Laws whose feature does not exist yet: id -> what is missing.
LAWS_TO_COME = {"P-ANTI": "antiderivatives", "P-COARSE": "knot removal", "P-DEG": "degree elevation"}


@pytest.mark.parametrize("law", OURS, ids=lambda law: f"test_{law.id}")
@given(case=cases())
def test_numkan_obeys(law: Law, case: Case) -> None:
    law.check(NumkanSplines(), case)


@given(case=cases())
def test_numkan_is_exact_where_laws_have_to_leave_room(case: Case) -> None:
    """P-MIR within 2 eps, P-END in every bit, P-DTYPE within 4 eps32, P-GRV with numkan's own Greville points."""
    impl, k = NumkanSplines(), case.k
    x = np.concatenate([probes(case), case.anywhere])
    x = x[~np.isin(x, case.knots)]
    assert_within(impl.basis(-x, -case.knots[::-1], k)[:, ::-1], impl.basis(x, case.knots, k), 2 * case.eps)
    ended = clamped(case)
    ends = impl.basis(np.array(ended.domain), ended.knots, k)
    assert_identical(ends, np.eye(ended.n_basis, dtype=case.dtype)[[0, -1]])
    knots = case.knots.astype(np.float32)
    if knots[k] < knots[case.n_basis]:
        inside = np.clip(case.inside.astype(np.float32), knots[k], knots[case.n_basis])
        single = Case(knots, k, inside, inside, case.coef)
        x = probes(single)
        double = impl.basis(x.astype(float), knots.astype(float), k)
        assert_within(impl.basis(x, knots, k), double, 4 * single.eps)
    if k:
        x = probes(case)
        found = impl.basis(x, case.knots, k).astype(float) @ greville(case.knots[None], k)[0].astype(float)
        assert_within(found, x, 8 * case.eps * max(1.0, float(np.abs(case.knots).max())))


def fixed(knots: Any, k: int, dtype: type = np.float64) -> Case:
    knots = np.array(knots, dtype)
    low, high = knots[k], knots[-1 - k]
    inside = low + (high - low) * np.array([0.0, 0.21, 0.48, 0.83, 1.0], dtype)
    anywhere = np.array([knots[0] - 1, knots[0], low, knots[-1], knots[-1] + 1, np.mean(knots)], dtype)
    return Case(knots, k, inside, anywhere, np.sin(1 + np.arange(len(knots) - 1 - k)).astype(dtype))


PLAIN_CASES = (
    fixed(np.arange(-3, 8), 3),
    fixed([-2, -1.5, -1.1, 0, 0.3, 0.9, 2, 2.5, 3.5], 2),
    fixed([0, 0, 0, 0, 0.7, 0.7, 2, 3, 3, 3, 3], 3),
    fixed([-1, 0, 1, 2, 3.5], 1),
    fixed([0, 0.5, 2], 0),
    fixed(np.arange(-2, 6), 2, np.float32),
    fixed(1e8 + np.cumsum([0.3, 0.7001, 1.1, 0.9003, 0.6, 1.3]), 1),
)


def kills(law: Law, implementation: Any) -> bool:
    for case in PLAIN_CASES:
        try:
            law.check(implementation, case)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("law", OURS, ids=lambda law: f"test_{law.id}")
def test_numkan_and_the_slow_twin_pass_plain_cases(law: Law) -> None:
    assert not kills(law, NumkanSplines())
    assert not kills(law, NaiveSplines())


def test_partition_of_unity_alone_proves_little() -> None:
    """A basis that ignores its knots passes P-PoU."""
    assert not kills(LAWS["P-PoU"], UniformAssumption())
    assert kills(LAWS["P-ORC"], UniformAssumption())


def test_every_law_states_something() -> None:
    assert len(LAWS) > 60
    assert not set(LAWS) & set(LAWS_TO_COME)
    for id, law in LAWS.items():
        assert law.id == id
        assert law.statement
        assert law.tolerance
        assert law.reference
