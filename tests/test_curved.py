"""Losses of second order: factors and residuals beside plain formulas, normal equations beside differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN, Huber
from numkan.model.curved import SQUARES, Entries, Softmax
from numkan.model.least_squares import LeastSquares
from numkan.model.losses import LOSSES, loss_function
from tests.small_networks import patchy
from tests.test_least_squares import effective_jacobian, spline_layers

LOGCOSH = (lambda p, t: np.log(np.cosh(p - t)), lambda p, t: np.tanh(p - t), lambda p, t: np.cosh(p - t) ** -2)
NONE: Any = np.empty(0)

SHIFT = np.array([0.3, -1.0])

#: Outputs, the loss, and its twin: half of f before the least value is subtracted.
CASES: dict[str, Any] = {
    "squares": (2, SQUARES, lambda p, t: (p - t) ** 2 / 2),
    "logistic": (1, Entries(LOSSES["logistic"], SHIFT[:1]), lambda p, t: np.log(1 + np.exp(p + 0.3)) - t * (p + 0.3)),
    "poisson": (2, Entries(LOSSES["poisson"], SHIFT), lambda p, t: np.exp(p + SHIFT) - t * (p + SHIFT)),
    "huber": (2, Entries(Huber(0.7), np.zeros(2)), lambda p, t: Huber(0.7).value(p, t)),
    "users": (2, Entries(loss_function(LOGCOSH), np.zeros(2)), LOGCOSH[0]),
}
CLASSES = {n: Softmax(np.linspace(-1, 1, n)) for n in (2, 3, 5)}


def targets_of(name: str, n: int, n_out: int, rng: Any) -> Any:
    if name == "logistic":
        return rng.integers(0, 2, (n, 1)).astype(float)
    return rng.poisson(2, (n, n_out)).astype(float) if name == "poisson" else rng.normal(size=(n, n_out))


def softmax(logits: Any) -> Any:
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def weights(n: int, rng: Any, weighted: bool) -> Any:
    return rng.uniform(0.1, 2, n) if weighted else NONE


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_factors_times_residuals_are_the_slope_and_their_squares_the_curvature(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    n_out, curved, loss = CASES[name]
    y, p = targets_of(name, 30, n_out, rng), rng.normal(size=(30, n_out))
    root, step = weights(30, rng, weighted), 1e-4
    value, residuals, factors = curved.expand(p, y, root)
    share = np.square(root)[:, None] if weighted else np.ones((30, 1))
    up, here, down = (loss(p + by, y) for by in (step, 0, -step))
    least = loss_function(LOSSES.get(name, "mse")).least(y)
    assert value == pytest.approx(2 * (share * (here - least)).sum()) == curved.value(p, y, root)
    slope = np.einsum("noq,nq->no", factors, residuals) * (root[:, None] if weighted else 1)
    np.testing.assert_allclose(slope, share * (up - down) / (2 * step), atol=1e-6)
    W = np.einsum("noq,npq->nop", factors, factors)
    assert not W[:, ~np.eye(n_out, dtype=bool)].any()
    if name != "huber":
        np.testing.assert_allclose(np.einsum("noo->no", W), (up - 2 * here + down) / step**2, atol=1e-5)


def test_steps_of_huber_go_by_a_parabola_that_lies_above_it_everywhere() -> None:
    loss, e = Huber(0.7), np.linspace(-9, 9, 301)[:, None]
    for at in (-5.0, -0.3, 0.2, 4.0):
        here = np.full((1, 1), at), np.zeros((1, 1))
        value, slope, bend = (float(of(*here)[0, 0]) for of in (loss.value, loss.derivative, loss.step_curvature))
        parabola = value + slope * (e - at) + 0.5 * bend * (e - at) ** 2
        assert bend > 0
        assert (parabola >= loss.value(e, 0 * e) - 1e-12).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", CLASSES)
def test_factors_of_softmax_are_those_of_its_covariance(n_classes: int, weighted: bool) -> None:
    rng, curved = np.random.default_rng(1), CLASSES[n_classes]
    outputs, label = 3 * rng.normal(size=(40, n_classes)), rng.integers(0, n_classes, 40)
    y, root = np.eye(n_classes)[label], weights(40, rng, weighted)
    p = softmax(outputs + curved.centre)
    value, residuals, factors = curved.expand(outputs, y, root)
    by = root[:, None] if weighted else np.ones((40, 1))
    assert value == pytest.approx(-2 * (by[:, 0] ** 2 * np.log(p[range(40), label])).sum())
    assert value == curved.value(outputs, y, root)
    np.testing.assert_allclose(np.einsum("noq,nq->no", factors, residuals), by * (p - y), atol=1e-14)
    W = np.einsum("no,op->nop", p, np.eye(n_classes)) - p[:, :, None] * p[:, None, :]
    np.testing.assert_allclose(np.einsum("noq,npq->nop", factors, factors), W, atol=1e-14)


@pytest.mark.parametrize("n_classes", CLASSES)
def test_certain_and_wrong_classes_leave_the_slope_exact(n_classes: int) -> None:
    outputs = np.zeros((2, n_classes))
    outputs[:, 0] = 900.0
    y = np.eye(n_classes)[[0, 1]]
    _, residuals, factors = Softmax(np.zeros(n_classes)).expand(outputs, y, NONE)
    want = np.zeros((2, n_classes))
    want[1, :2] = 1.0, -1.0
    np.testing.assert_allclose(np.einsum("noq,nq->no", factors, residuals), want, atol=1e-14)


# --- through a network ----------------------------------------------------------------------------------------------

NETWORKS = [
    ([2, 3, 3], {"grid": 4, "k": 3}),
    ([2, 3], {"grid": 30, "k": 2}),
    ([2, 2, 3], {"grid": [3, 5], "k": [2, 3]}),
]


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("width", "options"), NETWORKS)
def test_normal_equations_of_softmax_are_those_of_the_whole_jacobian(width: Any, options: Any, dense: bool) -> None:
    model, rng = patchy(width, **options), np.random.default_rng(2)
    x, label, root = rng.uniform(-1, 1, (60, 2)), rng.integers(0, 3, 60), rng.uniform(0.1, 2, 60)
    layers, c = spline_layers(model)
    problem = LeastSquares(layers, x, np.eye(3)[label], root, None, dense, Softmax(np.zeros(3)))
    f, gradient, normal = problem.normal_equations(c)
    p, J = softmax(model(x)), effective_jacobian(model, x)
    slope = np.square(root)[:, None] * (p - np.eye(3)[label])
    W = np.square(root)[:, None, None] * (np.einsum("no,op->nop", p, np.eye(3)) - p[:, :, None] * p[:, None, :])
    assert f == pytest.approx(-2 * (root**2 * np.log(p[range(60), label])).sum(), rel=1e-12)
    assert problem.loss(c) == pytest.approx(f, rel=1e-14)
    np.testing.assert_allclose(gradient, np.einsum("nop,no->p", J, slope), atol=1e-11 * np.abs(J).max())
    np.testing.assert_allclose(normal, np.einsum("nop,noq,nqr->pr", J, W, J), atol=1e-11 * np.abs(J).max() ** 2)


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_normal_equations_are_those_of_finite_differences(name: str) -> None:
    rng = np.random.default_rng(3)
    n_out, curved, _ = CASES[name]
    model = patchy([2, 2, n_out], grid=3)
    x, y = rng.uniform(-1, 1, (50, 2)), targets_of(name, 50, n_out, rng)
    layers, c = spline_layers(model)
    problem = LeastSquares(layers, x, y, rng.uniform(0.1, 2, 50), curved=curved)
    gradient = problem.normal_equations(c)[1]
    for _ in range(5):
        direction = rng.normal(size=c.size)
        difference = (problem.loss(c + 1e-5 * direction) - problem.loss(c - 1e-5 * direction)) / 2e-5
        assert 2 * gradient @ direction == pytest.approx(difference, rel=1e-6, abs=1e-6)


def test_two_classes_are_one_logit() -> None:
    """The difference of two outputs by softmax has the equations of one output by the logistic loss."""
    rng = np.random.default_rng(4)
    x, label = rng.uniform(-1, 1, (80, 2)), rng.integers(0, 2, 80)
    two, one = KAN([2, 2], grid=4, base_fun="zero", seed=0), KAN([2, 1], grid=4, base_fun="zero", seed=0)
    one.act_fun[0].coef[...] = two.act_fun[0].coef[:, 1:] - two.act_fun[0].coef[:, :1]
    (layers2, c2), (layers1, c1) = spline_layers(two), spline_layers(one)
    softmax_, logistic = Softmax(np.zeros(2)), Entries(LOSSES["logistic"], np.zeros(1))
    f2, g2, N2 = LeastSquares(layers2, x, np.eye(2)[label], curved=softmax_).normal_equations(c2)
    f1, g1, N1 = LeastSquares(layers1, x, label[:, None].astype(float), curved=logistic).normal_equations(c1)
    assert f2 == pytest.approx(f1, rel=1e-12)
    np.testing.assert_allclose(g2[1::2], g1, atol=1e-12)
    np.testing.assert_allclose(g2[::2], -g1, atol=1e-12)
    np.testing.assert_allclose(N2[1::2, 1::2], N1, atol=1e-12)
    np.testing.assert_allclose(N2[::2, 1::2], -N1, atol=1e-12)


# --- dispersion -----------------------------------------------------------------------------------------------------


def test_likelihoods_have_no_dispersion_to_estimate() -> None:
    zeros = np.zeros((3, 2))
    assert np.isnan(Softmax(np.zeros(2)).scatter(zeros, zeros, NONE))
    assert np.isnan(CASES["poisson"][1].scatter(zeros, zeros, NONE))


@pytest.mark.parametrize("loss", [Huber(0.7), LOGCOSH], ids=["huber", "users"])
def test_the_dispersion_of_a_constant_is_the_variance_of_its_estimate_times_the_curvature(loss: Any) -> None:
    """s^2 / (sum of curvatures) is the variance of the best constant, known from many data sets."""
    loss, rng = loss_function(loss), np.random.default_rng(5)
    curved, y = Entries(loss, np.zeros(1)), rng.standard_t(4, (200, 200, 1))
    constants = [loss.best_constant(each, None)[0] for each in y]
    told = []
    for each, constant in zip(y, constants, strict=True):
        outputs = np.full((200, 1), constant)
        told.append(curved.scatter(outputs, each, NONE) / 199 / loss.step_curvature(outputs, each).sum())
    assert np.mean(told) == pytest.approx(np.var(constants), rel=0.25)  # two standard errors of 200 data sets
