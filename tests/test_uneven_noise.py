"""Noise that is not the same everywhere is noticed, and said in the message of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.train.uneven import uneven_noise

NO_WEIGHT = np.empty(0)


def said(scale: Any, *, n: int = 300, seeds: int = 20, heavy: bool = False) -> list[str]:
    """Return what is said of residuals that have a deviation which is a function of x, over seeds."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, (n, 3))
        e = rng.standard_t(5, n) if heavy else rng.standard_normal(n)
        found.append(uneven_noise(x, x[:, :1] + x[:, 1:2], (scale(x) * e)[:, None], NO_WEIGHT))
    return found


@pytest.mark.parametrize("heavy", [False, True])
def test_of_noise_that_is_the_same_everywhere_nothing_is_said(heavy):
    assert not any(said(lambda x: np.ones(len(x)), seeds=100, heavy=heavy))


def test_noise_that_varies_with_an_input_or_the_prediction_is_said_to():
    assert all("varies with input 1," in each for each in said(lambda x: 1.0 + 0.8 * x[:, 1]))
    assert all("varies with input 2," in each for each in said(lambda x: 0.2 + np.abs(x[:, 2])))
    found = said(lambda x: np.exp(0.6 * (x[:, 0] + x[:, 1])))
    assert sum("varies with the prediction, by a factor" in each for each in found) > 18


def test_rows_without_weight_and_residuals_that_are_no_noise_do_not_count():
    rng = np.random.default_rng(0)
    x, weight = rng.uniform(-1, 1, (400, 1)), np.repeat([1.0, 0.0], 200)
    e = rng.standard_normal((400, 1)) * np.where(weight > 0, 1.0, 1 + 5 * np.abs(x[:, 0]))[:, None]
    assert not uneven_noise(x, x, e, weight)
    assert uneven_noise(x, x, e, 1.0 - weight)
    assert not uneven_noise(x, x, 1e-3 * e, 1.0 - weight)
    assert not uneven_noise(x, 0 * x, 0 * e, NO_WEIGHT)


@pytest.mark.jit
def test_a_fit_says_so():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 2))
    e = rng.standard_normal(300)
    messages = [KAN([2, 1], seed=0).fit(x, x[:, 1] ** 2 + 0.3 * s * e).message for s in (1.0, 0.2 + x[:, 0] ** 2)]
    assert ["noise is not the same" in each for each in messages] == [False, True]


@pytest.mark.jit
def test_the_noise_of_the_result_is_that_of_the_posterior():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (100, 2))
    model = KAN([2, 2, 1], seed=0)
    result = model.fit(x, x[:, 0] * x[:, 1] + 0.1 * rng.standard_normal(100))
    mean, whole = (model.predict_std(x[:1], kind)[0, 0] for kind in ("mean", "observation"))
    assert whole == pytest.approx(np.hypot(mean, result.noise), rel=1e-12)
