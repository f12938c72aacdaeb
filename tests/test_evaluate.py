"""numkan.model.evaluate and batches: parts that leave no trace, and points outside that are named by their row."""

from __future__ import annotations

import numpy as np
import pytest

from numkan import KAN, get_threads, set_threads
from numkan.conformance.law import assert_identical, assert_within
from numkan.layer.buffers import BLOCK
from numkan.model import batches
from tests.small_networks import points, small, targets


@pytest.mark.jit
@pytest.mark.parametrize("width", [[1, 1], [2, 5, 1], [64, 64, 1], [300, 300]], ids=str)
def test_samples_are_divided_into_whole_blocks_whatever_the_number_of_threads(width: list[int]) -> None:
    layers, before = KAN(width, k=1, init="power")._pack(), get_threads()
    found = []
    try:
        for count in (1, 2, 7):
            set_threads(count)
            found.append((batches.chunk_rows(layers, 100_000), batches.batch_rows(layers)))
            for n in (0, 1, 100, 5000, 100_000):
                parts = batches.slices(n, batches.part_rows(layers, n))
                assert [row for part in parts for row in range(part.start, part.stop)] == list(range(n))
            assert len(parts) >= count
    finally:
        set_threads(before)
    assert len(set(found)) == 1
    for rows in found[0]:
        assert rows % BLOCK == 0
        assert rows >= BLOCK


@pytest.mark.jit
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize(("width", "n"), [([18, 70, 40, 3], 1500), ([100, 100, 100], 5000)], ids=str)
def test_threads_and_batches_change_no_row(width: list[int], n: int, n_threads: int) -> None:
    """Parts of one block and of several, and a gradient of one batch and of several."""
    model = KAN(width, grid=3, seed=0)
    x, y, before = points(n, width[0]), targets(n, width[-1]), get_threads()
    layers = model._pack()
    assert n < batches.batch_rows(layers) or n == 5000
    try:
        set_threads(1)
        want, (loss, grad) = model(x), model.loss_and_grad(x, y)
        set_threads(n_threads)
        assert_identical(model(x), want)
        again, slope = model.loss_and_grad(x, y)
    finally:
        set_threads(before)
    assert_identical(slope, grad)
    assert again == loss == model.loss(x, y)
    for rows in (slice(0, 5), slice(n // 2 - 3, n // 2 + 3), slice(n - 1, n)):
        assert_identical(want[rows], model(x[rows]))


@pytest.mark.jit
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_at_the_ends_of_real_chunks_rows_are_those_of_small_batches(beyond: int) -> None:
    model = small()
    size = batches.chunk_rows(model._pack(), 100_000)
    x = points(2 * size + beyond)
    whole = model(x)
    for rows in (slice(0, 5), slice(size - 3, size + 3), slice(2 * size - 3, 2 * size + 1)):
        assert_identical(whole[rows], model(x[rows]))


@pytest.mark.jit
def test_a_gradient_over_many_samples_keeps_the_precision_of_float32() -> None:
    model = KAN([2, 1], grid=60, dtype=np.float32)
    assert batches.batch_rows(model._pack()) <= 64 * BLOCK
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
def test_a_point_outside_is_named_by_its_row(what: str) -> None:
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
