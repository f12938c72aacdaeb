"""Predictions at long arrays that are copied: block by block, and the same bits."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.model import blocks


def samples(n: int, n_in: int = 2) -> Any:
    return np.random.default_rng(0).uniform(-2, 2, (n, n_in))


def read_only(x: Any) -> Any:
    x = x.copy()
    x.flags.writeable = False
    return x


KINDS = {
    "read-only": read_only,
    "float32": lambda x: x.astype(np.float32),
    "other byte order": lambda x: x.astype(">f8"),
    "Fortran order": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "integers": lambda x: np.rint(x).astype(np.int64),
    "truths": lambda x: x > 0,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_blocks_change_no_bit(kind, dtype, monkeypatch):
    x = kind(samples(50))
    for model in (KAN([2, 3, 2], grid=3, seed=0, dtype=dtype), KAN([2, 2], extrapolate="nan", seed=0, dtype=dtype)):
        want = model(x).tobytes()
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "_BLOCK_SIZE", 14)  # the last block is shorter
            assert blocks.is_long_and_copied(x, 2, model.dtype) or x.dtype == model.dtype == np.float32
            assert model(x).tobytes() == want
            assert model.frozen()(x).tobytes() == want


def test_errors_are_those_of_the_whole_array(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_SIZE", 14)
    model, x = KAN([2, 2], extrapolate="raise", seed=0), samples(50)
    x[:40] = 0
    bad: list[Any] = [
        read_only(x),
        samples(50, 3).T.copy().T,
        np.ma.masked_less(x, 1),
        x.astype(object),
        x + 1j,
        x[:, 0],
    ]
    for call in (model, model.frozen()):
        for array in bad:
            with pytest.raises((ValueError, TypeError)) as cut:
                call(array)
            with monkeypatch.context() as patch:
                patch.setattr(blocks, "_BLOCK_SIZE", 1000)
                with pytest.raises(type(cut.value)) as whole:
                    call(array)
            assert str(cut.value) == str(whole.value)


@pytest.mark.jit
@pytest.mark.parametrize("kind", ["read-only", "float32", "other byte order", "Fortran order"])
def test_a_mapped_file_is_not_copied_as_a_whole(kind, tmp_path):
    n = 1_500_000
    np.save(tmp_path / "x.npy", KINDS[kind](samples(n)))
    x, model = np.load(tmp_path / "x.npy", mmap_mode="r"), KAN([2, 1], grid=3, k=1, seed=0)
    model(x[:1000]), model.frozen()(x[:1000])
    for call in (model, model.frozen()):
        tracemalloc.start()
        try:
            y = call(x)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert y.shape == (n, 1)
        assert peak < y.nbytes + 0.75 * n * 2 * 8
