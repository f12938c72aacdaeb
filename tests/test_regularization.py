"""Penalties: pykan's formulas, written out in plain NumPy, and their gradients by complex steps in that twin."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import numkan
from numkan import KAN
from numkan.conformance.adapter import Array
from numkan.model.regularization import Objective, Penalties, objective_and_grad
from tests.naive_network import KINDS, LOSSES, STEP, activations, edges
from tests.network_cases import TANH, model_of, random_case

TERMS = ("lamb_l1", "lamb_entropy", "lamb_coef", "lamb_coefdiff")
NONE = dict.fromkeys(TERMS, 0.0)
ALL = Penalties(0.3, 1.0, 2.0, 0.7, 0.4)
U = 2.0**-53

CASES = {
    "deep": random_case(1, [2, 3, 2, 2], [3, 2, 4], [3, 2, 1], 7),
    "wide, more than one chunk": random_case(2, [3, 9, 1], [2, 3], [3, 3], 300, extrapolate="continue"),
    "one layer": random_case(3, [4, 2], [1], [5], 2, base_fun=TANH),
    "identity": random_case(6, [1, 2, 1], [2, 2], [2, 4], 9, base_fun="identity", extrapolate="linear"),
}


# --- the twin, complex-safe ---------------------------------------------------------------------------------------


def magnitude(z: Array) -> Array:
    """|z| of the real part's sign, so that a complex step goes through."""
    return np.where(np.real(z) < 0, -z, z)


def std(z: Array) -> Array:
    """std over the samples with ddof=1; 0 where they are all the same, which is also what one sample is."""
    squares = ((z - z.mean(axis=0)) ** 2).sum(axis=0)
    constant = np.ptp(np.real(z), axis=0) == 0
    return np.where(constant, 0, np.sqrt(np.where(constant, 1, squares) / max(len(z) - 1, 1)))


def terms(layers: Any, x: Array) -> dict[str, Any]:
    """The four terms of pykan's ``reg("edge_forward_spline_n", ...)``, in the order of its lines."""
    found: dict[str, Any] = dict.fromkeys(TERMS, 0.0)
    for layer, a in zip(layers, activations(layers, x), strict=False):
        vec = (std(edges(layer, a)) / (std(a)[:, None] + 0.1)).T  # (n_out, n_in), as in pykan
        p_row = vec / (vec.sum(axis=1, keepdims=True) + 1)
        p_col = vec / (vec.sum(axis=0, keepdims=True) + 1)
        entropy_row = -np.mean(np.sum(p_row * np.log2(p_row + 1e-4), axis=1))
        entropy_col = -np.mean(np.sum(p_col * np.log2(p_col + 1e-4), axis=0))
        coef = layer.coef * layer.mask[:, :, None]
        found["lamb_l1"] += vec.sum()
        found["lamb_entropy"] += entropy_row + entropy_col
        found["lamb_coef"] += magnitude(coef).mean(axis=1).sum()
        found["lamb_coefdiff"] += magnitude(np.diff(coef)).mean(axis=1).sum()
    return found


def objective(layers: Any, x: Array, y: Array, penalties: Penalties, loss: str = "mse", weight: Any = None) -> Any:
    found = terms(layers, x)
    regularization = sum(getattr(penalties, name) * found[name] for name in TERMS)
    return LOSSES[loss](activations(layers, x)[-1], y, weight) + penalties.lamb * regularization


def gradient(layers: Any, *rest: Any) -> list[dict[str, Array]]:
    """Derivatives by every parameter, one complex step each."""
    out = []
    for depth, layer in enumerate(layers):
        found = {}
        for name in KINDS:
            array = getattr(layer, name)
            found[name] = np.empty(array.shape)
            for place in np.ndindex(array.shape):
                moved = array.astype(complex)
                moved[place] += STEP * 1j
                changed = [*layers[:depth], layer.replace(**{name: moved}), *layers[depth + 1 :]]
                found[name][place] = np.imag(objective(changed, *rest)) / STEP
        out.append(found)
    return out


