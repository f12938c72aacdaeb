"""numkan.spline obeys every law of the basis, and the laws find planted faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.implementations import NaiveSplines, NumkanSplines
from tests.laws import Case, Law
from tests.laws.basis import LAWS, LAWS_TO_COME
from tests.mutants import MUTANTS, UniformAssumption
from tests.strategies import cases

BY_ID = {law.id: law for law in LAWS}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"test_{law.id}")
@given(case=cases())
def test_numkan_obeys(law: Law, case: Case) -> None:
    law.check(NumkanSplines(), case)


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


@pytest.mark.parametrize(("mutant", "id"), MUTANTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_planted_fault_is_found(mutant: type[Any], id: str) -> None:
    assert kills(BY_ID[id], mutant())


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"test_{law.id}")
def test_sound_implementations_pass_the_cases_that_kill_mutants(law: Law) -> None:
    assert not kills(law, NumkanSplines())
    assert not kills(law, NaiveSplines())


def test_partition_of_unity_alone_proves_little() -> None:
    """A basis that ignores its knots passes P-PoU."""
    assert not kills(BY_ID["P-PoU"], UniformAssumption())
    assert kills(BY_ID["P-ORC"], UniformAssumption())


def test_ids_are_unique_and_every_law_states_something() -> None:
    ids = [law.id for law in LAWS]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(LAWS_TO_COME)
    for law in LAWS:
        assert law.statement
        assert law.tolerance
        assert law.reference
