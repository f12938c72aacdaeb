"""Rows that are copies: which they are, how samples are split, and what a fit makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import numkan
from numkan import KAN
from numkan.model.targets import targets
from numkan.train import copies
from numkan.train.copies import row_labels
from numkan.train.samples import Samples, merged, split

VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0**40, 1e-300])
ROWS = arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=VALUES)


def samples(x: Any, y: Any = None, weight: Any = None, loss: str = "mse") -> Samples:
    y = np.arange(len(x)) if y is None else y
    return Samples(x, targets(y, len(x), 1 if loss == "mse" else 3, x.dtype, loss, weight))


def naive_labels(x: Any) -> list[int]:
    seen: dict[tuple[float, ...], int] = {}
    return [seen.setdefault(tuple(row), len(seen)) for row in x.tolist()]


# --- which rows are copies ----------------------------------------------------------------------------------------


@given(ROWS, st.sampled_from([np.float32, np.float64]))
def test_labels_count_distinct_rows_in_the_order_they_appear(x, dtype):
    x = x.astype(dtype)
    np.testing.assert_array_equal(row_labels(x), naive_labels(x))


@given(ROWS)
def test_rows_of_one_hash_are_told_apart(x):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "row_hashes", lambda x: np.zeros(len(x), np.uint64))
        np.testing.assert_array_equal(row_labels(x), naive_labels(x))


def test_hashes_of_small_integers_and_their_halves_do_not_collide():
    """Floating-point numbers that differ in few bits, as those of tables do."""
    grid = np.stack(np.meshgrid(*[np.arange(-20, 20) / 2] * 3), axis=-1).reshape(-1, 3)
    assert len(np.unique(copies.row_hashes(grid))) == len(grid)


# --- the split ----------------------------------------------------------------------------------------------------


@given(ROWS, st.floats(0.01, 0.99), st.integers(0, 9))
def test_copies_stay_on_one_side_and_the_share_is_at_most_that_of_distinct_rows(x, share, seed):
    given_samples = samples(x)
    distinct = len({*naive_labels(x)})
    if distinct == 1:
        with pytest.raises(ValueError, match="must leave at least one of 1 "):
            split(given_samples, share, np.random.default_rng(seed))
        return
    train, held = split(given_samples, share, np.random.default_rng(seed))
    ours, theirs = ({tuple(row) for row in part.x.tolist()} for part in (train, held))
    assert not ours & theirs
    assert 1 <= len(theirs) <= min(max(round(share * distinct), 1), distinct - 1)
    untold = (train.x == train.x[0]).all(axis=0)  # inputs that training takes for constants
    strange = (held.x != train.x[0])[:, untold].any(axis=1)
    assert not strange.any() or 2 * strange.sum() > len(held)
    assert sorted(np.append(train.goal.y, held.goal.y)) == list(range(len(x)))


def test_distinct_rows_are_split_as_they_were_before_copies_counted():
    x = np.random.default_rng(0).standard_normal((50, 2))
    train, held = split(samples(x), 0.15, np.random.default_rng(3))
    order = np.random.default_rng(3).permutation(50)
    np.testing.assert_array_equal(held.goal.y[:, 0], np.sort(order[:8]))
    np.testing.assert_array_equal(train.goal.y[:, 0], np.sort(order[8:]))


def test_samples_without_weight_are_not_held_out():
    x = np.arange(20.0)[:, None]
    weight = np.repeat([0.0, 1.0], 10)
    for seed in range(5):
        train, held = split(samples(x, weight=weight), 0.9, np.random.default_rng(seed))
        assert len(held) == 9
        assert held.x.min() >= 10
        assert np.count_nonzero(train.goal.weight) == 1


# --- copies are one sample ----------------------------------------------------------------------------------------


@given(ROWS, st.integers(0, 99), st.sampled_from(["mse", "cross_entropy"]), st.booleans())
def test_merged_samples_have_the_same_loss_at_any_function(x, seed, loss, weighted):
    rng = np.random.default_rng(seed)
    label = row_labels(x)
    y = np.where(label % 2, rng.integers(0, 3, len(x)), label % 3)  # some copies agree, others may not
    weight = rng.integers(0, 3, len(x)) + (label == 0) if weighted else None
    whole = samples(x, y, weight, loss)
    few = merged(whole)
    predicted = rng.standard_normal((label.max() + 1, 1 if loss == "mse" else 3))
    lost = [
        part.goal.part(slice(0, len(part)), out, np.empty_like(out))
        for part, out in (
            (whole, predicted[label]),
            (few, np.array([predicted[label[(x == row).all(axis=1)][0]] for row in few.x])),
        )
    ]
    assert lost[1] == pytest.approx(lost[0], rel=1e-13)
    told = {(*row, t) for row, t in zip(x.tolist(), y, strict=True)}
    assert len(few) >= len({row[:-1] for row in told})
    if not weighted and len(told) == label.max() + 1:
        assert len(few) == len(told)


def test_samples_that_were_measured_again_at_one_input_all_stay():
    x = np.array([[0.0], [1.0], [1.0], [1.0], [2.0], [2.0]])
    few = merged(samples(x, [5.0, 1.0, 1.0, 2.0, 3.0, 3.0]))
    np.testing.assert_array_equal(few.x[:, 0], [0, 1, 1, 1, 2])
    np.testing.assert_array_equal(few.goal.weight, [1, 1, 1, 1, 2])


# --- fits ---------------------------------------------------------------------------------------------------------


def noisy(n: int, seed: int = 1) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 1))
    return x, 2 * np.sin(3 * x[:, 0]) + rng.standard_normal(n)


def explained(model: KAN) -> float:
    """Share of the true function that a model has found."""
    x = np.linspace(-1, 1, 500)[:, None]
    truth = 2 * np.sin(3 * x[:, 0])
    return float(1 - np.mean((model(x)[:, 0] - truth) ** 2) / truth.var())


@pytest.mark.jit
@pytest.mark.parametrize("width", [[1, 1], [1, 2, 1]])
def test_a_table_repeated_fifteen_times_gives_the_same_fit_to_the_bit(width):
    x, y = noisy(20)
    once, often = KAN(width, seed=0), KAN(width, seed=0)
    results = once.fit(x, y), often.fit(np.tile(x, (15, 1)), np.tile(y, 15))
    np.testing.assert_array_equal(often(x), once(x))
    assert results[1].noise == results[0].noise > 0.3
    assert results[1].loss == pytest.approx(once.loss(x, y), rel=1e-12)


@pytest.mark.jit
@pytest.mark.parametrize("weighted", [False, True])
def test_shuffled_copies_of_noisy_samples_are_as_good_as_the_samples(weighted):
    x, y = noisy(20)
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.repeat(np.arange(20), 15))
    once, often = KAN([1, 1], seed=0), KAN([1, 1], seed=0)
    once.fit(x, y, sample_weight=np.full(20, 3.0) if weighted else None)
    share = np.full(300, 0.2) if weighted else None
    assert often.fit(x[rows], y[rows], sample_weight=share).noise > 0.5
    assert explained(often) > explained(once) - 0.1 > 0.6


@pytest.mark.jit
def test_independent_measurements_at_few_inputs_keep_all_their_say():
    x, _ = noisy(20)
    x = np.repeat(x, 15, axis=0)
    model = KAN([1, 1], seed=0)
    result = model.fit(x, 2 * np.sin(3 * x[:, 0]) + np.random.default_rng(0).standard_normal(300))
    assert explained(model) > 0.95
    assert result.noise == pytest.approx(1.0, abs=0.15)


@pytest.mark.jit
@pytest.mark.parametrize("method", ["lm", "lbfgs", "adam"])
def test_no_method_holds_out_copies_of_what_it_trains_on(method):
    x, y = noisy(50)
    rows = np.repeat(np.arange(50), 4)
    result = KAN([1, 1], seed=0).fit(x[rows], y[rows], method=method, steps=5)
    assert "32 of 200 samples held out" in result.chosen["validation"]
    few = KAN([1, 1], seed=0).fit(x[rows[:120]], y[rows[:120]], method=method, steps=5)
    assert "validation" not in few.chosen
    assert str(120) not in few.chosen["grids"]


@pytest.mark.jit
def test_search_judges_by_inputs_that_it_has_not_seen(monkeypatch):
    seen = []
    fit = KAN.fit

    def watched(self, x, y, **options):
        if isinstance(options.get("validation"), tuple):
            seen.append(({*x[:, 0]} & {*options["validation"][0][:, 0]}, options["grids"]))
        return fit(self, x, y, **options)

    monkeypatch.setattr(KAN, "fit", watched)
    x, y = noisy(20)
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 15))
    model, _ = numkan.search(x[rows], y[rows], widths=[[1, 1], [1, 2, 1]], time_limit=60)
    assert seen
    assert not any(both for both, _ in seen)
    assert max(max(grids) for _, grids in seen) <= 0.6 * 17
    assert explained(model) > 0.5


def test_search_counts_distinct_rows():
    with pytest.raises(ValueError, match="must have at least 8 distinct rows to search with, not 4"):
        numkan.search(np.arange(40.0)[:, None] % 4, np.arange(40.0))