def assert_gradient(model: KAN, found: Objective, expected: list[dict[str, Array]]) -> None:
    """Every array of a gradient within rounding of the largest entry of the whole."""
    largest = max(np.abs(part).max() for one in expected for part in one.values())
    assert largest > 0
    for one, other in zip(model.unravel(found.grad), expected, strict=True):
        for name in KINDS:
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=1e-12 * largest, err_msg=name)


# --- laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_value_of_every_term_is_that_of_the_formula(case, term):
    model = model_of(case.layers)
    found = objective_and_grad(model, case.x, case.y, Penalties(0.5, **{**NONE, term: 3.0}))
    expected = 3.0 * terms(case.layers, case.x)[term]
    assert abs(found.regularization - expected) <= 1e-12 * abs(expected)
    assert abs(found.loss - model.loss(case.x, case.y)) <= 1e-13 * found.loss  # they may be computed in two forms
    assert abs(found.value - (found.loss + 0.5 * found.regularization)) <= 4 * U * found.value


@pytest.mark.parametrize("name", ["deep", "one layer", "identity"])
@pytest.mark.parametrize("term", [*TERMS, "all"])
def test_the_gradient_of_every_term_is_exact(name, term):
    case = CASES[name]
    penalties = ALL if term == "all" else Penalties(0.5, **{**NONE, term: 3.0})
    model = model_of(case.layers)
    found = objective_and_grad(model, case.x, case.y, penalties)
    assert_gradient(model, found, gradient(case.layers, case.x, case.y, penalties))


def test_a_gradient_over_many_chunks_is_exact_along_a_direction():
    case = CASES["wide, more than one chunk"]
    model, rng = model_of(case.layers), np.random.default_rng(0)
    change = rng.normal(size=model.n_params)
    moved = [
        layer.replace(**{name: getattr(layer, name) + STEP * 1j * part[name] for name in KINDS})
        for layer, part in zip(case.layers, model.unravel(change), strict=True)
    ]
    expected = np.imag(objective(moved, case.x, case.y, ALL)) / STEP
    grad = objective_and_grad(model, case.x, case.y, ALL).grad
    assert abs(grad @ change - expected) <= 1e-12 * (np.abs(grad) @ np.abs(change))


def test_cross_entropy_and_sample_weights_belong_to_the_loss_alone():
    case = CASES["deep"]
    model = model_of(case.layers)
    found = objective_and_grad(model, case.x, case.labels, ALL, "cross_entropy", case.weight)
    rest = (case.x, case.labels, ALL, "cross_entropy", case.weight)
    assert abs(found.value - objective(case.layers, *rest)) <= 1e-12 * abs(found.value)
    assert_gradient(model, found, gradient(case.layers, *rest))
    assert found.regularization == objective_and_grad(model, case.x, case.y, ALL).regularization


def test_a_masked_edge_counts_nowhere():
    case = CASES["deep"]
    first = case.layers[0]
    mask = np.ones_like(first.mask)
    mask[0, 1] = mask[1, 1] = 0
    layers = (first.replace(mask=mask), *case.layers[1:])
    model = model_of(layers)
    found = objective_and_grad(model, case.x, case.y, ALL)
    for part in model.unravel(found.grad)[0].values():
        assert not part[0, 1].any()
        assert not part[1, 1].any()
    changed = layers[0].coef.copy()
    changed[0, 1] = 77.0
    other = objective_and_grad(model_of((layers[0].replace(coef=changed), *layers[1:])), case.x, case.y, ALL)
    assert other.value == found.value


