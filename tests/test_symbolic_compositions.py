"""Formulas whose functions hold functions: curves, slices along one variable, weights that come out of sums."""

from __future__ import annotations

import numpy as np
import pytest

from numkan.symbolic import LIBRARY, Oracle, refine, snap
from numkan.symbolic.expression import Call, Const, Pow, Tape, Var, add, constants, mul, number
from numkan.symbolic.leaves import leaves
from numkan.symbolic.oracle import divided
from numkan.symbolic.pairs import functions_of_pairs, pairs
from numkan.symbolic.slices import parameters, slices
from numkan.symbolic.solve import Solver
from numkan.symbolic.span import make_table, weights
from numkan.symbolic.swap import swaps
from numkan.symbolic.terms import sums_of_terms

pytestmark = pytest.mark.slow

pytest.importorskip("sympy")

U = np.linspace(0.55, 2.45, 56)


def oracle(f, n_in, error=1e-9):
    return Oracle(lambda x: (f(*x.T), np.full(len(x), error)), np.full(n_in, 0.5), np.full(n_in, 2.5))


def proposed(f, n_in):
    """Return the best refined residual of the first proposals for a function, relative to its deviation."""
    x = np.random.default_rng(5).uniform(0.5, 2.5, (300, n_in))
    y = f(*x.T)
    nodes = Solver(LIBRARY).propose(oracle(f, n_in, 1e-8 * float(np.std(y))))
    return min(refine(node, x, y).rms for _, node in zip(range(4), nodes, strict=False)) / np.std(y)


@pytest.mark.parametrize(
    "f",
    [
        lambda u: u * np.tanh(u) + np.log(u),
        lambda u: np.sqrt(u) - 7 * u * np.exp(-u),
        lambda u: np.cos(3 * u) * np.exp(-u * u),
        lambda u: (u - 2) * np.cos(1 / u),
        lambda u: np.sin(1.04 * u + 1.04 * np.tanh(u)),
        lambda u: np.sin(u / 4 - np.exp(u)) ** 2,
        lambda u: 1 / (u - np.tanh(u)),
    ],
    ids=["terms", "scaled terms", "product", "shifted product", "of a sum", "of a scaled sum", "under a reciprocal"],
)
def test_a_curve_of_several_functions_is_found_to_rounding(f):
    best = leaves(U, f(U) + 1e-10 * np.sin(7 * U), np.full(56, 1e-9), LIBRARY)[0]
    x = np.random.default_rng(0).uniform(0.5, 2.5, (200, 1))
    assert refine(best.expression, x, f(x[:, 0])).rms < 1e-14 * np.abs(f(x[:, 0])).max() + 1e-13


def test_curves_are_not_searched_in_depth_where_that_is_not_wanted():
    def f(u):
        return np.sin(u / 4 - np.exp(u)) ** 2

    found = leaves(U, f(U), np.full(56, 1e-9), LIBRARY, deep=False)
    assert all(leaf.misfit > 1e3 for leaf in found)


def test_without_functions_there_are_no_pairs():
    for stage in (sums_of_terms, pairs, functions_of_pairs):
        assert not list(stage(U, np.sin(U), np.ones(56), {}, set()))


