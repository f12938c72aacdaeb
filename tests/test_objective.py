"""What optimizers take and refuse: starts, functions, numbers, and how often a function is called."""

from __future__ import annotations

import numpy as np
import pytest

from numkan.optimize import LBFGS, lbfgs
from tests.problems import ZOO

ROSENBROCK = ZOO[0]


def test_a_reused_gradient_buffer_changes_nothing():
    buffer = np.empty(2)

    def reusing(x):
        buffer[:] = ROSENBROCK.grad(x)
        return ROSENBROCK.fun(x), buffer

    expected = lbfgs(ROSENBROCK.fun_and_grad, ROSENBROCK.start)
    assert lbfgs(reusing, ROSENBROCK.start).x.tobytes() == expected.x.tobytes()


def test_evaluations_are_counted_and_never_repeated():
    points = []

    def fun_and_grad(x):
        points.append(x.tobytes())
        return ROSENBROCK.fun_and_grad(x)

    result = lbfgs(fun_and_grad, ROSENBROCK.start)
    assert result.nfev == len(points) == len(set(points))


def test_a_float32_start_takes_float64_gradients_and_other_dtypes_become_float64():
    run = LBFGS(lambda x: (np.float64(x @ x), 2.0 * np.float64(x)), np.ones(3, ">f4"))
    run.step()
    assert run.state.x.dtype == np.float32
    for start in ([1, 2], np.array([1, 2]), np.array([1.0, 2.0], np.float16), (1.0, 2.0)):
        assert lbfgs(ROSENBROCK.fun_and_grad, start).x.dtype == np.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "Argument `steps` must be at least 0, not -1."),
        ({"memory": 0}, "Argument `memory` must be at least 1, not 0."),
        ({"gtol": -1.0}, "Argument `gtol` must be at least 0, not -1.0."),
        ({"ftol": float("nan")}, "Argument `ftol` must be at least 0, not nan."),
        ({"c1": 0.0}, r"Argument `c1` must lie in \(0, 1\], not 0.0."),
        ({"c2": 1.5}, r"Argument `c2` must lie in \(0.0001, 1\], not 1.5."),
        ({"max_evaluations": 0}, "Argument `max_evaluations` must be at least 1, not 0."),
        (
            {"x0": [np.nan, 1.0]},
            r"Argument `x0` must be finite, not with 1 NaN or infinite entry, the first \(nan\) at 0.",
        ),
        ({"x0": [[1.0, 2.0]]}, r"Argument `x0` must have one dimension, not shape \(1, 2\)."),
        ({"x0": 1.0}, r"Argument `x0` must have one dimension, not shape \(\)."),
        ({"fun_and_grad": lambda x: (np.nan, x)}, "Argument `x0` must be a point of finite loss, not of loss nan."),
        (
            {"fun_and_grad": lambda x: (1.0, np.array([np.inf, 0.0]))},
            "Argument `x0` must be a point of finite gradient, not of one with 1 NaN or infinite entry.",
        ),
        (
            {"fun_and_grad": lambda x: (1.0, np.zeros(3))},
            r"Argument `fun_and_grad` must return a gradient of shape \(2,\), not one of shape \(3,\).",
        ),
    ],
)
def test_bad_values_are_named_in_one_sentence(options, message):
    arguments = {"fun_and_grad": ROSENBROCK.fun_and_grad, "x0": [1.0, 2.0], **options}
    with pytest.raises(ValueError, match=f"^{message}$"):
        lbfgs(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 1.5}, "Argument `steps` must be an integer, not 1.5."),
        ({"memory": True}, "Argument `memory` must be an integer, not True."),
        ({"gtol": "small"}, "Argument `gtol` must be a real number, not 'small'."),
        ({"fun_and_grad": 3}, "Argument `fun_and_grad` must be callable, not 3."),
        ({"x0": [1j, 2.0]}, "Argument `x0` must hold real numbers, not dtype complex128."),
        ({"fun_and_grad": lambda x: 1.0}, r"Argument `fun_and_grad` must return \(loss, gradient\), not float."),
        (
            {"fun_and_grad": lambda x: (np.ones(1), x)},
            r"Argument `fun_and_grad` must return the loss as one real number, not an array of shape \(1,\) and .*",
        ),
        (
            {"fun_and_grad": lambda x: (1.0, x * 1j)},
            r"Argument `fun_and_grad` must return a real gradient, not an array of shape \(2,\) and dtype complex128.",
        ),
        (
            {"fun_and_grad": lambda x: (1.0, [[1.0], [1.0, 2.0]])},
            r"Argument `fun_and_grad` must return a real gradient, not \[\[1.0\], \[1.0, 2.0\]\].",
        ),
        (
            {"fun_and_grad": lambda x: (1.0, [10**400, "1"])},
            r"Argument `fun_and_grad` must return a real gradient, not \[1000+\.\.\.0+, '1'\].",
        ),
        (
            {"fun_and_grad": lambda x: ("1", x)},
            "Argument `fun_and_grad` must return the loss as one real number, not '1'.",
        ),
        ({"callback": 3}, "Argument `callback` must be callable or None, not 3."),
    ],
)
def test_bad_types_are_named_in_one_sentence(options, message):
    arguments = {"fun_and_grad": ROSENBROCK.fun_and_grad, "x0": [1.0, 2.0], **options}
    with pytest.raises(TypeError, match=f"^{message}$"):
        lbfgs(**arguments)


def test_errors_of_the_function_come_through():
    def broken(x):
        if x[0] != ROSENBROCK.start[0]:
            raise ZeroDivisionError("mine")
        return ROSENBROCK.fun_and_grad(x)

    with pytest.raises(ZeroDivisionError, match="mine"):
        lbfgs(broken, ROSENBROCK.start)
