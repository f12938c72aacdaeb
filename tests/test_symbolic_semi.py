"""Semi-symbolic models: some edges of a network are functions, the others stay splines."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from numkan import KAN, symbolic
from numkan.symbolic.engine import Fitted
from numkan.symbolic.formula import Errors, Formula

pytest.importorskip("sympy")

X = np.random.default_rng(0).uniform(-0.9, 0.9, (40, 2))


def formula_of(model, edges, output=0):
    network = Fitted(model, 0.1, 0.1, output)
    return Formula("none", ("a", "b"), Errors(np.nan, np.nan, 0.1), edges=edges, _network=network)


def some_edges(model):
    """Return rough functions for some edges, at least one of each layer, and not for all."""
    rough = symbolic.identify_edges(model, X, close=0.3)
    kept = {edge: match for edge, match in rough.items() if edge not in ((0, 0, 0), (1, 1, 0), (1, 1, 1))}
    assert {layer for layer, _, _ in kept} == {0, 1}
    return kept


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("output", [0, 1])
def test_without_known_edges_it_is_the_network(output, dtype):
    model = KAN([2, 3, 2], seed=0, dtype=dtype)
    semi = formula_of(model, {}, output).semi_symbolic()
    tolerance = 1e-14 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(semi(X), model(X)[:, output], rtol=0, atol=tolerance)
    np.testing.assert_allclose(semi.derivative(X), model.derivative(X)[:, output], rtol=0, atol=10 * tolerance)
    assert str(semi).splitlines()[-1] == f"y = s1_0_{output}(h1_0) + s1_1_{output}(h1_1) + s1_2_{output}(h1_2)"


@pytest.mark.parametrize("output", [0, 1])
def test_known_edges_are_their_functions_and_the_model_is_unchanged(output):
    model = KAN([2, 3, 2], seed=0)
    before, mask = model.params, model.act_fun[0].mask.copy()
    edges = some_edges(model)
    semi = formula_of(model, edges, output).semi_symbolic()
    nodes = X
    for depth, layer in enumerate(model.act_fun):
        own = np.zeros((len(X), layer.n_out))
        for i in range(layer.n_in):
            for o in range(layer.n_out):
                lone = KAN._of([model.copy().act_fun[depth]])
                lone.act_fun[0].mask[...] = 0.0
                lone.act_fun[0].mask[i, o] = 1.0
                match = edges.get((depth, i, o))
                own[:, o] += lone(nodes)[:, o] if match is None else match(nodes[:, i])
        nodes = own
    np.testing.assert_allclose(semi(X), nodes[:, output], rtol=0, atol=1e-13)
    for k in range(2):
        step = 1e-6 * np.eye(2)[k]
        slope = (semi(X + step) - semi(X - step)) / 2e-6
        np.testing.assert_allclose(semi.derivative(X)[:, k], slope, rtol=0, atol=1e-8)
    assert np.array_equal(model.params, before)
    assert np.array_equal(model.act_fun[0].mask, mask)
    assert "s0_0_0(a)" in str(semi)
    assert "s0_1_0(b)" not in str(semi)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_c_code_computes_the_semi_symbolic_model(dtype, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    model = KAN([2, 3, 2], seed=0, dtype=dtype)
    semi = formula_of(model, some_edges(model), 1).semi_symbolic()
    (tmp_path / "f.c").write_text(semi.c("f"))
    command = [compiler, "-std=c99", "-shared", "-fPIC", "-o", tmp_path / "f.so", tmp_path / "f.c", "-lm"]
    subprocess.run(command, check=True)
    function = ctypes.CDLL(str(tmp_path / "f.so")).f
    function.restype = ctypes.c_double
    values = [function(row.copy().ctypes.data_as(ctypes.POINTER(ctypes.c_double))) for row in X[:5]]
    np.testing.assert_allclose(values, semi(X[:5]), rtol=0, atol=1e-13 if dtype == "float64" else 1e-5)


def test_constant_targets_have_no_semi_symbolic_model():
    formula = symbolic.find(X, np.full(len(X), 2.0))
    with pytest.raises(ValueError, match="has no network, and no semi-symbolic model"):
        formula.semi_symbolic()
