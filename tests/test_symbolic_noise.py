"""Under noise: parts of an expression take their simplest form, and noise is seen where a network is too far off."""

from __future__ import annotations

import numpy as np
import pytest

from numkan.symbolic import LIBRARY, finish
from numkan.symbolic.engine import Engine, Fitted, Held, Settings
from numkan.symbolic.expression import Call, Const, Pow, Tape, Var, add, constants, mul, number
from numkan.symbolic.finish import _shortest
from numkan.symbolic.judge import Judge
from numkan.symbolic.parts import parts
from tests.symbolic_engine import engine_of, judge_of, text

sympy = pytest.importorskip("sympy")


def shortest(start, x, y, *others, noise=1e-3):
    """Return what becomes of an expression on samples with noise."""
    rng = np.random.default_rng(1)
    judge = judge_of(x, y + noise * y.std() * rng.normal(size=len(y)))
    for node in (start, *others):
        assert judge.consider(node, "start") is not None
    return _shortest(engine_of(judge, noisy=True), judge.best())[0]


def test_a_sum_that_cancels_to_the_limit_of_a_function_becomes_what_it_is():
    """K1 - K2 atan(K3 b) is 1/b and a number where K3 b is large: K2/K3 is known, K2 and K3 are not."""
    x = np.random.default_rng(0).uniform((0, 0.5), (1, 2), (600, 2))
    scale = 3e4
    drifted = mul(Const(-scale), Call(LIBRARY["arctan"], mul(Const(scale), Var(1))))
    start = mul(Var(0), add(drifted, Const(scale * np.pi / 2 - 1.0)))
    node = shortest(start, x, x[:, 0] * (1 / x[:, 1] - 1))
    assert sympy.simplify(sympy.sympify(text(node)) - sympy.sympify("a*(1/b - 1)")) == 0


def test_a_formula_of_known_numbers_is_shorter_than_one_of_large_free_ones():
    """exp(-asinh(K b)) has one symbol more and one number more than 1/b, and fits as well."""
    x = np.random.default_rng(0).uniform((-1.5, 0.5), (1.5, 2), (800, 2))
    y = np.exp(-(x[:, 0] ** 2) / x[:, 1] ** 2 / 2) / x[:, 1] / np.sqrt(2 * np.pi)
    bell = mul(Const(-0.5), Pow(Var(0), number(2)), Pow(add(Var(1), Const(1e-5)), number(-2)))
    true = mul(Const(0.4), Call(LIBRARY["exp"], bell), Pow(add(Var(1), Const(0.0)), Const(-1.0)))
    far = mul(number(-1), Call(LIBRARY["arcsinh"], mul(Const(2400.0), Var(1))))
    drifted = mul(Const(1915.0), Call(LIBRARY["exp"], add(bell, far)))
    node = shortest(drifted, x, y, true)
    assert not constants(node)
    np.testing.assert_allclose(Tape(node).value(x), y, rtol=1e-12)


def tanh_of_b():
    return add(mul(Const(-8.1), Call(LIBRARY["tanh"], add(mul(Const(0.576), Var(1)), Const(0.98)))), Const(7.1))


def root_of_difference():
    square = Pow(add(Var(1), mul(number(-1), Var(2))), number(2))
    root = Pow(add(Const(30.3), mul(number(-1), square)), number(0.5))
    return mul(Const(0.00637), Var(0), Call(LIBRARY["exp"], mul(Const(0.918), root)))


@pytest.mark.parametrize(
    ("start", "true", "low", "high", "noise"),
    [
        (
            mul(Var(0), Pow(add(tanh_of_b(), Var(2)), number(-1))),
            "a/((b - 1)**2 + c)",
            (-1, -1, 0.5),
            (1, -0.5, 1),
            1e-3,
        ),
        (root_of_difference(), "2*a*(1 - cos(b - c))/(b - c)**2", (0, 0, 0.5), (1, 3, 3.5), 1e-3),
        (
            mul(Var(0), add(Const(0.159), mul(Const(0.341), Call(LIBRARY["gauss"], mul(Const(0.85), Var(1)))))),
            "a/cosh(b)/2",
            (0, -2, 0),
            (1, 2, 1),
            1e-2,
        ),
    ],
)
def test_a_part_that_noise_hides_takes_the_form_with_the_simplest_numbers(start, true, low, high, noise):
    x = np.random.default_rng(0).uniform(low, high, (1200, 3))
    expected = sympy.sympify(true)
    y = sympy.lambdify(sympy.symbols("a b c"), expected)(*x.T)
    node = shortest(start, x, y, noise=noise)
    np.testing.assert_allclose(Tape(node).value(x), y, rtol=1e-9, atol=1e-12)


