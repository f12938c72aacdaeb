"""Fits of likelihoods by second order: classes, counts, and losses of a user's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN, get_threads, set_threads
from numkan.model.curved import Entries
from numkan.model.least_squares import LeastSquares
from numkan.model.losses import LOSSES
from numkan.optimize import LevenbergMarquardt, Nielsen
from numkan.train.evidence import Smoothness
from numkan.train.splines import Splines

OWN_POISSON = (lambda p, t: 5 * (np.exp(p) - t * p), lambda p, t: 5 * (np.exp(p) - t), lambda p, t: 5 * np.exp(p))


def softmax(logits: Any) -> Any:
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def classes(n: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Inputs, labels of three classes, and the true probabilities: one input bends, one is straight, one is idle."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 3))
    logits = np.stack([np.zeros(n), 3 * np.sin(3 * x[:, 0]), 2 * x[:, 1]], axis=1)
    p = softmax(logits)
    return x, (p.cumsum(axis=1) < rng.uniform(size=(n, 1))).sum(axis=1), p


def counts(n: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Inputs, counts, and the logarithm of their true rate."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    eta = 1 + np.sin(3 * x[:, :1]) + 0.5 * x[:, 1:]
    return x, rng.poisson(np.exp(eta)), eta


def generalized_linear(x: Any, y: Any, mean: Any, variance: Any) -> Any:
    """The linear predictor of a generalized linear model with its canonical link, by reweighted least squares."""
    design = np.column_stack([np.ones(len(x)), x])
    beta = np.zeros(design.shape[1])
    for _ in range(60):
        mu = mean(design @ beta)
        w = variance(mu)
        beta = beta + np.linalg.solve(design.T @ (w[:, None] * design), design.T @ (y - mu))
    return design @ beta


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_straight_edges_are_a_generalized_linear_model(loss: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 2))
    eta = 0.5 + x @ [1.0, -0.7]
    if loss == "poisson":
        y, mean, variance = rng.poisson(np.exp(eta)), np.exp, lambda mu: mu
    else:
        mean, variance = (lambda eta: 1 / (1 + np.exp(-eta))), (lambda mu: mu * (1 - mu))
        y = (rng.uniform(size=300) < mean(eta)).astype(int)
    of = Splines.of(KAN([2, 1], grid=5, base_fun="zero", seed=0))
    weights = np.array([1e-9, 1e6, 1e-9])[:, None, None] * np.ones((3, 2, 1))
    problem = LeastSquares(
        of.layers, x, y[:, None].astype(float), None, Smoothness(of.layers, [weights]), None,
        Entries(LOSSES[loss], np.zeros(1)),
    )  # fmt: skip
    run = LevenbergMarquardt(problem, 0 * of.vector, rule=Nielsen(1e-8, scaled=True))
    for _ in zip(range(60), run, strict=False):
        pass
    found = of.at(run.state.x).activations(x)[-1][:, 0]
    np.testing.assert_allclose(found, generalized_linear(x, y, mean, variance), atol=2e-6)


@pytest.mark.jit
def test_probabilities_of_classes_come_near_the_true_ones_and_say_what_they_are_worth() -> None:
    x, label, p = classes(600)
    model = KAN([3, 3], seed=0)
    result = model.fit(x, label, loss="cross_entropy")
    assert result.success
    assert result.chosen["method"].startswith("lm: ")
    assert result.loss == pytest.approx(model.loss(x, label, "cross_entropy"), rel=1e-12)
    found = softmax(model(x))
    assert np.sqrt(np.mean((found - p) ** 2)) < 0.06
    assert 6 < result.freedom < 25
    assert np.isnan([result.noise, result.gcv, result.validation_loss]).all()
    assert np.isfinite(result.evidence)
    assert "log of the evidence" in str(result)
    weights = result.weights[0]
    assert weights.shape == (3, 3, 3)
    assert (weights == weights[:, :, :1]).all()
    assert weights[0, 2, 0] > 1.5 * weights[0, :2, 0].max()  # the idle input


@pytest.mark.jit
def test_classes_that_can_be_told_apart_keep_probabilities_off_0_and_1() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 2))
    label = (x[:, 0] > 0).astype(int)
    model = KAN([2, 2], seed=0)
    assert model.fit(x, label, loss="cross_entropy").success
    logit = np.diff(model(x), axis=1)[:, 0]
    assert ((logit > 0) == label).all()
    assert 0.1 < np.abs(logit).min() < 4  # near the border
    assert np.abs(logit).max() < 100


@pytest.mark.jit
def test_the_numbering_of_classes_does_not_matter() -> None:
    x, label, _ = classes(200)
    order = np.array([2, 0, 1])
    one, other = KAN([3, 3], seed=0), KAN([3, 3], seed=0)
    one.fit(x, label, loss="cross_entropy", method="lm")
    other.fit(x, order[label], loss="cross_entropy", method="lm")
    np.testing.assert_allclose(softmax(other(x))[:, order], softmax(one(x)), atol=1e-6)


@pytest.mark.jit
def test_two_classes_by_softmax_are_one_logit() -> None:
    x, label, _ = classes(300)
    label = (label == 1).astype(int)
    two, one = KAN([3, 2], seed=0), KAN([3, 1], seed=0)
    two.fit(x, label, loss="cross_entropy")
    result = one.fit(x, label, loss="logistic")
    assert result.chosen["method"].startswith("lm: ")
    np.testing.assert_allclose(softmax(two(x))[:, 1:], 1 / (1 + np.exp(-one(x))), atol=0.01)


@pytest.mark.jit
@pytest.mark.parametrize("loss", ["poisson", OWN_POISSON], ids=["poisson", "users"])
def test_rates_of_counts_are_found_by_name_or_by_a_users_loss_in_other_units(loss: Any) -> None:
    x, y, eta = counts(400)
    model = KAN([2, 1], seed=0)
    result = model.fit(x, y, loss=loss)
    assert result.chosen["method"].startswith("lm: ")
    assert np.sqrt(np.mean((model(x) - eta) ** 2)) < 0.1
    assert 4 < result.freedom < 16
    if loss is OWN_POISSON:
        assert result.noise == pytest.approx(np.sqrt(5), rel=0.1)


@pytest.mark.jit
def test_counts_and_classes_of_large_means_and_rare_kinds_are_no_trouble() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    model = KAN([1, 1], seed=0)
    assert model.fit(x, rng.poisson(1e5 * np.exp(x)), loss="poisson").success
    np.testing.assert_allclose(model(x), np.log(1e5) + x, atol=0.02)
    label = np.zeros(200, int)
    label[:2] = 1
    model = KAN([1, 3], seed=0)
    assert model.fit(x, label, loss="cross_entropy").success
    np.testing.assert_allclose(softmax(model(x)).mean(axis=0), [0.985, 0.0125, 0.0025], atol=0.006)


@pytest.mark.jit
def test_a_weight_is_a_number_of_samples() -> None:
    x, label, _ = classes(120)
    weight = np.random.default_rng(1).integers(0, 4, 120).astype(float)
    rows = np.repeat(np.arange(120), weight.astype(int))
    x[weight == 0] *= 0.5  # inside the box of the others
    one, other = KAN([3, 3], seed=0), KAN([3, 3], seed=0)
    result = one.fit(x, label, loss="cross_entropy", sample_weight=weight, grids=5)
    result2 = other.fit(x[rows], label[rows], loss="cross_entropy", grids=5)
    assert result.freedom == pytest.approx(result2.freedom, rel=0.02)
    np.testing.assert_allclose(softmax(one(x)), softmax(other(x)), atol=0.01)
    lighter = KAN([3, 3], seed=0).fit(x, label, loss="cross_entropy", sample_weight=weight / 8, grids=5)
    assert lighter.freedom < 0.9 * result.freedom


@pytest.mark.jit
def test_a_hidden_layer_finds_an_interaction() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2))
    eta = 4 * x[:, :1] * x[:, 1:]
    y = (rng.uniform(size=(400, 1)) < 1 / (1 + np.exp(-eta))).astype(float)
    model = KAN([2, 2, 1], seed=0)
    result = model.fit(x, y, loss="logistic", method="lm", restarts=3)
    assert result.success
    assert result.evidence > KAN([2, 1], seed=0).fit(x, y, loss="logistic").evidence + 10
    assert np.isfinite(result.validation_loss)
    assert np.isnan(result.stages[-1].validation)  # of all samples
    assert np.sqrt(np.mean((1 / (1 + np.exp(-model(x))) - 1 / (1 + np.exp(-eta))) ** 2)) < 0.14


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(3))
def test_classes_that_a_start_tells_apart_are_not_lost_by_the_first_step(seed: int) -> None:
    """A start settles with small penalties there. With larger ones its curves would fall at once, past the minimum."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2))
    model = KAN([2, 2, 1], grid=4, seed=0, extrapolate="clamp")
    result = model.fit(
        x, (x[:, 0] * x[:, 1] > 0.0).astype(int), loss="logistic", method="lm", random_state=seed, grids=[4],
        validation=None, restarts=1, steps=40,
    )  # fmt: skip
    assert result.loss < 0.02
    assert result.history.train.max() < 0.7


