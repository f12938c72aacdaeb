"""The penalty that keeps logits finite: its gradient, what it does not depend on, and what it is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.model.targets import targets
from numkan.train.curves import CurvePenalty, number_of_samples
from tests.network_cases import TANH

STEP = 1e-30


def base(kind: Any, x: Any) -> Any:
    if kind == "silu":
        return x / (1 + np.exp(-x))
    return {"identity": x, "zero": 0 * x}[kind] if isinstance(kind, str) else np.tanh(x)


def slow_penalty(model: KAN, vector: Any, weight: float) -> complex:
    """The formula of numkan.train.curves edge by edge, for parameters that may be complex."""
    total: complex = 0.0
    at = 0
    for depth, layer in enumerate(model.act_fun):
        n_in, n_out, n_basis = layer.n_in, layer.n_out, layer.G + layer.k
        coef = vector[at : at + n_in * n_basis * n_out].reshape(n_in, n_basis, n_out)
        at += coef.size
        scale = {}
        for name, free in (("scale_base", layer.sb_trainable), ("scale_sp", layer.sp_trainable)):
            scale[name] = getattr(layer, name)
            if free:
                scale[name] = vector[at : at + n_in * n_out].reshape(n_in, n_out)
                at += n_in * n_out
        for i in range(n_in):
            t, k = layer.grid[i], layer.k
            place = [t[p + 1 : p + k + 1].mean() if k else (t[p] + t[p + 1]) / 2 for p in range(n_basis)]
            b = base(layer.base_fun, np.array(place))
            for o in range(n_out):
                size = 1.0
                if depth + 1 < model.depth:
                    after = model.act_fun[depth + 1]
                    size = (after.grid[o, after.k + after.G] - after.grid[o, after.k]) / 3
                for p in range(n_basis - 1):
                    gap = (place[p + 1] - place[p]) / (t[k + layer.G] - t[k])
                    spline = scale["scale_sp"][i, o] * (coef[i, p + 1, o] - coef[i, p, o])
                    rest = scale["scale_base"][i, o] * (b[p + 1] - b[p])
                    total += weight / 2 * layer.mask[i, o] ** 2 * (spline**2 + rest**2) / (gap * size**2)
    return total


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 1, "base_fun": "identity"},
        {"k": 0, "base_fun": "zero"},
        {"k": 2, "base_fun": TANH, "sp_trainable": False},
        {"sb_trainable": False},
        {"grid": 1, "k": 4, "sp_trainable": False, "sb_trainable": False},
    ],
    ids=str,
)
def test_value_and_gradient_are_those_of_the_formula_by_complex_steps(options):
    model = KAN([2, 3, 2], **{"grid": 3, "seed": 2, **options})
    model.act_fun[0].grid_eps = 0.3
    model.update_grid_from_samples(np.random.default_rng(0).normal(size=(40, 2)) * 3 + 1)
    model.act_fun[0].mask[1, 2] = 0
    theta = model.params
    grad = np.zeros_like(theta)
    value = CurvePenalty(model, 0.7).add(model, grad)
    assert value == pytest.approx(slow_penalty(model, theta, 0.7).real, rel=1e-13)
    steps = theta + 1j * STEP * np.eye(len(theta))
    slow = np.array([slow_penalty(model, step, 0.7).imag / STEP for step in steps])
    np.testing.assert_allclose(grad, slow, rtol=1e-12, atol=1e-14 * np.abs(slow).max())
    assert value > 0


def test_the_gradient_is_added_to_what_is_there_and_grids_beyond_float32_are_no_trouble():
    model = KAN([2, 2], seed=0, dtype=np.float32)
    grad = np.ones(model.n_params, np.float32)
    CurvePenalty(model, 0.0).add(model, grad)
    np.testing.assert_array_equal(grad, 1)


def test_the_penalty_of_a_spline_is_the_same_in_any_units_and_on_finer_grids():
    model = KAN([1, 1], grid=5, k=3, base_fun="zero", seed=0)
    model.act_fun[0].coef = np.linspace(0, 2, 8)[None, None] ** 2
    fine, wide = model.refine(80), KAN([1, 1], grid=5, k=3, base_fun="zero", grid_range=(3e5, 9e5), seed=0)
    wide.params = model.params
    one, other, same = (CurvePenalty(m, 1.0).add(m, np.zeros(m.n_params)) for m in (model, fine, wide))
    assert same == pytest.approx(one, rel=1e-9)
    assert other == pytest.approx(one, rel=0.5)  # its ends count too: half a cell beyond the domain


@pytest.mark.parametrize("weight", [None, np.full(6, 7.0), np.repeat([2.0, 0.0], [6, 9]), np.full(6, 1e307)])
def test_equal_weights_count_as_many_samples_as_there_are(weight):
    n = 6 if weight is None else len(weight)
    if weight is not None and weight.max() > 1e300:
        weight = weight / 10  # the sum is finite
    goal = targets(np.zeros(n, int), n, 2, np.dtype(np.float64), "cross_entropy", weight)
    assert number_of_samples(goal) == pytest.approx(6)


# --- what it is for ---------------------------------------------------------------------------------------------------


def two_classes(n: int = 60) -> tuple[Any, Any]:
    """Far apart: a straight line tells them without error."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    return rng.normal(size=(n, 2)) + 6.0 * label[:, None], label


