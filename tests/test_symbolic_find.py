"""numkan.symbolic.find and explain: from samples to a formula that is right, or that says that it is not."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.special import airy

from numkan import KAN, search, symbolic
from numkan.plot import plot_network
from numkan.symbolic.engine import Fitted
from numkan.symbolic.formula import Errors, Formula

pytestmark = pytest.mark.slow

sympy = pytest.importorskip("sympy")


def box(low, high, n=400, seed=0):
    return np.random.default_rng(seed).uniform(low, high, (n, len(low)))


def law(x):
    return 2 * x[:, 0] * np.exp(-x[:, 1] / 3)


@pytest.fixture(scope="module")
def found():
    x = box([0.5, 0], [2, 3], 600)
    return x, symbolic.find(x, law(x), names=["a", "t"])


@pytest.mark.jit
def test_a_power_law_is_found_exactly_by_linear_algebra():
    x = box([1, 1, 1], [3, 3, 3], 200)
    formula = symbolic.find(x, 6.5 * x[:, 0] * x[:, 1] / x[:, 2] ** 2, names=["m", "n", "r"], effort=0.3)
    assert formula.status == "exact"
    assert str(formula) == "13*m*n/(2*r**2)"


@pytest.mark.jit
def test_a_formula_is_found_with_exact_constants_and_all_its_faces(found):
    formula = found[1]
    assert formula.status == "exact"
    assert sympy.simplify(formula.sympy() - sympy.sympify("2*a*exp(-t/3)", {str(s): s for s in formula._symbols})) == 0
    fresh = box([0.5, 0], [2, 3], 100, seed=1)
    np.testing.assert_allclose(formula(fresh), law(fresh), rtol=1e-14)
    slope = np.stack([law(fresh) / fresh[:, 0], -law(fresh) / 3], axis=1)
    np.testing.assert_allclose(formula.derivative(fresh), slope, rtol=1e-13)
    names = {name: getattr(math, name) for name in ("exp", "sin", "sqrt")} | {"a": 1.5, "t": 2.0}
    assert eval(str(formula), names) == pytest.approx(3 * math.exp(-2 / 3), rel=1e-14)
    assert "e^{" in formula.latex()
    assert formula.error.held_out < 1e-14
    assert formula.error.network > 10 * formula.error.held_out
    assert {c.exact for c in formula.constants} <= {"1", "-1", "2", "-1/3", "1/3"}
    assert all(c.snapped for c in formula.constants)
    (part,) = [p for p in formula.parts if p.chosen == "exp"]
    assert part.runners_up
    assert min(ratio for _, ratio in part.runners_up) > 10  # why they lost
    rms = [a.rms for a in formula.alternatives]
    assert rms == sorted(rms, reverse=True)
    assert any("residual" in line for line in formula.trace)


@pytest.mark.jit
def test_the_c_function_computes_the_formula(found, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    x, formula = found
    text = formula.c("law")
    assert text.startswith("#include <math.h>")
    assert "double law(const double *x)" in text
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "law.c").write_text(text)
    command = [compiler, "-std=c99", "-shared", "-fPIC", "-o", tmp_path / "law.so", tmp_path / "law.c", "-lm"]
    subprocess.run(command, check=True)
    function = ctypes.CDLL(str(tmp_path / "law.so")).law
    function.restype = ctypes.c_double
    row = x[3].copy()
    value = function(row.ctypes.data_as(ctypes.POINTER(ctypes.c_double)))
    assert value == pytest.approx(law(x[3:4])[0], rel=1e-14)


@pytest.mark.jit
def test_the_same_samples_give_the_same_formula(found):
    x, formula = found
    again = symbolic.find(x, law(x), names=["a", "t"])
    assert str(again) == str(formula)
    assert again.trace == formula.trace


@pytest.mark.jit
def test_explain_leaves_the_model_as_it_was_and_names_edges():
    x = box([-1, -1], [1, 1], 500)
    y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)
    model, _ = search(x, y)
    before = model.params
    formula = symbolic.explain(model, x, y)
    assert formula.status == "exact"
    assert (
        sympy.simplify(
            formula.sympy() - sympy.exp(sympy.sin(sympy.pi * formula._symbols[0]) + formula._symbols[1] ** 2)
        )
        == 0
    )
    assert np.array_equal(model.params, before)
    names = {edge: match.name for edge, match in formula.edges.items()}
    assert names[0, 0, 0] == "sin"
    assert names[0, 1, 0] == "pow2"
    ax = plot_network(model, x, Figure().add_subplot(), formula=formula)
    texts = {text.get_gid(): text.get_text() for text in ax.texts if text.get_gid()}
    assert texts["symbol-0-0-0"] == "sin"
    with pytest.raises(TypeError, match="Argument `formula` must be a formula of numkan"):
        plot_network(model, x, Figure().add_subplot(), formula=3)
    with pytest.raises(ValueError, match="Argument `formula` must be of this network"):
        plot_network(KAN([1, 1]), None, Figure().add_subplot(), formula=formula)


@pytest.mark.jit
def test_with_noise_the_form_is_found_and_the_status_says_noise():
    x = box([0.5, 0], [2, 6], 600)
    y = x[:, 0] * np.sin(x[:, 1]) + 1
    noisy = y + 0.01 * np.random.default_rng(1).normal(size=600)
    formula = symbolic.find(x, noisy, effort=0.3)
    assert formula.status == "within noise"
    a, t = formula._symbols
    ratio = sympy.simplify((formula.sympy() - 1) / (a * sympy.sin(t)))
    assert abs(float(ratio.subs({a: 1.1, t: 1.3})) - 1) < 0.02
    assert formula.error.held_out < 0.012


@pytest.mark.jit
def test_what_is_no_formula_is_not_called_one():
    """A draw of random waves: no function of the library equals it."""
    rng = np.random.default_rng(3)
    w, p = rng.normal(size=(2, 12)) * 2.5, rng.uniform(0, 6, 12)
    x = box([-1, -1], [1, 1], 300)
    formula = symbolic.find(x, np.cos(x @ w + p) @ rng.normal(size=12), effort=0.03)
    assert formula.status in ("approximate", "none")
    assert formula.stopped.startswith("the work that `effort` allows was used up")
    if formula.status == "none":
        assert str(formula) == "network(x0, x1)"
        with pytest.raises(ValueError, match="has no expression"):
            formula.sympy()
    assert np.isfinite(formula(x)).all()
    assert formula.derivative(x).shape == x.shape


@pytest.mark.jit
def test_without_a_formula_the_c_function_computes_the_network(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    model = KAN([2, 3, 2], seed=0)
    x = box([-1, -1], [1, 1], 5)
    network = Fitted(model, 0.1, 0.1, output=1)
    formula = Formula("none", ("a", "b"), Errors(np.nan, np.nan, 0.1), _network=network)
    (tmp_path / "f.c").write_text(formula.c("f"))
    command = [compiler, "-std=c99", "-shared", "-fPIC", "-o", tmp_path / "f.so", tmp_path / "f.c", "-lm"]
    subprocess.run(command, check=True)
    function = ctypes.CDLL(str(tmp_path / "f.so")).f
    function.restype = ctypes.c_double
    values = [function(row.copy().ctypes.data_as(ctypes.POINTER(ctypes.c_double))) for row in x]
    np.testing.assert_allclose(values, formula(x), rtol=1e-13)


@pytest.mark.jit
def test_a_forbidden_function_is_in_no_formula():
    x = box([0.2, 0.5], [1.3, 2], 300)
    y = x[:, 1] * np.tan(x[:, 0])
    assert "tan(x0)" in str(symbolic.find(x, y, effort=0.3))
    formula = symbolic.find(x, y, effort=0.3, forbid=["tan"])
    assert "tan" not in str(formula)
    assert formula.status == "none" or np.abs(formula(x) - y).max() < 0.1 * np.std(y)


def test_constant_targets_are_answered_at_once():
    x = box([0, 0], [1, 1], 50)
    formula = symbolic.find(x, np.full(50, 3.0))
    assert (formula.status, str(formula)) == ("exact", "3")
    np.testing.assert_array_equal(formula(x), 3.0)


@pytest.mark.jit
def test_several_outputs_make_a_tuple():
    x = box([1, 1], [2, 2], 60)
    both = symbolic.find(x, np.stack([x[:, 0] * x[:, 1], x[:, 0] / x[:, 1]], axis=1), effort=0.2)
    assert [str(f) for f in both] == ["x0*x1", "x0/x1"]


@pytest.mark.jit
def test_of_many_rows_a_sample_is_drawn_and_said_so():
    x = box([1, 1], [2, 2], 20_000)
    formula = symbolic.find(x, 3 * x[:, 0] / x[:, 1], effort=0.1)
    assert str(formula) == "3*x0/x1"
    assert formula.notes == ("found on a sample of 6000 of 20000 rows",)


@pytest.mark.jit
def test_rows_of_weight_zero_are_left_out():
    x = box([0.5, 0], [2, 3], 200)
    y, weight = law(x), np.ones(200)
    y[::3], weight[::3] = 1e6, 0.0
    formula = symbolic.find(x, y, sample_weight=weight, effort=0.1)
    assert (formula.status, str(formula)) == ("exact", "2*x0*exp(-x1/3)")


@pytest.mark.jit
def test_weights_tell_good_samples_from_bad_ones():
    """Half of the samples has noise as large as the law, the other half almost none."""
    rng = np.random.default_rng(1)
    x = box([0.5, 0], [2, 3], 400)
    noise = np.where(np.arange(400) % 2, 1.0, 1e-3)
    y = law(x) + noise * rng.normal(size=400)
    formula = symbolic.find(x, y, sample_weight=1 / noise**2, effort=0.2)
    assert formula.status == "within noise"
    np.testing.assert_allclose(formula(x), law(x), rtol=0, atol=2e-3)
    assert formula.error.held_out < 3e-3


@pytest.mark.jit
def test_progress_is_written_to_the_standard_error(capsys):
    x = box([1, 1], [2, 2], 60)
    symbolic.find(x, x[:, 0] * x[:, 1], effort=0.1, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "closed form: residual" in err


@pytest.mark.jit
def test_a_time_limit_cuts_and_says_so():
    x = box([-1, -1, -1], [1, 1, 1], 300)
    formula = symbolic.find(x, np.sin(3 * x[:, 0] * x[:, 1]) + np.exp(x[:, 2] * x[:, 0]) ** 1.3, time_limit=0.0)
    assert formula.stopped == "`time_limit` was over before all hypotheses had been looked at."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": np.ones((20, 2)), "y": np.ones(20)},
            "Argument `x` must have at least 30 rows to tell formulas apart, not 20",
        ),
        ({"x": np.ones((50, 10))}, "Argument `x` must have at most 9 columns, not 10: drop some first"),
        ({"x": np.full((50, 2), np.nan)}, "Argument `x` must be finite"),
        ({"y": np.ones(49)}, r"Argument `y` must have shape \(50,\) or \(50, n_out\), not \(49,\)"),
        ({"names": ["a"]}, "Argument `names` must hold 2 names, one for each column"),
        ({"names": ["a", "a"]}, "Argument `names` must hold different identifiers"),
        ({"names": ["a b", "c"]}, "Argument `names` must hold different identifiers"),
        ({"effort": 0.0}, "Argument `effort` must be greater than 0"),
        ({"time_limit": -1.0}, "Argument `time_limit` must be at least 0"),
        ({"sample_weight": -np.ones(50)}, "Argument `sample_weight` must hold numbers >= 0"),
        (
            {"sample_weight": np.repeat([1.0, 0.0], [20, 30])},
            "Argument `sample_weight` must be greater than 0 for at least 30 rows, not 20",
        ),
        ({"forbid": ["cosine"]}, "Argument `forbid` must hold names of the library"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(change, message):
    given = {"x": box([0, 0], [1, 1], 50), "y": np.arange(50.0)} | change
    x, y = given.pop("x"), given.pop("y")
    with pytest.raises(ValueError, match=message):
        symbolic.find(x, y, **given)


def test_explain_wants_a_network_of_the_same_shape():
    x = box([0, 0], [1, 1], 50)
    with pytest.raises(TypeError, match="Argument `model` must be a KAN, not str"):
        symbolic.explain("model", x, x[:, 0])
    with pytest.raises(TypeError, match="unexpected keyword argument 'name'"):
        symbolic.explain(KAN([2, 1]), x, x[:, 0], name=["a", "b"])
    with pytest.raises(ValueError, match="Argument `x` must have 3 columns"):
        symbolic.explain(KAN([3, 1]), x, x[:, 0])
    with pytest.raises(ValueError, match="Argument `y` must have 2 columns"):
        symbolic.explain(KAN([2, 2]), x, x[:, 0])


def test_without_sympy_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    x = box([0, 0], [1, 1], 50)
    with pytest.raises(ImportError, match=r"^numkan.symbolic needs sympy: pip install numkan\[symbolic\]\.$"):
        symbolic.find(x, x[:, 0])


@pytest.mark.jit
def test_a_function_of_the_user_is_found_and_keeps_its_name_in_all_texts():
    x = box([-5, 0.5], [1, 2], 400)
    y = airy(x[:, 0])[0] * x[:, 1] + 1.0
    formula = symbolic.find(x, y, library={"ai": lambda t: airy(t)[0]}, effort=0.1)
    assert formula.status == "exact"
    assert str(formula) == "x1*ai(x0) + 1"
    assert "ai(x[0])" in formula.c()
    slope = np.stack([x[:, 1] * airy(x[:, 0])[1], airy(x[:, 0])[0]], axis=1)
    np.testing.assert_allclose(formula.derivative(x), slope, rtol=0, atol=1e-9)
