"""How runs end: the result, its status and message, callbacks, and every way to stop."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

from numkan.optimize import Status, lbfgs
from tests.problems import ZOO, bowl

ROSENBROCK = ZOO[0]


def test_result_is_scipys_class_with_every_field():
    result = lbfgs(ROSENBROCK.fun_and_grad, ROSENBROCK.start)
    assert isinstance(result, OptimizeResult)
    fields = {"x", "fun", "jac", "nit", "nfev", "njev", "success", "status", "message", "history"}
    assert set(result) == fields
    assert (result.fun, result.status, result.success) == (ROSENBROCK.fun(result.x), Status.GRADIENT, True)
    assert np.array_equal(result.jac, ROSENBROCK.grad(result.x))
    assert result.history.shape == (result.nit + 1,)
    assert (result.history[0], result.history[-1]) == (ROSENBROCK.fun(np.array(ROSENBROCK.start)), result.fun)
    result.x[0] = 0.0  # the caller's own


def test_callback_sees_every_accepted_step():
    seen = []
    result = lbfgs(ROSENBROCK.fun_and_grad, ROSENBROCK.start, callback=seen.append)
    assert [state.step for state in seen] == list(range(1, result.nit + 1))
    assert [state.fun for state in seen] == list(result.history[1:])
    assert np.array_equal(seen[-1].x, result.x)


@pytest.mark.parametrize("stop", [1, 7])
def test_stop_iteration_in_the_callback_ends_the_run_there(stop):
    def callback(state):
        if state.step == stop:
            raise StopIteration

    result = lbfgs(ROSENBROCK.fun_and_grad, ROSENBROCK.start, callback=callback)
    assert (result.nit, result.success, result.status) == (stop, False, Status.CALLBACK)
    assert "StopIteration" in result.message
    full = lbfgs(ROSENBROCK.fun_and_grad, ROSENBROCK.start)
    assert result.fun == full.history[stop]


def test_import_does_not_load_scipy_optimize():
    code = "import sys, numkan.optimize; sys.exit('scipy.optimize' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_steps_bound_the_run_and_none_returns_the_start():
    for steps in (0, 3):
        result = lbfgs(ROSENBROCK.fun_and_grad, ROSENBROCK.start, steps=steps)
        assert (result.nit, result.status, result.success) == (steps, Status.STEPS, False)
        assert "Raise `steps`" in result.message
    assert lbfgs(ROSENBROCK.fun_and_grad, ROSENBROCK.start, steps=0).nfev == 1


def test_a_start_at_the_minimum_and_a_start_without_entries_need_no_step():
    for start in (np.ones(2), np.zeros(0)):
        result = lbfgs(lambda x: (0.0, 0 * x), start)
        assert (result.nit, result.nfev, result.status) == (0, 1, Status.GRADIENT)
        assert result.x.shape == start.shape


def test_a_loss_that_no_longer_falls_ends_the_run():
    problem = bowl(20, 1e4)
    result = lbfgs(problem.fun_and_grad, problem.start, ftol=0.1, gtol=0.0)
    assert (result.status, result.success) == (Status.DECREASE, True)
    history = result.history
    assert history[-6] - history[-1] <= 0.1 * history[-6]
    assert history[-7] - history[-2] > 0.1 * history[-7]


def test_rounding_of_x_ends_the_run():
    matrix = np.random.default_rng(0).normal(size=(50, 5))
    residuals = lambda x: matrix @ x - matrix.sum(axis=1)  # noqa: E731
    result = lbfgs(lambda x: (residuals(x) @ residuals(x), 2 * matrix.T @ residuals(x)), np.zeros(5), gtol=0.0)
    assert result.success
    assert np.abs(result.x - 1).max() < 1e-14


def test_a_loss_that_is_nowhere_finite_ends_the_run_at_the_start():
    result = lbfgs(lambda x: (1.0 if x[0] == 1.0 else np.inf, 0 * x + 1), [1.0])
    assert (result.status, result.success, result.nit) == (Status.NONFINITE, False, 0)
    assert "NaN or infinite" in result.message
    assert result.x[0] == 1.0


def test_a_false_gradient_ends_the_run_and_says_so():
    result = lbfgs(lambda x: (float(x @ x), -2 * x), [1.0, 2.0])
    assert (result.status, result.success, result.nit) == (Status.STALLED, False, 0)
    assert "gradient is not that of the loss" in result.message


@pytest.mark.parametrize("scale", [1e-200, 1e-20, 1e20, 1e200])
def test_losses_of_any_size_go_down(scale):
    """Where squares of the gradient under- or overflow there are no curvatures, but there is still a way down."""
    result = lbfgs(lambda x: (scale * float(x @ x), 2 * scale * x), [3.0, 4.0], gtol=0.0)
    assert result.fun < 1e-20 * 25 * scale


@pytest.mark.parametrize("problem", ZOO, ids=repr)
def test_runs_without_tolerances_end_by_themselves_at_a_minimum(problem):
    result = lbfgs(problem.fun_and_grad, problem.start, gtol=0.0, ftol=0.0, steps=3000)
    assert result.status in (Status.GRADIENT, Status.ROUNDING, Status.STALLED)
    assert min(abs(result.fun - minimum) / max(1.0, minimum) for minimum in problem.minima) < 1e-10


def test_a_step_lost_in_the_rounding_of_x_ends_the_run():
    def near_one(x):  # least at 1 + 1e-17, which no float64 is, so the gradient is never 0
        off = (x - 1) - 1e-17
        return float(off @ off), 2 * off

    result = lbfgs(near_one, [3.0, -1.0], gtol=0.0)
    assert (result.status, result.success) == (Status.ROUNDING, True)
    np.testing.assert_array_equal(result.x, 1)


def test_a_gradient_too_large_for_a_slope_ends_the_run():
    result = lbfgs(lambda x: (1.0, np.full_like(x, 1.7e308)), [0.0, 0.0])
    assert (result.status, result.nit) == (Status.STALLED, 0)
