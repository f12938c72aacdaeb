"""Effects of additive networks: the curves that were learned, centred, with the band of the posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN, effects
from numkan.model.least_squares import output_jacobian
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
        ((2, 2, 1), X, None, "Argument `model` must have one layer, not 2"),
        ((2, 1), X[:0], None, "Argument `x` must have at least one row"),
        ((2, 1), X, ["a"], "Argument `names` must have 2 entries"),
    ],
)
def test_what_has_no_effects_is_refused(width, x, names, error):
    with pytest.raises(ValueError, match=f"^{error}"):
        effects(fitted(width), x, names)


def test_without_a_posterior_there_is_no_band():
    with pytest.raises(RuntimeError, match=r"^The model has no posterior"):
        effects(KAN([2, 1]), X)