def test_no_part_is_renamed_when_time_is_up(monkeypatch):
    """Nor within a round, which may take seconds."""
    tried = []
    monkeypatch.setattr(finish, "_shorter", lambda engine, new, node: tried.append(new))
    x = np.random.default_rng(0).uniform((-1, -1, 0.5), (1, -0.5, 1), (300, 3))
    y = x[:, 0] / ((x[:, 1] - 1) ** 2 + x[:, 2]) + 1e-4 * np.random.default_rng(1).normal(size=300)
    for most in (0, 2):
        tried.clear()
        judge = Judge(x, y, None, lambda most=most: len(tried) >= most)
        judge.consider(mul(Var(0), Pow(add(tanh_of_b(), Var(2)), number(-1))), "start")
        _shortest(engine_of(judge, noisy=True), judge.best())
        assert len(tried) == most


def test_a_part_of_known_numbers_stays():
    x = np.random.default_rng(0).uniform(0.5, 2, (200, 2))
    whole = add(Call(LIBRARY["log"], Var(0)), Call(LIBRARY["exp"], mul(Const(0.7), Var(1))))
    (part,) = parts(whole, x)
    assert text(part.variable) == "b"
    assert text(part.exchanged(Var(1))) == "b + log(a)"


def gauss(node):
    return Call(LIBRARY["gauss"], mul(Const(0.7), node))


def difference():
    return add(mul(Const(0.3), Var(0)), mul(Const(-0.3), Var(1)), Const(0.1))


@pytest.mark.parametrize(
    ("whole", "variables"),
    [
        (gauss(difference()), ["a - b"]),
        (gauss(mul(Var(0), Pow(Var(1), number(-1)))), ["a/b"]),
        (mul(Call(LIBRARY["exp"], add(mul(Const(0.5), Pow(Var(0), number(3))), Var(1))), Const(2.0)), ["a"]),
        (mul(gauss(Var(0)), gauss(Var(1))), ["a", "b"]),
        (gauss(add(mul(Var(0), Var(1)), Var(0))), []),
    ],
)
def test_parts_are_functions_of_an_input_or_of_a_sum_or_a_product_of_inputs(whole, variables):
    x = np.random.default_rng(0).uniform(0.5, 2, (200, 2))
    assert [text(part.variable) for part in parts(whole, x)] == variables


def seen(truth, network, noise):
    """Return whether an engine sees noise in what a product of both inputs leaves of 800 samples."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 2, (1000, 2))
    y = truth(x) + noise * rng.normal(size=1000)
    held = Held(x[800:], y[800:])
    fitted = Fitted(lambda x: network(x)[:, None], 0.0, held.rms(network(held.x)))
    settings = Settings(LIBRARY, 1.0, None, 0, lambda text: None)
    engine = Engine(x[:800], y[:800], None, held, settings, fitted)
    engine.judge.consider(mul(Const(0.9), Var(0), Var(1)), "start")
    return engine._noise_is_seen() and engine.noisy


def truth(x):
    return x[:, 0] * x[:, 1]


@pytest.mark.parametrize(("noise", "expected"), [(0.01, True), (0.0, False)])
def test_noise_is_seen_in_what_an_expression_leaves_where_the_network_is_farther_off(noise, expected):
    def network(x):
        return truth(x) + 0.02 * np.sin(7 * x[:, 0]) * np.cos(5 * x[:, 1])

    assert seen(truth, network, noise) is expected


def test_what_the_network_knows_in_part_is_no_noise():
    """Neighbours do not know a fast wave; the network has half of it, and is farther off for another reason."""

    def waves(x):
        return truth(x) + 0.02 * np.sin(3e3 * x[:, 0])

    def network(x):
        return truth(x) + 0.01 * np.sin(3e3 * x[:, 0]) + 0.02 * np.sin(8e3 * x[:, 1])

    assert not seen(waves, network, 0.0)
