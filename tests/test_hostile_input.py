"""What nobody should pass is told in one clear sentence too: what validation/faults.py has once found otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numkan import KAN, KANLayer, SplineBasis, conformance
from numkan.interop import from_pykan
from numkan.optimize import LBFGS, adam
from numkan.pde import Boundary
from numkan.spline import B_batch, coef2curve, design_matrix, extend_grid
from tests.test_bad_input import complaint

X = np.random.default_rng(0).uniform(-1, 1, (20, 2))
KNOTS = extend_grid(np.linspace(-1, 1, 5)[None, :], 2)


@pytest.mark.parametrize("name", ["n_in", "n_out", "grid", "k"])
@pytest.mark.parametrize("size", [2**31, 2**63, 10**30])
def test_a_layer_larger_than_arrays_can_be_is_refused(name, size):
    arguments = {"n_in": 1, "n_out": 1, "grid": 3, "k": 1, name: size}
    complaint(name, f"must be at most 2147483647, not {size}", KANLayer, **arguments)
    if name == "grid":
        complaint("grid", f"not {size}", KAN([1, 1]).act_fun[0].refine, size)


@pytest.mark.parametrize("export", ["to_c", "to_numpy", "save"])
@pytest.mark.parametrize("path", [1, 0.5, None, b"m.h", object()])
def test_what_is_no_path_is_told(export, path):
    with pytest.raises(TypeError, match=r"^Argument `path` must be a str or a path, not .*\.$"):
        getattr(KAN([1, 1]), export)(path)


@pytest.mark.parametrize("method", ["to_c", "to_numpy", "save", "load", "checkpoint", "resume"])
def test_no_path_has_zero_bytes(method):
    model = KAN([2, 1])
    if method in ("checkpoint", "resume"):
        complaint(method, "must be a path without zero bytes", model.fit, X, X[:, 0], **{method: "a\0b"})
    else:
        complaint("path", "must be a path without zero bytes", getattr(model, method), Path("a\0b"))


def test_a_checkpoint_of_pykan_is_named_by_any_text():
    with pytest.raises(FileNotFoundError, match="Argument `model` must name a checkpoint"):
        from_pykan("")
    complaint("model", "must be a path without zero bytes", from_pykan, "a\0b")


def test_more_memory_than_arrays_can_have_is_refused():
    complaint("memory", "must be at most 2147483647, not 10", LBFGS, lambda x: (x @ x, 2 * x), [1.0], memory=10**30)


def test_a_grid_is_laid_over_numbers_near_the_largest_ones():
    model = KAN([2, 1], grid=3, k=2, seed=0)
    model.update_grid_from_samples(np.full((60, 2), 1e308))
    assert model.grid == [3]


def test_a_name_that_is_an_array_is_told_on_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"^Argument `name` must be a C identifier, not .*\.$") as caught:
        KAN([1, 1]).to_c(tmp_path / "m.h", name=np.ones((60, 2)))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("factor", [None, "1", [1.0, 2.0], 1j])
def test_a_schedule_gives_numbers(factor):
    complaint(
        "schedule",
        "must give numbers, not",
        adam,
        lambda x: (float(x @ x), 2 * x),
        [1.0],
        schedule=lambda taken: factor,
    )


def test_a_basis_has_its_own_inputs_and_dtypes():
    basis = SplineBasis(KNOTS, 2)
    complaint("i", "less than 1, not 1", basis.input, 1)
    complaint("i", "not -1", basis.input, -1)
    complaint("dtype", "'odd'", basis.astype, "odd")
    assert basis.input(0).knots.tobytes() == KNOTS.tobytes()


@pytest.mark.parametrize("only", [3, [3], np.ones(2), np.array(1.0), Path("P-*")])
def test_patterns_of_laws_are_texts(only):
    with pytest.raises(TypeError, match=r"^Argument `only` must be a list of patterns of laws, not .*\.$"):
        conformance.check(None, only=only)


def test_a_report_that_is_an_array_is_told_on_one_line():
    with pytest.raises(ValueError, match=r"^Argument `report` must be .*\.$") as caught:
        conformance.replay(None, np.ones((60, 2)))
    assert "\n" not in str(caught.value)


def test_pictures_are_drawn_on_axes():
    pytest.importorskip("matplotlib")
    from numkan.plot import plot_basis, plot_history, plot_network

    history = {name: np.ones(2) for name in ("step", "train", "validation", "grid")}
    model = KAN([2, 1])
    for ax in ([], {"a": 1}, np.ones(3), "odd"):
        for draw, arguments in ((plot_basis, (KNOTS, 2)), (plot_history, (history,)), (plot_network, (model,))):
            complaint("ax", "must be Axes of matplotlib or None, not", draw, *arguments, ax=ax)
    complaint("inputs", "list of names", plot_network, model, inputs=np.array("a"))


def test_formulas_are_told_what_they_cannot_use():
    pytest.importorskip("sympy")
    from numkan import symbolic

    y = X[:, 0]
    for forbid in ([[1]], [np.ones(2)], np.ones((2, 2))):
        complaint("forbid", "names of the library", symbolic.identify, X[:, 0], y, forbid=forbid)
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("model", {"model": 3}),
        ("functions", {"functions": [1]}),
        ("functions", {"functions": {"a": np.sin}}),
        ("close", {"close": "near"}),
    ]
    complaint("x", "must have at least one row", symbolic.identify_edges, KAN([2, 1]), np.zeros((0, 2)))
    assert symbolic.identify_edges(KAN([2, 1], seed=0), np.full((60, 2), 1e308)) == {}
    for name, change in wrong:
        complaint(name, "must be", symbolic.identify_edges, **{"model": KAN([2, 1]), "x": X, **change})


@pytest.mark.jit
def test_the_largest_effort_is_as_good_as_any():
    model = KAN([1, 1], seed=0)
    assert model.fit(X[:, :1], X[:, 0], effort=1e308).success


@pytest.mark.parametrize("nu", [3, 2**63, 10**30])
def test_derivatives_of_any_order_beyond_the_degree_are_zero(nu):
    x, coef = np.array([[0.3], [0.4]]), np.ones((1, 2, 6))
    assert not B_batch(x, KNOTS, 2, nu=nu).any()
    assert not coef2curve(x, KNOTS, coef, 2, nu=nu, extrapolate="linear").any()
    assert not design_matrix(x[:, 0], KNOTS[0], 2, nu=nu).toarray().any()
    assert not SplineBasis(KNOTS, 2).derivative(x, nu).any()


def test_a_grid_is_not_extended_beyond_what_arrays_hold():
    complaint("k_extend", f"not {10**30}", extend_grid, KNOTS, 10**30)


def test_the_formula_of_constants_is_found_up_to_the_largest_float():
    pytest.importorskip("sympy")
    from numkan import symbolic

    formula = symbolic.find(np.repeat(X, 2, axis=0), np.full(40, 1e308))
    assert formula.constants[0].value == 1e308


@pytest.mark.parametrize("faces", [1, 0.5, "x", np.array(1.0), [1], [(0, 2)], np.ones((3, 2), complex)])
def test_faces_of_a_box_are_pairs(faces):
    complaint("faces", "must list pairs (input, 0 or 1), not", Boundary, [0.0, 0.0], [1.0, 1.0], 3, faces=faces)
