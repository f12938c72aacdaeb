"""numkan.model.evaluate and cuts: chunks that leave no trace, and points outside that are named by their row."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from numba import config

from numkan import KAN, get_threads, set_threads
from numkan.layer import shared_block, work
from numkan.layer.work import BLOCK
from numkan.model import cuts, network
from tests.laws import assert_identical, assert_within
from tests.small_networks import points, results, small, targets


@pytest.fixture(autouse=True)
def forget_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lots are cut once for a key, and would outlive what a test changes."""
    monkeypatch.setattr(work, "_local", threading.local())


# --- coefficients that are yet to be packed ---------------------------------------------------------------------


@pytest.mark.jit  # what is tested is Python, and without the JIT kernels would take minutes
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n", [20, 700])
def test_no_coefficient_is_read_before_it_is_packed(n: int, n_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory that they are packed into often holds those of the call before."""
    model = KAN([18, 70, 40, 3], grid=3, seed=0)
    x, y = points(n, 18), targets(n, 3)
    assert model._direct() is None
    layers = model._pack()
    want, loss = layers[2].forward(layers[1].forward(layers[0].forward(x))), model.loss(x, y)
    grad = model.loss_and_grad(x, y)[1]
    new, set_to = network._new_coefficients, get_threads()

    def spoiled(*args: Any) -> Any:
        places, n_bytes = new(*args)
        for place in places:
            place[:] = np.nan
        return places, n_bytes

    monkeypatch.setattr(network, "_new_coefficients", spoiled)
    monkeypatch.setattr(cuts, "_SHARED_WORK", 1)
    monkeypatch.setattr(cuts, "_NEARLY_ALL", 0.1)
    monkeypatch.setattr(shared_block, "_THREAD_WORK", 1)
    set_threads(n_threads)
    try:
        for rows in (1 << 21, 1):  # a lot, and several
            monkeypatch.setattr(cuts, "_LOT_NUMBERS", rows)
            for call in (lambda: model(x), lambda: model.loss(x, y), lambda: model.loss_and_grad(x, y)):
                monkeypatch.setattr(work, "_local", threading.local())
                got = call()
                if isinstance(got, np.ndarray):
                    assert_identical(got, want)
                elif isinstance(got, float):
                    assert_within(got, loss, 1e-14)
                else:
                    assert_within(got[1], grad, 1e-13)
    finally:
        set_threads(set_to)


# --- chunks -------------------------------------------------------------------------------------------------------


def test_chunks_are_whole_blocks_and_spans_cut_all_rows() -> None:
    for width in ([1, 1], [2, 5, 1], [64, 64, 1], [300, 300]):
        n = 100_000
        rows = cuts.chunk_rows(KAN(width, k=1, init="power")._pack(), n)
        assert rows % BLOCK == 0
        assert BLOCK <= rows <= 16 * BLOCK
    assert cuts.spans(0, 4) == []
    assert cuts.spans(9, 4) == [slice(0, 4), slice(4, 8), slice(8, 9)]


def test_chunks_are_whole_blocks_of_layers_on_fine_grids_too() -> None:
    """Or what was sorted would not be kept for backward; where samples do not fill two, there are chunks for two."""
    layers = KAN([64, 64], grid=200, init="power")._pack()
    block = layers[0].block
    assert block > BLOCK
    for n in (3 * block // 2, 2 * block, 100_000):
        assert cuts.chunk_rows(layers, n) % block == 0
    assert cuts.chunk_rows(layers, block) <= block // 2


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK + 3])
def test_chunks_of_one_block_change_no_row_and_keep_every_sum(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = KAN([1, 1, 1], grid=3, k=1, seed=2)
    x, y = points(n, 1), targets(n, 1)
    whole, weight = results(model, x, y), np.arange(n) + 0.5
    loss, grad = model.loss_and_grad(x, y, sample_weight=weight)
    monkeypatch.setattr(cuts, "_CHUNK_WORK", 1)
    monkeypatch.setattr(cuts, "_CHUNKS", n)
    for kept in (1 << 21, 1):  # lots of many chunks, and of one
        monkeypatch.setattr(cuts, "_LOT_NUMBERS", kept)
        monkeypatch.setattr(work, "_local", threading.local())
        assert n <= BLOCK or cuts.chunk_rows(model._pack(), n) < n
        for name, value in results(model, x, y).items():
            if name in ("loss", "gradient", "params_bar"):
                assert_within(value, whole[name], 1e-12 * (1 + abs(whole[name])), name)
            elif name != "jvp":  # its change of parameters is params_bar, a sum
                assert_identical(value, whole[name], name)
        again, slope = model.loss_and_grad(x, y, sample_weight=weight)
        assert again == pytest.approx(loss, rel=1e-12)
        assert_within(slope, grad, 1e-12 * (1 + abs(grad)))
    rows = [model.jvp(x[begin : begin + 50], model.params, x[begin : begin + 50]) for begin in range(0, n, 50)]
    assert_identical(model.jvp(x, model.params, x), np.concatenate(rows))


def test_a_last_lot_that_is_shorter_reads_what_it_sorted_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, its samples would be cut into chunks that are no whole blocks; in a lot among others they are not."""
    model = KAN([2, 3], grid=3, k=2, extrapolate="nan", seed=0)
    block = model._pack()[0].block
    monkeypatch.setattr(cuts, "_CHUNK_WORK", 1)
    monkeypatch.setattr(cuts, "_LONGEST_LOT", 2 * block)
    n = 2 * block + 3 * block // 4
    assert cuts.chunk_rows(model._pack(), 3 * block // 4) % block
    assert cuts.chunk_rows(model._pack(), 2 * block) % block == 0
    x, y = np.random.default_rng(0).uniform(-1, 1, (n, 2)), targets(n, 3)
    y_bar = 2 / (3 * n) * (model(x) - y)
    assert_identical(model.loss_and_grad(x, y)[1], model.vjp(x, y_bar)[0], "nothing is kept for the second")


@pytest.mark.parametrize("n", [BLOCK + 1, 3 * BLOCK + 5, 9 * BLOCK, *([] if config.DISABLE_JIT else [21 * BLOCK - 3])])
@pytest.mark.parametrize("grids", [[3, 3], [60, 5], [5, 200]], ids=str)
def test_blocks_are_kept_whatever_the_chunks(grids: list[int], n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks shorter than a layer's blocks, of whole blocks, and of neither."""
    model = KAN([2, 3, 2], grid=grids, k=2, extrapolate="nan", grid_range=(-4, 4), seed=0)
    x, y = np.random.default_rng(0).uniform(-1, 1, (n, 2)), targets(n, 2)
    for work_of_a_chunk in (1, cuts._CHUNK_WORK):
        monkeypatch.setattr(cuts, "_CHUNK_WORK", work_of_a_chunk)
        monkeypatch.setattr(work, "_local", threading.local())
        y_bar = (model(x) - y) / n
        want = model.vjp(x, y_bar)[0]
        assert_within(model.loss_and_grad(x, y)[1], want, 1e-12 * (1 + abs(want)))


def test_lots_are_those_of_the_network_whatever_was_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (KAN([2, n_out], grid=3, extrapolate="nan", seed=0) for n_out in (3, 4))  # of the same padded width
    monkeypatch.setattr(cuts, "_CHUNK_WORK", 1)
    monkeypatch.setattr(cuts, "_LOT_NUMBERS", 5 * 2 * BLOCK)
    lots = [cuts.lot_rows(model._pack()) for model in (one, other)]
    assert lots == [2 * BLOCK, BLOCK]
    x = np.random.default_rng(0).uniform(-1, 1, (3 * BLOCK, 2))
    want = other.loss_and_grad(x, targets(len(x), 4))[1]
    monkeypatch.setattr(work, "_local", threading.local())
    one.loss_and_grad(x, targets(len(x), 3))
    assert_identical(other.loss_and_grad(x, targets(len(x), 4))[1], want)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_at_the_ends_of_real_chunks_rows_are_those_of_small_batches(beyond: int) -> None:
    model = small()
    size = cuts.chunk_rows(model._pack(), 100_000)
    x = points(2 * size + beyond)
    whole = model(x)
    for rows in (slice(0, 5), slice(size - 3, size + 3), slice(2 * size - 3, 2 * size + 1)):
        assert_identical(whole[rows], model(x[rows]))


@pytest.mark.jit
def test_a_gradient_over_many_samples_keeps_the_precision_of_float32() -> None:
    model = KAN([2, 1], grid=60, dtype=np.float32)
    assert cuts.lot_rows(model._pack()) <= 64 * BLOCK
    x = np.random.default_rng(0).uniform(0.2, 1, (200_000, 2)).astype(np.float32)
    double = KAN([2, 1], grid=60)
    double.params = model.params
    ones = np.ones((len(x), 1))
    got, want = model.vjp(x, ones)[0], double.vjp(x, ones)[0]
    for name in ("coef", "scale_base"):  # all terms of an entry have one sign
        one, other = (m.unravel(vector)[0][name] for m, vector in ((model, got), (double, want)))
        assert_within(one, other, 64 * np.finfo(np.float32).eps * abs(other) + 1e-3, name)


# --- where the policy is "raise" ----------------------------------------------------------------------------------

ASKED = {
    "call": lambda model, x: model(x),
    "frozen": lambda model, x: model.frozen()(x),
    "loss": lambda model, x: model.loss(x, np.zeros((len(x), 2))),
    "loss_and_grad": lambda model, x: model.loss_and_grad(x, np.zeros((len(x), 2))),
    "vjp": lambda model, x: model.vjp(x, np.zeros((len(x), 2))),
    "jvp": lambda model, x: model.jvp(x),
    "derivative": lambda model, x: model.derivative(x),
    "jacobian": lambda model, x: model.jacobian(x),
    "activations": lambda model, x: model.activations(x),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_point_outside_is_named_by_its_row_whatever_the_chunks(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "_CHUNK_WORK", 1)
    monkeypatch.setattr(cuts, "_CHUNKS", 1000)
    model = small(k=1, extrapolate="raise")
    for layer in model.act_fun:
        layer.coef[...] = layer.scale_base[...] = 0
    x = np.zeros((BLOCK + 40, 2))
    ASKED[what](model, x)
    x[BLOCK + 7, 1], x[BLOCK + 9, 0] = 5, -6
    with pytest.raises(ValueError, match=rf"^Argument `x` .* 2 entries, the first \(5\.0\) at \({BLOCK + 7}, 1\)"):
        ASKED[what](model, x)
    x = np.zeros((BLOCK + 40, 2))
    x[BLOCK + 7, 1] = 0.5
    model.act_fun[0].scale_base[1, 2] = 1e3
    with pytest.raises(
        ValueError,
        match=rf"^Argument `x` must give activations inside the grid of layer 1 .* at input 2 from row {BLOCK + 7}, ",
    ):
        ASKED[what](model, x)


def test_coverage_says_what_is_outside_also_where_the_policy_is_raise() -> None:
    x = np.array([[0.0, 0.0], [5.0, 0.5], [0.5, -0.5], [-2.0, 3.0]])
    for policy in ("continue", "raise", "nan"):
        model = small(extrapolate=policy)
        first, second = model.coverage(x)
        np.testing.assert_array_equal(first.outside, [0.5, 0.25])
        assert second.outside.shape == second.empty_spans.shape == (3,)
        if policy != "continue":
            assert (second.outside >= 0.5).all(), "behind a point outside nothing is inside"
