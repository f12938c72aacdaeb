"""Adam: against a slow transcription of the paper's algorithm, resumption, schedules, mini-batches, failures."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan.optimize import Adam, Status, adam, cosine
from tests.problems import ZOO, bowl

ROSENBROCK = ZOO[0]
BOWL = bowl(6, 30.0)


def naive_adam(grad, x, steps, rate, beta1=0.9, beta2=0.999, eps=1e-8):
    """Kingma and Ba (2015), algorithm 1, a number at a time; yields x after every step."""
    x = [float(x_j) for x_j in x]
    m = [0.0] * len(x)
    v = [0.0] * len(x)
    for t in range(1, steps + 1):
        g = grad(np.array(x))
        for j in range(len(x)):
            m[j] = beta1 * m[j] + (1 - beta1) * g[j]
            v[j] = beta2 * v[j] + (1 - beta2) * g[j] ** 2
            m_hat = m[j] / (1 - beta1**t)
            v_hat = v[j] / (1 - beta2**t)
            x[j] -= rate(t - 1) * m_hat / (math.sqrt(v_hat) + eps)
        yield np.array(x)


@given(
    seed=st.integers(0, 2**16),
    learning_rate=st.floats(1e-4, 0.5),
    beta1=st.floats(0, 0.99),
    beta2=st.floats(0, 0.9999),
    eps=st.sampled_from([1e-8, 1e-3]),
    schedule=st.sampled_from([None, cosine(30), lambda taken: 1 / (1 + taken)]),
)
def test_every_step_equals_the_paper_transcribed(seed, learning_rate, beta1, beta2, eps, schedule):
    problem = bowl(5, 10.0, seed)
    run = Adam(
        problem.fun_and_grad,
        problem.start,
        learning_rate=learning_rate,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        schedule=schedule,
    )
    rate = lambda taken: learning_rate * (1.0 if schedule is None else schedule(taken))  # noqa: E731
    for expected in naive_adam(problem.grad, problem.start, 30, rate, beta1, beta2, eps):
        assert run.step()
        # differences of rounding grow along the path, most where beta2 is small and the step follows signs
        assert np.abs(run.state.x - expected).max() < 1e-9


def test_the_first_step_is_the_learning_rate_along_the_signs():
    run = Adam(lambda x: (0.0, np.array([1e-3, -1e5, 0.0])), np.zeros(3), learning_rate=0.25)
    run.step()
    assert np.abs(run.state.x - [-0.25, 0.25, 0.0]).max() < 1e-5


def test_minimum_of_a_bowl_is_found():
    result = adam(BOWL.fun_and_grad, BOWL.start, steps=3000, learning_rate=0.05, schedule="cosine")
    assert (result.success, result.status) == (True, Status.FINISHED)
    assert result.fun < 1e-10


def test_state_belongs_to_its_point_and_is_never_written_again():
    run = Adam(ROSENBROCK.fun_and_grad, ROSENBROCK.start, learning_rate=0.01)
    states = [run.state]
    for state in run:
        states.append(state)
        if state.step == 20:
            break
    kept = [state.x.tobytes() for state in states]
    for _ in range(5):
        run.step()
    assert [state.x.tobytes() for state in states] == kept
    for state in states:
        assert state.fun == ROSENBROCK.fun(state.x)
        assert np.array_equal(state.grad, ROSENBROCK.grad(state.x))
        for array in (state.x, state.grad, state.m, state.v):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0.0
    assert [state.t for state in states] == list(range(21))


def test_one_evaluation_a_step_and_one_at_the_start():
    result = adam(ROSENBROCK.fun_and_grad, ROSENBROCK.start, steps=17)
    assert (result.nit, result.nfev, result.history.shape) == (17, 18, (18,))
    assert adam(ROSENBROCK.fun_and_grad, ROSENBROCK.start, steps=0).nfev == 1


def test_float32_stays_float32_and_follows_float64():
    seen = set()

    def single(x):
        seen.add(x.dtype)
        fun, grad = BOWL.fun_and_grad(x)
        return np.float32(fun), np.float32(grad)

    run = Adam(single, np.array(BOWL.start, np.float32), learning_rate=0.05)
    double = Adam(BOWL.fun_and_grad, BOWL.start, learning_rate=0.05)
    for _ in range(50):
        run.step()
        double.step()
        for array in (run.state.x, run.state.grad, run.state.m, run.state.v):
            assert array.dtype == np.float32
    assert seen == {np.dtype(np.float32)}
    assert np.abs(run.state.x - double.state.x).max() < 1e-4


def test_same_bits_on_repetition():
    first, second = (adam(ROSENBROCK.fun_and_grad, ROSENBROCK.start, learning_rate=0.1) for _ in range(2))
    assert first.x.tobytes() == second.x.tobytes()
    assert first.history.tobytes() == second.history.tobytes()


def test_N_RES_resumed_from_a_state_equals_uninterrupted():
    """The moments and the step of a state are all that a later run needs."""
    schedule = cosine(60)
    full = Adam(ROSENBROCK.fun_and_grad, ROSENBROCK.start, learning_rate=0.1, schedule=schedule)
    for _ in range(25):
        full.step()
    saved = full.state
    for _ in range(30):
        full.step()
    later = Adam(ROSENBROCK.fun_and_grad, saved.x, learning_rate=0.1, schedule=schedule)
    later.restart(saved.x, moments=(saved.m, saved.v, saved.t), step=saved.step)
    for _ in range(30):
        later.step()
    assert later.state.x.tobytes() == full.state.x.tobytes()
    assert later.state.step == full.state.step


def test_restart_takes_a_new_length_and_forgets_the_moments_but_not_the_step():
    run = Adam(lambda x: (float(x @ x), 2 * x), np.ones(2), learning_rate=0.1)
    for _ in range(4):
        run.step()
    run.restart(np.ones(3))
    state = run.state
    assert (state.step, state.t, run.nfev) == (4, 0, 6)
    assert state.m.shape == state.v.shape == (3,)
    assert not state.m.any()
    with pytest.raises(ValueError, match="Argument `x` must be finite"):
        run.restart([np.nan])
    with pytest.raises(ValueError, match=r"Argument `m` must have shape \(3,\), not \(2,\)."):
        run.restart(np.ones(3), moments=(np.ones(2), np.ones(2), 1))
    assert run.state is state


@pytest.mark.parametrize("evaluation", [2, 3, 10])
def test_N_INT_an_interruption_leaves_the_last_accepted_step(evaluation):
    full = Adam(ROSENBROCK.fun_and_grad, ROSENBROCK.start)
    states = [full.state, *(state for state, _ in zip(full, range(20), strict=False))]
    calls = 0

    def fun_and_grad(x):
        nonlocal calls
        calls += 1
        if calls == evaluation:
            raise KeyboardInterrupt
        return ROSENBROCK.fun_and_grad(x)

    run = Adam(fun_and_grad, ROSENBROCK.start)
    with pytest.raises(KeyboardInterrupt):
        for _ in run:
            pass
    expected = states[evaluation - 2]
    for name in ("x", "grad", "m", "v"):
        assert getattr(run.state, name).tobytes() == getattr(expected, name).tobytes()
    while run.state.step < 15:
        run.step()
    assert run.state.x.tobytes() == states[15].x.tobytes()


def test_mini_batches_reach_the_solution_of_all_rows():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(512, 4))
    truth = np.array([1.0, -2.0, 0.5, 3.0])
    target = matrix @ truth

    def batch(x):
        rows = rng.integers(0, 512, size=32)
        residuals = matrix[rows] @ x - target[rows]
        return residuals @ residuals / 32, matrix[rows].T @ residuals / 16

    result = adam(batch, np.zeros(4), steps=800, learning_rate=0.1, schedule="cosine")
    assert np.abs(result.x - truth).max() < 1e-6


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_step_to_a_loss_that_is_not_finite_is_not_taken(bad):
    def cliff(x):
        return (-x[0] if x[0] < 0.35 else bad), np.array([-1.0])

    result = adam(cliff, [0.0], learning_rate=0.1, steps=50)
    assert (result.nit, result.status, result.success) == (3, Status.NONFINITE, False)
    assert abs(result.x[0] - 0.3) < 1e-6
    assert result.fun == -result.x[0]
    assert "learning_rate" in result.message
    result = adam(lambda x: (1.0, np.array([1.0 if x[0] == 0 else bad])), [0.0])
    assert (result.nit, result.status) == (0, Status.NONFINITE)


def test_huge_gradients_end_in_no_warning():
    for dtype in (np.float32, np.float64):
        huge = np.finfo(dtype).max / 2
        result = adam(lambda x, huge=huge: (1.0, np.full_like(x, huge)), np.ones(2, dtype), steps=3)
        assert np.isfinite(result.x).all()


def test_stop_iteration_in_the_callback_ends_the_run_there():
    def callback(state):
        if state.step == 7:
            raise StopIteration

    result = adam(ROSENBROCK.fun_and_grad, ROSENBROCK.start, callback=callback)
    assert (result.nit, result.status, result.success) == (7, Status.CALLBACK, False)


def test_cosine_falls_from_one_to_zero_and_stays():
    factors = [cosine(10)(taken) for taken in range(13)]
    assert factors[0] == 1.0
    assert abs(factors[5] - 0.5) < 1e-15
    assert factors[10:] == [0.0, 0.0, 0.0]
    assert all(a >= b for a, b in pairwise(factors))
    assert cosine(0)(0) == 1.0


def test_a_schedule_sees_the_steps_already_taken():
    seen = []
    rates = []
    adam(
        BOWL.fun_and_grad,
        BOWL.start,
        steps=4,
        learning_rate=0.5,
        schedule=lambda taken: seen.append(taken) or 0.5**taken,
        callback=lambda state: rates.append(state.rate),
    )
    assert seen == [0, 1, 2, 3]
    assert rates == [0.5, 0.25, 0.125, 0.0625]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": -1}, ValueError, "Argument `steps` must be at least 0, not -1."),
        ({"learning_rate": 0.0}, ValueError, "Argument `learning_rate` must be greater than 0, not 0.0."),
        ({"beta1": 1.0}, ValueError, "Argument `beta1` must be less than 1, not 1.0."),
        ({"beta2": -0.1}, ValueError, r"Argument `beta2` must lie in \[0, 1\], not -0.1."),
        ({"eps": 0.0}, ValueError, "Argument `eps` must be greater than 0, not 0.0."),
        (
            {"schedule": "cosin"},
            ValueError,
            "Argument `schedule` must be one of 'constant', 'cosine', not 'cosin'. Did you mean 'cosine'?",
        ),
        ({"schedule": 3}, TypeError, "Argument `schedule` must be callable or None, not 3."),
        (
            {"schedule": lambda taken: math.nan},
            ValueError,
            "Argument `schedule` must give finite factors, not a rate of nan at 0.",
        ),
        ({"schedule": ["cosine"]}, TypeError, r"Argument `schedule` must be callable or None, not \['cosine'\]."),
        ({"x0": [np.inf, 1.0]}, ValueError, "Argument `x0` must be finite, not with 1 NaN or infinite entry.*"),
        ({"callback": 3}, TypeError, "Argument `callback` must be callable or None, not 3."),
    ],
)
def test_bad_arguments_are_named_in_one_sentence(options, error, message):
    arguments = {"fun_and_grad": ROSENBROCK.fun_and_grad, "x0": [1.0, 2.0], **options}
    with pytest.raises(error, match=f"^{message.replace('?', '[?]')}$"):
        adam(**arguments)
