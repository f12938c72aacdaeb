"""Which of several expressions becomes the formula: separable ones at once, plain ones, those with simple numbers."""

from __future__ import annotations

import numpy as np
import pytest

from numkan.symbolic import LIBRARY, Oracle, refine, snap, symbols
from numkan.symbolic.engine import Held
from numkan.symbolic.expression import Call, Const, Pow, Tape, Var, add, constants, mul, number, walk
from numkan.symbolic.finish import _constants, _shortest
from numkan.symbolic.limits import limits
from numkan.symbolic.separable import separable
from numkan.symbolic.snap import standard_errors
from numkan.symbolic.span import in_span, make_table
from numkan.symbolic.swap import plainer
from numkan.symbolic.symbols import simplified, symbols_for
from tests.symbolic_engine import engine_of, judge_of, text

pytestmark = pytest.mark.slow

sympy = pytest.importorskip("sympy")


@pytest.mark.parametrize(
    ("f", "low", "high"),
    [
        (lambda a, b: np.arcsin(a * np.sin(b)), (0.0, 0.0), (0.95, 6.28)),
        (lambda a, b: 1.0 + a * np.sin(b), (0.1, 0.0), (2.0, 6.28)),  # the mean of one factor is 0
        (lambda a, b: 1.0 / (np.exp(a) + np.sin(b)), (0.5, 0.5), (2.0, 2.0)),
        (lambda a, b, c: np.log(a) * np.exp(-b) / (c + 2.0), (0.5, 0.5, 0.5), (2.5, 2.5, 2.5)),
    ],
)
def test_sums_and_products_under_a_transform_are_found_without_a_network(f, low, high):
    x = np.random.default_rng(0).uniform(low, high, (1000, len(low)))
    judge = judge_of(x, f(*x.T))
    for node in separable(x, f(*x.T), LIBRARY):
        judge.consider(node, "separable")
    assert judge.exact is not None


def test_what_is_not_separable_is_not_proposed():
    x = np.random.default_rng(0).uniform(0.5, 2.5, (600, 2))
    assert not list(separable(x, np.sin(x[:, 0] * x[:, 1] ** 2) + x[:, 0], LIBRARY))


def test_a_function_that_is_the_same_on_the_samples_is_exchanged_for_a_plainer_one():
    x = np.random.default_rng(0).uniform(0.5, 2.5, (400, 1))
    far = add(Var(0), Const(-20.0))
    (node, *_) = plainer(mul(Const(1e-8), Call(LIBRARY["sinh"], far)), x, LIBRARY)
    assert "exp" in text(node)
    assert not list(plainer(Call(LIBRARY["sinh"], Var(0)), x, LIBRARY))


def test_an_exact_formula_has_the_plainer_function():
    x = np.random.default_rng(0).uniform(0.5, 2.5, (400, 1))
    judge = judge_of(x, np.cos(5.0 * np.exp(-x[:, 0])))
    wave = mul(Const(2.06e-8), Call(LIBRARY["sinh"], add(Var(0), Const(-20.0))))
    judge.consider(Call(LIBRARY["sin"], add(wave, Const(np.pi / 2, "pi/2"))), "ugly")
    assert judge.exact is not None
    node, _ = _shortest(engine_of(judge, noisy=False), judge.exact)
    assert "sinh" not in text(node)
    assert "exp(-a)" in text(node)


def cancelling(samples):
    """Return samples of (1 - cos(a - b))/(a - b)^2, one of them with a - b = 1e-4, and the expression."""
    x = np.random.default_rng(0).uniform(0.0, 3.0, (samples, 2))
    x[7, 1] = x[7, 0] - 1e-4
    u = x[:, 0] - x[:, 1]
    difference = add(Var(0), mul(number(-1), Var(1)))
    wave = add(Call(LIBRARY["sin"], add(difference, Const(np.pi / 2, "pi/2"))), number(-1))
    return x, 2.0 * np.square(np.sin(u / 2) / u), mul(Const(-1.0), wave, Pow(difference, number(-2)))


def test_a_sample_where_the_formula_cancels_does_not_make_it_inexact():
    x, y, node = cancelling(400)
    judge = judge_of(x, y)
    assert np.sqrt(np.mean(np.square(Tape(node).value(x) - y))) > 1e-10 * np.std(y)
    assert judge.consider(node, "cancels") is judge.exact
    (own,) = constants(judge.exact.node)
    assert own.value == pytest.approx(-1.0, rel=1e-14)
    assert len(judge.x) < 400


def test_where_a_sample_cancels_the_others_must_agree_to_rounding():
    x, y, node = cancelling(400)
    off = y + 1e-9 * np.std(y) * np.sin(9 * x[:, 0])
    judge = judge_of(x, off)
    judge.consider(node, "cancels")
    assert judge.exact is None


