"""Levenberg-Marquardt by Nielsen's rule: published minima, the rule of the damping, units, and how a run ends."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from numkan.optimize import LevenbergMarquardt, Nielsen, Status
from tests import more_garbow_hillstrom

PROBLEMS = more_garbow_hillstrom.PROBLEMS
ROSENBROCK = PROBLEMS[0]

#: Where damping in the proportions of the matrix creeps: they change by orders of magnitude on the way.
CREEPING = ("Brown and Dennis", "Penalty I", "Penalty II")


class Equations:
    """A problem by its normal equations; it remembers where its loss was asked for."""

    def __init__(self, residuals, jacobian):
        self.residuals, self.jacobian = residuals, jacobian
        self.asked, self.linearised = [], 0

    @classmethod
    def of(cls, problem):
        return cls(problem.residuals, problem.jacobian)

    @classmethod
    def linear(cls, matrix, target):
        return cls(lambda x: matrix @ x - target, lambda x: matrix)

    def loss(self, x):
        self.asked.append(np.array(x))
        with np.errstate(all="ignore"):
            r = self.residuals(x)
            return float(r @ r)

    def normal_equations(self, x):
        self.linearised += 1
        r, jacobian = self.residuals(x), self.jacobian(x)
        with np.errstate(all="ignore"):
            return float(r @ r), jacobian.T @ r, jacobian.T @ jacobian


def damped(problem, x0, *, damping=1.0, scaled=False, ftol=0.0):
    return LevenbergMarquardt(problem, x0, rule=Nielsen(damping, scaled=scaled), ftol=ftol, gtol=0.0)


def states(run, most=1000):
    found = [run.state]
    while len(found) <= most and run.step():
        found.append(run.state)
    return found


# --- minima -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS, ids=repr)
def test_published_minima_are_reached_from_the_published_starts(problem, scaled):
    if scaled and problem.name.startswith(CREEPING):
        pytest.skip("creeps with the damping in proportion to the matrix")
    run = damped(Equations.of(problem), problem.start, scaled=scaled, damping=1e-3 if scaled else 1.0)
    fun = states(run, 400)[-1].fun
    assert any(abs(fun - least) <= 1e-5 * least + (1e-10 if least == 0 else 0) for least in problem.minima)


@pytest.mark.parametrize("number", [6, 8, 10, 15, 19])
def test_a_minimum_that_is_not_zero_is_the_one_that_scipy_finds(number):
    problem = next(problem for problem in PROBLEMS if problem.number == number)
    run = damped(Equations.of(problem), problem.start, scaled=True, damping=1e-3)
    own = states(run)[-1]
    with np.errstate(all="ignore"):
        other = least_squares(
            problem.residuals, problem.start, problem.jacobian, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15
        )
    # In extended precision: Meyer's sum of squares (10) is one of small differences, and rounds by 5e-12 in float64.
    least, found = (float((problem.formula(x.astype(np.longdouble)) ** 2).sum()) for x in (other.x, own.x))
    assert found == pytest.approx(least, rel=1e-12)
    assert own.fun == pytest.approx((problem.residuals(own.x) ** 2).sum(), rel=1e-14)
    np.testing.assert_allclose(own.x, other.x, rtol=1e-5, atol=1e-8)
    assert run.status.success


@given(seed=st.integers(0, 2**16), n=st.integers(1, 6), scaled=st.booleans())
@example(seed=0, n=1, scaled=False)  # its gradient rounds to 0
def test_a_linear_problem_is_solved_to_rounding(seed, n, scaled):
    rng = np.random.default_rng(seed)
    matrix, target = rng.normal(size=(n + 4, n)), rng.normal(size=n + 4)
    run = damped(Equations.linear(matrix, target), rng.normal(size=n), scaled=scaled)
    last = states(run)[-1]
    want = np.linalg.lstsq(matrix, target, rcond=None)[0]
    # the loss is flat at its minimum: half the digits
    np.testing.assert_allclose(last.x, want, atol=1e-6 * (1 + np.linalg.cond(matrix)) * abs(want).max())
    assert run.status is (Status.ROUNDING if last.grad.any() else Status.GRADIENT)


# --- steps --------------------------------------------------------------------------------------------------------


def naive(problem, x, damping, scaled, steps):
    """The method word for word, with dense inverses: the points and the damping before each step."""
    x, trials, accepted = np.array(x, float), [], []
    for _ in range(steps):
        r, jacobian = problem.residuals(x), problem.jacobian(x)
        A, g = jacobian.T @ jacobian, jacobian.T @ r
        growth = 2.0
        while True:
            D = np.diag(np.diag(A)) if scaled else np.eye(len(x))
            p = -np.linalg.inv(A + damping * D) @ g
            trials.append(x + p)
            fun, new = r @ r, np.sum(problem.residuals(x + p) ** 2)
            after = r + jacobian @ p
            # what the quadratic model loses: that of |r + J p|^2
            rho = (fun - new) / (r @ r - after @ after)
            if rho > 1e-4:
                break
            damping, growth = damping * growth, growth * 2
        x = x + p
        damping = max(damping * max(0.1 if rho > 0.9 else 1 / 3, 1 - (2 * rho - 1) ** 3), 1e-14)
        accepted.append((x, damping))
    return trials, accepted


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("number", [1, 7, 14, 15])
def test_it_is_the_method_word_for_word(number, scaled):
    problem = next(problem for problem in PROBLEMS if problem.number == number)
    equations = Equations.of(problem)
    run = damped(equations, problem.start, damping=0.01, scaled=scaled)
    found = states(run, 8)[1:]
    trials, accepted = naive(problem, problem.start, 0.01, scaled, 8)
    assert len(trials) > 8 or number != 1  # in the curved valley the damping has had to rise
    for state, (x, damping) in zip(found, accepted, strict=True):
        np.testing.assert_allclose(state.x, x, rtol=1e-6, atol=1e-9)
        assert state.damping == pytest.approx(damping, rel=1e-5)
    np.testing.assert_allclose(equations.asked, trials, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS[:20], ids=repr)
def test_every_accepted_step_lowers_the_loss_and_is_told_right(problem, scaled):
    run = damped(Equations.of(problem), problem.start, scaled=scaled)
    found = states(run, 60)
    for step, (before, after) in enumerate(pairwise(found)):
        assert after.fun <= before.fun * (1 + 1e-9)
        assert (before.step, after.step) == (step, step + 1)
        assert after.nfev > before.nfev
        assert 1e-14 <= after.damping < np.inf
    r, jacobian = problem.residuals_and_jacobian(found[-1].x)
    assert found[-1].fun == pytest.approx(r @ r, rel=1e-12, abs=1e-300)
    np.testing.assert_allclose(found[-1].grad, 2 * jacobian.T @ r, rtol=1e-12, atol=1e-300)
    assert np.isnan(found[-1].radius)


def test_evaluations_are_counted_and_points_of_trials_are_not_linearised():
    equations = Equations.of(ROSENBROCK)
    run = damped(equations, ROSENBROCK.start, damping=1e-3)
    found = states(run, 6)
    assert run.nfev == found[-1].nfev == 1 + len(equations.asked)
    assert equations.linearised == len(found)
    assert len(equations.asked) > len(found) - 1  # some trials were not accepted


@given(seed=st.integers(0, 2**16), powers=st.lists(st.integers(-30, 30), min_size=4, max_size=4))
def test_scaled_steps_do_not_feel_the_units_of_variables(seed, powers):
    """In units of powers of two: bit for bit."""
    rng = np.random.default_rng(seed)
    matrix, target, unit = rng.normal(size=(7, 4)), rng.normal(size=7), 2.0 ** np.array(powers)

    def curved(x):
        return np.sin(matrix @ x) - target

    def jacobian(x):
        return np.cos(matrix @ x)[:, None] * matrix

    x0 = rng.normal(size=4)
    one = damped(Equations(curved, jacobian), x0, scaled=True)
    other = damped(Equations(lambda x: curved(unit * x), lambda x: jacobian(unit * x) * unit), x0 / unit, scaled=True)
    steps = list(zip(states(one, 5), states(other, 5), strict=True))
    assert len(steps) > 1
    for mine, theirs in steps:
        # products of 1 / sqrt(diagonal) are exact only for even powers
        np.testing.assert_allclose(theirs.x * unit, mine.x, rtol=1e-9, atol=1e-9 * abs(mine.x).max())
        assert theirs.fun == pytest.approx(mine.fun, rel=1e-9)


def test_without_scaling_units_do_matter():
    matrix, target, unit = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 2.0, 0.0]), [1.0, 1e3]
    one = damped(Equations.linear(matrix, target), np.zeros(2))
    other = damped(Equations.linear(matrix * unit, target), np.zeros(2))
    assert one.step()
    assert other.step()
    assert abs(other.state.x[1] * 1e3 / one.state.x[1] - 1) > 0.1


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_matrices_of_very_different_diagonals_are_solved(factor):
    """Without a diagonal of 1, the factorisation of such a matrix loses its small end."""
    rng = np.random.default_rng(1)
    matrix, target = rng.normal(size=(9, 3)) * [1.0, factor, 1.0], rng.normal(size=9)
    run = damped(Equations.linear(matrix, target), np.zeros(3), damping=1e-14, scaled=True)
    assert run.step()
    want = np.linalg.lstsq(matrix / [1.0, factor, 1.0], target, rcond=None)[0] / [1.0, factor, 1.0]
    np.testing.assert_allclose(run.state.x, want, rtol=1e-9)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_variable_that_nothing_sees_stays_where_it_is(scaled):
    matrix, target = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1.0, 3.0])
    run = damped(Equations.linear(matrix, target), [0.0, 5.0], scaled=scaled)
    x = states(run)[-1].x
    assert x[1] == 5.0
    assert x[0] == pytest.approx(2.0)


def test_two_variables_that_cannot_be_told_apart_share_the_step():
    matrix, target = np.ones((3, 2)), np.array([1.0, 2.0, 6.0])
    run = damped(Equations.linear(matrix, target), np.zeros(2), damping=1e-6, scaled=True)
    np.testing.assert_allclose(states(run)[-1].x, [1.5, 1.5], rtol=1e-6)


# --- how it ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaled", [False, True])
def test_at_a_minimum_there_is_no_step_to_take(scaled):
    matrix, target = np.eye(2), np.array([1.0, 2.0])
    run = damped(Equations.linear(matrix, target), target, scaled=scaled)
    assert run.status is Status.GRADIENT
    assert run.status.success
    nfev = run.nfev
    assert not run.step()
    assert run.nfev == nfev
    assert run.state.x.tolist() == [1.0, 2.0]
    assert run.state.step == 0


@pytest.mark.parametrize("ftol", [0.1, 1e-3])
def test_it_ends_after_the_first_step_that_gains_less_than_ftol(ftol):
    problem = PROBLEMS[14]  # whose minimum is not 0
    run = damped(Equations.of(problem), problem.start, ftol=ftol)
    found = states(run)
    shares = [1 - after.fun / before.fun for before, after in pairwise(found)]
    assert run.status is Status.DECREASE
    assert run.status.success
    assert shares[-1] <= ftol
    assert len(shares) > 1
    assert min(shares[:-1], default=1.0) > ftol


def test_a_loss_of_zero_ends_a_run():
    run = damped(Equations.of(ROSENBROCK), [1.0, 1.0])
    assert not run.step()
    assert run.status.success


def walled(limit, value):
    """Residuals whose minimum lies behind a wall."""

    def residuals(x):
        return np.where(np.abs(x) <= limit, x - 10.0, value)

    return Equations(residuals, lambda x: np.eye(1))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_it_steps_back_from_what_is_not_finite(value):
    run = damped(walled(5.0, value), [0.0], damping=1e-3)
    found = states(run, 3)
    assert len(found) > 1
    assert all(abs(state.x[0]) <= 5.0 for state in found)
    assert all(np.isfinite(state.fun) for state in found)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_where_every_trial_is_not_finite_it_says_so_and_keeps_the_point(value):
    run = damped(walled(0.0, value), [0.0])
    assert not run.step()
    assert run.status is Status.NONFINITE
    assert not run.status.success
    assert run.state.x.tolist() == [0.0]
    assert run.state.fun == 100.0


def test_where_only_the_derivatives_are_not_finite_it_says_so_too():
    def jacobian(x):
        return np.eye(1) if x[0] == 0.0 else np.full((1, 1), np.nan)

    run = damped(Equations(lambda x: x - 10.0, jacobian), [0.0])
    assert not run.step()
    assert run.state.x.tolist() == [0.0]
    assert run.status is Status.NONFINITE


@pytest.mark.parametrize(
    ("residual", "slope", "what"),
    [(np.nan, 1.0, "loss, not of loss nan"), (np.inf, 1.0, "loss, not of loss inf"), (1.0, np.nan, "Jacobian")],
)
def test_a_start_that_is_not_finite_is_an_error(residual, slope, what):
    equations = Equations(lambda x: np.array([residual]), lambda x: np.array([[slope]]))
    with pytest.raises(ValueError, match=f"`x0` must be a point of finite {what}"):
        damped(equations, [0.0])


@pytest.mark.parametrize(
    ("x0", "options", "text"),
    [
        ([np.nan, 1.0], {}, "`x0` must be finite"),
        ([[1.0, 1.0]], {}, r"`x0` must have one dimension, not shape \(1, 2\)"),
        ([1.0, 1.0], {"damping": 0.0}, "`damping` must be"),
        ([1.0, 1.0], {"damping": -1.0}, "`damping` must be"),
        ([1.0, 1.0], {"ftol": -0.1}, "`ftol` must be"),
        ([1.0, 1.0], {"ftol": np.nan}, "`ftol` must be"),
    ],
)
def test_what_is_not_as_said_is_an_error(x0, options, text):
    with pytest.raises(ValueError, match=text):
        damped(Equations.of(ROSENBROCK), x0, **options)


def test_the_callers_start_is_copied_and_states_cannot_be_written_into():
    x0 = np.array(ROSENBROCK.start)
    run = damped(Equations.of(ROSENBROCK), x0)
    x0[:] = np.nan
    assert run.step()
    assert run.state.x.dtype == np.float64
    for array in (run.state.x, run.state.grad):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_a_float32_start_is_worked_on_in_float64():
    run = damped(Equations.of(ROSENBROCK), np.array(ROSENBROCK.start, np.float32))
    assert states(run)[-1].fun < 1e-25