def surest(model: KAN, x: Any) -> float:
    """The smallest probability that a sample has of a class."""
    logits = model(x)
    gap = np.abs(logits[:, 1] - logits[:, 0])
    return float(np.exp(-gap.max()))


@pytest.mark.jit
@pytest.mark.parametrize("width", [[2, 2], [2, 2, 2]])
@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_probabilities_of_separable_classes_are_not_0_or_1_unless_the_penalty_is_off(method, width):
    x, label = two_classes()
    options = {"loss": "cross_entropy", "method": method, "steps": 150, "grids": None, "learning_rate": 0.3}
    options["learning_rate"] = 0.3 if method == "adam" else None
    model, free = KAN(width, grid=3, seed=0), KAN(width, grid=3, seed=0)
    result = model.fit(x, label, **options)
    bare = free.fit(x, label, penalty=None, **options)
    assert 1e-6 < surest(model, x) < 1e-2
    assert surest(free, x) < 1e-3 * surest(model, x)
    assert "0.1" in result.chosen["penalty"]
    assert "probabilities" in result.message
    assert "penalty" not in bare.chosen
    assert "probabilities" not in bare.message


def test_the_loss_is_told_without_the_penalty_and_the_objective_with_it():
    x, label = two_classes()
    model = KAN([2, 2], grid=3, seed=0)
    result = model.fit(x, label, loss="cross_entropy", grids=None, penalty=2.0, steps=30, update_grid=False)
    penalty = CurvePenalty(model, 2.0 / len(x)).add(model, np.zeros(model.n_params))
    assert result.loss == model.loss(x, label, "cross_entropy")
    assert result.history.objective.min() == pytest.approx(result.loss + penalty, rel=1e-9)
    assert "penalty" not in result.chosen


@pytest.mark.jit
def test_a_larger_weight_gives_smaller_logits():
    x, label = two_classes()
    sizes = []
    for penalty in (0.01, 0.1, 1.0, 100.0):
        model = KAN([2, 2], grid=3, seed=0)
        model.fit(x, label, loss="cross_entropy", grids=None, penalty=penalty, steps=40)
        sizes.append(np.ptp(model(x)[:, 1] - model(x)[:, 0]))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 4 * sizes[-1]


def test_sums_of_squares_have_no_such_penalty():
    x, label = two_classes()
    one, other = (KAN([2, 1], grid=3, seed=0) for _ in range(2))
    options = {"method": "lbfgs", "grids": None, "steps": 5}
    result = one.fit(x, label, **options)
    other.fit(x, label, penalty=None, **options)
    np.testing.assert_array_equal(one.params, other.params)
    np.testing.assert_array_equal(result.history.train, result.history.objective)


@pytest.mark.jit
def test_the_least_validation_loss_counts_with_the_penalty_that_large_logits_have():
    x, label = two_classes(200)
    model = KAN([2, 2], grid=3, seed=0)
    result = model.fit(x, label, loss="cross_entropy", grids=None, validation=0.05, steps=60, penalty=10.0)
    history = result.history
    score = history.validation + history.objective - history.train
    assert score[result.best_step] == score.min()