@pytest.mark.jit
def test_a_model_goes_on_and_a_grid_that_is_given_is_kept() -> None:
    x, label, _ = classes(200)
    model = KAN([3, 3], seed=0)
    first = model.fit(x, label, loss="cross_entropy", grids=[3, 6])
    again = model.fit(x, label, loss="cross_entropy", grids=None)
    assert again.chosen["start"].startswith("keep")
    assert again.loss == pytest.approx(first.loss, rel=0.05)
    assert model.fit(x, label, loss="cross_entropy", grids=[4], method="lm", start="redraw").stages[0].grid == 4


@pytest.mark.jit
def test_held_out_samples_that_are_given_judge() -> None:
    x, label, _ = classes(200)
    held = classes(100, seed=1)[:2]
    model = KAN([3, 3], seed=0)
    result = model.fit(x, label, loss="cross_entropy", method="lm", validation=held)
    assert result.validation_loss == pytest.approx(model.loss(*held, "cross_entropy"), rel=1e-12)
    assert result.validation_loss == pytest.approx(np.nanmin(result.history.validation), rel=1e-12)


@pytest.mark.jit
def test_a_fit_that_is_stopped_leaves_the_model_at_an_accepted_step() -> None:
    x, label, _ = classes(200)
    model, losses = KAN([3, 3], seed=0), []

    def stop(state: Any) -> None:
        losses.append(state.loss)
        if state.step == 4:
            raise StopIteration

    result = model.fit(x, label, loss="cross_entropy", callback=stop)
    assert result.status == "callback"
    assert model.loss(x, label, "cross_entropy") == pytest.approx(losses[-1], rel=1e-9)