def test_no_simplification_turns_measured_numbers_into_long_integers(monkeypatch):
    """Sympy works with fractions for floats, and integers that come of it stay; they would count as known exactly."""
    (a,) = symbols_for(["a"], [0.5])
    long = sympy.Float(7.14e-29) * (118324945811311 * a + 1) ** 2
    monkeypatch.setattr(sympy, "simplify", lambda form: long)
    expression = sympy.sqrt(0.97 * a + 1.003) + sympy.Float(0.5) * sympy.exp(0.3 * a) * sympy.sin(0.7 * a)
    assert simplified(expression) != long
    assert max(abs(n.p) for n in simplified(expression).atoms(sympy.Rational)) < 100


def test_functions_in_a_span_hold_no_long_numbers_that_count_as_exact():
    """The table of (a + 1.3)^2 b + sin(b): a square of a scaled input is in its span, and its scale is no constant."""

    def ask(x):
        return (x[:, 0] + 1.3) ** 2 * x[:, 1] + np.sin(x[:, 1]), np.full(len(x), 1e-9)

    oracle = Oracle(ask, np.array([0.3, 0.5]), np.array([2.9, 2.0]))
    table = make_table(oracle, 0, np.random.default_rng(0))
    nodes = [node for _, node in in_span(table, LIBRARY)]
    shifts = [constants(node)[0].value for node in nodes if text(node).endswith(")**2")]
    assert shifts == [pytest.approx(1.3, rel=1e-6)]
    assert all(len(leaf.exact) < 5 for node in nodes for leaf in walk(node) if isinstance(leaf, Const))


def noisy_samples():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 5, (1600, 2))
    y = (1 + x[:, 0] * x[:, 1]) / (1 + x[:, 0])
    return x, y + 0.01 * y.std() * rng.normal(size=len(y))


def form(outer):
    """Return (c b + d) f(a + s) + e b + g, with f a power or a logarithm."""
    weight = add(mul(Const(-0.9), Var(1)), Const(0.9))
    return add(mul(weight, outer), mul(Const(1.0), Var(1)), Const(0.1))


def test_constants_that_are_sure_only_together_are_snapped_together():
    """No constant of (1 - c/(a + s)) (b - t) + u is known to 9 bits, but all are 1 within their errors."""
    x, y = noisy_samples()
    ratio = mul(Const(-0.9), Pow(add(Var(0), Const(1.1)), number(-1)))
    start = mul(add(number(1), ratio), add(Var(1), Const(-0.9)))
    node = snap(add(start, Const(0.9)), x, y, noisy=True)
    assert not constants(node)
    assert text(node) == "(1 - 1/(a + 1))*(b - 1) + 1"


def test_constants_that_are_not_simple_stay_numbers_with_noise():
    rng = np.random.default_rng(1)
    x = rng.uniform(1, 3, (800, 1))
    y = 1.0173 * np.exp(-0.6127 * x[:, 0]) + 0.31741
    node = add(mul(Const(1.0), Call(LIBRARY["exp"], mul(Const(-0.6), Var(0)))), Const(0.3))
    snapped = snap(node, x, y + 1e-4 * rng.normal(size=800), noisy=True)
    assert len(constants(snapped)) == 3


def test_with_noise_the_form_with_simple_numbers_wins():
    """A logarithm and a reciprocal are alike under the noise; only the reciprocal has simple numbers."""
    x, y = noisy_samples()
    judge = judge_of(x, y)
    judge.consider(form(Call(LIBRARY["arctan"], add(mul(Const(0.5), Var(0)), Const(0.5)))), "wrong")
    judge.consider(form(Pow(add(Var(0), Const(1.1)), number(-1))), "right")
    wrong = next(t for t in judge.tried if t.origin == "wrong")
    node, _ = _shortest(engine_of(judge, noisy=True), wrong)
    assert not constants(node)


def test_a_snapped_constant_keeps_the_error_that_it_had():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 3, (400, 1))
    judge = judge_of(x, 2.0 * np.exp(-x[:, 0] / 2) + 0.003 * rng.normal(size=400))
    best = judge.consider(mul(Const(1.0), Call(LIBRARY["exp"], mul(Const(-1.0), Var(0)))), "start")
    before = standard_errors(best.node, judge.x, best.rms)[0]
    node, known = _shortest(engine_of(judge, noisy=True), best)
    assert text(node) == "2*exp(-a/2)"
    found = _constants(engine_of(judge, noisy=True), node, best.rms, known)
    assert sorted(c.error for c in found if c.value in (2.0, -0.5)) == sorted(before)


