"""Memory of temporary arrays that a thread keeps: no two arrays share it, and it is taken again."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest

from numkan import KAN, _kept
from numkan._kept import empty, keeps_memory, zeros
from numkan.model.row_squares import BlockEquations
from numkan.train.splines import Splines


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(_kept, "_kept", _kept._Kept())


SHAPE = (100, 1000)


def address(array):
    return array.__array_interface__["data"][0]


def test_arrays_that_live_do_not_share_memory():
    with keeps_memory():
        arrays = [empty(SHAPE), zeros(SHAPE), empty(SHAPE, np.int64), empty(SHAPE)[3:]]
        arrays += [array.reshape(-1)[::2] for array in arrays]
        arrays += [empty(SHAPE), zeros(SHAPE)]
    bases = arrays[:4] + arrays[-2:]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(bases) for b in bases[:i])


def test_a_view_keeps_its_memory():
    with keeps_memory():
        view = zeros(SHAPE)[5:7, ::3]
        other = empty(SHAPE)
        other.fill(1.0)
    assert not view.any()


def test_memory_is_taken_again_and_zeros_are_zeros():
    with keeps_memory():
        first = empty(SHAPE)
        first.fill(1.0)
        where = address(first)
        del first
        again = zeros(SHAPE)
    assert address(again) == where
    assert again.shape == SHAPE
    assert not again.any()


def test_memory_is_not_kept_outside_nor_that_of_small_arrays():
    arrays = [empty(SHAPE)]
    with keeps_memory():
        arrays.append(empty(10))
    arrays.append(zeros(SHAPE))
    assert not _kept._kept.memory


def test_a_thread_keeps_no_more_than_its_share(monkeypatch):
    monkeypatch.setattr(_kept, "_MOST", 3 * 800_000)
    with keeps_memory():
        arrays = [empty(SHAPE) for _ in range(3)]
    assert len(_kept._kept.memory) == 3
    with keeps_memory():
        arrays.append(empty(SHAPE))
    assert not _kept._kept.memory


def test_each_thread_has_its_own():
    found = []

    def work():
        with keeps_memory():
            empty(SHAPE)
            found.append(len(_kept._kept.memory))

    with keeps_memory():
        empty(SHAPE)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [1]
    assert len(_kept._kept.memory) == 1


@pytest.mark.jit
@pytest.mark.parametrize("dense", [False, True])
def test_the_normal_equations_of_a_second_block_take_no_new_memory(dense):
    rng = np.random.default_rng(0)
    splines = Splines.of(KAN([2, 5, 1], grid=12, seed=0))
    block = BlockEquations(splines.layers, dense, splines.vector)
    x, y = rng.uniform(-1, 1, (1024, 2)), rng.standard_normal((1024, 1))
    block(x, y)
    tracemalloc.start()
    try:
        block(x, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300_000  # dense rows of the Jacobian are 940,000 bytes, J^T J is 410,000
