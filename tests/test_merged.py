"""What holds of networks in merged form, whichever of the two forms they have."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan._lanes import has_lookups
from tests.merged_cases import FLOATS, check_form, check_single, form_of, model_of

#: Grids for which small networks take a form.
GRIDS = {"column": 4, "direct": 30}


@pytest.fixture(params=list(GRIDS))
def grid(request: pytest.FixtureRequest) -> int:
    if request.param == "column" and not has_lookups():
        pytest.skip("the host has no look-ups")
    return GRIDS[request.param]


def small(width: list[int], grid: int, **options: Any) -> KAN:
    model = model_of(width, grid, **options)
    assert form_of(model) == ("column" if grid == GRIDS["column"] else "direct")
    return model


@pytest.mark.parametrize("trained", [(True, False), (False, True), (False, False)])
def test_what_is_not_trained_counts_and_has_no_gradient(grid: int, trained: tuple[bool, bool]) -> None:
    model = small([2, 5, 1], grid, sb_trainable=trained[0], sp_trainable=trained[1])
    rng = np.random.default_rng(4)
    check_form(model, rng.uniform(-1, 1, (9, 2)), rng.normal(size=9))


def test_no_samples_have_no_outputs(grid: int) -> None:
    model = small([2, 3, 2], grid)
    assert model(np.empty((0, 2))).shape == model.frozen()(np.empty((0, 2))).shape == (0, 2)


def test_nan_and_infinity_stay_in_their_rows(grid: int) -> None:
    model = small([2, 3, 1], grid)
    x = np.random.default_rng(7).uniform(-1, 1, (20, 2))
    want = model(x)
    x[3, 0], x[11, 1] = np.nan, np.inf
    with np.errstate(invalid="ignore", over="ignore"):  # the JIT off: infinity times 0, and times 2
        got = model(x)
    assert np.isnan(got[3]).all()
    keep = np.delete(np.arange(20), [3, 11])
    np.testing.assert_array_equal(got[keep], want[keep])


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_one_sample_has_the_same_bits_where_numbers_are_zero_tiny_or_infinite(grid: int, dtype: type) -> None:
    rng = np.random.default_rng(8)
    tiny = float(np.finfo(dtype).tiny)
    for trial in range(40):
        model = small([3, 6, 2], grid, seed=trial, dtype=dtype)
        numbers = model._numbers
        some = rng.integers(0, numbers.size, 8)
        numbers[some] = rng.choice([0.0, -0.0, tiny, -tiny] + ([np.inf, np.nan] if trial % 4 == 0 else []), 8)
        if trial % 3 == 0:
            numbers *= dtype(1e-20)  # products underflow
        check_single(model, rng.uniform(-1, 1, 3), np.zeros((1, 2)) if trial % 2 else rng.normal(size=(1, 2)))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
def test_one_sample_leaves_nothing_behind_for_the_next_batch(grid: int, dtype: type) -> None:
    model, rng = small([3, 5, 2], grid, dtype=dtype), np.random.default_rng(9)
    x, y = rng.uniform(-1, 1, (5, 3)).astype(dtype), rng.normal(size=(5, 2))
    before = model(x), *model.loss_and_grad(x, y)
    model.loss_and_grad(np.full((1, 3), np.nan), y[:1])
    for want, got in zip(before, (model(x), *model.loss_and_grad(x, y)), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.jit
def test_a_loss_alone_compiles_no_gradient(grid: int, tmp_path: Any) -> None:
    code = f"""
import numpy as np
from numkan import KAN
from numkan.layer.merged_unpack import unpack_kernel
KAN([2, 3, 1], grid={grid}).loss(np.zeros((9, 2)), np.zeros(9))
assert not unpack_kernel(np.dtype(np.float64), direct={grid == GRIDS["direct"]}).signatures
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=300)
