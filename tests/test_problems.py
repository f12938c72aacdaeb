"""The zoo's gradients, against complex step on the functions themselves."""

from __future__ import annotations

import numpy as np
import pytest

from tests.problems import ZOO


@pytest.mark.parametrize("problem", ZOO, ids=repr)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradient_agrees_with_complex_step(problem, seed):
    """At the start, and near it."""
    x = np.array(problem.start)
    if seed:
        x = x + 0.1 * np.random.default_rng(seed).normal(size=x.size)
    step = 1e-30
    expected = np.array([np.imag(problem.fun(x + 1j * step * unit)) / step for unit in np.eye(x.size)])
    got = problem.grad(x)
    assert got.shape == x.shape
    assert np.abs(got - expected).max() <= 1e-12 * np.abs(expected).max()
