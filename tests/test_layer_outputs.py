"""numkan.model.layer_outputs: the outputs of a prediction, to rounding, and the same bits for any chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.model.evaluate import all_activations
from numkan.model.layer_outputs import layer_outputs, network_activations

FLOATS = [np.float32, np.float64]


def model_of(dtype: type, **options: Any) -> KAN:
    model, rng = KAN([3, 4, 2], grid=4, seed=1, dtype=dtype, **options), np.random.default_rng(0)
    for layer in model.act_fun:
        layer.mask = rng.integers(0, 4, layer.mask.shape) > 0
        layer.scale_sp, layer.scale_base = rng.normal(size=(2, *layer.mask.shape))
    return model


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("policy", ["continue", "fade", "linear", "clamp"])
@pytest.mark.parametrize("base", ["silu", "identity", "zero", "tanh"])
def test_they_are_those_of_a_prediction_to_rounding(base: str, policy: str, dtype: type) -> None:
    base_fun = (np.tanh, lambda x: 1 / np.cosh(x) ** 2) if base == "tanh" else base
    model = model_of(dtype, base_fun=base_fun, extrapolate=policy)
    x = np.random.default_rng(2).uniform(-1.5, 1.5, (40, 3)).astype(dtype)
    x[3, 1] = np.nan
    for got, want in zip(network_activations(model.act_fun, x), all_activations(model._pack(), x), strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=0, atol=64 * np.finfo(dtype).eps * np.nanmax(abs(want)))


def test_splines_that_jump_have_the_very_bits_of_a_prediction() -> None:
    model = model_of(np.float64, k=0)
    x = np.random.default_rng(3).uniform(-1.5, 1.5, (40, 3))
    for got, want in zip(network_activations(model.act_fun, x), all_activations(model._pack(), x), strict=True):
        np.testing.assert_array_equal(got, want)


def test_no_bits_depend_on_the_block() -> None:
    layer = model_of(np.float64).act_fun[0]
    x = np.random.default_rng(4).uniform(-1, 1, (2500, 3))  # two blocks and a part of one
    whole = layer_outputs(layer, x)
    for rows in (slice(0, 7), slice(1000, 1100), slice(2047, 2500)):
        np.testing.assert_array_equal(layer_outputs(layer, x[rows]), whole[rows])


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_a_base_function_whose_scales_are_zero_changes_no_bit_and_gives_nan_at_infinity(dtype: type) -> None:
    """It is left out where all samples are finite."""
    layer = model_of(dtype).act_fun[0]
    layer.scale_base = np.zeros_like(layer.scale_base)
    x = np.random.default_rng(5).uniform(-1.5, 1.5, (40, 3)).astype(dtype)
    y = layer_outputs(layer, x)
    x[7] = -np.inf
    with_base = layer_outputs(layer, x)
    assert np.isnan(with_base[7]).all()
    np.testing.assert_array_equal(np.delete(with_base, 7, axis=0), np.delete(y, 7, axis=0))
    np.testing.assert_array_equal(np.signbit(np.delete(with_base, 7, axis=0)), np.signbit(np.delete(y, 7, axis=0)))
