"""Effects: centred curves of additive networks, averages of others, with the band of the posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from numkan import KAN, effects
from numkan.model.output_jacobian import output_jacobian
from numkan.model.posterior import keep_posterior
from numkan.plot import plot_effects
from numkan.train.splines import Splines

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (150, 2))
Y = np.sin(3 * X[:, 0]) + 0.5 * X[:, 1] ** 2 + 0.1 * RNG.standard_normal(150)


def fitted(width: Any = (2, 1), y: Any = Y) -> KAN:
    model = KAN(list(width), grid=4, seed=0)
    model.fit(X, y, method="lm", grids=[4], validation=None)
    return model


def test_they_are_centred_and_sum_to_the_prediction():
    model = fitted((2, 2), np.column_stack([Y, X[:, 0]]))
    found = effects(model, X)
    at = [np.array([np.interp(X[:, i], e.x, e.curve[:, o]) for o in range(2)]).T for i, e in enumerate(found)]
    for values in at:
        np.testing.assert_allclose(values.mean(axis=0), 0.0, atol=1e-3)
    np.testing.assert_allclose(sum(at), model(X) - model(X).mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(sum(e.share for e in found), 1.0)


def test_their_band_is_that_of_the_coefficients_of_the_curve_alone():
    model = fitted()
    found, splines = effects(model, X)[1], Splines.of(model)
    size = splines.coefs[0].size // 2
    at = np.column_stack([np.full(len(found.x), 0.3), found.x])
    mean = output_jacobian(splines.layers, splines.coefs, X)[:, 0].mean(axis=0)[size:]
    row = output_jacobian(splines.layers, splines.coefs, at)[:, 0, size:] - mean
    covariance = (model._posterior.root.T @ model._posterior.root)[size:, size:]
    np.testing.assert_allclose(found.std[:, 0] ** 2, np.einsum("np,pq,nq->n", row, covariance, row), rtol=1e-8)


@pytest.mark.jit
def test_the_band_holds_the_curve_of_the_truth_about_as_often_as_it_says():
    inside = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        model = fitted(y=np.sin(3 * X[:, 0]) + 0.5 * X[:, 1] ** 2 + 0.1 * rng.standard_normal(150))
        first, second = effects(model, X)
        for effect, truth in ((first, lambda x: np.sin(3 * x)), (second, lambda x: 0.5 * x**2)):
            column = X[:, 0] if effect is first else X[:, 1]
            error = effect.curve[:, 0] - (truth(effect.x) - truth(column).mean())
            inside.append(np.abs(error) < 1.96 * effect.std[:, 0])
    assert 0.88 < np.mean(inside) < 0.995


def test_names_are_those_given():
    assert [effect.name for effect in effects(fitted(), X, ["a", "b"])] == ["a", "b"]
    assert [effect.name for effect in effects(fitted(), X)] == ["x0", "x1"]


@pytest.mark.parametrize(
    ("width", "x", "names", "error"),
    [
        ((2, 1), X[:0], None, "Argument `x` must have at least one row"),
        ((2, 1), np.array([[0.0, np.nan]]), None, "Argument `x` must"),
        ((2, 1), X, ["a"], "Argument `names` must have 2 entries"),
    ],
)
def test_what_has_no_effects_is_refused(width, x, names, error):
    with pytest.raises(ValueError, match=f"^{error}"):
        effects(fitted(width), x, names)


@pytest.mark.parametrize("width", [(2, 1), pytest.param((2, 2, 1), marks=pytest.mark.jit)])
def test_numbers_near_the_largest_ones_give_no_warning(width):
    assert len(effects(fitted(width), np.array([[1e308, -1e308], [-1e308, 1e308], [0.0, 1.0]]))) == 2


def test_without_a_posterior_there_is_no_band():
    with pytest.raises(RuntimeError, match=r"^The model has no posterior"):
        effects(KAN([2, 1]), X)


# --- hidden layers ------------------------------------------------------------------------------------------------


def embedded(model: KAN) -> KAN:
    """The same function of two inputs with the same posterior, in two layers: the second one adds."""
    layer, hidden = model.act_fun[0], KAN([2, 2, 1], grid=4, seed=0)
    first, last = hidden.act_fun
    first.grid, first.mask, last.scale_base = layer.grid, np.eye(2), np.zeros((2, 1))
    for own, other in (
        (first.coef, layer.coef),
        (first.scale_sp, layer.scale_sp),
        (first.scale_base, layer.scale_base),
    ):
        own[:] = other
    last.scale_sp = np.ones((2, 1))
    last.coef[:, 0] = [[knots[p + 1 : p + 4].mean() for p in range(7)] for knots in last.grid]  # of the curve h -> h
    places = np.arange(2 * 7 * 2).reshape(2, 7, 2)[[0, 1], :, [0, 1]].ravel()
    root = np.zeros((42, 42))
    root[:14, places] = model._posterior.root
    keep_posterior(hidden, root, 0.1, "squares")
    return hidden


def test_an_additive_function_in_two_layers_has_the_exact_effects():
    model = fitted()
    x = np.column_stack([X[:12, 0], 0.6 * X[:12, 0] + 0.4 * X[:12, 1]])  # dependent inputs
    hidden = embedded(model)
    np.testing.assert_allclose(hidden(x), model(x), atol=1e-12)
    for got, want in zip(effects(hidden, x), effects(model, x), strict=True):
        for one, other in zip(got[1:], want[1:], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-12)


def product() -> KAN:
    """A network of sin(3 x0) x1 and x0, of noisy data."""
    noise = 0.05 * np.random.default_rng(1).standard_normal(len(X))
    model = KAN([2, 4, 2], grid=4, seed=0)
    y = np.column_stack([np.sin(3 * X[:, 0]) * X[:, 1] + noise, X[:, 0]])
    model.fit(X, y, method="lm", grids=[4], validation=None, restarts=1, steps=60)
    assert model.score(X, y) > 0.95
    return model


@pytest.mark.jit
def test_the_effects_of_a_product_are_sums_over_the_samples_by_hand():
    model, x = product(), X[:20] + 0.3  # inputs of other means than 0
    said = model(x)
    for i, effect in enumerate(effects(model, x)):
        own = np.array([averaged(model, x, i, value) for value in x[:, i]])
        for place in (0, 37, 100):
            want = averaged(model, x, i, effect.x[place]) - own.mean(axis=0)
            np.testing.assert_allclose(effect.curve[place], want, rtol=1e-10, atol=1e-12)
        share = [np.cov(own[:, o], said[:, o])[0, 1] / said[:, o].var(ddof=1) for o in range(2)]
        np.testing.assert_allclose(effect.share, share, rtol=1e-10)
        assert (effect.x[0], effect.x[-1]) == (x[:, i].min(), x[:, i].max())


def averaged(model: KAN, x: Any, i: int, value: float) -> Any:
    """Return the mean output over samples that have a value as input i."""
    total = np.zeros(model.n_out)
    for row in x:
        moved = row.copy()
        moved[i] = value
        total += model(moved[None])[0]
    return total / len(x)


@pytest.mark.jit
def test_the_effects_of_a_product_are_those_of_the_function_and_their_shares_leave_out_the_interaction():
    first, second = effects(product(), X)
    wave, (low, high) = np.sin(3 * X[:, 0]), X.mean(axis=0)
    np.testing.assert_allclose(first.curve[:, 0], high * (np.sin(3 * first.x) - wave.mean()), atol=0.06)
    np.testing.assert_allclose(second.curve[:, 0], wave.mean() * (second.x - high), atol=0.06)
    np.testing.assert_allclose(first.curve[:, 1], first.x - low, atol=0.02)
    assert float(first.share[0] + second.share[0]) < 0.1
    assert float(first.share[1]) == pytest.approx(1.0, abs=0.01)


@pytest.mark.jit
def test_the_band_of_an_average_is_the_scatter_of_the_averages_of_drawn_functions():
    model, x = product(), X[:12]
    (effect, _), places = effects(model, x), [0, 25, 50, 75, 100]
    rows = np.repeat(x[None], 5 + len(x), axis=0)
    rows[:, :, 0] = np.concatenate([effect.x[places], x[:, 0]])[:, None]
    draws = model.sample(rows.reshape(-1, 2), 20_000, seed=1).reshape(20_000, 5 + len(x), len(x), 2).mean(axis=2)
    scatter = (draws[:, :5] - draws[:, 5:].mean(axis=1, keepdims=True)).std(axis=0)
    np.testing.assert_allclose(effect.std[places], scatter, rtol=0.04)


@pytest.mark.jit
def test_many_samples_are_averaged_over_some_of_them_over_the_range_of_all():
    model = product()
    x = np.random.default_rng(2).uniform(-1, 1, (3000, 2))
    x[1, 0] = 1.25
    effect, _ = effects(model, x)
    assert effect.x[-1] == 1.25
    fewer, _ = effects(model, x[np.linspace(0, 2999, 200).round().astype(int)])
    np.testing.assert_allclose(effect.share, fewer.share, rtol=1e-12)


def test_drawing_takes_effects_of_hidden_layers_as_it_takes_others():
    first, second = plot_effects(effects(embedded(fitted()), X[:5]), X[:5], Figure().subplots(1, 2))
    assert [ax.get_xlabel() for ax in (first, second)] == ["x0", "x1"]