def test_standard_errors_follow_the_weights():
    """The noise grows by a factor of 50 over x, and weights say so: the errors cover the truth as without weights."""
    rng = np.random.default_rng(2)
    x = np.linspace(0, 3, 200)[:, None]
    true = np.array([1.3, -0.7, 0.4])
    y = true[0] * np.exp(true[1] * x[:, 0]) + true[2]
    noise = 0.002 * np.exp(1.3 * x[:, 0])
    start = add(mul(Const(1.0), Call(LIBRARY["exp"], mul(Const(-1.0), Var(0)))), Const(0.0))
    share = []
    for _ in range(60):
        weight = 1.0 / np.square(noise)
        fitted = refine(start, x, y + noise * rng.normal(size=200), weight=weight)
        errors = standard_errors(fitted.expression, x, fitted.rms, weight)[0]
        share += list((np.array([c.value for c in constants(fitted.expression)]) - true) / errors)
    assert 0.8 < np.sqrt(np.mean(np.square(share))) < 1.2


def test_held_out_residuals_are_weighted():
    held = Held(np.zeros((2, 1)), np.array([1.0, 2.0]), np.sqrt([0.5, 1.5]))
    assert held.rms(np.array([2.0, 2.0])) == pytest.approx(0.5)
    assert held.where([True, False]).rms(np.array([2.0])) == pytest.approx(np.sqrt(0.5))


def test_standard_errors_cover_the_true_constants():
    """Of 3 constants in 60 draws of noise, 95 % lie within 2.5 standard errors."""
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 3, (200, 1))
    true = np.array([1.3, -0.7, 0.4])
    y = true[0] * np.exp(true[1] * x[:, 0]) + true[2]
    inside = 0
    for _ in range(60):
        start = add(mul(Const(1.0), Call(LIBRARY["exp"], mul(Const(-1.0), Var(0)))), Const(0.0))
        fitted = refine(start, x, y + 0.02 * rng.normal(size=200))
        errors = standard_errors(fitted.expression, x, fitted.rms)[0]
        values = np.array([c.value for c in constants(fitted.expression)])
        inside += int((np.abs(values - true) <= 2.5 * errors).sum())
    assert inside >= 0.95 * 180


@pytest.mark.parametrize(
    ("name", "scale", "limit"),
    [
        ("arcsinh", 1e3, lambda u: np.log(2 * u)),
        ("arcsinh", -1e3, lambda u: -np.log(-2 * u)),
        ("arcsinh", 1e-3, lambda u: u),
        ("sinh", 20.0, lambda u: np.exp(u) / 2),
        ("cosh", -20.0, lambda u: np.exp(-u) / 2),
        ("tanh", 1e-3, lambda u: u),
        ("logistic", -20.0, np.exp),
        ("arctan", 1e3, lambda u: np.pi / 2 - 1 / u),
    ],
)
def test_a_function_near_0_or_far_from_it_is_exchanged_for_its_limit(name, scale, limit):
    x = np.random.default_rng(0).uniform(0.5, 2.5, (100, 1))
    (node,) = limits(Call(LIBRARY[name], mul(number(scale), Var(0))), x, LIBRARY)
    np.testing.assert_allclose(Tape(node).value(x), limit(scale * x[:, 0]), rtol=1e-12)


def test_a_function_that_is_not_in_its_limit_stays():
    x = np.random.default_rng(0).uniform(0.5, 2.5, (100, 1))
    assert not list(limits(Call(LIBRARY["arcsinh"], Var(0)), x, LIBRARY))


def test_no_limit_holds_a_function_that_is_forbidden():
    x = np.random.default_rng(0).uniform(0.5, 2.5, (100, 1))
    part = Call(LIBRARY["arcsinh"], mul(Const(1e3), Var(0)))
    assert not list(limits(part, x, {name: f for name, f in LIBRARY.items() if name != "log"}))


def test_under_noise_a_function_that_drifted_into_its_limit_becomes_the_limit():
    """The data do not tell asinh(c b) from log(2 c b): c has no value, and its error is larger than itself."""
    rng = np.random.default_rng(0)
    x = rng.uniform((-1, 0.5), (1, 2), (800, 2))
    y = np.exp(-(x[:, 0] ** 2)) / x[:, 1]
    judge = judge_of(x, y + 1e-3 * y.std() * rng.normal(size=800))
    far = Call(LIBRARY["arcsinh"], mul(Const(2400.0), Var(1)))
    bell = mul(Const(-1.0), Pow(Var(0), number(2)))
    judge.consider(mul(Const(4800.0), Call(LIBRARY["exp"], add(bell, mul(number(-1), far)))), "drifted")
    node, _ = _shortest(engine_of(judge, noisy=True), judge.best())
    assert "asinh" not in text(node)
    np.testing.assert_allclose(Tape(node).value(x), y, rtol=1e-3)
    assert len(constants(node)) <= 1


@pytest.mark.parametrize("most", range(20, 24))
def test_a_change_that_takes_too_long_is_given_up_where_generators_are_closed_too(monkeypatch, most):
    monkeypatch.setattr(symbols, "_MOST_CALLS", most)

    def change(expression):
        for _ in range(10 * most):
            unfinished = (expression for _ in range(3))
            next(unfinished)
            del unfinished  # closes it
        return "through"

    with pytest.raises(symbols._TooLongError):
        symbols._within_calls(change, 1)
