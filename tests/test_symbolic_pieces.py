"""The pieces of numkan.symbolic, each by itself: no network is fitted here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from numkan.symbolic import LIBRARY, Oracle, equivalent, identify, refine, snap, symmetries
from numkan.symbolic.closed import power_law, ratios
from numkan.symbolic.coordinates import products_of_coordinates
from numkan.symbolic.expression import Call, Const, Pow, Tape, Var, add, bits, constants, mul, number
from numkan.symbolic.judge import is_rounding
from numkan.symbolic.leaves import leaves
from numkan.symbolic.oracle import additive_part
from numkan.symbolic.snap import folded, simple_number
from numkan.symbolic.solve import Solver
from numkan.symbolic.structure import interactions, irrelevant, partition, test_additive, test_multiplicative
from numkan.symbolic.symbols import c_text, from_sympy, python_text, simplified, symbols_for, to_sympy
from numkan.symbolic.symmetry import KINDS, test_symmetry
from numkan.symbolic.transforms import TRANSFORMS
from numkan.symbolic.whiteness import alike, explained

pytestmark = pytest.mark.slow

pytest.importorskip("sympy")

#: a, b of each function, where (1.3, 0.2) would leave its domain.
INSIDE = {"arcsin": (0.5, -0.4), "arccos": (0.5, -0.4), "arctanh": (0.5, -0.4), "tan": (0.6, -0.2), "abs": (1.0, -1.0)}
SAME = {"arccos": "arcsin", "logistic": "tanh"}  # equal to the other, which comes first


def oracle(f, low, high, error=1e-9):
    low, high = np.array(low, float), np.array(high, float)
    return Oracle(lambda x: (f(*x.T), np.full(len(x), error)), low, high)


def proposed(f, low, high):
    """Return the best refined residual of the first proposals for a function, relative to its deviation."""
    x = np.random.default_rng(5).uniform(low, high, (300, len(low)))
    y = f(*x.T)
    nodes = Solver(LIBRARY).propose(oracle(f, low, high, 1e-8 * float(np.std(y))))
    return min(refine(node, x, y).rms for _, node in zip(range(6), nodes, strict=False)) / np.std(y)


# --- one variable -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIBRARY)
def test_every_function_of_the_library_is_told_from_all_others(name):
    function = LIBRARY[name]
    a, b = INSIDE.get(name, (1.3, 0.2))
    a, b = a if "a" in function.varies else 1.0, b if "b" in function.varies else 0.0
    u = np.linspace(0.3, 2.1, 60)
    y = 2.0 * function.value(a * u + b) - 1.0
    best = identify(u, y, noise=1e-9)[0]
    assert best.name == SAME.get(name, name)
    assert best.misfit < 1e-2
    np.testing.assert_allclose(best(u), y, rtol=0, atol=1e-11)
    np.testing.assert_allclose(Tape(best.expression()).value(u[:, None]), y, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", LIBRARY)
def test_derivatives_of_the_library_are_those_of_its_functions(name):
    function = LIBRARY[name]
    u = np.linspace(0.31, 0.83, 7)
    h = 1e-5
    slope = (function.value(u + h) - function.value(u - h)) / (2 * h)
    np.testing.assert_allclose(function.derivative(u), slope, rtol=1e-7, atol=1e-7)


def test_numbers_near_the_end_of_the_range_are_answered():
    u = np.linspace(1, 2, 40)
    assert identify(u, 1e300 * u, noise=1e-300)[0].name == "identity"
    assert identify(u, 1e-300 * u)[0].name == "identity"


def test_with_noise_a_shorter_function_wins_over_a_closer_one():
    rng = np.random.default_rng(0)
    u = np.linspace(0, 1, 80)
    noisy = 2 * u + 1 + 0.05 * rng.normal(size=80)
    matches = identify(u, noisy, noise=0.05)
    assert matches[0].name == "identity"
    assert min(match.rms for match in matches) < matches[0].rms


def test_a_function_of_the_users_own_is_found_and_a_forbidden_one_is_not():
    u = np.linspace(-2, 2, 60)
    y = 3 * np.cos(u) * np.exp(-0.3 * u * u) + 1

    def wave(t):
        return np.cos(t) * np.exp(-0.3 * t * t)

    best = identify(u, y, noise=1e-7, library={"wave": wave})[0]
    assert (best.name, round(abs(best.a), 6), round(best.c, 6)) == ("wave", 1.0, 3.0)
    assert identify(u, np.sin(2 * u), noise=1e-7)[0].name == "sin"
    assert "sin" not in {match.name for match in identify(u, np.sin(2 * u), noise=1e-7, forbid=["sin"])}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0] * 5, [1.0] * 5), "Argument `u` must have shape .n,. with at least 8 samples"),
        (([1.0] * 9, [1.0] * 8), "Argument `y` must have shape"),
        (([np.nan] * 9, [1.0] * 9), "Argument `u` must be finite"),
    ],
)
def test_identify_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        identify(*arguments)


def test_identify_says_what_is_wrong_with_options():
    u = np.linspace(0, 1, 9)
    with pytest.raises(ValueError, match="Argument `forbid` must hold names of the library, not 'sine'"):
        identify(u, u, forbid=["sine"])
    with pytest.raises(TypeError, match="Argument `library` must be a mapping"):
        identify(u, u, library=[np.sin])
    with pytest.raises(ValueError, match="Argument `noise` must be at least 0"):
        identify(u, u, noise=-1.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda u: np.sqrt(1 + u**2),
        lambda u: 1 / (np.exp(u) + np.exp(-u)),
        lambda u: u * np.exp(-u),
        lambda u: np.exp(-u) * np.sin(5 * u),
        lambda u: u + np.sin(3 * u),
        lambda u: (1 + u) / (2 + u * u),
        lambda u: np.cos(np.exp(u)) + 2.5,
        lambda u: np.cos(40 * np.sqrt(u)) - 0.4,
    ],
    ids=["root of a square", "one over a sum", "times a power", "damped", "line and sine", "ratio", "inner", "fast"],
)
def test_one_variable_that_is_more_than_one_function_is_found(f):
    u = np.linspace(0.3, 2.1, 56)
    best = leaves(u, f(u), np.full(56, 1e-7), LIBRARY)[0]
    fresh = np.linspace(0.35, 2.0, 23)
    np.testing.assert_allclose(Tape(best.expression).value(fresh[:, None]), f(fresh), rtol=0, atol=1e-6)


# --- structure --------------------------------------------------------------------------------------------------------


def test_sums_and_products_are_told_apart():
    low, high = [0.5, 0.5], [2, 2]
    total, product = oracle(lambda a, b: np.sin(a) + b**2, low, high), oracle(lambda a, b: np.sin(a) * b**2, low, high)
    identity, log = TRANSFORMS[0], TRANSFORMS[1]
    assert test_additive(total, [0], identity).accepted
    assert not test_additive(product, [0], identity).accepted
    assert test_additive(product, [0], log).accepted
    assert test_multiplicative(product, [0]).accepted
    assert not test_multiplicative(total, [0]).accepted


def test_a_true_structure_is_rejected_at_its_level_only_by_chance():
    """Errors of the size that the oracle admits reject 1 in 1000 at most; twice as large ones, many."""
    rng = np.random.default_rng(0)

    def noisy(size):
        return Oracle(lambda x: (x.sum(axis=1) + size * rng.normal(size=len(x)), np.full(len(x), 1.0)),
                      np.zeros(2), np.full(2, 1000.0))  # fmt: skip

    assert all(test_additive(noisy(1.0), [0], TRANSFORMS[0]).accepted for _ in range(60))
    assert not any(test_additive(noisy(6.0), [0], TRANSFORMS[0]).accepted for _ in range(60))


def test_groups_that_interact_are_found_under_every_transform_at_once():
    f = oracle(lambda a, b, c, d: np.exp(a * b) * (c + d), [0.2] * 4, [1.5] * 4)
    tests = interactions(f, TRANSFORMS[:2], np.random.default_rng(0))
    assert partition(4, tests["y"]) == [[0, 1, 2, 3]]
    assert partition(4, tests["log|y|"]) == [[0, 1], [2, 3]]


def test_an_oracle_that_does_not_answer_is_told_nothing_of():
    """Not even a warning, which the suite would raise."""
    nowhere = Oracle(lambda x: (np.full(len(x), np.nan), np.full(len(x), 1.0)), np.zeros(2), np.ones(2))
    tests = interactions(nowhere, TRANSFORMS, np.random.default_rng(0))
    assert not any(test.accepted for pairs in tests.values() for test in pairs.values())
    assert list(Solver(LIBRARY).propose(nowhere)) == []


def counting(f, n_in, error=1e-3):
    """Return an oracle of a function, and the numbers of points that it is asked at."""
    asked = []

    def ask(x):
        asked.append(len(x))
        return f(*x.T), np.full(len(x), error)

    return Oracle(ask, np.ones(n_in), np.full(n_in, 2.0)), asked


def test_a_search_asks_at_no_more_points_than_it_may():
    f, asked = counting(lambda a, b, c, d: a / (1 + (b - c) ** 2 + np.sin(c * d)), 4)
    solver = Solver(LIBRARY, points=20_000)
    list(solver.propose(f))
    assert solver.points <= 0
    assert sum(asked) < 20_000 + 5_000  # what one test asks at once is all that may come on top
    assert "all points are used up" in solver.trace


def test_a_part_of_a_part_of_a_part_is_evaluated_in_blocks():
    f, asked = counting(lambda a, b, c, d: a * b * c * d, 4)
    part = additive_part(additive_part(additive_part(f, [0, 1, 2]), [0, 1]), [0])
    x = np.linspace(1, 2, 2000)[:, None]
    value, error = part.ask(x)
    assert part.cost * len(x) <= sum(asked)
    assert max(asked) <= 2**17 < part.cost * len(x)
    np.testing.assert_allclose(value / x[:, 0], value[0], rtol=1e-12)
    assert error.shape == value.shape == (2000,)


def test_a_part_that_takes_too_many_points_is_not_looked_at():
    f, asked = counting(lambda a, b: a * b, 2)
    dear = replace(f, cost=3000)
    assert next(Solver(LIBRARY)._proposals(f, 0), None) is not None
    asked.clear()
    assert list(Solver(LIBRARY)._proposals(dear, 0)) == []
    assert not asked


def test_an_input_without_influence_is_seen():
    f = oracle(lambda a, b: np.sin(a) + 0 * b, [0, 0], [1, 1])
    rng = np.random.default_rng(0)
    assert irrelevant(f, 1, rng).accepted
    assert not irrelevant(f, 0, rng).accepted


@pytest.mark.parametrize(
    ("f", "kind", "c"),
    [
        (lambda a, b, s: np.exp(-((a - b) ** 2)) * s, 0, -1.0),
        (lambda a, b, s: np.tanh(a + 2.37 * b) + s, 0, 2.37),
        (lambda a, b, s: np.sin(a / b) * s, 1, -1.0),
        (lambda a, b, s: s / (1 + a * b**2), 1, 2.0),
        (lambda a, b, s: np.cos(s * np.sqrt(a**2 + b**2)), 2, 1.0),
    ],
    ids=["difference", "odd sum", "ratio", "product with a square", "norm"],
)
def test_symmetries_are_found_with_their_constants(f, kind, c):
    best = symmetries(oracle(f, [0.5, 0.6, 1.0], [1.5, 2.0, 2.0]), np.random.default_rng(0))[0]
    assert best.test.accepted
    assert {best.i, best.j} == {0, 1}
    assert best.kind is KINDS[kind]
    found = best.c if best.i == 0 else 1 / best.c
    np.testing.assert_allclose(found, c, rtol=1e-4)


def test_a_wrong_symmetry_is_rejected():
    f = oracle(lambda a, b: np.sin(a - b), [0, 0], [2, 2])
    assert test_symmetry(f, KINDS[0], 0, 1, -1.0).accepted
    assert not test_symmetry(f, KINDS[0], 0, 1, 1.0).accepted


@pytest.mark.parametrize(
    ("f", "low", "high"),
    [
        (lambda a, b: (a + b) / (1 + a * b), [0.1, 0.1], [0.8, 0.8]),
        (lambda a, t: 1 + a + 2 * np.sqrt(a) * np.cos(t), [0.1, 0], [1, 6.28]),
        (lambda a, b: np.cos(a) + b * np.cos(a) ** 2, [0, 0], [6.28, 1]),
        (lambda a, t, s: np.sqrt(1 + a**2 - 2 * a * np.cos(t - s)), [-0.9, 0, 0], [0.9, 6.28, 6.28]),
        (lambda t, u, s: np.exp(-(((t - u) / s) ** 2) / 2) / s, [-1.5, -1.5, 0.5], [1.5, 1.5, 2]),
        (lambda a, b, c: a + b * c, [0, 0, 0], [1, 1, 1]),
    ],
    ids=["addition theorem", "interference", "two powers of one cosine", "law of cosines", "bell", "bilinear"],
)
def test_the_solver_proposes_what_refines_to_rounding(f, low, high):
    assert proposed(f, low, high) < 1e-13


# --- data -------------------------------------------------------------------------------------------------------------


def test_jacobian_of_an_expression_is_that_of_differences():
    node = mul(Const(1.7), Pow(add(mul(Const(0.6), Var(0)), Const(2.0)), Const(1.3)), Call(LIBRARY["tanh"], Var(1)))
    tape, x = Tape(node), np.random.default_rng(0).uniform(0.2, 1, (9, 2))
    value, jac = tape.jacobian(x, tape.theta)
    np.testing.assert_allclose(value, 1.7 * (0.6 * x[:, 0] + 2) ** 1.3 * np.tanh(x[:, 1]), rtol=1e-14)
    for k in range(len(tape.theta)):
        step = np.zeros(len(tape.theta))
        step[k] = 1e-6
        slope = (tape.value(x, tape.theta + step) - tape.value(x, tape.theta - step)) / 2e-6
        np.testing.assert_allclose(jac[:, k], slope, rtol=1e-7, atol=1e-9)


def test_a_constant_in_two_places_is_one_unknown():
    shared = Const(2.0)
    tape = Tape(add(mul(shared, Var(0)), Pow(shared, number(2))))
    x = np.array([[1.0], [3.0]])
    assert len(tape.theta) == 1
    np.testing.assert_allclose(tape.jacobian(x, tape.theta)[1][:, 0], x[:, 0] + 4.0)


def test_refinement_of_a_redundant_form_reaches_rounding():
    x = np.random.default_rng(0).uniform(0.5, 2, (200, 1))
    y = 3 * np.exp(-1.5 * x[:, 0])
    node = mul(Const(2.0), Call(LIBRARY["exp"], add(mul(Const(-1.0), Var(0)), Const(0.3))))
    assert refine(node, x, y).rms < 1e-15
    assert refine(mul(Const(1.0), Var(0)), x, y).rms > 0.1


def test_constants_are_snapped_where_the_data_tell_and_only_there():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 2, (400, 1))
    y = np.pi / 4 * np.sin(2 * x[:, 0]) + 0.7391234517
    node = add(mul(Const(0.8), Call(LIBRARY["sin"], add(mul(Const(2.1), Var(0)), Const(0.1)))), Const(0.7))
    snapped = snap(node, x, y)
    (odd,) = constants(snapped)
    np.testing.assert_allclose(odd.value, 0.7391234517, rtol=1e-12)
    assert str(to_sympy(snapped, symbols_for(["x"]))).startswith("pi*sin(2*x)/4 + 0.7391234517")
    noisy = y + 0.01 * rng.normal(size=400)
    left = snap(refine(node, x, noisy).expression, x, noisy, noisy=True)
    assert any(abs(c.value - 0.739) < 0.01 for c in constants(left))  # an odd number is not made of noise


@pytest.mark.parametrize(("value", "exact"), [(1 / 3, "1/3"), (-np.pi / 4, "-pi/4"), (0.31830988618379067, "1/pi")])
def test_simple_numbers_are_known(value, exact):
    assert simple_number(value, 1e-13).exact == exact


def test_constants_are_joined_but_not_beyond_what_numbers_hold():
    large = Pow(mul(Const(1e200), Var(0)), Const(3.0))
    x = np.array([[1e-200], [2e-200]])
    np.testing.assert_allclose(Tape(folded(large)).value(x), [1.0, 8.0])
    steep = Call(LIBRARY["exp"], add(mul(Const(-1.0), Var(0)), Const(800.0)))
    np.testing.assert_allclose(Tape(folded(steep)).value(np.array([[799.0]])), np.e)
    joined = folded(mul(Const(2.0), Const(3.0), Pow(mul(Const(4.0), Var(0)), Const(0.5))))
    assert [c.value for c in constants(joined)] == [12.0, 0.5]


def test_numbers_are_not_snapped_by_chance():
    values = np.random.default_rng(0).uniform(0.1, 10, 300)
    assert sum(simple_number(v, 1e-12 * v) is not None for v in values) == 0
    assert sum(simple_number(v, 1e-3 * v) is not None for v in values) <= 3


def test_forms_are_simplified_and_told_equal():
    import sympy

    a, b = symbols = symbols_for(["a", "b"], [0.1, 0.1])
    ugly = sympy.tanh(sympy.atanh(a) + sympy.atanh(b))
    short = simplified(ugly)
    assert not short.has(sympy.tanh, sympy.atanh)
    low, high = np.array([0.1, 0.1]), np.array([0.8, 0.8])
    assert equivalent(ugly, (a + b) / (1 + a * b), low, high, symbols)
    assert not equivalent(ugly, (a + b) / (1 + a * b) + sympy.Rational(1, 10**9), low, high, symbols)


def test_a_simplification_that_does_not_end_is_given_up(monkeypatch):
    """Sympy may look for minutes; calls are counted, and not seconds."""
    import sympy

    def endless(form):
        while True:
            form = max(form, form, key=str)

    monkeypatch.setattr(sympy, "simplify", endless)
    (a,) = symbols_for(["a"], [0.1])
    assert simplified(a * a / a + a) == 2 * a


def test_what_sympy_writes_as_cot_is_written_with_what_python_and_c_have():
    import sympy

    symbols = symbols_for(["a"])
    form = sympy.cot(symbols[0])
    assert python_text(form) == "cos(a)/sin(a)"
    assert "cos(x[0])/sin(x[0])" in c_text(form, symbols, "f")


def test_expressions_survive_the_way_to_sympy_and_back():
    bessel, arctan = Call(LIBRARY["besselj0"], Var(0)), Call(LIBRARY["arctan"], Var(1))
    node = add(mul(number(3), Pow(Var(0), number(0.5))), arctan, bessel)
    symbols = symbols_for(["a", "b"])
    again = from_sympy(to_sympy(node, symbols), symbols, LIBRARY)
    x = np.random.default_rng(0).uniform(0.1, 2, (20, 2))
    np.testing.assert_allclose(Tape(again).value(x), Tape(node).value(x), rtol=1e-15)
    text = c_text(to_sympy(node, symbols), symbols, "f")
    assert "double f(const double *x)" in text
    assert "j0(x[0])" in text
    assert "atan(x[1])" in text


def test_power_laws_and_ratios_are_found_by_linear_algebra():
    x = np.random.default_rng(0).uniform(0.5, 2, (300, 3))
    a, b, c = x.T
    node = power_law(x, 4.2 * a * b**-1.5)
    np.testing.assert_allclose(Tape(node).value(x), 4.2 * a * b**-1.5, rtol=1e-13)
    assert power_law(x, 1 + a) is None
    y = np.sqrt((a + 2 * b) / (1 + a * c))
    assert any(is_rounding(n, refine(n, x, y).rms, x, y) for n in ratios(x, y, LIBRARY))
    assert not list(ratios(x, np.exp(np.sin(a * b)) + c, LIBRARY))


def test_products_after_a_change_of_one_variable_are_found():
    x = np.random.default_rng(0).uniform([0.0, 1.3], [4.0, 5.0], (300, 2))
    y = (np.sin(x[:, 0] * x[:, 1] / 2) / np.sin(x[:, 1] / 2)) ** 2
    assert min(refine(node, x, y).rms for node in products_of_coordinates(x, y, LIBRARY)) < 1e-13
    assert not list(products_of_coordinates(x, np.sin(x[:, 0]) + np.exp(x[:, 1] * x[:, 0] / 9), LIBRARY))


def test_noise_is_told_from_what_a_formula_left():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (800, 3))
    assert alike(x, rng.normal(size=800)) < 3
    assert alike(x, np.sin(2 * x[:, 0])) > 10
    assert explained(x, rng.normal(size=800) + x[:, 1]) > 5
    assert explained(x, rng.normal(size=800)) < 3


def test_longer_expressions_have_more_bits():
    assert bits(Var(0)) < bits(add(Var(0), number(1))) < bits(add(Var(0), Const(1.234)))
