"""The line search: Wolfe conditions, trials that are not finite, the rounding floor, nothing evaluated twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan.optimize import strong_wolfe
from tests.problems import ZOO

C1, C2 = 1e-4, 0.9


class Line:
    """phi(alpha) on a line through a function of vectors, with every trial written down."""

    def __init__(self, fun_and_grad, x, direction):
        self.fun_and_grad, self.x, self.direction = fun_and_grad, x, direction
        self.trials = []

    def __call__(self, alpha):
        self.trials.append(alpha)
        return self.fun_and_grad(self.x + alpha * self.direction)

    def search(self, **options):
        fun, grad = self.fun_and_grad(self.x)
        return strong_wolfe(self, self.direction, fun, grad, **options)


def scalar_line(phi, slope):
    """A line in one dimension from 0, of a function and its derivative."""
    return Line(lambda x: (phi(float(x[0])), np.array([slope(float(x[0]))])), np.zeros(1), np.ones(1))


def assert_strong_wolfe(line, found, c1=C1, c2=C2):
    fun, grad = line.fun_and_grad(line.x)
    new_fun, new_grad = line.fun_and_grad(line.x + found.alpha * line.direction)
    slope, new_slope = grad @ line.direction, new_grad @ line.direction
    assert found.condition == "strong"
    assert new_fun <= fun + c1 * found.alpha * slope + 2e-16 * abs(fun)
    assert abs(new_slope) <= c2 * abs(slope) * (1 + 1e-12)


@pytest.mark.parametrize("problem", ZOO, ids=repr)
@pytest.mark.parametrize("alpha", [1e-6, 1e-2, 1.0, 1e3])
def test_found_step_meets_strong_wolfe_from_any_first_trial(problem, alpha):
    x = np.array(problem.start)
    grad = problem.grad(x)
    line = Line(problem.fun_and_grad, x, -grad / np.abs(grad).max())
    found = line.search(alpha=alpha)
    assert_strong_wolfe(line, found)
    assert found.nfev < 30


@given(
    roots=st.lists(st.floats(-5, 5), min_size=2, max_size=4),
    start=st.floats(-8, 8),
    alpha=st.floats(-4, 4).map(lambda power: 10**power),
    c2=st.sampled_from([0.1, 0.9]),
)
def test_found_step_meets_strong_wolfe_on_polynomials(roots, start, alpha, c2):
    polynomial = np.polynomial.Polynomial.fromroots(np.repeat(roots, 2))
    derivative = polynomial.deriv()
    slope = float(derivative(start))
    value = float(polynomial(start))
    if abs(slope) < 1e-3 * (1 + abs(value)):
        return
    line = Line(
        lambda x: (float(polynomial(x[0])), np.array([derivative(x[0])])),
        np.array([start]),
        np.array([-math.copysign(1.0, slope)]),
    )
    found = line.search(alpha=alpha, c2=c2)
    if found.condition == "approximate":
        assert abs(found.fun - value) <= 1.5e-8 * abs(value)
    else:
        assert_strong_wolfe(line, found, c2=c2)


# The line functions 1 and 2 of More and Thuente, ACM TOMS 20 (1994) 286.
MORE_THUENTE = [
    (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2, 1e-3, 0.1),
    (
        lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
        1e-4,
        0.1,
    ),
]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("alpha", [1e-3, 1e-1, 1e1, 1e3])
def test_more_and_thuente_lines_take_few_trials(number, alpha):
    phi, slope, c1, c2 = MORE_THUENTE[number]
    line = scalar_line(phi, slope)
    found = line.search(alpha=alpha, c1=c1, c2=c2)
    assert_strong_wolfe(line, found, c1, c2)
    assert found.nfev <= 14


@pytest.mark.parametrize("problem", ZOO, ids=repr)
def test_result_is_what_was_evaluated_and_nothing_is_evaluated_twice(problem):
    x = np.array(problem.start)
    line = Line(problem.fun_and_grad, x, -problem.grad(x))
    found = line.search()
    assert found.nfev == len(line.trials) == len(set(line.trials))
    assert found.alpha in line.trials
    fun, grad = problem.fun_and_grad(x + found.alpha * line.direction)
    assert found.fun == fun
    assert np.array_equal(found.grad, grad)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_shortens_the_step(bad):
    # x - log(1 - x) - 2 x, finite below 1 only; the first trial is far outside
    line = scalar_line(
        lambda x: -x - math.log(1 - x) * 0.1 if x < 1 else bad,
        lambda x: -1 + 0.1 / (1 - x) if x < 1 else bad,
    )
    assert_strong_wolfe(line, line.search(alpha=1e6))


def test_a_gradient_that_is_not_finite_shortens_the_step():
    line = Line(lambda x: (float(x @ x), 2 * x if x[0] > -1.5 else x * np.nan), np.array([1.0]), np.array([-1.0]))
    found = line.search(alpha=3.0)
    assert_strong_wolfe(line, found)


def test_approximate_wolfe_accepts_where_the_loss_is_rounded_away():
    """f = 1e16 + (x - 1)^2 looks constant, and grows by chance; only the slope knows where its minimum is."""
    noise = np.random.default_rng(0)
    line = Line(
        lambda x: (1e16 + 2.0 * noise.integers(1, 3), 2 * (x - 1)),
        np.array([0.0]),
        np.array([1.0]),
    )
    found = strong_wolfe(line, line.direction, 1e16, np.array([-2.0]), alpha=0.9)
    assert found.condition == "approximate"
    assert found.nfev == 1
    assert abs(found.grad[0]) <= 0.9 * 2


def test_approximate_wolfe_is_not_used_where_the_loss_is_resolved():
    """The slopes say that the step is good, the loss, four times what it was, that it is not."""
    line = Line(lambda x: (1.0 + 3.0 * float(x[0] != 0.0), np.array([-1.0 + float(x[0])])), np.zeros(1), np.ones(1))
    assert line.search().condition == "none"


def test_a_cliff_gives_the_lowest_point_that_decreases():
    line = scalar_line(lambda x: -x if x < 0.7 else math.nan, lambda x: -1.0)
    found = line.search(max_evaluations=60)
    assert found.condition == "decrease"
    assert 0.69 < found.alpha < 0.7
    assert found.fun == -found.alpha


def test_a_false_gradient_gives_none_and_the_start():
    x = np.array([1.0, 2.0])
    line = Line(lambda x: (float(x @ x), -2 * x), x, 2 * x)
    found = line.search()
    assert (found.alpha, found.fun, found.condition) == (0.0, 5.0, "none")
    assert np.array_equal(found.grad, -2 * x)
    assert found.finite


def test_an_unbounded_line_ends():
    found = scalar_line(lambda x: -x, lambda x: -1.0).search(max_evaluations=10)
    assert (found.condition, found.nfev) == ("decrease", 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"c1": 0.0}, r"Argument `c1` must lie in \(0, 1\], not 0.0."),
        ({"c1": 0.5, "c2": 0.4}, r"Argument `c2` must lie in \(0.5, 1\], not 0.4."),
        ({"alpha": -1.0}, r"Argument `alpha` must be greater than 0, not -1.0."),
        ({"max_evaluations": 0}, r"Argument `max_evaluations` must be at least 1, not 0."),
        ({"resolution": -1.0}, r"Argument `resolution` must be at least 0, not -1.0."),
    ],
)
def test_bad_numbers_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        scalar_line(lambda x: -x, lambda x: -1.0).search(**options)


def test_a_direction_that_points_uphill_is_named():
    with pytest.raises(ValueError, match=r"Argument `direction` must point downhill, not along a slope of 1.0."):
        scalar_line(lambda x: x, lambda x: 1.0).search()