@pytest.mark.parametrize(
    ("f", "n_in"),
    [
        (lambda a, b: -b + np.tanh(np.sqrt(a) * b), 2),
        (lambda a, b: np.exp(np.sin(a) / b) - b, 2),
        (lambda a, b: np.cos((2 * a / 3 + 1) * b), 2),
        (lambda a, b: (a + np.log(b) + 16) * np.exp(a), 2),
    ],
    ids=["tanh beside a term", "exp of a product", "cos beyond half a turn", "a weight comes out"],
)
def test_functions_of_unknown_scale_and_shift_are_found_along_one_variable(f, n_in):
    assert proposed(f, n_in) < 1e-13


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("exp", lambda a, b: np.exp(b * a) + b),
        ("log", lambda a, b: b * np.log(a + b) - 1),
        ("pow-1", lambda a, b: b / (a + b) + 2 * b),
        ("sin", lambda a, b: -b * np.sin(a * b + 2)),
        ("tanh", lambda a, b: b * np.tanh(a - b)),
        ("gauss", lambda a, b: b * np.exp(-((a * b - 1) ** 2))),
    ],
)
def test_the_constants_along_one_variable_are_functions_of_the_others(name, f):
    whole = oracle(f, 2)
    functions = {name: LIBRARY[name], "identity": LIBRARY["identity"]}
    found, *_ = slices(whole, 0, functions, np.random.default_rng(0))
    b = np.linspace(0.7, 2.3, 9)[:, None]
    values = {key: part.ask(b)[0] for key, part in parameters(whole, found).items()}
    x = np.column_stack([np.linspace(0.6, 2.4, 9), b])
    t = values.get("a", 1.0) * x[:, 0] + values.get("b", 0.0)
    again = values["c"] * LIBRARY[name].value(t) + values["d"]
    np.testing.assert_allclose(again, f(*x.T), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("error", [np.inf, np.nan])
def test_weights_are_unknown_where_the_error_of_the_oracle_has_no_bound(error):
    whole = Oracle(
        lambda x: (x[:, 0] * x[:, 1] + x[:, 1] ** 2, np.where(x[:, 1] > 1.0, error, 1e-6)),
        np.full(2, 0.5), np.full(2, 2.5),
    )  # fmt: skip
    table = make_table(oracle(lambda a, b: a * b + b**2, 2), 0, np.random.default_rng(0))
    slope, rest = weights(whole, table, [Var(0), number(1)])
    for part, truth in ((slope, 0.7), (rest, 0.49)):
        value, spread = part.ask(np.array([[0.7], [1.5]]))
        assert value[0] == pytest.approx(truth)
        assert spread[0] < 1e-5
        assert np.isnan(value[1])


def test_weights_are_answered_however_large_errors_are():
    """The squares of 1e-200 are 0."""
    whole = Oracle(lambda x: (x[:, 0] * x[:, 1], np.full(len(x), 1e200)), np.full(2, 0.5), np.full(2, 2.5))
    table = make_table(oracle(lambda a, b: a * b + b**2, 2), 0, np.random.default_rng(0))
    value, spread = weights(whole, table, [Var(0), number(1)])[0].ask(np.array([[0.7]]))
    assert value[0] == pytest.approx(0.7)
    assert spread[0] > 1e199


def test_a_ratio_of_oracles_has_the_relative_errors_of_both():
    one = Oracle(lambda x: (6 * x[:, 0], np.full(len(x), 0.3)), np.ones(1), np.full(1, 2.0))
    two = Oracle(lambda x: (2 * x[:, 0], np.full(len(x), 0.1)), np.ones(1), np.full(1, 2.0))
    value, error = divided(one, two).ask(np.full((1, 1), 1.0))
    assert value[0] == pytest.approx(3.0)
    assert error[0] == pytest.approx(3.0 * (0.3 / 6 + 0.1 / 2))


def test_with_noise_a_phase_near_a_quarter_turn_becomes_one():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 3, (400, 1))
    y = 1.234567 * np.cos(1.7345 * x[:, 0]) + 0.05 * rng.normal(size=400)
    start = mul(Const(1.2), Call(LIBRARY["sin"], add(mul(Const(1.7), Var(0)), Const(1.55))))
    node = snap(refine(start, x, y).expression, x, y, noisy=True)
    assert "1*pi/2" in {c.exact for c in Tape(node)._nodes if isinstance(c, Const)}
    assert len(constants(node)) == 2


def test_a_function_exchanged_for_a_line_has_no_constant_more():
    x = np.random.default_rng(0).uniform(0, 1, (100, 1))
    curve = add(mul(Const(3.0), Call(LIBRARY["sin"], add(mul(Const(0.3), Var(0)), Const(0.1)))), Const(0.5))
    node = dict(swaps(curve, x, LIBRARY, 12))["identity for sin"]
    assert len(constants(node)) == 2


def test_numbers_whose_squares_are_none_are_refined_without_an_error():
    x = np.ones((40, 1)) + np.arange(40.0)[:, None]
    found = refine(mul(Const(1.0), Pow(Var(0), number(2))), x, 1e200 * x[:, 0])
    assert not np.isfinite(found.rms)