@pytest.mark.jit
def test_bits_are_the_same_for_any_number_of_threads() -> None:
    x, label, _ = classes(150)
    before, found = get_threads(), []
    try:
        for threads in (1, 2):
            set_threads(threads)
            model = KAN([3, 2, 3], seed=0)
            model.fit(x, label, loss="cross_entropy", method="lm", restarts=1, grids=3)
            found.append(model.params.tobytes())
    finally:
        set_threads(before)
    assert found[0] == found[1]


def test_by_levenberg_marquardt_a_loss_needs_a_curvature() -> None:
    x, y, _ = counts(30)
    model = KAN([2, 1], seed=0)
    with pytest.raises(ValueError, match=r"^Argument `loss` must have a curvature for the method 'lm', .*\.$"):
        model.fit(x, y, loss=OWN_POISSON[:2], method="lm")
    with pytest.raises(ValueError, match=r"^Argument `method` must not be 'lm' with `lamb`: use 'lbfgs'\.$"):
        model.fit(x, y, method="lm", lamb=1.0)
    assert model.is_as_drawn


@pytest.mark.jit
def test_without_a_curvature_and_with_weights_of_the_callers_the_gradient_is_followed() -> None:
    x, label, _ = classes(60)
    options = {"loss": "cross_entropy", "steps": 2, "grids": None}
    assert KAN([3, 3], seed=0).fit(x, label, penalty=0.5, **options).chosen["method"].startswith("lbfgs: ")
    assert KAN([3, 3], seed=0).fit(x, label, lamb=0.1, **options).chosen["method"].startswith("lbfgs: ")
    x, y, _ = counts(60)
    loss = OWN_POISSON[:2]
    assert KAN([2, 1], seed=0).fit(x, y, loss=loss, steps=2, grids=None).chosen["method"].startswith("lbfgs: ")


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_likelihoods_are_learned_by_gradients_too(loss: str, method: str) -> None:
    x, y, _ = counts(60)
    y = y if loss == "poisson" else (y > 2).astype(int)
    model = KAN([2, 1], grid=3, seed=0)
    before = model.loss(x, y, loss)
    result = model.fit(x, y, loss=loss, method=method, grids=None, steps=30)
    assert result.loss == pytest.approx(model.loss(x, y, loss), rel=1e-12)
    assert result.loss < before
    assert f"mean {loss.capitalize() if loss == 'poisson' else loss} losses" in str(result)
