"""The limited memory: law N-LB for its pairs and its product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan.optimize import LBFGS
from numkan.optimize.curvature import CurvaturePairs
from tests.problems import ZOO


def dense_inverse_hessian(pairs, n):
    """Nocedal and Wright (2006), equation 7.16, written out with matrices."""
    if not pairs:
        return np.eye(n)
    s, y = pairs[-1]
    H = (s @ y) / (y @ y) * np.eye(n)
    for s, y in pairs:
        rho = 1 / (s @ y)
        V = np.eye(n) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    return H


@pytest.mark.parametrize("problem", ZOO, ids=repr)
def test_N_LB_stored_pairs_have_positive_curvature(problem):
    run = LBFGS(problem.fun_and_grad, problem.start, memory=4)
    for _ in range(50):
        if not run.step():
            break
        pairs = run.pairs.pairs()
        assert 0 <= len(pairs) <= 4
        for s, y in pairs:
            assert s @ y > 0
    s, y = run.pairs.pairs()[-1]
    assert not run.pairs.add(s, -y)
    assert not run.pairs.add(s, 0 * y)
    assert not run.pairs.add(s, np.full_like(y, np.nan))


@given(
    n=st.integers(1, 12),
    memory=st.integers(1, 6),
    count=st.integers(0, 15),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_N_LB_two_loop_recursion_equals_the_dense_bfgs_product(n, memory, count, seed, dtype):
    rng = np.random.default_rng(seed)
    frame, _ = np.linalg.qr(rng.normal(size=(n, n)))
    hessian = (frame * np.geomspace(1, 10, n)) @ frame.T
    ring = CurvaturePairs(memory, n, np.dtype(dtype))
    kept = []
    for _ in range(count):
        s = rng.normal(size=n).astype(dtype)
        y = (hessian @ s).astype(dtype)
        assert ring.add(s, y)
        kept = [*kept, (np.float64(s), np.float64(y))][-memory:]
    assert len(ring) == len(kept)
    for (s, y), (kept_s, kept_y) in zip(ring.pairs(), kept, strict=True):
        assert np.array_equal(s, kept_s)
        assert np.array_equal(y, kept_y)
    vector = rng.normal(size=n).astype(dtype)
    got = ring.times(vector)
    expected = dense_inverse_hessian(kept, n) @ vector
    assert got.dtype == dtype
    tolerance = 1e-10 if dtype == np.float64 else 1e-10 * 2.0**29
    assert np.abs(got - expected).max() <= tolerance * max(1.0, np.abs(expected).max())