@pytest.mark.parametrize("x", [np.array([[0.3, -0.2]]), np.full((6, 2), 0.3)], ids=["one sample", "constant inputs"])
def test_where_nothing_varies_edges_weigh_nothing_and_pull_nowhere(x):
    model = KAN([2, 3, 1], grid=3, seed=0)
    y = np.arange(len(x), dtype=float)
    loss, grad = model.loss_and_grad(x, y)
    found = objective_and_grad(model, x, y, Penalties(1.0))
    assert found.regularization == 0
    assert found.value == found.loss
    assert abs(found.loss - loss) <= 1e-14 * loss  # they may be computed in two forms
    np.testing.assert_allclose(found.grad, grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("penalties", [Penalties(), Penalties(0, 1, 1, 1, 1), Penalties(2.0, **NONE)])
def test_without_weight_nothing_is_added_bit_for_bit(penalties):
    case = CASES["wide, more than one chunk"]
    model = model_of(case.layers)
    loss, grad = model.loss_and_grad(case.x, case.y, sample_weight=case.weight)
    found = objective_and_grad(model, case.x, case.y, penalties, sample_weight=case.weight)
    assert not penalties.active
    assert (found.value, found.loss, found.regularization) == (loss, loss, 0.0)
    assert found.grad.tobytes() == grad.tobytes()


def test_the_defaults_are_those_of_pykan_s_fit():
    assert dataclasses.astuple(Penalties()) == (0.0, 1.0, 2.0, 0.0, 0.0)


def test_float32_stays_float32_and_close_to_float64():
    case = CASES["wide, more than one chunk"]
    rounded = [layer.astype(np.float32) for layer in case.layers]
    single, double = model_of(rounded), model_of([layer.astype(np.float64) for layer in rounded])
    x, y = case.x.astype(np.float32), case.y.astype(np.float32)
    one, other = objective_and_grad(single, x, y, ALL), objective_and_grad(double, x, y, ALL)
    assert one.grad.dtype == np.float32
    assert abs(one.value - other.value) <= 1e-5 * other.value
    np.testing.assert_allclose(one.grad, other.grad, rtol=0, atol=1e-4 * np.abs(other.grad).max())


@pytest.mark.jit
def test_threads_change_no_bit():
    case = random_case(5, [3, 20, 2], [3, 3], [3, 3], 1500)
    model, before = model_of(case.layers), numkan.get_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            numkan.set_threads(threads)
            found.append(objective_and_grad(model, case.x, case.y, ALL))
    finally:
        numkan.set_threads(before)
    assert len({(one.value, one.regularization, one.grad.tobytes()) for one in found}) == 1


def test_fixed_scales_are_absent_from_the_gradient():
    model = KAN([2, 2, 1], grid=3, sp_trainable=False, sb_trainable=False, seed=0)
    free = KAN([2, 2, 1], grid=3, seed=0)
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    found, full = (objective_and_grad(one, x, x[:, 0], ALL) for one in (model, free))
    assert found.value == full.value
    for part, whole in zip(model.unravel(found.grad), free.unravel(full.grad), strict=True):
        assert list(part) == ["coef"]
        assert part["coef"].tobytes() == whole["coef"].tobytes()


# --- bad arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lamb", *TERMS])
@pytest.mark.parametrize(("value", "error"), [(-1.0, ValueError), (np.nan, ValueError), ("1", TypeError)])
def test_a_weight_that_is_no_number_of_at_least_0_is_an_error(name, value, error):
    with pytest.raises(error, match=f"Argument `{name}` must "):
        Penalties(**{name: value})


def test_samples_that_are_not_finite_are_an_error_where_penalties_are_on():
    model, x = KAN([2, 1], seed=0), np.array([[0.0, 0.5], [np.nan, 0.5]])
    with pytest.raises(ValueError, match=r"Argument `x` must be finite, not with 1 NaN .* at \(1, 0\)\."):
        objective_and_grad(model, x, np.zeros(2), ALL)
    assert np.isnan(objective_and_grad(model, x, np.zeros(2), Penalties()).value)


def test_the_policy_raise_names_the_sample():
    model, x = KAN([1, 1], extrapolate="raise", seed=0), np.zeros((900, 1))
    x[800] = 1.5
    with pytest.raises(ValueError, match=r"800"):
        objective_and_grad(model, x, np.zeros(900), ALL)
