"""numkan.model.frozen: the packed predictor."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from numkan.conformance.law import assert_identical
from tests.network_cases import TANH
from tests.small_networks import FLOATS, NAMES, points, small


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("base_fun", ["silu", TANH], ids=["silu", "tanh"])
def test_a_frozen_model_gives_the_models_bits_and_stays_when_the_model_changes(base_fun: Any, dtype: type) -> None:
    model = small(base_fun=base_fun, dtype=dtype)
    x = points(dtype=dtype)
    frozen, want = model.frozen(), model(x)
    for same in (frozen, copy.copy(frozen), copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        assert_identical(same(x), want)
        assert_identical(same(x[2:3]), want[2:3])
        assert_identical(same(x.tolist()), want)
        assert_identical(same.predict(x.tolist()), want)
        assert same(x[:0]).shape == (0, 2)
        assert same(x).dtype == dtype
    for layer in model.act_fun:
        layer.grid = layer.grid + 0.5
        layer.extrapolate = "fade"
        for name in NAMES:
            getattr(layer, name)[...] *= 0.5
    model.params = 0 * model.params
    model.update_grid_from_samples(points(20))
    assert_identical(frozen(x), want)


def test_a_frozen_model_cannot_be_changed() -> None:
    frozen = small().frozen()
    for name in ("predict", "_predictor", "n_in", "dtype", "other"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(frozen, name, 1)
    with pytest.raises((AttributeError, TypeError)):
        del frozen.n_in
    assert len(repr(frozen)) < 100
