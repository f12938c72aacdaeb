"""Levenberg-Marquardt: the law N-LM, published minima, NIST's certified values beside SciPy's, and hard ground."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from numkan import KAN
from numkan.optimize import LevenbergMarquardt, Status, TrustRegion, levenberg_marquardt
from numkan.optimize.linear_model import JacobianModel, NormalModel
from numkan.optimize.trust import step_within
from tests import more_garbow_hillstrom, nist_strd
from tests.nist_strd import digits

ROSENBROCK = more_garbow_hillstrom.PROBLEMS[0]


class Equations:
    """A problem by its normal equations."""

    def __init__(self, problem):
        self.problem = problem

    def loss(self, x):
        residuals = self.problem.residuals(x)
        with np.errstate(all="ignore"):
            return residuals @ residuals

    def normal_equations(self, x):
        residuals, jacobian = self.problem.residuals_and_jacobian(x)
        return residuals @ residuals, jacobian.T @ residuals, jacobian.T @ jacobian


# --- the step within a region -------------------------------------------------------------------------------------


def random_model(seed, m, n, condition):
    rng = np.random.default_rng(seed)
    u, _ = np.linalg.qr(rng.normal(size=(m, n)))
    v, _ = np.linalg.qr(rng.normal(size=(n, n)))
    scale = rng.uniform(0.5, 2, n)
    return rng.normal(size=m), (u * np.geomspace(1, 1 / condition, n)) @ v.T * scale, scale


@given(seed=st.integers(0, 2**16), n=st.integers(1, 6), extra=st.integers(0, 5), share=st.floats(1e-3, 2.0))
def test_a_step_is_the_best_within_its_radius(seed, n, extra, share):
    residuals, jacobian, scale = random_model(seed, n + extra, n, 1e3)
    model = JacobianModel(residuals, jacobian, scale)
    radius = share * model.solve(0.0)[1]
    z, size, damping, predicted = step_within(model, radius, 0.0)
    assert size == pytest.approx(np.linalg.norm(z))
    assert size <= 1.1 * radius * (1 + 1e-12)
    assert damping == 0.0 or size >= 0.9 * radius * (1 - 1e-12)
    # stationary in the damped model: (A + lambda) z = -g
    a = jacobian / scale
    gradient = a.T @ residuals
    np.testing.assert_allclose(a.T @ (a @ z) + damping * z, -gradient, atol=1e-9 * abs(gradient).max())
    after = residuals + a @ z
    assert predicted == pytest.approx(residuals @ residuals - after @ after, rel=1e-6, abs=1e-9)


@given(seed=st.integers(0, 2**16), n=st.integers(1, 6), share=st.floats(1e-2, 2.0))
def test_both_models_give_the_same_step(seed, n, share):
    residuals, jacobian, scale = random_model(seed, n + 3, n, 10.0)
    exact = JacobianModel(residuals, jacobian, scale)
    normal = NormalModel(jacobian.T @ residuals, jacobian.T @ jacobian, scale)
    assert normal.gradient_norm == pytest.approx(exact.gradient_norm)
    radius = share * exact.solve(0.0)[1]
    one, other = step_within(exact, radius, 0.1), step_within(normal, radius, 0.1)
    np.testing.assert_allclose(other.z, one.z, rtol=1e-6, atol=1e-9 * one.size)
    assert other.damping == pytest.approx(one.damping, rel=1e-6)
    assert other.predicted == pytest.approx(one.predicted, rel=1e-6)


def test_a_singular_model_has_the_shortest_step_or_a_damped_one():
    residuals, jacobian, scale = np.array([1.0, 2.0]), np.array([[1.0, 1.0], [1.0, 1.0]]), np.ones(2)
    exact = step_within(JacobianModel(residuals, jacobian, scale), 100.0, 0.0)
    np.testing.assert_allclose(exact.z, [-0.75, -0.75])
    normal = step_within(NormalModel(jacobian.T @ residuals, jacobian.T @ jacobian, scale), 1e-3, 0.0)
    np.testing.assert_allclose(normal.z[0], normal.z[1])
    assert 0.9e-3 <= normal.size <= 1.1e-3


# --- N-LM ---------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**16), n=st.integers(1, 6))
def test_N_LM_a_linear_problem_is_solved_in_one_undamped_step(seed, n):
    rng = np.random.default_rng(seed)
    jacobian, target = rng.normal(size=(n + 4, n)), rng.normal(size=n + 4)
    run = LevenbergMarquardt(lambda x: (jacobian @ x - target, jacobian), rng.normal(size=n), rule=TrustRegion(1e6))
    assert run.step()
    assert run.state.damping == 0.0
    want = np.linalg.lstsq(jacobian, target, rcond=None)[0]
    np.testing.assert_allclose(run.state.x, want, rtol=1e-10, atol=1e-10 * abs(want).max())


@pytest.mark.parametrize("problem", more_garbow_hillstrom.PROBLEMS, ids=repr)
def test_N_LM_every_accepted_step_lowers_the_loss_and_damping_stays_finite(problem):
    run = LevenbergMarquardt(problem.residuals_and_jacobian, problem.start)
    states = [run.state, *(state for _, state in zip(range(60), run, strict=False))]
    for before, after in pairwise(states):
        assert after.fun <= before.fun * (1 + 1e-9)
        assert np.isfinite(after.damping)
        assert after.radius > 0
        assert after.step == before.step + 1
    residuals, jacobian = problem.residuals_and_jacobian(states[-1].x)
    assert states[-1].fun == pytest.approx(residuals @ residuals, rel=1e-12, abs=1e-300)
    np.testing.assert_allclose(states[-1].grad, 2 * jacobian.T @ residuals, rtol=1e-12, atol=1e-300)


# --- known minima -------------------------------------------------------------------------------------------------


def reached(problem, fun):
    return any(abs(fun - least) <= 1e-5 * least + (1e-10 if least == 0 else 0) for least in problem.minima)


@pytest.mark.parametrize("problem", more_garbow_hillstrom.PROBLEMS, ids=repr)
def test_published_minima_are_reached_from_the_published_starts(problem):
    result = levenberg_marquardt(problem.residuals_and_jacobian, problem.start, steps=2000)
    assert reached(problem, result.fun), (result.fun, result.message)
    assert result.success, result.message


@pytest.mark.parametrize("start", [0, 1], ids=["start 1", "start 2"])
@pytest.mark.parametrize("problem", nist_strd.PROBLEMS, ids=repr)
def test_certified_values_are_reached(problem, start):
    x0 = problem.starts[start]
    result = levenberg_marquardt(problem.residuals_and_jacobian, x0, steps=5000, gtol=0.0)
    own = digits(result.x, problem.certified)
    with np.errstate(all="ignore"):
        other = least_squares(
            problem.residuals, x0, problem.jacobian, method="lm", ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=20_000
        )
    scipys = digits(other.x, problem.certified)
    print(f"{problem!r} start {start + 1}: {own:.1f} digits in {result.nfev} evaluations, SciPy {scipys:.1f}")
    assert own >= 4 or scipys < 4
    if (problem.name, start) != ("BoxBOD", 0):  # from where both run away
        assert own >= 8


def test_a_network_is_fitted_to_the_rounding_of_its_spline():
    """A network that another network made: all the way down, where L-BFGS has just begun."""
    teacher, model = (KAN([2, 1, 1], grid=3, seed=seed) for seed in (1, 1))
    rng = np.random.default_rng(0)
    x, start = rng.uniform(-1, 1, (200, 2)), teacher.params + 0.02 * rng.normal(size=teacher.n_params)
    y = teacher(x)

    def residuals_and_jacobian(params):
        model.params = params
        return model.residuals_and_jacobian(x, y)

    result = levenberg_marquardt(residuals_and_jacobian, start, steps=50)
    assert result.fun < 1e-24 < 1e-8 < result.history[0]


# --- hard ground --------------------------------------------------------------------------------------------------


def test_units_do_not_matter():
    units = np.array([1e6, 1e-6])
    plain = LevenbergMarquardt(ROSENBROCK.residuals_and_jacobian, ROSENBROCK.start)

    def rescaled(y):
        residuals, jacobian = ROSENBROCK.residuals_and_jacobian(y / units)
        return residuals, jacobian / units

    other = LevenbergMarquardt(rescaled, ROSENBROCK.start * units)
    for _ in range(10):
        if not (plain.step() and other.step()):
            break
        np.testing.assert_allclose(other.state.x / units, plain.state.x, rtol=1e-6)


def test_normal_equations_reach_the_minimum_too():
    for problem in more_garbow_hillstrom.PROBLEMS[:1] + more_garbow_hillstrom.PROBLEMS[6:8]:
        result = levenberg_marquardt(Equations(problem), problem.start, steps=500)
        assert reached(problem, result.fun), repr(problem)


def test_where_the_loss_is_not_finite_steps_are_shortened():
    def wall(x):
        with np.errstate(invalid="ignore"):
            return np.array([np.sqrt(x[0]) - 0.1]), np.array([[0.5 / np.sqrt(abs(x[0]))]])

    result = levenberg_marquardt(wall, [9.0])
    assert result.success
    np.testing.assert_allclose(result.x, 0.01)


def test_a_jacobian_that_is_not_finite_is_not_accepted():
    def cliff(x):
        slope = np.inf if x[0] < 1 else 1.0
        return np.array([x[0]]), np.array([[slope]])

    run = LevenbergMarquardt(cliff, [2.0])
    list(run)
    assert run.state.x[0] >= 1
    assert np.isfinite(run.state.grad).all()
    assert run.status is Status.NONFINITE


def test_a_wrong_jacobian_is_no_convergence():
    result = levenberg_marquardt(lambda x: (x + 1, -np.eye(1)), [3.0])
    assert result.x == 3.0
    assert result.status == Status.STALLED


def test_a_loss_that_is_nowhere_finite_is_no_convergence():
    result = levenberg_marquardt(lambda x: (1 + x if x[0] == 3 else x + np.nan, np.eye(1)), [3.0])
    assert result.x == 3.0
    assert result.status == Status.NONFINITE


@pytest.mark.parametrize("size", [1e-160, 1e160])
def test_numbers_whose_squares_overflow_or_vanish(size):
    result = levenberg_marquardt(lambda x: (size * x - 1, np.array([[size]])), [0.0], gtol=0.0)
    np.testing.assert_allclose(result.x, 1 / size)


class Curve:
    """y = (a + c) exp(-b t): two of three parameters are one."""

    t = np.linspace(0, 3, 20)
    y = 2 * np.exp(-0.7 * t) + 0.01 * np.sin(20 * t)

    def residuals(self, x):
        with np.errstate(all="ignore"):
            return (x[0] + x[2]) * np.exp(-x[1] * self.t) - self.y

    def residuals_and_jacobian(self, x):
        with np.errstate(all="ignore"):
            e = np.exp(-x[1] * self.t)
            return self.residuals(x), np.stack([e, -(x[0] + x[2]) * self.t * e, e], axis=1)


@pytest.mark.parametrize("start", [(500.0, 1.0, 1.0), (1.0, 3.0, 0.0), (-2.0, 0.1, 7.0)])
def test_singular_normal_equations_reach_what_the_jacobian_does(start):
    curve = Curve()
    exact = levenberg_marquardt(curve.residuals_and_jacobian, start, steps=500)
    normal = levenberg_marquardt(Equations(curve), start, steps=500)
    assert normal.fun == pytest.approx(exact.fun, rel=1e-6)


def test_normal_equations_that_are_not_finite_are_not_accepted():
    class Spoilt(Equations):
        def normal_equations(self, x):
            fun, gradient, normal = super().normal_equations(x)
            normal[0, 1] = np.nan
            return fun, gradient, normal

    with pytest.raises(ValueError, match=r"^Argument `x0` must be a point of finite Jacobian"):
        levenberg_marquardt(Spoilt(ROSENBROCK), ROSENBROCK.start)


def test_states_are_read_only_and_stay():
    run = LevenbergMarquardt(ROSENBROCK.residuals_and_jacobian, ROSENBROCK.start)
    first = run.state
    kept = first.x.copy()
    run.step()
    np.testing.assert_array_equal(first.x, kept)
    for array in (run.state.x, run.state.grad):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_callback_sees_every_step_and_may_stop_the_run():
    seen = []

    def watch(state):
        seen.append(state.fun)
        if len(seen) == 3:
            raise StopIteration

    result = levenberg_marquardt(ROSENBROCK.residuals_and_jacobian, ROSENBROCK.start, callback=watch)
    assert result.nit == 3
    assert result.status == Status.CALLBACK
    np.testing.assert_array_equal(result.history[1:], seen)


def test_no_steps_and_a_start_at_the_minimum():
    start = levenberg_marquardt(ROSENBROCK.residuals_and_jacobian, ROSENBROCK.start, steps=0)
    assert start.nit == 0
    assert start.status == Status.STEPS
    end = levenberg_marquardt(ROSENBROCK.residuals_and_jacobian, [1.0, 1.0])
    assert end.nit == 0
    assert end.status == Status.GRADIENT


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"problem": 3}, TypeError, "`problem` must be callable"),
        ({"problem": lambda x: x}, TypeError, r"`problem` must return \(residuals, Jacobian\)"),
        ({"problem": lambda x: (x, np.eye(3))}, ValueError, r"`problem` must return residuals \(m,\)"),
        ({"problem": lambda x: (x, np.eye(2) * 1j)}, TypeError, "`problem` must return a real Jacobian, not an array"),
        ({"problem": lambda x: (x, [[1.0], [1.0, 2.0]])}, TypeError, "`problem` must return a real Jacobian, not "),
        ({"problem": lambda x: (x, [[10**400, 1.0]] * 2)}, TypeError, "`problem` must return a real Jacobian, not "),
        ({"problem": lambda x: (x, None)}, TypeError, "`problem` must return a real Jacobian, not None"),
        ({"problem": lambda x: (["a", "b"], np.eye(2))}, TypeError, r"`problem` must return real residuals, not \['a'"),
        ({"problem": lambda x: (x + np.nan, np.eye(2))}, ValueError, "`x0` must be a point of finite loss"),
        ({"problem": lambda x: (x, np.full((2, 2), np.nan))}, ValueError, "`x0` must be a point of finite Jacobian"),
        ({"x0": [[1.0]]}, ValueError, "`x0`"),
        ({"x0": [np.nan, 1.0]}, ValueError, "`x0`"),
        ({"steps": -1}, ValueError, "`steps`"),
        ({"gtol": -1.0}, ValueError, "`gtol`"),
        ({"ftol": -1.0}, ValueError, "`ftol`"),
        ({"radius": 0.0}, ValueError, "`radius`"),
        ({"callback": 3}, TypeError, "`callback`"),
    ],
)
def test_bad_input_is_one_sentence(change, error, match):
    arguments = {"problem": ROSENBROCK.residuals_and_jacobian, "x0": ROSENBROCK.start, **change}
    with pytest.raises(error, match=rf"^Argument {match}"):
        levenberg_marquardt(**arguments)


def test_normal_equations_of_the_wrong_shape_are_an_error():
    class Wrong(Equations):
        def normal_equations(self, x):
            return 0.0, x, np.eye(3)

    with pytest.raises(ValueError, match=r"^Argument `problem` must have normal equations of shapes"):
        levenberg_marquardt(Wrong(ROSENBROCK), ROSENBROCK.start)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (0.0, r"must return \(f, J\^T r, J\^T J\), not float"),
        ((0.0, "a", np.eye(2)), r"must return a real J\^T r, not 'a'"),
        (
            (0.0, np.zeros(2), np.eye(2) * 1j),
            r"must return a real J\^T J, not an array of shape \(2, 2\)",
        ),
    ],
)
def test_normal_equations_that_are_no_numbers_are_an_error(answer, match):
    class Wrong(Equations):
        def normal_equations(self, x):
            return answer

    with pytest.raises(TypeError, match=rf"^Argument `problem` {match}"):
        levenberg_marquardt(Wrong(ROSENBROCK), ROSENBROCK.start)


@pytest.mark.parametrize("loss", ["a", 1j, None, [1.0], np.ones(1)])
def test_a_loss_that_is_no_number_is_an_error(loss):
    class Wrong(Equations):
        def loss(self, x):
            return loss

    with pytest.raises(TypeError, match=r"^Argument `problem` must return the loss as one real number, not "):
        levenberg_marquardt(Wrong(ROSENBROCK), ROSENBROCK.start)
